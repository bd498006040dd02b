/* Goal: the gRPC ports let in whom the files name and nobody else: tokens, certificates, envelopes,
 * limits, each refusal with its code, and new files without a restart. Method: server and client
 * over real sockets on loopback (tests/unit/api_world.h). */
#include "tests/unit/api_world.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "common/batch.h"
#include "common/crypto.h"
#include "common/envelope.h"
#include "tests/unit/pki.h"

#define READER "reader-token-0123456789"
#define WRITER "writer-token-0123456789"

static struct pki_folder pki;

/* What the worlds of this file are opened with; their parts belong to the test that sets them. */
static struct api_access access_now;

static void with_access(struct api_options *options)
{
    options->access = access_now;
}

static struct token_table *make_tokens(const char *text)
{
    struct token_table *table;
    struct error_line error;
    struct bytes bytes = {(const uint8_t *)text, strlen(text)};
    assert_int_equal(token_table_parse(&table, "tokens", bytes, &error), OK);
    return table;
}

static struct tls_identity *make_identity(int i)
{
    struct tls_identity *identity;
    struct error_line error = {""};
    if (tls_identity_load(&identity, pki.certificate[i], pki.key[i], &error) != OK)
        fail_msg("%s", error.text);
    return identity;
}

static struct tls_roots *make_roots(int i)
{
    struct tls_roots *roots;
    struct error_line error;
    assert_int_equal(tls_roots_load(&roots, pki.certificate[i], &error), OK);
    return roots;
}

static void close_access(void)
{
    token_table_free(access_now.tokens);
    allow_list_free(access_now.allow);
    tls_identity_free(access_now.tls);
    access_now = (struct api_access){.tls = NULL};
}

/* Counters are published at the end of the turn in which a call was refused. */
static void expect_refused(const struct world *world, enum api_refusal reason, uint64_t count)
{
    uint64_t deadline_us = queue_now_us() + PATIENCE_US;
    while (api_counters_of(world).refused_access[reason] < count && queue_now_us() < deadline_us)
        continue;
    assert_int_equal(api_counters_of(world).refused_access[reason], count);
}

/* ---- tokens ---------------------------------------------------------------------------------- */

static void expect_export(struct world *world, int code)
{
    struct client_export *export;
    assert_int_equal(client_export_open(&export, world->client, &world->exports, 1, 0, false, NULL),
                     OK);
    /* UP says that the call has begun, which a refused one may have. */
    if (code == CLIENT_OK) {
        memory_loop_make(world->loop, 1, 10);
        bool seen = false;
        while (!seen) {
            struct client_event *event = next_event(world);
            seen = event->kind == CLIENT_EVENT_SUBDAG;
            assert_int_not_equal(event->kind, CLIENT_EVENT_EXPORT_DONE);
            client_event_free(world->client, event);
        }
        client_export_close(export);
    }
    for (;;) {
        struct client_event *event = next_event(world);
        bool done = event->kind == CLIENT_EVENT_EXPORT_DONE;
        if (done && code != CLIENT_OK) assert_int_equal(event->code, code);
        client_event_free(world->client, event);
        if (done) return;
    }
}

