#include "consensus/node/settings.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/crypto.h"
#include "common/key_file.h"
#include "common/limits.h"
#include "common/log.h"

#define FIELD(member) .offset = offsetof(struct settings, member)

static const char *const sync_choices[] = {"always", "process", NULL};
static const char *const rule_choices[] = {"bullshark", "shoal", "shoal-fast", NULL};
static const char *const level_choices[] = {"accepted", "certified", "committed", NULL};

static const struct config_field fields[] = {
    {"committee", CONFIG_STRING, FIELD(committee), NULL, 0, 0, NULL,
     "committee.json of the network", 0},
    {"id", CONFIG_U32, FIELD(id), "0", 0, AUTHORITIES_MAX, NULL,
     "which member this node is, from 1 in the order of the committee file; 0: the one whose key "
     "it has",
     0},
    {"key", CONFIG_STRING, FIELD(key), NULL, 0, 0, NULL, "file with the signing key's seed", 0},
    {"network_key", CONFIG_STRING, FIELD(network_key), NULL, 0, 0, NULL,
     "file with the network key's seed", 0},
    {"data_dir", CONFIG_STRING, FIELD(data_dir), NULL, 0, 0, NULL, "directory of the store", 0},
    {"init", CONFIG_BOOL, FIELD(init), "false", 0, 0, NULL,
     "create the store; once per key and network, ever", 0},
    {"rejoin", CONFIG_BOOL, FIELD(rejoin), "false", 0, 0, NULL,
     "the store was lost: create one and sign nothing until peers proved where they are", 0},
    {"sync", CONFIG_CHOICE, FIELD(sync), "always", 0, 0, sync_choices,
     "always: on disk before anything leaves; process: survives a crash of the process only", 0},
    {"primary_listen", CONFIG_ADDRESS, FIELD(primary_listen), "", 0, 0, NULL,
     "mesh, control; default: the committee file's primary_address", 0},
    {"worker_listen", CONFIG_ADDRESS, FIELD(worker_listen), "", 0, 0, NULL,
     "mesh, batches; default: worker_address", 0},
    {"export_listen", CONFIG_ADDRESS, FIELD(export_listen), "", 0, 0, NULL,
     "gRPC, pre-blocks; default: export_address", 0},
    {"transactions_listen", CONFIG_ADDRESS, FIELD(transactions_listen), "", 0, 0, NULL,
     "gRPC, transactions; default: transactions_address", 0},
    {"http_listen", CONFIG_ADDRESS, FIELD(http_listen), "", 0, 0, NULL,
     "metrics, health, status; default: the port of http_address, on loopback", 0},
    {"commit_rule", CONFIG_CHOICE, FIELD(commit_rule), "shoal-fast", 0, 0, rule_choices,
     "must be the same on all nodes", 0},
    {"header_delay_min", CONFIG_DURATION, FIELD(header_delay_min), "0us", 0, 0, NULL,
     "least time between two own headers; 0us: the core's default", 0},
    {"header_delay_max", CONFIG_DURATION, FIELD(header_delay_max), "0us", 0, 10000000, NULL,
     "longest wait for anchors and stragglers; 0us: the core's default", 0},
    {"anchor_wait_min", CONFIG_DURATION, FIELD(anchor_wait_min), "0us", 0, 0, NULL,
     "least wait for certificates beyond the quorum; 0us: the core's default", 0},
    {"idle_delay", CONFIG_DURATION, FIELD(idle_delay), "0us", 0, 0, NULL,
     "an idle node proposes this often; 0us: the core's default", 0},
    {"retry_delay", CONFIG_DURATION, FIELD(retry_delay), "0us", 0, 5000000, NULL,
     "first retransmission delay; 0us: the core's default", 0},
    {"batch_fetch", CONFIG_DURATION, FIELD(batch_fetch), "0us", 0, 0, NULL,
     "a missing batch is fetched at the latest after this; 0us: the core's default", 0},
    {"batch_size", CONFIG_SIZE, FIELD(batch_size), "0", 0, BATCH_BYTES_MAX, NULL,
     "a batch is sealed at this size; 0: the API's default", 0},
    {"batch_delay_min", CONFIG_DURATION, FIELD(batch_delay_min), "0us", 0, 0, NULL,
     "an open batch waits this long when idle; 0us: the API's default", 0},
    {"batch_delay_max", CONFIG_DURATION, FIELD(batch_delay_max), "0us", 0, 0, NULL,
     "and up to this under load; 0us: the API's default", 0},
    {"acknowledge", CONFIG_CHOICE, FIELD(acknowledge), "certified", 0, 0, level_choices,
     "level at which submissions that do not name one are answered", 0},
    {"export_stall", CONFIG_DURATION, FIELD(export_stall), "30s", 1000000, 0, NULL,
     "a subscriber that takes nothing for so long is cut", 0},
    {"retain", CONFIG_U64, FIELD(retain), "0", 0, 0, NULL, "newest pre-blocks kept; 0: all", 0},
    {"retain_bytes", CONFIG_SIZE, FIELD(retain_bytes), "0", 0, 0, NULL,
     "bound on stored batches; 0: none", 0},
    {"congestion", CONFIG_STRING, FIELD(congestion), "", 0, 0, NULL,
     "TCP congestion control of the mesh, as reno or bbr; empty: the system's", 0},
    {"tls_certificate", CONFIG_STRING, FIELD(tls_certificate), "", 0, 0, NULL,
     "PEM chain: TLS on the gRPC and HTTP ports; read again at SIGHUP", 0},
    {"tls_key", CONFIG_STRING, FIELD(tls_key), "", 0, 0, NULL,
     "PEM key of it, mode 0600; read again at SIGHUP", 0},
    {"token_file", CONFIG_STRING, FIELD(token_file), "", 0, 0, NULL,
     "bearer tokens, mode 0600, one per line: NAME TOKEN read|submit|admin...; read again at "
     "SIGHUP",
     0},
    {"allow_file", CONFIG_STRING, FIELD(allow_file), "", 0, 0, NULL,
     "submitters, one per line: NAME KEY [transactions=N] [bytes=N]; transactions must come in "
     "their "
     "envelopes; read again at SIGHUP",
     0},
    {"envelope_life", CONFIG_DURATION, FIELD(envelope_life), "1m", 1000000, 3600000000, NULL,
     "an envelope that expires later than this from now is refused", 0},
    {"limit_address_tps", CONFIG_U64, FIELD(limit_address_tps), "0", 0, RATE_MAX, NULL,
     "transactions per second of one client address; 0: no limit", 0},
    {"limit_address_bytes", CONFIG_SIZE, FIELD(limit_address_bytes), "0", 0, RATE_MAX, NULL,
     "bytes per second of one client address; 0: no limit", 0},
    {"limit_key_tps", CONFIG_U64, FIELD(limit_key_tps), "0", 0, RATE_MAX, NULL,
     "transactions per second of one key of --allow-file; 0: no limit", 0},
    {"limit_key_bytes", CONFIG_SIZE, FIELD(limit_key_bytes), "0", 0, RATE_MAX, NULL,
     "bytes per second of one key of --allow-file; 0: no limit", 0},
    {"link_delay", CONFIG_LIST, FIELD(link_delay), "", 0, 0, NULL,
     "test option: PEER:MILLISECONDS, what is sent to that member waits so long first", 0},
};

