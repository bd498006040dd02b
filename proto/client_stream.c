#include <stdlib.h>

#include "proto/client_internal.h"
#include "proto/pb.h"
#include "proto/receipt.h"

/* A message on its way from the program to gRPC. */
struct message {
    struct queue_tag tag;
    struct client_stream *stream;
    struct message *next;
    grpc_byte_buffer *bytes;
    size_t len;
};

/* Credit: the window is counted by the program; the client gives back what gRPC took in events of
 * half a window or more, so at most two are out at once. A send is refused only while more than
 * half a window is used, so a refusal is always followed by such an event. */
struct client_stream {
    struct client *client;
    struct client_channel *channel; /* used in start only */
    enum client_stream_kind kind;
    size_t window;
    uint32_t timeout_ms;
    void *user;
    /* program */
    size_t used;   /* of the window */
    bool refused;  /* a send found the window full: say when it is not */
    bool finished; /* no more sends */
    bool cancelled;
    /* client */
    struct client_stream *next;
    struct client_stream *previous;
    grpc_call *call;
    struct message *first; /* not given to gRPC yet */
    struct message **last;
    bool sending;
    struct message *sent; /* in gRPC's hands */
    size_t credit;
    bool half_close; /* asked for */
    bool half_closed;
    bool done;        /* the status came */
    bool posted;      /* STREAM_DONE was posted */
    unsigned pending; /* operations */
    grpc_metadata_array initial;
    grpc_byte_buffer *response;
    struct ending ending;
    struct queue_tag start_tag;
    struct queue_tag greet_tag;
    struct queue_tag send_tag;
    struct queue_tag close_tag;
    struct queue_tag done_tag;
    struct queue_tag finish_tag;
    struct queue_tag cancel_tag;
    struct queue_tag free_tag;
};

/* ---- client thread --------------------------------------------------------------------------- */

static void start(struct client_stream *stream,
                  const grpc_op *ops,
                  size_t count,
                  struct queue_tag *tag)
{
    stream->pending++;
    client_start(stream->client, stream->call, ops, count, tag);
}

static void free_message(struct message *message)
{
    grpc_byte_buffer_destroy(message->bytes);
    free(message);
}

/* What cannot be read counts as nothing. */
static void read_summary(struct client_event *event, const struct client_stream *stream)
{
    struct summary summary;

    if (stream->response == NULL || stream->kind != CLIENT_STREAM_BATCHED) return;
    grpc_slice slice = client_read_message(stream->response);
    struct bytes bytes = {GRPC_SLICE_START_PTR(slice), GRPC_SLICE_LENGTH(slice)};
    if (summary_read(&summary, bytes) == OK) {
        event->accepted = summary.accepted;
        event->accepted_bytes = summary.bytes;
    }
    grpc_slice_unref(slice);
}

/* Posts STREAM_DONE once nothing of the stream is in gRPC's hands. */
static void ended(struct client_stream *stream)
{
    CHECK(stream->pending >= 1);
    stream->pending--;
    client_operation_ended(stream->client);
    if (!stream->done || stream->pending > 0 || stream->posted) return;
    stream->posted = true;
    while (stream->first != NULL) {
        struct message *message = stream->first;
        stream->first = message->next;
        free_message(message);
    }
    stream->last = &stream->first;
    struct event *event = client_event_new(CLIENT_EVENT_STREAM_DONE, stream->user);
    event->stream = stream;
    ending_take(&event->event, &stream->ending);
    read_summary(&event->event, stream);
    grpc_byte_buffer_destroy(stream->response);
    grpc_metadata_array_destroy(&stream->initial);
    grpc_call_unref(stream->call);
    stream->call = NULL;
    client_event_post(stream->client, event);
}

static void give_credit(struct client_stream *stream)
{
    if (stream->credit == 0 || stream->credit < stream->window / 2) return;
    struct event *event = client_event_new(CLIENT_EVENT_WRITABLE, stream->user);
    event->stream = stream;
    event->is_credit = true;
    event->credit = stream->credit;
    stream->credit = 0;
    client_event_post(stream->client, event);
}

static void send_next(struct client_stream *stream);

