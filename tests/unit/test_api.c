/* Goal: the gRPC server and the client together do what api.h and client.h promise, over real
 * sockets on loopback: levels of acknowledgement, refusals, back-pressure, history then live,
 * shutdown. Method: the loop side is memory (tests/interop/memory_loop.h); the test runs both it
 * and the client's events in one thread, until a condition holds or 20 s are over. */
#include "tests/unit/api_world.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/batch.h"

/* ---- submission ------------------------------------------------------------------------------ */

static void api_acknowledges_at_the_level_asked_for(void **unused)
{
    (void)unused;
    struct world world = open_world(NULL);
    world.loop->level_max = API_LEVEL_ACCEPTED;
    submit(&world, CLIENT_LEVEL_COMMITTED, "third");
    submit(&world, CLIENT_LEVEL_CERTIFIED, "second");
    submit(&world, CLIENT_LEVEL_PLAIN, "plain: certified by default");
    submit(&world, CLIENT_LEVEL_ACCEPTED, "first");
    struct client_event *event = expect(&world, CLIENT_EVENT_SUBMITTED, CLIENT_OK);
    assert_int_equal(event->level, CLIENT_LEVEL_ACCEPTED);
    client_event_free(world.client, event);
    world.loop->level_max = API_LEVEL_CERTIFIED;
    for (int i = 0; i < 2; i++) {
        event = expect(&world, CLIENT_EVENT_SUBMITTED, CLIENT_OK);
        assert_int_not_equal(event->level, CLIENT_LEVEL_COMMITTED);
        client_event_free(world.client, event);
    }
    world.loop->level_max = API_LEVEL_COMMITTED;
    event = expect(&world, CLIENT_EVENT_SUBMITTED, CLIENT_OK);
    assert_int_equal(event->level, CLIENT_LEVEL_COMMITTED);
    assert_true(event->index >= 1);
    assert_true(event->index <= world.loop->made);
    client_event_free(world.client, event);
    close_world(&world);
}

static void slow_batches(struct api_options *options)
{
    options->batch_delay_us_min = 300000;
    options->batch_delay_us_max = 300000;
}

static void api_receipts_name_the_place_of_each_transaction(void **unused)
{
    (void)unused;
    struct world world = open_world(slow_batches);
    for (uint32_t i = 0; i < 50; i++) {
        uint32_t *number = malloc(sizeof *number);
        *number = i;
        uint8_t bytes[4] = {(uint8_t)i, 1, 2, 3};
        assert_int_equal(
            client_submit(world.transactions, CLIENT_LEVEL_COMMITTED, bytes, 4, 15000, number), OK);
    }
    for (uint32_t i = 0; i < 50; i++) {
        struct client_event *event = expect(&world, CLIENT_EVENT_SUBMITTED, CLIENT_OK);
        /* Look the transaction up in the batch that the receipt names. */
        bool found = false;
        for (uint32_t j = 0; j < world.loop->batches_count; j++) {
            struct memory_batch *batch = &world.loop->batches[j];
            if (!digest_equal(&batch->digest, &event->digest)) continue;
            struct reader reader =
                reader_make(batch->batch->data + BUFFER_BATCH, batch->batch->len);
            struct bytes transaction;
            for (uint32_t offset = 0; batch_next(&transaction, &reader); offset++) {
                if (offset != event->offset) continue;
                assert_int_equal(transaction.data[0], *(uint32_t *)event->user);
                assert_int_equal(event->position, offset);
                found = true;
            }
        }
        assert_true(found);
        free(event->user);
        client_event_free(world.client, event);
    }
    assert_in_range(world.loop->batches_count, 1, 10); /* they shared batches */
    close_world(&world);
}

