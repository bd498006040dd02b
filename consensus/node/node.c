#include "consensus/node/node.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "common/log.h"
#include "consensus/core/wire.h"
#include "consensus/node/node_internal.h"

/* Answers of the storage thread outstanding at once. */
#define STORAGE_REQUESTS 4000u

/* Storage answers and API requests taken per wake-up, so that the mesh is not kept waiting. */
#define TAKE_MAX 256

/* Records that nothing waits for (others' certificates, most of all) go with the next ones that
 * something waits for, or alone when they are so old or so many: a synced write costs the same whatever
 * is in it. */
#define LAZY_US    20000u
#define LAZY_BYTES (256u * 1024u)

uint64_t node_now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000u + (uint64_t)now.tv_nsec / 1000u;
}

uint64_t node_wall_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000u + (uint64_t)now.tv_nsec / 1000000u;
}

void node_stop(struct node *node, enum status result, const char *why)
{
    if (node->stopping) return;
    node->stopping = true;
    node->result = result;
    if (result == OK)
        log_info("node: stopping: %s", why);
    else
        log_error("node: stopping: %s", why);
    event_base_loopbreak(node->base);
}

/* ---- the core's turn ------------------------------------------------------------------------- */

static bool is_record(const struct core_action *action)
{
    return action->kind == CORE_ACTION_PERSIST || action->kind == CORE_ACTION_ERASE ||
           action->kind == CORE_ACTION_ERASE_BELOW;
}

/* The durability contract in one place: a record goes into the turn's batch; what follows one waits, also
 * for records whose own step had nothing to say. */
static void take_action(struct node *node, const struct core_action *action)
{
    if (is_record(action)) {
        if (store_batch_count(node->batch) == 0) node->batch_since_us = node_now_us();
        store_batch_add(node->batch, action);
    } else if (store_batch_count(node->batch) > 0) {
        outbox_hold(node->outbox, action, node->token);
        node->batch_awaited = true;
    } else if (node->token - 1 > node->durable) {
        outbox_hold(node->outbox, action, node->token - 1);
    } else {
        node_perform(node, action);
    }
}

static void arm_timer(struct node *node)
{
    uint64_t deadline = core_deadline_us(node->core);
    uint64_t wait = u64_minus(deadline, node_now_us());
    struct timeval timeout = {(time_t)(wait / 1000000u), (suseconds_t)(wait % 1000000u)};

    if (deadline == UINT64_MAX)
        evtimer_del(node->timer);
    else
        evtimer_add(node->timer, &timeout);
}

static void pass_pressure(struct node *node)
{
    for (uint32_t peer = 0; peer < node->options.committee->committee.count; peer++) {
        if (peer == node->options.self) continue;
        worker_set_full(node->worker, (authority_t)peer,
                        core_is_full(node->core, (authority_t)peer));
    }
    if (node->pressed == core_is_pressed(node->core)) return;
    node->pressed = !node->pressed;
    api_set_pressed(node->api, node->pressed);
}

void node_feed(struct node *node, struct core_event *event)
{
    struct core_actions actions;

    if (node->stopping) return;
    event->now_us = node_now_us();
    event->wall_ms = node_wall_ms();
    actions = core_step(node->core, event);
    node->steps++;
    for (size_t i = 0; i < actions.count; i++)
        take_action(node, &actions.items[i]);
    if (store_batch_count(node->batch) > 0) event_active(node->turn_end, EV_TIMEOUT, 0);
    pass_pressure(node);
    arm_timer(node);
}

/* True when the batch may grow on; then its time to go is set. */
static bool batch_may_wait(struct node *node)
{
    const uint64_t age_us = node_now_us() - node->batch_since_us;
    const struct timeval left = {.tv_usec = (suseconds_t)u64_minus(LAZY_US, age_us)};

    if (node->batch_awaited || age_us >= LAZY_US) return false;
    if (store_batch_bytes(node->batch) >= LAZY_BYTES) return false;
    evtimer_add(node->turn_end, &left);
    return true;
}

