/* Goal: what is held for the disk comes out in order, only when its commit is durable, and with memory of
 * its own. Method: actions over scratch memory that is overwritten after outbox_hold. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "consensus/node/outbox.h"

static void items_come_out_in_order_when_their_commit_is_durable(void **state)
{
    struct outbox *outbox = outbox_open();
    struct core_action action = {.kind = CORE_ACTION_READY};
    struct outbox_item *item;

    (void)state;
    for (uint64_t i = 0; i < 5000; i++) {
        action.index = i;
        outbox_hold(outbox, &action, 1 + i / 1000);
    }
    assert_null(outbox_take(outbox, 0));
    for (uint64_t i = 0; i < 2000; i++) {
        item = outbox_take(outbox, 2);
        assert_non_null(item);
        assert_int_equal(item->action.index, i);
        outbox_free(item);
    }
    assert_null(outbox_take(outbox, 2));
    assert_int_equal(outbox_count(outbox), 3000);
    action.index = 5000;
    outbox_hold(outbox, &action, 6);
    for (uint64_t i = 2000; i <= 5000; i++) {
        item = outbox_take(outbox, 6);
        assert_non_null(item);
        assert_int_equal(item->action.index, i);
        outbox_free(item);
    }
    assert_int_equal(outbox_count(outbox), 0);
    outbox_close(outbox);
}

static void a_message_is_a_frame_of_its_own(void **state)
{
    struct outbox *outbox = outbox_open();
    uint8_t body[100];
    struct core_action action = {
        .kind = CORE_ACTION_SEND, .peer = 3, .message = {body, sizeof body}};
    struct outbox_item *item;

    (void)state;
    memset(body, 7, sizeof body);
    outbox_hold(outbox, &action, 1);
    memset(body, 0, sizeof body);
    item = outbox_take(outbox, 1);
    assert_int_equal(item->action.peer, 3);
    assert_int_equal(item->frame->len, 4 + sizeof body);
    assert_int_equal(item->frame->data[item->frame->begin], sizeof body);
    for (size_t i = 0; i < sizeof body; i++)
        assert_int_equal(item->frame->data[item->frame->begin + 4 + i], 7);
    outbox_free(item);
    outbox_close(outbox);
}

static void refs_records_and_headers_are_copies(void **state)
{
    struct outbox *outbox = outbox_open();
    struct vertex_ref refs[2] = {{.round = 5, .author = 1}, {.round = 6, .author = 2}};
    struct preblock preblock = {.index = 9};
    uint8_t record[3] = {1, 2, 3};
    struct core_action serve = {
        .kind = CORE_ACTION_SERVE_CERTIFICATES, .refs = refs, .refs_count = 2};
    struct core_action deliver = {
        .kind = CORE_ACTION_DELIVER, .preblock = &preblock, .record = {record, 3}};
    struct outbox_item *item;

    (void)state;
    outbox_hold(outbox, &serve, 1);
    outbox_hold(outbox, &deliver, 1);
    memset(refs, 0, sizeof refs);
    memset(&preblock, 0, sizeof preblock);
    memset(record, 0, sizeof record);
    item = outbox_take(outbox, 1);
    assert_int_equal(item->action.refs[0].round, 5);
    assert_int_equal(item->action.refs[1].author, 2);
    outbox_free(item);
    item = outbox_take(outbox, 1);
    assert_int_equal(item->action.preblock->index, 9);
    assert_int_equal(item->action.record.data[2], 3);
    outbox_free(item);
    outbox_close(outbox);
}

static void closing_frees_what_is_held(void **state)
{
    struct outbox *outbox = outbox_open();
    uint8_t body[10] = {1};
    struct core_action action = {.kind = CORE_ACTION_BROADCAST, .message = {body, sizeof body}};

    (void)state;
    for (int i = 0; i < 10; i++)
        outbox_hold(outbox, &action, 1);
    outbox_close(outbox);
    outbox_close(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(items_come_out_in_order_when_their_commit_is_durable),
        cmocka_unit_test(a_message_is_a_frame_of_its_own),
        cmocka_unit_test(refs_records_and_headers_are_copies),
        cmocka_unit_test(closing_frees_what_is_held),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
