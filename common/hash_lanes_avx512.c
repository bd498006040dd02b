#include "common/hash_lanes.h"

#include <immintrin.h>

#define LANES HASH_LANES_AVX512

/* Eight rows of eight words become eight columns: word j of all lanes in column j. */
static inline void transpose(__m512i *ret_columns, const uint8_t *const *rows, size_t at)
{
    __m512i row[LANES];
    __m512i pair[LANES];
    for (size_t i = 0; i < LANES; i++) {
        row[i] = _mm512_loadu_si512(rows[i] + at);
    }
    for (size_t i = 0; i < LANES; i += 2) {
        pair[i] = _mm512_unpacklo_epi64(row[i], row[i + 1]);     /* even words */
        pair[i + 1] = _mm512_unpackhi_epi64(row[i], row[i + 1]); /* odd words */
    }
    for (size_t odd = 0; odd < 2; odd++) {
        /* Words 0 and 4 of lanes 0-3 and 4-7, then words 2 and 6. */
        __m512i low04 = _mm512_shuffle_i64x2(pair[odd], pair[2 + odd], 0x88);
        __m512i high04 = _mm512_shuffle_i64x2(pair[4 + odd], pair[6 + odd], 0x88);
        __m512i low26 = _mm512_shuffle_i64x2(pair[odd], pair[2 + odd], 0xdd);
        __m512i high26 = _mm512_shuffle_i64x2(pair[4 + odd], pair[6 + odd], 0xdd);
        ret_columns[0 + odd] = _mm512_shuffle_i64x2(low04, high04, 0x88);
        ret_columns[2 + odd] = _mm512_shuffle_i64x2(low26, high26, 0x88);
        ret_columns[4 + odd] = _mm512_shuffle_i64x2(low04, high04, 0xdd);
        ret_columns[6 + odd] = _mm512_shuffle_i64x2(low26, high26, 0xdd);
    }
}

/* The four mixes of half a round are independent and advance together, step by step: one after the
 * other, each would wait for its own results. */
#define ADD_WORDS(x0, x1, x2, x3)         \
    v[0] = _mm512_add_epi64(v[0], m[x0]); \
    v[1] = _mm512_add_epi64(v[1], m[x1]); \
    v[2] = _mm512_add_epi64(v[2], m[x2]); \
    v[3] = _mm512_add_epi64(v[3], m[x3]);

#define ADD(a0, a1, a2, a3, b0, b1, b2, b3) \
    v[a0] = _mm512_add_epi64(v[a0], v[b0]); \
    v[a1] = _mm512_add_epi64(v[a1], v[b1]); \
    v[a2] = _mm512_add_epi64(v[a2], v[b2]); \
    v[a3] = _mm512_add_epi64(v[a3], v[b3]);

#define TURN(bits, a0, a1, a2, a3, b0, b1, b2, b3) \
    v[a0] = _mm512_xor_si512(v[a0], v[b0]);        \
    v[a1] = _mm512_xor_si512(v[a1], v[b1]);        \
    v[a2] = _mm512_xor_si512(v[a2], v[b2]);        \
    v[a3] = _mm512_xor_si512(v[a3], v[b3]);        \
    v[a0] = _mm512_ror_epi64(v[a0], bits);         \
    v[a1] = _mm512_ror_epi64(v[a1], bits);         \
    v[a2] = _mm512_ror_epi64(v[a2], bits);         \
    v[a3] = _mm512_ror_epi64(v[a3], bits);

/* Rows of the state: a is 0-3; b, c and d are given as they lie in a column or a diagonal. */
#define HALF(b0, b1, b2, b3, c0, c1, c2, c3, d0, d1, d2, d3, x0, y0, x1, y1, x2, y2, x3, y3) \
    ADD_WORDS(x0, x1, x2, x3)                                                                \
    ADD(0, 1, 2, 3, b0, b1, b2, b3)                                                          \
    TURN(32, d0, d1, d2, d3, 0, 1, 2, 3)                                                     \
    ADD(c0, c1, c2, c3, d0, d1, d2, d3)                                                      \
    TURN(24, b0, b1, b2, b3, c0, c1, c2, c3)                                                 \
    ADD_WORDS(y0, y1, y2, y3)                                                                \
    ADD(0, 1, 2, 3, b0, b1, b2, b3)                                                          \
    TURN(16, d0, d1, d2, d3, 0, 1, 2, 3)                                                     \
    ADD(c0, c1, c2, c3, d0, d1, d2, d3)                                                      \
    TURN(63, b0, b1, b2, b3, c0, c1, c2, c3)

#define ROUND(s0, s1, s2, s3, s4, s5, s6, s7, s8, s9, s10, s11, s12, s13, s14, s15) \
    HALF(4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, s0, s1, s2, s3, s4, s5, s6, s7)  \
    HALF(5, 6, 7, 4, 10, 11, 8, 9, 15, 12, 13, 14, s8, s9, s10, s11, s12, s13, s14, s15)

/* One block of every lane; lanes outside `active` keep their state. */
static inline void compress(__m512i *h,
                            const uint8_t *const *rows,
                            __m512i counter,
                            __m512i final,
                            __mmask8 active)
{
    __m512i m[BLAKE2B_WORDS];
    __m512i v[BLAKE2B_WORDS];

    transpose(m, rows, 0);
    transpose(m + 8, rows, 64);
    for (size_t i = 0; i < 8; i++) {
        v[i] = h[i];
        v[8 + i] = _mm512_set1_epi64((long long)blake2b_iv[i]);
    }
    v[12] = _mm512_xor_si512(v[12], counter);
    v[14] = _mm512_xor_si512(v[14], final);
    BLAKE2B_ROUNDS(ROUND)
    for (size_t i = 0; i < 8; i++) {
        __m512i both = _mm512_xor_si512(v[i], v[8 + i]);
        h[i] = _mm512_mask_xor_epi64(h[i], active, h[i], both);
    }
}

void hash_lanes_avx512(struct digest *ret_digests, const uint8_t *data, size_t len)
{
    struct lane lanes[LANES];
    uint32_t blocks = lanes_cut(lanes, LANES, data, len);
    __m512i h[8];

    for (size_t i = 0; i < 8; i++) {
        h[i] = _mm512_set1_epi64((long long)blake2b_iv[i]);
    }
    h[0] = _mm512_xor_si512(h[0], _mm512_set1_epi64(BLAKE2B_256_PARAMETERS));

    for (uint32_t block = 0; block < blocks; block++) {
        const uint8_t *rows[LANES];
        uint64_t counter[LANES];
        uint64_t final[LANES];
        unsigned active = 0;
        for (uint32_t i = 0; i < LANES; i++) {
            rows[i] = lane_block(&lanes[i], block);
            counter[i] = lane_counter(&lanes[i], block);
            final[i] = lane_final(&lanes[i], block);
            active |= (block < lanes[i].blocks ? 1u : 0u) << i;
        }
        compress(h, rows, _mm512_loadu_si512(counter), _mm512_loadu_si512(final), (__mmask8)active);
    }

    uint64_t words[4][LANES];
    for (size_t i = 0; i < 4; i++) {
        _mm512_storeu_si512(words[i], h[i]);
    }
    for (uint32_t lane = 0; lane < LANES && lanes[lane].blocks > 0; lane++) {
        for (size_t i = 0; i < 4; i++) {
            memcpy(ret_digests[lane].bytes + 8 * i, &words[i][lane], 8);
        }
    }
}
