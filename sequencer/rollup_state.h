/* What a sequencer reads of the rollup at each head: its cursor. One struct, read at one block hash. */
#ifndef SEQUENCER_ROLLUP_STATE_H
#define SEQUENCER_ROLLUP_STATE_H

#include "common/base.h"
#include "sequencer/rollup_client.h"

/* /state/cursor: index u64 | batch u32 | transaction u32 | count u32 | skipped u32 | faulty u32 | digest. */
#define ROLLUP_CURSOR_BYTES 60u

struct rollup_state {
    int32_t level;
    char hash[ROLLUP_HASH_BYTES];
    bool installed;    /* the kernel has run once; all below is 0 otherwise */
    uint64_t accepted; /* index of the last certified pre-block taken */
    struct digest accepted_digest;
    uint64_t applied;
    struct digest applied_digest;
    uint64_t finalized; /* applied, two blocks or so behind */
    bool has_head;
    uint32_t head;
    uint8_t mode;     /* 0 inbox, 1 reveal */
    uint64_t skipped; /* transactions that trapped twice, ever */
    uint64_t faulty;
    uint8_t cursor[ROLLUP_CURSOR_BYTES];
};

/* Reads it; `state` is NULL when a read failed or makes no sense, and then `failure` says what. */
typedef void rollup_state_done(void *context,
                               const struct rollup_state *state,
                               const char *failure);
void rollup_state_read(struct rollup_client *client,
                       rollup_state_done *done,
                       void *context,
                       int32_t level,
                       const char *hash);

struct durable;

/* Copies the kernel's whole durable storage at a block: what docs/rollup.md lists. The callback owns the tree; NULL
 * with a line when it cannot be had. */
typedef void rollup_copy_done(void *context, struct durable *durable, const char *failure);
void rollup_copy(struct rollup_client *client,
                 rollup_copy_done *done,
                 void *context,
                 const char *hash);

#endif
