#include "consensus/node/api_call.h"

#include <grpc/byte_buffer_reader.h>
#include <stdio.h>
#include <stdlib.h>

#include "consensus/node/api_internal.h"

static void release(struct call *call)
{
    CHECK(call->references >= 1);
    if (--call->references > 0) return;
    CHECK(call->finished);
    CHECK(call->port->calls_count >= 1);
    call->port->calls_count--;
    link_remove(&call->link);
    grpc_byte_buffer_destroy(call->message);
    grpc_byte_buffer_destroy(call->sending_message);
    grpc_byte_buffer_destroy(call->last_message);
    grpc_call_unref(call->grpc);
    free(call);
}

/* Starts operations that hold the call until their tag runs. */
static void start(struct call *call, const grpc_op *ops, size_t count, struct queue_tag *tag)
{
    call->references++;
    CHECK(grpc_call_start_batch(call->grpc, ops, count, tag, NULL) == GRPC_CALL_OK);
}

/* Marks the call finished and tells the service, once. False when it was finished before. The
 * unfinished call's own reference is dropped by the caller. */
static bool leave(struct call *call)
{
    if (call->finished) return false;
    call->finished = true;
    if (call->end != NULL) call->end(call);
    call->end = NULL;
    call->state = NULL;
    return true;
}

/* ---- receiving ------------------------------------------------------------------------------- */

static void on_received(struct queue_tag *tag, bool ok)
{
    struct call *call = QUEUE_ITEM(tag, struct call, receive_tag);
    call->receiving = false;
    grpc_byte_buffer *message = ok ? call->message : NULL;
    if (ok) call->message = NULL;
    if (call->finished || call->received == NULL) {
        grpc_byte_buffer_destroy(message);
    } else {
        call->received(call, message);
    }
    release(call);
}

void call_receive(struct call *call)
{
    if (call->finished) return;
    CHECK(!call->receiving);
    call->receiving = true;
    grpc_op op = {.op = GRPC_OP_RECV_MESSAGE};
    op.data.recv_message.recv_message = &call->message;
    start(call, &op, 1, &call->receive_tag);
}

struct reader call_read_small(uint8_t *memory, size_t capacity, grpc_byte_buffer *message)
{
    size_t len = 0;
    bool good = grpc_byte_buffer_length(message) <= capacity;
    grpc_byte_buffer_reader bytes;
    if (good && grpc_byte_buffer_reader_init(&bytes, message)) {
        grpc_slice *slice;
        while (grpc_byte_buffer_reader_peek(&bytes, &slice)) {
            size_t part = GRPC_SLICE_LENGTH(*slice);
            good = good && part <= capacity - len;
            if (!good) break;
            memcpy(memory + len, GRPC_SLICE_START_PTR(*slice), part);
            len += part;
        }
        grpc_byte_buffer_reader_destroy(&bytes);
    } else {
        good = false;
    }
    grpc_byte_buffer_destroy(message);
    struct reader reader = reader_make(memory, len);
    if (!good) reader_fail(&reader);
    return reader;
}

static void on_closed(struct queue_tag *tag, bool ok)
{
    struct call *call = QUEUE_ITEM(tag, struct call, watch_tag);
    (void)ok;
    if (!call->finished && call->was_cancelled) {
        leave(call);
        release(call); /* no status can reach anybody any more */
    }
    release(call);
}

void call_watch(struct call *call)
{
    if (call->finished) return;
    CHECK(!call->watched);
    call->watched = true;
    grpc_op op = {.op = GRPC_OP_RECV_CLOSE_ON_SERVER};
    op.data.recv_close_on_server.cancelled = &call->was_cancelled;
    start(call, &op, 1, &call->watch_tag);
}

/* ---- sending --------------------------------------------------------------------------------- */

static grpc_op initial_metadata(struct call *call)
{
    CHECK(!call->greeted);
    call->greeted = true;
    return (grpc_op){.op = GRPC_OP_SEND_INITIAL_METADATA};
}

static grpc_op send_message(grpc_byte_buffer *message)
{
    grpc_op op = {.op = GRPC_OP_SEND_MESSAGE};
    op.data.send_message.send_message = message;
    return op;
}

static void on_greeted(struct queue_tag *tag, bool ok)
{
    (void)ok;
    release(QUEUE_ITEM(tag, struct call, greet_tag));
}

