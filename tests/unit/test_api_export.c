/* Goal: an export is every pre-block after the id asked for, once, in order, history and then live,
 * whatever happens to the connection; and readers that cannot be served are told why. Method: real
 * server and client on loopback over a loop side in memory (tests/unit/api_world.h). */
#include "tests/unit/api_world.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

#include "proto/subdag.h"

static struct client_export *open_export(struct world *world, uint64_t from_id, bool certified)
{
    struct client_export *export;
    assert_int_equal(
        client_export_open(&export, world->client, &world->exports, 1, from_id, certified, world),
        OK);
    return export;
}

/* Sub-DAGs `first` .. `last`, which must come next. */
static void expect_ids(struct world *world, uint64_t first, uint64_t last)
{
    for (uint64_t id = first; id <= last; id++) {
        struct client_event *event = expect(world, CLIENT_EVENT_SUBDAG, 0);
        assert_int_equal(event->id, id);
        struct buffer *made = world->loop->subdags[id - 1];
        assert_int_equal(event->subdag.len, made->len);
        assert_memory_equal(event->subdag.data, made->data, made->len);
        client_event_free(world->client, event);
    }
}

static void end_export(struct world *world, struct client_export *export)
{
    client_export_close(export);
    expect_and_free(world, CLIENT_EVENT_EXPORT_DONE, CLIENT_CANCELLED);
}

/* True when no event comes while the loop side and the server settle. */
static bool is_quiet(struct world *world)
{
    for (int i = 0; i < 20; i++) {
        memory_loop_turn(world->loop, 5);
        struct client_event *event = client_take(world->client);
        client_event_free(world->client, event);
        if (event != NULL) return false;
    }
    return true;
}

static void export_gives_history_then_live_without_a_gap(void **unused)
{
    (void)unused;
    struct world world = open_world(NULL);
    for (int i = 0; i < 100; i++)
        memory_loop_make(world.loop, 3, 100);
    struct client_export *export = open_export(&world, 0, false);
    expect_and_free(&world, CLIENT_EVENT_EXPORT_UP, 0);
    expect_ids(&world, 1, 50);
    for (int i = 0; i < 100; i++)
        memory_loop_make(world.loop, 1, 30);
    expect_ids(&world, 51, 200);
    assert_true(is_quiet(&world));
    for (int i = 0; i < 50; i++) {
        memory_loop_make(world.loop, 1, 30);
        expect_ids(&world, 201 + (uint64_t)i, 201 + (uint64_t)i);
    }
    end_export(&world, export);
    close_world(&world);
}

static void export_begins_after_the_id_asked_for(void **unused)
{
    (void)unused;
    struct world world = open_world(NULL);
    for (int i = 0; i < 20; i++)
        memory_loop_make(world.loop, 1, 10);
    struct client_export *middle = open_export(&world, 10, false);
    expect_and_free(&world, CLIENT_EVENT_EXPORT_UP, 0);
    expect_ids(&world, 11, 20);
    end_export(&world, middle);
    /* Past the end: it waits, and begins exactly there. */
    struct client_export *ahead = open_export(&world, 25, false);
    expect_and_free(&world, CLIENT_EVENT_EXPORT_UP, 0);
    assert_true(is_quiet(&world));
    for (int i = 20; i < 30; i++)
        memory_loop_make(world.loop, 1, 10);
    expect_ids(&world, 26, 30);
    end_export(&world, ahead);
    close_world(&world);
}

static void export_certified_waits_for_the_certificate(void **unused)
{
    (void)unused;
    struct world world = open_world(NULL);
    for (int i = 0; i < 5; i++)
        memory_loop_make(world.loop, 1, 10);
    world.loop->hold_certified = true;
    for (int i = 0; i < 5; i++)
        memory_loop_make(world.loop, 1, 10);
    struct client_export *export = open_export(&world, 0, true);
    expect_and_free(&world, CLIENT_EVENT_EXPORT_UP, 0);
    expect_ids(&world, 1, 5);
    assert_true(is_quiet(&world));
    world.loop->hold_certified = false;
    memory_loop_make(world.loop, 1, 10);
    expect_ids(&world, 6, 11);
    end_export(&world, export);
    close_world(&world);
}

