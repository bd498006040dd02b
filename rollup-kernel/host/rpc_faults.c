/* The RPC's share of the faults, and the requests that change them. */
#include <arpa/inet.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "common/log.h"
#include "rollup-kernel/host/rpc_state.h"

/* Requests held back at once; more get their answer in time. */
#define RPC_HELD_MAX 1024u

/* A request that gets its answer late. */
struct rpc_held {
    struct rpc *rpc;
    struct http_request *request;
    struct event *timer;
    struct rpc_held *next;
    struct rpc_held *previous;
};

static void held_end(struct rpc_held *held)
{
    if (held->previous != NULL) held->previous->next = held->next;
    if (held->next != NULL) held->next->previous = held->previous;
    if (held->rpc->held == held) held->rpc->held = held->next;
    held->rpc->held_count--;
    event_free(held->timer);
    free(held);
}

static void on_held(evutil_socket_t fd, short what, void *context)
{
    struct rpc_held *held = context;
    struct rpc *rpc = held->rpc;
    struct http_request *request = held->request;

    (void)fd;
    (void)what;
    held_end(held);
    rpc->lose_answer = false;
    http_request_handle(request, rpc);
}

static void hold(struct rpc *rpc, struct http_request *request, uint32_t ms)
{
    const struct timeval wait = {ms / 1000, ms % 1000 * 1000};
    struct rpc_held *held = calloc(1, sizeof *held);

    CHECK(held != NULL);
    *held = (struct rpc_held){.rpc = rpc, .request = request, .next = rpc->held};
    held->timer = event_new(rpc->base, -1, 0, on_held, held);
    CHECK(held->timer != NULL);
    event_add(held->timer, &wait);
    if (held->next != NULL) held->next->previous = held;
    rpc->held = held;
    rpc->held_count++;
}

void rpc_drop_held(struct rpc *rpc)
{
    while (rpc->held != NULL) {
        struct http_request *request = rpc->held->request;
        held_end(rpc->held);
        rpc_fail(request, "rollup.node.stopping", "stopping");
    }
}

bool rpc_intercept(void *context, struct http_request *request)
{
    struct rpc *rpc = context;
    struct faults *faults = rollup_node_faults(rpc->node);
    bool injection = strcmp(http_request_method(request), "POST") == 0;

    rpc->lose_answer = false;
    if (strncmp(http_request_path(request), "/admin/", 7) == 0) return false;
    faults->counts[FAULTS_REQUESTS]++;
    uint64_t random = faults_decide(faults, FAULT_ERROR);
    if (random != 0 && injection && random % 2 == 0) {
        rpc->lose_answer = true; /* rpc_lost_answer */
        return false;
    }
    if (random != 0) {
        faults->counts[injection ? FAULTS_FAILED_INJECTIONS : FAULTS_FAILED_READS]++;
        rpc_fail(request, "rollup.node.fault", "an error on purpose");
        return true;
    }
    if (faults_decide(faults, FAULT_HANG) == 0 || rpc->held_count == RPC_HELD_MAX) return false;
    faults->counts[injection ? FAULTS_HUNG_INJECTIONS : FAULTS_HUNG_READS]++;
    hold(rpc, request, faults->spec.amount[FAULT_HANG]);
    return true;
}

bool rpc_lost_answer(struct rpc *rpc, struct http_request *request)
{
    if (!rpc->lose_answer) return false;
    rpc->lose_answer = false;
    rollup_node_faults(rpc->node)->counts[FAULTS_FAILED_ANSWERS]++;
    rpc_fail(request, "rollup.node.fault", "an error on purpose, with everything done");
    return true;
}

/* ---- requests about faults ------------------------------------------------------------------- */

/* True for a client of this machine; otherwise the reply is made. */
static bool is_local(struct http_request *request)
{
    const void *peer = http_request_peer(request);
    struct address address = {.port = 0};
    const char *text = NULL;

    if (((const struct sockaddr *)peer)->sa_family == AF_INET)
        text = inet_ntop(AF_INET, &((const struct sockaddr_in *)peer)->sin_addr, address.host,
                         sizeof address.host);
    else if (((const struct sockaddr *)peer)->sa_family == AF_INET6)
        text = inet_ntop(AF_INET6, &((const struct sockaddr_in6 *)peer)->sin6_addr, address.host,
                         sizeof address.host);
    if (text != NULL && address_is_loopback(&address)) return true;
    http_reply_error(request, 403, "permission_denied", "only for clients on this machine");
    return false;
}

static void reply_faults(struct rpc *rpc, struct http_request *request)
{
    const struct faults *faults = rollup_node_faults(rpc->node);
    char text[FAULTS_TEXT_BYTES_MAX];
    json_t *counts = json_object();

    faults_format(text, &faults->spec);
    for (uint32_t i = 0; i < FAULTS_COUNTS; i++)
        json_object_set_new(counts, faults_count_name((enum faults_count)i),
                            json_integer((json_int_t)faults->counts[i]));
    http_reply_json(request, 200, json_pack("{s:s, s:o}", "faults", text, "counts", counts));
}

void rpc_get_faults(void *context, struct http_request *request)
{
    if (is_local(request)) reply_faults(context, request);
}

void rpc_post_faults(void *context, struct http_request *request)
{
    struct rpc *rpc = context;
    struct bytes body = http_request_body(request);
    char text[FAULTS_TEXT_BYTES_MAX];
    struct faults_spec spec;
    struct error_line error;

    if (!is_local(request)) return;
    while (body.len > 0 && strchr("\r\n", body.data[body.len - 1]) != NULL)
        body.len--;
    bool is_line = body.len == 0 || memchr(body.data, '\0', body.len) == NULL;
    if (body.len >= sizeof text || !is_line) {
        http_reply_error(request, 400, "bad_request", "expected a line of at most %zu characters",
                         sizeof text - 1);
        return;
    }
    if (body.len > 0) memcpy(text, body.data, body.len);
    text[body.len] = '\0';
    if (faults_parse(&spec, text, &error) != OK) {
        http_reply_error(request, 400, "bad_request", "%s", error.text);
        return;
    }
    faults_set(rollup_node_faults(rpc->node), &spec);
    log_warn("rollup: faults: %s", text[0] == '\0' ? "none" : text);
    reply_faults(rpc, request);
}

void rpc_post_reorg(void *context, struct http_request *request)
{
    struct rpc *rpc = context;
    const char *text = http_request_query(request, "levels");
    struct error_line error;

    if (!is_local(request)) return;
    bool one_digit = text != NULL && text[0] >= '0' && text[0] <= '9' && text[1] == '\0';
    uint32_t levels = one_digit ? (uint32_t)(text[0] - '0') : 0;
    if (rollup_node_reorg(rpc->node, levels, &error) != OK) {
        http_reply_error(request, 400, "bad_request", "%s", error.text);
        return;
    }
    const struct rollup_block *head = rollup_node_head(rpc->node);
    log_warn("rollup: reorg of %u blocks, the head is at level %d", levels, head->level);
    http_reply_json(request, 200, rpc_header(rpc->node, head));
}
