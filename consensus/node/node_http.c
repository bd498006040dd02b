#include <stdio.h>
#include <stdlib.h>

#include "common/codec.h"
#include "common/hash_pages.h"
#include "consensus/core/records.h"
#include "consensus/node/api_accept.h"
#include "consensus/node/node_internal.h"

/* Rounds that one /dag answer shows at the most. */
#define DAG_ROUNDS_SHOWN 32u

/* ---- metrics --------------------------------------------------------------------------------- */

struct metrics {
    char *text;
    size_t len;
    FILE *stream;
};

static void metric(struct metrics *metrics, const char *kind, const char *name, double value)
{
    fprintf(metrics->stream, "# TYPE %s %s\n%s %.17g\n", name, kind, name, value);
}

static void gauge(struct metrics *metrics, const char *name, double value)
{
    metric(metrics, "gauge", name, value);
}

static void counter(struct metrics *metrics, const char *name, double value)
{
    metric(metrics, "counter", name, value);
}

static void core_metrics(struct metrics *metrics, struct node *node)
{
    static const char *const reasons[] = {
#define REASON(name) #name,
        CORE_REFUSAL_TABLE(REASON)
#undef REASON
    };
    struct core_status status;

    core_get_status(node->core, &status);
    gauge(metrics, "narwhal_primary_current_round", (double)status.round);
    gauge(metrics, "narwhal_primary_highest_processed_round", (double)status.quorum_round);
    gauge(metrics, "narwhal_primary_last_committed_round", (double)status.anchor_round);
    gauge(metrics, "narwhal_primary_gc_round", (double)status.gc_round);
    counter(metrics, "narwhal_primary_certificates_processed", (double)status.certificates);
    gauge(metrics, "narwhal_primary_certificates_suspended", (double)status.suspended);
    counter(metrics, "dsn_anchors_direct_total", (double)status.direct_commits);
    counter(metrics, "dsn_anchors_fast_total", (double)status.fast_commits);
    counter(metrics, "dsn_anchors_indirect_total", (double)status.indirect_commits);
    counter(metrics, "dsn_anchors_skipped_total", (double)status.skipped_anchors);
    gauge(metrics, "dsn_preblock_index", (double)status.preblock_index);
    gauge(metrics, "dsn_preblock_certified_index", (double)status.certified_index);
    gauge(metrics, "dsn_checkpoint_sequence", (double)status.checkpoint);
    gauge(metrics, "dsn_lag_rounds", (double)readiness_lag_rounds(&status));
    gauge(metrics, "dsn_lag_preblocks", (double)readiness_lag_preblocks(&status));
    gauge(metrics, "dsn_missing_batches", (double)status.missing_batches);
    gauge(metrics, "dsn_unnamed_bytes", (double)status.unnamed_bytes);
    gauge(metrics, "dsn_unordered_bytes", (double)status.unordered_bytes);
    gauge(metrics, "dsn_ready", node_readiness(node).kind == READINESS_READY);
    fprintf(metrics->stream, "# TYPE dsn_refused_total counter\n");
    for (int i = 0; i < CORE_REFUSALS; i++)
        fprintf(metrics->stream, "dsn_refused_total{reason=\"%s\"} %llu\n", reasons[i],
                (unsigned long long)status.refusals[i]);
}