static void export_below_the_history_names_the_oldest(void **unused)
{
    (void)unused;
    struct world world = open_world(NULL);
    for (int i = 0; i < 20; i++)
        memory_loop_make(world.loop, 1, 10);
    memory_loop_prune(world.loop, 8);
    (void)open_export(&world, 6, false);
    expect_and_free(&world, CLIENT_EVENT_EXPORT_UP, 0);
    expect_text(&world, CLIENT_EVENT_EXPORT_DONE, CLIENT_OUT_OF_RANGE, "oldest id is 8");
    struct client_export *good = open_export(&world, 7, false);
    expect_and_free(&world, CLIENT_EVENT_EXPORT_UP, 0);
    expect_ids(&world, 8, 20);
    end_export(&world, good);
    (void)open_export(&world, UINT64_MAX, false);
    expect_and_free(&world, CLIENT_EVENT_EXPORT_UP, 0);
    expect_text(&world, CLIENT_EVENT_EXPORT_DONE, CLIENT_INVALID_ARGUMENT, "malformed");
    close_world(&world);
}

static void export_says_when_a_preblock_cannot_be_read(void **unused)
{
    (void)unused;
    struct world world = open_world(NULL);
    memory_loop_make(world.loop, 1, 10);
    world.loop->unreadable = true;
    struct client_export *export = open_export(&world, 0, false);
    expect_and_free(&world, CLIENT_EVENT_EXPORT_UP, 0);
    struct client_event *event = expect(&world, CLIENT_EVENT_EXPORT_DOWN, CLIENT_INTERNAL);
    assert_non_null(strstr(event->text, "cannot be read"));
    world.loop->unreadable = false;
    client_event_free(world.client, event); /* it tries again by itself */
    expect_and_free(&world, CLIENT_EVENT_EXPORT_UP, 0);
    expect_ids(&world, 1, 1);
    end_export(&world, export);
    close_world(&world);
}

static void export_goes_on_after_the_server_came_back(void **unused)
{
    (void)unused;
    struct world world = open_world(NULL);
    for (int i = 0; i < 20; i++)
        memory_loop_make(world.loop, 1, 10);
    struct client_export *export = open_export(&world, 0, false);
    expect_and_free(&world, CLIENT_EVENT_EXPORT_UP, 0);
    expect_ids(&world, 1, 20);
    api_close(world.api);
    struct client_event *event = client_wait(world.client, 10000);
    assert_non_null(event);
    assert_int_equal(event->kind, CLIENT_EVENT_EXPORT_DOWN);
    assert_int_equal(event->code, CLIENT_UNAVAILABLE);
    client_event_free(world.client, event);
    /* Nobody listens: it says so, each time it tries. */
    event = client_wait(world.client, 10000);
    assert_non_null(event);
    assert_int_equal(event->kind, CLIENT_EVENT_EXPORT_DOWN);
    assert_int_equal(event->code, CLIENT_UNAVAILABLE);
    client_event_free(world.client, event);
    reopen_api(&world);
    for (int i = 0; i < 5; i++)
        memory_loop_make(world.loop, 1, 10);
    for (;;) {
        event = next_event(&world);
        bool up = event->kind == CLIENT_EVENT_EXPORT_UP;
        client_event_free(world.client, event);
        if (up) break;
    }
    expect_ids(&world, 21, 25);
    end_export(&world, export);
    close_world(&world);
}

static void export_turns_to_the_next_node_when_told(void **unused)
{
    (void)unused;
    struct world world = open_world(NULL);
    for (int i = 0; i < 20; i++)
        memory_loop_make(world.loop, 1, 10);
    struct client_channel *channels[2] = {world.exports, world.exports};
    struct client_export *export;
    assert_int_equal(client_export_open(&export, world.client, channels, 2, 0, false, NULL), OK);
    expect_and_free(&world, CLIENT_EVENT_EXPORT_UP, 0);
    expect_ids(&world, 1, 10);
    client_export_next_channel(export, 5);
    struct client_event *event = expect(&world, CLIENT_EVENT_EXPORT_DOWN, CLIENT_CANCELLED);
    assert_int_equal(event->channel, 0);
    client_event_free(world.client, event);
    event = expect(&world, CLIENT_EVENT_EXPORT_UP, 0);
    assert_int_equal(event->channel, 1);
    client_event_free(world.client, event);
    expect_ids(&world, 6, 20);
    end_export(&world, export);
    close_world(&world);
}