static void api_refuses_bad_transactions_with_a_reason(void **unused)
{
    (void)unused;
    struct world world = open_world(NULL);
    submit(&world, CLIENT_LEVEL_PLAIN, "");
    expect_text(&world, CLIENT_EVENT_SUBMITTED, CLIENT_INVALID_ARGUMENT, "empty");
    submit(&world, CLIENT_LEVEL_CERTIFIED, "");
    expect_text(&world, CLIENT_EVENT_SUBMITTED, CLIENT_INVALID_ARGUMENT, "empty");
    uint8_t *large = calloc(1, 8u << 20);
    assert_int_equal(client_submit(world.transactions, CLIENT_LEVEL_PLAIN, large,
                                   TRANSACTION_BYTES_MAX + 1, 15000, NULL),
                     OK);
    expect_text(&world, CLIENT_EVENT_SUBMITTED, CLIENT_INVALID_ARGUMENT, "262144");
    /* Past the limit of a message it is gRPC that refuses, also with the limit. */
    assert_int_equal(
        client_submit(world.transactions, CLIENT_LEVEL_PLAIN, large, 8u << 20, 15000, NULL), OK);
    expect_text(&world, CLIENT_EVENT_SUBMITTED, CLIENT_RESOURCE_EXHAUSTED, "4259840");
    /* The largest that is allowed goes through, by each way. */
    assert_int_equal(client_submit(world.transactions, CLIENT_LEVEL_PLAIN, large,
                                   TRANSACTION_BYTES_MAX, 15000, NULL),
                     OK);
    expect_and_free(&world, CLIENT_EVENT_SUBMITTED, CLIENT_OK);
    assert_int_equal(client_submit(world.transactions, CLIENT_LEVEL_DEFAULT, large,
                                   TRANSACTION_BYTES_MAX, 15000, NULL),
                     OK);
    expect_and_free(&world, CLIENT_EVENT_SUBMITTED, CLIENT_OK);
    free(large);
    close_world(&world);
}

static void send_raw(struct world *world,
                     enum client_stream_kind kind,
                     const uint8_t *data,
                     size_t len)
{
    struct client_stream *stream;
    assert_int_equal(client_stream_open(&stream, world->transactions, kind, 1u << 20, 15000, NULL),
                     OK);
    assert_int_equal(client_stream_send(stream, data, len), OK);
    client_stream_finish(stream);
}

static void api_takes_or_refuses_a_message_as_a_whole(void **unused)
{
    (void)unused;
    struct world world = open_world(NULL);
    /* Good, then empty: nothing of it may be taken. */
    static const uint8_t half[] = {0x0a, 1, 'a', 0x0a, 0};
    send_raw(&world, CLIENT_STREAM_BATCHED, half, sizeof half);
    expect_text(&world, CLIENT_EVENT_STREAM_DONE, CLIENT_INVALID_ARGUMENT, "empty");
    static const uint8_t torn[] = {0x0a, 1, 'a', 0x0a, 9, 'b'};
    send_raw(&world, CLIENT_STREAM_BATCHED, torn, sizeof torn);
    expect_text(&world, CLIENT_EVENT_STREAM_DONE, CLIENT_INVALID_ARGUMENT, "malformed");
    send_raw(&world, CLIENT_STREAM_BATCHED, NULL, 0);
    expect_text(&world, CLIENT_EVENT_STREAM_DONE, CLIENT_INVALID_ARGUMENT, "no transaction");
    assert_int_equal(world.loop->batches_count, 0);
    /* Valid protobuf that is not canonical is rewritten: a long varint, and an unknown field. */
    static const uint8_t odd[] = {0x0a, 0x81, 0x00, 'a', 0x78, 5, 0x0a, 1, 'b'};
    send_raw(&world, CLIENT_STREAM_BATCHED, odd, sizeof odd);
    struct client_event *event = expect(&world, CLIENT_EVENT_STREAM_DONE, CLIENT_OK);
    assert_int_equal(event->accepted, 2);
    assert_int_equal(event->accepted_bytes, 2);
    client_event_free(world.client, event);
    static const uint8_t canonical[] = {0x0a, 1, 'a', 0x0a, 1, 'b'};
    assert_int_equal(world.loop->batches_count, 1);
    assert_int_equal(world.loop->batches[0].batch->len, sizeof canonical);
    assert_memory_equal(world.loop->batches[0].batch->data + BUFFER_BATCH, canonical,
                        sizeof canonical);
    close_world(&world);
}

