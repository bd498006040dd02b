/* grpc.health.v1.Health on both ports. The node as a whole and its submissions follow its readiness, there
 * and back; whoever serves the committed history serves it also meanwhile. */
#include <stdlib.h>

#include "consensus/node/api_internal.h"
#include "health.pb-c.h"

#define SERVICE_BYTES_MAX 128u

struct watcher {
    struct call *call;
    struct link link; /* in api->watchers */
    char service[SERVICE_BYTES_MAX];
    int told; /* status, or -1 */
};

typedef Grpc__Health__V1__HealthCheckResponse__ServingStatus serving_status;
#define STATUS(name) GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__##name

/* The empty name asks for the node as a whole. */
static serving_status status_of(const struct port *port, const char *service)
{
    const struct api *api = port->api;
    bool known = service[0] == '\0';
    for (const char *const *name = port->service_names; *name != NULL && !known; name++)
        known = strcmp(*name, service) == 0;
    if (!known) return STATUS(SERVICE_UNKNOWN);
    bool serves = !api->stopping;
    bool follows_node = service[0] == '\0' || strstr(service, "Transactions") != NULL;
    if (follows_node && !api->serving) serves = false;
    return serves ? STATUS(SERVING) : STATUS(NOT_SERVING);
}

static grpc_slice response(serving_status status)
{
    Grpc__Health__V1__HealthCheckResponse message = GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__INIT;
    message.status = status;
    uint8_t memory[16];
    CHECK(grpc__health__v1__health_check_response__get_packed_size(&message) <= sizeof memory);
    size_t len = grpc__health__v1__health_check_response__pack(&message, memory);
    return grpc_slice_from_copied_buffer((const char *)memory, len);
}

/* Reads the request's service name; finishes the call and returns false when it cannot. */
static bool read_service(char *ret_service, struct call *call, grpc_byte_buffer *message)
{
    Grpc__Health__V1__HealthCheckRequest *request = NULL;
    if (message != NULL) {
        uint8_t memory[SERVICE_BYTES_MAX];
        struct reader reader = call_read_small(memory, sizeof memory, message);
        if (!reader.failed) {
            request =
                grpc__health__v1__health_check_request__unpack(NULL, reader.left, reader.next);
        }
    }
    if (request == NULL) {
        call_finish(call, GRPC_STATUS_INVALID_ARGUMENT, "the request is malformed", NULL);
        return false;
    }
    /* A name of the whole message is shorter than it by its key and length. */
    CHECK(strlen(request->service) < SERVICE_BYTES_MAX);
    memcpy(ret_service, request->service, strlen(request->service) + 1);
    grpc__health__v1__health_check_request__free_unpacked(request, NULL);
    return true;
}

static void on_check(struct call *call, grpc_byte_buffer *message)
{
    char service[SERVICE_BYTES_MAX];
    if (!read_service(service, call, message)) return;
    serving_status status = status_of(call->port, service);
    if (status == STATUS(SERVICE_UNKNOWN)) {
        call_finish(call, GRPC_STATUS_NOT_FOUND, "no such service on this port", NULL);
        return;
    }
    grpc_slice slice = response(status);
    call_finish(call, GRPC_STATUS_OK, "", &slice);
    grpc_slice_unref(slice);
}

static void start_check(struct call *call)
{
    call->received = on_check;
    call_receive(call);
}

/* Sends the status if it changed and the stream is free; on_sent comes back for later changes. */
static void tell(struct call *call)
{
    struct watcher *watcher = call->state;
    if (call->sending || link_is_alone(&watcher->link)) return;
    serving_status status = status_of(call->port, watcher->service);
    if ((int)status == watcher->told) return;
    watcher->told = (int)status;
    grpc_slice slice = response(status);
    call_send(call, slice);
    grpc_slice_unref(slice);
}

static void on_watch(struct call *call, grpc_byte_buffer *message)
{
    struct watcher *watcher = call->state;
    if (!read_service(watcher->service, call, message)) return;
    link_append(&call->api->watchers, &watcher->link);
    tell(call);
}

static void on_end(struct call *call)
{
    struct watcher *watcher = call->state;
    link_remove(&watcher->link);
    free(watcher);
}

static void start_watch(struct call *call)
{
    struct watcher *watcher = calloc(1, sizeof *watcher);
    CHECK(watcher != NULL);
    watcher->call = call;
    watcher->told = -1;
    link_init(&watcher->link);
    call->state = watcher;
    call->end = on_end;
    call->received = on_watch;
    call->sent = tell;
    call_watch(call);
    call_receive(call);
}

void health_on_change(struct api *api)
{
    for (struct link *link = api->watchers.next; link != &api->watchers; link = link->next)
        tell(LINK_ITEM(link, struct watcher, link)->call);
}

const struct method health_methods[] = {
    {"/grpc.health.v1.Health/Check", start_check, TOKEN_OPEN},
    {"/grpc.health.v1.Health/Watch", start_watch, TOKEN_OPEN},
    {NULL, NULL, TOKEN_ADMIN},
};
