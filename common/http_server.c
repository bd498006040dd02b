#include "common/http_server.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/bufferevent_ssl.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <netinet/in.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>

#include "common/http_connection.h"
#include "common/log.h"

#define CONNECTIONS_DEFAULT  256u
#define REFUSED_MAX          16u /* above the bound, told so before they are closed */
#define TIMEOUT_MS_DEFAULT   30000u
#define LINGER_MS            2000u
#define SWEEP_PERIOD_SECONDS 1

struct http_server {
    struct http_server_options options;
    struct event_base *base;
    struct evconnlistener *listener;
    struct event *sweep;
    struct connection *connections;
    uint32_t connections_count;
    bool resting; /* accepts nothing until the next sweep */
};

static uint64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

uint64_t http_server_deadline(const struct http_server *server)
{
    return now_ms() + server->options.timeout_ms;
}

const struct http_server_options *http_server_options_of(const struct http_server *server)
{
    return &server->options;
}

/* Says goodbye on a TLS connection, without waiting for the other side: it can tell a whole reply
 * from one that was cut. */
static void close_tls(struct bufferevent *bev)
{
    SSL *tls = bufferevent_openssl_get_ssl(bev);

    if (tls == NULL || SSL_in_init(tls)) return;
    (void)SSL_shutdown(tls);
    ERR_clear_error();
}

static void connection_free(struct connection *connection)
{
    struct http_server *server = connection->server;

    if (connection->previous != NULL) connection->previous->next = connection->next;
    if (connection->next != NULL) connection->next->previous = connection->previous;
    if (server->connections == connection) server->connections = connection->next;
    server->connections_count--;

    struct http_request *request = connection->request;
    if (request != NULL && connection->state == CONNECTION_HANDLING) {
        request->connection = NULL; /* the handler will still reply */
    } else {
        http_request_free(request);
    }
    struct http_stream *stream = connection->stream;
    close_tls(connection->bev);
    bufferevent_free(connection->bev);
    free(connection);
    if (stream != NULL) {
        if (stream->on_gone != NULL) stream->on_gone(stream->context);
        free(stream);
    }
}

void connection_drop(struct connection *connection)
{
    if (connection->advancing) {
        connection->state = CONNECTION_DONE;
    } else {
        connection_free(connection);
    }
}

/* Runs connection_advance and frees the connection if that ended it. */
static void advance(struct connection *connection)
{
    connection->advancing = true;
    connection_advance(connection);
    connection->advancing = false;
    if (connection->state == CONNECTION_DONE) connection_free(connection);
}

void connection_replied(struct connection *connection)
{
    if (connection->state == CONNECTION_DONE) return;
    connection->deadline_ms = http_server_deadline(connection->server);
    connection->begun = false;
    if (!connection->keep_alive) {
        connection->state = CONNECTION_REPLYING;
        return; /* on_write goes on when the output is taken */
    }
    connection->state = CONNECTION_READING;
    if (!connection->advancing)
        bufferevent_trigger(connection->bev, EV_READ, BEV_TRIG_DEFER_CALLBACKS);
}

static void on_read(struct bufferevent *bev, void *context)
{
    struct connection *connection = context;

    switch (connection->state) {
    case CONNECTION_READING:
        if (!connection->begun) {
            connection->begun = true;
            connection->deadline_ms = http_server_deadline(connection->server);
        }
        advance(connection);
        break;
    case CONNECTION_LINGERING:
    case CONNECTION_REPLYING:
        evbuffer_drain(bufferevent_get_input(bev), SIZE_MAX);
        break;
    case CONNECTION_HANDLING:
    case CONNECTION_STREAMING:
    case CONNECTION_DONE:
        break; /* a pipelined request waits; the read watermark bounds it */
    }
}

