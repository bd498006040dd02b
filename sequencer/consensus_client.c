#include "sequencer/consensus_client.h"

#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/limits.h"
#include "common/log.h"
#include "proto/client.h"
#include "sequencer/subdag_preblock.h"

/* Transactions on their way to the nodes. */
#define SUBMISSIONS_MAX 1024u

/* For one node to answer a submission. Committing takes a second at the most when the network is well. */
#define SUBMIT_TIMEOUT_MS 10000u

/* Pre-blocks in a row without a certificate of their own: more do not fit one segment, so the next node is
 * asked. */
#define UNCERTIFIED_MAX 20u

struct remote {
    struct consensus consensus; /* first */
    struct client *client;
    struct event *readable;
    struct client_channel *primaries[CLIENT_EXPORT_CHANNELS_MAX];
    uint32_t primaries_count;
    struct client_channel *workers[CONFIG_LIST_MAX];
    uint32_t workers_count;
    uint32_t worker; /* that took the last transaction */
    const struct committee *committee;
    struct consensus_stream *streams;
    struct pending *pendings;
};

struct pending;

struct consensus_stream {
    struct remote *remote;
    struct consensus_stream *next;
    struct consensus_follow follow;
    struct client_export *export;
    struct verify *verify;
    uint64_t last; /* delivered */
    struct digest last_digest;
    bool has_digest;
    struct da_preblock *waiting[UNCERTIFIED_MAX]; /* for a certificate */
    uint32_t waiting_count;
    struct client_event *held[CLIENT_EXPORT_AHEAD]; /* while paused */
    uint32_t held_count;
    struct event *resume;
    bool up;
    bool paused;
    bool closed; /* waits for its EXPORT_DONE */
    struct log_change up_logged;
};

struct pending {
    struct remote *remote;
    struct pending *next;
    struct pending **link; /* what points to this one */
    struct submission submission;
    uint32_t first; /* worker that was tried first */
    uint32_t tried;
    uint8_t *data;
    size_t len;
};

/* ---- pre-blocks ------------------------------------------------------------------------------ */

static void drop_waiting(struct consensus_stream *stream)
{
    while (stream->waiting_count > 0)
        da_preblock_free(stream->waiting[--stream->waiting_count]);
}

/* The node is left for the next, from the last pre-block delivered on. */
static void leave_node(struct consensus_stream *stream,
                       const struct client_event *event,
                       const char *text)
{
    log_warn("consensus: node %u: pre-block %llu: %s; going to the next node", event->channel + 1,
             (unsigned long long)event->id, text);
    drop_waiting(stream);
    verify_close(stream->verify);
    stream->verify = verify_open(stream->remote->committee);
    client_export_next_channel(stream->export, stream->last);
}

/* Hands on what waited and the certified pre-block that covers it. */
static void deliver(struct consensus_stream *stream)
{
    uint32_t count = stream->waiting_count;

    stream->waiting_count = 0;
    for (uint32_t i = 0; i < count; i++) {
        struct da_preblock *preblock = stream->waiting[i];
        if (stream->closed) {
            da_preblock_free(preblock);
            continue;
        }
        stream->last = preblock->header.index;
        stream->last_digest = preblock->digest;
        stream->has_digest = true;
        stream->follow.on_preblock(stream->follow.context, preblock);
    }
}

static void take_subdag(struct consensus_stream *stream, const struct client_event *event)
{
    struct verify_item item;
    struct da_preblock *preblock;
    char text[VERIFY_TEXT_BYTES];

    if (event->id != stream->last + stream->waiting_count + 1)
        return; /* sent before we left that node */
    if (verify_next(stream->verify, &item, text, event->subdag, false) != OK) {
        leave_node(stream, event, text);
        return;
    }
    if (stream->waiting_count == 0 && stream->has_digest &&
        !digest_equal(&item.preblock.previous, &stream->last_digest)) {
        leave_node(stream, event, "does not chain to the pre-block before");
        return;
    }
    enum status status = subdag_preblock_make(&preblock, &item, event->subdag);
    if (status != OK) {
        leave_node(stream, event, status_text(status));
        return;
    }
    if (stream->waiting_count + 1 == UNCERTIFIED_MAX && !item.certified) {
        da_preblock_free(preblock);
        leave_node(stream, event, "too many pre-blocks without a certificate");
        return;
    }
    stream->waiting[stream->waiting_count++] = preblock;
    if (item.certified) deliver(stream);
}

