#include "proto/client.h"

#include <grpc/byte_buffer_reader.h>
#include <grpc/grpc_security.h>
#include <grpc/support/time.h>
#include <poll.h>
#include <signal.h>
#include <sodium/utils.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/tls_files.h"
#include "proto/client_internal.h"
#include "proto/pb.h"

const char *client_code_text(int code)
{
    static const char *const names[] = {
        "OK",
        "CANCELLED",
        "UNKNOWN",
        "INVALID_ARGUMENT",
        "DEADLINE_EXCEEDED",
        "NOT_FOUND",
        "ALREADY_EXISTS",
        "PERMISSION_DENIED",
        "RESOURCE_EXHAUSTED",
        "FAILED_PRECONDITION",
        "ABORTED",
        "OUT_OF_RANGE",
        "UNIMPLEMENTED",
        "INTERNAL",
        "UNAVAILABLE",
        "DATA_LOSS",
        "UNAUTHENTICATED",
    };
    if (code < 0 || (size_t)code >= sizeof names / sizeof names[0]) return "UNKNOWN";
    return names[code];
}

/* ---- client thread --------------------------------------------------------------------------- */

struct event *client_event_new(enum client_event_kind kind, void *user)
{
    struct event *event = calloc(1, sizeof *event);
    CHECK(event != NULL);
    event->event.kind = kind;
    event->event.user = user;
    return event;
}

void client_event_post(struct client *client, struct event *event)
{
    /* The mailbox has room for all events that can be out. */
    CHECK(mailbox_post(client->events, event));
}

void ending_init(struct ending *ending)
{
    grpc_metadata_array_init(&ending->trailing);
    ending->code = GRPC_STATUS_UNKNOWN;
    ending->details = grpc_empty_slice();
}

grpc_op ending_op(struct ending *ending)
{
    grpc_op op = {.op = GRPC_OP_RECV_STATUS_ON_CLIENT};
    op.data.recv_status_on_client.trailing_metadata = &ending->trailing;
    op.data.recv_status_on_client.status = &ending->code;
    op.data.recv_status_on_client.status_details = &ending->details;
    return op;
}

/* The server's hint when to try again; 0: none. */
static uint32_t retry_of(const grpc_metadata_array *trailing)
{
    for (size_t i = 0; i < trailing->count; i++) {
        const grpc_metadata *entry = &trailing->metadata[i];
        if (grpc_slice_str_cmp(entry->key, "retry-after-ms") != 0) continue;
        const uint8_t *digits = GRPC_SLICE_START_PTR(entry->value);
        size_t len = GRPC_SLICE_LENGTH(entry->value);
        uint32_t value = 0;
        if (len > 9) return 0;
        for (size_t at = 0; at < len; at++) {
            if (digits[at] < '0' || digits[at] > '9') return 0;
            value = value * 10 + (uint32_t)(digits[at] - '0');
        }
        return value;
    }
    return 0;
}

void ending_take(struct client_event *event, struct ending *ending)
{
    event->code = (int)ending->code;
    size_t len = GRPC_SLICE_LENGTH(ending->details);
    if (len >= sizeof event->text) len = sizeof event->text - 1;
    memcpy(event->text, GRPC_SLICE_START_PTR(ending->details), len);
    event->text[len] = '\0';
    event->retry_ms = retry_of(&ending->trailing);
    grpc_slice_unref(ending->details);
    grpc_metadata_array_destroy(&ending->trailing);
    ending->details = grpc_empty_slice();
}

void client_start(struct client *client,
                  grpc_call *call,
                  const grpc_op *ops,
                  size_t count,
                  struct queue_tag *tag)
{
    client->operations++;
    CHECK(grpc_call_start_batch(call, ops, count, tag, NULL) == GRPC_CALL_OK);
}

void client_operation_ended(struct client *client)
{
    CHECK(client->operations >= 1);
    client->operations--;
}

grpc_slice client_read_message(grpc_byte_buffer *message)
{
    grpc_byte_buffer_reader reader;
    if (!grpc_byte_buffer_reader_init(&reader, message)) return grpc_empty_slice();
    grpc_slice slice = grpc_byte_buffer_reader_readall(&reader);
    grpc_byte_buffer_reader_destroy(&reader);
    return slice;
}

grpc_op client_greeting(const struct client *client, grpc_metadata *metadata)
{
    grpc_op op = {.op = GRPC_OP_SEND_INITIAL_METADATA};
    if (client->authorization == NULL) return op;
    /* A static slice of a text that lives as long as the client. */
    *metadata = (grpc_metadata){.key = grpc_slice_from_static_string("authorization"),
                                .value = grpc_slice_from_static_string(client->authorization)};
    op.data.send_initial_metadata.metadata = metadata;
    op.data.send_initial_metadata.count = 1;
    return op;
}

