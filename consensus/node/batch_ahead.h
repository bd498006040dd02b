/* Reading ahead in the batch log: what is read in the order of appending (history on its way to a
 * subscriber that is behind) comes from the disk in large pieces, not batch by batch. A subscriber
 * that fell out of the ring of recent batches must catch up faster than batches are appended. */
#ifndef CONSENSUS_NODE_BATCH_AHEAD_H
#define CONSENSUS_NODE_BATCH_AHEAD_H

#include "consensus/node/batch_segment.h"

/* One piece, bytes; at least one whole record. */
#define AHEAD_BYTES (1024u * 1024u)

/* Pieces kept: the batches of a pre-block lie where seven streams met, and a second reader may be
 * elsewhere. */
#define AHEAD_PIECES 6u
_Static_assert(AHEAD_BYTES >= BUFFER_BATCH + BATCH_BYTES_MAX + SEGMENT_PAGE, "a record fits");
_Static_assert(AHEAD_BYTES % SEGMENT_PAGE == 0, "pieces are whole pages");

struct ahead_piece {
    uint8_t *data; /* AHEAD_BYTES, page-aligned; NULL until first used */
    uint32_t segment;
    uint64_t offset;
    size_t len; /* 0: holds nothing */
    uint64_t used;
};

/* What a piece holds never changes: records are written once. */
struct batch_ahead {
    struct ahead_piece pieces[AHEAD_PIECES];
    uint64_t clock;
    uint64_t reads; /* of the disk */
};

void batch_ahead_close(struct batch_ahead *ahead);

/* Fills `ret_data` with the `len` bytes of the segment (open, written at least so far) at `offset`,
 * both whole pages; reads ahead of them when they are not held. ERR_IO, ERR_CORRUPT: the file ends
 * before. */
enum status batch_ahead_read(struct batch_ahead *ahead,
                             uint8_t *ret_data,
                             struct segment *segment,
                             uint64_t offset,
                             size_t len);

/* Forgets what is of segments up to this one. */
void batch_ahead_drop_segment(struct batch_ahead *ahead, uint32_t segment);

#endif
