/* Where each batch of the log is: an open-addressing table from a tag (the first 8 bytes of the
 * digest) to a place, 16 bytes per batch.
 *
 * A tag is not a digest: several batches can share one, by chance or by a peer's work. So a look-up
 * walks candidates, and the caller compares the whole digest in the record at each. Slots of a
 * deleted segment stay behind as dead ones and go when the table is next rebuilt. Buckets are
 * spread with a secret key, so that no peer can pile batches into one. */
#ifndef CONSENSUS_NODE_BATCH_INDEX_H
#define CONSENSUS_NODE_BATCH_INDEX_H

#include "common/base.h"

/* Segment numbers begin at 1. A page is 4096 bytes; record 0 begins at page 1 of its segment. */
struct batch_place {
    uint32_t segment;
    uint32_t page : 24;
    uint32_t pages : 8; /* of the whole record: 480,000 bytes and its log header are 118 */
};

/* Invariants (batch_index_check): live + dead <= 3/4 capacity; capacity is a power of two; live
 * slots are of segments >= oldest. */
struct batch_index;

/* `entries_max`: live batches at the most. `key` is secret. */
struct batch_index *batch_index_new(size_t entries_max, uint64_t key);
void batch_index_free(struct batch_index *index);

/* The next candidate for a digest. `cursor` starts at 0. False when there are no more. */
bool batch_index_next(const struct batch_index *index,
                      struct batch_place *ret_place,
                      uint64_t *cursor,
                      const struct digest *digest);

/* Adds a place; the caller has seen that the digest is not in. False: full. */
bool batch_index_add(struct batch_index *index,
                     const struct digest *digest,
                     struct batch_place place);

/* Forgets one place of a digest, when it is in. */
void batch_index_remove(struct batch_index *index,
                        const struct digest *digest,
                        struct batch_place place);

/* Forgets every batch of segments below `oldest`, of which there were `count`. */
void batch_index_drop_below(struct batch_index *index, uint32_t oldest, size_t count);

/* Live batches. */
size_t batch_index_count(const struct batch_index *index);

void batch_index_check(const struct batch_index *index);

#endif