static void on_turn_end(evutil_socket_t fd, short what, void *context)
{
    struct node *node = context;
    (void)fd;
    (void)what;
    if (store_batch_count(node->batch) == 0 || batch_may_wait(node)) return;
    /* No room: the storage thread is behind; its next answer brings us back here. */
    if (!storage_submit_commit(node->client, node->batch, node->token)) return;
    node->batch = store_batch_new();
    node->batch_awaited = false;
    node->token++;
}

static void on_timer(evutil_socket_t fd, short what, void *context)
{
    struct core_event event = {.kind = CORE_EVENT_TIMER};
    (void)fd;
    (void)what;
    node_feed(context, &event);
}

/* ---- answers of the storage thread ----------------------------------------------------------- */

static void committed(struct node *node, uint64_t token)
{
    struct outbox_item *item;

    CHECK(token > node->durable);
    node->durable = token;
    while (!node->stopping && (item = outbox_take(node->outbox, node->durable)) != NULL) {
        if (item->frame != NULL)
            node_send(node, &item->action, item->frame);
        else
            node_perform(node, &item->action);
        outbox_free(item);
    }
}

static enum status take_answer(struct node *node, struct storage_request *request)
{
    enum status status = request->status;

    switch (request->kind) {
    case STORAGE_APPEND:
    case STORAGE_FIND_BATCH:
    case STORAGE_READ_BATCH:
        return worker_completed(node->worker, request);
    case STORAGE_READ_ROWS:
    case STORAGE_SCAN_ROWS:
        return serve_completed(node->serve, request);
    case STORAGE_EXPORT:
        return exports_completed(node->exports, request);
    case STORAGE_COMMIT:
        if (status == OK) committed(node, request->token);
        break;
    case STORAGE_RETAIN:
        if (status == OK) exports_pruned(node->exports, request->index);
        break;
    case STORAGE_KINDS:
        CHECK(false);
    }
    storage_request_free(request);
    return status;
}

static void on_storage(evutil_socket_t fd, short what, void *context)
{
    struct node *node = context;
    struct storage_request *request;
    int taken = 0;

    (void)fd;
    (void)what;
    storage_client_drain_fd(node->client);
    while (!node->stopping && (request = storage_client_take(node->client)) != NULL) {
        const enum status status = take_answer(node, request);
        if (status == ERR_IO) node_stop(node, status, "a write to the data directory failed");
        if (status == ERR_CORRUPT) node_stop(node, status, "corrupt store, start with --rejoin");
        if (++taken == TAKE_MAX) {
            event_active(node->storage_in, EV_READ, 0);
            break;
        }
    }
    if (store_batch_count(node->batch) > 0) event_active(node->turn_end, EV_TIMEOUT, 0);
}

/* ---- requests of the gRPC thread ------------------------------------------------------------- */

static void on_api(evutil_socket_t fd, short what, void *context)
{
    struct node *node = context;
    struct api_request *request;
    int taken = 0;

    (void)fd;
    (void)what;
    api_drain_fd(node->api);
    while (!node->stopping && (request = api_take(node->api)) != NULL) {
        switch (request->kind) {
        case API_REQUEST_BATCH:
            worker_submit(node->worker, request);
            break;
        case API_REQUEST_WANT:
            exports_want(node->exports, request->index, request->certified);
            break;
        }
        api_request_free(request);
        if (++taken == TAKE_MAX) {
            event_active(node->api_in, EV_READ, 0);
            break;
        }
    }
}

/* ---- mesh ------------------------------------------------------------------------------------ */

