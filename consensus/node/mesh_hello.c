#include "consensus/node/mesh_hello.h"

struct buffer *mesh_hello_frame(const struct mesh_hello *hello)
{
    uint8_t memory[MESH_HELLO_BYTES];
    struct writer writer = writer_make(memory, sizeof memory);

    writer_u8(&writer, MESH_HELLO);
    writer_u16(&writer, hello->version);
    writer_copy(&writer, hello->committee.bytes, sizeof hello->committee.bytes);
    writer_u16(&writer, hello->index);
    writer_u8(&writer, hello->link);
    writer_u64(&writer, hello->nonce);
    CHECK(!writer.failed);
    CHECK(writer.len == MESH_HELLO_BYTES);
    return buffer_frame(writer_view(&writer));
}

struct buffer *mesh_hello_ack_frame(uint64_t nonce)
{
    uint8_t memory[MESH_HELLO_ACK_BYTES];
    struct writer writer = writer_make(memory, sizeof memory);

    writer_u8(&writer, MESH_HELLO_ACK);
    writer_u64(&writer, nonce);
    CHECK(!writer.failed);
    return buffer_frame(writer_view(&writer));
}

const char *mesh_hello_judge(uint64_t *ret_nonce,
                             struct bytes body,
                             const struct mesh_hello *expected)
{
    struct reader reader = reader_make(body.data, body.len);
    struct mesh_hello hello = {0};

    if (reader_u8(&reader) != MESH_HELLO) return "its first frame is not a hello";
    hello.version = reader_u16(&reader);
    if (!reader.failed && hello.version != expected->version) {
        return "it speaks another version of the mesh protocol";
    }
    reader_copy(&reader, hello.committee.bytes, sizeof hello.committee.bytes);
    hello.index = reader_u16(&reader);
    hello.link = reader_u8(&reader);
    hello.nonce = reader_u64(&reader);
    if (!reader_done(&reader)) return "its hello is malformed";

    if (!digest_equal(&hello.committee, &expected->committee)) {
        return "it has another committee (the digests differ)";
    }
    if (hello.index != expected->index) return "its hello names another index than its key";
    if (hello.link != expected->link) {
        return "control and bulk ports are crossed (the hello names the other kind of link)";
    }
    *ret_nonce = hello.nonce;
    return NULL;
}

bool mesh_hello_ack_is(struct bytes body, uint64_t nonce)
{
    struct reader reader = reader_make(body.data, body.len);
    uint8_t kind = reader_u8(&reader);
    uint64_t echoed = reader_u64(&reader);

    return reader_done(&reader) && kind == MESH_HELLO_ACK && echoed == nonce;
}
