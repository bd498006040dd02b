#include "sequencer/rollup_client.h"

#include <event2/event.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/http_client.h"
#include "common/log.h"
#include "sequencer/rollup_heads.h"

/* A head's values are small; the largest value read is a kernel. */
#define RESPONSE_BYTES_MAX (32u * 1024u * 1024u)
#define CALL_TIMEOUT_MS    10000u

/* Without a new block for so long the stream is taken for dead: opened again, and the head is asked for. Above the time of
 * a block on L1, so that this is rare there. */
#define STREAM_TIMEOUT_MS 20000u

#define RETRY_US_MIN      250000u
#define RETRY_US_MAX      5000000u

struct call {
    struct rollup_client *client;
    struct http_call *http;
    rollup_done *done;
    void *context;
    struct call *next;
    struct call *previous;
    char path[400];
};

struct rollup_client {
    struct event_base *base;
    struct rollup_client_options options;
    struct call calls; /* head of a ring */
    struct http_call *stream;
    struct event *retry;
    uint64_t retry_us;
    struct rollup_heads heads;
    char head[ROLLUP_HASH_BYTES];
    bool up;
    struct log_change up_logged;
};

static void set_up(struct rollup_client *client, bool up, const char *what, const char *failure)
{
    char address[ADDRESS_TEXT_BYTES_MAX];

    client->up = up;
    if (!log_changed(&client->up_logged, up)) return;
    address_format(address, &client->options.node);
    if (up) {
        log_info("rollup: node %s answers", address);
    } else {
        log_warn("rollup: node %s: %s: %s; trying again", address, what, failure);
    }
}

bool rollup_client_is_up(const struct rollup_client *client)
{
    return client->up;
}

/* ---- calls ----------------------------------------------------------------------------------- */

static void call_unlink(struct call *call)
{
    call->next->previous = call->previous;
    call->previous->next = call->next;
}

static void on_call_done(void *context, const struct http_response *response)
{
    struct call *call = context;
    json_t *json = NULL;
    char failure[256];

    call_unlink(call);
    if (response->code == 200) {
        json = json_loadb((const char *)response->body.data, response->body.len, JSON_DECODE_ANY,
                          NULL);
        snprintf(failure, sizeof failure, "%.100s: not JSON", call->path);
    } else if (response->code == 0) {
        snprintf(failure, sizeof failure, "%.100s: %s", call->path, response->failure);
    } else {
        snprintf(failure, sizeof failure, "%.100s: status %d: %.*s", call->path, response->code,
                 (int)u64_min(response->body.len, 100), (const char *)response->body.data);
    }
    call->done(call->context, json, json == NULL ? failure : NULL);
    json_decref(json);
    free(call);
}

static struct call *call_new(struct rollup_client *client, rollup_done *done, void *context)
{
    struct call *call = calloc(1, sizeof *call);

    CHECK(call != NULL);
    *call = (struct call){.client = client, .done = done, .context = context};
    call->next = &client->calls;
    call->previous = client->calls.previous;
    call->next->previous = call;
    call->previous->next = call;
    return call;
}

static void call_start(struct call *call, bool batcher, const char *body)
{
    const struct rollup_client_options *client = &call->client->options;
    struct http_call_options options = {
        .address = batcher ? client->batcher : client->node,
        .tls = batcher ? client->batcher_tls : client->node_tls,
        .method = body == NULL ? "GET" : "POST",
        .path = call->path,
        .content_type = "application/json",
        .timeout_ms = CALL_TIMEOUT_MS,
        .response_bytes_max = RESPONSE_BYTES_MAX,
        .on_done = on_call_done,
        .context = call,
    };

    if (body != NULL) options.body = (struct bytes){(const uint8_t *)body, strlen(body)};
    call->http = http_call_start(call->client->base, &options);
}

void rollup_get(struct rollup_client *client,
                rollup_done *done,
                void *context,
                const char *format,
                ...)
{
    struct call *call = call_new(client, done, context);
    va_list arguments;

    va_start(arguments, format);
    int len = vsnprintf(call->path, sizeof call->path, format, arguments);
    va_end(arguments);
    CHECK(len >= 0 && (size_t)len < sizeof call->path);
    call_start(call, false, NULL);
}

void rollup_get_value(struct rollup_client *client,
                      rollup_done *done,
                      void *context,
                      const char *block,
                      const char *path)
{
    rollup_get(client, done, context, "/global/block/%s/durable/wasm_2_0_0/value?key=%s", block,
               path);
}

void rollup_get_subkeys(struct rollup_client *client,
                        rollup_done *done,
                        void *context,
                        const char *block,
                        const char *path)
{
    rollup_get(client, done, context, "/global/block/%s/durable/wasm_2_0_0/subkeys?key=%s", block,
               path);
}