static void on_sent(struct queue_tag *tag, bool ok)
{
    (void)ok; /* a failure comes as the status */
    struct client_stream *stream = QUEUE_ITEM(tag, struct client_stream, send_tag);
    stream->sending = false;
    stream->credit += stream->sent->len;
    free_message(stream->sent);
    stream->sent = NULL;
    send_next(stream);
    give_credit(stream);
    ended(stream);
}

/* One message at a time is gRPC's rule; with the hint it completes at once while more are queued,
 * and they go on the wire together. */
static void send_next(struct client_stream *stream)
{
    if (stream->done || stream->sending || stream->call == NULL) return;
    struct message *message = stream->first;
    if (message != NULL) {
        stream->first = message->next;
        if (stream->first == NULL) stream->last = &stream->first;
        stream->sent = message;
        stream->sending = true;
        grpc_op op = {.op = GRPC_OP_SEND_MESSAGE};
        op.data.send_message.send_message = message->bytes;
        if (stream->first != NULL) op.flags = GRPC_WRITE_BUFFER_HINT;
        start(stream, &op, 1, &stream->send_tag);
    } else if (stream->half_close && !stream->half_closed) {
        stream->half_closed = true;
        grpc_op op = {.op = GRPC_OP_SEND_CLOSE_FROM_CLIENT};
        start(stream, &op, 1, &stream->close_tag);
    }
}

static void on_greeted(struct queue_tag *tag, bool ok)
{
    (void)ok;
    ended(QUEUE_ITEM(tag, struct client_stream, greet_tag));
}

static void on_half_closed(struct queue_tag *tag, bool ok)
{
    (void)ok;
    ended(QUEUE_ITEM(tag, struct client_stream, close_tag));
}

static void on_done(struct queue_tag *tag, bool ok)
{
    (void)ok;
    struct client_stream *stream = QUEUE_ITEM(tag, struct client_stream, done_tag);
    stream->done = true;
    ended(stream);
}

static void run_start(struct queue_tag *tag, bool ok)
{
    (void)ok;
    struct client_stream *stream = QUEUE_ITEM(tag, struct client_stream, start_tag);
    struct client *client = stream->client;
    stream->next = client->streams;
    if (stream->next != NULL) stream->next->previous = stream;
    client->streams = stream;
    stream->call = client_make_call(stream->channel,
                                    stream->kind == CLIENT_STREAM_SINGLE
                                        ? "/narwhal.Transactions/SubmitTransactionStream"
                                        : "/dsn.Transactions/SubmitBatch",
                                    stream->timeout_ms);
    grpc_metadata_array_init(&stream->initial);
    ending_init(&stream->ending);
    grpc_metadata metadata;
    grpc_op greet = client_greeting(client, &metadata);
    start(stream, &greet, 1, &stream->greet_tag);
    grpc_op ops[3] = {{.op = GRPC_OP_RECV_INITIAL_METADATA}, {.op = GRPC_OP_RECV_MESSAGE}};
    ops[0].data.recv_initial_metadata.recv_initial_metadata = &stream->initial;
    ops[1].data.recv_message.recv_message = &stream->response;
    ops[2] = ending_op(&stream->ending);
    start(stream, ops, 3, &stream->done_tag);
}

static void run_message(struct queue_tag *tag, bool ok)
{
    (void)ok;
    struct message *message = QUEUE_ITEM(tag, struct message, tag);
    struct client_stream *stream = message->stream;
    if (stream->done) {
        free_message(message);
        return;
    }
    *stream->last = message;
    stream->last = &message->next;
    send_next(stream);
}

static void run_finish(struct queue_tag *tag, bool ok)
{
    (void)ok;
    struct client_stream *stream = QUEUE_ITEM(tag, struct client_stream, finish_tag);
    stream->half_close = true;
    send_next(stream);
}

static void run_cancel(struct queue_tag *tag, bool ok)
{
    (void)ok;
    struct client_stream *stream = QUEUE_ITEM(tag, struct client_stream, cancel_tag);
    if (stream->call != NULL) (void)grpc_call_cancel(stream->call, NULL);
}

