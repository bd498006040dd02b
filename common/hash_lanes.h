/* Inside of hash_pages: BLAKE2b-256 of up to LANES neighbouring content pages at once. Both files
 * are the same algorithm over different registers; each is compiled for its own instruction set
 * (common/meson.build) and called only where that was found. Source: RFC 7693. */
#ifndef COMMON_HASH_LANES_H
#define COMMON_HASH_LANES_H

#include "common/base.h"
#include "common/limits.h"
#include "common/page.h"

#define HASH_LANES_AVX512 8u
#define HASH_LANES_AVX2   4u

/* Digests of the content pages that `data` is cut into: `len` is 1 .. lanes x
 * PAGE_CONTENT_BYTES_MAX. */
void hash_lanes_avx512(struct digest *ret_digests, const uint8_t *data, size_t len);
void hash_lanes_avx2(struct digest *ret_digests, const uint8_t *data, size_t len);

#define BLAKE2B_BLOCK_BYTES 128u
#define BLAKE2B_WORDS       16u

/* Parameter word of an unkeyed hash of 32 bytes: fan-out 1, depth 1. */
#define BLAKE2B_256_PARAMETERS 0x01010020u

static const uint64_t blake2b_iv[8] = {
    0x6a09e667f3bcc908u, 0xbb67ae8584caa73bu, 0x3c6ef372fe94f82bu, 0xa54ff53a5f1d36f1u,
    0x510e527fade682d1u, 0x9b05688c2b3e6c1fu, 0x1f83d9abfb41bd6bu, 0x5be0cd19137e2179u,
};

/* The twelve rounds: ROUND takes the order of the sixteen message words. */
#define BLAKE2B_ROUNDS(ROUND)                                   \
    ROUND(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15) \
    ROUND(14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3) \
    ROUND(11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4) \
    ROUND(7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8) \
    ROUND(9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13) \
    ROUND(2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9) \
    ROUND(12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11) \
    ROUND(13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10) \
    ROUND(6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5) \
    ROUND(10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0) \
    ROUND(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15) \
    ROUND(14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3)

/* One page on its way through a lane. A lane without a page has no blocks. */
struct lane {
    const uint8_t *content;
    uint32_t len;    /* content bytes */
    uint32_t blocks; /* of page header and content together */
    uint8_t stage[BLAKE2B_BLOCK_BYTES];
};

/* Cuts `data` into pages, one per lane; returns the blocks of the longest. */
static inline uint32_t lanes_cut(struct lane *lanes,
                                 uint32_t count,
                                 const uint8_t *data,
                                 size_t len)
{
    uint32_t most = 0;

    for (uint32_t i = 0; i < count; i++) {
        uint32_t part = len < PAGE_CONTENT_BYTES_MAX ? (uint32_t)len : PAGE_CONTENT_BYTES_MAX;
        lanes[i].content = data;
        lanes[i].len = part;
        lanes[i].blocks = 0;
        if (part > 0) {
            lanes[i].blocks =
                (PAGE_HEADER_BYTES + part + BLAKE2B_BLOCK_BYTES - 1) / BLAKE2B_BLOCK_BYTES;
        }
        memset(lanes[i].stage, 0, sizeof lanes[i].stage);
        if (lanes[i].blocks > most) most = lanes[i].blocks;
        data += part;
        len -= part;
    }
    return most;
}

/* The 128 bytes of a lane's block: straight from the content, or staged when they hold the page
 * header or the padded end. A lane that is through gives any 128 bytes. */
static inline const uint8_t *lane_block(struct lane *lane, uint32_t block)
{
    if (block >= lane->blocks) return lane->stage;
    if (block > 0 && block + 1 < lane->blocks) {
        return lane->content + (size_t)block * BLAKE2B_BLOCK_BYTES - PAGE_HEADER_BYTES;
    }

    uint32_t from = block * BLAKE2B_BLOCK_BYTES; /* in the page */
    uint32_t head = block == 0 ? PAGE_HEADER_BYTES : 0;
    uint32_t rest = PAGE_HEADER_BYTES + lane->len - from;
    uint32_t used = rest < BLAKE2B_BLOCK_BYTES ? rest : BLAKE2B_BLOCK_BYTES;

    memset(lane->stage, 0, sizeof lane->stage);
    if (head > 0) {
        lane->stage[0] = PAGE_CONTENT;
        lane->stage[3] = (uint8_t)(lane->len >> 8); /* below 2^16 */
        lane->stage[4] = (uint8_t)lane->len;
    }
    memcpy(lane->stage + head, lane->content + (from + head - PAGE_HEADER_BYTES), used - head);
    return lane->stage;
}

/* Bytes hashed once the block is taken, and the mask of the final block. */
static inline uint64_t lane_counter(const struct lane *lane, uint32_t block)
{
    uint64_t end = (uint64_t)(block + 1) * BLAKE2B_BLOCK_BYTES;
    uint64_t total = (uint64_t)PAGE_HEADER_BYTES + lane->len;
    return end < total ? end : total;
}

static inline uint64_t lane_final(const struct lane *lane, uint32_t block)
{
    return block + 1 == lane->blocks ? ~(uint64_t)0 : 0;
}

#endif