static void export_takes_no_id_out_of_turn(void **unused)
{
    (void)unused;
    struct world world = open_world(NULL);
    for (int i = 0; i < 5; i++)
        memory_loop_make(world.loop, 1, 10);
    struct buffer *third = world.loop->subdags[2];
    world.loop->subdags[2] = world.loop->subdags[3];
    struct client_export *export = open_export(&world, 0, false);
    expect_and_free(&world, CLIENT_EVENT_EXPORT_UP, 0);
    expect_ids(&world, 1, 2);
    struct client_event *event = expect(&world, CLIENT_EVENT_EXPORT_DOWN, CLIENT_CANCELLED);
    assert_non_null(strstr(event->text, "sub-DAG 4 after 2"));
    world.loop->subdags[2] = third;
    client_event_free(world.client, event);
    expect_and_free(&world, CLIENT_EVENT_EXPORT_UP, 0);
    expect_ids(&world, 3, 5);
    end_export(&world, export);
    close_world(&world);
}

static void short_stall(struct api_options *options)
{
    options->export_stall_us = 300000;
}

static bool one_was_cut(const struct api_counters *counters)
{
    return counters->exports_cut > 0;
}

static void export_cuts_a_reader_that_stalls(void **unused)
{
    (void)unused;
    struct world world = open_world(short_stall);
    struct client_export *export = open_export(&world, 0, false);
    expect_and_free(&world, CLIENT_EVENT_EXPORT_UP, 0);
    /* Idle is not stalled. */
    for (int i = 0; i < 10; i++)
        memory_loop_turn(world.loop, 50);
    assert_int_equal(api_counters_of(&world).exports_cut, 0);
    /* More than the windows of the connection hold, and nobody takes it. */
    for (int i = 0; i < 40; i++)
        memory_loop_make(world.loop, 4, 200000);
    run_until(&world, one_was_cut);
    uint64_t next = 1;
    for (;;) {
        struct client_event *event = next_event(&world);
        bool down = event->kind == CLIENT_EVENT_EXPORT_DOWN;
        if (down) {
            assert_int_equal(event->code, CLIENT_RESOURCE_EXHAUSTED);
            assert_non_null(strstr(event->text, "last id sent is"));
        } else {
            assert_int_equal(event->id, next++);
        }
        client_event_free(world.client, event);
        if (down) break;
    }
    assert_true(next < 40);
    expect_and_free(&world, CLIENT_EVENT_EXPORT_UP, 0);
    expect_ids(&world, next, 40);
    end_export(&world, export);
    close_world(&world);
}

static void export_streams_share_wants_and_are_bounded(void **unused)
{
    (void)unused;
    struct world world = open_world(NULL);
    struct client_export *exports[CLIENT_EXPORTS_MAX];
    for (uint32_t i = 0; i < API_EXPORTS_MAX; i++) {
        exports[i] = open_export(&world, 0, false);
        expect_and_free(&world, CLIENT_EVENT_EXPORT_UP, 0);
    }
    for (int i = 0; i < 3; i++)
        memory_loop_make(world.loop, 1, 10);
    for (uint32_t i = 0; i < 3 * API_EXPORTS_MAX; i++)
        expect_and_free(&world, CLIENT_EVENT_SUBDAG, 0);
    assert_in_range(world.loop->wants, 3, 12);
    assert_int_equal(api_counters_of(&world).exports, API_EXPORTS_MAX);
    assert_int_equal(api_counters_of(&world).exported, 3 * API_EXPORTS_MAX);

    /* One more, from another client. */
    struct client *other;
    struct client_channel *channel;
    struct client_export *one_more;
    char url[64];
    (void)snprintf(url, sizeof url, "http://localhost:%u", world.export_port);
    assert_int_equal(client_open(&other, 0), OK);
    assert_int_equal(client_channel_open(&channel, other, url), OK);
    assert_int_equal(client_export_open(&one_more, other, &channel, 1, 0, false, NULL), OK);
    struct client_event *event = client_wait(other, 10000);
    while (event != NULL && event->kind == CLIENT_EVENT_EXPORT_UP) {
        client_event_free(other, event);
        event = client_wait(other, 10000);
    }
    assert_non_null(event);
    assert_int_equal(event->code, CLIENT_RESOURCE_EXHAUSTED);
    client_event_free(other, event);
    client_export_close(one_more);
    event = client_wait(other, 10000);
    assert_non_null(event);
    assert_int_equal(event->kind, CLIENT_EVENT_EXPORT_DONE);
    client_event_free(other, event);
    client_channel_close(channel);
    client_close(other);

    for (uint32_t i = 0; i < API_EXPORTS_MAX; i++)
        end_export(&world, exports[i]);
    close_world(&world);
}