static void worker_metrics(struct metrics *metrics, struct node *node)
{
    static const char *const reasons[] = {
#define REASON(name, text) text,
        API_REFUSAL_TABLE(REASON)
#undef REASON
    };
    struct worker_counters worker;
    struct api_counters api;

    worker_get_counters(node->worker, &worker);
    api_get_counters(node->api, &api);
    counter(metrics, "narwhal_worker_batches_created_total", (double)worker.own_batches);
    counter(metrics, "narwhal_worker_batches_bytes_total", (double)worker.own_bytes);
    counter(metrics, "dsn_peer_batches_total", (double)worker.peer_batches);
    counter(metrics, "dsn_peer_batches_bytes_total", (double)worker.peer_bytes);
    counter(metrics, "dsn_batches_fetched_total", (double)worker.fetched);
    counter(metrics, "dsn_batches_served_total", (double)worker.served);
    counter(metrics, "dsn_batches_refused_total", (double)worker.refused);
    counter(metrics, "dsn_batches_rotten_total", (double)worker.rotten);
    counter(metrics, "dsn_batches_repaired_total", (double)worker.repaired);
    gauge(metrics, "dsn_appending_bytes", (double)worker.appending);
    counter(metrics, "narwhal_worker_transactions_total", (double)api.transactions);
    counter(metrics, "dsn_transaction_bytes_total", (double)api.transaction_bytes);
    counter(metrics, "dsn_submissions_invalid_total", (double)api.refused_invalid);
    counter(metrics, "dsn_submissions_exhausted_total", (double)api.refused_exhausted);
    counter(metrics, "dsn_submissions_unavailable_total", (double)api.refused_unavailable);
    gauge(metrics, "dsn_bytes_in_flight", (double)api.bytes_in_flight);
    gauge(metrics, "dsn_exporter_clients", (double)api.exports);
    gauge(metrics, "dsn_exporter_held_bytes", (double)api.exports_held_bytes);
    counter(metrics, "dsn_exported_total", (double)api.exported);
    counter(metrics, "dsn_exporter_cut_total", (double)api.exports_cut);
    counter(metrics, "dsn_submissions_slowed_total", (double)api.slowed);
    counter(metrics, "dsn_http_refused_total", (double)node->guard.refused_tokens);
    fprintf(metrics->stream, "# TYPE dsn_access_refused_total counter\n");
    for (int i = 0; i < API_REFUSALS; i++)
        fprintf(metrics->stream, "dsn_access_refused_total{reason=\"%s\"} %llu\n", reasons[i],
                (unsigned long long)api.refused_access[i]);
}

static void machine_metrics(struct metrics *metrics, struct node *node)
{
    struct storage_stats storage;
    uint32_t count = node->options.committee->committee.count;

    storage_get_stats(node->storage, &storage);
    gauge(metrics, "dsn_disk_bytes", (double)(storage.store_bytes + storage.log.bytes));
    counter(metrics, "dsn_commits_total", (double)storage.commits);
    counter(metrics, "dsn_batch_memory_reads_total", (double)storage.log.ring_hits);
    counter(metrics, "dsn_batch_disk_reads_total", (double)storage.log.disk_reads);
    gauge(metrics, "dsn_commit_seconds_max", (double)storage.commit_us_max / 1e6);
    gauge(metrics, "dsn_append_seconds_max", (double)storage.append_us_max / 1e6);
    gauge(metrics, "dsn_outbox_actions", (double)outbox_count(node->outbox));
    counter(metrics, "dsn_mesh_refused_total", (double)mesh_refused(node->mesh));
    counter(metrics, "dsn_connections_refused_total", (double)api_accept_refused());
    counter(metrics, "dsn_core_steps_total", (double)node->steps);
    fprintf(metrics->stream, "# TYPE dsn_peer_up gauge\n# TYPE dsn_peer_rtt_seconds gauge\n");
    for (uint32_t i = 0; i < count; i++) {
        struct mesh_peer_status peer;
        if (i == node->options.self) continue;
        mesh_get_peer(&peer, node->mesh, (authority_t)i);
        fprintf(metrics->stream, "dsn_peer_up{peer=\"%u\"} %d\n", i + 1, peer.up);
        fprintf(metrics->stream, "dsn_peer_rtt_seconds{peer=\"%u\"} %g\n", i + 1,
                (double)peer.rtt_us / 1e6);
    }
}

