#include "rollup-kernel/host/rpc.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/bytes.h"
#include "rollup-kernel/host/rpc_state.h"

/* A POST of 128 full messages is 1 MiB of hex; eight times that is far more than a block takes. */
#define INJECTION_BYTES_MAX (8u * 1024u * 1024u)

/* Messages listed by one GET of the queue. */
#define QUEUE_LISTED_MAX 1000u

void rpc_fail(struct http_request *request, const char *id, const char *format, ...)
{
    char text[512];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    json_t *json = json_pack("[{s:s, s:s, s:s}]", "kind", "temporary", "id", id, "msg", text);
    /* Text that is not UTF-8 came from a client; it is not repeated. */
    if (json == NULL)
        json = json_pack("[{s:s, s:s, s:s}]", "kind", "temporary", "id", id, "msg", "refused");
    http_reply_json(request, 500, json);
}

json_t *rpc_hash(enum base58_kind kind, const struct digest *digest)
{
    char text[BASE58_TEXT_MAX];

    base58_encode(text, kind, digest->bytes);
    return json_string(text);
}

static void get_address(void *context, struct http_request *request)
{
    struct rpc *rpc = context;
    char text[BASE58_TEXT_MAX];

    base58_encode(text, BASE58_ROLLUP, rollup_node_identity(rpc->node)->address);
    http_reply_json(request, 200, json_string(text));
}

static void get_tezos_head(void *context, struct http_request *request)
{
    struct rpc *rpc = context;

    http_reply_json(request, 200, rpc_hash(BASE58_BLOCK, &rollup_node_head(rpc->node)->hash));
}

static void get_tezos_level(void *context, struct http_request *request)
{
    struct rpc *rpc = context;

    http_reply_json(request, 200, json_integer(rollup_node_head(rpc->node)->level));
}

static void monitor_gone(void *context)
{
    struct rpc_monitor *monitor = context;

    monitor->stream = NULL;
}

static void monitor_send(struct rpc_monitor *monitor)
{
    const struct rollup_node *node = monitor->rpc->node;
    const struct rollup_block *block =
        rollup_node_block(node, monitor->finalized ? "finalized" : "head");
    json_t *header = rpc_header(node, block);
    char *text = json_dumps(header, JSON_COMPACT);

    CHECK(text != NULL);
    json_decref(header);
    bool kept = http_stream_write(monitor->stream, text, strlen(text)) &&
                http_stream_write(monitor->stream, "\n", 1);
    free(text);
    if (!kept) monitor->stream = NULL;
}

/* Streams the block of now, then every new one. */
static void monitor(struct rpc *rpc, struct http_request *request, bool finalized)
{
    for (size_t i = 0; i < RPC_MONITORS_MAX; i++) {
        struct rpc_monitor *slot = &rpc->monitors[i];
        if (slot->stream != NULL) continue;
        *slot = (struct rpc_monitor){.rpc = rpc, .finalized = finalized};
        slot->stream = http_reply_stream(request, "application/json", monitor_gone, slot);
        if (slot->stream != NULL) monitor_send(slot);
        return;
    }
    rpc_fail(request, "rollup.node.too_many_monitors", "more than %u streams are open",
             RPC_MONITORS_MAX);
}

static void get_monitor_blocks(void *context, struct http_request *request)
{
    monitor(context, request, false);
}

static void get_monitor_finalized(void *context, struct http_request *request)
{
    monitor(context, request, true);
}

void rpc_new_block(struct rpc *rpc)
{
    for (size_t i = 0; i < RPC_MONITORS_MAX; i++) {
        if (rpc->monitors[i].stream != NULL) monitor_send(&rpc->monitors[i]);
    }
}

/* One message of an injection; NULL, with the reply made, when it is refused. All are checked
 * before any is queued: a POST is taken whole or not at all. */
static bool check_message(const json_t *item, size_t at, struct http_request *request)
{
    uint8_t content[INBOX_MESSAGE_BYTES_MAX];
    size_t len = json_string_length(item);

    if (!json_is_string(item)) {
        rpc_fail(request, "rollup.node.invalid_message", "message %zu: expected a string of hex",
                 at);
        return false;
    }
    if (len / 2 > sizeof content) {
        rpc_fail(request, "rollup.node.message_too_large", "message %zu: %zu bytes, at most %u", at,
                 len / 2, INBOX_MESSAGE_BYTES_MAX);
        return false;
    }
    if (len == 0 || !hex_decode(content, len / 2, json_string_value(item), len)) {
        rpc_fail(request, "rollup.node.invalid_message", "message %zu: expected hex", at);
        return false;
    }
    return true;
}

