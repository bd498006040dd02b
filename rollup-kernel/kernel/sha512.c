/* SHA-512 (FIPS 180-4) under the names that libsodium's Ed25519 calls, as one loop over eighty
 * steps: a third of the size of libsodium's. Checked against libsodium in tests/kernel. */
#include "common/base.h"
#include "rollup-kernel/kernel/blake2b.h"

#include "crypto_hash_sha512.h"

/* The fractional parts of the cube roots of the first eighty primes. */
static const uint64_t sha512_k[80] = {
    0x428a2f98d728ae22u, 0x7137449123ef65cdu, 0xb5c0fbcfec4d3b2fu, 0xe9b5dba58189dbbcu,
    0x3956c25bf348b538u, 0x59f111f1b605d019u, 0x923f82a4af194f9bu, 0xab1c5ed5da6d8118u,
    0xd807aa98a3030242u, 0x12835b0145706fbeu, 0x243185be4ee4b28cu, 0x550c7dc3d5ffb4e2u,
    0x72be5d74f27b896fu, 0x80deb1fe3b1696b1u, 0x9bdc06a725c71235u, 0xc19bf174cf692694u,
    0xe49b69c19ef14ad2u, 0xefbe4786384f25e3u, 0x0fc19dc68b8cd5b5u, 0x240ca1cc77ac9c65u,
    0x2de92c6f592b0275u, 0x4a7484aa6ea6e483u, 0x5cb0a9dcbd41fbd4u, 0x76f988da831153b5u,
    0x983e5152ee66dfabu, 0xa831c66d2db43210u, 0xb00327c898fb213fu, 0xbf597fc7beef0ee4u,
    0xc6e00bf33da88fc2u, 0xd5a79147930aa725u, 0x06ca6351e003826fu, 0x142929670a0e6e70u,
    0x27b70a8546d22ffcu, 0x2e1b21385c26c926u, 0x4d2c6dfc5ac42aedu, 0x53380d139d95b3dfu,
    0x650a73548baf63deu, 0x766a0abb3c77b2a8u, 0x81c2c92e47edaee6u, 0x92722c851482353bu,
    0xa2bfe8a14cf10364u, 0xa81a664bbc423001u, 0xc24b8b70d0f89791u, 0xc76c51a30654be30u,
    0xd192e819d6ef5218u, 0xd69906245565a910u, 0xf40e35855771202au, 0x106aa07032bbd1b8u,
    0x19a4c116b8d2d0c8u, 0x1e376c085141ab53u, 0x2748774cdf8eeb99u, 0x34b0bcb5e19b48a8u,
    0x391c0cb3c5c95a63u, 0x4ed8aa4ae3418acbu, 0x5b9cca4f7763e373u, 0x682e6ff3d6b2b8a3u,
    0x748f82ee5defb2fcu, 0x78a5636f43172f60u, 0x84c87814a1f0ab72u, 0x8cc702081a6439ecu,
    0x90befffa23631e28u, 0xa4506cebde82bde9u, 0xbef9a3f7b2c67915u, 0xc67178f2e372532bu,
    0xca273eceea26619cu, 0xd186b8c721c0c207u, 0xeada7dd6cde0eb1eu, 0xf57d4f7fee6ed178u,
    0x06f067aa72176fbau, 0x0a637dc5a2c898a6u, 0x113f9804bef90daeu, 0x1b710b35131c471bu,
    0x28db77f523047d84u, 0x32caab7b40c72493u, 0x3c9ebe0a15c9bebcu, 0x431d67c49c100d4cu,
    0x4cc5d4becb3e42b6u, 0x597f299cfc657e2au, 0x5fcb6fab3ad6faecu, 0x6c44198c4a475817u,
};

static uint64_t rotate_right(uint64_t value, unsigned bits)
{
    return value >> bits | value << (64 - bits);
}

static void compress(uint64_t *chain, const uint8_t *block)
{
    uint64_t words[16];
    uint64_t s[8]; /* a .. h */

    for (unsigned i = 0; i < 16; i++) {
        uint64_t word;
        memcpy(&word, block + 8 * i, sizeof word);
        words[i] = __builtin_bswap64(word);
    }
    memcpy(s, chain, sizeof s);
    for (unsigned i = 0; i < 80; i++) {
        uint64_t *word = &words[i % 16];
        if (i >= 16) {
            uint64_t w1 = words[(i + 1) % 16];
            uint64_t w14 = words[(i + 14) % 16];
            *word += (rotate_right(w1, 1) ^ rotate_right(w1, 8) ^ w1 >> 7) + words[(i + 9) % 16] +
                     (rotate_right(w14, 19) ^ rotate_right(w14, 61) ^ w14 >> 6);
        }
        uint64_t t1 = s[7] +
                      (rotate_right(s[4], 14) ^ rotate_right(s[4], 18) ^ rotate_right(s[4], 41)) +
                      ((s[4] & s[5]) ^ (~s[4] & s[6])) + sha512_k[i] + *word;
        uint64_t t2 = (rotate_right(s[0], 28) ^ rotate_right(s[0], 34) ^ rotate_right(s[0], 39)) +
                      ((s[0] & s[1]) ^ (s[0] & s[2]) ^ (s[1] & s[2]));
        memmove(s + 1, s, 7 * sizeof s[0]);
        s[4] += t1;
        s[0] = t1 + t2;
    }
    for (unsigned i = 0; i < 8; i++) {
        chain[i] += s[i];
    }
}

int crypto_hash_sha512_init(crypto_hash_sha512_state *state)
{
    memcpy(state->state, blake2b_iv, sizeof state->state);
    state->count[0] = 0; /* here: bytes so far; the second word is not used */
    return 0;
}

int crypto_hash_sha512_update(crypto_hash_sha512_state *state,
                              const unsigned char *in,
                              unsigned long long inlen)
{
    while (inlen > 0) {
        size_t used = state->count[0] % sizeof state->buf;
        size_t take = (size_t)u64_min(sizeof state->buf - used, inlen);
        memcpy(state->buf + used, in, take);
        state->count[0] += take;
        in += take;
        inlen -= take;
        if (used + take == sizeof state->buf) compress(state->state, state->buf);
    }
    return 0;
}

int crypto_hash_sha512_final(crypto_hash_sha512_state *state, unsigned char *out)
{
    const uint64_t bits[2] = {0, __builtin_bswap64(state->count[0] * 8)};
    unsigned char pad = 0x80;

    /* 0x80, zeros up to the last 16 bytes of a block, and the length in bits, 128-bit big-endian.
     */
    do {
        crypto_hash_sha512_update(state, &pad, 1);
        pad = 0;
    } while (state->count[0] % sizeof state->buf != 112);
    crypto_hash_sha512_update(state, (const unsigned char *)bits, sizeof bits);
    for (unsigned i = 0; i < 8; i++) {
        uint64_t word = __builtin_bswap64(state->state[i]);
        memcpy(out + 8 * i, &word, sizeof word);
    }
    return 0;
}