const struct config_program settings_program = {
    .name = "dsn-node",
    .about = "One member of a DSN committee: builds the certified DAG, commits it, and streams "
             "pre-blocks.",
    .fields = fields,
    .fields_count = sizeof fields / sizeof fields[0],
};

/* Reads a key file; a failure names the flag as well. */
static enum status read_key(uint8_t ret_seed[KEY_SEED_BYTES],
                            struct error_line *error,
                            const char *flag,
                            const char *path)
{
    struct error_line line = {""};
    enum status status = key_file_read(ret_seed, path, &line);

    if (status != OK) return error_line_set(error, status, "%s: %s", flag, line.text);
    return OK;
}

static enum status apply_files(struct node_options *options,
                               struct committee_file *committee,
                               struct error_line *error,
                               const struct settings *settings)
{
    uint8_t seed[KEY_SEED_BYTES];
    struct public_key key;
    struct error_line warning;
    const struct member *member;
    enum status status = committee_file_load(committee, settings->committee, error);

    if (status != OK) return status;
    if (committee_file_warning(&warning, committee)) log_warn("%s", warning.text);
    status = read_key(seed, error, "--key", settings->key);
    if (status != OK) return status;
    crypto_key_pair(&key, &options->key, seed);
    if (committee_file_find(&options->self, committee, &key) != OK)
        return error_line_set(error, ERR_CONFIG, "--key: %s: is no authority's key in %s",
                              settings->key, settings->committee);
    if (settings->id != 0 && settings->id != options->self + 1u)
        return error_line_set(error, ERR_CONFIG,
                              "--key: %s: is the key of authority %u in %s, not of --id %u",
                              settings->key, options->self + 1u, settings->committee, settings->id);
    member = &committee->committee.members[options->self];
    status = read_key(options->network_seed, error, "--network-key", settings->network_key);
    if (status != OK) return status;
    crypto_key_pair(&key, &(struct secret_key){{0}}, options->network_seed);
    if (memcmp(&key, &member->network_key, sizeof key) != 0)
        return error_line_set(error, ERR_CONFIG,
                              "--network-key: %s: is not the network_key of authorities[%u] in %s",
                              settings->network_key, options->self, settings->committee);
    return OK;
}

