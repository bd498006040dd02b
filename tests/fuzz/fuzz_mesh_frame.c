#include "tests/fuzz/fuzz.h"

#include "common/buffer.h"
#include "consensus/node/mesh_frame.h"

/* The bytes of a link in pieces of any size: the frames that come out are the frames that went in, each with its
 * body where the worker expects it, and a length that is not allowed ends the link.
 *
 *   input = seed of the pieces u8 | limit u8 | bytes of the link */
static void check_frame(struct buffer *frame,
                        const uint8_t *expected,
                        size_t left,
                        uint32_t len_max)
{
    size_t len = frame->len - MESH_PREFIX_BYTES;

    CHECK(len >= 1);
    CHECK(len <= len_max);
    CHECK(frame->begin + MESH_PREFIX_BYTES == MESH_BODY);
    CHECK(frame->begin + frame->len <= frame->capacity);
    CHECK(frame->len <= left);
    CHECK(memcmp(frame->data + frame->begin, expected, frame->len) == 0);
    buffer_unref(frame);
}

static void check_refusal(const uint8_t *expected, size_t left, uint32_t said, uint32_t len_max)
{
    struct reader reader = reader_make(expected, left);

    CHECK(reader_u32(&reader) == said);
    CHECK(!reader.failed);
    CHECK(said == 0 || said > len_max);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct mesh_frame frame = {.buffer = NULL};
    size_t begin = 2; /* of the frame under assembly */
    size_t at = 2;
    uint32_t piece = 0;
    uint32_t said = 0;

    if (size < 2) return 0;
    const uint32_t len_max = data[1] < 128 ? FRAME_BYTES_MAX : data[1];
    while (at < size) {
        size_t room = 0;
        uint8_t *to = mesh_frame_room(&frame, &room);
        CHECK(room >= 1);
        piece = piece * 1103515245u + data[0] + 12345u;
        size_t len = data[0] == 0 ? room : 1 + (piece >> 16) % 64;
        if (len > room) len = room;
        if (len > size - at) len = size - at;
        memcpy(to, data + at, len);
        at += len;
        switch (mesh_frame_fill(&frame, &said, len, len_max)) {
        case MESH_FRAME_MORE:
            continue;
        case MESH_FRAME_WHOLE:
            check_frame(mesh_frame_take(&frame), data + begin, size - begin, len_max);
            begin = at;
            continue;
        case MESH_FRAME_REFUSED:
            check_refusal(data + begin, size - begin, said, len_max);
            mesh_frame_drop(&frame);
            return 0;
        }
    }
    mesh_frame_drop(&frame);
    return 0;
}
