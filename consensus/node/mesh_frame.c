#include "consensus/node/mesh_frame.h"

#include "common/buffer.h"
#include "common/bytes.h"

uint8_t *mesh_frame_room(struct mesh_frame *frame, size_t *ret_len)
{
    if (frame->buffer == NULL) {
        CHECK(frame->prefix_len < MESH_PREFIX_BYTES);
        *ret_len = MESH_PREFIX_BYTES - frame->prefix_len;
        return frame->prefix + frame->prefix_len;
    }
    CHECK(frame->body_filled < frame->body_len);
    *ret_len = frame->body_len - frame->body_filled;
    return frame->buffer->data + MESH_BODY + frame->body_filled;
}

/* The prefix is complete: makes room for the body. */
static void begin_body(struct mesh_frame *frame, uint32_t len)
{
    struct buffer *buffer = buffer_new(MESH_BODY + (size_t)len);

    buffer->begin = MESH_BODY - MESH_PREFIX_BYTES;
    buffer->len = MESH_PREFIX_BYTES + (size_t)len;
    memcpy(buffer->data + buffer->begin, frame->prefix, MESH_PREFIX_BYTES);
    frame->buffer = buffer;
    frame->body_len = len;
    frame->body_filled = 0;
}

enum mesh_frame_result mesh_frame_fill(struct mesh_frame *frame,
                                       uint32_t *ret_len,
                                       size_t len,
                                       uint32_t len_max)
{
    if (frame->buffer != NULL) {
        CHECK(len <= frame->body_len - frame->body_filled);
        frame->body_filled += len;
        return frame->body_filled == frame->body_len ? MESH_FRAME_WHOLE : MESH_FRAME_MORE;
    }
    CHECK(len <= MESH_PREFIX_BYTES - frame->prefix_len);
    frame->prefix_len += len;
    if (frame->prefix_len < MESH_PREFIX_BYTES) return MESH_FRAME_MORE;

    struct reader reader = reader_make(frame->prefix, sizeof frame->prefix);
    uint32_t body_len = reader_u32(&reader);
    if (body_len == 0 || body_len > len_max) {
        *ret_len = body_len;
        return MESH_FRAME_REFUSED;
    }
    begin_body(frame, body_len);
    return MESH_FRAME_MORE;
}

struct buffer *mesh_frame_take(struct mesh_frame *frame)
{
    struct buffer *buffer = frame->buffer;

    CHECK(buffer != NULL);
    CHECK(frame->body_filled == frame->body_len);
    *frame = (struct mesh_frame){.buffer = NULL};
    return buffer;
}

void mesh_frame_drop(struct mesh_frame *frame)
{
    buffer_unref(frame->buffer);
    *frame = (struct mesh_frame){.buffer = NULL};
}
