#include <grpc/grpc_security.h>
#include <stdio.h>
#include <stdlib.h>

#include "consensus/node/api_internal.h"

/* Longest path that is named back to a client. */
#define PATH_BYTES 128u

/* As long as a slow client on a bad link may take; the library's default is two minutes. */
#define HANDSHAKE_MS_MAX 10000

/* ---- accepting ------------------------------------------------------------------------------- */

static void refuse_full(struct call *call)
{
    call->api->counters.refused_exhausted++;
    call_finish(call, GRPC_STATUS_RESOURCE_EXHAUSTED, "too many calls are open on this port", NULL);
}

static void refuse_closing(struct call *call)
{
    call->api->counters.refused_unavailable++;
    call_finish(call, GRPC_STATUS_UNAVAILABLE, "the node is stopping", NULL);
}

static void refuse_unknown(struct call *call)
{
    call_finish(call, GRPC_STATUS_UNIMPLEMENTED, "unknown service or method on this port", NULL);
}

static const struct method method_full = {"", refuse_full, TOKEN_OPEN};
static const struct method method_closing = {"", refuse_closing, TOKEN_OPEN};
static const struct method method_unknown = {"", refuse_unknown, TOKEN_OPEN};

static const struct method *find_method(const struct port *port, grpc_slice path)
{
    for (const struct method *const *service = port->services; *service != NULL; service++) {
        for (const struct method *method = *service; method->path != NULL; method++) {
            if (grpc_slice_str_cmp(path, method->path) == 0) return method;
        }
    }
    return &method_unknown;
}

static void request_call(struct accept *accept)
{
    grpc_completion_queue *completions = queue_completions(accept->port->api->queue);
    grpc_call_details_init(&accept->details);
    grpc_metadata_array_init(&accept->metadata);
    accept->call = NULL;
    accept->port->accepting++;
    CHECK(grpc_server_request_call(accept->port->server, &accept->call, &accept->details,
                                   &accept->metadata, completions, completions,
                                   &accept->tag) == GRPC_CALL_OK);
}

static void on_accepted(struct queue_tag *tag, bool ok)
{
    struct accept *accept = QUEUE_ITEM(tag, struct accept, tag);
    struct port *port = accept->port;
    port->accepting--;
    const struct method *method = ok ? find_method(port, accept->details.method) : NULL;
    if (ok && port->api->door != NULL)
        method = guard_method(port->api->door, method, &accept->metadata);
    grpc_call *call = accept->call;
    grpc_call_details_destroy(&accept->details);
    grpc_metadata_array_destroy(&accept->metadata);
    if (!ok) return; /* the server is shutting down */

    if (!port->api->closing) request_call(accept);
    if (port->api->closing) method = &method_closing;
    if (port->calls_count >= API_CALLS_MAX) method = &method_full;
    call_start(port, call, method);
}

/* ---- life ------------------------------------------------------------------------------------ */

/* A host, a colon and a port number, as gRPC takes it: "127.0.0.1:64011", "[::1]:64011". */
static bool address_is_good(const char *address)
{
    const char *colon = strrchr(address, ':');
    if (colon == NULL || colon == address || colon[1] == '\0') return false;
    unsigned long number = 0;
    for (const char *digit = colon + 1; *digit != '\0'; digit++) {
        if (*digit < '0' || *digit > '9') return false;
        number = number * 10 + (unsigned long)(*digit - '0');
        if (number > UINT16_MAX) return false;
    }
    return true;
}

static grpc_arg argument(const char *key, int value)
{
    grpc_arg arg = {.type = GRPC_ARG_INTEGER, .key = (char *)(uintptr_t)key};
    arg.value.integer = value;
    return arg;
}

