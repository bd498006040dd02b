/* What batch_log.c (life, retention), batch_append.c, batch_read.c and batch_recover.c share. Nobody else
 * includes this. */
#ifndef CONSENSUS_NODE_BATCH_LOG_INTERNAL_H
#define CONSENSUS_NODE_BATCH_LOG_INTERNAL_H

#include <pthread.h>

#include "consensus/node/batch_ahead.h"
#include "consensus/node/batch_files.h"
#include "consensus/node/batch_ring.h"
#include "consensus/node/batch_segment.h"
#include "consensus/node/store_error.h"

/* A segment's used_round right after opening: not known, taken for the newest round once that is.
 */
#define ROUND_UNKNOWN UINT64_MAX

/* Two threads: one appends and retains, one finds and reads. The lock is over what both touch; it is
 * held for look-ups, never over I/O.
 *
 * Invariants: segments are numbered without a gap, ascending; the last one is open and is the one
 * written to, the others' fds are -1. Index and ring hold only what is durable as the sync mode says: a
 * batch that is found may be vouched for. */
struct batch_log {
    char *directory;
    enum sync_mode sync;
    uint64_t segment_bytes;

    pthread_mutex_t lock;
    struct segment *segments; /* the last one's fields are written by the appender only */
    size_t segments_count;
    size_t segments_capacity;
    struct batch_index *index;
    round_t newest_round; /* of the pre-blocks noted */
    struct batch_ring ring;
    struct batch_log_stats stats;
    bool direct;

    bool cut;    /* recovery cut off a torn tail */
    bool failed; /* a write failed: nothing more is written; the appender's own */
    struct batch_files append_files;
    struct batch_files read_files; /* the reader's own, and `ahead` */
    struct batch_ahead ahead;
};

/* The segment at the end of the array is new. */
struct segment *batch_log_add_segment(struct batch_log *log, const struct segment *segment);

/* Begins the next segment; what the finished one holds is durable before the new one exists. */
enum status batch_log_roll(struct batch_log *log);

/* The segment of a place, NULL when it was deleted. Under the lock; valid while it is held. */
struct segment *batch_log_segment(struct batch_log *log, struct batch_place place);

/* Takes a place of a digest out of the index, if it is in. Under the lock. */
void batch_log_remove(struct batch_log *log, const struct digest *digest, struct batch_place place);

/* Finds the place of a digest, reading through the calling thread's files: OK and the place and record, or ERR_NOT_FOUND, or the last error
 * met. */
enum status batch_log_locate(struct batch_log *log,
                             struct batch_files *files,
                             struct batch_place *ret_place,
                             struct batch_record *ret_record,
                             const struct digest *digest);

/* Reads every segment file of the directory into the empty log. */
enum status batch_log_recover(struct batch_log *log,
                              char *ret_error,
                              const struct batch_log_options *options);

#endif
