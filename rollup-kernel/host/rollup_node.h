/* The local rollup node: an L1 that makes a block each block time, with the batcher in front and
 * the machine behind it.
 *
 *   batcher -> operations -> block: level framing -> machine, run by run -> store -> head
 *
 * A level is worked off in steps, so that a program can answer RPCs between the kernel's runs.
 * Blocks keep their state: `head`, `finalized` (two behind), a level or a hash name one of the last
 * hundred.
 *
 * With faults (faults.h), or when asked, the head goes back by one or two blocks, never below what
 * was `finalized`, and the levels are made again from there. */
#ifndef HOST_ROLLUP_NODE_H
#define HOST_ROLLUP_NODE_H

#include "rollup-kernel/host/batcher.h"
#include "rollup-kernel/host/preimages.h"
#include "rollup-kernel/host/rollup_store.h"

/* Blocks between the head and the finalized one (Tenderbake). */
#define ROLLUP_FINALITY 2

/* Level of the first block and of the rollup's origination. */
#define ROLLUP_ORIGINATION_LEVEL 1

struct rollup_node;

struct rollup_node_options {
    const char *data_directory;
    const char
        *kernel; /* packed kernel.wasm; only read when the directory is new, else NULL is fine */
    const char *rollup_address;     /* sr1..., or NULL: made from the kernel */
    const char *preimages;          /* NULL: DATA/preimages */
    const char *preimages_endpoint; /* NULL: none */
    const char *kernel_debug_log;   /* file that is appended to; NULL: none */
    uint32_t batching_keys;
    const struct faults_spec *faults; /* from the beginning; NULL: none */
};

/* Opens or creates. ERR_CONFIG (wrong input) or ERR_IO, ERR_CORRUPT, ERR_VERSION, with a line. */
enum status rollup_node_open(struct rollup_node **ret_node,
                             const struct rollup_node_options *options,
                             struct error_line *error);
void rollup_node_close(struct rollup_node *node); /* NULL is fine */

/* A block is due: begins a level unless one is being worked off, perhaps (faults) of an earlier
 * block than the head. `now` in seconds. */
void rollup_node_tick(struct rollup_node *node, int64_t now);

enum rollup_step {
    ROLLUP_IDLE,    /* nothing to do until the next tick */
    ROLLUP_AGAIN,   /* call again soon */
    ROLLUP_BLOCK,   /* a block was made and stored */
    ROLLUP_WAITING, /* for a preimage: call again in a while */
    ROLLUP_FAILED,  /* the program must stop: `error` says why */
};

/* One run of the kernel. */
enum rollup_step rollup_node_step(struct rollup_node *node, struct error_line *error);

/* Undoes the last `levels` blocks, 1 .. FAULTS_REORG_MAX, and the level that is being worked off.
 * ERR_CONFIG with a line when some of them are final, or were there before the start. When the store
 * fails the next step does. */
enum status rollup_node_reorg(struct rollup_node *node, uint32_t levels, struct error_line *error);

/* What goes wrong on purpose: to be read, or set with faults_set. */
struct faults *rollup_node_faults(struct rollup_node *node);

struct batcher *rollup_node_batcher(struct rollup_node *node);
const struct rollup_identity *rollup_node_identity(const struct rollup_node *node);

/* The block of an id, NULL when there is none (any more). Alive until the next step. */
const struct rollup_block *rollup_node_block(const struct rollup_node *node, const char *id);
const struct rollup_block *rollup_node_head(const struct rollup_node *node);

/* The block at a level, NULL when it is not kept. */
const struct rollup_block *rollup_node_level(const struct rollup_node *node, int32_t level);

/* The level of the last block that cannot be undone any more. */
int32_t rollup_node_finalized(const struct rollup_node *node);

/* The digest that a ROLLUP_WAITING step waits for. */
const struct digest *rollup_node_missing(const struct rollup_node *node);

#endif