static grpc_server *make_server(void)
{
    grpc_arg args[] = {
        /* Two nodes on one port is a mistake, not a feature. */
        argument(GRPC_ARG_ALLOW_REUSEPORT, 0),
        argument(GRPC_ARG_MAX_RECEIVE_MESSAGE_LENGTH, API_RECEIVE_BYTES_MAX),
        argument(GRPC_ARG_MAX_SEND_MESSAGE_LENGTH, -1),
        argument(GRPC_ARG_MAX_CONCURRENT_STREAMS, API_CALLS_MAX),
        /* Measured: half the memory at equal speed. */
        argument(GRPC_ARG_HTTP2_BDP_PROBE, 0),
        argument(GRPC_ARG_HTTP2_STREAM_LOOKAHEAD_BYTES, 1 << 20),
        argument(GRPC_ARG_HTTP2_MAX_FRAME_SIZE, 1 << 20),
        argument(GRPC_ARG_TCP_READ_CHUNK_SIZE, 256 << 10),
        argument(GRPC_ARG_TCP_MAX_READ_CHUNK_SIZE, 1 << 20),
        /* Connections that say nothing, or not enough to be one of HTTP/2. */
        argument(GRPC_ARG_SERVER_HANDSHAKE_TIMEOUT_MS, HANDSHAKE_MS_MAX),
        /* Clients that vanished without a word are noticed; theirs may ping as they like. */
        argument(GRPC_ARG_KEEPALIVE_TIME_MS, 5000),
        argument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 15000),
        argument(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0),
        argument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, 1000),
        argument(GRPC_ARG_HTTP2_MAX_PING_STRIKES, 0),
    };
    grpc_channel_args channel_args = {sizeof args / sizeof args[0], args};
    return grpc_server_create(&channel_args, NULL);
}

static void on_shutdown(struct queue_tag *tag, bool ok)
{
    (void)ok;
    QUEUE_ITEM(tag, struct port, shutdown_tag)->down = true;
}

enum status port_open(struct port *port,
                      struct api *api,
                      const char *address,
                      const struct method *const *services,
                      const char *const *service_names)
{
    if (!address_is_good(address)) return ERR_CONFIG;
    *port = (struct port){.api = api, .services = services, .service_names = service_names};
    port->shutdown_tag.run = on_shutdown;
    link_init(&port->calls);
    port->server = make_server();
    CHECK(port->server != NULL);
    grpc_server_register_completion_queue(port->server, queue_completions(api->queue), NULL);
    grpc_server_credentials *credentials = api->tls != NULL
                                               ? api_tls_credentials(api->tls)
                                               : grpc_insecure_server_credentials_create();
    int number = grpc_server_add_http2_port(port->server, address, credentials);
    grpc_server_credentials_release(credentials);
    if (number <= 0) {
        grpc_server_destroy(port->server);
        port->server = NULL;
        return ERR_IO;
    }
    port->number = (uint16_t)number;
    grpc_server_start(port->server);
    for (unsigned i = 0; i < PORT_ACCEPTS; i++) {
        port->accepts[i].tag.run = on_accepted;
        port->accepts[i].port = port;
        request_call(&port->accepts[i]);
    }
    return OK;
}

void port_shutdown(struct port *port)
{
    /* Finishing may free the call, and others of the list with it: begin again each time. */
    bool any = true;
    while (any) {
        any = false;
        for (struct link *link = port->calls.next; link != &port->calls; link = link->next) {
            struct call *call = LINK_ITEM(link, struct call, link);
            if (call->finished) continue;
            if (call->sending) {
                call_cut(call, GRPC_STATUS_UNAVAILABLE, "the node is stopping");
            } else {
                call_finish(call, GRPC_STATUS_UNAVAILABLE, "the node is stopping", NULL);
            }
            any = true;
            break;
        }
    }
    grpc_server_shutdown_and_notify(port->server, queue_completions(port->api->queue),
                                    &port->shutdown_tag);
}

void port_cancel(struct port *port)
{
    grpc_server_cancel_all_calls(port->server);
}

void port_close(struct port *port)
{
    if (port->server == NULL) return;
    CHECK(port->down);
    CHECK(port->accepting == 0);
    grpc_server_destroy(port->server);
    port->server = NULL;
}
