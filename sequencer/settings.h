/* Flags, file and environment of dsn-sequencer. */
#ifndef SEQUENCER_SETTINGS_H
#define SEQUENCER_SETTINGS_H

#include "common/config.h"

struct settings {
    char *rollup_node_url;
    char *batcher_url;
    struct config_list primary_node_url;
    struct config_list worker_node_url;
    char *rpc_addr;
    uint32_t rpc_port;
    uint32_t node_id;
    uint32_t sequencers;
    uint32_t batching_keys;
    bool mock_consensus;
    bool mock_rollup;
    char *committee;
    char *kernel;
    char *data_dir;
    uint64_t block_time;
    char *tls_certificate;
    char *tls_key;
    char *token_file;
    uint64_t limit_address_tps;
    uint64_t limit_address_bytes;
    char *tls_ca;
    char *node_token_file;
};

extern const struct config_program settings_program;

#endif