static void run_free(struct queue_tag *tag, bool ok)
{
    (void)ok;
    struct client_stream *stream = QUEUE_ITEM(tag, struct client_stream, free_tag);
    if (stream->next != NULL) stream->next->previous = stream->previous;
    if (stream->previous != NULL) stream->previous->next = stream->next;
    if (stream->client->streams == stream) stream->client->streams = stream->next;
    free(stream);
}

void streams_cancel(struct client *client)
{
    for (struct client_stream *stream = client->streams; stream != NULL; stream = stream->next)
        if (stream->call != NULL) (void)grpc_call_cancel(stream->call, NULL);
}

void streams_free(struct client *client)
{
    while (client->streams != NULL) {
        struct client_stream *stream = client->streams;
        client->streams = stream->next;
        CHECK(stream->pending == 0);
        free(stream);
    }
}

/* ---- program thread -------------------------------------------------------------------------- */

bool stream_take_event(struct client_stream *stream, struct event *event)
{
    if (event->event.kind == CLIENT_EVENT_STREAM_DONE) {
        stream->finished = true;
        return true;
    }
    CHECK(event->is_credit);
    CHECK(stream->used >= event->credit);
    stream->used -= event->credit;
    bool tell = stream->refused && !stream->finished;
    stream->refused = false;
    return tell;
}

void stream_free_event(struct client_stream *stream, struct event *event)
{
    if (event->event.kind != CLIENT_EVENT_STREAM_DONE) return;
    CHECK(stream->client->streams_count >= 1);
    stream->client->streams_count--;
    queue_post(stream->client->queue, &stream->free_tag);
}

enum status client_stream_open(struct client_stream **ret_stream,
                               struct client_channel *channel,
                               enum client_stream_kind kind,
                               size_t window_bytes,
                               uint32_t timeout_ms,
                               void *user)
{
    struct client *client = channel->client;
    if (client->streams_count >= CLIENT_STREAMS_MAX) return ERR_FULL;
    struct client_stream *stream = calloc(1, sizeof *stream);
    CHECK(stream != NULL);
    stream->client = client;
    stream->channel = channel;
    stream->kind = kind;
    stream->window = window_bytes;
    stream->timeout_ms = timeout_ms;
    stream->user = user;
    stream->last = &stream->first;
    stream->start_tag.run = run_start;
    stream->greet_tag.run = on_greeted;
    stream->send_tag.run = on_sent;
    stream->close_tag.run = on_half_closed;
    stream->done_tag.run = on_done;
    stream->finish_tag.run = run_finish;
    stream->cancel_tag.run = run_cancel;
    stream->free_tag.run = run_free;
    client->streams_count++;
    queue_post(client->queue, &stream->start_tag);
    *ret_stream = stream;
    return OK;
}

enum status client_stream_send(struct client_stream *stream, const uint8_t *data, size_t len)
{
    if (stream->finished) return ERR_STOPPING;
    /* A batch is the message; a single transaction is field 1 of one. */
    bool single = stream->kind == CLIENT_STREAM_SINGLE;
    size_t size = single ? pb_bytes_bytes(len) : len;
    if (stream->used > stream->window / 2 && stream->used + size > stream->window) {
        stream->refused = true;
        return ERR_FULL;
    }
    struct message *message = calloc(1, sizeof *message);
    CHECK(message != NULL);
    grpc_slice slice = grpc_slice_malloc(size);
    struct writer writer = writer_make(GRPC_SLICE_START_PTR(slice), size);
    if (single) pb_write_bytes(&writer, 1, (struct bytes){data, len});
    if (!single) writer_copy(&writer, data, len);
    CHECK(!writer.failed);
    message->bytes = grpc_raw_byte_buffer_create(&slice, 1);
    grpc_slice_unref(slice);
    message->len = size;
    message->stream = stream;
    message->tag.run = run_message;
    stream->used += size;
    queue_post(stream->client->queue, &message->tag);
    return OK;
}

void client_stream_finish(struct client_stream *stream)
{
    if (stream->finished) return;
    stream->finished = true;
    queue_post(stream->client->queue, &stream->finish_tag);
}

void client_stream_cancel(struct client_stream *stream)
{
    if (stream->cancelled) return;
    stream->cancelled = true;
    stream->finished = true;
    queue_post(stream->client->queue, &stream->cancel_tag);
}
