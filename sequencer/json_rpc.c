#include "sequencer/json_rpc.h"

#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/batch.h"
#include "common/bytes.h"
#include "common/http_server.h"
#include "common/limits.h"

/* Reads under way at once; each holds a stream of pre-blocks. */
#define READS_MAX 8u

/* For the next pre-block of a read. */
#define READ_SECONDS 5

enum rpc_error {
    RPC_NOT_JSON = -32700,
    RPC_NOT_A_REQUEST = -32600,
    RPC_NO_METHOD = -32601,
    RPC_PARAMETERS = -32602,
    RPC_REFUSED = -32001,
    RPC_BUSY = -32002,
    RPC_DOWN = -32003,
};

struct read;

struct json_rpc {
    struct event_base *base;
    struct sequencer *sequencer;
    struct read *reads[READS_MAX]; /* NULL: free */
};

/* One HTTP request: its calls' answers. */
struct exchange {
    struct http_request *request;
    json_t *answers;
    size_t left; /* calls without an end */
    bool batch;
};

struct call {
    struct exchange *exchange;
    json_t *id; /* NULL: a notification */
};

/* A sequencer_read under way. */
struct read {
    struct json_rpc *rpc;
    struct read **slot;
    struct call *call;
    struct consensus_stream *stream;
    struct event *timer;
    uint64_t to;
    uint64_t bytes;
    json_t *preblocks;
    bool ended;
};

/* ---- answers --------------------------------------------------------------------------------- */

static void exchange_end(struct exchange *exchange)
{
    size_t count = json_array_size(exchange->answers);

    if (count == 0) {
        http_reply(exchange->request, 204, "application/json", "", 0);
    } else if (exchange->batch) {
        http_reply_json(exchange->request, 200, json_incref(exchange->answers));
    } else {
        http_reply_json(exchange->request, 200, json_incref(json_array_get(exchange->answers, 0)));
    }
    json_decref(exchange->answers);
    free(exchange);
}

static void call_done(struct call *call, const char *field, json_t *value)
{
    struct exchange *exchange = call->exchange;

    if (call->id != NULL) {
        json_t *answer = json_object();
        json_object_set_new(answer, "jsonrpc", json_string("2.0"));
        json_object_set_new(answer, field, value);
        json_object_set_new(answer, "id", call->id);
        json_array_append_new(exchange->answers, answer);
    } else {
        json_decref(value);
    }
    free(call);
    if (--exchange->left == 0) exchange_end(exchange);
}

static void call_result(struct call *call, json_t *result)
{
    call_done(call, "result", result);
}

static void call_fail(struct call *call, enum rpc_error code, const char *message)
{
    call_done(call, "error", json_pack("{s:i, s:s}", "code", (int)code, "message", message));
}

/* A parameter by position, or by name. */
static const json_t *parameter(const json_t *parameters, size_t at, const char *name)
{
    if (json_is_array(parameters)) return json_array_get(parameters, at);
    return json_object_get(parameters, name);
}

/* ---- sequencer_append ------------------------------------------------------------------------ */

static void on_appended(void *context, enum submitted result, uint64_t index, const char *text)
{
    struct call *call = context;

    switch (result) {
    case SUBMITTED_OK:
        call_result(call, json_integer((json_int_t)index));
        break;
    case SUBMITTED_REFUSED:
        call_fail(call, RPC_REFUSED, text);
        break;
    case SUBMITTED_BUSY:
        call_fail(call, RPC_BUSY, text);
        break;
    case SUBMITTED_DOWN:
        call_fail(call, RPC_DOWN, text);
        break;
    }
}

static void append(struct json_rpc *rpc, struct call *call, const json_t *parameters)
{
    const json_t *data = parameter(parameters, 0, "data");
    size_t len = json_string_length(data) / 2;
    const struct submission submission = {.done = on_appended, .context = call, .committed = true};
    uint8_t *transaction = malloc(len + 1);

    CHECK(transaction != NULL);
    if (!json_is_string(data)) {
        call_fail(call, RPC_PARAMETERS, "expected a string of hex");
    } else if (!hex_decode(transaction, len, json_string_value(data), json_string_length(data))) {
        call_fail(call, RPC_PARAMETERS, "expected an even number of hex digits");
    } else if (len == 0 || len > TRANSACTION_BYTES_MAX) {
        call_fail(call, RPC_REFUSED, "a transaction has 1 to 262144 bytes");
    } else {
        consensus_submit(sequencer_consensus(rpc->sequencer), transaction, len, &submission);
    }
    free(transaction);
}

/* ---- sequencer_read -------------------------------------------------------------------------- */

static void read_free(struct read *read)
{
    *read->slot = NULL;
    consensus_close_stream(sequencer_consensus(read->rpc->sequencer), read->stream);
    event_free(read->timer);
    json_decref(read->preblocks);
    free(read);
}

