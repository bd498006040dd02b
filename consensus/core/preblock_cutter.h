/* Pre-blocks from ordering records: the second stage, once all new batches of a record are here.
 *
 * A record without new batches makes no pre-block. Otherwise its vertices are taken in order into
 * one pre-block until the next vertex's new batches would bring it over PREBLOCK_BYTES_MAX or
 * PREBLOCK_BATCHES_MAX: that vertex begins the next pre-block, of the same leader and round.
 * Vertices without new batches never cut; those at the end stay in the last pre-block.
 *
 *   vertices   v1   v2   v3   v4   v5 (anchor)      batches of v1+v2+v3 fit, with v4 they would not
 *              [--- i ------]  [-- i+1 --]
 *
 * index and previous chain on; timestamp = max(previous timestamp + 1, created_at of the anchor);
 * payload = manifest root of the new digests in order. A pre-block depends on the records and the
 * sizes of the batches they name, and on nothing else. Source: CONSENSUS 10; common/preblock.h. */
#ifndef CONSENSUS_CORE_PREBLOCK_CUTTER_H
#define CONSENSUS_CORE_PREBLOCK_CUTTER_H

#include "common/preblock.h"
#include "consensus/core/ordering_record.h"

/* The last pre-block made; what the next one needs of it. */
struct preblock_chain {
    uint64_t epoch;
    uint64_t index;       /* 0: none yet */
    struct digest digest; /* of the last pre-block; none yet: the committee digest */
    uint64_t timestamp;   /* ms; 0: none yet */
};

/* At the start of a network. */
struct preblock_chain preblock_chain_start(const struct committee *committee);

/* After a recovered pre-block. */
struct preblock_chain preblock_chain_after(const struct preblock *preblock);

/* What the cut must know of a batch. */
struct batch_size {
    uint32_t bytes; /* canonical size */
    uint32_t transactions;
};

/* One pre-block of a record. `cursor` is at its first vertex: read `vertices` of them with
 * ordering_record_next and their batches. Batch i of this pre-block is batch first_batch + i of the
 * record. */
struct preblock_cut {
    struct preblock header;
    struct ordering_cursor cursor;
    uint32_t vertices;
    uint32_t first_batch;
    bool last; /* the last pre-block of the record */
};

/* Where a record has been cut so far. About 8 KB. */
struct preblock_cutter {
    const struct ordering_record *record;
    const struct batch_size *sizes;
    struct ordering_cursor cursor;
    uint32_t next_batch;
    uint32_t vertices_left;
    struct digest manifest[PREBLOCK_BATCHES_MAX];
};

/* `record` and `sizes` (one per new batch of the record, same order) outlive the cutter. */
void preblock_cutter_begin(struct preblock_cutter *cutter,
                           const struct ordering_record *record,
                           const struct batch_size *sizes);

/* The next pre-block of the record, or false at the end. Advances `chain` past it. Persist all
 * pre-blocks of a record in one atomic write: then the records still to be cut are those with a
 * later anchor round than the last pre-block's. */
bool preblock_cutter_next(struct preblock_cutter *cutter,
                          struct preblock_cut *ret_cut,
                          struct preblock_chain *chain);

#endif