static void on_write(struct bufferevent *bev, void *context)
{
    struct connection *connection = context;

    if (connection->state == CONNECTION_READING) {
        /* Pipelined requests that waited for replies to be taken. */
        if (evbuffer_get_length(bufferevent_get_input(bev)) > 0) advance(connection);
        return;
    }
    if (connection->state != CONNECTION_REPLYING) return;
    if (!connection->unread || connection->eof) {
        connection_free(connection);
        return;
    }
    close_tls(bev);
    shutdown(bufferevent_getfd(bev), SHUT_WR);
    connection->state = CONNECTION_LINGERING;
    connection->deadline_ms = now_ms() + LINGER_MS;
}

static void on_event(struct bufferevent *bev, short what, void *context)
{
    struct connection *connection = context;
    bool pending = evbuffer_get_length(bufferevent_get_output(bev)) > 0;

    if ((what & BEV_EVENT_CONNECTED) != 0) return; /* the TLS handshake is over */
    if ((what & BEV_EVENT_EOF) != 0) {
        connection->eof = true;
        connection->keep_alive = false;
        /* A client may close its side first and still read the reply. */
        if (connection->state == CONNECTION_HANDLING) return;
        if (connection->state == CONNECTION_REPLYING && pending) return;
    }
    connection_free(connection);
}

static void on_sweep(evutil_socket_t fd, short what, void *context)
{
    struct http_server *server = context;
    uint64_t now = now_ms();
    (void)fd;
    (void)what;

    if (server->resting) (void)evconnlistener_enable(server->listener);
    server->resting = false;
    for (struct connection *next, *connection = server->connections; connection != NULL;
         connection = next) {
        next = connection->next;
        if (now < connection->deadline_ms) continue;
        switch (connection->state) {
        case CONNECTION_READING:
            /* Somebody in the middle of a request is told; an idle connection just ends. */
            if (connection->request != NULL ||
                evbuffer_get_length(bufferevent_get_input(connection->bev)) > 0) {
                connection_refuse(connection, 408, NULL);
            } else {
                connection_free(connection);
            }
            break;
        case CONNECTION_REPLYING:
        case CONNECTION_LINGERING:
            connection_free(connection);
            break;
        case CONNECTION_HANDLING:
        case CONNECTION_STREAMING:
        case CONNECTION_DONE:
            break;
        }
    }
}

static struct bufferevent *make_bufferevent(struct http_server *server, evutil_socket_t fd)
{
    if (server->options.tls == NULL)
        return bufferevent_socket_new(server->base, fd, BEV_OPT_CLOSE_ON_FREE);
    SSL *tls = SSL_new(server->options.tls);
    CHECK(tls != NULL);
    struct bufferevent *bev = bufferevent_openssl_socket_new(
        server->base, fd, tls, BUFFEREVENT_SSL_ACCEPTING, BEV_OPT_CLOSE_ON_FREE);
    /* A client that ends the connection without a goodbye has still ended it. */
    if (bev != NULL) bufferevent_openssl_set_allow_dirty_shutdown(bev, 1);
    return bev;
}

static void on_accept(struct evconnlistener *listener,
                      evutil_socket_t fd,
                      struct sockaddr *address,
                      int address_len,
                      void *context)
{
    struct http_server *server = context;
    const uint32_t most = server->options.connections_max;
    (void)listener;

    /* A few above the bound are told so; beyond that they are just closed, at once: a bufferevent keeps its
     * descriptor until the loop turns. */
    if (server->connections_count >= most + REFUSED_MAX) {
        evutil_closesocket(fd);
        return;
    }
    struct bufferevent *bev = make_bufferevent(server, fd);
    struct connection *connection = calloc(1, sizeof *connection);
    CHECK(connection != NULL);
    CHECK(bev != NULL);
    CHECK((size_t)address_len <= sizeof connection->peer);
    memcpy(&connection->peer, address, (size_t)address_len);
    connection->server = server;
    connection->bev = bev;
    connection->state = CONNECTION_READING;
    connection->deadline_ms = http_server_deadline(server);
    connection->next = server->connections;
    if (connection->next != NULL) connection->next->previous = connection;
    server->connections = connection;
    server->connections_count++;

    bufferevent_setcb(bev, on_read, on_write, on_event, connection);
    /* Bounds what a client can send ahead; bodies are taken out as they come. */
    bufferevent_setwatermark(bev, EV_READ, 0, (size_t)4 * HTTP_HEAD_BYTES_MAX);
    bufferevent_enable(bev, EV_READ | EV_WRITE);

    if (server->connections_count > most) connection_refuse(connection, 503, NULL);
}

