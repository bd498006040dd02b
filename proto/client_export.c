#include "proto/client_export.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "proto/pb.h"
#include "proto/subdag.h"

static void start(struct client_export *export,
                  const grpc_op *ops,
                  size_t count,
                  struct queue_tag *tag)
{
    export->pending++;
    client_start(export->client, export->call, ops, count, tag);
}

struct event *export_make_event(struct client_export *export, enum client_event_kind kind)
{
    struct event *event = client_event_new(kind, export->user);
    event->export = export;
    event->generation = export->generation_sent;
    event->event.channel = export->current;
    return event;
}

void export_cut(struct client_export *export, const char *text)
{
    (void)snprintf(export->cut_text, sizeof export->cut_text, "%s", text);
    if (export->call != NULL) (void)grpc_call_cancel(export->call, NULL);
}

/* Codes of a node that will not give this reader anything: another one may. */
static bool is_refusal(int code)
{
    return code == CLIENT_OUT_OF_RANGE || code == CLIENT_UNAUTHENTICATED ||
           code == CLIENT_PERMISSION_DENIED;
}

static bool is_final(const struct client_export *export, int code)
{
    if (export->ending || export->client->closing) return true;
    if (export->cut_text[0] != '\0') return false;
    if (code == CLIENT_INVALID_ARGUMENT || code == CLIENT_UNIMPLEMENTED) return true;
    return is_refusal(code) && export->refused >= export->channels_count;
}

static void next_channel(struct client_export *export)
{
    export->current = (export->current + 1) % export->channels_count;
}

/* The connection is over and nothing of it is in gRPC's hands. */
static void finish_connection(struct client_export *export)
{
    struct client_event result = {.code = CLIENT_OK};
    ending_take(&result, &export->ending_data);
    grpc_metadata_array_destroy(&export->initial);
    grpc_byte_buffer_destroy(export->request);
    grpc_call_unref(export->call);
    export->call = NULL;
    export->refused = is_refusal(result.code) ? export->refused + 1 : 0;
    bool final = is_final(export, result.code);
    struct event *event =
        export_make_event(export, final ? CLIENT_EVENT_EXPORT_DONE : CLIENT_EVENT_EXPORT_DOWN);
    event->event.code = result.code;
    memcpy(event->event.text, result.text, sizeof result.text);
    if (export->cut_text[0] != '\0') {
        (void)snprintf(event->event.text, sizeof event->event.text, "%s", export->cut_text);
    } else if (result.code == CLIENT_OK) {
        (void)snprintf(event->event.text, sizeof event->event.text, "the server ended the stream");
    }
    export->cut_text[0] = '\0';
    export->state = final ? EXPORT_ENDED : EXPORT_HELD;
    next_channel(export);
    client_event_post(export->client, event);
}

static void ended(struct client_export *export)
{
    CHECK(export->pending >= 1);
    export->pending--;
    client_operation_ended(export->client);
    if (export->status_came && export->pending == 0) finish_connection(export);
}

void export_receive(struct client_export *export)
{
    if (export->state != EXPORT_RUNNING || export->receiving || export->status_came) return;
    if (export->out >= CLIENT_EXPORT_AHEAD || export->cut_text[0] != '\0') return;
    export->receiving = true;
    grpc_op op = {.op = GRPC_OP_RECV_MESSAGE};
    op.data.recv_message.recv_message = &export->message;
    start(export, &op, 1, &export->receive_tag);
}

/* Hands a sub-DAG to the program, if it is the one that follows. */
static void take_subdag(struct client_export *export, grpc_slice slice)
{
    struct subdag subdag;
    struct bytes bytes = {GRPC_SLICE_START_PTR(slice), GRPC_SLICE_LENGTH(slice)};
    if (subdag_open(&subdag, bytes) != OK) {
        export_cut(export, "the server sent a malformed sub-DAG");
    } else if (subdag.id != export->last_id + 1) {
        char text[TEXT_BYTES];
        (void)snprintf(text, sizeof text, "the server sent sub-DAG %" PRIu64 " after %" PRIu64,
                       subdag.id, export->last_id);
        export_cut(export, text);
    } else {
        export->last_id = subdag.id;
        export->pause_us = RETRY_US_MIN;
        export->refused = 0;
        export->out++;
        struct event *event = export_make_event(export, CLIENT_EVENT_SUBDAG);
        event->event.id = subdag.id;
        event->event.subdag = bytes;
        event->slice = slice;
        event->has_slice = true;
        client_event_post(export->client, event);
        return;
    }
    grpc_slice_unref(slice);
}

