/* Puts transactions into signed envelopes (common/envelope.h), for nodes that take them from listed
 * keys only. Nonces begin at the wall clock's microseconds and count up, so that a later run begins
 * above them. */
#ifndef CONSENSUS_TOOLS_SIGNER_H
#define CONSENSUS_TOOLS_SIGNER_H

#include "common/bytes.h"
#include "common/error_line.h"
#include "common/limits.h"

/* An envelope is one transaction to the node: what fits into it is less. */
#define SIGNER_PAYLOAD_BYTES_MAX (TRANSACTION_BYTES_MAX - 148u)

struct signer {
    struct digest network;
    struct public_key key;
    struct secret_key secret;
    uint64_t nonce; /* of the next envelope */
};

/* Reads the key's seed and the committee, whose digest is the network. ERR_CONFIG with a line that
 * names the flag, --sign-key or --committee. */
enum status signer_open(struct signer *ret_signer,
                        const char *key_file,
                        const char *committee_file,
                        struct error_line *error);

/* The envelope of `payload` into `memory`, which takes ENVELOPE_BYTES_MAX bytes; its length. */
size_t signer_wrap(struct signer *signer, uint8_t *memory, struct bytes payload);

#endif
