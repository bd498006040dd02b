#include "sequencer/http_api.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/bytes.h"
#include "common/committee.h"
#include "common/http_server.h"
#include "common/limits.h"
#include "rollup-kernel/host/durable.h"
#include "sequencer/json_rpc.h"
#include "sequencer/rollup_answer.h"

/* {"data": hex} of the largest transaction, with some air. */
#define BODY_BYTES_MAX (2u * TRANSACTION_BYTES_MAX + 4096u)

struct http_api {
    struct sequencer *sequencer;
    struct http_server *server;
    struct json_rpc *rpc;
    struct http_access *access;
};

/* ---- transactions ---------------------------------------------------------------------------- */

static void reply_submitted(struct http_request *request, enum submitted result, const char *text)
{
    switch (result) {
    case SUBMITTED_OK:
        break;
    case SUBMITTED_REFUSED:
        http_reply_error(request, 400, "bad_transaction", "%s", text);
        break;
    case SUBMITTED_BUSY:
        http_reply_error(request, 429, "busy", "%s", text);
        break;
    case SUBMITTED_DOWN:
        http_reply_error(request, 503, "consensus_down", "%s", text);
        break;
    }
}

static void on_broadcast(void *context, enum submitted result, uint64_t index, const char *text)
{
    (void)index;
    if (result == SUBMITTED_OK) {
        http_reply_json(context, 200, json_string("OK"));
    } else {
        reply_submitted(context, result, text);
    }
}

static void on_operation(void *context, enum submitted result, uint64_t index, const char *text)
{
    static const char done[] = "Operation submitted";

    (void)index;
    if (result == SUBMITTED_OK) {
        http_reply(context, 200, "text/plain", done, sizeof done - 1);
    } else {
        reply_submitted(context, result, text);
    }
}

/* The transaction of a body {"data": hex} goes to consensus. */
static void submit(struct http_api *api,
                   struct http_request *request,
                   void (*done)(void *, enum submitted, uint64_t, const char *))
{
    json_t *body = http_request_json(request);
    const struct submission submission = {.done = done, .context = request};

    if (body == NULL) return;
    const json_t *data = json_object_get(body, "data");
    size_t len = json_string_length(data) / 2;
    uint8_t *transaction = malloc(len + 1);
    CHECK(transaction != NULL);
    if (!json_is_string(data)) {
        http_reply_error(request, 400, "bad_request", "expected {\"data\": \"<hex>\"}");
    } else if (!hex_decode(transaction, len, json_string_value(data), json_string_length(data))) {
        http_reply_error(request, 400, "bad_hex", "data: expected an even number of hex digits");
    } else if (len == 0 || len > TRANSACTION_BYTES_MAX) {
        http_reply_error(request, len == 0 ? 400 : 413, "bad_transaction",
                         "data: %zu bytes, expected 1 to %u", len, TRANSACTION_BYTES_MAX);
    } else {
        consensus_submit(sequencer_consensus(api->sequencer), transaction, len, &submission);
    }
    free(transaction);
    json_decref(body);
}

static void post_broadcast(void *context, struct http_request *request)
{
    submit(context, request, on_broadcast);
}

static void post_operations(void *context, struct http_request *request)
{
    submit(context, request, on_operation);
}

static void post_rpc(void *context, struct http_request *request)
{
    struct http_api *api = context;

    json_rpc_handle(api->rpc, request);
}

/* ---- what the rollup has --------------------------------------------------------------------- */

/* The state at the last head; NULL with the reply made. */
static const struct rollup_state *need_state(struct http_api *api, struct http_request *request)
{
    const struct rollup_state *state = sequencer_state(api->sequencer);

    if (state == NULL)
        http_reply_error(request, 503, "rollup_down", "the rollup's state was not read yet");
    return state;
}

static void get_head(void *context, struct http_request *request)
{
    const struct rollup_state *state = need_state(context, request);

    if (state == NULL) return;
    http_reply_json(request, 200, json_integer(state->has_head ? (json_int_t)state->head + 1 : 0));
}