grpc_call *client_make_call(struct client_channel *channel, const char *method, uint64_t timeout_ms)
{
    gpr_timespec deadline = gpr_inf_future(GPR_CLOCK_REALTIME);
    if (timeout_ms > 0) {
        deadline = gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC),
                                gpr_time_from_millis((int64_t)timeout_ms, GPR_TIMESPAN));
    }
    grpc_call *call = grpc_channel_create_call(
        channel->grpc, NULL, GRPC_PROPAGATE_DEFAULTS, queue_completions(channel->client->queue),
        grpc_slice_from_static_string(method), NULL, deadline, NULL);
    CHECK(call != NULL);
    return call;
}

static void *run(void *context)
{
    struct client *client = context;
    while (!client->closing || client->operations > 0) {
        (void)queue_run(client->queue, client_exports_deadline_us(client));
        if (!client->closing) client_exports_tick(client, queue_now_us());
    }
    return NULL;
}

struct close_command {
    struct queue_tag tag;
    struct client *client;
};

static void run_close(struct queue_tag *tag, bool ok)
{
    (void)ok;
    struct close_command *command = QUEUE_ITEM(tag, struct close_command, tag);
    command->client->closing = true;
    submissions_cancel(command->client);
    streams_cancel(command->client);
    client_exports_cancel(command->client);
}

/* ---- events ---------------------------------------------------------------------------------- */

int client_fd(const struct client *client)
{
    return mailbox_fd(client->events);
}

void client_drain_fd(struct client *client)
{
    mailbox_drain_fd(client->events);
}

struct client_event *client_take(struct client *client)
{
    struct event *event;
    while ((event = mailbox_take(client->events)) != NULL) {
        bool show = true;
        if (event->stream != NULL) show = stream_take_event(event->stream, event);
        if (event->export != NULL) show = export_take_event(event->export, event);
        if (show) return &event->event;
        client_event_free(client, &event->event);
    }
    return NULL;
}

void client_event_free(struct client *client, struct client_event *shown)
{
    if (shown == NULL) return;
    struct event *event = (struct event *)(void *)shown;
    if (event->has_slice) grpc_slice_unref(event->slice);
    if (event->stream != NULL) {
        stream_free_event(event->stream, event);
    } else if (event->export != NULL) {
        export_free_event(event->export, event);
    } else {
        CHECK(client->submissions >= 1);
        client->submissions--;
    }
    free(event);
}

struct client_event *client_wait(struct client *client, int timeout_ms)
{
    uint64_t deadline_us = queue_now_us() + (uint64_t)(timeout_ms < 0 ? 0 : timeout_ms) * 1000;
    for (;;) {
        struct client_event *event = client_take(client);
        if (event != NULL) return event;
        int left_ms = -1;
        if (timeout_ms >= 0) left_ms = (int)(u64_minus(deadline_us, queue_now_us()) + 999) / 1000;
        struct pollfd poll_fd = {.fd = client_fd(client), .events = POLLIN};
        if (poll(&poll_fd, 1, left_ms) <= 0) return NULL;
        client_drain_fd(client);
    }
}

/* ---- channels -------------------------------------------------------------------------------- */

/* The target of a URL: "http://host:port", "https://host:port" and "host:port", with or without a
 * slash at the end. */
static bool parse_url(char *ret_target, size_t capacity, bool *ret_tls, const char *url)
{
    static const char scheme[] = "http://";
    static const char secure[] = "https://";
    *ret_tls = strncmp(url, secure, sizeof secure - 1) == 0;
    if (*ret_tls)
        url += sizeof secure - 1;
    else if (strncmp(url, scheme, sizeof scheme - 1) == 0)
        url += sizeof scheme - 1;
    size_t len = strlen(url);
    if (len > 0 && url[len - 1] == '/') len--;
    const char *colon = memrchr(url, ':', len);
    if (colon == NULL || colon == url || memchr(url, '/', len) != NULL) return false;
    const char *end = url + len;
    unsigned number = 0;
    if (colon + 1 == end) return false;
    for (const char *digit = colon + 1; digit < end; digit++) {
        if (*digit < '0' || *digit > '9') return false;
        number = number * 10 + (unsigned)(*digit - '0');
        if (number > UINT16_MAX) return false;
    }
    /* More colons than one are an IPv6 address, which goes in brackets. */
    bool bracketed = url[0] == '[' && colon[-1] == ']';
    if (!bracketed && memchr(url, ':', (size_t)(colon - url)) != NULL) return false;
    int written = snprintf(ret_target, capacity, "dns:///%.*s", (int)len, url);
    return number > 0 && written > 0 && (size_t)written < capacity;
}

static grpc_arg argument(const char *key, int value)
{
    grpc_arg arg = {.type = GRPC_ARG_INTEGER, .key = (char *)(uintptr_t)key};
    arg.value.integer = value;
    return arg;
}

static void run_channel_close(struct queue_tag *tag, bool ok)
{
    (void)ok;
    struct client_channel *channel = QUEUE_ITEM(tag, struct client_channel, close_tag);
    grpc_channel_destroy(channel->grpc);
    free(channel);
}