static void tokens_open_what_they_name_and_nothing_else(void **unused)
{
    (void)unused;
    access_now.tokens = make_tokens("r " READER " read\nw " WRITER " submit\n");
    struct world world = open_world(with_access);
    submit(&world, CLIENT_LEVEL_PLAIN, "no token");
    expect_text(&world, CLIENT_EVENT_SUBMITTED, CLIENT_UNAUTHENTICATED, "bearer token");
    submit(&world, CLIENT_LEVEL_CERTIFIED, "no token");
    expect_and_free(&world, CLIENT_EVENT_SUBMITTED, CLIENT_UNAUTHENTICATED);
    expect_export(&world, CLIENT_UNAUTHENTICATED);
    expect_refused(&world, API_REFUSED_TOKEN, 3);
    change_client(&world, "http", NULL, "another-token-0123456789");
    submit(&world, CLIENT_LEVEL_PLAIN, "wrong token");
    expect_and_free(&world, CLIENT_EVENT_SUBMITTED, CLIENT_UNAUTHENTICATED);
    change_client(&world, "http", NULL, READER);
    submit(&world, CLIENT_LEVEL_PLAIN, "a reader's");
    expect_text(&world, CLIENT_EVENT_SUBMITTED, CLIENT_PERMISSION_DENIED, "right");
    expect_refused(&world, API_REFUSED_RIGHT, 1);
    expect_export(&world, CLIENT_OK);
    change_client(&world, "http", NULL, WRITER);
    submit(&world, CLIENT_LEVEL_PLAIN, "a writer's");
    expect_and_free(&world, CLIENT_EVENT_SUBMITTED, CLIENT_OK);
    expect_export(&world, CLIENT_PERMISSION_DENIED);
    assert_int_equal(world.loop->batches_count, 1);

    /* Another file takes the right away, from the next call on. */
    struct api_access other = access_now;
    other.tokens = make_tokens("r " READER " read submit\n");
    api_set_access(world.api, &other);
    token_table_free(other.tokens);
    submit(&world, CLIENT_LEVEL_PLAIN, "an old writer's");
    expect_and_free(&world, CLIENT_EVENT_SUBMITTED, CLIENT_UNAUTHENTICATED);
    change_client(&world, "http", NULL, READER);
    submit(&world, CLIENT_LEVEL_PLAIN, "a new writer's");
    expect_and_free(&world, CLIENT_EVENT_SUBMITTED, CLIENT_OK);
    close_world(&world);
    close_access();
}

/* ---- TLS ------------------------------------------------------------------------------------- */

static void only_tls_with_the_right_certificate_gets_through(void **unused)
{
    (void)unused;
    struct tls_roots *roots[3] = {make_roots(0), make_roots(1), make_roots(2)};
    access_now.tls = make_identity(0);
    access_now.tokens = make_tokens("w " WRITER " submit read\n");
    struct world world = open_world_as(with_access, "https", roots[0], WRITER);
    submit(&world, CLIENT_LEVEL_COMMITTED, "over TLS");
    expect_and_free(&world, CLIENT_EVENT_SUBMITTED, CLIENT_OK);
    expect_export(&world, CLIENT_OK);
    change_client(&world, "https", roots[0], NULL);
    submit(&world, CLIENT_LEVEL_PLAIN, "TLS without a token");
    expect_and_free(&world, CLIENT_EVENT_SUBMITTED, CLIENT_UNAUTHENTICATED);
    change_client(&world, "https", roots[1], WRITER);
    submit(&world, CLIENT_LEVEL_PLAIN, "another root");
    expect_text(&world, CLIENT_EVENT_SUBMITTED, CLIENT_UNAVAILABLE, "certificate");
    change_client(&world, "http", NULL, WRITER);
    submit(&world, CLIENT_LEVEL_PLAIN, "in the clear");
    expect_and_free(&world, CLIENT_EVENT_SUBMITTED, CLIENT_UNAVAILABLE);
    assert_int_equal(world.loop->batches_count, 1);

    /* The certificate changes: new connections see the new one. */
    struct api_access other = access_now;
    other.tls = make_identity(1);
    api_set_access(world.api, &other);
    tls_identity_free(other.tls);
    change_client(&world, "https", roots[1], WRITER);
    submit(&world, CLIENT_LEVEL_PLAIN, "the new root");
    expect_and_free(&world, CLIENT_EVENT_SUBMITTED, CLIENT_OK);
    change_client(&world, "https", roots[0], WRITER);
    submit(&world, CLIENT_LEVEL_PLAIN, "the old root");
    expect_text(&world, CLIENT_EVENT_SUBMITTED, CLIENT_UNAVAILABLE, "certificate");

    /* One that is trusted, but of another address. */
    other.tls = make_identity(2);
    api_set_access(world.api, &other);
    tls_identity_free(other.tls);
    change_client(&world, "https", roots[2], WRITER);
    submit(&world, CLIENT_LEVEL_PLAIN, "not its address");
    expect_and_free(&world, CLIENT_EVENT_SUBMITTED, CLIENT_UNAVAILABLE);
    close_world(&world);
    close_access();
    tls_roots_free(roots[0]);
    tls_roots_free(roots[1]);
    tls_roots_free(roots[2]);
}

