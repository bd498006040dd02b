/* dsn-node's configuration: the table of its fields, and how they become a node's options. */
#ifndef CONSENSUS_NODE_SETTINGS_H
#define CONSENSUS_NODE_SETTINGS_H

#include "common/config.h"
#include "consensus/node/node.h"

struct settings {
    char *committee;
    uint32_t id;
    char *key;
    char *network_key;
    char *data_dir;
    bool init;
    bool rejoin;
    uint32_t sync;
    struct address primary_listen;
    struct address worker_listen;
    struct address export_listen;
    struct address transactions_listen;
    struct address http_listen;
    uint32_t commit_rule;
    uint64_t header_delay_min;
    uint64_t header_delay_max;
    uint64_t anchor_wait_min;
    uint64_t idle_delay;
    uint64_t retry_delay;
    uint64_t batch_fetch;
    uint64_t batch_size;
    uint64_t batch_delay_min;
    uint64_t batch_delay_max;
    uint32_t acknowledge;
    uint64_t export_stall;
    uint64_t retain;
    uint64_t retain_bytes;
    char *congestion;
    char *tls_certificate;
    char *tls_key;
    char *token_file;
    char *allow_file;
    uint64_t envelope_life;
    uint64_t limit_address_tps;
    uint64_t limit_address_bytes;
    uint64_t limit_key_tps;
    uint64_t limit_key_bytes;
    struct config_list link_delay;
};

extern const struct config_program settings_program;

/* Reads the files that the settings name and fills the options; `peers` takes AUTHORITIES_MAX
 * entries. All of the arguments must outlive the node. ERR_CONFIG, ERR_MALFORMED or ERR_IO with one
 * line in `ret_error` (NODE_ERROR_BYTES) that names file and field. */
enum status settings_apply(struct node_options *ret_options,
                           struct mesh_peer_options *peers,
                           struct committee_file *ret_committee,
                           char *ret_error,
                           const struct settings *settings);

#endif
