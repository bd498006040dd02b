#include "consensus/tools/load.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "common/batch.h"
#include "common/bytes.h"
#include "common/envelope.h"
#include "common/limits.h"
#include "consensus/tools/stamp.h"

#define MESSAGE_BYTES_MAX (4u * 1024u * 1024u - 4096u)
#define TICK_US           2000u
#define REOPEN_US         200000u

struct load_stream {
    struct load *load;
    uint32_t channel;
    struct client_stream *stream; /* NULL: to be opened at reopen_us */
    bool writable;
    uint64_t reopen_us;
    uint64_t sent; /* transactions since it was opened */
};

struct load {
    struct load_options options;
    struct client *client;
    struct client_channel **channels;
    struct load_stream streams[LOAD_STREAMS_MAX];
    uint32_t next_stream;
    uint64_t started_us;
    uint64_t random;
    uint8_t *message; /* one message is built here */
    uint8_t *noise;   /* random bytes that transactions are cut from */
    bool finishing;
    struct load_counters counters;
    char error[CLIENT_TEXT_BYTES + 32];
};

static uint64_t now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000u + (uint64_t)now.tv_nsec / 1000u;
}

/* xorshift64*: payload has to be incompressible and distinct, not secret. */
static uint64_t next_random(struct load *load)
{
    load->random ^= load->random >> 12;
    load->random ^= load->random << 25;
    load->random ^= load->random >> 27;
    return load->random * 2685821657736338717u;
}

static enum status open_channels(struct load *load, const char **ret_bad)
{
    load->channels = calloc(load->options.endpoints_count, sizeof(struct client_channel *));
    CHECK(load->channels != NULL);
    for (uint32_t i = 0; i < load->options.endpoints_count; i++) {
        enum status status =
            client_channel_open(&load->channels[i], load->client, load->options.endpoints[i]);
        if (status == OK) continue;
        *ret_bad = load->options.endpoints[i];
        return status;
    }
    return OK;
}

enum status load_open(struct load **ret_load,
                      const char **ret_bad,
                      const struct load_options *options)
{
    struct load *load = calloc(1, sizeof *load);
    enum status status;

    CHECK(load != NULL);
    CHECK(options->streams >= 1 && options->streams <= LOAD_STREAMS_MAX);
    CHECK(options->size_min >= STAMP_BYTES && options->size_min <= options->size_max);
    CHECK(options->size_max <= TRANSACTION_BYTES_MAX);
    load->options = *options;
    load->random = options->seed | 1;
    load->message = malloc(MESSAGE_BYTES_MAX);
    load->noise = malloc(2u * TRANSACTION_BYTES_MAX);
    CHECK(load->message != NULL);
    CHECK(load->noise != NULL);
    for (size_t i = 0; i < 2u * TRANSACTION_BYTES_MAX; i += 8) {
        uint64_t value = next_random(load);
        memcpy(load->noise + i, &value, sizeof value);
    }
    status = client_open(&load->client, 0);
    if (status == OK) client_secure(load->client, options->access->roots, options->access->token);
    if (status == OK) status = open_channels(load, ret_bad);
    if (status != OK) {
        load_close(load);
        return status;
    }
    for (uint32_t i = 0; i < options->streams; i++)
        load->streams[i] =
            (struct load_stream){.load = load, .channel = i % options->endpoints_count};
    load->started_us = now_us();
    *ret_load = load;
    return OK;
}

void load_close(struct load *load)
{
    if (load == NULL) return;
    for (uint32_t i = 0; load->channels != NULL && i < load->options.endpoints_count; i++)
        client_channel_close(load->channels[i]);
    client_close(load->client);
    free(load->channels);
    free(load->message);
    free(load->noise);
    free(load);
}

/* ---- streams --------------------------------------------------------------------------------- */

static void reopen(struct load *load, struct load_stream *stream, uint64_t now)
{
    enum client_stream_kind kind =
        load->options.group > 1 ? CLIENT_STREAM_BATCHED : CLIENT_STREAM_SINGLE;

    if (stream->stream != NULL || now < stream->reopen_us || load->finishing) return;
    stream->reopen_us = now + REOPEN_US;
    stream->sent = 0;
    stream->writable = client_stream_open(&stream->stream, load->channels[stream->channel], kind,
                                          load->options.window_bytes, 0, stream) == OK;
}

static void stream_done(struct load *load, const struct client_event *event)
{
    struct load_stream *stream = event->user;

    if (event->code == CLIENT_OK) {
        load->counters.acknowledged += stream->sent;
    } else {
        load->counters.failed += stream->sent;
        load->counters.stream_errors++;
        snprintf(load->error, sizeof load->error, "%s: %s", client_code_text(event->code),
                 event->text);
    }
    stream->stream = NULL;
    stream->writable = false;
    stream->reopen_us = now_us() + REOPEN_US;
}