static void on_frame(void *context,
                     authority_t peer,
                     enum mesh_link link,
                     struct buffer *frame,
                     const uint8_t *body,
                     size_t len)
{
    struct node *node = context;

    if (node->stopping) return;
    if (link == MESH_BULK && body[0] == WIRE_NO_BATCH)
        worker_no_batch(node->worker, peer, body, len);
    if (link == MESH_BULK && body[0] != WIRE_NO_BATCH) {
        worker_frame(node->worker, peer, frame, body, len);
    } else if (!outbox_is_full(node->outbox)) {
        struct core_event event = {
            .kind = CORE_EVENT_MESSAGE, .peer = peer, .message = {body, len}};
        node_feed(node, &event);
    }
}

static void on_link(struct node *node, authority_t peer, enum mesh_link link, bool up)
{
    struct core_event event = {.kind = up ? CORE_EVENT_PEER_UP : CORE_EVENT_PEER_DOWN,
                               .peer = peer};
    if (link == MESH_CONTROL) node_feed(node, &event);
}

static void on_up(void *context, authority_t peer, enum mesh_link link)
{
    on_link(context, peer, link, true);
}

static void on_down(void *context, authority_t peer, enum mesh_link link)
{
    on_link(context, peer, link, false);
}

static void on_stored(void *context, const struct batch_record *record, enum worker_stored how)
{
    struct core_event event = {.kind = CORE_EVENT_BATCH_STORED, .peer = record->author};

    event.batch.digest = record->digest;
    event.batch.worker = record->worker;
    event.batch.bytes = record->bytes;
    event.batch.transactions = record->transactions;
    event.batch.created_at = record->created_at;
    event.batch.streamed = how == WORKER_STREAMED;
    event.batch.executed = how == WORKER_EXECUTED;
    node_feed(context, &event);
}

static bool on_lacking(void *context, const struct digest *digest, uint32_t worker)
{
    struct node *node = context;

    return worker_repair(node->worker, digest, worker);
}

static void on_repaired(void *context, const struct digest *digest, bool back)
{
    struct node *node = context;
    struct core_event event = {.kind = CORE_EVENT_BATCH_LOST, .batch.digest = *digest};

    exports_repaired(node->exports, digest, back);
    if (!back) node_feed(node, &event);
}

/* ---- housekeeping ---------------------------------------------------------------------------- */

/* Once a second: repairs; retention by count of pre-blocks and by bytes of the batch log; health. */
static void on_housekeeping(evutil_socket_t fd, short what, void *context)
{
    struct node *node = context;
    struct core_status status;
    struct storage_stats stats;
    uint64_t oldest = exports_oldest(node->exports);

    (void)fd;
    (void)what;
    worker_turn(node->worker);
    core_get_status(node->core, &status);
    storage_get_stats(node->storage, &stats);
    if (node->options.retain_preblocks > 0)
        oldest =
            u64_max(oldest, u64_minus(status.certified_index + 1, node->options.retain_preblocks));
    if (node->options.retain_bytes > 0 && stats.log.bytes > node->options.retain_bytes) {
        /* Drop a twentieth of what is kept; the next second looks again. */
        uint64_t kept = u64_minus(status.certified_index, oldest);
        oldest += kept / 20;
    }
    if (oldest > exports_oldest(node->exports)) (void)storage_submit_retain(node->client, oldest);
    (void)node_readiness(node);
    on_turn_end(-1, 0, node);
}

static void on_signal(evutil_socket_t fd, short what, void *context)
{
    (void)what;
    node_stop(context, OK, fd == SIGTERM ? "SIGTERM" : "SIGINT");
}

static void on_hangup(evutil_socket_t fd, short what, void *context)
{
    (void)fd;
    (void)what;
    node_access_reload(context);
}

/* ---- life ------------------------------------------------------------------------------------ */

static enum status open_core(struct node *node, char *ret_error)
{
    struct core_options options = {
        .committee = &node->options.committee->committee,
        .self = node->options.self,
        .key = node->options.key,
        .parameters = node->options.parameters,
        .rejoin = store_is_rejoined(storage_store(node->storage)),
    };
    size_t bytes = core_bytes(&options);
    enum status status;

