#include "consensus/node/mesh_internal.h"

#include <poll.h>
#include <stdlib.h>

#include <event2/event.h>

/* Between two looks at whether the peers' kernels have everything. */
#define LOOK_MS 1

static bool is_flushed(struct mesh *mesh)
{
    bool flushed = true;

    for (uint32_t i = 0; i < mesh->options.committee->count * MESH_LINKS; i++) {
        struct mesh_slot *slot = &mesh->slots[i];

        if (slot->current != NULL) mesh_transfer_send(slot->current);
        flushed = flushed && mesh_unacked_bytes(mesh, slot->peer, slot->kind) == 0;
    }
    return flushed;
}

/* Sends what is queued, then TLS's goodbye, until the peers' kernels have it or the time is over.
 * Closing earlier could reset a connection under what is still on its way. */
static void say_goodbye(struct mesh *mesh)
{
    uint64_t until_us = mesh_now_us() + MESH_CLOSE_US_MAX;

    while (!is_flushed(mesh) && mesh_now_us() < until_us) {
        (void)poll(NULL, 0, LOOK_MS);
    }
    for (uint32_t i = 0; i < mesh->options.committee->count * MESH_LINKS; i++) {
        struct mesh_connection *connection = mesh->slots[i].current;
        if (connection == NULL) continue;
        mesh_stream_goodbye(&connection->stream);
        (void)mesh_stream_send(&connection->stream);
    }
}

static void close_slots(struct mesh *mesh)
{
    for (uint32_t i = 0; i < mesh->options.committee->count * MESH_LINKS; i++) {
        struct mesh_slot *slot = &mesh->slots[i];

        if (slot->current != NULL) mesh_connection_kill(slot->current, "closing");
        if (slot->dialling != NULL) mesh_connection_kill(slot->dialling, "closing");
        if (slot->retry_event != NULL) event_free(slot->retry_event);
    }
    free(mesh->slots);
}

static void free_event(struct event *event)
{
    if (event != NULL) event_free(event);
}

void mesh_close(struct mesh *mesh)
{
    if (mesh == NULL) return;
    mesh->is_closing = true;
    mesh_listen_close(mesh, MESH_CONTROL);
    mesh_listen_close(mesh, MESH_BULK);
    while (!TAILQ_EMPTY(&mesh->pending)) {
        mesh_connection_kill(TAILQ_FIRST(&mesh->pending), "closing");
    }
    if (mesh->slots != NULL) {
        say_goodbye(mesh);
        close_slots(mesh);
    }
    mesh_sweep(mesh);
    free_event(mesh->tick_event);
    free_event(mesh->sweep_event);
    free_event(mesh->flush_events[MESH_CONTROL]);
    free_event(mesh->flush_events[MESH_BULK]);
    mesh_stream_pool_close(&mesh->pool);
    mesh_tls_close(mesh->tls);
    explicit_bzero(mesh->options.network_seed, sizeof mesh->options.network_seed);
    free(mesh);
}
