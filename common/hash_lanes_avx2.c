#include "common/hash_lanes.h"

#include <immintrin.h>

#define LANES HASH_LANES_AVX2

static inline __m256i load(const void *from)
{
    __m256i value;
    memcpy(&value, from, sizeof value);
    return value;
}

/* Four rows of four words become four columns: word j of all lanes in column j. */
static inline void transpose(__m256i *ret_columns, const uint8_t *const *rows, size_t at)
{
    __m256i row[LANES];
    for (size_t i = 0; i < LANES; i++) {
        row[i] = load(rows[i] + at);
    }
    __m256i even01 = _mm256_unpacklo_epi64(row[0], row[1]);
    __m256i odd01 = _mm256_unpackhi_epi64(row[0], row[1]);
    __m256i even23 = _mm256_unpacklo_epi64(row[2], row[3]);
    __m256i odd23 = _mm256_unpackhi_epi64(row[2], row[3]);
    ret_columns[0] = _mm256_permute2x128_si256(even01, even23, 0x20);
    ret_columns[1] = _mm256_permute2x128_si256(odd01, odd23, 0x20);
    ret_columns[2] = _mm256_permute2x128_si256(even01, even23, 0x31);
    ret_columns[3] = _mm256_permute2x128_si256(odd01, odd23, 0x31);
}

#define ROTATE_32(x) _mm256_shuffle_epi32(x, _MM_SHUFFLE(2, 3, 0, 1))
#define ROTATE_24(x) _mm256_shuffle_epi8(x, rotate_24)
#define ROTATE_16(x) _mm256_shuffle_epi8(x, rotate_16)
#define ROTATE_63(x) _mm256_or_si256(_mm256_srli_epi64(x, 63), _mm256_add_epi64(x, x))

#define MIX(a, b, c, d, x, y)                                        \
    do {                                                             \
        v[a] = _mm256_add_epi64(_mm256_add_epi64(v[a], v[b]), m[x]); \
        v[d] = ROTATE_32(_mm256_xor_si256(v[d], v[a]));              \
        v[c] = _mm256_add_epi64(v[c], v[d]);                         \
        v[b] = ROTATE_24(_mm256_xor_si256(v[b], v[c]));              \
        v[a] = _mm256_add_epi64(_mm256_add_epi64(v[a], v[b]), m[y]); \
        v[d] = ROTATE_16(_mm256_xor_si256(v[d], v[a]));              \
        v[c] = _mm256_add_epi64(v[c], v[d]);                         \
        v[b] = _mm256_xor_si256(v[b], v[c]);                         \
        v[b] = ROTATE_63(v[b]);                                      \
    } while (0)

#define ROUND(s0, s1, s2, s3, s4, s5, s6, s7, s8, s9, s10, s11, s12, s13, s14, s15) \
    MIX(0, 4, 8, 12, s0, s1);                                                       \
    MIX(1, 5, 9, 13, s2, s3);                                                       \
    MIX(2, 6, 10, 14, s4, s5);                                                      \
    MIX(3, 7, 11, 15, s6, s7);                                                      \
    MIX(0, 5, 10, 15, s8, s9);                                                      \
    MIX(1, 6, 11, 12, s10, s11);                                                    \
    MIX(2, 7, 8, 13, s12, s13);                                                     \
    MIX(3, 4, 9, 14, s14, s15);

/* One block of every lane; lanes outside `active` (all ones or zero) keep their state. */
static inline void compress(__m256i *h,
                            const uint8_t *const *rows,
                            __m256i counter,
                            __m256i final,
                            __m256i active)
{
    const __m256i rotate_24 =
        _mm256_setr_epi8(3, 4, 5, 6, 7, 0, 1, 2, 11, 12, 13, 14, 15, 8, 9, 10, 3, 4, 5, 6, 7, 0, 1,
                         2, 11, 12, 13, 14, 15, 8, 9, 10);
    const __m256i rotate_16 =
        _mm256_setr_epi8(2, 3, 4, 5, 6, 7, 0, 1, 10, 11, 12, 13, 14, 15, 8, 9, 2, 3, 4, 5, 6, 7, 0,
                         1, 10, 11, 12, 13, 14, 15, 8, 9);
    __m256i m[BLAKE2B_WORDS];
    __m256i v[BLAKE2B_WORDS];

    for (size_t i = 0; i < 4; i++) {
        transpose(m + 4 * i, rows, 32 * i);
    }
    for (size_t i = 0; i < 8; i++) {
        v[i] = h[i];
        v[8 + i] = _mm256_set1_epi64x((long long)blake2b_iv[i]);
    }
    v[12] = _mm256_xor_si256(v[12], counter);
    v[14] = _mm256_xor_si256(v[14], final);
    BLAKE2B_ROUNDS(ROUND)
    for (size_t i = 0; i < 8; i++) {
        __m256i both = _mm256_and_si256(_mm256_xor_si256(v[i], v[8 + i]), active);
        h[i] = _mm256_xor_si256(h[i], both);
    }
}

void hash_lanes_avx2(struct digest *ret_digests, const uint8_t *data, size_t len)
{
    struct lane lanes[LANES];
    uint32_t blocks = lanes_cut(lanes, LANES, data, len);
    __m256i h[8];

    for (size_t i = 0; i < 8; i++) {
        h[i] = _mm256_set1_epi64x((long long)blake2b_iv[i]);
    }
    h[0] = _mm256_xor_si256(h[0], _mm256_set1_epi64x(BLAKE2B_256_PARAMETERS));

    for (uint32_t block = 0; block < blocks; block++) {
        const uint8_t *rows[LANES];
        uint64_t counter[LANES];
        uint64_t final[LANES];
        uint64_t active[LANES];
        for (uint32_t i = 0; i < LANES; i++) {
            rows[i] = lane_block(&lanes[i], block);
            counter[i] = lane_counter(&lanes[i], block);
            final[i] = lane_final(&lanes[i], block);
            active[i] = block < lanes[i].blocks ? ~(uint64_t)0 : 0;
        }
        compress(h, rows, load(counter), load(final), load(active));
    }

    uint64_t words[4][LANES];
    for (size_t i = 0; i < 4; i++) {
        memcpy(words[i], &h[i], sizeof words[i]);
    }
    for (uint32_t lane = 0; lane < LANES && lanes[lane].blocks > 0; lane++) {
        for (size_t i = 0; i < 4; i++) {
            memcpy(ret_digests[lane].bytes + 8 * i, &words[i][lane], 8);
        }
    }
}