/* ---- streams --------------------------------------------------------------------------------- */

static void free_held(struct consensus_stream *stream)
{
    for (uint32_t i = 0; i < stream->held_count; i++)
        client_event_free(stream->remote->client, stream->held[i]);
    stream->held_count = 0;
}

static void stream_free(struct consensus_stream *stream)
{
    struct consensus_stream **link = &stream->remote->streams;

    while (*link != stream)
        link = &(*link)->next;
    *link = stream->next;
    free_held(stream);
    drop_waiting(stream);
    verify_close(stream->verify);
    event_free(stream->resume);
    free(stream);
}

/* True when the event is kept for later. */
static bool stream_event(struct consensus_stream *stream, struct client_event *event)
{
    switch (event->kind) {
    case CLIENT_EVENT_EXPORT_UP:
        stream->up = true;
        if (log_changed(&stream->up_logged, 1))
            log_info("consensus: following pre-blocks after %llu from node %u",
                     (unsigned long long)stream->last, event->channel + 1);
        break;
    case CLIENT_EVENT_EXPORT_DOWN:
        stream->up = false;
        drop_waiting(stream);
        if (!stream->closed && log_changed(&stream->up_logged, 0))
            log_warn("consensus: node %u: %s: %s; trying the next", event->channel + 1,
                     client_code_text(event->code), event->text);
        break;
    case CLIENT_EVENT_SUBDAG:
        if (stream->closed) break;
        if (stream->paused || stream->held_count > 0) {
            CHECK(stream->held_count < CLIENT_EXPORT_AHEAD);
            stream->held[stream->held_count++] = event;
            return true;
        }
        take_subdag(stream, event);
        break;
    case CLIENT_EVENT_EXPORT_DONE:
        stream->export = NULL;
        stream->up = false;
        if (stream->closed) {
            event_active(stream->resume, 0, 0); /* frees the stream */
        } else {
            stream->follow.on_ended(stream->follow.context, event->text);
        }
        break;
    case CLIENT_EVENT_SUBMITTED:
    case CLIENT_EVENT_WRITABLE:
    case CLIENT_EVENT_STREAM_DONE:
        break;
    }
    return false;
}

static void on_resume(evutil_socket_t fd, short what, void *context)
{
    struct consensus_stream *stream = context;

    (void)fd;
    (void)what;
    while (stream->held_count > 0 && !stream->paused && !stream->closed) {
        struct client_event *event = stream->held[0];
        stream->held_count--;
        memmove(stream->held, stream->held + 1, stream->held_count * sizeof stream->held[0]);
        take_subdag(stream, event);
        client_event_free(stream->remote->client, event);
    }
    if (stream->closed && stream->export == NULL) stream_free(stream);
}

static void remote_pause(struct consensus_stream *stream, bool pause)
{
    stream->paused = pause;
    if (!pause && stream->held_count > 0) event_active(stream->resume, 0, 0);
}

static struct consensus_stream *remote_open_stream(struct consensus *consensus,
                                                   const struct consensus_follow *follow)
{
    struct remote *remote = (struct remote *)consensus;
    struct consensus_stream *stream = calloc(1, sizeof *stream);

    CHECK(stream != NULL);
    stream->remote = remote;
    stream->follow = *follow;
    stream->last = follow->from;
    stream->verify = verify_open(remote->committee);
    stream->resume = event_new(event_get_base(remote->readable), -1, 0, on_resume, stream);
    CHECK(stream->resume != NULL);
    CHECK(client_export_open(&stream->export, remote->client, remote->primaries,
                             remote->primaries_count, follow->from, true, stream) == OK);
    stream->next = remote->streams;
    remote->streams = stream;
    return stream;
}