/* The path's last part as a number; false with the reply made. */
static bool number_parameter(uint64_t *ret, struct http_request *request, const char *name)
{
    const char *text = http_request_parameter(request, name);
    char *end;

    *ret = strtoull(text, &end, 10);
    if (*text >= '0' && *text <= '9' && *end == '\0' && strlen(text) < 20) return true;
    http_reply_error(request, 400, "bad_request", "%s: expected a number", name);
    return false;
}

/* Bytes of a value's answer; NULL with the reply made when there is none. The caller frees them. */
static uint8_t *value_bytes(size_t *ret_len,
                            struct http_request *request,
                            const json_t *json,
                            const char *failure,
                            const char *what)
{
    size_t capacity = json_string_length(json) / 2;
    uint8_t *data = NULL;

    if (failure != NULL) {
        http_reply_error(request, 502, "rollup_failed", "%s", failure);
    } else if (json_is_null(json)) {
        http_reply_error(request, 404, "not_found", "the rollup has no such %s", what);
    } else {
        data = malloc(capacity + 1);
        CHECK(data != NULL);
        if (capacity <= ROLLUP_BLOCK_BYTES_MAX && rollup_read_hex(data, ret_len, capacity, json))
            return data;
        free(data);
        http_reply_error(request, 502, "rollup_failed", "the rollup's %s is not bytes in hex",
                         what);
    }
    return NULL;
}

static void add_hex(json_t *list, const uint8_t *data, size_t len)
{
    char hex[2 * 32 + 1];

    CHECK(len <= 32);
    hex_encode(hex, data, len);
    json_array_append_new(list, json_stringn(hex, 2 * len));
}

static void on_block(void *context, const json_t *json, const char *failure)
{
    struct http_request *request = context;
    size_t len = 0;
    uint8_t *data = value_bytes(&len, request, json, failure, "block");

    if (data == NULL) return;
    json_t *list = rollup_block_digests((struct bytes){data, len});
    free(data);
    if (list != NULL)
        http_reply_json(request, 200, list);
    else
        http_reply_error(request, 502, "rollup_failed",
                         "the rollup's block is not a list of digests");
}

static void on_authorities(void *context, const json_t *json, const char *failure)
{
    static struct committee committee;
    struct http_request *request = context;
    size_t len = 0;
    uint8_t *data = value_bytes(&len, request, json, failure, "epoch");

    if (data == NULL) return;
    struct reader reader = reader_make(data, len);
    enum status status = committee_decode(&committee, &reader);
    free(data);
    if (status != OK) {
        http_reply_error(request, 502, "rollup_failed", "the rollup's committee record: %s",
                         status_text(status));
        return;
    }
    json_t *list = json_array();
    for (uint32_t i = 0; i < committee.count; i++)
        add_hex(list, committee.members[i].key.bytes, sizeof committee.members[i].key.bytes);
    http_reply_json(request, 200, list);
}

static void read_rollup(struct http_api *api,
                        struct http_request *request,
                        const char *parameter,
                        const char *folder,
                        rollup_done *done)
{
    char path[64];
    uint64_t number;

    if (!number_parameter(&number, request, parameter)) return;
    const struct rollup_state *state = need_state(api, request);
    if (state == NULL) return;
    snprintf(path, sizeof path, "%s/%" PRIu64, folder, number);
    rollup_get_value(sequencer_rollup(api->sequencer), done, request, state->hash, path);
}

static void get_block(void *context, struct http_request *request)
{
    read_rollup(context, request, "level", "/blocks", on_block);
}

static void get_authorities(void *context, struct http_request *request)
{
    read_rollup(context, request, "epoch", "/authorities", on_authorities);
}

/* ---- the state ahead of L1 ------------------------------------------------------------------- */

/* The view and the path asked for; false with the reply made. The root is "/". */
static bool need_view(const struct durable **ret_view,
                      struct bytes *ret_path,
                      struct http_api *api,
                      struct http_request *request)
{
    const char *path = http_request_query(request, "path");
    const char *reason;