/* Runs the loop side until nothing moves any more: the reader takes nothing, so that is soon. */
static void settle(struct world *world)
{
    struct api_counters before;
    struct api_counters after = api_counters_of(world);
    uint64_t wants;
    do {
        before = after;
        wants = world->loop->wants;
        for (int i = 0; i < 20; i++)
            memory_loop_turn(world->loop, 5);
        after = api_counters_of(world);
    } while (after.exported != before.exported || world->loop->wants != wants);
}

/* Small pre-blocks are read as many ahead as there are places, so that their way through the node costs
 * the reader no time. */
static void export_reads_many_small_preblocks_ahead(void **unused)
{
    (void)unused;
    struct world world = open_world(NULL);
    for (int i = 0; i < 600; i++)
        memory_loop_make(world.loop, 1, 20000);
    struct client_export *export = open_export(&world, 0, false);
    settle(&world);
    struct api_counters counters = api_counters_of(&world);
    assert_true(counters.exported < 500);
    assert_int_equal(world.loop->wants, counters.exported + API_EXPORT_AHEAD_MAX);
    assert_in_range(counters.exports_held_bytes, 64 * 20000, 64 * 21000);
    expect_and_free(&world, CLIENT_EVENT_EXPORT_UP, 0);
    expect_ids(&world, 1, 600);
    assert_int_equal(world.loop->wants, 600);
    end_export(&world, export);
    close_world(&world);
}

/* Large ones are not: bytes count. One that is larger than the bound comes all the same, in its turn. */
static void export_reads_few_large_preblocks_ahead(void **unused)
{
    (void)unused;
    struct world world = open_world(NULL);
    for (int i = 0; i < 40; i++)
        memory_loop_make(world.loop, 6, 200000);
    memory_loop_make(world.loop, 70, 200000);
    struct client_export *export = open_export(&world, 0, false);
    settle(&world);
    struct api_counters counters = api_counters_of(&world);
    assert_true(counters.exported < 36);
    assert_int_equal(world.loop->wants, counters.exported + 11); /* of 1.2 MB each */
    expect_and_free(&world, CLIENT_EVENT_EXPORT_UP, 0);
    expect_ids(&world, 1, 41);
    assert_in_range(world.loop->wants, 41, 43);
    end_export(&world, export);
    assert_int_equal(api_counters_of(&world).exports_held_bytes, 0);
    close_world(&world);
}

/* The first is small, so many are wanted, and they turn out to be large: what does not fit is not held, and
 * comes later all the same. */
static void export_holds_no_more_when_preblocks_grow(void **unused)
{
    (void)unused;
    struct world world = open_world(NULL);
    memory_loop_make(world.loop, 1, 10);
    for (int i = 0; i < 69; i++)
        memory_loop_make(world.loop, 5, 200000);
    struct client_export *export = open_export(&world, 0, false);
    expect_and_free(&world, CLIENT_EVENT_EXPORT_UP, 0);
    uint64_t most = 0;
    for (uint64_t id = 1; id <= 70; id += 10) {
        settle(&world);
        most = u64_max(most, api_counters_of(&world).exports_held_bytes);
        if (id == 1) assert_in_range(world.loop->wants, 1 + API_EXPORT_AHEAD_MAX, 80);
        expect_ids(&world, id, id + 9);
    }
    assert_in_range(most, 3000000, API_EXPORT_AHEAD_BYTES_MAX + 1001000);
    assert_in_range(world.loop->wants, 100, 2 * 70);
    end_export(&world, export);
    close_world(&world);
}

