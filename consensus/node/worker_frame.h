/* Frames of the bulk link, as bytes: batches and who wants them. Pure; docs/protocol.md, mesh.
 *
 *   32 BATCH        worker u32 | created_at u64 | fetched u8 | the batch, canonical
 *   33 WANT_BATCH   digest 32 | worker u32
 *   NO_BATCH        digest 32 */
#ifndef CONSENSUS_NODE_WORKER_FRAME_H
#define CONSENSUS_NODE_WORKER_FRAME_H

#include "common/buffer.h"
#include "consensus/core/wire.h"
#include "consensus/node/batch_log.h"

/* Kind and fields of a BATCH, which end where the batch begins: at BUFFER_BATCH of a buffer. */
#define WORKER_BATCH_FIELDS_BYTES 14u

/* Writes length prefix and fields in front of the batch at BUFFER_BATCH, and makes the buffer that frame. */
void worker_frame_batch(struct buffer *buffer, const struct batch_record *record, bool fetched);

/* Takes a BATCH apart: everything of the record but digest and author, and the batch as a view of `body`.
 * NULL, or the reason to refuse it, a constant text. */
const char *worker_frame_read_batch(struct batch_record *ret_record,
                                    bool *ret_fetched,
                                    struct bytes *ret_batch,
                                    struct bytes body);

/* A frame body with a digest: WANT_BATCH, with the worker, or NO_BATCH. */
void worker_frame_write_digest(struct writer *writer,
                               enum wire_kind kind,
                               const struct digest *digest,
                               uint32_t worker);

/* Reads a WANT_BATCH; false when malformed. */
bool worker_frame_read_want(struct digest *ret_digest, struct bytes body);

#endif
