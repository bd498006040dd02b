/* Hashes and signatures behind one seam, so that the same callers link against libsodium in
 * programs (common/crypto_sodium.c), against the kernel's own build of it in wasm32, and against a
 * cheap, deterministic stand-in in the simulator's fast mode.
 *
 * Signatures are Ed25519 with libsodium's verification equation: no cofactor, canonical S,
 * small-order keys refused (CONSENSUS 1). They are always over intent (3 bytes) || digest (32
 * bytes), where intent = { scope, version 0, application 1 }.
 *
 * crypto_hash and crypto_sign are also names of libsodium's NaCl interface: a file that needs both
 * includes single libsodium headers (<sodium/randombytes.h>), not <sodium.h>. */
#ifndef COMMON_CRYPTO_H
#define COMMON_CRYPTO_H

#include "common/base.h"

enum crypto_scope {
    SCOPE_HEADER = 6,      /* a header's digest: the author's signature and every vote */
    SCOPE_PREBLOCK = 10,   /* a pre-block header's digest: an attestation */
    SCOPE_CHECKPOINT = 11, /* reserved */
    SCOPE_HANDOVER = 12,   /* reserved */
    SCOPE_UPGRADE = 13,    /* reserved */
    SCOPE_ENVELOPE = 14,   /* an envelope's digest: a submitter (common/envelope.h) */
};

#define INTENT_BYTES 3u

/* BLAKE2b-256, unkeyed, of the concatenation of `count` parts. */
void crypto_hash(struct digest *ret_digest, const struct bytes *parts, size_t count);

/* BLAKE2b-256 of one piece of memory. */
void crypto_hash_one(struct digest *ret_digest, const void *data, size_t len);

/* Signs intent(scope) || digest. Not present in the kernel. */
void crypto_sign(struct signature *ret_signature,
                 enum crypto_scope scope,
                 const struct digest *digest,
                 const struct secret_key *key);

/* True when `signature` by `key` over intent(scope) || digest is valid. Pure. */
bool crypto_verify(enum crypto_scope scope,
                   const struct digest *digest,
                   const struct public_key *key,
                   const struct signature *signature);

/* Derives a key pair from a 32-byte seed. Not present in the kernel. */
void crypto_key_pair(struct public_key *ret_public,
                     struct secret_key *ret_secret,
                     const uint8_t seed[32]);

/* True when `key` is a curve point of the prime-order group (so not of small order), in canonical
 * form. Not in the kernel. */
bool crypto_key_is_valid(const struct public_key *key);

#endif