static void a_url_with_https_needs_roots(void **unused)
{
    (void)unused;
    struct client *client;
    struct client_channel *channel;
    assert_int_equal(client_open(&client, 0), OK);
    assert_int_equal(client_channel_open(&channel, client, "https://127.0.0.1:1"), ERR_CONFIG);
    client_close(client);
}

/* ---- envelopes ------------------------------------------------------------------------------- */

static struct public_key public_keys[3];
static struct secret_key secret_keys[3];
static uint8_t message[1 << 20];

static uint64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000u + (uint64_t)now.tv_nsec / 1000000u;
}

static struct envelope make_envelope(uint64_t nonce, const char *text)
{
    struct envelope envelope = {.network = access_now.network,
                                .key = public_keys[0],
                                .nonce = nonce,
                                .expiry_ms = now_ms() + 30000,
                                .payload = {(const uint8_t *)text, strlen(text)}};
    return envelope;
}

static void sign(struct envelope *envelope, int who)
{
    struct digest digest;
    envelope_digest(&digest, envelope);
    crypto_sign(&envelope->signature, SCOPE_ENVELOPE, &digest, &secret_keys[who]);
}

static void send_envelope(struct world *world,
                          enum client_level level,
                          const struct envelope *envelope)
{
    static uint8_t memory[ENVELOPE_BYTES_MAX];
    struct writer writer = writer_make(memory, sizeof memory);
    envelope_encode(&writer, envelope);
    assert_int_equal(
        client_submit(world->transactions, level, writer.data, writer.len, 15000, NULL), OK);
}

/* Signs, sends, and expects this code. */
static void try_envelope(struct world *world, struct envelope envelope, int who, int code)
{
    sign(&envelope, who);
    send_envelope(world, CLIENT_LEVEL_CERTIFIED, &envelope);
    expect_and_free(world, CLIENT_EVENT_SUBMITTED, code);
}

static struct allow_list *make_list(int count, const char *limits)
{
    char text[1024];
    size_t len = 0;
    struct allow_list *list;
    struct error_line error;
    for (int i = 0; i < count; i++) {
        char hex[65];
        hex_encode(hex, public_keys[i].bytes, 32);
        len += (size_t)snprintf(text + len, sizeof text - len, "key-%d %s %s\n", i, hex, limits);
    }
    struct bytes bytes = {(const uint8_t *)text, len};
    if (allow_list_parse(&list, "list", bytes, &error) != OK) fail_msg("%s", error.text);
    return list;
}

static void set_list(int count, const char *limits)
{
    access_now.allow = make_list(count, limits);
    access_now.envelope_life_ms = 60000;
    memset(access_now.network.bytes, 0x77, sizeof access_now.network.bytes);
}

/* True when some batch holds exactly this transaction. */
static bool was_ordered(const struct world *world, const char *text)
{
    for (uint32_t i = 0; i < world->loop->batches_count; i++) {
        const struct buffer *batch = world->loop->batches[i].batch;
        struct reader reader = reader_make(batch->data + BUFFER_BATCH, batch->len);
        struct bytes transaction;
        while (batch_next(&transaction, &reader))
            if (transaction.len == strlen(text) &&
                memcmp(transaction.data, text, transaction.len) == 0)
                return true;
    }
    return false;
}

