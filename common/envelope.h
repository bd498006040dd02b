/* A transaction in an envelope: who sends it, signed, for one network, once, and not later than.
 *
 *   version u8 (1) | network digest 32 | key 32 | nonce u64 | expiry u64 ms | payload vec<u8> | signature 64
 *
 * BCS, strict: decode accepts exactly what encode writes. `network` is the committee digest. The
 * signature is Ed25519 by `key` over the intent of scope 14 and the BLAKE2b-256 digest of all bytes
 * before it. An envelope is for the node that takes it: what is ordered is the payload alone
 * (docs/protocol.md, Access). */
#ifndef COMMON_ENVELOPE_H
#define COMMON_ENVELOPE_H

#include "common/bytes.h"
#include "common/limits.h"

#define ENVELOPE_VERSION 1u

/* All but the payload. Its length takes one to three bytes. */
#define ENVELOPE_OVERHEAD_BYTES_MIN (1u + 32u + 32u + 8u + 8u + 1u + 64u)
#define ENVELOPE_OVERHEAD_BYTES_MAX (ENVELOPE_OVERHEAD_BYTES_MIN + 2u)
#define ENVELOPE_BYTES_MAX          (ENVELOPE_OVERHEAD_BYTES_MAX + TRANSACTION_BYTES_MAX)

struct envelope {
    struct digest network;
    struct public_key key;
    uint64_t nonce;
    uint64_t expiry_ms;   /* since the Unix epoch: not good any more from then on */
    struct bytes payload; /* a view; 1 to TRANSACTION_BYTES_MAX bytes */
    struct signature signature;
};

void envelope_encode(struct writer *writer, const struct envelope *envelope);

/* Fails the reader on anything encode would not write; does not ask for its end. The payload is a
 * view of what was read. Nothing is verified. */
void envelope_decode(struct envelope *ret_envelope, struct reader *reader);

/* What is signed. */
void envelope_digest(struct digest *ret_digest, const struct envelope *envelope);

bool envelope_verify(const struct envelope *envelope);

#endif
