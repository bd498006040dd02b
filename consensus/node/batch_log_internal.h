/* What batch_log.c and batch_recover.c share. Nobody else includes this. */
#ifndef CONSENSUS_NODE_BATCH_LOG_INTERNAL_H
#define CONSENSUS_NODE_BATCH_LOG_INTERNAL_H

#include "consensus/node/batch_ahead.h"
#include "consensus/node/batch_ring.h"
#include "consensus/node/batch_segment.h"
#include "consensus/node/store_error.h"

/* Segment files open for reading at once. */
#define OPEN_SEGMENTS_MAX 16u

/* A segment's used_round right after opening: not known, taken for the newest round once that is.
 */
#define ROUND_UNKNOWN UINT64_MAX

/* Invariants: segments are numbered without a gap, ascending; the last one is open and is the one
 * written to. */
struct batch_log {
    char *directory;
    enum sync_mode sync;
    uint64_t segment_bytes;
    bool direct;
    bool failed; /* a write failed: nothing more is written */
    struct segment *segments;
    size_t segments_count;
    size_t segments_capacity;
    size_t open_count;
    struct batch_index *index;
    round_t newest_round; /* of the pre-blocks noted */
    struct batch_ring ring;
    struct batch_ahead ahead;
    struct batch_log_stats stats;
};

/* The segment at the end of the array is new. */
struct segment *batch_log_add_segment(struct batch_log *log, const struct segment *segment);

/* Begins the next segment; what the finished one holds is durable before the new one exists. */
enum status batch_log_roll(struct batch_log *log);

/* The file of the segment is open afterwards; another one may be closed for it. ERR_IO. */
enum status batch_log_use_segment(struct batch_log *log, struct segment *segment);

/* Finds the place of a digest: OK and the place and record, or ERR_NOT_FOUND, or the last error
 * met. */
enum status batch_log_locate(struct batch_log *log,
                             struct batch_place *ret_place,
                             struct batch_record *ret_record,
                             const struct digest *digest);

/* Reads every segment file of the directory into the empty log. */
enum status batch_log_recover(struct batch_log *log,
                              char *ret_error,
                              const struct batch_log_options *options);

#endif