    /* The core wants zeroes; fresh pages are, and those it never touches cost nothing. */
    node->core_memory =
        mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(node->core_memory != MAP_FAILED);
    node->core_bytes = bytes;
    status = core_init(&node->core, node->core_memory, &options);
    if (status != OK) {
        snprintf(ret_error, NODE_ERROR_BYTES, "key: is not the committee's key of authority %u",
                 node->options.self);
        return status;
    }
    return node_recover(node, ret_error);
}

static enum status open_storage(struct node *node, char *ret_error)
{
    struct storage_options options = {
        .store = {.directory = node->options.data_directory,
                  .mode = node->options.mode,
                  .sync = node->options.sync,
                  .committee = &node->options.committee->committee,
                  .self = node->options.self},
        .found = node_found_batch,
        .context = node,
    };
    enum status status = storage_open(&node->storage, ret_error, &options);
    if (status != OK) return status;
    status = storage_client_open(&node->client, node->storage, STORAGE_REQUESTS);
    CHECK(status == OK);
    return OK;
}

static enum status open_mesh(struct node *node, char *ret_error)
{
    struct mesh_options options = node->options.mesh;

    options.base = node->base;
    options.committee = &node->options.committee->committee;
    options.self = node->options.self;
    memcpy(options.network_seed, node->options.network_seed, sizeof options.network_seed);
    options.on_frame = on_frame;
    options.on_up = on_up;
    options.on_down = on_down;
    options.context = node;
    return mesh_open(&node->mesh, &options, ret_error, NODE_ERROR_BYTES);
}