void client_secure(struct client *client, const struct tls_roots *roots, const char *token)
{
    static const char scheme[] = "Bearer ";
    CHECK(client->channels == 0);
    CHECK(!client->has_roots && client->authorization == NULL);
    client->has_roots = roots != NULL;
    if (roots != NULL && roots->text != NULL) {
        client->roots = strdup(roots->text);
        CHECK(client->roots != NULL);
    }
    if (token == NULL || token[0] == '\0') return;
    size_t capacity = sizeof scheme + strlen(token);
    client->authorization = malloc(capacity);
    CHECK(client->authorization != NULL);
    (void)snprintf(client->authorization, capacity, "%s%s", scheme, token);
}

enum status client_channel_open(struct client_channel **ret_channel,
                                struct client *client,
                                const char *url)
{
    char target[300];
    bool tls;
    if (!parse_url(target, sizeof target, &tls, url)) return ERR_CONFIG;
    if (tls && !client->has_roots) return ERR_CONFIG;
    if (client->channels >= CLIENT_CHANNELS_MAX) return ERR_FULL;
    grpc_arg args[] = {
        argument(GRPC_ARG_MAX_RECEIVE_MESSAGE_LENGTH, CLIENT_RECEIVE_BYTES_MAX),
        /* Each channel has a connection of its own, and no proxy between. */
        argument(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1),
        argument(GRPC_ARG_ENABLE_HTTP_PROXY, 0),
        argument(GRPC_ARG_ENABLE_RETRIES, 0),
        argument(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100),
        argument(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 1000),
        argument(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 2000),
        argument(GRPC_ARG_KEEPALIVE_TIME_MS, 10000),
        argument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 15000),
        argument(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0),
        argument(GRPC_ARG_HTTP2_BDP_PROBE, 0),
        argument(GRPC_ARG_HTTP2_STREAM_LOOKAHEAD_BYTES, 4 << 20),
        argument(GRPC_ARG_HTTP2_MAX_FRAME_SIZE, 1 << 20),
        argument(GRPC_ARG_TCP_READ_CHUNK_SIZE, 256 << 10),
        argument(GRPC_ARG_TCP_MAX_READ_CHUNK_SIZE, 1 << 20),
    };
    grpc_channel_args channel_args = {sizeof args / sizeof args[0], args};
    struct client_channel *channel = calloc(1, sizeof *channel);
    CHECK(channel != NULL);
    channel->client = client;
    channel->close_tag.run = run_channel_close;
    grpc_channel_credentials *credentials =
        tls ? grpc_ssl_credentials_create(client->roots, NULL, NULL, NULL)
            : grpc_insecure_credentials_create();
    CHECK(credentials != NULL);
    channel->grpc = grpc_channel_create(target, credentials, &channel_args);
    grpc_channel_credentials_release(credentials);
    CHECK(channel->grpc != NULL);
    client->channels++;
    *ret_channel = channel;
    return OK;
}

void client_channel_close(struct client_channel *channel)
{
    if (channel == NULL) return;
    CHECK(channel->client->channels >= 1);
    channel->client->channels--;
    /* Behind the commands that still use it. */
    queue_post(channel->client->queue, &channel->close_tag);
}

/* ---- life ------------------------------------------------------------------------------------ */

enum status client_open(struct client **ret_client, uint32_t submissions_max)
{
    struct client *client = calloc(1, sizeof *client);
    CHECK(client != NULL);
    client->submissions_max = submissions_max == 0 ? 1024 : submissions_max;
    size_t events_max = client->submissions_max + CLIENT_STREAMS_MAX * STREAM_EVENTS_MAX +
                        CLIENT_EXPORTS_MAX * EXPORT_EVENTS_MAX;
    enum status status = mailbox_open(&client->events, events_max);
    if (status != OK) {
        free(client);
        return status;
    }
    client->queue = queue_open();
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    CHECK(pthread_sigmask(SIG_SETMASK, &all, &before) == 0);
    bool started = pthread_create(&client->thread, NULL, run, client) == 0;
    CHECK(pthread_sigmask(SIG_SETMASK, &before, NULL) == 0);
    if (!started) {
        queue_close(client->queue);
        mailbox_close(client->events);
        free(client);
        return ERR_IO;
    }
    (void)pthread_setname_np(client->thread, "grpc-client");
    *ret_client = client;
    return OK;
}

void client_close(struct client *client)
{
    if (client == NULL) return;
    CHECK(client->channels == 0);
    struct close_command command = {.tag.run = run_close, .client = client};
    queue_post(client->queue, &command.tag);
    CHECK(pthread_join(client->thread, NULL) == 0);
    struct event *event;
    while ((event = mailbox_take(client->events)) != NULL) {
        if (event->has_slice) grpc_slice_unref(event->slice);
        free(event);
    }
    streams_free(client);
    client_exports_free(client);
    queue_close(client->queue);
    mailbox_close(client->events);
    if (client->authorization != NULL)
        sodium_memzero(client->authorization, strlen(client->authorization));
    free(client->authorization);
    free(client->roots);
    free(client);
}