static void an_envelopes_payload_is_ordered_and_each_refusal_has_its_code(void **unused)
{
    (void)unused;
    set_list(2, "");
    struct world world = open_world(with_access);
    try_envelope(&world, make_envelope(5, "payload"), 0, CLIENT_OK);
    assert_true(was_ordered(&world, "payload"));
    try_envelope(&world, make_envelope(5, "again"), 0, CLIENT_ALREADY_EXISTS);
    try_envelope(&world, make_envelope(4, "an older number"), 0, CLIENT_OK);
    try_envelope(&world, make_envelope(6, "signed by another"), 1, CLIENT_UNAUTHENTICATED);
    struct envelope envelope = make_envelope(6, "of another key");
    envelope.key = public_keys[1];
    try_envelope(&world, envelope, 1, CLIENT_OK);
    envelope.key = public_keys[2];
    try_envelope(&world, envelope, 2, CLIENT_PERMISSION_DENIED);
    envelope = make_envelope(6, "late");
    envelope.expiry_ms = now_ms() - 1;
    try_envelope(&world, envelope, 0, CLIENT_FAILED_PRECONDITION);
    envelope.expiry_ms = now_ms() + 120000;
    try_envelope(&world, envelope, 0, CLIENT_INVALID_ARGUMENT);
    envelope = make_envelope(6, "elsewhere");
    envelope.network.bytes[31] ^= 1;
    try_envelope(&world, envelope, 0, CLIENT_INVALID_ARGUMENT);
    submit(&world, CLIENT_LEVEL_PLAIN, "bare");
    expect_text(&world, CLIENT_EVENT_SUBMITTED, CLIENT_INVALID_ARGUMENT, "envelope");
    /* Nothing that was refused has used the number 6. */
    try_envelope(&world, make_envelope(6, "last"), 0, CLIENT_OK);
    try_envelope(&world, make_envelope(UINT64_C(1) << 40, "far"), 0, CLIENT_OK);
    try_envelope(&world, make_envelope(7, "below the window"), 0, CLIENT_ALREADY_EXISTS);
    static const enum api_refusal once[] = {API_REFUSED_SIGNATURE, API_REFUSED_KEY,
                                            API_REFUSED_EXPIRED,   API_REFUSED_EXPIRY,
                                            API_REFUSED_NETWORK,   API_REFUSED_ENVELOPE};
    for (size_t i = 0; i < sizeof once / sizeof once[0]; i++)
        expect_refused(&world, once[i], 1);
    expect_refused(&world, API_REFUSED_REPLAY, 2);
    static const char *const never[] = {"again", "signed by another", "late", "elsewhere", "bare"};
    for (size_t i = 0; i < sizeof never / sizeof never[0]; i++)
        assert_false(was_ordered(&world, never[i]));
    close_world(&world);
    close_access();
}

/* A batch message of envelopes of key 0 with these nonces. */
static size_t make_message(const uint64_t *nonces, size_t count)
{
    struct writer batch = writer_make(message, sizeof message);
    for (size_t i = 0; i < count; i++) {
        char text[32];
        uint8_t memory[ENVELOPE_OVERHEAD_BYTES_MAX + sizeof text];
        struct writer writer = writer_make(memory, sizeof memory);
        (void)snprintf(text, sizeof text, "number %llu", (unsigned long long)nonces[i]);
        struct envelope envelope = make_envelope(nonces[i], text);
        sign(&envelope, 0);
        envelope_encode(&writer, &envelope);
        batch_append(&batch, writer.data, writer.len);
    }
    assert_false(batch.failed);
    return batch.len;
}

static struct client_stream *open_stream(struct world *world, enum client_stream_kind kind)
{
    struct client_stream *stream;
    assert_int_equal(client_stream_open(&stream, world->transactions, kind, 1u << 20, 15000, NULL),
                     OK);
    return stream;
}

static void send_numbers(struct world *world, const uint64_t *nonces, size_t count, int code)
{
    struct client_stream *stream = open_stream(world, CLIENT_STREAM_BATCHED);
    assert_int_equal(client_stream_send(stream, message, make_message(nonces, count)), OK);
    client_stream_finish(stream);
    struct client_event *event = expect(world, CLIENT_EVENT_STREAM_DONE, code);
    if (code == CLIENT_OK) assert_int_equal(event->accepted, count);
    client_event_free(world->client, event);
}

