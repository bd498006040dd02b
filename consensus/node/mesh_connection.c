#include "consensus/node/mesh_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

#include <event2/event.h>

#include "common/log.h"

static uint64_t random_u64(void)
{
    uint64_t value = 0;

    CHECK(getrandom(&value, sizeof value, 0) == (ssize_t)sizeof value);
    return value;
}

/* What we say, or expect: the hello of `index`. */
static struct mesh_hello make_hello(const struct mesh_connection *connection, authority_t index)
{
    return (struct mesh_hello){
        .version = MESH_VERSION,
        .committee = connection->mesh->options.committee->digest,
        .index = index,
        .link = (uint8_t)connection->kind,
        .nonce = connection->nonce,
    };
}

/* The handshake is over, so the key is proven: from here on we know who it is. */
static void start_greeting(struct mesh_connection *connection)
{
    struct mesh_hello hello = make_hello(connection, connection->mesh->options.self);
    struct buffer *frame = mesh_hello_frame(&hello);

    CHECK(connection->pin.key_accepted);
    connection->state = MESH_GREETING;
    connection->slot = mesh_slot_at(connection->mesh, connection->pin.peer, connection->kind);
    CHECK(mesh_transfer_queue(connection, frame));
    buffer_unref(frame);
}

static void become_up(struct mesh_connection *connection)
{
    log_debug("mesh: peer %u %s: %s", connection->slot->peer, mesh_link_name(connection->kind),
              SSL_get_cipher(connection->stream.ssl));
    connection->state = MESH_UP;
    connection->was_up = true;
    if (!connection->pin.dialled) {
        TAILQ_REMOVE(&connection->mesh->pending, connection, entry);
        connection->mesh->pending_count--;
    }
    mesh_slot_adopt(connection->slot, connection);
}

void mesh_connection_greet(struct mesh_connection *connection, struct bytes body)
{
    CHECK(connection->state == MESH_GREETING);
    if (!connection->hello_accepted) {
        struct mesh_hello expected = make_hello(connection, connection->slot->peer);
        uint64_t nonce = 0;
        const char *refusal = mesh_hello_judge(&nonce, body, &expected);
        struct buffer *frame = NULL;

        if (refusal != NULL) {
            mesh_connection_kill(connection, refusal);
            return;
        }
        connection->hello_accepted = true;
        frame = mesh_hello_ack_frame(nonce);
        CHECK(mesh_transfer_queue(connection, frame));
        buffer_unref(frame);
        return;
    }
    if (!mesh_hello_ack_is(body, connection->nonce)) {
        mesh_connection_kill(connection, "it does not acknowledge our hello");
        return;
    }
    connection->hello_acknowledged = true;
    become_up(connection);
}

/* Goes on with whatever the input allows. */
static void advance(struct mesh_connection *connection)
{
    if (connection->state == MESH_HANDSHAKE) {
        struct mesh_stream *stream = &connection->stream;
        enum mesh_stream_result result = mesh_stream_handshake(stream);

        if (result == MESH_STREAM_CLOSED) {
            char reason[MESH_REASON_BYTES];
            snprintf(reason, sizeof reason, "TLS: %s", stream->error);
            (void)mesh_stream_send(stream); /* the alert, so that the other side knows too */
            mesh_connection_kill(
                connection, connection->pin.refusal == NULL ? reason : connection->pin.refusal);
            return;
        }
        if (result == MESH_STREAM_DONE) start_greeting(connection);
        mesh_transfer_send(connection);
    }
    mesh_transfer_receive(connection);
}

static void on_readable(evutil_socket_t fd, short what, void *context)
{
    struct mesh_connection *connection = context;
    size_t max = connection->kind == MESH_BULK ? MESH_READ_BYTES_MAX : MESH_READ_CONTROL_BYTES_MAX;
    size_t len = 0;

    (void)fd, (void)what;
    if (connection->state != MESH_UP) max = MESH_READ_PENDING_BYTES_MAX;
    switch (mesh_stream_fill(&len, &connection->stream, max)) {
    case MESH_STREAM_WAIT:
        return;
    case MESH_STREAM_CLOSED:
        mesh_connection_kill(connection, connection->stream.error);
        return;
    case MESH_STREAM_DONE:
        connection->last_in_us = mesh_now_us();
        advance(connection);
        return;
    }
}

