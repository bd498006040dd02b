#include "consensus/node/mesh_internal.h"

#include <stdio.h>

#include <event2/event.h>

#include "consensus/core/wire.h"

#define PING_BYTES 9u

/* Queues a PING or PONG; false when a bound is met: then there is enough on its way. */
static bool say(struct mesh_connection *connection, enum wire_kind kind, uint64_t time)
{
    uint8_t memory[PING_BYTES];
    struct writer writer = writer_make(memory, sizeof memory);
    struct buffer *frame = NULL;
    bool queued = false;

    writer_u8(&writer, (uint8_t)kind);
    writer_u64(&writer, time);
    frame = buffer_frame(writer_view(&writer));
    queued = mesh_transfer_queue(connection, frame);
    buffer_unref(frame);
    return queued;
}

/* PING: answer. PONG: if it answers the ping on its way, the round trip. */
static void handle_ping(struct mesh_connection *connection, struct bytes body)
{
    struct mesh_slot *slot = connection->slot;
    struct reader reader = reader_make(body.data, body.len);
    uint8_t kind = reader_u8(&reader);
    uint64_t time = reader_u64(&reader);
    uint64_t now_us = mesh_now_us();

    if (!reader_done(&reader)) {
        mesh_connection_kill(connection, "its ping is malformed");
    } else if (kind == WIRE_PING) {
        if (!connection->pong_waits) connection->pong_waits = say(connection, WIRE_PONG, time);
    } else if (slot->ping_us != 0 && time == slot->ping_us) {
        uint64_t rtt_us = u64_min(now_us - slot->ping_us, UINT32_MAX);
        slot->ping_us = 0;
        slot->rtt_us =
            (uint32_t)(slot->rtt_us == 0 ? rtt_us : (slot->rtt_us * UINT64_C(7) + rtt_us) / 8);
    }
}

void mesh_transfer_ping(struct mesh_connection *connection, uint64_t now_us)
{
    /* Behind a long queue a ping says nothing, and the queue itself keeps the link alive. */
    if (connection->queue.bytes > connection->queue.bytes_max / 2) return;
    if (say(connection, WIRE_PING, now_us)) connection->slot->ping_us = now_us;
}

/* A whole frame is here. */
static void dispatch(struct mesh_connection *connection, struct buffer *frame)
{
    struct mesh *mesh = connection->mesh;
    struct mesh_slot *slot = connection->slot;
    struct bytes body = {frame->data + MESH_BODY, frame->len - MESH_PREFIX_BYTES};

    if (connection->state != MESH_UP) {
        mesh_connection_greet(connection, body);
        return;
    }
    slot->status.frames_in++;
    slot->status.bytes_in += frame->len;
    switch (body.data[0]) {
    case WIRE_PING:
    case WIRE_PONG:
        handle_ping(connection, body);
        break;
    case MESH_HELLO:
    case MESH_HELLO_ACK:
        mesh_connection_kill(connection, "it greets twice");
        break;
    default: /* a byte of the peer's, not an enum: everything else is the owner's */
        mesh->options.on_frame(mesh->options.context, slot->peer, slot->kind, frame, body.data,
                               body.len);
        break;
    }
}

/* Until the peer has greeted, it gets room for a greeting only. */
static uint32_t body_bytes_max(const struct mesh_connection *connection)
{
    return connection->state == MESH_UP ? FRAME_BYTES_MAX : MESH_HELLO_BYTES;
}

/* So many bytes of a frame came. */
static void take(struct mesh_connection *connection, size_t len)
{
    const uint32_t len_max = body_bytes_max(connection);
    uint32_t said = 0;
    char reason[MESH_REASON_BYTES];
    struct buffer *frame = NULL;

    switch (mesh_frame_fill(&connection->frame, &said, len, len_max)) {
    case MESH_FRAME_MORE:
        break;
    case MESH_FRAME_REFUSED:
        snprintf(reason, sizeof reason, "it sent a frame of %u bytes, allowed are 1 to %u", said,
                 len_max);
        mesh_connection_kill(connection, reason);
        break;
    case MESH_FRAME_WHOLE:
        frame = mesh_frame_take(&connection->frame);
        dispatch(connection, frame);
        buffer_unref(frame);
        break;
    }
}

void mesh_transfer_receive(struct mesh_connection *connection)
{
    while (connection->state == MESH_GREETING || connection->state == MESH_UP) {
        size_t want = 0;
        uint8_t *data = mesh_frame_room(&connection->frame, &want);
        size_t len = 0;
        enum mesh_stream_result result = mesh_stream_read(&len, &connection->stream, data, want);

        if (result == MESH_STREAM_WAIT) return;
        if (result == MESH_STREAM_CLOSED) {
            mesh_connection_kill(connection, connection->stream.error);
            return;
        }
        take(connection, len);
    }
}