static void api_cuts_a_large_message_into_batches(void **unused)
{
    (void)unused;
    struct world world = open_world(NULL);
    /* 15 x 256 KiB: no two fit one batch. */
    struct writer batch = make_batch(15, TRANSACTION_BYTES_MAX);
    send_raw(&world, CLIENT_STREAM_BATCHED, batch.data, batch.len);
    struct client_event *event = expect(&world, CLIENT_EVENT_STREAM_DONE, CLIENT_OK);
    assert_int_equal(event->accepted, 15);
    assert_int_equal(event->accepted_bytes, 15 * TRANSACTION_BYTES_MAX);
    client_event_free(world.client, event);
    assert_int_equal(world.loop->batches_count, 15);
    free(batch.data);
    /* 4 MiB of small ones. */
    batch = make_batch(8000, 515);
    send_raw(&world, CLIENT_STREAM_BATCHED, batch.data, batch.len);
    expect_and_free(&world, CLIENT_EVENT_STREAM_DONE, CLIENT_OK);
    assert_in_range(world.loop->batches_count, 15 + 8, 15 + 10);
    free(batch.data);
    close_world(&world);
}

static void api_streams_keep_order_and_are_answered_once(void **unused)
{
    (void)unused;
    struct world world = open_world(NULL);
    struct client_stream *stream;
    assert_int_equal(
        client_stream_open(&stream, world.transactions, CLIENT_STREAM_SINGLE, 65536, 15000, &world),
        OK);
    uint32_t sent = 0;
    bool refused = false;
    while (sent < 20000) {
        uint8_t transaction[100] = {0};
        memcpy(transaction, &sent, sizeof sent);
        enum status status = client_stream_send(stream, transaction, sizeof transaction);
        if (status == OK) {
            sent++;
            continue;
        }
        assert_int_equal(status, ERR_FULL);
        refused = true;
        struct client_event *event = expect(&world, CLIENT_EVENT_WRITABLE, 0);
        assert_ptr_equal(event->user, &world);
        client_event_free(world.client, event);
    }
    assert_true(refused);
    client_stream_finish(stream);
    assert_int_equal(client_stream_send(stream, (const uint8_t *)"x", 1), ERR_STOPPING);
    for (;;) { /* a WRITABLE may still be on its way */
        struct client_event *event = next_event(&world);
        bool done = event->kind == CLIENT_EVENT_STREAM_DONE;
        if (done) assert_int_equal(event->code, CLIENT_OK);
        client_event_free(world.client, event);
        if (done) break;
    }
    uint32_t expected = 0;
    uint64_t created_at = 0;
    for (uint32_t i = 0; i < world.loop->batches_count; i++) {
        struct memory_batch *batch = &world.loop->batches[i];
        assert_int_equal(batch->ticket, i + 1);
        assert_true(batch->created_at > created_at);
        created_at = batch->created_at;
        struct reader reader = reader_make(batch->batch->data + BUFFER_BATCH, batch->batch->len);
        struct bytes transaction;
        while (batch_next(&transaction, &reader)) {
            uint32_t number;
            memcpy(&number, transaction.data, sizeof number);
            assert_int_equal(number, expected++);
        }
    }
    assert_int_equal(expected, 20000);
    close_world(&world);
}

static void api_reports_batches_that_were_given_up(void **unused)
{
    (void)unused;
    struct world world = open_world(NULL);
    world.loop->keep_tickets = true;
    submit(&world, CLIENT_LEVEL_PLAIN, "lost");
    struct writer batch = make_batch(3, 10);
    send_raw(&world, CLIENT_STREAM_BATCHED, batch.data, batch.len);
    free(batch.data);
    uint64_t deadline_us = queue_now_us() + PATIENCE_US;
    while (world.loop->batches_count == 0 || api_counters_of(&world).transactions < 4) {
        memory_loop_turn(world.loop, 1);
        assert_true(queue_now_us() < deadline_us);
    }
    /* What is still open is failed once it was sealed. */
    for (int i = 0; i < 2; i++) {
        struct client_event *event;
        while ((event = client_take(world.client)) == NULL) {
            memory_loop_turn(world.loop, 1);
            memory_loop_fail(world.loop, "its header was never certified");
            assert_true(queue_now_us() < deadline_us);
        }
        assert_int_equal(event->code, CLIENT_UNAVAILABLE);
        assert_non_null(strstr(event->text, "never certified"));
        client_event_free(world.client, event);
    }
    while (api_counters_of(&world).bytes_in_flight > 0)
        assert_true(queue_now_us() < deadline_us); /* counted after the answer */
    close_world(&world);
}

