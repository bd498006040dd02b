/* Goal: hashes are BLAKE2b-256 as published, and a signature is accepted exactly when it is the
 * right one, in canonical form, by a key of large order. Method: published vectors, then every
 * changed bit. */
#include "tests/unit/unit.h"

#include "common/bytes.h"
#include "common/crypto.h"

static void check_hash(const void *data, size_t len, const char *expected)
{
    struct digest digest;
    char text[65];
    crypto_hash_one(&digest, data, len);
    hex_encode(text, digest.bytes, sizeof digest.bytes);
    assert_string_equal(text, expected);
}

static void hashes_are_those_published(void **state)
{
    (void)state;
    check_hash("", 0, "0e5751c026e543b2e8ab2eb06099daa1d1e5df47778f7787faab45cdf12fe3a8");
    check_hash("abc", 3, "bddd813c634239723171ef3fee98579b94964e3bb1cb3e427262c8c068d52319");
}

static void parts_hash_like_their_concatenation(void **state)
{
    (void)state;
    uint8_t data[1000];
    uint64_t seed = 3;
    struct digest whole;
    struct digest split;

    unit_random_bytes(&seed, data, sizeof data);
    crypto_hash_one(&whole, data, sizeof data);
    for (int i = 0; i < 200; i++) {
        size_t a = (size_t)unit_random_below(&seed, sizeof data + 1);
        size_t b = a + (size_t)unit_random_below(&seed, sizeof data + 1 - a);
        const struct bytes parts[] = {{data, a}, {data + a, b - a}, {data + b, sizeof data - b}};
        crypto_hash(&split, parts, 3);
        assert_memory_equal(&split, &whole, sizeof whole);
    }
    crypto_hash(&split, NULL, 0);
    crypto_hash_one(&whole, NULL, 0);
    assert_memory_equal(&split, &whole, sizeof whole);
}

struct signer {
    struct public_key key;
    struct secret_key secret;
    struct digest digest;
    struct signature signature;
};

static struct signer make_signer(uint8_t number)
{
    struct signer signer;
    const uint8_t seed[32] = {number};
    crypto_key_pair(&signer.key, &signer.secret, seed);
    crypto_hash_one(&signer.digest, &number, 1);
    crypto_sign(&signer.signature, SCOPE_HEADER, &signer.digest, &signer.secret);
    return signer;
}

static void a_key_pair_is_that_of_rfc_8032(void **state)
{
    (void)state;
    struct public_key key;
    struct secret_key secret;
    uint8_t seed[32];
    char text[65];
    assert_true(hex_decode(seed, 32,
                           "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60", 64));
    crypto_key_pair(&key, &secret, seed);
    hex_encode(text, key.bytes, 32);
    assert_string_equal(text, "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a");
    assert_memory_equal(secret.bytes, seed, 32);
    assert_memory_equal(secret.bytes + 32, key.bytes, 32);
}

static void only_the_signed_thing_verifies(void **state)
{
    (void)state;
    struct signer signer = make_signer(1);
    struct signer other = make_signer(2);

    assert_true(crypto_verify(SCOPE_HEADER, &signer.digest, &signer.key, &signer.signature));
    assert_false(crypto_verify(SCOPE_PREBLOCK, &signer.digest, &signer.key, &signer.signature));
    assert_false(crypto_verify(SCOPE_HEADER, &other.digest, &signer.key, &signer.signature));
    assert_false(crypto_verify(SCOPE_HEADER, &signer.digest, &other.key, &signer.signature));
    assert_false(crypto_verify(SCOPE_HEADER, &signer.digest, &signer.key, &other.signature));

    struct signature again;
    crypto_sign(&again, SCOPE_HEADER, &signer.digest, &signer.secret);
    assert_memory_equal(&again, &signer.signature, sizeof again); /* deterministic */
}

static void every_changed_bit_is_refused(void **state)
{
    (void)state;
    struct signer signer = make_signer(3);
    for (size_t bit = 0; bit < 512; bit++) {
        struct signature changed = signer.signature;
        changed.bytes[bit / 8] ^= (uint8_t)(1u << (bit % 8));
        assert_false(crypto_verify(SCOPE_HEADER, &signer.digest, &signer.key, &changed));
    }
    for (size_t bit = 0; bit < 256; bit++) {
        struct public_key changed = signer.key;
        changed.bytes[bit / 8] ^= (uint8_t)(1u << (bit % 8));
        assert_false(crypto_verify(SCOPE_HEADER, &signer.digest, &changed, &signer.signature));
    }
}

/* S + L is the same number modulo the group's order: a second signature nobody made. */
static void a_signature_with_s_plus_the_order_is_refused(void **state)
{
    (void)state;
    static const uint8_t order[32] = {0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58,
                                      0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14,
                                      0,    0,    0,    0,    0,    0,    0,    0,
                                      0,    0,    0,    0,    0,    0,    0,    0x10};
    struct signer signer = make_signer(4);
    unsigned carry = 0;
    for (size_t i = 0; i < 32; i++) {
        carry += (unsigned)signer.signature.bytes[32 + i] + order[i];
        signer.signature.bytes[32 + i] = (uint8_t)carry;
        carry >>= 8;
    }
    assert_int_equal(carry, 0);
    assert_false(crypto_verify(SCOPE_HEADER, &signer.digest, &signer.key, &signer.signature));
}

static void keys_of_small_order_and_odd_forms_are_refused(void **state)
{
    (void)state;
    const char *const keys[] = {
        "0100000000000000000000000000000000000000000000000000000000000000", /* identity */
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", /* order 2 */
        "0000000000000000000000000000000000000000000000000000000000000000", /* order 4 */
        "0000000000000000000000000000000000000000000000000000000000000080",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05", /* order 8 */
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", /* p + 1: identity again
                                                                             */
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", /* p: zero again */
        "0200000000000000000000000000000000000000000000000000000000000000", /* not on the curve */
    };
    /* R the identity and S = 0: with a key of small order the equation holds for one message in
     * eight, or for all. */
    struct signature forged = {{0}};
    struct digest digest = {{1}};
    struct public_key key;

    forged.bytes[0] = 1;
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        assert_true(hex_decode(key.bytes, 32, keys[i], 64));
        assert_false(crypto_key_is_valid(&key));
        for (unsigned message = 0; message < 64; message++) {
            digest.bytes[1] = (uint8_t)message;
            assert_false(crypto_verify(SCOPE_HEADER, &digest, &key, &forged));
        }
    }
    struct signer signer = make_signer(5);
    assert_true(crypto_key_is_valid(&signer.key));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hashes_are_those_published),
        cmocka_unit_test(parts_hash_like_their_concatenation),
        cmocka_unit_test(a_key_pair_is_that_of_rfc_8032),
        cmocka_unit_test(only_the_signed_thing_verifies),
        cmocka_unit_test(every_changed_bit_is_refused),
        cmocka_unit_test(a_signature_with_s_plus_the_order_is_refused),
        cmocka_unit_test(keys_of_small_order_and_odd_forms_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
