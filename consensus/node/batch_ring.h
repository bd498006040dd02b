/* The most recently appended batches, in memory: what subscribers and peers ask for is mostly what
 * has just been stored. Bounded in bytes and in number; the oldest go first. */
#ifndef CONSENSUS_NODE_BATCH_RING_H
#define CONSENSUS_NODE_BATCH_RING_H

#include "consensus/node/batch_index.h"
#include "consensus/node/batch_log.h"

/* Buffers at the most, however small they are: the ring is searched from end to end. */
#define RING_ENTRIES_MAX 1024u

struct ring_entry {
    struct batch_place place;
    struct batch_record record;
    struct buffer *buffer;
};

/* Invariants: `bytes` is the capacity of the buffers held, at most bytes_max. */
struct batch_ring {
    struct ring_entry *entries; /* RING_ENTRIES_MAX, the oldest at `begin` */
    size_t begin;
    size_t count;
    size_t bytes;
    size_t bytes_max;
};

void batch_ring_init(struct batch_ring *ring, size_t bytes_max);
void batch_ring_close(struct batch_ring *ring);

/* Keeps a reference to the item's buffer, or a copy when the batch is small in a large one. */
void batch_ring_add(struct batch_ring *ring,
                    struct batch_place place,
                    const struct batch_log_item *item);

/* NULL when it is not (any more) here; valid until the next add. */
const struct ring_entry *batch_ring_find(const struct batch_ring *ring, struct batch_place place);

/* Forgets what is of segments up to this one. */
void batch_ring_drop_segment(struct batch_ring *ring, uint32_t segment);

#endif