static void get_metrics(void *context, struct http_request *request)
{
    struct metrics metrics = {0};

    metrics.stream = open_memstream(&metrics.text, &metrics.len);
    CHECK(metrics.stream != NULL);
    core_metrics(&metrics, context);
    worker_metrics(&metrics, context);
    machine_metrics(&metrics, context);
    fclose(metrics.stream);
    http_reply(request, 200, "text/plain; version=0.0.4", metrics.text, metrics.len);
    free(metrics.text);
}

/* ---- health ---------------------------------------------------------------------------------- */

static void get_healthz(void *context, struct http_request *request)
{
    (void)context;
    http_reply(request, 200, "text/plain", "ok\n", 3);
}

static void get_readyz(void *context, struct http_request *request)
{
    const struct readiness readiness = node_readiness(context);
    char text[READINESS_TEXT_BYTES];

    if (readiness.kind == READINESS_READY) {
        http_reply(request, 200, "text/plain", "ready\n", 6);
        return;
    }
    readiness_text(text, &readiness);
    http_reply_error(request, 503, readiness_code(&readiness), "%s", text);
}

/* ---- status ---------------------------------------------------------------------------------- */

static json_t *json_number(uint64_t value)
{
    return json_integer((json_int_t)value);
}

static json_t *peers_json(struct node *node)
{
    const struct committee_file *file = node->options.committee;
    json_t *peers = json_array();

    for (uint32_t i = 0; i < file->committee.count; i++) {
        struct mesh_peer_status peer;
        if (i == node->options.self) continue;
        mesh_get_peer(&peer, node->mesh, (authority_t)i);
        json_array_append_new(
            peers,
            json_pack("{s:i, s:s, s:b, s:o, s:o, s:o}", "id", (int)i + 1, "name",
                      file->entries[i].name, "up", (int)peer.up, "rtt_us", json_number(peer.rtt_us),
                      "control_queued_bytes", json_number(peer.links[MESH_CONTROL].queued_bytes),
                      "bulk_queued_bytes", json_number(peer.links[MESH_BULK].queued_bytes)));
    }
    return peers;
}

static void put(json_t *object, const char *name, uint64_t value)
{
    json_object_set_new(object, name, json_number(value));
}

static void get_status(void *context, struct http_request *request)
{
    struct node *node = context;
    const struct committee_file *file = node->options.committee;
    struct core_status status;
    struct storage_stats storage;
    char hex[2 * sizeof(struct digest) + 1];
    json_t *json = json_object();

    core_get_status(node->core, &status);
    storage_get_stats(node->storage, &storage);
    hex_encode(hex, file->committee.digest.bytes, sizeof file->committee.digest.bytes);
    put(json, "id", node->options.self + 1u);
    json_object_set_new(json, "name", json_string(file->entries[node->options.self].name));
    json_object_set_new(json, "committee", json_string(hex));
    json_object_set_new(json, "version", json_string(DSN_VERSION));
    json_object_set_new(json, "ready", json_boolean(node_readiness(node).kind == READINESS_READY));
    json_object_set_new(json, "syncing", json_boolean(status.syncing));
    put(json, "round", status.round);
    put(json, "quorum_round", status.quorum_round);
    put(json, "anchor_round", status.anchor_round);
    put(json, "gc_round", status.gc_round);
    put(json, "preblock_index", status.preblock_index);
    put(json, "certified_index", status.certified_index);
    put(json, "ordering_sequence", status.ordering_sequence);
    put(json, "checkpoint_sequence", status.checkpoint);
    put(json, "oldest_index", exports_oldest(node->exports));
    put(json, "lag", readiness_lag_rounds(&status));
    put(json, "lag_preblocks", readiness_lag_preblocks(&status));
    put(json, "missing_batches", status.missing_batches);
    put(json, "uptime_s", (node_now_us() - node->started_us) / 1000000u);
    put(json, "store_bytes", storage.store_bytes);
    put(json, "batch_log_bytes", storage.log.bytes);
    json_object_set_new(json, "sync",
                        json_string(node->options.sync == SYNC_ALWAYS ? "always" : "process"));
    json_object_set_new(json, "peers", peers_json(node));
    http_reply_json(request, 200, json);
}

