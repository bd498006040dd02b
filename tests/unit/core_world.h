/* A small cluster for unit tests: production cores in virtual time, joined by queues with one fixed
 * delay, each with a store in memory that survives a restart. No faults but those a test asks for:
 * a link can be cut, a node stopped and started again from its store, or wiped. The simulator
 * (tests/sim) does the rest. */
#ifndef TESTS_UNIT_CORE_WORLD_H
#define TESTS_UNIT_CORE_WORLD_H

#include "consensus/core/core.h"

#define WORLD_NODES_MAX 13

struct world;

struct world_options {
    uint32_t nodes;
    const uint32_t *stakes; /* NULL: all 1 */
    uint64_t delay_us;      /* of every message */
    struct core_parameters parameters;
};

struct world_options world_options_default(uint32_t nodes);

struct world *world_open(const struct world_options *options);
void world_close(struct world *world);

/* Starts a node (again) from its store; `rejoin` after world_wipe. */
void world_start(struct world *world, uint32_t node, bool rejoin);
void world_start_all(struct world *world);
void world_stop(struct world *world, uint32_t node); /* loses memory, keeps the store */
void world_wipe(struct world *world, uint32_t node); /* of a stopped node: loses the store, too */
void world_cut(struct world *world,
               uint32_t a,
               uint32_t b,
               bool cut); /* messages are lost both ways */

/* From now on messages of this kind (enum wire_kind; 0: none) are lost. */
void world_lose(struct world *world, uint8_t kind);

/* A new batch of `bytes` is made by the node and streamed to the others. */
struct digest world_submit(struct world *world, uint32_t node, uint32_t bytes);

/* The node alone stores this batch: its own when `author` is itself, else as if streamed by `author`. */
void world_store(struct world *world, uint32_t node, uint32_t author, const struct digest *digest);

/* Runs until virtual time has moved on by `us`. */
void world_run(struct world *world, uint64_t us);

/* Hands a frame body to a node as if `from` had sent it. */
void world_inject(struct world *world, uint32_t node, uint32_t from, struct bytes body);

/* For tests that look at what a node does: called for every action. */
typedef void world_watcher(void *context, uint32_t node, const struct core_action *action);
void world_watch(struct world *world, world_watcher *watcher, void *context);

struct core *world_core(struct world *world, uint32_t node);
const struct committee *world_committee(const struct world *world);
const struct secret_key *world_key(const struct world *world, uint32_t node);
uint64_t world_now(const struct world *world);
uint64_t world_wall_ms(const struct world *world);

/* Pre-blocks the node has delivered since the world began, and digest of the one with this index.
 */
uint64_t world_delivered(const struct world *world, uint32_t node);
struct digest world_preblock(const struct world *world, uint32_t node, uint64_t index);
uint64_t world_certified(const struct world *world, uint32_t node);

/* True when the node's pre-blocks executed the batch; how often altogether. */
uint32_t world_executed(const struct world *world, uint32_t node, const struct digest *digest);

/* Why the node raised an alarm, or NULL. */
const char *world_alarm(const struct world *world, uint32_t node);
bool world_ready(const struct world *world, uint32_t node);

/* Rows of a table in the node's store, and the value of one key (NULL data: none). */
size_t world_rows(const struct world *world, uint32_t node, enum core_table table);
struct bytes world_row(const struct world *world,
                       uint32_t node,
                       enum core_table table,
                       struct bytes key);

#endif