    if (path == NULL) {
        http_reply_error(request, 400, "bad_request", "path: required, as in ?path=/a/b");
        return false;
    }
    *ret_path = durable_path(path);
    if (strcmp(path, "/") == 0) {
        ret_path->len = 0;
    } else if (durable_check_path(*ret_path) != 0) {
        http_reply_error(request, 400, "bad_path", "not a path of durable storage");
        return false;
    }
    *ret_view = sequencer_view(api->sequencer, &reason);
    if (*ret_view != NULL) return true;
    http_reply_error(request, 503, "no_state", "%s", reason);
    return false;
}

static void get_value(void *context, struct http_request *request)
{
    const struct durable *view;
    struct bytes path, value;

    if (!need_view(&view, &path, context, request)) return;
    if (path.len == 0 || !durable_value(&value, view, path)) {
        http_reply_error(request, 404, "not_found", "there is no value at this path");
        return;
    }
    char *hex = malloc(2 * value.len + 1);
    CHECK(hex != NULL);
    hex_encode(hex, value.data, value.len);
    http_reply(request, 200, "text/plain", hex, 2 * value.len);
    free(hex);
}

static void get_subkeys(void *context, struct http_request *request)
{
    const struct durable *view;
    struct bytes path, name;

    if (!need_view(&view, &path, context, request)) return;
    json_t *names = json_array();
    for (size_t i = 0; durable_nth_key(&name, view, path, i); i++)
        json_array_append_new(names,
                              json_stringn(name.len == 0 ? "" : (const char *)name.data, name.len));
    http_reply_json(request, 200, names);
}

/* ---- health and figures ---------------------------------------------------------------------- */

static void get_healthz(void *context, struct http_request *request)
{
    (void)context;
    http_reply(request, 200, "text/plain", "ok\n", 3);
}

static void get_readyz(void *context, struct http_request *request)
{
    struct http_api *api = context;
    struct sequencer_status status;

    sequencer_get_status(api->sequencer, &status);
    if (status.unready != NULL) {
        http_reply_error(request, 503, "not_ready", "%s", status.unready);
    } else {
        http_reply(request, 200, "text/plain", "ready\n", 6);
    }
}

/* Every figure once: its metric is dsn_sequencer_NAME, its field in /status is NAME. */
struct figure {
    const char *name;
    const char *kind;
    double value;
};

#define FIGURES_MAX 32u

static size_t collect_figures(struct figure *ret,
                              const struct sequencer_status *status,
                              const struct http_guard *guard)
{
    const struct figure figures[] = {
        {"level", "gauge", status->level},
        {"level_seconds", "gauge", status->level_seconds},
        {"accepted_index", "gauge", (double)status->accepted},
        {"applied_index", "gauge", (double)status->applied},
        {"finalized_index", "gauge", (double)status->finalized},
        {"optimistic_index", "gauge", (double)status->optimistic},
        {"certified_index", "gauge", (double)status->tip},
        {"lag_preblocks", "gauge", (double)status->lag},
        {"lag_bytes", "gauge", (double)status->backlog_bytes},
        {"lag_levels", "gauge", (double)status->drain_levels},
        {"lag_seconds", "gauge", status->drain_seconds},
        {"inbox_bytes_per_second", "gauge", status->inbox_bytes_per_second},
        {"consensus_bytes_per_second", "gauge", status->consensus_bytes_per_second},
        {"window_bytes", "gauge", (double)status->poster.window_bytes},
        {"outstanding_bytes", "gauge", (double)status->poster.outstanding_bytes},
        {"messages_posted_total", "counter", (double)status->poster.messages_posted},
        {"messages_posted_again_total", "counter", (double)status->poster.messages_again},
        {"posts_failed_total", "counter", (double)status->posts_failed},
        {"divergences_total", "counter", (double)status->divergences},
        {"http_tokens_refused_total", "counter", (double)guard->refused_tokens},
        {"http_limited_total", "counter", (double)guard->refused_limits},
        {"rollup_up", "gauge", status->rollup_up},
        {"consensus_up", "gauge", status->consensus_up},
        {"ready", "gauge", status->unready == NULL},
    };

    _Static_assert(sizeof figures / sizeof figures[0] <= FIGURES_MAX, "all fit");
    memcpy(ret, figures, sizeof figures);
    return sizeof figures / sizeof figures[0];
}

