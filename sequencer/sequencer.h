/* The sequencer: certified pre-blocks from consensus go into the rollup's inbox, and into a machine of its own for
 * the state ahead of L1.
 *
 *     consensus --stream from the rollup's cursor--> da_poster --POST per level--> batcher
 *        |                                              ^
 *        |                                    state at each head
 *        \------stream from the copied state--> optimistic --view--> GET /state/...
 *
 * Stateless: what is done is read from the rollup at each head; pre-blocks are read again from the nodes. It stops
 * with an alarm when what the rollup accepted is not what consensus certified here. */
#ifndef SEQUENCER_SEQUENCER_H
#define SEQUENCER_SEQUENCER_H

#include "common/committee.h"
#include "sequencer/consensus.h"
#include "sequencer/da_poster.h"
#include "sequencer/rollup_client.h"
#include "sequencer/rollup_state.h"

struct event_base;
struct durable;
struct sequencer;

struct sequencer_options {
    const struct committee *committee; /* outlives the sequencer */
    struct consensus *consensus;       /* likewise */
    struct address rollup_node;
    struct address batcher;
    const struct tls_roots *rollup_node_tls; /* NULL: plain HTTP; outlives the sequencer */
    const struct tls_roots *batcher_tls;
    uint32_t batching_keys;
    uint32_t sequencers; /* S, and which of them this is */
    uint32_t self;
    const char *kernel_cache; /* directory of compiled kernels; NULL: only the linked kernel runs */
};

/* Begins to work. Never NULL. */
struct sequencer *sequencer_open(struct event_base *base, const struct sequencer_options *options);
void sequencer_close(struct sequencer *sequencer); /* NULL is fine */

/* True when an alarm ended the work: the loop was left, and the program is to exit with 1. */
bool sequencer_has_stopped(const struct sequencer *sequencer);

/* ---- for the API ----------------------------------------------------------------------------- */

struct consensus *sequencer_consensus(struct sequencer *sequencer);
const struct committee *sequencer_committee(const struct sequencer *sequencer);
struct rollup_client *sequencer_rollup(struct sequencer *sequencer);

/* The rollup's state at the last head that was read; NULL before the first. */
const struct rollup_state *sequencer_state(const struct sequencer *sequencer);

/* The state ahead of L1, NULL while there is none, and then `*ret_reason` says why. */
const struct durable *sequencer_view(const struct sequencer *sequencer, const char **ret_reason);

struct sequencer_status {
    const char *unready; /* why it is not ready; NULL: it is */
    bool rollup_up;
    bool consensus_up;
    int32_t level;
    double level_seconds; /* measured time between levels */
    uint64_t accepted;
    uint64_t applied;
    uint64_t finalized;
    uint64_t optimistic;    /* last pre-block of the state ahead of L1; 0: none */
    uint64_t tip;           /* last certified pre-block seen */
    uint64_t lag;           /* pre-blocks seen and not applied by the rollup */
    uint64_t backlog_bytes; /* what they still have to put on L1 */
    uint64_t drain_levels;  /* levels that takes */
    double drain_seconds;
    double inbox_bytes_per_second;     /* what the batching keys carry */
    double consensus_bytes_per_second; /* what arrived lately */
    uint64_t divergences;
    uint64_t posts_failed;
    struct da_figures poster;
};
void sequencer_get_status(struct sequencer *sequencer, struct sequencer_status *ret_status);

#endif
