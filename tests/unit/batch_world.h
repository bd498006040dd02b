/* What the tests of the batch log share: a log of small segments in a world's directory, filled with numbered
 * batches. */
#ifndef TESTS_UNIT_BATCH_WORLD_H
#define TESTS_UNIT_BATCH_WORLD_H

#include "consensus/node/batch_segment.h"
#include "tests/unit/storage_world.h"

#define SEGMENT_BYTES (256u * 1024u)
#define FOUND_MAX     4096u

/* Records in the order in which the last opening found them. */
extern struct batch_world_found {
    struct batch_record records[FOUND_MAX];
    size_t count;
} batch_world_found;

struct batch_log_options batch_world_options(const struct world *world);
enum status batch_world_try_open(struct world *world, struct batch_log **ret_log);
struct batch_log *batch_world_open(struct world *world);

/* Batches `first` .. `first` + `count` - 1, as one group. */
void batch_world_append(struct batch_log *log, uint64_t first, size_t count, size_t bytes);

/* What reading batch `number` says; when OK it is the right one. */
enum status batch_world_read(struct batch_log *log, uint64_t number, size_t bytes);

/* All of these can be read. */
void batch_world_holds(struct batch_log *log, uint64_t first, size_t count, size_t bytes);

/* Opening says that this file is corrupt at this offset, in exactly one line. */
void batch_world_is_corrupt(struct world *world, const char *file, uint64_t offset);

#endif