/* The head of the queue is encrypted to its end. */
static void head_ended(struct mesh_connection *connection, const struct buffer *frame)
{
    if (connection->state == MESH_UP) {
        connection->slot->status.frames_out++;
        connection->slot->status.bytes_out += frame->len;
    }
    if (frame->data[frame->begin + MESH_PREFIX_BYTES] == WIRE_PONG) connection->pong_waits = false;
    connection->head_sent = 0;
    mesh_queue_pop(&connection->queue);
}

/* Fills the chunk from the queue. A whole record's worth of a frame is encrypted from where it
 * lies; small frames, and the tails of large ones, are gathered into records first. False: the
 * stream is dead. */
static bool encrypt(struct mesh_connection *connection, uint64_t now_us)
{
    struct mesh *mesh = connection->mesh;
    struct mesh_stream *stream = &connection->stream;
    size_t gathered = 0;
    struct buffer *frame = NULL;

    while (mesh_stream_has_room(stream) &&
           (frame = mesh_queue_peek(&connection->queue, now_us)) != NULL) {
        const uint8_t *data = frame->data + frame->begin + connection->head_sent;
        size_t left = frame->len - connection->head_sent;
        size_t len = left < MESH_RECORD_BYTES - gathered ? left : MESH_RECORD_BYTES - gathered;

        if (len == MESH_RECORD_BYTES) {
            if (!mesh_stream_write(stream, data, len)) return false;
        } else {
            memcpy(mesh->gather + gathered, data, len);
            gathered += len;
        }
        if (gathered == MESH_RECORD_BYTES) {
            if (!mesh_stream_write(stream, mesh->gather, gathered)) return false;
            gathered = 0;
        }
        connection->head_sent += len;
        if (connection->head_sent == frame->len) head_ended(connection, frame);
    }
    /* There is room: each record above was preceded by the question, and this one replaces the
     * last. */
    return gathered == 0 || mesh_stream_write(stream, mesh->gather, gathered);
}

static void arm_write(struct mesh_connection *connection, bool armed)
{
    if (connection->write_armed == armed) return;
    connection->write_armed = armed;
    if (armed) {
        (void)event_add(connection->write_event, NULL);
    } else {
        (void)event_del(connection->write_event);
    }
}

static void on_due(evutil_socket_t fd, short what, void *context)
{
    (void)fd, (void)what;
    mesh_transfer_send(context);
}

/* Comes back when the head of the queue may leave. */
static void arm_delay(struct mesh_connection *connection, uint64_t now_us)
{
    uint64_t wait_us = u64_minus(mesh_queue_due(&connection->queue), now_us);
    struct timeval wait = {.tv_sec = (time_t)(wait_us / 1000000),
                           .tv_usec = (suseconds_t)(wait_us % 1000000)};

    if (connection->delay_event == NULL) {
        connection->delay_event =
            event_new(connection->mesh->options.base, -1, EV_TIMEOUT, on_due, connection);
        CHECK(connection->delay_event != NULL);
    }
    (void)event_add(connection->delay_event, &wait);
}

void mesh_transfer_send(struct mesh_connection *connection)
{
    struct mesh_stream *stream = &connection->stream;
    bool may_encrypt = connection->state == MESH_GREETING || connection->state == MESH_UP;
    uint64_t now_us = connection->mesh->is_closing ? UINT64_MAX : mesh_now_us();
    size_t sent = 0;

    if (connection->state == MESH_CONNECTING || connection->state == MESH_DEAD) return;
    for (;;) {
        enum mesh_stream_result result = MESH_STREAM_DONE;

        sent += mesh_stream_unsent(stream);
        result = mesh_stream_send(stream);
        if (result == MESH_STREAM_CLOSED) {
            mesh_connection_kill(connection, stream->error);
            return;
        }
        if (result == MESH_STREAM_WAIT || sent >= MESH_WRITE_BYTES_MAX) break;
        if (!may_encrypt || mesh_queue_peek(&connection->queue, now_us) == NULL) break;
        if (!encrypt(connection, now_us)) {
            mesh_connection_kill(connection, stream->error);
            return;
        }
    }
    arm_write(connection, mesh_stream_unsent(stream) > 0 ||
                              (may_encrypt && mesh_queue_peek(&connection->queue, now_us) != NULL));
    if (!connection->write_armed && connection->queue.count > 0 && may_encrypt) {
        arm_delay(connection, now_us);
    }
}

bool mesh_transfer_queue(struct mesh_connection *connection, struct buffer *frame)
{
    const struct mesh_slot *slot = connection->slot;
    uint64_t due_us = slot == NULL || slot->delay_us == 0 ? 0 : mesh_now_us() + slot->delay_us;

    if (!mesh_queue_push(&connection->queue, frame, due_us)) return false;
    if (!connection->write_armed) mesh_mark_dirty(connection);
    return true;
}

size_t mesh_transfer_unsent(const struct mesh_connection *connection)
{
    CHECK(connection->queue.bytes >= connection->head_sent);
    return connection->queue.bytes - connection->head_sent +
           mesh_stream_unsent(&connection->stream);
}