void call_greet(struct call *call)
{
    if (call->finished || call->greeted) return;
    grpc_op op = initial_metadata(call);
    start(call, &op, 1, &call->greet_tag);
}

static void on_sent(struct queue_tag *tag, bool ok)
{
    struct call *call = QUEUE_ITEM(tag, struct call, send_tag);
    call->sending = false;
    grpc_byte_buffer_destroy(call->sending_message);
    call->sending_message = NULL;
    /* Not ok: the connection is gone, and the watch says so. */
    if (ok && !call->finished && call->sent != NULL) call->sent(call);
    release(call);
}

void call_send(struct call *call, grpc_slice message)
{
    if (call->finished) return;
    CHECK(!call->sending);
    call->sending = true;
    call->sending_message = grpc_raw_byte_buffer_create(&message, 1);
    grpc_op ops[2];
    size_t count = 0;
    if (!call->greeted) ops[count++] = initial_metadata(call);
    ops[count++] = send_message(call->sending_message);
    start(call, ops, count, &call->send_tag);
}

/* ---- ending ---------------------------------------------------------------------------------- */

static void on_finished(struct queue_tag *tag, bool ok)
{
    (void)ok;
    release(QUEUE_ITEM(tag, struct call, finish_tag));
}

/* When to try again, in trailing metadata: in our words, and in those that gRPC's own retries
 * understand. The slices live as long as the operation's start. */
static void add_retry(grpc_op *op, grpc_metadata ret_metadata[2], uint32_t retry_ms)
{
    char text[16];

    (void)snprintf(text, sizeof text, "%u", retry_ms);
    ret_metadata[0] = (grpc_metadata){.key = grpc_slice_from_static_string("retry-after-ms"),
                                      .value = grpc_slice_from_copied_string(text)};
    ret_metadata[1] =
        (grpc_metadata){.key = grpc_slice_from_static_string("grpc-retry-pushback-ms"),
                        .value = grpc_slice_from_copied_string(text)};
    op->data.send_status_from_server.trailing_metadata = ret_metadata;
    op->data.send_status_from_server.trailing_metadata_count = 2;
}

void call_finish(struct call *call,
                 grpc_status_code code,
                 const char *text,
                 const grpc_slice *message)
{
    if (call->finished) return;
    /* Text first: it may live in the service's state. */
    grpc_slice details = grpc_slice_from_copied_string(text);
    grpc_op ops[4];
    size_t count = 0;
    if (!call->greeted) ops[count++] = initial_metadata(call);
    if (message != NULL && !call->sending) {
        grpc_slice slice = *message;
        call->last_message = grpc_raw_byte_buffer_create(&slice, 1);
        ops[count++] = send_message(call->last_message);
    }
    grpc_op status = {.op = GRPC_OP_SEND_STATUS_FROM_SERVER};
    status.data.send_status_from_server.status = code;
    status.data.send_status_from_server.status_details = &details;
    grpc_metadata metadata[2];
    if (call->retry_ms > 0) add_retry(&status, metadata, call->retry_ms);
    bool has_retry = call->retry_ms > 0;
    ops[count++] = status;
    if (!call->watched) {
        grpc_op close = {.op = GRPC_OP_RECV_CLOSE_ON_SERVER};
        close.data.recv_close_on_server.cancelled = &call->was_cancelled;
        call->watched = true;
        ops[count++] = close;
    }
    leave(call);
    start(call, ops, count, &call->finish_tag);
    grpc_slice_unref(details);
    for (int i = 0; has_retry && i < 2; i++)
        grpc_slice_unref(metadata[i].value);
    release(call);
}

void call_cut(struct call *call, grpc_status_code code, const char *text)
{
    if (call->finished) return;
    (void)grpc_call_cancel_with_status(call->grpc, code, text, NULL);
    leave(call);
    release(call);
}

void call_start(struct port *port, grpc_call *grpc, const struct method *method)
{
    struct call *call = calloc(1, sizeof *call);
    CHECK(call != NULL);
    call->api = port->api;
    call->port = port;
    call->grpc = grpc;
    call->method = method;
    call->references = 1; /* unfinished */
    call->receive_tag.run = on_received;
    call->send_tag.run = on_sent;
    call->finish_tag.run = on_finished;
    call->greet_tag.run = on_greeted;
    call->watch_tag.run = on_closed;
    link_init(&call->link);
    link_append(&port->calls, &call->link);
    port->calls_count++;
    method->start(call);
}
