/* Goal: a hello is accepted when everything agrees, and refused for each single thing that does
 * not. Method: encode one, change one field or byte, judge. */
#include "tests/unit/unit.h"

#include "consensus/node/mesh_hello.h"

static const struct mesh_hello hello = {.version = MESH_VERSION,
                                        .committee = {{1, 2, 3}},
                                        .index = 4,
                                        .link = MESH_BULK,
                                        .nonce = 99};

static struct bytes body_of(const struct buffer *frame)
{
    return (struct bytes){frame->data + frame->begin + MESH_PREFIX_BYTES,
                          frame->len - MESH_PREFIX_BYTES};
}

static const char *judge(const struct mesh_hello *sent, uint64_t *ret_nonce)
{
    struct buffer *frame = mesh_hello_frame(sent);
    const char *refusal = mesh_hello_judge(ret_nonce, body_of(frame), &hello);

    assert_int_equal(body_of(frame).len, MESH_HELLO_BYTES);
    buffer_unref(frame);
    return refusal;
}

static void accepts_one_that_agrees_and_gives_its_nonce(void **state)
{
    struct mesh_hello sent = hello;
    uint64_t nonce = 0;

    (void)state;
    sent.nonce = 12345;
    assert_null(judge(&sent, &nonce));
    assert_int_equal(nonce, 12345);
}

static void names_what_does_not_agree(void **state)
{
    struct mesh_hello sent = hello;
    uint64_t nonce = 7;

    (void)state;
    sent.version++;
    assert_non_null(strstr(judge(&sent, &nonce), "version"));
    sent = hello;
    sent.committee.bytes[31] ^= 1;
    assert_non_null(strstr(judge(&sent, &nonce), "committee"));
    sent = hello;
    sent.index++;
    assert_non_null(strstr(judge(&sent, &nonce), "index"));
    sent = hello;
    sent.link = MESH_CONTROL;
    assert_non_null(strstr(judge(&sent, &nonce), "ports"));
    assert_int_equal(nonce, 7);
}

static void refuses_every_other_length_and_kind(void **state)
{
    struct buffer *frame = mesh_hello_frame(&hello);
    struct bytes body = body_of(frame);
    uint8_t longer[MESH_HELLO_BYTES + 1] = {0};
    uint64_t nonce = 0;

    (void)state;
    for (size_t len = 0; len < body.len; len++) {
        assert_non_null(mesh_hello_judge(&nonce, (struct bytes){body.data, len}, &hello));
    }
    memcpy(longer, body.data, body.len);
    assert_non_null(mesh_hello_judge(&nonce, (struct bytes){longer, sizeof longer}, &hello));
    assert_null(mesh_hello_judge(&nonce, (struct bytes){longer, body.len}, &hello));
    longer[0] = MESH_HELLO_ACK;
    assert_non_null(mesh_hello_judge(&nonce, (struct bytes){longer, body.len}, &hello));
    buffer_unref(frame);
}

static void acknowledges_one_nonce_only(void **state)
{
    struct buffer *frame = mesh_hello_ack_frame(77);
    struct bytes body = body_of(frame);

    (void)state;
    assert_true(mesh_hello_ack_is(body, 77));
    assert_false(mesh_hello_ack_is(body, 78));
    assert_false(mesh_hello_ack_is((struct bytes){body.data, body.len - 1}, 77));
    assert_false(mesh_hello_ack_is((struct bytes){body.data, 0}, 77));
    buffer_unref(frame);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(accepts_one_that_agrees_and_gives_its_nonce),
        cmocka_unit_test(names_what_does_not_agree),
        cmocka_unit_test(refuses_every_other_length_and_kind),
        cmocka_unit_test(acknowledges_one_nonce_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