static void on_writable(evutil_socket_t fd, short what, void *context)
{
    struct mesh_connection *connection = context;
    int error = 0;
    socklen_t len = sizeof error;

    (void)what;
    if (connection->state != MESH_CONNECTING) {
        mesh_transfer_send(connection);
        return;
    }
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0) error = errno;
    if (error != 0) {
        char reason[MESH_REASON_BYTES];
        snprintf(reason, sizeof reason, "cannot connect: %s", strerrordesc_np(error));
        mesh_connection_kill(connection, reason);
        return;
    }
    connection->state = MESH_HANDSHAKE;
    connection->reached = true;
    connection->write_armed = false;
    (void)event_del(connection->write_event);
    (void)event_add(connection->read_event, NULL);
    advance(connection);
}

struct mesh_connection *mesh_connection_new(struct mesh *mesh,
                                            struct mesh_slot *slot,
                                            enum mesh_link kind,
                                            int fd,
                                            const struct sockaddr_storage *address)
{
    struct mesh_connection *connection = calloc(1, sizeof *connection);
    struct event_base *base = mesh->options.base;

    CHECK(connection != NULL);
    connection->mesh = mesh;
    connection->slot = slot;
    connection->kind = kind;
    connection->state = slot == NULL ? MESH_HANDSHAKE : MESH_CONNECTING;
    connection->pin = (struct mesh_pin){.committee = mesh->options.committee,
                                        .self = mesh->options.self,
                                        .dialled = slot != NULL,
                                        .peer = slot == NULL ? 0 : slot->peer};
    connection->address = *address;
    connection->last_in_us = mesh_now_us();
    connection->deadline_us = connection->last_in_us + mesh->options.handshake_us_max;
    connection->nonce = random_u64();
    mesh_queue_init(&connection->queue, mesh->options.queue_bytes_max[kind]);
    if (mesh_stream_open(&connection->stream, &mesh->pool, fd, &connection->pin) != OK) {
        (void)evutil_closesocket(fd);
        free(connection);
        return NULL;
    }
    connection->read_event = event_new(base, fd, EV_READ | EV_PERSIST, on_readable, connection);
    connection->write_event = event_new(base, fd, EV_WRITE | EV_PERSIST, on_writable, connection);
    CHECK(connection->read_event != NULL);
    CHECK(connection->write_event != NULL);
    connection->write_armed = slot != NULL;
    (void)event_add(slot == NULL ? connection->read_event : connection->write_event, NULL);
    return connection;
}

void mesh_connection_kill(struct mesh_connection *connection, const char *reason)
{
    struct mesh *mesh = connection->mesh;

    if (connection->state == MESH_DEAD) return;
    if (!connection->pin.dialled && connection->state != MESH_UP) {
        TAILQ_REMOVE(&mesh->pending, connection, entry);
        mesh->pending_count--;
    }
    connection->state = MESH_DEAD;
    if (connection->is_dirty) {
        TAILQ_REMOVE(&mesh->dirty[connection->kind], connection, dirty_entry);
        connection->is_dirty = false;
    }
    event_free(connection->read_event);
    event_free(connection->write_event);
    if (connection->delay_event != NULL) event_free(connection->delay_event);
    mesh_stream_close(&connection->stream);
    mesh_queue_clear(&connection->queue);
    connection->head_sent = 0;
    TAILQ_INSERT_TAIL(&mesh->dead, connection, entry);
    mesh_sweep_soon(mesh);

    if (connection->slot == NULL) {
        mesh_accept_refused(mesh, connection, reason);
    } else {
        mesh_slot_lose(connection->slot, connection, reason);
    }
}

void mesh_connection_free(struct mesh_connection *connection)
{
    CHECK(connection->state == MESH_DEAD);
    mesh_frame_drop(&connection->frame);
    free(connection);
}
