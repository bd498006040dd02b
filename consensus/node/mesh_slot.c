#include "consensus/node/mesh_internal.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/random.h>
#include <unistd.h>

#include <event2/event.h>

#include "common/log.h"

/* Logs what is wrong with a link when it is not what was logged last. */
static void note(struct mesh_slot *slot, const char *reason)
{
    if (strncmp(slot->reason, reason, sizeof slot->reason - 1) == 0) return;
    snprintf(slot->reason, sizeof slot->reason, "%s", reason);
    log_warn("mesh: peer %u %s: %s", slot->peer, mesh_link_name(slot->kind), slot->reason);
}

/* The wait before the next try, with a quarter of jitter either way, and doubles the one after it.
 */
static uint64_t next_wait(struct mesh_slot *slot, uint64_t max_us)
{
    uint64_t wait_us = u64_min(u64_max(slot->retry_us, MESH_RETRY_US_MIN), max_us);
    uint32_t noise = 0;

    CHECK(getrandom(&noise, sizeof noise, 0) == (ssize_t)sizeof noise);
    slot->retry_us = wait_us * 2;
    return wait_us - wait_us / 4 + noise % (wait_us / 2);
}

static void plan_retry(struct mesh_slot *slot, uint64_t max_us)
{
    uint64_t wait_us = 0;
    struct timeval wait;

    if (slot->retry_event == NULL || slot->mesh->is_closing) return;
    wait_us = next_wait(slot, max_us);
    wait = (struct timeval){.tv_sec = (time_t)(wait_us / 1000000),
                            .tv_usec = (suseconds_t)(wait_us % 1000000)};
    (void)event_add(slot->retry_event, &wait);
}

static socklen_t address_len(const struct sockaddr_storage *address)
{
    return address->ss_family == AF_INET6 ? sizeof(struct sockaddr_in6)
                                          : sizeof(struct sockaddr_in);
}

void mesh_slot_dial(struct mesh_slot *slot)
{
    const struct sockaddr *address = (const struct sockaddr *)&slot->address;
    char reason[MESH_REASON_BYTES];
    int fd = -1;

    if (slot->current != NULL || slot->dialling != NULL) return;
    if (slot->address.ss_family == AF_UNSPEC) {
        plan_retry(slot, MESH_RETRY_UNREACHED_US_MAX);
        return;
    }
    fd = socket(slot->address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd >= 0) {
        mesh_tune_socket(slot->mesh, fd);
        if (connect(fd, address, address_len(&slot->address)) == 0 || errno == EINPROGRESS) {
            slot->dialling = mesh_connection_new(slot->mesh, slot, slot->kind, fd, &slot->address);
            if (slot->dialling != NULL) return;
            errno = ENOMEM;
            fd = -1;
        }
    }
    snprintf(reason, sizeof reason, "cannot connect: %s", strerrordesc_np(errno));
    if (fd >= 0) (void)close(fd);
    note(slot, reason);
    plan_retry(slot, MESH_RETRY_UNREACHED_US_MAX);
}

void mesh_slot_adopt(struct mesh_slot *slot, struct mesh_connection *connection)
{
    struct mesh *mesh = slot->mesh;

    CHECK(connection->state == MESH_UP);
    CHECK(connection->slot == slot);
    if (slot->dialling == connection) slot->dialling = NULL;
    if (slot->current != NULL)
        mesh_connection_kill(slot->current, "a newer connection replaces it");
    CHECK(slot->current == NULL);
    slot->current = connection;
    /* What died before, the connection just replaced included, is told before what came up. */
    mesh_sweep(mesh);

    slot->status.connections++;
    slot->up_since_us = mesh_now_us();
    slot->next_ping_us = slot->up_since_us;
    slot->ping_us = 0;
    slot->reason[0] = '\0';
    if (slot->paused) (void)event_del(connection->read_event);
    log_info("mesh: peer %u %s: up", slot->peer, mesh_link_name(slot->kind));
    if (connection->state == MESH_UP) {
        mesh->options.on_up(mesh->options.context, slot->peer, slot->kind);
    }
}

void mesh_slot_lose(struct mesh_slot *slot,
                    const struct mesh_connection *connection,
                    const char *reason)
{
    if (slot->current == connection) {
        slot->current = NULL;
        if (mesh_now_us() - slot->up_since_us >= MESH_STABLE_US) slot->retry_us = MESH_RETRY_US_MIN;
    }
    if (slot->dialling == connection) slot->dialling = NULL;
    if (slot->mesh->is_closing) return;
    note(slot, reason);
    plan_retry(slot, connection->reached ? MESH_RETRY_REFUSED_US_MAX : MESH_RETRY_UNREACHED_US_MAX);
}

static void tick_current(struct mesh_slot *slot, uint64_t now_us)
{
    struct mesh_connection *connection = slot->current;
    uint32_t idle_us_max = slot->mesh->options.idle_us_max;

    if (!slot->paused && now_us - connection->last_in_us > idle_us_max) {
        mesh_connection_kill(connection, "it was silent for too long");
        return;
    }
    if (now_us >= slot->next_ping_us) {
        slot->next_ping_us = now_us + idle_us_max / 4;
        mesh_transfer_ping(connection, now_us);
    }
}

void mesh_slot_tick(struct mesh_slot *slot, uint64_t now_us)
{
    if (slot->current != NULL) tick_current(slot, now_us);
    if (slot->dialling != NULL && now_us > slot->dialling->deadline_us) {
        mesh_connection_kill(slot->dialling, "it did not finish the handshake in time");
    }
}