static enum status resolve(struct sockaddr_storage *ret,
                           struct error_line *error,
                           const char *field,
                           const struct address *given,
                           const struct address *fallback)
{
    const struct address *address = given->host[0] != 0 ? given : fallback;
    socklen_t len;
    char text[ADDRESS_TEXT_BYTES_MAX];

    if (address_resolve(ret, &len, address) == OK) return OK;
    address_format(text, address);
    return error_line_set(error, ERR_CONFIG, "%s: cannot resolve %s", field, text);
}

static enum status apply_mesh(struct node_options *options,
                              struct mesh_peer_options *peers,
                              struct error_line *error,
                              const struct committee_file *committee,
                              const struct settings *settings)
{
    const struct authority_entry *self = &committee->entries[options->self];
    enum status status = resolve(&options->mesh.listen[MESH_CONTROL], error, "primary_listen",
                                 &settings->primary_listen, &self->primary);

    if (status == OK)
        status = resolve(&options->mesh.listen[MESH_BULK], error, "worker_listen",
                         &settings->worker_listen, &self->worker);
    for (uint32_t i = 0; status == OK && i < committee->committee.count; i++) {
        const struct authority_entry *entry = &committee->entries[i];
        status = resolve(&peers[i].address[MESH_CONTROL], error, "primary_address", &entry->primary,
                         &entry->primary);
        if (status == OK)
            status = resolve(&peers[i].address[MESH_BULK], error, "worker_address", &entry->worker,
                             &entry->worker);
    }
    options->mesh.peers = peers;
    if (strlen(settings->congestion) >= sizeof options->mesh.congestion)
        return error_line_set(error, ERR_CONFIG, "--congestion: %s: no such name",
                              settings->congestion);
    memcpy(options->mesh.congestion, settings->congestion, strlen(settings->congestion));
    return status;
}

static enum status apply_link_delays(struct mesh_peer_options *peers,
                                     struct error_line *error,
                                     uint32_t count,
                                     const struct config_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        unsigned peer, ms;
        char rest;
        if (sscanf(list->items[i], "%u:%u%c", &peer, &ms, &rest) != 2 || peer < 1 || peer > count ||
            ms > 60000)
            return error_line_set(error, ERR_CONFIG,
                                  "--link-delay: %s: expected PEER:MILLISECONDS, 1..%u:0..60000",
                                  list->items[i], count);
        peers[peer - 1].delay_us = ms * 1000;
    }
    return OK;
}

static uint64_t or_default(uint64_t value, uint64_t initial)
{
    return value != 0 ? value : initial;
}