/* The query's options into `ret`; false, with the reply made, when one is malformed. */
static bool injection_options(struct batcher_submission *ret, struct http_request *request)
{
    const char *order = http_request_query(request, "order");
    const char *drop = http_request_query(request, "drop_duplicate");
    char *end;

    *ret = (struct batcher_submission){.has_order = order != NULL};
    if (order != NULL) {
        ret->order = strtoll(order, &end, 10);
        if (end == order || *end != '\0') {
            rpc_fail(request, "rollup.node.invalid_order", "order: expected an integer");
            return false;
        }
    }
    if (drop != NULL) {
        ret->drop_duplicate = strcmp(drop, "true") == 0;
        if (!ret->drop_duplicate && strcmp(drop, "false") != 0) {
            rpc_fail(request, "rollup.node.invalid_flag", "drop_duplicate: expected true or false");
            return false;
        }
    }
    return true;
}

static void inject(struct rpc *rpc,
                   struct http_request *request,
                   const json_t *messages,
                   struct batcher_submission *submission)
{
    struct batcher *batcher = rollup_node_batcher(rpc->node);
    struct batched_message *const *queue;
    size_t at;
    const json_t *item;

    json_array_foreach(messages, at, item)
    {
        if (!check_message(item, at, request)) return;
    }
    if (batcher_queue(&queue, batcher) + json_array_size(messages) > BATCHER_QUEUE_MAX) {
        rpc_fail(request, "rollup.node.queue_full", "more than %u messages wait",
                 BATCHER_QUEUE_MAX);
        return;
    }
    json_t *ids = json_array();
    json_array_foreach(messages, at, item)
    {
        uint8_t content[INBOX_MESSAGE_BYTES_MAX];
        struct digest id;
        size_t len = json_string_length(item) / 2;
        hex_decode(content, len, json_string_value(item), 2 * len);
        submission->content = (struct bytes){content, len};
        CHECK(batcher_add(&id, batcher, submission) == OK);
        json_array_append_new(ids, rpc_hash(BASE58_MESSAGE, &id));
    }
    batcher_make_operations(batcher, false);
    if (rpc_lost_answer(rpc, request)) {
        json_decref(ids);
    } else {
        http_reply_json(request, 200, ids);
    }
}

static void post_injection(void *context, struct http_request *request)
{
    struct batcher_submission submission;

    if (!injection_options(&submission, request)) return;
    json_t *messages = http_request_json(request);
    if (messages == NULL) return;
    if (json_is_array(messages)) {
        inject(context, request, messages, &submission);
    } else {
        rpc_fail(request, "rollup.node.invalid_body", "expected an array of hex strings");
    }
    json_decref(messages);
}

static json_t *content_json(const struct batched_message *message)
{
    char hex[2 * INBOX_MESSAGE_BYTES_MAX + 1];

    hex_encode(hex, message->content, message->len);
    return json_string(hex);
}

static void get_queue(void *context, struct http_request *request)
{
    struct rpc *rpc = context;
    struct batched_message *const *queue;
    size_t count = batcher_queue(&queue, rollup_node_batcher(rpc->node));
    json_t *list = json_array();

    for (size_t i = 0; i < count && i < QUEUE_LISTED_MAX; i++) {
        json_t *item = json_object();
        if (queue[i]->has_order) json_object_set_new(item, "order", json_integer(queue[i]->order));
        json_object_set_new(item, "id", rpc_hash(BASE58_MESSAGE, &queue[i]->id));
        json_object_set_new(item, "message",
                            json_pack("{s:o, s:o}", "content", content_json(queue[i]), "counter",
                                      json_sprintf("%llu", (unsigned long long)queue[i]->counter)));
        json_array_append_new(list, item);
    }
    http_reply_json(request, 200, list);
}

static json_t *layer1_json(const struct rpc *rpc, const struct batched_message *message)
{
    json_t *layer1 = json_object();

    json_object_set_new(layer1, "operation_hash", rpc_hash(BASE58_OPERATION, &message->operation));
    json_object_set_new(layer1, "operation_index", json_integer(message->operation_index));
    if (message->state == BATCHED_INCLUDED) {
        const struct rollup_block *block = rollup_node_level(rpc->node, message->level);
        json_object_set_new(layer1, "block_hash",
                            block == NULL ? json_null() : rpc_hash(BASE58_BLOCK, &block->hash));
        json_object_set_new(layer1, "level", json_integer(message->level));
    }
    return layer1;
}

static void get_message(void *context, struct http_request *request)
{
    struct rpc *rpc = context;
    const char *id = http_request_parameter(request, "id");
    struct digest digest;

    if (base58_decode(digest.bytes, BASE58_MESSAGE, id) != OK) {
        rpc_fail(request, "rollup.node.invalid_id", "not a message id: %.64s", id);
        return;
    }
    const struct batched_message *message = batcher_find(rollup_node_batcher(rpc->node), &digest);
    if (message == NULL) {
        http_reply_json(request, 200, json_pack("{s:s}", "status", "unknown"));
        return;
    }
    static const char *const names[] = {"pending_batch", "injected", "included"};
    json_t *object = json_object();
    json_object_set_new(object, "content", content_json(message));
    json_object_set_new(object, "status", json_string(names[message->state]));
    if (message->state != BATCHED_PENDING) {
        json_object_set_new(object, "layer1", layer1_json(rpc, message));
    }
    if (message->state == BATCHED_INCLUDED) {
        json_object_set_new(object, "finalized",
                            json_boolean(message->level <= rollup_node_finalized(rpc->node)));
        json_object_set_new(object, "cemented", json_false());
    }
    http_reply_json(request, 200, object);
}