/* ---- dag ------------------------------------------------------------------------------------- */

static json_t *vertex_json(const struct certificate *certificate)
{
    struct digest digest;
    char hex[2 * sizeof digest + 1];
    json_t *parents = json_array();
    const struct header *header = &certificate->header;

    header_digest(&digest, header);
    hex_encode(hex, digest.bytes, sizeof digest.bytes);
    for (uint32_t i = 0; i < header->parents_count; i++) {
        char parent[2 * sizeof digest + 1];
        hex_encode(parent, header->parents[i].bytes, sizeof header->parents[i].bytes);
        json_array_append_new(parents, json_string(parent));
    }
    return json_pack("{s:o, s:i, s:s, s:o, s:i, s:i, s:o}", "round", json_number(header->round),
                     "author", (int)header->author + 1, "digest", hex, "created_at",
                     json_number(header->created_at), "batches", (int)header->payload_count,
                     "signers", (int)certificate->quorum.count, "parents", parents);
}

/* Certificates of DAG_ROUNDS_SHOWN rounds from `from` on, as the store has them. */
static json_t *dag_json(struct node *node, round_t from)
{
    static struct certificate certificate; /* large; the loop is one thread */
    uint8_t key[CORE_KEY_BYTES_MAX];
    size_t key_len = key_of_slot(key, from, 0);
    struct store_cursor *cursor = store_cursor_open(
        storage_store(node->storage), TABLE_CERTIFICATES, (struct bytes){key, key_len});
    struct bytes row_key;
    struct bytes value;
    json_t *vertices = json_array();

    while (store_cursor_next(cursor, &row_key, &value)) {
        struct reader reader = reader_make(value.data, value.len);
        (void)reader_u8(&reader);
        certificate_decode(&certificate, &reader);
        if (reader.failed || certificate.header.round >= from + DAG_ROUNDS_SHOWN) break;
        json_array_append_new(vertices, vertex_json(&certificate));
    }
    (void)store_cursor_close(cursor);
    return vertices;
}

static void get_dag(void *context, struct http_request *request)
{
    struct node *node = context;
    const char *text = http_request_query(request, "from");
    struct core_status status;
    char *end = NULL;
    uint64_t from;

    core_get_status(node->core, &status);
    from = u64_minus(status.quorum_round, DAG_ROUNDS_SHOWN - 1);
    if (text != NULL) {
        from = strtoull(text, &end, 10);
        if (end == text || *end != 0) {
            http_reply_error(request, 400, "bad_request", "from: expected a round number");
            return;
        }
    }
    http_reply_json(request, 200,
                    json_pack("{s:o, s:o, s:o, s:o}", "from", json_number(from), "anchor_round",
                              json_number(status.anchor_round), "gc_round",
                              json_number(status.gc_round), "vertices", dag_json(node, from)));
}

static const struct http_route routes[] = {
    {"GET", "/metrics", get_metrics, 0}, {"GET", "/healthz", get_healthz, 0},
    {"GET", "/readyz", get_readyz, 0},   {"GET", "/status", get_status, 0},
    {"GET", "/dag", get_dag, 0},
};

enum status node_http_open(struct node *node, char *ret_error)
{
    struct http_server_options options = {
        .routes = routes,
        .routes_count = sizeof routes / sizeof routes[0],
        .context = node,
        .guard = http_guard_judge_request,
        .guard_context = &node->guard,
    };
    struct address address;
    struct error_line error = {""};
    enum status status;

    if (node->options.http_address == NULL) return OK;
    if (node->options.api.access.tls != NULL) options.tls = node->options.api.access.tls->context;
    status = address_parse(&address, node->options.http_address);
    if (status == OK)
        status = http_server_open(&node->http, node->base, &address, &options, &error);
    if (status != OK) snprintf(ret_error, NODE_ERROR_BYTES, "http_listen: %.490s", error.text);
    return status;
}