static void remote_close_stream(struct consensus_stream *stream)
{
    stream->closed = true;
    free_held(stream);
    drop_waiting(stream);
    if (stream->export == NULL) {
        event_active(stream->resume, 0, 0);
    } else {
        client_export_close(stream->export);
    }
}

/* ---- submissions ----------------------------------------------------------------------------- */

static void pending_free(struct pending *pending)
{
    *pending->link = pending->next;
    if (pending->next != NULL) pending->next->link = pending->link;
    free(pending->data);
    free(pending);
}

static void pending_end(struct pending *pending,
                        enum submitted result,
                        uint64_t index,
                        const char *text)
{
    pending->submission.done(pending->submission.context, result, index, text);
    pending_free(pending);
}

static void pending_try(struct pending *pending)
{
    struct remote *remote = pending->remote;
    struct client_channel *worker =
        remote->workers[(pending->first + pending->tried) % remote->workers_count];
    enum status status = client_submit(
        worker, pending->submission.committed ? CLIENT_LEVEL_COMMITTED : CLIENT_LEVEL_DEFAULT,
        pending->data, pending->len, SUBMIT_TIMEOUT_MS, pending);

    if (status == ERR_FULL) {
        pending_end(pending, SUBMITTED_BUSY, 0, "too many transactions are on their way");
    } else if (status != OK) {
        pending_end(pending, SUBMITTED_REFUSED, 0, status_text(status));
    }
}

/* What no other node would judge otherwise: the bytes are bad, or an envelope has had its time. */
static bool is_final(int code)
{
    return code == CLIENT_INVALID_ARGUMENT || code == CLIENT_FAILED_PRECONDITION ||
           code == CLIENT_ALREADY_EXISTS;
}

static void on_submitted(struct pending *pending, const struct client_event *event)
{
    struct remote *remote = pending->remote;

    if (event->code == CLIENT_OK) {
        remote->worker = (pending->first + pending->tried) % remote->workers_count;
        pending_end(pending, SUBMITTED_OK, event->index, "");
        return;
    }
    if (is_final(event->code)) {
        pending_end(pending, SUBMITTED_REFUSED, 0, event->text);
        return;
    }
    if (++pending->tried < remote->workers_count) {
        pending_try(pending);
        return;
    }
    const char *text = event->text[0] != '\0' ? event->text : client_code_text(event->code);
    if (event->code == CLIENT_PERMISSION_DENIED || event->code == CLIENT_UNAUTHENTICATED)
        pending_end(pending, SUBMITTED_REFUSED, 0, text);
    else
        pending_end(pending,
                    event->code == CLIENT_RESOURCE_EXHAUSTED ? SUBMITTED_BUSY : SUBMITTED_DOWN, 0,
                    text);
}

static void remote_submit(struct consensus *consensus,
                          const uint8_t *transaction,
                          size_t len,
                          const struct submission *submission)
{
    struct remote *remote = (struct remote *)consensus;
    struct pending *pending = calloc(1, sizeof *pending);

    CHECK(pending != NULL);
    *pending = (struct pending){
        .remote = remote,
        .next = remote->pendings,
        .link = &remote->pendings,
        .submission = *submission,
        .first = remote->worker,
        .data = malloc(len + 1),
        .len = len,
    };
    CHECK(pending->data != NULL);
    memcpy(pending->data, transaction, len);
    if (pending->next != NULL) pending->next->link = &pending->next;
    remote->pendings = pending;
    pending_try(pending);
}

/* ---- life ------------------------------------------------------------------------------------ */

