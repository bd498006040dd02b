/* common/crypto.h for wasm32: our own hashes and libsodium's Ed25519 equation. */
#include "common/crypto.h"

#include "rollup-kernel/kernel/blake2b.h"

#include "crypto_hash_sha512.h"
#include "crypto_sign_ed25519.h"

/* libsodium's start of the signature hash; with `prehashed` it would prepend the Ed25519ph prefix,
 * which we never ask for. Defined here because the file that holds it also holds signing. */
void _crypto_sign_ed25519_ref10_hinit(crypto_hash_sha512_state *state, int prehashed);
void _crypto_sign_ed25519_ref10_hinit(crypto_hash_sha512_state *state, int prehashed)
{
    (void)prehashed;
    crypto_hash_sha512_init(state);
}

/* libsodium's comparisons. The constant-time originals protect secrets; here all is public. */
int sodium_memcmp(const void *a, const void *b, size_t len);
int sodium_memcmp(const void *a, const void *b, size_t len)
{
    return memcmp(a, b, len) == 0 ? 0 : -1;
}

int crypto_verify_32(const unsigned char *a, const unsigned char *b);
int crypto_verify_32(const unsigned char *a, const unsigned char *b)
{
    return sodium_memcmp(a, b, 32);
}

int sodium_is_zero(const unsigned char *data, const size_t len);
int sodium_is_zero(const unsigned char *data, const size_t len)
{
    unsigned char all = 0;

    for (size_t i = 0; i < len; i++) {
        all |= data[i];
    }
    return all == 0;
}

void crypto_hash(struct digest *ret_digest, const struct bytes *parts, size_t count)
{
    struct blake2b state;

    blake2b_init(&state);
    for (size_t i = 0; i < count; i++) {
        blake2b_update(&state, parts[i].data, parts[i].len);
    }
    blake2b_final(ret_digest, &state);
}

void crypto_hash_one(struct digest *ret_digest, const void *data, size_t len)
{
    struct bytes part = {data, len};

    crypto_hash(ret_digest, &part, 1);
}

bool crypto_verify(enum crypto_scope scope,
                   const struct digest *digest,
                   const struct public_key *key,
                   const struct signature *signature)
{
    uint8_t message[INTENT_BYTES + sizeof digest->bytes] = {(uint8_t)scope, 0, 1};

    memcpy(message + INTENT_BYTES, digest->bytes, sizeof digest->bytes);
    return crypto_sign_ed25519_verify_detached(signature->bytes, message, sizeof message,
                                               key->bytes) == 0;
}