static bool refuses(const struct api_counters *counters)
{
    return counters->refused_exhausted > 0;
}

static void api_stops_reading_while_too_much_is_in_flight(void **unused)
{
    (void)unused;
    struct world world = open_world(NULL);
    world.loop->level_max = API_LEVEL_ACCEPTED;
    struct client_stream *stream;
    assert_int_equal(
        client_stream_open(&stream, world.transactions, CLIENT_STREAM_BATCHED, 1u << 20, 0, NULL),
        OK);
    struct writer batch = make_batch(3, 100000);
    uint64_t sent = 0;
    uint64_t deadline_us = queue_now_us() + PATIENCE_US;
    while (api_counters_of(&world).bytes_in_flight < API_BYTES_IN_FLIGHT_MAX) {
        if (client_stream_send(stream, batch.data, batch.len) == OK) {
            sent++;
        } else {
            memory_loop_turn(world.loop, 1);
            client_event_free(world.client, client_take(world.client));
        }
        assert_true(queue_now_us() < deadline_us);
    }
    /* Full: it takes what its windows hold, and then no more. */
    for (int quiet = 0; quiet < 20; quiet++) {
        while (client_stream_send(stream, batch.data, batch.len) == OK) {
            sent++;
            quiet = 0;
        }
        memory_loop_turn(world.loop, 10);
        client_event_free(world.client, client_take(world.client));
    }
    uint64_t in_flight = api_counters_of(&world).bytes_in_flight;
    assert_in_range(in_flight, API_BYTES_IN_FLIGHT_MAX, API_BYTES_IN_FLIGHT_MAX + 5000000);
    assert_true(sent * batch.len > in_flight);
    /* Unary calls wait; beyond the bound they are refused. */
    for (uint32_t i = 0; i < API_WAITING_CALLS_MAX + 10; i++)
        submit(&world, CLIENT_LEVEL_PLAIN, "waits");
    run_until(&world, refuses);
    for (uint32_t i = 0; i < 10; i++)
        expect_text(&world, CLIENT_EVENT_SUBMITTED, CLIENT_RESOURCE_EXHAUSTED, "in flight");
    /* Certificates come: everything goes on. */
    world.loop->level_max = API_LEVEL_COMMITTED;
    client_stream_finish(stream);
    uint32_t answered = 0;
    bool done = false;
    while (answered < API_WAITING_CALLS_MAX || !done) {
        struct client_event *event = next_event(&world);
        assert_int_equal(event->code, CLIENT_OK);
        if (event->kind == CLIENT_EVENT_SUBMITTED) answered++;
        if (event->kind == CLIENT_EVENT_STREAM_DONE) {
            assert_int_equal(event->accepted, sent * 3);
            done = true;
        }
        client_event_free(world.client, event);
    }
    free(batch.data);
    close_world(&world);
}

static void api_refuses_submissions_until_it_is_ready(void **unused)
{
    (void)unused;
    struct world world = open_world(NULL);
    api_set_ready(world.api, false);
    submit(&world, CLIENT_LEVEL_PLAIN, "early");
    expect_text(&world, CLIENT_EVENT_SUBMITTED, CLIENT_UNAVAILABLE, "not ready");
    api_set_ready(world.api, true);
    submit(&world, CLIENT_LEVEL_PLAIN, "now");
    expect_and_free(&world, CLIENT_EVENT_SUBMITTED, CLIENT_OK);
    close_world(&world);
}

/* ---- stopping -------------------------------------------------------------------------------- */

static void slowest_batches(struct api_options *options)
{
    options->batch_delay_us_min = 10000000;
    options->batch_delay_us_max = 10000000;
}