static void on_readable(evutil_socket_t fd, short what, void *context)
{
    struct remote *remote = context;
    struct client_event *event;

    (void)fd;
    (void)what;
    client_drain_fd(remote->client);
    while ((event = client_take(remote->client)) != NULL) {
        if (event->kind == CLIENT_EVENT_SUBMITTED) {
            on_submitted(event->user, event);
        } else if (stream_event(event->user, event)) {
            continue;
        }
        client_event_free(remote->client, event);
    }
}

static bool remote_is_up(const struct consensus *consensus)
{
    const struct remote *remote = (const struct remote *)consensus;

    for (const struct consensus_stream *stream = remote->streams; stream != NULL;
         stream = stream->next) {
        if (stream->up) return true;
    }
    return false;
}

static void remote_close(struct consensus *consensus)
{
    struct remote *remote = (struct remote *)consensus;

    for (struct consensus_stream *stream = remote->streams; stream != NULL; stream = stream->next)
        free_held(stream);
    for (uint32_t i = 0; i < remote->primaries_count; i++)
        client_channel_close(remote->primaries[i]);
    for (uint32_t i = 0; i < remote->workers_count; i++)
        client_channel_close(remote->workers[i]);
    if (remote->readable != NULL) event_free(remote->readable);
    client_close(remote->client);
    while (remote->streams != NULL)
        stream_free(remote->streams);
    while (remote->pendings != NULL)
        pending_end(remote->pendings, SUBMITTED_DOWN, 0, "stopping");
    free(remote);
}

static const struct consensus_ops remote_ops = {
    .close = remote_close,
    .open = remote_open_stream,
    .pause = remote_pause,
    .close_stream = remote_close_stream,
    .submit = remote_submit,
    .is_up = remote_is_up,
};

static enum status open_channels(struct client_channel **ret_channels,
                                 uint32_t *ret_count,
                                 struct client *client,
                                 const struct config_list *urls,
                                 uint32_t max,
                                 const char *flag,
                                 struct error_line *error)
{
    if (urls->count == 0 || urls->count > max)
        return error_line_set(error, ERR_CONFIG, "%s: expected 1 to %u URLs", flag, max);
    for (size_t i = 0; i < urls->count; i++) {
        enum status status = client_channel_open(&ret_channels[i], client, urls->items[i]);
        if (status != OK)
            return error_line_set(error, ERR_CONFIG,
                                  "%s: %s: expected http://host:port or https://host:port", flag,
                                  urls->items[i]);
        *ret_count = (uint32_t)i + 1;
    }
    return OK;
}

enum status consensus_client_open(struct consensus **ret_consensus,
                                  struct event_base *base,
                                  const struct consensus_client_options *options,
                                  struct error_line *error)
{
    struct remote *remote = calloc(1, sizeof *remote);

    CHECK(remote != NULL);
    remote->consensus.ops = &remote_ops;
    remote->committee = options->committee;
    enum status status = client_open(&remote->client, SUBMISSIONS_MAX);
    if (status != OK) {
        free(remote);
        return error_line_set(error, status, "gRPC client: %s", status_text(status));
    }
    client_secure(remote->client, options->access->roots, options->access->token);
    status =
        open_channels(remote->primaries, &remote->primaries_count, remote->client,
                      options->primaries, CLIENT_EXPORT_CHANNELS_MAX, "--primary-node-url", error);
    if (status == OK)
        status = open_channels(remote->workers, &remote->workers_count, remote->client,
                               options->workers, CONFIG_LIST_MAX, "--worker-node-url", error);
    if (status != OK) {
        remote_close(&remote->consensus);
        return status;
    }
    remote->readable =
        event_new(base, client_fd(remote->client), EV_READ | EV_PERSIST, on_readable, remote);
    CHECK(remote->readable != NULL);
    event_add(remote->readable, NULL);
    *ret_consensus = &remote->consensus;
    return OK;
}
