#include "consensus/node/mesh_internal.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <unistd.h>

#include <event2/event.h>

#include "common/log.h"

/* Connections taken per call, so that a flood of them does not hold up the loop. */
#define ACCEPTS_PER_TURN 16u

/* Connections the kernel completes while we are busy: every peer at once, and strangers. */
#define BACKLOG 256

const char *mesh_address_text(char *ret, const struct sockaddr_storage *address)
{
    char host[INET6_ADDRSTRLEN] = "?";

    if (address->ss_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)address;
        (void)inet_ntop(AF_INET, &in->sin_addr, host, sizeof host);
        snprintf(ret, MESH_ADDRESS_BYTES, "%s:%u", host, ntohs(in->sin_port));
    } else if (address->ss_family == AF_INET6) {
        const struct sockaddr_in6 *in = (const struct sockaddr_in6 *)address;
        (void)inet_ntop(AF_INET6, &in->sin6_addr, host, sizeof host);
        snprintf(ret, MESH_ADDRESS_BYTES, "[%s]:%u", host, ntohs(in->sin6_port));
    } else {
        snprintf(ret, MESH_ADDRESS_BYTES, "(no address)");
    }
    return ret;
}

void mesh_accept_refused(struct mesh *mesh,
                         const struct mesh_connection *connection,
                         const char *reason)
{
    uint64_t now_us = mesh_now_us();
    char text[MESH_ADDRESS_BYTES];

    mesh->strangers++;
    mesh->refused++;
    if (mesh->is_closing) return;
    if (mesh->strangers_logged_us != 0 &&
        now_us - mesh->strangers_logged_us < MESH_STRANGER_LOG_US) {
        return;
    }
    mesh->strangers_logged_us = now_us;
    log_warn("mesh: refused a %s connection from %s: %s (%llu since the last such line)",
             mesh_link_name(connection->kind), mesh_address_text(text, &connection->address),
             reason, (unsigned long long)mesh->strangers);
    mesh->strangers = 0;
}

void mesh_tune_socket(struct mesh *mesh, int fd)
{
    char *name = mesh->options.congestion;
    int one = 1;

    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (name[0] == '\0') return;
    if (setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, name, (socklen_t)strlen(name)) == 0) return;
    log_warn("mesh: congestion control \"%s\": %s; using the system's", name,
             strerrordesc_np(errno));
    name[0] = '\0';
}

/* False: nothing more to accept now. */
static bool accept_one(struct mesh *mesh, enum mesh_link kind)
{
    struct mesh_listener *listener = &mesh->listeners[kind];
    struct sockaddr_storage address = {0};
    struct mesh_connection *connection = NULL;
    socklen_t len = sizeof address;
    int fd = accept4(listener->fd, (struct sockaddr *)&address, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);

    if (fd < 0) {
        if (errno != EMFILE && errno != ENFILE && errno != ENOBUFS && errno != ENOMEM) return false;
        /* The oldest stranger gives its descriptor back; the listener rests until the next tick. */
        log_warn("mesh: cannot accept a connection: %s", strerrordesc_np(errno));
        if (!TAILQ_EMPTY(&mesh->pending)) {
            mesh_connection_kill(TAILQ_FIRST(&mesh->pending), "its descriptor is needed");
        }
        listener->resting = true;
        (void)event_del(listener->event);
        return false;
    }
    mesh_tune_socket(mesh, fd);
    if (mesh->pending_count >= MESH_PENDING_MAX) {
        mesh_connection_kill(TAILQ_FIRST(&mesh->pending), "too many strangers, it is the oldest");
    }
    connection = mesh_connection_new(mesh, NULL, kind, fd, &address);
    if (connection == NULL) return false;
    TAILQ_INSERT_TAIL(&mesh->pending, connection, entry);
    mesh->pending_count++;
    CHECK(mesh->pending_count <= MESH_PENDING_MAX);
    return true;
}

static void on_connection(evutil_socket_t fd, short what, void *context)
{
    struct mesh *mesh = context;
    enum mesh_link kind = fd == mesh->listeners[MESH_BULK].fd ? MESH_BULK : MESH_CONTROL;

    (void)what;
    for (uint32_t i = 0; i < ACCEPTS_PER_TURN; i++) {
        if (!accept_one(mesh, kind)) return;
    }
}

void mesh_accept_tick(struct mesh *mesh, uint64_t now_us)
{
    struct mesh_connection *connection = NULL;

    for (uint32_t kind = 0; kind < MESH_LINKS; kind++) {
        if (!mesh->listeners[kind].resting) continue;
        mesh->listeners[kind].resting = false;
        (void)event_add(mesh->listeners[kind].event, NULL);
    }
    while ((connection = TAILQ_FIRST(&mesh->pending)) != NULL && now_us > connection->deadline_us) {
        mesh_connection_kill(connection, "it did not finish the handshake in time");
    }
}

enum status mesh_listen(struct mesh *mesh, enum mesh_link kind, char *error, size_t error_len)
{
    struct mesh_listener *listener = &mesh->listeners[kind];
    struct sockaddr_storage *address = &mesh->options.listen[kind];
    socklen_t len =
        address->ss_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
    char text[MESH_ADDRESS_BYTES];
    int one = 1;

    listener->fd = socket(address->ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (listener->fd < 0 ||
        setsockopt(listener->fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) != 0 ||
        bind(listener->fd, (struct sockaddr *)address, len) != 0 ||
        listen(listener->fd, BACKLOG) != 0 ||
        getsockname(listener->fd, (struct sockaddr *)address, &len) != 0) {
        snprintf(error, error_len, "%s: cannot listen on %s: %s",
                 kind == MESH_CONTROL ? "primary_listen" : "worker_listen",
                 mesh_address_text(text, address), strerrordesc_np(errno));
        return ERR_IO;
    }
    listener->event =
        event_new(mesh->options.base, listener->fd, EV_READ | EV_PERSIST, on_connection, mesh);
    CHECK(listener->event != NULL);
    (void)event_add(listener->event, NULL);
    return OK;
}

void mesh_listen_close(struct mesh *mesh, enum mesh_link kind)
{
    struct mesh_listener *listener = &mesh->listeners[kind];

    if (listener->event != NULL) event_free(listener->event);
    if (listener->fd >= 0) (void)close(listener->fd);
    *listener = (struct mesh_listener){.fd = -1};
}