static void get_health(void *context, struct http_request *request)
{
    struct rpc *rpc = context;
    const struct rollup_block *head = rollup_node_head(rpc->node);
    json_t *seen = json_object();

    json_object_set_new(seen, "hash", rpc_hash(BASE58_BLOCK, &head->hash));
    json_object_set_new(seen, "level", json_integer(head->level));
    json_object_set_new(seen, "timestamp", json_integer(head->timestamp));
    http_reply_json(request, 200,
                    json_pack("{s:b, s:b, s:{s:s, s:i, s:o}, s:[[s,s],[s,s]]}", "healthy", 1,
                              "degraded", 0, "l1", "connection", "connected", "blocks_late", 0,
                              "last_seen_head", seen, "active_workers", "batcher", "running",
                              "kernel", "running"));
}

static void get_version(void *context, struct http_request *request)
{
    (void)context;
    http_reply_json(request, 200,
                    json_pack("{s:s, s:s, s:s}", "version", "dsn-rollup " DSN_VERSION,
                              "store_version", "1", "context_version", "1"));
}

static void get_ping(void *context, struct http_request *request)
{
    (void)context;
    http_reply_json(request, 200, json_object());
}

#define BLOCK   "/global/block/:id"
#define DURABLE BLOCK "/durable/wasm_2_0_0"
static const struct http_route routes[] = {
    {"GET", "/global/smart_rollup_address", get_address, 0},
    {"GET", "/global/tezos_head", get_tezos_head, 0},
    {"GET", "/global/tezos_level", get_tezos_level, 0},
    {"GET", "/global/monitor_blocks", get_monitor_blocks, 0},
    {"GET", "/global/monitor_finalized_blocks", get_monitor_finalized, 0},
    {"GET", BLOCK, rpc_get_block, 0},
    {"GET", BLOCK "/hash", rpc_get_hash, 0},
    {"GET", BLOCK "/level", rpc_get_level, 0},
    {"GET", BLOCK "/num_messages", rpc_get_num_messages, 0},
    {"GET", BLOCK "/state_hash", rpc_get_state_hash, 0},
    {"GET", BLOCK "/status", rpc_get_status, 0},
    {"GET", DURABLE "/value", rpc_get_value, 0},
    {"GET", DURABLE "/length", rpc_get_length, 0},
    {"GET", DURABLE "/subkeys", rpc_get_subkeys, 0},
    {"GET", DURABLE "/values", rpc_get_values, 0},
    {"GET", BLOCK "/outbox", rpc_get_outbox, 0},
    {"GET", BLOCK "/outbox/:outbox_level/messages", rpc_get_outbox, 0},
    {"POST", "/local/batcher/injection", post_injection, INJECTION_BYTES_MAX},
    {"GET", "/local/batcher/queue", get_queue, 0},
    {"GET", "/local/batcher/queue/:id", get_message, 0},
    {"GET", "/health", get_health, 0},
    {"GET", "/version", get_version, 0},
    {"GET", "/ping", get_ping, 0},
    {"GET", "/admin/faults", rpc_get_faults, 0},
    {"POST", "/admin/faults", rpc_post_faults, FAULTS_TEXT_BYTES_MAX + 1},
    {"POST", "/admin/reorg", rpc_post_reorg, 0},
};

enum status rpc_open(struct rpc **ret_rpc,
                     struct event_base *base,
                     const struct address *address,
                     struct rollup_node *node,
                     struct error_line *error)
{
    struct rpc *rpc = calloc(1, sizeof *rpc);
    struct http_server_options options = {.routes = routes,
                                          .routes_count = sizeof routes / sizeof routes[0],
                                          .context = rpc,
                                          .intercept = rpc_intercept};

    CHECK(rpc != NULL);
    rpc->base = base;
    rpc->node = node;
    enum status status = http_server_open(&rpc->server, base, address, &options, error);
    if (status != OK) {
        free(rpc);
        return status;
    }
    *ret_rpc = rpc;
    return OK;
}

void rpc_close(struct rpc *rpc)
{
    if (rpc == NULL) return;
    http_server_close(rpc->server);
    rpc_drop_held(rpc);
    free(rpc);
}

uint16_t rpc_port(const struct rpc *rpc)
{
    return http_server_port(rpc->server);
}
