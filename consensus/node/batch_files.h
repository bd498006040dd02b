/* Segment files open for reading, the least recently used closed for the next. Each thread that reads
 * the log has its own, so that nobody closes a file under somebody else's read. */
#ifndef CONSENSUS_NODE_BATCH_FILES_H
#define CONSENSUS_NODE_BATCH_FILES_H

#include "consensus/node/batch_segment.h"

#define BATCH_FILES_MAX 8u

struct batch_files {
    const char *directory;                /* outlives this */
    struct segment open[BATCH_FILES_MAX]; /* number 0: free */
    uint64_t used[BATCH_FILES_MAX];
    uint64_t clock;
};

void batch_files_init(struct batch_files *files, const char *directory);
void batch_files_close(struct batch_files *files);

/* The file of a segment as `known` describes it, open; valid until the next call. ERR_NOT_FOUND: it
 * was deleted meanwhile. ERR_IO. */
enum status batch_files_get(struct batch_files *files,
                            struct segment **ret_segment,
                            const struct segment *known);

#endif