static void take_events(struct load *load, int timeout_ms)
{
    struct client_event *event = client_wait(load->client, timeout_ms);

    while (event != NULL) {
        if (event->kind == CLIENT_EVENT_WRITABLE) {
            ((struct load_stream *)event->user)->writable = true;
        } else if (event->kind == CLIENT_EVENT_STREAM_DONE) {
            stream_done(load, event);
        }
        client_event_free(load->client, event);
        event = client_take(load->client);
    }
}

/* ---- sending --------------------------------------------------------------------------------- */

/* Writes one transaction: stamp, a running number that makes it distinct, noise. */
static uint32_t make_transaction(struct load *load, uint8_t *ret, uint64_t stamp_ms)
{
    uint32_t span = load->options.size_max - load->options.size_min + 1;
    uint64_t random = next_random(load);
    uint32_t size = load->options.size_min + (uint32_t)((random >> 32) % span);

    memcpy(ret, load->noise + (random % TRANSACTION_BYTES_MAX), size);
    stamp_write(ret, stamp_ms);
    if (size >= STAMP_BYTES + 8) memcpy(ret + STAMP_BYTES, &random, sizeof random);
    return size;
}

/* Builds and sends one message of up to `count` transactions; false when the stream does not take
 * it. */
static bool send_message(struct load *load, struct load_stream *stream, uint64_t count)
{
    static uint8_t payload[TRANSACTION_BYTES_MAX];
    static uint8_t envelope[ENVELOPE_BYTES_MAX];
    struct signer *signer = load->options.signer;
    const uint8_t *transaction = signer == NULL ? payload : envelope;
    struct writer writer = writer_make(load->message, MESSAGE_BYTES_MAX);
    uint64_t stamp_ms = stamp_now_ms();
    uint64_t made = 0;
    enum status status;

    while (made < count) {
        size_t size = make_transaction(load, payload, stamp_ms);
        if (signer != NULL) size = signer_wrap(signer, envelope, (struct bytes){payload, size});
        if (load->options.group == 1) {
            writer_copy(&writer, transaction, size);
            made = 1;
            break;
        }
        if (writer.len + batch_entry_bytes(size) > MESSAGE_BYTES_MAX) break;
        batch_append(&writer, transaction, size);
        made++;
    }
    status = client_stream_send(stream->stream, writer.data, writer.len);
    if (status != OK) {
        stream->writable = false;
        return false;
    }
    stream->sent += made;
    load->counters.sent += made;
    load->counters.sent_bytes += writer.len;
    return true;
}

static uint64_t due(const struct load *load, uint64_t now)
{
    uint64_t total;
    if (load->options.rate == 0) return UINT64_MAX;
    total = (uint64_t)((double)load->options.rate * (double)(now - load->started_us) / 1e6);
    return u64_minus(total, load->counters.sent);
}

/* One round over the streams, starting where the last one ended. */
static void send_due(struct load *load, uint64_t now)
{
    uint64_t left = due(load, now);
    uint32_t full = 0;

    while (left > 0 && full < load->options.streams) {
        struct load_stream *stream = &load->streams[load->next_stream];
        uint64_t count = u64_min(left, load->options.group);

        load->next_stream = (load->next_stream + 1) % load->options.streams;
        if (!stream->writable || !send_message(load, stream, count)) {
            full++;
            continue;
        }
        full = 0;
        if (left != UINT64_MAX) left -= count;
        if (load->options.rate == 0 && load->counters.sent % 4096 < load->options.group) break;
    }
    if (full == load->options.streams && load->options.rate > 0) load->counters.late++;
}

void load_run(struct load *load, uint32_t ms)
{
    uint64_t end = now_us() + (uint64_t)ms * 1000u;
    uint64_t now;

    while ((now = now_us()) < end) {
        for (uint32_t i = 0; i < load->options.streams; i++)
            reopen(load, &load->streams[i], now);
        send_due(load, now);
        take_events(load, load->options.rate == 0 ? 1 : (int)(TICK_US / 1000));
    }
}

static bool any_open(const struct load *load)
{
    for (uint32_t i = 0; i < load->options.streams; i++)
        if (load->streams[i].stream != NULL) return true;
    return false;
}

void load_finish(struct load *load, uint32_t ms)
{
    uint64_t end = now_us() + (uint64_t)ms * 1000u;

    load->finishing = true;
    for (uint32_t i = 0; i < load->options.streams; i++)
        if (load->streams[i].stream != NULL) client_stream_finish(load->streams[i].stream);
    while (any_open(load) && now_us() < end)
        take_events(load, 50);
    for (uint32_t i = 0; i < load->options.streams; i++)
        if (load->streams[i].stream != NULL) client_stream_cancel(load->streams[i].stream);
    end = now_us() + 1000000u;
    while (any_open(load) && now_us() < end)
        take_events(load, 50);
}

void load_get_counters(const struct load *load, struct load_counters *ret_counters)
{
    *ret_counters = load->counters;
}

const char *load_last_error(const struct load *load)
{
    return load->error;
}
