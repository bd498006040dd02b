#include "tests/fuzz/fuzz.h"

#include "consensus/node/mesh_hello.h"

/* The first frames of a stranger: judged, never believed. A hello that agrees has one form only. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct mesh_hello expected = {.version = MESH_VERSION, .index = 2, .link = MESH_BULK};
    struct bytes body = {data, size};
    uint64_t nonce = 0;

    if (mesh_hello_judge(&nonce, body, &expected) == NULL) {
        expected.nonce = nonce;
        struct buffer *frame = mesh_hello_frame(&expected);
        CHECK(frame->len == size + 4);
        CHECK(memcmp(frame->data + frame->begin + 4, data, size) == 0);
        buffer_unref(frame);
    }
    if (mesh_hello_ack_is(body, 7)) CHECK(size == MESH_HELLO_ACK_BYTES);
    return 0;
}