static void read_end(struct read *read)
{
    if (read->ended) return;
    read->ended = true;
    call_result(read->call, json_incref(read->preblocks));
    event_active(read->timer, 0, 0); /* frees it, outside the stream's callback */
}

/* The transactions of one batch, as hex; its bytes go to `read->bytes`. */
static void add_transactions(json_t *list, struct read *read, const uint8_t *batch, size_t len)
{
    struct reader reader = reader_make(batch, len);
    struct bytes transaction;

    while (batch_next(&transaction, &reader)) {
        char *hex = malloc(2 * transaction.len + 1);
        CHECK(hex != NULL);
        hex_encode(hex, transaction.data, transaction.len);
        json_array_append_new(list, json_stringn(hex, 2 * transaction.len));
        free(hex);
        read->bytes += transaction.len;
    }
}

static json_t *preblock_json(struct read *read, const struct da_preblock *preblock)
{
    static uint8_t manifest[PREBLOCK_BATCHES_MAX * sizeof(struct digest)];
    static uint8_t batch[BATCH_BYTES_MAX];
    const struct preblock *header = &preblock->header;
    char hex[2 * sizeof(struct digest) + 1];
    json_t *list = json_array();
    size_t manifest_len = 0;
    size_t len;

    /* Both were built from these pages, so both are there. */
    CHECK(da_tree_read(manifest, &manifest_len, sizeof manifest, preblock, &header->payload) == OK);
    for (size_t at = 0; at < manifest_len; at += sizeof(struct digest)) {
        struct digest digest;
        memcpy(digest.bytes, manifest + at, sizeof digest.bytes);
        CHECK(da_tree_read(batch, &len, sizeof batch, preblock, &digest) == OK);
        add_transactions(list, read, batch, len);
    }
    hex_encode(hex, preblock->digest.bytes, sizeof preblock->digest.bytes);
    return json_pack("{s:I, s:s, s:I, s:I, s:o}", "index", (json_int_t)header->index, "digest", hex,
                     "round", (json_int_t)header->round, "timestamp", (json_int_t)header->timestamp,
                     "transactions", list);
}

static void on_read_preblock(void *context, struct da_preblock *preblock)
{
    struct read *read = context;

    if (!read->ended) {
        json_array_append_new(read->preblocks, preblock_json(read, preblock));
        if (preblock->header.index >= read->to || read->bytes >= JSON_RPC_READ_BYTES_MAX ||
            json_array_size(read->preblocks) >= JSON_RPC_READ_MAX)
            read_end(read);
    }
    da_preblock_free(preblock);
}

static void on_read_ended(void *context, const char *reason)
{
    struct read *read = context;

    if (read->ended) return;
    read->ended = true;
    call_fail(read->call, RPC_DOWN, reason);
    event_active(read->timer, 0, 0);
}

static void on_read_timer(evutil_socket_t fd, short what, void *context)
{
    struct read *read = context;

    (void)fd;
    (void)what;
    if (!read->ended) call_fail(read->call, RPC_DOWN, "no consensus node answered in time");
    read_free(read);
}

static void read_start(struct json_rpc *rpc, struct call *call, uint64_t from, uint64_t to)
{
    const struct timeval wait = {.tv_sec = READ_SECONDS};
    struct read **slot = rpc->reads;

    while (slot < rpc->reads + READS_MAX && *slot != NULL)
        slot++;
    if (slot == rpc->reads + READS_MAX) {
        call_fail(call, RPC_BUSY, "too many reads are under way");
        return;
    }
    struct read *read = calloc(1, sizeof *read);
    CHECK(read != NULL);
    *slot = read;
    *read = (struct read){.rpc = rpc, .slot = slot, .call = call, .to = to};
    read->preblocks = json_array();
    read->timer = event_new(rpc->base, -1, 0, on_read_timer, read);
    CHECK(read->timer != NULL);
    event_add(read->timer, &wait);
    const struct consensus_follow follow = {
        .from = from - 1,
        .on_preblock = on_read_preblock,
        .on_ended = on_read_ended,
        .context = read,
    };
    read->stream = consensus_open_stream(sequencer_consensus(rpc->sequencer), &follow);
}

static void read_preblocks(struct json_rpc *rpc, struct call *call, const json_t *parameters)
{
    const json_t *from = parameter(parameters, 0, "from");
    const json_t *to = parameter(parameters, 1, "to");
    struct sequencer_status status;

    if (!json_is_integer(from) || !json_is_integer(to) || json_integer_value(from) < 1 ||
        json_integer_value(to) < json_integer_value(from)) {
        call_fail(call, RPC_PARAMETERS, "expected from and to with 1 <= from <= to");
        return;
    }
    sequencer_get_status(rpc->sequencer, &status);
    if ((uint64_t)json_integer_value(from) > status.tip) {
        call_result(call, json_array());
        return;
    }
    read_start(rpc, call, (uint64_t)json_integer_value(from),
               u64_min((uint64_t)json_integer_value(to), status.tip));
}