static void apply_core(struct core_parameters *ret, const struct settings *settings)
{
    struct core_parameters base = core_parameters_default();
    *ret = base;
    ret->stride = settings->commit_rule == 0 ? 2 : 1;
    ret->fast = settings->commit_rule == 2;
    ret->header_delay_us_min = or_default(settings->header_delay_min, base.header_delay_us_min);
    ret->header_delay_us_max = or_default(settings->header_delay_max, base.header_delay_us_max);
    ret->anchor_wait_us_min = or_default(settings->anchor_wait_min, base.anchor_wait_us_min);
    ret->idle_delay_us = or_default(settings->idle_delay, base.idle_delay_us);
    ret->retry_delay_us = or_default(settings->retry_delay, base.retry_delay_us);
    ret->batch_fetch_us = or_default(settings->batch_fetch, base.batch_fetch_us);
}

/* Address texts live as long as the process: one node per process. */
static const char *address_text(const struct address *given, const struct address *fallback)
{
    char *text = malloc(ADDRESS_TEXT_BYTES_MAX);
    CHECK(text != NULL);
    address_format(text, given->host[0] != 0 ? given : fallback);
    return text;
}

static void apply_api(struct api_options *ret,
                      const struct settings *settings,
                      const struct authority_entry *self)
{
    struct api_options base = api_options_default();
    *ret = base;
    ret->export_address = address_text(&settings->export_listen, &self->exporter);
    ret->transactions_address = address_text(&settings->transactions_listen, &self->transactions);
    ret->level = (enum api_level)settings->acknowledge;
    ret->batch_bytes = (size_t)or_default(settings->batch_size, base.batch_bytes);
    ret->batch_delay_us_min = or_default(settings->batch_delay_min, base.batch_delay_us_min);
    ret->batch_delay_us_max = or_default(settings->batch_delay_max, base.batch_delay_us_max);
    ret->export_stall_us = settings->export_stall;
    ret->access.envelope_life_ms = settings->envelope_life / 1000;
    ret->access.address_rates =
        (struct rates){settings->limit_address_tps, settings->limit_address_bytes};
    ret->access.key_rates = (struct rates){settings->limit_key_tps, settings->limit_key_bytes};
}

/* What shows the node's inside is for this machine, unless a flag says otherwise. */
static const char *http_text(const struct settings *settings, const struct authority_entry *self)
{
    struct address address = self->http;

    if (!address_is_loopback(&address)) snprintf(address.host, sizeof address.host, "127.0.0.1");
    return address_text(&settings->http_listen, &address);
}

enum status settings_apply(struct node_options *ret_options,
                           struct mesh_peer_options *peers,
                           struct committee_file *ret_committee,
                           char *ret_error,
                           const struct settings *settings)
{
    struct error_line error = {""};
    enum status status = OK;

    if (settings->init && settings->rejoin)
        status = error_line_set(&error, ERR_CONFIG, "--init and --rejoin exclude each other");
    if (settings->allow_file[0] == '\0' &&
        (settings->limit_key_tps > 0 || settings->limit_key_bytes > 0))
        status = error_line_set(&error, ERR_CONFIG,
                                "--limit-key-tps and --limit-key-bytes need --allow-file");
    if (status == OK) status = apply_files(ret_options, ret_committee, &error, settings);
    if (status == OK) status = apply_mesh(ret_options, peers, &error, ret_committee, settings);
    if (status == OK)
        status =
            apply_link_delays(peers, &error, ret_committee->committee.count, &settings->link_delay);
    if (status != OK) {
        snprintf(ret_error, NODE_ERROR_BYTES, "%.500s", error.text);
        return status == ERR_IO ? ERR_CONFIG : status;
    }
    const struct authority_entry *self = &ret_committee->entries[ret_options->self];
    ret_options->committee = ret_committee;
    ret_options->data_directory = settings->data_dir;
    ret_options->mode = settings->init     ? STORE_INIT
                        : settings->rejoin ? STORE_REJOIN
                                           : STORE_EXISTING;
    ret_options->sync = settings->sync == 0 ? SYNC_ALWAYS : SYNC_PROCESS;
    apply_core(&ret_options->parameters, settings);
    apply_api(&ret_options->api, settings, self);
    ret_options->api.access.network = ret_committee->committee.digest;
    ret_options->access_files = (struct access_files){settings->tls_certificate, settings->tls_key,
                                                      settings->token_file, settings->allow_file};
    ret_options->http_address = http_text(settings, self);
    ret_options->retain_preblocks = settings->retain;
    ret_options->retain_bytes = settings->retain_bytes;
    return OK;
}
