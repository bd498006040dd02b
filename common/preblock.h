/* A pre-block: one committed sub-DAG (or a cut of one) as a numbered, hash-chained, signed item of
 * the sequence that rollups follow.
 *
 *   header, 153 bytes:
 *     version u8 (1) | epoch u64 | index u64 | previous digest 32 | leader digest 32 | round u64
 *     | timestamp u64 ms | payload digest 32 (manifest root) | batches u32 | transactions u32
 *     | bytes u64 | delayed u64 (0)
 *
 * Indexes start at 1 and are dense. `previous` of 1 is the committee digest. The manifest is the
 * batch digests in execution order, 32 bytes each, as a page tree; `bytes` is the sum of the
 * canonical batch sizes. The digest is BLAKE2b-256 of the 153 bytes; each node signs it (scope 10);
 * signatures of stake
 * >= Q are the certificate, which covers all earlier pre-blocks by the chain. docs/protocol.md. */
#ifndef COMMON_PREBLOCK_H
#define COMMON_PREBLOCK_H

#include "common/bytes.h"
#include "common/types.h"

#define PREBLOCK_VERSION      1u
#define PREBLOCK_HEADER_BYTES 153u

struct preblock {
    uint64_t epoch;
    uint64_t index;
    struct digest previous;
    struct digest leader;
    round_t round;
    uint64_t timestamp; /* ms since the Unix epoch, strictly increasing over indexes */
    struct digest payload;
    uint32_t batches;
    uint32_t transactions;
    uint64_t bytes;
};

void preblock_encode(struct writer *writer, const struct preblock *preblock);

/* Fails the reader on another version or a non-zero `delayed`. */
void preblock_decode(struct preblock *ret_preblock, struct reader *reader);

void preblock_digest(struct digest *ret_digest, const struct preblock *preblock);

/* Root of the manifest over `count` >= 1 batch digests. */
void preblock_manifest(struct digest *ret_root, const struct digest *batches, uint32_t count);

#endif