/* ---- sequencer_info -------------------------------------------------------------------------- */

static void info(struct json_rpc *rpc, struct call *call)
{
    const struct committee *committee = sequencer_committee(rpc->sequencer);
    struct sequencer_status status;
    char network[2 * sizeof committee->network + 1];
    char digest[2 * sizeof(struct digest) + 1];

    sequencer_get_status(rpc->sequencer, &status);
    hex_encode(network, committee->network, sizeof committee->network);
    hex_encode(digest, committee->digest.bytes, sizeof committee->digest.bytes);
    call_result(call,
                json_pack("{s:I, s:I, s:I, s:I, s:i, s:s, s:I, s:s}", "count",
                          (json_int_t)status.tip, "accepted", (json_int_t)status.accepted,
                          "applied", (json_int_t)status.applied, "optimistic",
                          (json_int_t)status.optimistic, "level", (int)status.level, "network",
                          network, "epoch", (json_int_t)committee->epoch, "committee", digest));
}

/* ---- requests -------------------------------------------------------------------------------- */

/* Whatever `request` is, it becomes a call of the exchange that ends once. */
static void dispatch(struct json_rpc *rpc, struct exchange *exchange, const json_t *request)
{
    struct call *call = calloc(1, sizeof *call);
    json_t *id = json_object_get(request, "id");
    const json_t *parameters = json_object_get(request, "params");
    const char *version = json_string_value(json_object_get(request, "jsonrpc"));
    const char *method = json_string_value(json_object_get(request, "method"));

    CHECK(call != NULL);
    call->exchange = exchange;
    bool good_id = id == NULL || json_is_string(id) || json_is_number(id) || json_is_null(id);
    bool good = json_is_object(request) && version != NULL && strcmp(version, "2.0") == 0 &&
                method != NULL && good_id &&
                (parameters == NULL || json_is_array(parameters) || json_is_object(parameters));
    call->id = good ? json_incref(id) : good_id && id != NULL ? json_incref(id) : json_null();
    if (!good) {
        call_fail(call, RPC_NOT_A_REQUEST, "not a JSON-RPC 2.0 request");
    } else if (strcmp(method, "sequencer_append") == 0) {
        append(rpc, call, parameters);
    } else if (strcmp(method, "sequencer_read") == 0 || strcmp(method, "sequencer_get") == 0) {
        read_preblocks(rpc, call, parameters);
    } else if (strcmp(method, "sequencer_info") == 0) {
        info(rpc, call);
    } else {
        call_fail(call, RPC_NO_METHOD, "no such method");
    }
}

void json_rpc_handle(struct json_rpc *rpc, struct http_request *request)
{
    struct bytes body = http_request_body(request);
    json_t *json = json_loadb((const char *)body.data, body.len, JSON_DECODE_ANY, NULL);
    struct exchange *exchange = calloc(1, sizeof *exchange);
    size_t count = json_is_array(json) ? json_array_size(json) : 1;

    CHECK(exchange != NULL);
    *exchange = (struct exchange){.request = request, .answers = json_array(), .left = 1};
    if (json == NULL || count == 0 || count > JSON_RPC_BATCH_MAX) {
        struct call *call = calloc(1, sizeof *call);
        CHECK(call != NULL);
        *call = (struct call){exchange, json_null()};
        if (json == NULL)
            call_fail(call, RPC_NOT_JSON, "not JSON");
        else
            call_fail(call, RPC_NOT_A_REQUEST, "a batch has 1 to 32 requests");
        json_decref(json);
        return;
    }
    exchange->batch = json_is_array(json);
    exchange->left = count;
    for (size_t i = 0; i < count; i++)
        dispatch(rpc, exchange, exchange->batch ? json_array_get(json, i) : json);
    json_decref(json);
}

struct json_rpc *json_rpc_open(struct event_base *base, struct sequencer *sequencer)
{
    struct json_rpc *rpc = calloc(1, sizeof *rpc);

    CHECK(rpc != NULL);
    rpc->base = base;
    rpc->sequencer = sequencer;
    return rpc;
}

void json_rpc_close(struct json_rpc *rpc)
{
    if (rpc == NULL) return;
    for (uint32_t i = 0; i < READS_MAX; i++) {
        struct read *read = rpc->reads[i];
        if (read == NULL) continue;
        if (!read->ended) call_fail(read->call, RPC_DOWN, "stopping");
        read_free(read);
    }
    free(rpc);
}