static void on_received(struct queue_tag *tag, bool ok)
{
    struct client_export *export = QUEUE_ITEM(tag, struct client_export, receive_tag);
    export->receiving = false;
    grpc_byte_buffer *message = export->message;
    export->message = NULL;
    if (ok && message != NULL && export->cut_text[0] == '\0' && !export->ending) {
        grpc_slice slice = client_read_message(message);
        /* A slice of few bytes lives in the slice itself: give it memory that stays. */
        if (slice.refcount == NULL) {
            grpc_slice copy = grpc_slice_malloc_large(GRPC_SLICE_LENGTH(slice));
            memcpy(GRPC_SLICE_START_PTR(copy), GRPC_SLICE_START_PTR(slice),
                   GRPC_SLICE_LENGTH(slice));
            slice = copy;
        }
        take_subdag(export, slice);
        grpc_byte_buffer_destroy(message);
        export_receive(export);
    } else {
        grpc_byte_buffer_destroy(message); /* the end: the status follows */
    }
    ended(export);
}

static void on_greeted(struct queue_tag *tag, bool ok)
{
    struct client_export *export = QUEUE_ITEM(tag, struct client_export, greet_tag);
    /* A call that fails at once has no metadata from a server. */
    if (ok && !export->status_came)
        client_event_post(export->client, export_make_event(export, CLIENT_EVENT_EXPORT_UP));
    ended(export);
}

static void on_sent(struct queue_tag *tag, bool ok)
{
    (void)ok;
    ended(QUEUE_ITEM(tag, struct client_export, send_tag));
}

static void on_status(struct queue_tag *tag, bool ok)
{
    (void)ok;
    struct client_export *export = QUEUE_ITEM(tag, struct client_export, status_tag);
    export->status_came = true;
    ended(export);
}

static grpc_byte_buffer *make_request(const struct client_export *export)
{
    uint8_t memory[32];
    struct writer writer = writer_make(memory, sizeof memory);
    pb_write_uint(&writer, 1, export->last_id);
    pb_write_uint(&writer, 2, export->certified ? 1 : 0);
    CHECK(!writer.failed);
    grpc_slice slice = grpc_slice_from_copied_buffer((const char *)memory, writer.len);
    grpc_byte_buffer *request = grpc_raw_byte_buffer_create(&slice, 1);
    grpc_slice_unref(slice);
    return request;
}

void export_connect(struct client_export *export)
{
    export->state = EXPORT_RUNNING;
    export->status_came = false;
    export->call =
        client_make_call(export->channels[export->current], "/exporter.Exporter/Export", 0);
    export->request = make_request(export);
    grpc_metadata_array_init(&export->initial);
    ending_init(&export->ending_data);
    grpc_metadata metadata;
    grpc_op sends[3] = {client_greeting(export->client, &metadata),
                        {.op = GRPC_OP_SEND_MESSAGE},
                        {.op = GRPC_OP_SEND_CLOSE_FROM_CLIENT}};
    sends[1].data.send_message.send_message = export->request;
    start(export, sends, 3, &export->send_tag);
    grpc_op greet = {.op = GRPC_OP_RECV_INITIAL_METADATA};
    greet.data.recv_initial_metadata.recv_initial_metadata = &export->initial;
    start(export, &greet, 1, &export->greet_tag);
    grpc_op status = ending_op(&export->ending_data);
    start(export, &status, 1, &export->status_tag);
    export_receive(export);
}

void client_exports_tick(struct client *client, uint64_t now_us)
{
    for (struct client_export *export = client->exports; export != NULL; export = export->next)
        if (export->state == EXPORT_WAITING && export->retry_us <= now_us) export_connect(export);
}

uint64_t client_exports_deadline_us(const struct client *client)
{
    uint64_t deadline_us = UINT64_MAX;
    for (struct client_export *export = client->exports; export != NULL; export = export->next)
        if (export->state == EXPORT_WAITING) deadline_us = u64_min(deadline_us, export->retry_us);
    return deadline_us;
}

void client_exports_cancel(struct client *client)
{
    for (struct client_export *export = client->exports; export != NULL; export = export->next)
        if (export->state == EXPORT_RUNNING) (void)grpc_call_cancel(export->call, NULL);
}

void client_exports_free(struct client *client)
{
    while (client->exports != NULL) {
        struct client_export *export = client->exports;
        client->exports = export->next;
        CHECK(export->pending == 0);
        free(export);
    }
}

void export_init_tags(struct client_export *export)
{
    export->greet_tag.run = on_greeted;
    export->send_tag.run = on_sent;
    export->receive_tag.run = on_received;
    export->status_tag.run = on_status;
}
