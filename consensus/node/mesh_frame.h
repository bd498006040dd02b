/* The frame under assembly: length prefix u32 LE, then the body, in whatever pieces TLS hands out. The bytes go
 * straight to where they stay; no socket here, so that tests and fuzzers reach it.
 *
 *     mesh_frame_room   where the next bytes belong, and how many of them at most
 *     mesh_frame_fill   so many came: a length that is refused, a whole frame, or neither
 *
 * The body of a whole frame is at MESH_BODY of its buffer. */
#ifndef CONSENSUS_NODE_MESH_FRAME_H
#define CONSENSUS_NODE_MESH_FRAME_H

#include "consensus/node/mesh.h"

/* All zero: at the beginning of a frame. */
struct mesh_frame {
    uint8_t prefix[MESH_PREFIX_BYTES];
    size_t prefix_len;
    struct buffer *buffer; /* NULL: still at the prefix */
    size_t body_len;
    size_t body_filled;
};

enum mesh_frame_result {
    MESH_FRAME_MORE,   /* needs more bytes */
    MESH_FRAME_WHOLE,  /* mesh_frame_take it before anything else is asked */
    MESH_FRAME_REFUSED /* its length is 0 or over the limit: nothing more can be read */
};

/* Room for the next bytes, at least one. */
uint8_t *mesh_frame_room(struct mesh_frame *frame, size_t *ret_len);

/* 1 .. mesh_frame_room bytes were written there. `len_max` is what a body may have; `*ret_len` what this
 * one says, when the result is REFUSED. */
enum mesh_frame_result mesh_frame_fill(struct mesh_frame *frame,
                                       uint32_t *ret_len,
                                       size_t len,
                                       uint32_t len_max);

/* The whole frame, the caller's to unref; the next one begins. */
struct buffer *mesh_frame_take(struct mesh_frame *frame);

/* Drops what there is of it. */
void mesh_frame_drop(struct mesh_frame *frame);

#endif
