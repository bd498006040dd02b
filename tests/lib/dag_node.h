/* One node over the real modules, as far as a world's events go: it keeps what has arrived, inserts
 * what may enter (lowest round and author first), and orders after every change. The core does the
 * same with messages, batches and a disk around it. */
#ifndef TESTS_LIB_DAG_NODE_H
#define TESTS_LIB_DAG_NODE_H

#include "consensus/core/orderer.h"
#include "tests/lib/dag_world.h"

/* A record as it would be on disk. */
struct dag_node_record {
    uint8_t *data;
    size_t len;
    struct digest digest;
};

struct dag_node {
    const struct world *world;
    struct orderer_options options;
    struct dag *dag;
    struct orderer *orderer;
    bool *arrived;  /* certificates on disk */
    bool check;     /* walk all invariants after every event */
    bool suspended; /* note certificates before they can enter */
    struct dag_node_record *records;
    uint32_t records_count;
    uint32_t how[3];
};

void dag_node_init(struct dag_node *ret_node,
                   const struct world *world,
                   const struct orderer_options *options);
void dag_node_free(struct dag_node *node);

void dag_node_take(struct dag_node *node, const struct world_event *event);

/* Loses all memory and starts again from the last records and the certificates. */
void dag_node_restart(struct dag_node *node);

/* True when one node's records are, byte for byte, a prefix of the other's. */
bool dag_node_agrees(const struct dag_node *a, const struct dag_node *b);

#endif