static void api_stop_seals_and_answers_what_it_took(void **unused)
{
    (void)unused;
    struct world world = open_world(slowest_batches);
    submit(&world, CLIENT_LEVEL_COMMITTED, "taken before the stop");
    uint64_t deadline_us = queue_now_us() + PATIENCE_US;
    while (api_counters_of(&world).transactions == 0)
        assert_true(queue_now_us() < deadline_us);
    api_stop(world.api);
    uint64_t start_us = queue_now_us();
    expect_and_free(&world, CLIENT_EVENT_SUBMITTED, CLIENT_OK);
    assert_true(queue_now_us() - start_us < 9000000); /* before its delay was over */
    submit(&world, CLIENT_LEVEL_PLAIN, "after the stop");
    expect_text(&world, CLIENT_EVENT_SUBMITTED, CLIENT_UNAVAILABLE, "stopping");
    close_world(&world);
}

static void api_closes_with_calls_of_every_kind_open(void **unused)
{
    (void)unused;
    struct world world = open_world(NULL);
    world.loop->keep_tickets = true;
    struct client_stream *idle;
    assert_int_equal(
        client_stream_open(&idle, world.transactions, CLIENT_STREAM_SINGLE, 65536, 0, NULL), OK);
    assert_int_equal(client_stream_send(idle, (const uint8_t *)"x", 1), OK);
    submit(&world, CLIENT_LEVEL_COMMITTED, "never");
    struct client_export *export;
    assert_int_equal(client_export_open(&export, world.client, &world.exports, 1, 0, false, NULL),
                     OK);
    memory_loop_make(world.loop, 10, 100);
    expect_and_free(&world, CLIENT_EVENT_EXPORT_UP, 0);
    expect_and_free(&world, CLIENT_EVENT_SUBDAG, 0);
    uint64_t deadline_us = queue_now_us() + PATIENCE_US;
    while (api_counters_of(&world).transactions < 2) {
        memory_loop_turn(world.loop, 1);
        assert_true(queue_now_us() < deadline_us);
    }
    uint64_t start_us = queue_now_us();
    api_close(world.api);
    assert_true(queue_now_us() - start_us < 2000000);
    uint32_t unavailable = 0;
    for (int i = 0; i < 3; i++) {
        struct client_event *event = client_wait(world.client, 10000);
        assert_non_null(event);
        if (event->code == CLIENT_UNAVAILABLE) unavailable++;
        client_event_free(world.client, event);
    }
    assert_int_equal(unavailable, 3);
    client_export_close(export);
    client_channel_close(world.transactions);
    client_channel_close(world.exports);
    client_close(world.client);
    memory_loop_free(world.loop);
}

static void api_open_says_what_is_wrong(void **unused)
{
    (void)unused;
    struct world world = open_world(NULL);
    struct api_options options = api_options_default();
    char taken[64];
    (void)snprintf(taken, sizeof taken, "127.0.0.1:%u", api_export_port(world.api));
    struct api *other;
    options.export_address = "127.0.0.1:0";
    options.transactions_address = taken;
    assert_int_equal(api_open(&other, &options), ERR_IO);
    options.export_address = taken;
    assert_int_equal(api_open(&other, &options), ERR_IO);
    options.export_address = "127.0.0.1";
    assert_int_equal(api_open(&other, &options), ERR_CONFIG);
    options.export_address = "127.0.0.1:65536";
    assert_int_equal(api_open(&other, &options), ERR_CONFIG);
    options.export_address = "127.0.0.1:0";
    options.batch_bytes = BATCH_BYTES_MAX + 1;
    assert_int_equal(api_open(&other, &options), ERR_CONFIG);
    close_world(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(api_acknowledges_at_the_level_asked_for),
        cmocka_unit_test(api_receipts_name_the_place_of_each_transaction),
        cmocka_unit_test(api_refuses_bad_transactions_with_a_reason),
        cmocka_unit_test(api_takes_or_refuses_a_message_as_a_whole),
        cmocka_unit_test(api_cuts_a_large_message_into_batches),
        cmocka_unit_test(api_streams_keep_order_and_are_answered_once),
        cmocka_unit_test(api_reports_batches_that_were_given_up),
        cmocka_unit_test(api_stops_reading_while_too_much_is_in_flight),
        cmocka_unit_test(api_refuses_submissions_until_it_is_ready),
        cmocka_unit_test(api_stop_seals_and_answers_what_it_took),
        cmocka_unit_test(api_closes_with_calls_of_every_kind_open),
        cmocka_unit_test(api_open_says_what_is_wrong),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
