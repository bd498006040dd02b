#include "common/crypto.h"

/* Not <sodium.h>: two of its names, crypto_hash and crypto_sign, are those of our seam. Nothing
 * inside libsodium calls them. */
#include <sodium/core.h>
#include <sodium/crypto_core_ed25519.h>
#include <sodium/crypto_generichash.h>
#include <sodium/crypto_sign_ed25519.h>

#define INTENT_MESSAGE_BYTES (INTENT_BYTES + sizeof(struct digest))

/* libsodium chooses its fastest implementations once, before any thread exists. */
__attribute__((constructor)) static void crypto_start(void)
{
    if (sodium_init() < 0) check_failed(__FILE__, __LINE__, "sodium_init() >= 0");
}

void crypto_hash(struct digest *ret_digest, const struct bytes *parts, size_t count)
{
    crypto_generichash_state state;

    crypto_generichash_init(&state, NULL, 0, sizeof ret_digest->bytes);
    for (size_t i = 0; i < count; i++) {
        crypto_generichash_update(&state, parts[i].data, parts[i].len);
    }
    crypto_generichash_final(&state, ret_digest->bytes, sizeof ret_digest->bytes);
}

void crypto_hash_one(struct digest *ret_digest, const void *data, size_t len)
{
    crypto_generichash(ret_digest->bytes, sizeof ret_digest->bytes, data, len, NULL, 0);
}

static void intent_message(uint8_t ret_message[INTENT_MESSAGE_BYTES],
                           enum crypto_scope scope,
                           const struct digest *digest)
{
    ret_message[0] = (uint8_t)scope;
    ret_message[1] = 0; /* version */
    ret_message[2] = 1; /* application */
    memcpy(ret_message + INTENT_BYTES, digest->bytes, sizeof digest->bytes);
}

void crypto_sign(struct signature *ret_signature,
                 enum crypto_scope scope,
                 const struct digest *digest,
                 const struct secret_key *key)
{
    uint8_t message[INTENT_MESSAGE_BYTES];
    intent_message(message, scope, digest);
    crypto_sign_ed25519_detached(ret_signature->bytes, NULL, message, sizeof message, key->bytes);
}

bool crypto_verify(enum crypto_scope scope,
                   const struct digest *digest,
                   const struct public_key *key,
                   const struct signature *signature)
{
    uint8_t message[INTENT_MESSAGE_BYTES];
    intent_message(message, scope, digest);
    return crypto_sign_ed25519_verify_detached(signature->bytes, message, sizeof message,
                                               key->bytes) == 0;
}

void crypto_key_pair(struct public_key *ret_public,
                     struct secret_key *ret_secret,
                     const uint8_t seed[32])
{
    crypto_sign_ed25519_seed_keypair(ret_public->bytes, ret_secret->bytes, seed);
}

bool crypto_key_is_valid(const struct public_key *key)
{
    /* Also asks for the prime-order subgroup, where every key made from a seed lies. */
    return crypto_core_ed25519_is_valid_point(key->bytes) == 1;
}
