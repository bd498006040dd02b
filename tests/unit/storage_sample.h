/* A made-up history of four members for the tests of exports and retention.
 *
 * Pre-block i orders the certificates of round 2 i - 1 and the anchor of round 2 i, by member i
 * mod 4. Member 0's and 2's header carry two batches each; of member 2's the second was executed
 * before. */
#ifndef TESTS_UNIT_STORAGE_SAMPLE_H
#define TESTS_UNIT_STORAGE_SAMPLE_H

#include "common/types.h"
#include "tests/unit/storage_fixture.h"

#define HISTORY_VERTICES 5u
#define HISTORY_BATCHES  3u

struct sample {
    struct certificate certificates[HISTORY_VERTICES];
    struct vertex_ref refs[HISTORY_VERTICES];
    struct batch_record batches[HISTORY_BATCHES]; /* executed ones, in order */
    struct preblock header;
    struct quorum quorum; /* of the pre-block */
};

extern const uint32_t sample_batches[HISTORY_VERTICES];

/* What pre-block `index` consists of; free() it. */
struct sample *sample_make(const struct world *world, uint64_t index);

void sample_put_certificate(struct store_batch *batch,
                            const struct certificate *certificate,
                            bool verified);

/* Writes pre-block `index` with everything that belongs to it but its certificate; then that. */
void sample_write(struct fixture *fixture, uint64_t index, bool verified);
void sample_certify(struct fixture *fixture, uint64_t index);

#endif
