#include "rollup-kernel/host/rpc_state.h"

#include <stdlib.h>

#include "common/bytes.h"

const struct rollup_block *rpc_block(struct rpc *rpc, struct http_request *request)
{
    const char *id = http_request_parameter(request, "id");
    const struct rollup_block *block = rollup_node_block(rpc->node, id);

    if (block == NULL) rpc_fail(request, "rollup.node.unknown_block", "no block %.64s is kept", id);
    return block;
}

json_t *rpc_header(const struct rollup_node *node, const struct rollup_block *block)
{
    const struct rollup_block *before = rollup_node_level(node, block->level - 1);
    json_t *header = json_object();

    json_object_set_new(header, "block_hash", rpc_hash(BASE58_BLOCK, &block->hash));
    json_object_set_new(header, "level", json_integer(block->level));
    json_object_set_new(header, "predecessor",
                        before == NULL ? json_null() : rpc_hash(BASE58_BLOCK, &before->hash));
    json_object_set_new(header, "timestamp", json_integer(block->timestamp));
    return header;
}

static json_t *state_hash(const struct rollup_block *block)
{
    struct digest digest;

    durable_hash(&digest, block->state, durable_path(""));
    return rpc_hash(BASE58_STATE, &digest);
}

/* 64-bit numbers are strings, as in octez. */
static json_t *number_text(uint64_t number)
{
    return json_sprintf("%llu", (unsigned long long)number);
}

static json_t *outbox_json(const struct rollup_block *block)
{
    json_t *messages = json_array();

    for (uint32_t i = 0; i < block->outbox.count; i++) {
        struct bytes message = block->outbox.messages[i];
        char hex[2 * 4096 + 1];
        json_t *item = json_object();
        hex_encode(hex, message.data, message.len);
        json_object_set_new(item, "outbox_level", json_integer(block->level));
        json_object_set_new(item, "message_index", number_text(i));
        json_object_set_new(item, "message", json_pack("{s:s}", "serialized", hex));
        json_array_append_new(messages, item);
    }
    return messages;
}

void rpc_get_block(void *context, struct http_request *request)
{
    struct rpc *rpc = context;
    const struct rollup_block *block = rpc_block(rpc, request);

    if (block == NULL) return;
    json_t *object = rpc_header(rpc->node, block);
    json_object_set_new(object, "num_messages", number_text(block->messages));
    json_object_set_new(object, "state_hash", state_hash(block));
    json_object_set_new(object, "outbox", outbox_json(block));
    http_reply_json(request, 200, object);
}

void rpc_get_hash(void *context, struct http_request *request)
{
    const struct rollup_block *block = rpc_block(context, request);

    if (block != NULL) http_reply_json(request, 200, rpc_hash(BASE58_BLOCK, &block->hash));
}

void rpc_get_level(void *context, struct http_request *request)
{
    const struct rollup_block *block = rpc_block(context, request);

    if (block != NULL) http_reply_json(request, 200, json_integer(block->level));
}

void rpc_get_num_messages(void *context, struct http_request *request)
{
    const struct rollup_block *block = rpc_block(context, request);

    if (block != NULL) http_reply_json(request, 200, number_text(block->messages));
}

void rpc_get_state_hash(void *context, struct http_request *request)
{
    const struct rollup_block *block = rpc_block(context, request);

    if (block != NULL) http_reply_json(request, 200, state_hash(block));
}

void rpc_get_status(void *context, struct http_request *request)
{
    const struct rollup_block *block = rpc_block(context, request);

    if (block != NULL) http_reply_json(request, 200, json_string("Waiting for input message"));
}

/* Block and key of a storage request; false when the reply is made. */
static bool storage_request(const struct rollup_block **ret_block,
                            struct bytes *ret_path,
                            struct rpc *rpc,
                            struct http_request *request)
{
    const char *key = http_request_query(request, "key");

    *ret_block = rpc_block(rpc, request);
    if (*ret_block == NULL) return false;
    *ret_path = durable_path(key == NULL ? "" : key);
    /* The root can be listed: "/" or no key at all. */
    if (ret_path->len == 1 && ret_path->data[0] == '/') ret_path->len = 0;
    if (ret_path->len == 0 || durable_check_path(*ret_path) == 0) return true;
    rpc_fail(request, "rollup.node.invalid_key", "not a path of durable storage: %.80s", key);
    return false;
}

static json_t *hex_json(struct bytes value)
{
    char *hex = malloc(2 * value.len + 1);

    CHECK(hex != NULL);
    hex_encode(hex, value.data, value.len);
    json_t *json = json_stringn(hex, 2 * value.len);
    free(hex);
    return json;
}

void rpc_get_value(void *context, struct http_request *request)
{
    const struct rollup_block *block;
    struct bytes path, value;

    if (!storage_request(&block, &path, context, request)) return;
    bool found = durable_value(&value, block->state, path);
    http_reply_json(request, 200, found ? hex_json(value) : json_null());
}

void rpc_get_length(void *context, struct http_request *request)
{
    const struct rollup_block *block;
    struct bytes path, value;

    if (!storage_request(&block, &path, context, request)) return;
    bool found = durable_value(&value, block->state, path);
    http_reply_json(request, 200, found ? number_text(value.len) : json_null());
}

void rpc_get_subkeys(void *context, struct http_request *request)
{
    const struct rollup_block *block;
    struct bytes path, name;

    if (!storage_request(&block, &path, context, request)) return;
    json_t *names = json_array();
    for (size_t i = 0; durable_nth_key(&name, block->state, path, i); i++) {
        json_array_append_new(names,
                              json_stringn(name.len == 0 ? "" : (const char *)name.data, name.len));
    }
    http_reply_json(request, 200, names);
}

void rpc_get_values(void *context, struct http_request *request)
{
    const struct rollup_block *block;
    struct bytes path, name, value;

    if (!storage_request(&block, &path, context, request)) return;
    json_t *values = json_array();
    for (size_t i = 0; durable_nth_key(&name, block->state, path, i); i++) {
        char child[DURABLE_PATH_BYTES_MAX + 2];
        if (name.len == 0 || path.len + 1 + name.len > DURABLE_PATH_BYTES_MAX) continue;
        memcpy(child, path.data, path.len);
        child[path.len] = '/';
        memcpy(child + path.len + 1, name.data, name.len);
        child[path.len + 1 + name.len] = '\0';
        if (!durable_value(&value, block->state, durable_path(child))) continue;
        json_t *item = json_object();
        json_object_set_new(item, "key", json_stringn((const char *)name.data, name.len));
        json_object_set_new(item, "value", hex_json(value));
        json_array_append_new(values, item);
    }
    http_reply_json(request, 200, values);
}

/* The outbox of a level, as seen from a block that is not before it. */
void rpc_get_outbox(void *context, struct http_request *request)
{
    struct rpc *rpc = context;
    const struct rollup_block *block = rpc_block(rpc, request);
    char *end;

    if (block == NULL) return; /* the request is gone with its reply */
    const char *text = http_request_parameter(request, "outbox_level");
    if (text == NULL) text = http_request_query(request, "outbox_level");
    long level = text == NULL ? block->level : strtol(text, &end, 10);
    if (text != NULL && (*text == '\0' || *end != '\0' || level < 0 || level > INT32_MAX)) {
        rpc_fail(request, "rollup.node.invalid_level", "not a level: %.32s", text);
        return;
    }
    const struct rollup_block *at =
        level > block->level ? NULL : rollup_node_level(rpc->node, (int32_t)level);
    http_reply_json(request, 200, at == NULL ? json_array() : outbox_json(at));
}
