/* The kernel's own hashes and scalar reduction against libsodium, on random lengths, in one piece and in many,
 * and on published vectors. They are compiled natively here, under names of their own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <sodium.h>

#include "rollup-kernel/kernel/blake2b.h"
#include "tests/kernel/chain.h"

/* sha512.c and scalar.c define libsodium's names, which the build renames. */
int kernel_sha512_init(crypto_hash_sha512_state *state);
int kernel_sha512_update(crypto_hash_sha512_state *state,
                         const unsigned char *in,
                         unsigned long long len);
int kernel_sha512_final(crypto_hash_sha512_state *state, unsigned char *out);
void kernel_sc25519_reduce(unsigned char number[64]);

#define BYTES_MAX 5000u

static uint8_t data[BYTES_MAX];

static void fill(uint64_t *random)
{
    for (size_t i = 0; i < sizeof data; i++) {
        data[i] = (uint8_t)random_next(random);
    }
}

/* Feeds `len` bytes in parts of random lengths. */
static void hash_both(uint8_t blake[32], uint8_t sha[64], size_t len, uint64_t *random)
{
    struct blake2b state;
    struct digest digest;
    crypto_hash_sha512_state other;

    blake2b_init(&state);
    kernel_sha512_init(&other);
    for (size_t at = 0; at < len;) {
        size_t part = 1 + random_below(random, 300);
        if (part > len - at) part = len - at;
        blake2b_update(&state, data + at, part);
        kernel_sha512_update(&other, data + at, part);
        at += part;
    }
    blake2b_final(&digest, &state);
    kernel_sha512_final(&other, sha);
    memcpy(blake, digest.bytes, 32);
}

static void hashes_equal_those_of_libsodium(void **state)
{
    uint64_t random = 1;

    (void)state;
    for (size_t len = 0; len <= BYTES_MAX; len += len < 600 ? 1 : 37) {
        uint8_t blake[32], sha[64], expected_blake[32], expected_sha[64];
        fill(&random);
        hash_both(blake, sha, len, &random);
        crypto_generichash_blake2b(expected_blake, 32, data, len, NULL, 0);
        crypto_hash_sha512(expected_sha, data, len);
        assert_memory_equal(blake, expected_blake, 32);
        assert_memory_equal(sha, expected_sha, 64);
    }
}

static void hashes_equal_the_published_ones(void **state)
{
    uint8_t blake[32], sha[64], expected[64];
    uint64_t random = 2;

    (void)state;
    memcpy(data, "abc", 3);
    hash_both(blake, sha, 3, &random);
    sodium_hex2bin(expected, 64,
                   "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
                   "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
                   128, NULL, NULL, NULL);
    assert_memory_equal(sha, expected, 64); /* FIPS 180-4, example */
    hash_both(blake, sha, 0, &random);
    sodium_hex2bin(expected, 32, "0e5751c026e543b2e8ab2eb06099daa1d1e5df47778f7787faab45cdf12fe3a8",
                   64, NULL, NULL, NULL);
    assert_memory_equal(blake, expected, 32); /* the empty page of Tezos reveals */
}

static void reduction_equals_that_of_libsodium(void **state)
{
    uint64_t random = 3;

    (void)state;
    for (int i = 0; i < 20000; i++) {
        uint8_t number[64], expected[32];
        for (int b = 0; b < 64; b++) {
            /* Runs of equal bits reach the corners: all zeros, all ones, values around the order. */
            uint8_t byte = (uint8_t)random_next(&random);
            number[b] = i % 4 == 0 ? (byte & 1 ? 0xff : 0) : byte;
        }
        if (i % 5 == 1) memset(number + 32, 0, 32);
        if (i % 5 == 2) memset(number, i & 8 ? 0xff : 0, 32);
        if (i == 0) memset(number, 0xff, 64);
        crypto_core_ed25519_scalar_reduce(expected, number);
        kernel_sc25519_reduce(number);
        assert_memory_equal(number, expected, 32);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hashes_equal_those_of_libsodium),
        cmocka_unit_test(hashes_equal_the_published_ones),
        cmocka_unit_test(reduction_equals_that_of_libsodium),
    };

    if (sodium_init() < 0) return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