/* No descriptor is left, most likely: who waits to be accepted would wake us again at once. */
static void on_accept_error(struct evconnlistener *listener, void *context)
{
    struct http_server *server = context;

    log_warn("http: cannot accept a connection: %s", strerrordesc_np(EVUTIL_SOCKET_ERROR()));
    (void)evconnlistener_disable(listener);
    server->resting = true;
}

/* Connections that leave half of the process's descriptors to everything else in it. */
static uint32_t bound_connections(uint32_t wanted)
{
    struct rlimit limit;

    CHECK(getrlimit(RLIMIT_NOFILE, &limit) == 0);
    const uint64_t half = limit.rlim_cur / 2;
    return half <= REFUSED_MAX ? 1 : (uint32_t)u64_min(wanted, half - REFUSED_MAX);
}

enum status http_server_open(struct http_server **ret,
                             struct event_base *base,
                             const struct address *address,
                             const struct http_server_options *options,
                             struct error_line *error)
{
    struct sockaddr_storage storage;
    socklen_t len;
    char text[ADDRESS_TEXT_BYTES_MAX];
    const struct timeval period = {SWEEP_PERIOD_SECONDS, 0};

    address_format(text, address);
    if (address_resolve(&storage, &len, address) != OK) {
        return error_line_set(error, ERR_NOT_FOUND, "%s: the host is not known", text);
    }
    struct http_server *server = calloc(1, sizeof *server);
    CHECK(server != NULL);
    server->options = *options;
    if (server->options.connections_max == 0) server->options.connections_max = CONNECTIONS_DEFAULT;
    server->options.connections_max = bound_connections(server->options.connections_max);
    if (server->options.timeout_ms == 0) server->options.timeout_ms = TIMEOUT_MS_DEFAULT;
    server->base = base;
    if (server->options.tls != NULL) CHECK(SSL_CTX_up_ref(server->options.tls) == 1);
    /* A client that leaves in the middle of a reply is an error of that write, not the end of the
     * program. */
    signal(SIGPIPE, SIG_IGN);
    server->listener = evconnlistener_new_bind(
        base, on_accept, server, LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC | LEV_OPT_REUSEABLE,
        256, (struct sockaddr *)&storage, (int)len);
    if (server->listener == NULL) {
        enum status status =
            error_line_set(error, ERR_IO, "%s: cannot listen: %s", text, strerror(errno));
        SSL_CTX_free(server->options.tls);
        free(server);
        return status;
    }
    evconnlistener_set_error_cb(server->listener, on_accept_error);
    server->sweep = event_new(base, -1, EV_PERSIST, on_sweep, server);
    CHECK(server->sweep != NULL);
    event_add(server->sweep, &period);
    *ret = server;
    return OK;
}

void http_server_set_tls(struct http_server *server, SSL_CTX *tls)
{
    CHECK(server->options.tls != NULL);
    CHECK(SSL_CTX_up_ref(tls) == 1);
    SSL_CTX_free(server->options.tls);
    server->options.tls = tls;
}

uint16_t http_server_port(const struct http_server *server)
{
    struct sockaddr_storage storage;
    socklen_t len = sizeof storage;

    CHECK(getsockname(evconnlistener_get_fd(server->listener), (struct sockaddr *)&storage, &len) ==
          0);
    const void *any = &storage;
    if (storage.ss_family == AF_INET6) return ntohs(((const struct sockaddr_in6 *)any)->sin6_port);
    return ntohs(((const struct sockaddr_in *)any)->sin_port);
}

void http_server_close(struct http_server *server)
{
    if (server == NULL) return;
    while (server->connections != NULL) {
        connection_free(server->connections);
    }
    evconnlistener_free(server->listener);
    event_free(server->sweep);
    SSL_CTX_free(server->options.tls);
    free(server);
}