/* gRPC does not say why it cannot listen: the system does. True when `address` is the reason. */
static bool explain_address(char *ret_error, const char *field, const char *text)
{
    struct address address;
    struct sockaddr_storage resolved;
    socklen_t len;
    int one = 1;
    int fd;
    bool bound;

    if (address_parse(&address, text) != OK || address_resolve(&resolved, &len, &address) != OK)
        return false;
    fd = socket(resolved.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return false;
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    bound = bind(fd, (struct sockaddr *)&resolved, len) == 0 && listen(fd, 1) == 0;
    if (!bound)
        snprintf(ret_error, NODE_ERROR_BYTES, "%s: cannot listen on %s: %s", field, text,
                 strerrordesc_np(errno));
    (void)close(fd);
    return !bound;
}

static enum status open_api(struct node *node, char *ret_error)
{
    const struct api_options *options = &node->options.api;
    enum status status = api_open(&node->api, options);

    if (status == OK || explain_address(ret_error, "export_listen", options->export_address) ||
        explain_address(ret_error, "transactions_listen", options->transactions_address))
        return status;
    snprintf(ret_error, NODE_ERROR_BYTES,
             "export_listen, transactions_listen: cannot serve on %s and %s: %s",
             options->export_address, options->transactions_address, status_text(status));
    return status;
}

static struct event *add_event(struct node *node, int fd, short what, event_callback_fn callback)
{
    struct event *event = event_new(node->base, fd, what, callback, node);
    CHECK(event != NULL);
    if (fd >= 0) event_add(event, NULL);
    return event;
}

static void open_events(struct node *node)
{
    struct timeval second = {1, 0};
    node->timer = evtimer_new(node->base, on_timer, node);
    node->turn_end = evtimer_new(node->base, on_turn_end, node);
    node->storage_in =
        add_event(node, storage_client_fd(node->client), EV_READ | EV_PERSIST, on_storage);
    node->api_in = add_event(node, api_fd(node->api), EV_READ | EV_PERSIST, on_api);
    node->signals[0] = add_event(node, SIGTERM, EV_SIGNAL | EV_PERSIST, on_signal);
    node->signals[1] = add_event(node, SIGINT, EV_SIGNAL | EV_PERSIST, on_signal);
    /* Without files to read again a hangup ends the process, as it always did. */
    if (!access_set_is_empty(&node->access))
        node->signals[2] = add_event(node, SIGHUP, EV_SIGNAL | EV_PERSIST, on_hangup);
    node->housekeeping = event_new(node->base, -1, EV_PERSIST, on_housekeeping, node);
    event_add(node->housekeeping, &second);
}

static void open_parts(struct node *node)
{
    struct worker_options options = {
        .committee = &node->options.committee->committee,
        .self = node->options.self,
        .mesh = node->mesh,
        .api = node->api,
        .storage = node->client,
        .on_stored = on_stored,
        .on_repaired = on_repaired,
        .context = node,
    };
    struct exports_options exports = {
        .api = node->api, .storage = node->client, .repair = on_lacking, .context = node};

    node->worker = worker_open(&options);
    node->serve = serve_open(node->mesh, node->client, &node->options.committee->committee,
                             node->options.self);
    node->exports = exports_open(&exports);
    node->outbox = outbox_open();
    node->batch = store_batch_new();
    node->token = 1;
}

/* Tells the subscribers' side what is there, then starts the core. */
static void start(struct node *node)
{
    struct core_event event = {.kind = CORE_EVENT_START};
    struct core_status status;
    struct storage_stats stats;

    core_get_status(node->core, &status);
    storage_get_stats(node->storage, &stats);
    /* After a start from a checkpoint none may be here, though the next is not the first. */
    exports_set_tip(node->exports,
                    stats.oldest_index > 0 ? stats.oldest_index : status.preblock_index + 1,
                    status.preblock_index, status.certified_index);
    node_feed(node, &event);
    node_restore_batches(node);
}

enum status node_open(struct node **ret_node, char *ret_error, const struct node_options *options)
{
    struct node *node = calloc(1, sizeof *node);
    enum status status;

    CHECK(node != NULL);
    node->options = *options;
    node->started_us = node_now_us();
    node->base = event_base_new();
    CHECK(node->base != NULL);
    event_base_priority_init(node->base, 2);
    status = node_access_open(node, ret_error);
    if (status == OK) status = open_storage(node, ret_error);
    if (status == OK) status = open_core(node, ret_error);
    if (status == OK) status = open_mesh(node, ret_error);
    if (status == OK) status = open_api(node, ret_error);
    if (status == OK) {
        open_parts(node);
        open_events(node);
        status = node_http_open(node, ret_error);
    }
    if (status != OK) {
        node_close(node);
        return status;
    }
    start(node);
    *ret_node = node;
    return OK;
}

enum status node_run(struct node *node)
{
    if (!node->stopping) event_base_dispatch(node->base);
    return node->result;
}

bool node_restarts(const struct node *node)
{
    return node->restarts;
}

static void free_event(struct event *event)
{
    if (event != NULL) event_free(event);
}

void node_close(struct node *node)
{
    if (node == NULL) return;
    node->stopping = true;
    if (node->api != NULL) api_stop(node->api);
    if (node->worker != NULL) worker_stop(node->worker);
    http_server_close(node->http);
    mesh_close(node->mesh);
    if (node->batch != NULL && node->result == OK && store_batch_count(node->batch) > 0 &&
        storage_submit_commit(node->client, node->batch, node->token))
        node->batch = NULL;
    api_close(node->api);
    free_event(node->timer);
    free_event(node->turn_end);
    free_event(node->storage_in);
    free_event(node->api_in);
    free_event(node->housekeeping);
    free_event(node->signals[0]);
    free_event(node->signals[1]);
    free_event(node->signals[2]);
    storage_close(node->storage);
    storage_client_close(node->client);
    store_batch_free(node->batch);
    worker_close(node->worker);
    serve_close(node->serve);
    exports_close(node->exports);
    outbox_close(node->outbox);
    if (node->core_memory != NULL) (void)munmap(node->core_memory, node->core_bytes);
    free(node->own);
    node_access_close(node);
    event_base_free(node->base);
    free(node);
}