static void a_message_of_envelopes_is_taken_or_refused_whole(void **unused)
{
    (void)unused;
    set_list(1, "");
    struct world world = open_world(with_access);
    send_numbers(&world, (const uint64_t[]){1, 2, 3}, 3, CLIENT_OK);
    send_numbers(&world, (const uint64_t[]){4, 5, 3}, 3, CLIENT_ALREADY_EXISTS);
    send_numbers(&world, (const uint64_t[]){4, 4}, 2, CLIENT_ALREADY_EXISTS);
    assert_false(was_ordered(&world, "number 4"));
    /* The refused messages have used nothing. */
    send_numbers(&world, (const uint64_t[]){4, 5, 6, 900000}, 4, CLIENT_OK);
    assert_true(was_ordered(&world, "number 4"));
    assert_true(was_ordered(&world, "number 900000"));

    struct client_stream *stream = open_stream(&world, CLIENT_STREAM_SINGLE);
    struct envelope envelope = make_envelope(900001, "single");
    sign(&envelope, 0);
    struct writer writer = writer_make(message, sizeof message);
    envelope_encode(&writer, &envelope);
    assert_int_equal(client_stream_send(stream, writer.data, writer.len), OK);
    client_stream_finish(stream);
    expect_and_free(&world, CLIENT_EVENT_STREAM_DONE, CLIENT_OK);
    assert_true(was_ordered(&world, "single"));
    send_envelope(&world, CLIENT_LEVEL_PLAIN, &envelope);
    expect_and_free(&world, CLIENT_EVENT_SUBMITTED, CLIENT_ALREADY_EXISTS);
    close_world(&world);
    close_access();
}

static void a_new_list_holds_at_once_and_forgets_no_nonce(void **unused)
{
    (void)unused;
    set_list(1, "");
    struct world world = open_world(with_access);
    struct envelope envelope = make_envelope(1, "of key 1");
    envelope.key = public_keys[1];
    try_envelope(&world, envelope, 1, CLIENT_PERMISSION_DENIED);
    try_envelope(&world, make_envelope(1, "one"), 0, CLIENT_OK);
    struct api_access other = access_now;
    other.allow = make_list(2, "");
    api_set_access(world.api, &other);
    allow_list_free(other.allow);
    try_envelope(&world, envelope, 1, CLIENT_OK);
    try_envelope(&world, make_envelope(1, "one again"), 0, CLIENT_ALREADY_EXISTS);
    other.allow = make_list(1, "");
    api_set_access(world.api, &other);
    allow_list_free(other.allow);
    envelope.nonce = 2;
    try_envelope(&world, envelope, 1, CLIENT_PERMISSION_DENIED);
    try_envelope(&world, make_envelope(2, "two"), 0, CLIENT_OK);
    close_world(&world);
    close_access();
}

/* ---- limits ---------------------------------------------------------------------------------- */

/* Submits until a call is refused; the hint that came with it. */
static uint32_t submit_until_refused(struct world *world, uint32_t calls_max, const char *part)
{
    for (uint32_t i = 0; i < calls_max; i++) {
        submit(world, CLIENT_LEVEL_ACCEPTED, "one of many");
        struct client_event *event = next_event(world);
        int code = event->code;
        uint32_t retry_ms = event->retry_ms;
        if (code != CLIENT_OK && strstr(event->text, part) == NULL) fail_msg("%s", event->text);
        client_event_free(world->client, event);
        if (code == CLIENT_OK) continue;
        assert_int_equal(code, CLIENT_RESOURCE_EXHAUSTED);
        return retry_ms;
    }
    fail_msg("nothing was refused");
    return 0;
}

static void an_address_over_its_limit_is_told_when_to_try_again(void **unused)
{
    (void)unused;
    /* So slow that the bucket does not refill while the test runs. */
    access_now.address_rates = (struct rates){0, 1};
    struct world world = open_world(with_access);
    uint32_t retry_ms = submit_until_refused(&world, 2, "address");
    /* A message of fifteen bytes is a debt of fourteen seconds, less what has passed. */
    assert_in_range(retry_ms, 1, 14000);
    expect_refused(&world, API_REFUSED_ADDRESS_LIMIT, 1);
    close_world(&world);
    close_access();
}

