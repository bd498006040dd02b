#include "sequencer/settings.h"

#include "common/rate_limit.h"

#define FIELD(member) .offset = offsetof(struct settings, member)

static const struct config_field fields[] = {
    {"rollup_node_url", CONFIG_STRING, FIELD(rollup_node_url), "http://127.0.0.1:8932", 0, 0, NULL,
     "rollup node that state is read from", 0},
    {"batcher_url", CONFIG_STRING, FIELD(batcher_url), "", 0, 0, NULL,
     "rollup node that messages are posted to; default: --rollup-node-url", 0},
    {"primary_node_url", CONFIG_LIST, FIELD(primary_node_url), "http://127.0.0.1:64011", 0, 0, NULL,
     "pre-block ports of consensus nodes; the next one is taken when one fails", 0},
    {"worker_node_url", CONFIG_LIST, FIELD(worker_node_url), "http://127.0.0.1:64012", 0, 0, NULL,
     "transaction ports of consensus nodes; the next one is taken when one fails", 0},
    {"rpc_addr", CONFIG_STRING, FIELD(rpc_addr), "0.0.0.0", 0, 0, NULL,
     "address that the HTTP API listens on", 0},
    {"rpc_port", CONFIG_U32, FIELD(rpc_port), "8080", 0, 65535, NULL,
     "its port; 0 takes a free one and prints it", 0},
    {"node_id", CONFIG_U32, FIELD(node_id), "1", 1, 1000, NULL, "which of --sequencers this one is",
     0},
    {"sequencers", CONFIG_U32, FIELD(sequencers), "1", 1, 1000, NULL,
     "sequencers that take turns in posting, 20 levels each", 0},
    {"batching_keys", CONFIG_U32, FIELD(batching_keys), "1", 1, 16, NULL,
     "keys of the batcher: each carries one 32 KiB operation per level", 0},
    {"mock_consensus", CONFIG_BOOL, FIELD(mock_consensus), "false", 0, 0, NULL,
     "no consensus nodes: a committee of four in this process certifies what is submitted", 0},
    {"mock_rollup", CONFIG_BOOL, FIELD(mock_rollup), "false", 0, 0, NULL,
     "no rollup node: a local one in this process runs the kernel", 0},
    {"committee", CONFIG_STRING, FIELD(committee), "", 0, 0, NULL,
     "committee.json of the network; required without --mock-consensus", 0},
    {"kernel", CONFIG_STRING, FIELD(kernel), "", 0, 0, NULL,
     "packed kernel.wasm: checked against --committee, and what --mock-rollup originates", 0},
    {"data_dir", CONFIG_STRING, FIELD(data_dir), "", 0, 0, NULL,
     "directory of what the mocks keep; default: a temporary one that is removed at the end", 0},
    {"block_time", CONFIG_DURATION, FIELD(block_time), "1s", 10000, 3600000000, NULL,
     "time between the levels of --mock-rollup", 0},
    {"tls_certificate", CONFIG_STRING, FIELD(tls_certificate), "", 0, 0, NULL,
     "PEM chain: TLS on the HTTP API; read again at SIGHUP", 0},
    {"tls_key", CONFIG_STRING, FIELD(tls_key), "", 0, 0, NULL,
     "PEM key of it, mode 0600; read again at SIGHUP", 0},
    {"token_file", CONFIG_STRING, FIELD(token_file), "", 0, 0, NULL,
     "bearer tokens of the HTTP API, mode 0600, one per line: NAME TOKEN read|submit|admin...; "
     "read "
     "again at SIGHUP",
     0},
    {"limit_address_tps", CONFIG_U64, FIELD(limit_address_tps), "0", 0, RATE_MAX, NULL,
     "POST requests per second of one client address; 0: no limit", 0},
    {"limit_address_bytes", CONFIG_SIZE, FIELD(limit_address_bytes), "0", 0, RATE_MAX, NULL,
     "bytes of their bodies per second; 0: no limit", 0},
    {"tls_ca", CONFIG_STRING, FIELD(tls_ca), "", 0, 0, NULL,
     "PEM file of what to trust for https endpoints; empty: the system's", 0},
    {"node_token_file", CONFIG_STRING, FIELD(node_token_file), "", 0, 0, NULL,
     "file, mode 0600, with the bearer token to show to consensus nodes; empty: none", 0},
};

const struct config_program settings_program = {
    .name = "dsn-sequencer",
    .about = "Follows the certified pre-blocks of a DSN committee, posts them into a rollup's "
             "inbox, and "
             "serves transactions, blocks and the state ahead of L1 over HTTP and JSON-RPC.",
    .fields = fields,
    .fields_count = sizeof fields / sizeof fields[0],
};
