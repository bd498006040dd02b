/* A node: the core and everything that performs its actions, on one event loop.
 *
 *     mesh, timers, storage answers --> core_step --> actions --> mesh, storage, worker, API
 *
 *   loop thread      this file, mesh, worker, HTTP; the only one that touches the core
 *   storage thread   batch log and RocksDB commits, reads (consensus/node/storage.h)
 *   gRPC thread      clients and subscribers (consensus/node/api.h)
 *
 * A turn: every PERSIST of the loop turn goes into one store batch, which the storage thread makes
 * durable while the loop goes on; every action after a PERSIST waits in the outbox until its batch
 * is durable. So nothing leaves the machine before what it rests on is on disk, and the loop never
 * waits for the disk. Any failed write stops the process. */
#ifndef CONSENSUS_NODE_NODE_H
#define CONSENSUS_NODE_NODE_H

#include "common/access_files.h"
#include "common/committee_file.h"
#include "consensus/core/core.h"
#include "consensus/node/api.h"
#include "consensus/node/mesh.h"
#include "consensus/node/storage.h"

#define NODE_ERROR_BYTES 512u

struct node_options {
    const struct committee_file *committee;
    authority_t self;
    struct secret_key key;
    uint8_t network_seed[32];
    const char *data_directory;
    enum store_mode mode;
    enum sync_mode sync;
    struct core_parameters parameters;
    struct api_options api;           /* of `access` only the limits: the node fills the rest */
    struct access_files access_files; /* read at the start and at SIGHUP */
    struct mesh_options mesh;         /* listen addresses and peers; the node fills the rest */
    const char *http_address;         /* "127.0.0.1:64014"; NULL: none */
    uint64_t retain_preblocks;        /* newest pre-blocks kept; 0: all */
    uint64_t retain_bytes;            /* bound on the batch log's bytes; 0: none */
};

struct node;

/* Opens everything and recovers from the store. On failure nothing is left open and `ret_error`
 * (NODE_ERROR_BYTES) holds one line. ERR_CONFIG and the store's refusals are the operator's to
 * mend. */
enum status node_open(struct node **ret_node, char *ret_error, const struct node_options *options);

/* Runs until SIGTERM or SIGINT (OK), or until the node had to stop itself (ERR_IO, ERR_CONFLICT,
 * ERR_CORRUPT; logged). */
enum status node_run(struct node *node);

/* True after node_run when the node stopped only to start again, with STORE_EXISTING: its store begins with a
 * checkpoint now. */
bool node_restarts(const struct node *node);

/* Flushes and closes everything, within five seconds. NULL is fine. */
void node_close(struct node *node);

#endif
