#include "consensus/node/mesh_internal.h"

#include <linux/sockios.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <time.h>

#include <event2/event.h>

#include "common/log.h"

/* A tick is an eighth of the shorter of the two time limits, so both are kept to 13 %. */
#define TICKS_PER_LIMIT 8u

uint64_t mesh_now_us(void)
{
    struct timespec now;

    CHECK(clock_gettime(CLOCK_MONOTONIC, &now) == 0);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

const char *mesh_link_name(enum mesh_link kind)
{
    return kind == MESH_BULK ? "bulk" : "control";
}

struct mesh_slot *mesh_slot_at(const struct mesh *mesh, authority_t peer, enum mesh_link kind)
{
    CHECK(peer < mesh->options.committee->count);
    return &mesh->slots[(size_t)peer * MESH_LINKS + (size_t)kind];
}

void mesh_sweep_soon(struct mesh *mesh)
{
    if (!mesh->is_closing) event_active(mesh->sweep_event, EV_TIMEOUT, 1);
}

void mesh_sweep(struct mesh *mesh)
{
    struct mesh_connection *connection = NULL;

    while ((connection = TAILQ_FIRST(&mesh->dead)) != NULL) {
        TAILQ_REMOVE(&mesh->dead, connection, entry);
        if (connection->was_up && !mesh->is_closing) {
            const struct mesh_slot *slot = connection->slot;
            mesh->options.on_down(mesh->options.context, slot->peer, slot->kind);
        }
        mesh_connection_free(connection);
    }
}

static void on_sweep(evutil_socket_t fd, short what, void *context)
{
    (void)fd, (void)what;
    mesh_sweep(context);
}

void mesh_mark_dirty(struct mesh_connection *connection)
{
    struct mesh *mesh = connection->mesh;

    if (connection->is_dirty) return;
    if (TAILQ_EMPTY(&mesh->dirty[connection->kind]) && !mesh->is_closing) {
        event_active(mesh->flush_events[connection->kind], EV_TIMEOUT, 1);
    }
    connection->is_dirty = true;
    TAILQ_INSERT_TAIL(&mesh->dirty[connection->kind], connection, dirty_entry);
}

static void flush_kind(struct mesh *mesh, enum mesh_link kind)
{
    struct mesh_connection *connection = NULL;

    while ((connection = TAILQ_FIRST(&mesh->dirty[kind])) != NULL) {
        TAILQ_REMOVE(&mesh->dirty[kind], connection, dirty_entry);
        connection->is_dirty = false;
        mesh_transfer_send(connection);
    }
}

static void on_flush_control(evutil_socket_t fd, short what, void *context)
{
    (void)fd, (void)what;
    flush_kind(context, MESH_CONTROL);
}

static void on_flush_bulk(evutil_socket_t fd, short what, void *context)
{
    (void)fd, (void)what;
    flush_kind(context, MESH_BULK);
}

static void on_tick(evutil_socket_t fd, short what, void *context)
{
    struct mesh *mesh = context;
    uint64_t now_us = mesh_now_us();
    size_t count = (size_t)mesh->options.committee->count * MESH_LINKS;

    (void)fd, (void)what;
    for (size_t i = 0; i < count; i++) {
        mesh_slot_tick(&mesh->slots[i], now_us);
    }
    mesh_accept_tick(mesh, now_us);
}

static void on_retry(evutil_socket_t fd, short what, void *context)
{
    (void)fd, (void)what;
    mesh_slot_dial(context);
}

/* Fills in defaults and refuses what cannot work. */
static enum status settle_options(struct mesh_options *options, char *error, size_t error_len)
{
    static const size_t queue_bytes_max[MESH_LINKS] = {MESH_CONTROL_QUEUE_BYTES_MAX,
                                                       MESH_BULK_QUEUE_BYTES_MAX};

    if (options->self >= options->committee->count) {
        snprintf(error, error_len, "mesh: member %u is not in the committee", options->self);
        return ERR_CONFIG;
    }
    for (uint32_t kind = 0; kind < MESH_LINKS; kind++) {
        if (options->queue_bytes_max[kind] == 0) {
            options->queue_bytes_max[kind] = queue_bytes_max[kind];
        }
        if (options->queue_bytes_max[kind] < FRAME_BYTES_MAX + MESH_PREFIX_BYTES) {
            snprintf(error, error_len, "mesh: queue_bytes_max is less than one frame");
            return ERR_CONFIG;
        }
    }
    if (options->idle_us_max == 0) options->idle_us_max = MESH_IDLE_US_MAX;
    if (options->handshake_us_max == 0) options->handshake_us_max = MESH_HANDSHAKE_US_MAX;
    return OK;
}

/* Slots, and the events that are there from start to end. */
static void make_slots(struct mesh *mesh)
{
    struct mesh_options *options = &mesh->options;
    uint32_t limit_us = options->idle_us_max < options->handshake_us_max
                            ? options->idle_us_max
                            : options->handshake_us_max;
    uint32_t tick_us = limit_us / TICKS_PER_LIMIT + 1;
    struct timeval tick = {.tv_sec = tick_us / 1000000, .tv_usec = tick_us % 1000000};

    mesh->slots = calloc((size_t)options->committee->count * MESH_LINKS, sizeof *mesh->slots);
    CHECK(mesh->slots != NULL);
    for (authority_t peer = 0; peer < options->committee->count; peer++) {
        for (uint32_t kind = 0; kind < MESH_LINKS; kind++) {
            struct mesh_slot *slot = mesh_slot_at(mesh, peer, (enum mesh_link)kind);
            *slot = (struct mesh_slot){.mesh = mesh, .peer = peer, .kind = (enum mesh_link)kind};
            if (peer == options->self) continue;
            slot->address = options->peers[peer].address[kind];
            slot->delay_us = options->peers[peer].delay_us;
            if (peer < options->self) continue;
            slot->retry_event = event_new(options->base, -1, EV_TIMEOUT, on_retry, slot);
            CHECK(slot->retry_event != NULL);
        }
    }
    mesh->sweep_event = event_new(options->base, -1, 0, on_sweep, mesh);
    mesh->flush_events[MESH_CONTROL] = event_new(options->base, -1, 0, on_flush_control, mesh);
    mesh->flush_events[MESH_BULK] = event_new(options->base, -1, 0, on_flush_bulk, mesh);
    mesh->tick_event = event_new(options->base, -1, EV_PERSIST, on_tick, mesh);
    CHECK(mesh->sweep_event != NULL);
    CHECK(mesh->flush_events[MESH_CONTROL] != NULL);
    CHECK(mesh->flush_events[MESH_BULK] != NULL);
    CHECK(mesh->tick_event != NULL);
    (void)event_add(mesh->tick_event, &tick);
}

enum status mesh_open(struct mesh **ret_mesh,
                      const struct mesh_options *options,
                      char *error,
                      size_t error_len)
{
    struct mesh *mesh = calloc(1, sizeof *mesh);
    enum status status = OK;

    CHECK(mesh != NULL);
    mesh->options = *options;
    mesh->listeners[MESH_CONTROL].fd = -1;
    mesh->listeners[MESH_BULK].fd = -1;
    TAILQ_INIT(&mesh->dirty[MESH_CONTROL]);
    TAILQ_INIT(&mesh->dirty[MESH_BULK]);
    TAILQ_INIT(&mesh->pending);
    TAILQ_INIT(&mesh->dead);
    status = settle_options(&mesh->options, error, error_len);
    if (status != OK) goto fail;
    status = mesh_tls_open(&mesh->tls, options->committee, options->self, options->network_seed);
    if (status != OK) {
        snprintf(error, error_len,
                 status == ERR_CONFIG ? "mesh: the network key is not that of member %u"
                                      : "mesh: cannot make the TLS context of member %u",
                 options->self);
        goto fail;
    }
    status = mesh_stream_pool_open(&mesh->pool, mesh->tls);
    if (status != OK) {
        snprintf(error, error_len, "mesh: cannot make the TLS streams");
        goto fail;
    }
    explicit_bzero(mesh->options.network_seed, sizeof mesh->options.network_seed);
    for (uint32_t kind = 0; kind < MESH_LINKS; kind++) {
        status = mesh_listen(mesh, (enum mesh_link)kind, error, error_len);
        if (status != OK) goto fail;
    }
    make_slots(mesh);
    mesh->options.peers = NULL; /* copied */
    for (uint32_t i = 0; i < options->committee->count * MESH_LINKS; i++) {
        if (mesh->slots[i].retry_event != NULL) mesh_slot_dial(&mesh->slots[i]);
    }
    *ret_mesh = mesh;
    return OK;
fail:
    mesh_close(mesh);
    return status;
}

bool mesh_send(struct mesh *mesh, authority_t peer, enum mesh_link link, struct buffer *frame)
{
    struct mesh_connection *connection = mesh_slot_at(mesh, peer, link)->current;

    CHECK(frame->len > MESH_PREFIX_BYTES);
    CHECK(frame->len <= FRAME_BYTES_MAX + MESH_PREFIX_BYTES);
    if (connection == NULL) return false;
    if (mesh_transfer_queue(connection, frame)) return true;
    mesh_connection_kill(connection, "it does not keep up: its queue is full");
    return false;
}

void mesh_broadcast(struct mesh *mesh, enum mesh_link link, struct buffer *frame)
{
    for (authority_t peer = 0; peer < mesh->options.committee->count; peer++) {
        if (peer != mesh->options.self) (void)mesh_send(mesh, peer, link, frame);
    }
}

void mesh_flush(struct mesh *mesh)
{
    flush_kind(mesh, MESH_CONTROL);
    flush_kind(mesh, MESH_BULK);
}

bool mesh_is_up(const struct mesh *mesh, authority_t peer, enum mesh_link link)
{
    return mesh_slot_at(mesh, peer, link)->current != NULL;
}

size_t mesh_queued_bytes(const struct mesh *mesh, authority_t peer, enum mesh_link link)
{
    const struct mesh_connection *connection = mesh_slot_at(mesh, peer, link)->current;

    return connection == NULL ? 0 : mesh_transfer_unsent(connection);
}

size_t mesh_unacked_bytes(const struct mesh *mesh, authority_t peer, enum mesh_link link)
{
    const struct mesh_connection *connection = mesh_slot_at(mesh, peer, link)->current;
    int in_kernel = 0;

    if (connection == NULL) return 0;
    if (ioctl(connection->stream.fd, SIOCOUTQ, &in_kernel) != 0 || in_kernel < 0) in_kernel = 0;
    return mesh_transfer_unsent(connection) + (size_t)in_kernel;
}

void mesh_cut(struct mesh *mesh, authority_t peer, enum mesh_link link, const char *reason)
{
    struct mesh_connection *connection = mesh_slot_at(mesh, peer, link)->current;

    if (connection != NULL) mesh_connection_kill(connection, reason);
}

void mesh_pause(struct mesh *mesh, authority_t peer, enum mesh_link link, bool pause)
{
    struct mesh_slot *slot = mesh_slot_at(mesh, peer, link);

    if (slot->paused == pause) return;
    slot->paused = pause;
    if (slot->current == NULL) return;
    if (pause) {
        (void)event_del(slot->current->read_event);
    } else {
        slot->current->last_in_us = mesh_now_us();
        (void)event_add(slot->current->read_event, NULL);
    }
}

void mesh_get_peer(struct mesh_peer_status *ret_status, const struct mesh *mesh, authority_t peer)
{
    *ret_status = (struct mesh_peer_status){.up = true};
    for (uint32_t kind = 0; kind < MESH_LINKS; kind++) {
        const struct mesh_slot *slot = mesh_slot_at(mesh, peer, (enum mesh_link)kind);
        struct mesh_link_status *status = &ret_status->links[kind];

        *status = slot->status;
        status->up = slot->current != NULL;
        status->queued_bytes = mesh_queued_bytes(mesh, peer, slot->kind);
        ret_status->up = ret_status->up && status->up;
    }
    ret_status->rtt_us = mesh_slot_at(mesh, peer, MESH_CONTROL)->rtt_us;
}

uint64_t mesh_refused(const struct mesh *mesh)
{
    return mesh->refused;
}

size_t mesh_pending(const struct mesh *mesh)
{
    size_t pending = mesh->pending_count;

    for (uint32_t i = 0; i < mesh->options.committee->count * MESH_LINKS; i++) {
        pending += mesh->slots[i].dialling != NULL;
    }
    return pending;
}

void mesh_get_address(struct sockaddr_storage *ret_address,
                      const struct mesh *mesh,
                      enum mesh_link link)
{
    *ret_address = mesh->options.listen[link];
}

void mesh_set_peer_address(struct mesh *mesh,
                           authority_t peer,
                           enum mesh_link link,
                           const struct sockaddr_storage *address)
{
    struct mesh_slot *slot = mesh_slot_at(mesh, peer, link);

    slot->address = *address;
    if (slot->retry_event != NULL) mesh_slot_dial(slot);
}

void mesh_check(const struct mesh *mesh)
{
    const struct mesh_connection *connection = NULL;
    size_t pending = 0;

    for (uint32_t i = 0; i < mesh->options.committee->count * MESH_LINKS; i++) {
        const struct mesh_slot *slot = &mesh->slots[i];
        if (slot->current != NULL) {
            CHECK(slot->current->state == MESH_UP);
            CHECK(slot->current->slot == slot);
            mesh_queue_check(&slot->current->queue);
        }
        if (slot->dialling != NULL) {
            CHECK(slot->dialling->state < MESH_UP);
            CHECK(slot->dialling->pin.dialled);
        }
    }
    TAILQ_FOREACH(connection, &mesh->pending, entry)
    {
        CHECK(connection->state < MESH_UP);
        CHECK(!connection->pin.dialled);
        pending++;
    }
    CHECK(pending == mesh->pending_count);
    CHECK(pending <= MESH_PENDING_MAX);
}