static void a_stream_over_a_limit_is_slowed_and_loses_nothing(void **unused)
{
    (void)unused;
    access_now.address_rates = (struct rates){200, 0};
    struct world world = open_world(with_access);
    struct writer batch = make_batch(100, 20);
    struct client_stream *stream = open_stream(&world, CLIENT_STREAM_BATCHED);
    uint64_t start_us = queue_now_us();
    for (int i = 0; i < 4; i++)
        assert_int_equal(client_stream_send(stream, batch.data, batch.len), OK);
    client_stream_finish(stream);
    struct client_event *event = expect(&world, CLIENT_EVENT_STREAM_DONE, CLIENT_OK);
    assert_int_equal(event->accepted, 400);
    client_event_free(world.client, event);
    /* 200 at once; the third message waits for the first unit, the fourth for 100 more. */
    assert_true(queue_now_us() - start_us >= 400000);
    struct api_counters counters = api_counters_of(&world);
    assert_true(counters.slowed >= 1);
    assert_int_equal(counters.refused_exhausted, 0);
    free(batch.data);
    close_world(&world);
    close_access();
}

static void a_stream_that_waits_ends_with_the_server(void **unused)
{
    (void)unused;
    access_now.address_rates = (struct rates){0, 1};
    struct world world = open_world(with_access);
    struct client_stream *stream = open_stream(&world, CLIENT_STREAM_SINGLE);
    for (int i = 0; i < 2; i++)
        assert_int_equal(client_stream_send(stream, (const uint8_t *)"twenty bytes or more", 20),
                         OK);
    uint64_t deadline_us = queue_now_us() + PATIENCE_US;
    while (api_counters_of(&world).slowed == 0 && queue_now_us() < deadline_us)
        memory_loop_turn(world.loop, 1);
    assert_int_equal(api_counters_of(&world).slowed, 1);
    api_stop(world.api);
    expect_text(&world, CLIENT_EVENT_STREAM_DONE, CLIENT_UNAVAILABLE, "stopping");
    close_world(&world);
    close_access();
}

static void one_keys_limit_is_not_anothers(void **unused)
{
    (void)unused;
    static const char text[] = "sixty bytes, which are a debt of a minute at a byte a second";
    set_list(2, "bytes=1");
    struct world world = open_world(with_access);
    try_envelope(&world, make_envelope(1, text), 0, CLIENT_OK);
    struct envelope envelope = make_envelope(2, text);
    sign(&envelope, 0);
    send_envelope(&world, CLIENT_LEVEL_ACCEPTED, &envelope);
    struct client_event *event = expect(&world, CLIENT_EVENT_SUBMITTED, CLIENT_RESOURCE_EXHAUSTED);
    assert_non_null(strstr(event->text, "key"));
    assert_in_range(event->retry_ms, 1, 1000 * sizeof text);
    client_event_free(world.client, event);
    expect_refused(&world, API_REFUSED_KEY_LIMIT, 1);
    /* A new list does not pay the debt. */
    struct api_access other = access_now;
    other.allow = make_list(2, "bytes=1");
    api_set_access(world.api, &other);
    allow_list_free(other.allow);
    try_envelope(&world, envelope, 0, CLIENT_RESOURCE_EXHAUSTED);
    envelope.key = public_keys[1];
    try_envelope(&world, envelope, 1, CLIENT_OK);
    close_world(&world);
    close_access();
}

/* ---------------------------------------------------------------------------------------------- */

static int set_up(void **state)
{
    (void)state;
    if (pki_folder_open(&pki) != 0) return -1;
    for (uint8_t i = 0; i < 3; i++) {
        uint8_t seed[32] = {i};
        crypto_key_pair(&public_keys[i], &secret_keys[i], seed);
    }
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    return pki_folder_close(&pki);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tokens_open_what_they_name_and_nothing_else),
        cmocka_unit_test(only_tls_with_the_right_certificate_gets_through),
        cmocka_unit_test(a_url_with_https_needs_roots),
        cmocka_unit_test(an_envelopes_payload_is_ordered_and_each_refusal_has_its_code),
        cmocka_unit_test(a_message_of_envelopes_is_taken_or_refused_whole),
        cmocka_unit_test(a_new_list_holds_at_once_and_forgets_no_nonce),
        cmocka_unit_test(an_address_over_its_limit_is_told_when_to_try_again),
        cmocka_unit_test(a_stream_over_a_limit_is_slowed_and_loses_nothing),
        cmocka_unit_test(a_stream_that_waits_ends_with_the_server),
        cmocka_unit_test(one_keys_limit_is_not_anothers),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
