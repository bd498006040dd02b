#include "tests/unit/api_world.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/batch.h"

static void open_client(struct world *world,
                        const char *scheme,
                        const struct tls_roots *roots,
                        const char *token)
{
    char url[64];
    assert_int_equal(client_open(&world->client, 4096), OK);
    client_secure(world->client, roots, token);
    (void)snprintf(url, sizeof url, "%s://127.0.0.1:%u", scheme, world->transactions_port);
    assert_int_equal(client_channel_open(&world->transactions, world->client, url), OK);
    (void)snprintf(url, sizeof url, "%s://127.0.0.1:%u/", scheme, world->export_port);
    assert_int_equal(client_channel_open(&world->exports, world->client, url), OK);
}

static void close_client(struct world *world)
{
    client_channel_close(world->transactions);
    client_channel_close(world->exports);
    client_close(world->client);
}

void change_client(struct world *world,
                   const char *scheme,
                   const struct tls_roots *roots,
                   const char *token)
{
    close_client(world);
    open_client(world, scheme, roots, token);
}

struct world open_world(void (*adjust)(struct api_options *options))
{
    return open_world_as(adjust, "http", NULL, NULL);
}

struct world open_world_as(void (*adjust)(struct api_options *options),
                           const char *scheme,
                           const struct tls_roots *roots,
                           const char *token)
{
    struct world world = {0};
    struct api_options options = api_options_default();
    options.export_address = "127.0.0.1:0";
    options.transactions_address = "127.0.0.1:0";
    if (adjust != NULL) adjust(&options);
    assert_int_equal(api_open(&world.api, &options), OK);
    world.export_port = api_export_port(world.api);
    world.transactions_port = api_transactions_port(world.api);
    world.loop = memory_loop_new(world.api);
    api_set_ready(world.api, true);
    open_client(&world, scheme, roots, token);
    return world;
}

void close_world(struct world *world)
{
    close_client(world);
    uint64_t start_us = queue_now_us();
    api_close(world->api);
    assert_true(queue_now_us() - start_us < 2000000);
    memory_loop_free(world->loop);
}

void reopen_api(struct world *world)
{
    char export_address[64];
    char transactions_address[64];
    (void)snprintf(export_address, sizeof export_address, "127.0.0.1:%u", world->export_port);
    (void)snprintf(transactions_address, sizeof transactions_address, "127.0.0.1:%u",
                   world->transactions_port);
    struct api_options options = api_options_default();
    options.export_address = export_address;
    options.transactions_address = transactions_address;
    assert_int_equal(api_open(&world->api, &options), OK);
    world->loop->api = world->api;
    api_set_ready(world->api, true);
    memory_loop_prune(world->loop, world->loop->oldest); /* posts the tip */
}

struct client_event *next_event(struct world *world)
{
    uint64_t deadline_us = queue_now_us() + PATIENCE_US;
    for (;;) {
        client_drain_fd(world->client);
        struct client_event *event = client_take(world->client);
        if (event != NULL) return event;
        memory_loop_turn(world->loop, 0);
        struct pollfd fds[2] = {{.fd = client_fd(world->client), .events = POLLIN},
                                {.fd = api_fd(world->api), .events = POLLIN}};
        (void)poll(fds, 2, 100);
        if (queue_now_us() > deadline_us) fail_msg("no event came");
    }
}

struct client_event *expect(struct world *world, enum client_event_kind kind, int code)
{
    struct client_event *event = next_event(world);
    if (event->kind != kind || event->code != code) {
        fail_msg("kind %d code %d \"%s\"", (int)event->kind, event->code, event->text);
    }
    return event;
}

void expect_and_free(struct world *world, enum client_event_kind kind, int code)
{
    client_event_free(world->client, expect(world, kind, code));
}

void expect_text(struct world *world, enum client_event_kind kind, int code, const char *part)
{
    struct client_event *event = expect(world, kind, code);
    if (strstr(event->text, part) == NULL) fail_msg("\"%s\" lacks \"%s\"", event->text, part);
    client_event_free(world->client, event);
}

struct api_counters api_counters_of(const struct world *world)
{
    struct api_counters counters;
    api_get_counters(world->api, &counters);
    return counters;
}

void run_until(struct world *world, bool (*holds)(const struct api_counters *counters))
{
    uint64_t deadline_us = queue_now_us() + PATIENCE_US;
    for (;;) {
        struct api_counters counters;
        api_get_counters(world->api, &counters);
        if (holds(&counters)) return;
        memory_loop_turn(world->loop, 1);
        if (queue_now_us() > deadline_us) fail_msg("the condition did not come");
    }
}

void submit(struct world *world, enum client_level level, const char *text)
{
    assert_int_equal(
        client_submit(world->transactions, level, (const uint8_t *)text, strlen(text), 15000, NULL),
        OK);
}

struct writer make_batch(uint32_t count, size_t len)
{
    size_t capacity = count * batch_entry_bytes(len);
    struct writer writer = writer_make(malloc(capacity), capacity);
    uint8_t *transaction = malloc(len);
    for (uint32_t i = 0; i < count; i++) {
        memset(transaction, (int)i, len);
        batch_append(&writer, transaction, len);
    }
    free(transaction);
    assert_false(writer.failed);
    return writer;
}
