#include <stdlib.h>

#include "proto/client_internal.h"
#include "proto/pb.h"
#include "proto/receipt.h"

/* One unary call. Lives from client_submit until its event is posted. */
struct submission {
    struct queue_tag start_tag;
    struct queue_tag done_tag;
    struct client_channel *channel; /* used in start only */
    struct client *client;
    struct submission *next; /* in client->submissions_list */
    struct submission *previous;
    grpc_call *call;
    grpc_byte_buffer *request;
    grpc_byte_buffer *response;
    grpc_metadata_array initial;
    struct ending ending;
    enum client_level level;
    uint32_t timeout_ms;
    uint64_t started_us;
    void *user;
};

static void list_add(struct submission *submission)
{
    struct client *client = submission->client;
    submission->next = client->submissions_list;
    if (submission->next != NULL) submission->next->previous = submission;
    client->submissions_list = submission;
}

static void list_remove(struct submission *submission)
{
    if (submission->next != NULL) submission->next->previous = submission->previous;
    if (submission->previous != NULL) submission->previous->next = submission->next;
    if (submission->client->submissions_list == submission)
        submission->client->submissions_list = submission->next;
}

static bool read_receipt(struct client_event *event, grpc_slice slice)
{
    struct bytes bytes = {GRPC_SLICE_START_PTR(slice), GRPC_SLICE_LENGTH(slice)};
    struct receipt receipt;

    if (receipt_read(&receipt, bytes) != OK) return false;
    event->digest = receipt.digest;
    event->index = receipt.index;
    event->position = receipt.position;
    event->offset = receipt.offset;
    if (receipt.level >= CLIENT_LEVEL_ACCEPTED && receipt.level <= CLIENT_LEVEL_COMMITTED)
        event->level = (enum client_level)receipt.level;
    return true;
}

static void on_done(struct queue_tag *tag, bool ok)
{
    (void)ok;
    struct submission *submission = QUEUE_ITEM(tag, struct submission, done_tag);
    struct client *client = submission->client;
    struct event *event = client_event_new(CLIENT_EVENT_SUBMITTED, submission->user);
    ending_take(&event->event, &submission->ending);
    event->event.elapsed_us = queue_now_us() - submission->started_us;
    event->event.level = submission->level;
    if (event->event.code == CLIENT_OK && submission->level != CLIENT_LEVEL_PLAIN) {
        grpc_slice slice = grpc_empty_slice();
        if (submission->response != NULL) slice = client_read_message(submission->response);
        if (!read_receipt(&event->event, slice)) event->event.code = CLIENT_INTERNAL;
        grpc_slice_unref(slice);
    }
    list_remove(submission);
    grpc_metadata_array_destroy(&submission->initial);
    grpc_byte_buffer_destroy(submission->request);
    grpc_byte_buffer_destroy(submission->response);
    grpc_call_unref(submission->call);
    free(submission);
    client_event_post(client, event);
    client_operation_ended(client);
}

static void on_start(struct queue_tag *tag, bool unused)
{
    (void)unused;
    struct submission *submission = QUEUE_ITEM(tag, struct submission, start_tag);
    const char *method = submission->level == CLIENT_LEVEL_PLAIN
                             ? "/narwhal.Transactions/SubmitTransaction"
                             : "/dsn.Transactions/SubmitAndWait";
    submission->call = client_make_call(submission->channel, method, submission->timeout_ms);
    grpc_metadata_array_init(&submission->initial);
    ending_init(&submission->ending);
    list_add(submission);
    grpc_metadata metadata;
    grpc_op ops[6] = {
        client_greeting(submission->client, &metadata),
        {.op = GRPC_OP_SEND_MESSAGE},
        {.op = GRPC_OP_SEND_CLOSE_FROM_CLIENT},
        {.op = GRPC_OP_RECV_INITIAL_METADATA},
        {.op = GRPC_OP_RECV_MESSAGE},
    };
    ops[1].data.send_message.send_message = submission->request;
    ops[3].data.recv_initial_metadata.recv_initial_metadata = &submission->initial;
    ops[4].data.recv_message.recv_message = &submission->response;
    ops[5] = ending_op(&submission->ending);
    client_start(submission->client, submission->call, ops, 6, &submission->done_tag);
}

enum status client_submit(struct client_channel *channel,
                          enum client_level level,
                          const uint8_t *transaction,
                          size_t len,
                          uint32_t timeout_ms,
                          void *user)
{
    struct client *client = channel->client;
    if (len > CLIENT_RECEIVE_BYTES_MAX) return ERR_TOO_LARGE;
    if (client->submissions >= client->submissions_max) return ERR_FULL;
    struct submission *submission = calloc(1, sizeof *submission);
    CHECK(submission != NULL);
    submission->start_tag.run = on_start;
    submission->done_tag.run = on_done;
    submission->channel = channel;
    submission->client = client;
    submission->level = level;
    submission->timeout_ms = timeout_ms;
    submission->user = user;
    submission->started_us = queue_now_us();
    /* Transaction { bytes transaction = 1; } and SubmitRequest { .., Level level = 2; } */
    size_t size = pb_bytes_bytes(len);
    if (level > CLIENT_LEVEL_DEFAULT) size += pb_uint_bytes((uint64_t)level);
    grpc_slice slice = grpc_slice_malloc(size);
    struct writer writer = writer_make(GRPC_SLICE_START_PTR(slice), size);
    pb_write_bytes(&writer, 1, (struct bytes){transaction, len});
    if (level > CLIENT_LEVEL_DEFAULT) pb_write_uint(&writer, 2, (uint64_t)level);
    CHECK(!writer.failed);
    submission->request = grpc_raw_byte_buffer_create(&slice, 1);
    grpc_slice_unref(slice);
    client->submissions++;
    queue_post(client->queue, &submission->start_tag);
    return OK;
}

void submissions_cancel(struct client *client)
{
    for (struct submission *s = client->submissions_list; s != NULL; s = s->next)
        (void)grpc_call_cancel(s->call, NULL);
}