void rollup_inject(struct rollup_client *client,
                   rollup_done *done,
                   void *context,
                   const json_t *messages,
                   bool drop_duplicate)
{
    struct call *call = call_new(client, done, context);
    char *body = json_dumps(messages, JSON_COMPACT);

    CHECK(body != NULL);
    snprintf(call->path, sizeof call->path, "/local/batcher/injection?drop_duplicate=%s",
             drop_duplicate ? "true" : "false");
    call_start(call, true, body);
    free(body);
}

void rollup_get_message(struct rollup_client *client,
                        rollup_done *done,
                        void *context,
                        const char *id)
{
    struct call *call = call_new(client, done, context);

    snprintf(call->path, sizeof call->path, "/local/batcher/queue/%.100s", id);
    call_start(call, true, NULL);
}

/* ---- heads ----------------------------------------------------------------------------------- */

static void take_head(void *context, int32_t level, const char *hash)
{
    struct rollup_client *client = context;

    set_up(client, true, NULL, NULL);
    if (strcmp(hash, client->head) == 0) return;
    memcpy(client->head, hash, strlen(hash) + 1);
    client->options.on_head(client->options.context, level, client->head);
}

static void on_chunk(void *context, const uint8_t *data, size_t len)
{
    struct rollup_client *client = context;

    client->retry_us = RETRY_US_MIN;
    rollup_heads_add(&client->heads, data, len, take_head, client);
}

static void retry_later(struct rollup_client *client)
{
    const struct timeval wait = {(time_t)(client->retry_us / 1000000),
                                 (suseconds_t)(client->retry_us % 1000000)};

    event_add(client->retry, &wait);
    client->retry_us = u64_min(2 * client->retry_us, RETRY_US_MAX);
}

/* A head that was asked for, and whose level is. */
struct polled {
    struct rollup_client *client;
    char hash[ROLLUP_HASH_BYTES];
};

static void on_polled_level(void *context, const json_t *json, const char *failure)
{
    struct polled *polled = context;
    int32_t level;

    if (failure == NULL && rollup_read_level(&level, json))
        take_head(polled->client, level, polled->hash);
    free(polled);
}

static void on_polled_hash(void *context, const json_t *json, const char *failure)
{
    struct rollup_client *client = context;
    char hash[ROLLUP_HASH_BYTES];

    if (failure != NULL) {
        set_up(client, false, "head", failure);
        return;
    }
    if (!rollup_read_hash(hash, json)) return;
    set_up(client, true, NULL, NULL);
    if (strcmp(hash, client->head) == 0) return;
    struct polled *polled = malloc(sizeof *polled);
    CHECK(polled != NULL);
    polled->client = client;
    memcpy(polled->hash, hash, sizeof hash);
    rollup_get(client, on_polled_level, polled, "/global/block/%s/level", polled->hash);
}

static void on_stream_done(void *context, const struct http_response *response)
{
    struct rollup_client *client = context;

    (void)response;
    client->stream = NULL;
    rollup_get(client, on_polled_hash, client, "/global/block/head/hash");
    retry_later(client);
}

static void open_stream(struct rollup_client *client)
{
    const struct http_call_options options = {
        .address = client->options.node,
        .tls = client->options.node_tls,
        .method = "GET",
        .path = "/global/monitor_blocks",
        .timeout_ms = STREAM_TIMEOUT_MS,
        .response_bytes_max = ROLLUP_HEADS_BYTES_MAX,
        .on_chunk = on_chunk,
        .on_done = on_stream_done,
        .context = client,
    };

    client->heads.len = 0;
    client->stream = http_call_start(client->base, &options);
}

static void on_retry(evutil_socket_t fd, short what, void *context)
{
    (void)fd;
    (void)what;
    open_stream(context);
}

struct rollup_client *rollup_client_open(struct event_base *base,
                                         const struct rollup_client_options *options)
{
    struct rollup_client *client = calloc(1, sizeof *client);

    CHECK(client != NULL);
    client->base = base;
    client->options = *options;
    client->calls.next = client->calls.previous = &client->calls;
    client->retry_us = RETRY_US_MIN;
    client->retry = event_new(base, -1, 0, on_retry, client);
    CHECK(client->retry != NULL);
    open_stream(client);
    return client;
}

void rollup_client_close(struct rollup_client *client)
{
    if (client == NULL) return;
    client->up = false;
    while (client->calls.next != &client->calls) {
        struct call *call = client->calls.next;
        call_unlink(call);
        http_call_cancel(call->http);
        call->done(call->context, NULL, "closing");
        free(call);
    }
    http_call_cancel(client->stream);
    event_free(client->retry);
    free(client);
}