/* Takes what is wanted until nothing more comes, and only then answers it: the wants under way. */
static uint64_t answer_all_wants(struct world *world)
{
    struct api_request *requests[API_WANTS_MAX];
    uint64_t count = 0;
    struct pollfd poll_fd = {.fd = api_fd(world->api), .events = POLLIN};
    while (poll(&poll_fd, 1, 50) > 0) {
        api_drain_fd(world->api);
        struct api_request *request;
        while ((request = api_take(world->api)) != NULL) {
            assert_int_equal(request->kind, API_REQUEST_WANT);
            assert_in_range(count, 0, API_WANTS_MAX - 1);
            requests[count++] = request;
        }
    }
    for (uint64_t i = 0; i < count; i++) {
        const uint64_t index = requests[i]->index;
        assert_in_range(index, 1, world->loop->made);
        api_post_item(world->api, index, requests[i]->certified, world->loop->subdags[index - 1]);
        api_request_free(requests[i]);
    }
    return count;
}

static uint64_t most_wants(struct world *world)
{
    uint64_t most = 0;
    for (int i = 0; i < 5; i++)
        most = u64_max(most, answer_all_wants(world));
    return most;
}

/* Streams that wait at the tip, or for certificates, want nothing: they take no share from a reader. */
static void export_gives_idle_streams_no_share_of_the_wants(void **unused)
{
    (void)unused;
    struct world world = open_world(NULL);
    world.loop->hold_certified = true;
    for (int i = 0; i < 200; i++)
        memory_loop_make(world.loop, 1, 1000);
    for (uint32_t i = 1; i < API_EXPORTS_MAX; i++) {
        const bool certified = i % 2 == 0;
        (void)open_export(&world, certified ? 0 : 200, certified);
        expect_and_free(&world, CLIENT_EVENT_EXPORT_UP, 0);
    }
    assert_int_equal(world.loop->wants, 0);
    (void)open_export(&world, 0, false);
    assert_int_equal(most_wants(&world), API_EXPORT_AHEAD_MAX);
    close_world(&world);
}

/* Those that read divide them: all are at the same place here, so they want the same. */
static void export_divides_the_wants_among_readers(void **unused)
{
    (void)unused;
    struct world world = open_world(NULL);
    for (uint32_t i = 0; i < API_EXPORTS_MAX; i++) {
        (void)open_export(&world, 0, false);
        expect_and_free(&world, CLIENT_EVENT_EXPORT_UP, 0);
    }
    for (int i = 0; i < 200; i++)
        memory_loop_make(world.loop, 1, 1000);
    assert_int_equal(most_wants(&world), API_WANTS_MAX / API_EXPORTS_MAX);
    close_world(&world);
}

static void client_refuses_what_is_not_an_address(void **unused)
{
    (void)unused;
    struct client *client;
    struct client_channel *channel;
    assert_int_equal(client_open(&client, 0), OK);
    static const char *const bad[] = {
        "",
        "host",
        "http://",
        "http://host",
        "host:",
        ":1",
        "host:0",
        "host:65536",
        "host:1x",
        "https://host:1",
        "http://h:1/path",
        "::1:80",
        "http://http://h:1",
        "host:1 ",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(client_channel_open(&channel, client, bad[i]), ERR_CONFIG);
    static const char *const good[] = {"host:1", "http://host:65535", "http://[::1]:80/",
                                       "1.2.3.4:5"};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        assert_int_equal(client_channel_open(&channel, client, good[i]), OK);
        client_channel_close(channel);
    }
    client_close(client);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(export_gives_history_then_live_without_a_gap),
        cmocka_unit_test(export_begins_after_the_id_asked_for),
        cmocka_unit_test(export_certified_waits_for_the_certificate),
        cmocka_unit_test(export_below_the_history_names_the_oldest),
        cmocka_unit_test(export_says_when_a_preblock_cannot_be_read),
        cmocka_unit_test(export_goes_on_after_the_server_came_back),
        cmocka_unit_test(export_turns_to_the_next_node_when_told),
        cmocka_unit_test(export_takes_no_id_out_of_turn),
        cmocka_unit_test(export_cuts_a_reader_that_stalls),
        cmocka_unit_test(export_streams_share_wants_and_are_bounded),
        cmocka_unit_test(export_reads_many_small_preblocks_ahead),
        cmocka_unit_test(export_reads_few_large_preblocks_ahead),
        cmocka_unit_test(export_holds_no_more_when_preblocks_grow),
        cmocka_unit_test(export_gives_idle_streams_no_share_of_the_wants),
        cmocka_unit_test(export_divides_the_wants_among_readers),
        cmocka_unit_test(client_refuses_what_is_not_an_address),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