static void get_metrics(void *context, struct http_request *request)
{
    struct http_api *api = context;
    struct sequencer_status status;
    struct figure figures[FIGURES_MAX];
    char *text = NULL;
    size_t len = 0;
    FILE *stream = open_memstream(&text, &len);

    CHECK(stream != NULL);
    sequencer_get_status(api->sequencer, &status);
    size_t count = collect_figures(figures, &status, &api->access->guard);
    for (size_t i = 0; i < count; i++)
        fprintf(stream, "# TYPE dsn_sequencer_%s %s\ndsn_sequencer_%s %.17g\n", figures[i].name,
                figures[i].kind, figures[i].name, figures[i].value);
    fclose(stream);
    http_reply(request, 200, "text/plain; version=0.0.4", text, len);
    free(text);
}

static void get_status(void *context, struct http_request *request)
{
    struct http_api *api = context;
    struct sequencer_status status;
    struct figure figures[FIGURES_MAX];
    json_t *object = json_object();

    sequencer_get_status(api->sequencer, &status);
    size_t count = collect_figures(figures, &status, &api->access->guard);
    for (size_t i = 0; i < count; i++) {
        double value = figures[i].value;
        json_object_set_new(object, figures[i].name,
                            value == (double)(json_int_t)value ? json_integer((json_int_t)value)
                                                               : json_real(value));
    }
    json_object_set_new(object, "unready",
                        status.unready == NULL ? json_null() : json_string(status.unready));
    http_reply_json(request, 200, object);
}

/* ---- life ------------------------------------------------------------------------------------ */

static const struct http_route routes[] = {
    {"POST", "/broadcast", post_broadcast, BODY_BYTES_MAX},
    {"POST", "/operations", post_operations, BODY_BYTES_MAX},
    {"POST", "/", post_rpc, BODY_BYTES_MAX},
    {"GET", "/head", get_head, 0},
    {"GET", "/blocks/:level", get_block, 0},
    {"GET", "/authorities/:epoch", get_authorities, 0},
    {"GET", "/state/value", get_value, 0},
    {"GET", "/state/subkeys", get_subkeys, 0},
    {"GET", "/status", get_status, 0},
    {"GET", "/healthz", get_healthz, 0},
    {"GET", "/readyz", get_readyz, 0},
    {"GET", "/metrics", get_metrics, 0},
};

enum status http_api_open(struct http_api **ret_api,
                          struct event_base *base,
                          const struct address *address,
                          struct sequencer *sequencer,
                          struct http_access *access,
                          struct error_line *error)
{
    struct http_api *api = calloc(1, sizeof *api);
    struct http_server_options options = {
        .routes = routes,
        .routes_count = sizeof routes / sizeof routes[0],
        .context = api,
        .cors = true,
    };

    CHECK(api != NULL);
    api->sequencer = sequencer;
    api->access = access;
    http_access_apply(&options, access);
    enum status status = http_server_open(&api->server, base, address, &options, error);
    if (status != OK) {
        free(api);
        return status;
    }
    api->rpc = json_rpc_open(base, sequencer);
    *ret_api = api;
    return OK;
}

void http_api_reload(struct http_api *api)
{
    http_access_reload(api->access, api->server);
}

void http_api_close(struct http_api *api)
{
    if (api == NULL) return;
    http_server_close(api->server);
    json_rpc_close(api->rpc);
    free(api);
}

uint16_t http_api_port(const struct http_api *api)
{
    return http_server_port(api->server);
}
