/* Goal: an envelope has one encoding, which says what docs/protocol.md shows; what is signed is all
 * of it. Method: a golden vector, and every byte of it changed. */
#include "tests/unit/unit.h"

#include "common/crypto.h"
#include "common/envelope.h"

static uint8_t memory[ENVELOPE_BYTES_MAX];

/* By another implementation of BLAKE2b and Ed25519. */
static const char golden_signature[] =
    "c11ff9e709f5856db638a83f6c8e002eb61d229952a888aa70ca2f5416faf3fb"
    "1d5663030134d61d41047d7ca3a184db7488e6c8a49e61ea03f61bf945ad1305";

/* The envelope of docs/protocol.md: seed 00 01 .. 1f, network of 32 bytes 11, "hello". */
static struct envelope sample(void)
{
    struct secret_key secret;
    struct digest digest;
    uint8_t seed[32];
    struct envelope envelope = {.nonce = 7, .expiry_ms = 1767323045678};

    for (uint8_t i = 0; i < 32; i++)
        seed[i] = i;
    memset(envelope.network.bytes, 0x11, sizeof envelope.network.bytes);
    envelope.payload = (struct bytes){(const uint8_t *)"hello", 5};
    crypto_key_pair(&envelope.key, &secret, seed);
    envelope_digest(&digest, &envelope);
    crypto_sign(&envelope.signature, SCOPE_ENVELOPE, &digest, &secret);
    return envelope;
}

static size_t encode(const struct envelope *envelope)
{
    struct writer writer = writer_make(memory, sizeof memory);
    envelope_encode(&writer, envelope);
    assert_false(writer.failed);
    return writer.len;
}

static void an_envelope_is_the_bytes_of_the_protocol(void **state)
{
    (void)state;
    static const char golden[] =
        "011111111111111111111111111111111111111111111111111111111111111111"
        "03a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b8"
        "0700000000000000"
        "2e8fa97c9b010000"
        "0568656c6c6f";
    struct envelope envelope = sample();
    char hex[2 * 160 + 1];
    size_t len = encode(&envelope);

    assert_int_equal(len, ENVELOPE_OVERHEAD_BYTES_MIN + 5);
    hex_encode(hex, memory, len - 64);
    assert_string_equal(hex, golden);
    hex_encode(hex, memory + len - 64, 64);
    assert_string_equal(hex, golden_signature);
}

static void an_envelope_comes_back_and_verifies(void **state)
{
    (void)state;
    struct envelope envelope = sample();
    struct envelope back;
    size_t len = encode(&envelope);
    struct reader reader = reader_make(memory, len);

    envelope_decode(&back, &reader);
    assert_true(reader_done(&reader));
    assert_memory_equal(&back.network, &envelope.network, 32);
    assert_memory_equal(&back.key, &envelope.key, 32);
    assert_int_equal(back.nonce, 7);
    assert_int_equal(back.expiry_ms, 1767323045678);
    assert_int_equal(back.payload.len, 5);
    assert_memory_equal(back.payload.data, "hello", 5);
    assert_true(envelope_verify(&back));
}

static void every_changed_byte_is_noticed(void **state)
{
    (void)state;
    struct envelope envelope = sample();
    size_t len = encode(&envelope);

    for (size_t at = 0; at < len; at++) {
        struct envelope back;
        memory[at] ^= 1;
        struct reader reader = reader_make(memory, len);
        envelope_decode(&back, &reader);
        assert_false(reader_done(&reader) && envelope_verify(&back));
        memory[at] ^= 1;
    }
}

static void a_signature_of_another_scope_does_not_count(void **state)
{
    (void)state;
    struct envelope envelope = sample();
    struct secret_key secret;
    struct digest digest;
    uint8_t seed[32];

    for (uint8_t i = 0; i < 32; i++)
        seed[i] = i;
    crypto_key_pair(&envelope.key, &secret, seed);
    envelope_digest(&digest, &envelope);
    crypto_sign(&envelope.signature, SCOPE_HEADER, &digest, &secret);
    assert_false(envelope_verify(&envelope));
}

static void decoding_is_strict(void **state)
{
    (void)state;
    struct envelope envelope = sample();
    struct envelope back;
    size_t len = encode(&envelope);

    for (size_t cut = 0; cut < len; cut++) {
        struct reader reader = reader_make(memory, cut);
        envelope_decode(&back, &reader);
        assert_true(reader.failed);
    }
    /* A longer form of the length, an empty payload, a payload over the limit. */
    static const uint8_t lengths[][3] = {{0x85, 0x00, 0}, {0x00, 0, 0}, {0x81, 0x80, 0x10}};
    for (size_t i = 0; i < 3; i++) {
        memcpy(memory + 81, lengths[i], 3);
        struct reader reader = reader_make(memory, sizeof memory);
        envelope_decode(&back, &reader);
        assert_true(reader.failed);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_envelope_is_the_bytes_of_the_protocol),
        cmocka_unit_test(an_envelope_comes_back_and_verifies),
        cmocka_unit_test(every_changed_byte_is_noticed),
        cmocka_unit_test(a_signature_of_another_scope_does_not_count),
        cmocka_unit_test(decoding_is_strict),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
