#include "rollup-kernel/kernel/blake2b.h"

const uint64_t blake2b_iv[8] = {
    0x6a09e667f3bcc908u, 0xbb67ae8584caa73bu, 0x3c6ef372fe94f82bu, 0xa54ff53a5f1d36f1u,
    0x510e527fade682d1u, 0x9b05688c2b3e6c1fu, 0x1f83d9abfb41bd6bu, 0x5be0cd19137e2179u,
};

/* Order in which a round takes the sixteen message words, one hex digit each, first word lowest.
 * Rounds 10 and 11 repeat 0 and 1. */
static const uint64_t blake2b_sigma[10] = {
    0xfedcba9876543210u, 0x357b20c16df984aeu, 0x491763eadf250c8bu, 0x8f04a562ebcd1397u,
    0xd386cb1efa427509u, 0x91ef57d438b0a6c2u, 0xb8293670a4def15cu, 0xa2684f05931ce7bdu,
    0x5a417d2c803b9ef6u, 0x0dc3e9bf5167482au,
};

static uint64_t rotate_right(uint64_t value, unsigned bits)
{
    return value >> bits | value << (64 - bits);
}

static void mix(uint64_t *v, unsigned i, uint64_t x, uint64_t y)
{
    /* Columns first (i < 4), then diagonals: there each row is turned by its number. */
    unsigned turn = i / 4;
    unsigned a = i % 4;
    unsigned b = 4 + (i + turn) % 4;
    unsigned c = 8 + (i + 2 * turn) % 4;
    unsigned d = 12 + (i + 3 * turn) % 4;

    v[a] += v[b] + x;
    v[d] = rotate_right(v[d] ^ v[a], 32);
    v[c] += v[d];
    v[b] = rotate_right(v[b] ^ v[c], 24);
    v[a] += v[b] + y;
    v[d] = rotate_right(v[d] ^ v[a], 16);
    v[c] += v[d];
    v[b] = rotate_right(v[b] ^ v[c], 63);
}

/* Compresses `state->block`, which holds the last `state->used` bytes of what `total` will count.
 */
static void compress(struct blake2b *state, uint64_t last)
{
    uint64_t v[16];
    uint64_t words[16];

    state->total += state->used;
    state->used = 0;
    memcpy(words, state->block, sizeof words); /* little-endian, as wasm and every node is */
    for (unsigned i = 0; i < 8; i++) {
        v[i] = state->chain[i];
        v[i + 8] = blake2b_iv[i];
    }
    v[12] ^= state->total;
    v[14] ^= last;
    for (unsigned round = 0; round < 12; round++) {
        uint64_t sigma = blake2b_sigma[round % 10];
        for (unsigned i = 0; i < 8; i++) {
            mix(v, i, words[sigma % 16], words[sigma / 16 % 16]);
            sigma >>= 8;
        }
    }
    for (unsigned i = 0; i < 8; i++) {
        state->chain[i] ^= v[i] ^ v[i + 8];
    }
}

void blake2b_init(struct blake2b *state)
{
    memset(state, 0, sizeof *state);
    memcpy(state->chain, blake2b_iv, sizeof state->chain);
    state->chain[0] ^= 0x01010020u; /* parameters: digest 32, no key, fanout 1, depth 1 */
}

void blake2b_update(struct blake2b *state, const void *data, size_t len)
{
    const uint8_t *next = data;

    while (len > 0) {
        if (state->used == sizeof state->block) compress(state, 0);
        uint32_t take = (uint32_t)u64_min(sizeof state->block - state->used, len);
        memcpy(state->block + state->used, next, take);
        state->used += take;
        next += take;
        len -= take;
    }
}

void blake2b_final(struct digest *ret_digest, struct blake2b *state)
{
    memset(state->block + state->used, 0, sizeof state->block - state->used);
    compress(state, UINT64_MAX);
    memcpy(ret_digest->bytes, state->chain, sizeof ret_digest->bytes);
}
