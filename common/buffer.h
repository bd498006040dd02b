/* Reference-counted memory that one batch or frame lives in from the socket to the disk and on to
 * six peers and any number of export streams, without being copied.
 *
 *     0            64       110          114               128
 *     | log header | (free) | length u32 | kind and fields | batch bytes ... | padding
 *
 * A mesh frame's body begins at BUFFER_BODY; for a BATCH frame (kind 1 + worker 4 + created_at 8 +
 * fetched 1 = 14 bytes of fields) the fields are placed so that the batch itself always begins at
 * BUFFER_BATCH: sender and receiver write the length prefix at BUFFER_BATCH - 14 - 4. Data is
 * aligned to 4096 and its capacity is a multiple of 4096, so the batch log writes a whole record
 * (log header, batch, padding) with one O_DIRECT write from here.
 *
 * The count is atomic: buffers cross between the loop, storage and gRPC threads. */
#ifndef COMMON_BUFFER_H
#define COMMON_BUFFER_H

#include "common/base.h"

#define BUFFER_ALIGN 4096u
#define BUFFER_BATCH 128u
#define BUFFER_BODY  114u /* BUFFER_BATCH minus the 14 bytes of a BATCH frame's kind and fields */

struct buffer {
    uint8_t *data;   /* aligned to BUFFER_ALIGN */
    size_t capacity; /* multiple of BUFFER_ALIGN */
    size_t begin;    /* first byte in use (of a frame: its length prefix) */
    size_t len;      /* bytes in use from `begin` */
};

/* A buffer with room for at least `capacity` bytes, count 1. Buffers of common sizes are recycled
 * in a bounded pool. Never NULL: running out of memory is fatal, as every queue of buffers is
 * bounded. */
struct buffer *buffer_new(size_t capacity);
struct buffer *buffer_ref(struct buffer *buffer);
void buffer_unref(struct buffer *buffer); /* NULL is fine */

/* A frame with the given body, copied: length prefix u32 LE and body, ready for mesh_send. */
struct buffer *buffer_frame(struct bytes body);

#endif
