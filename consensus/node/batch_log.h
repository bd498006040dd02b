/* The batch log: canonical batches in append-only segment files, found by digest.
 *
 *   directory/NNNNNNNN.log   segments, numbered from 1, about segment_bytes each
 *     segment header  4096 bytes: magic, version, number, random salt
 *     record          log header 80 | (unused to 128) | batch | zeros to a multiple of 4096
 *
 * A record is written straight from its struct buffer (common/buffer.h): one O_DIRECT write for the
 * log header, the batch and the padding; plain writes where the file system refuses O_DIRECT. A
 * group of records is one call of batch_log_append and, with SYNC_ALWAYS, one fdatasync.
 *
 * The log header carries how far its segment was known to be synced when it was written. So at the
 * next start every record below the greatest such mark must be whole, or the log is corrupt; only
 * records of the last group, beyond the mark, may be torn, and they are checked by digest and cut
 * off from the first bad one on. What is cut off takes its mark along, so the next segment is begun
 * then: of a segment that is not the last every record must be whole. Headers are authenticated by a checksum over the segment's secret
 * salt, number and offset, so neither batch content nor the remains of a torn write can pose as a
 * record.
 *
 * The index holds 16 bytes per batch (digest tag, segment, offset); the rest is read from the
 * record. Every batch read is checked against its digest. A ring of the most recently appended
 * buffers answers most reads without the disk.
 *
 * Retention works on whole segments: see batch_log_note_executed and batch_log_retain.
 *
 * Threads: one may append and retain while another one finds and reads; figures are for any. A batch is
 * found once its group is durable, not earlier. docs/protocol.md, storage. */
#ifndef CONSENSUS_NODE_BATCH_LOG_H
#define CONSENSUS_NODE_BATCH_LOG_H

#include "common/buffer.h"
#include "consensus/node/store.h"

#define BATCH_LOG_SEGMENT_BYTES (128u * 1024u * 1024u)

/* Records written by one call at the most. */
#define BATCH_LOG_GROUP_MAX 64u

/* Batches in the index at the most: 16 bytes each and half as much again of slack. A log that is
 * full refuses appends (ERR_FULL) until retention has deleted a segment. */
#define BATCH_LOG_ENTRIES_MAX (1u << 22)

/* What is known of a batch besides its bytes. */
struct batch_record {
    struct digest digest;
    authority_t author;
    uint32_t worker;
    uint32_t bytes; /* canonical size */
    uint32_t transactions;
    uint64_t created_at; /* ms since the Unix epoch */
    bool own;            /* sealed by this node's worker */
};

struct batch_log_options {
    const char *directory; /* created when missing and `create` is set */
    bool create;           /* false: a missing directory is ERR_NOT_FOUND */
    enum sync_mode sync;
    uint64_t segment_bytes; /* 0: BATCH_LOG_SEGMENT_BYTES */
    size_t ring_bytes;      /* memory for recent buffers; 0: none */
    bool buffered;          /* do not try O_DIRECT (tests) */
    /* Called for every record found at opening, in append order; may be NULL. */
    void (*found)(void *context, const struct batch_record *record);
    void *context;
};

struct batch_log;

/* Opens the log and rebuilds the index. On failure `ret_error` (STORE_ERROR_BYTES) holds one line
 * naming file and offset. ERR_NOT_FOUND, ERR_CORRUPT, ERR_FULL or ERR_IO. */
enum status batch_log_open(struct batch_log **ret_log,
                           char *ret_error,
                           const struct batch_log_options *options);

/* Syncs what SYNC_PROCESS left unsynced and closes. NULL is fine. */
void batch_log_close(struct batch_log *log);

struct batch_log_item {
    struct buffer
        *buffer; /* batch at BUFFER_BATCH; bytes 0 .. 80 and the padding are written here */
    struct batch_record record;
};

/* Appends `count` <= BATCH_LOG_GROUP_MAX batches as one group, durable on return as the sync mode
 * says, and keeps a reference to each buffer in the ring. A digest that is already held is not
 * written again, unless it is our own now and was not before. The digests are the caller's word. ERR_FULL: nothing was written; ERR_IO: stop the
 * process. */
enum status batch_log_append(struct batch_log *log,
                             const struct batch_log_item *items,
                             size_t count);

/* What is known of a batch. ERR_NOT_FOUND, ERR_CORRUPT or ERR_IO. Counts as a use for retention. */
enum status batch_log_find(struct batch_log *log,
                           struct batch_record *ret_record,
                           const struct digest *digest);

/* A batch: `ret_record`->bytes bytes at BUFFER_BATCH of the buffer, which the caller has to unref.
 * It may be shared with the ring and with frames on their way, so it is read only, its begin and
 * len are somebody else's. What comes from the disk is checked against its digest; a batch that
 * fails is forgotten, so that it can be fetched from a peer and appended again. ERR_NOT_FOUND,
 * ERR_CORRUPT or ERR_IO. */
enum status batch_log_read(struct batch_log *log,
                           struct buffer **ret_buffer,
                           struct batch_record *ret_record,
                           const struct digest *digest);

/* The same for who goes on with what was appended next: reads ahead (batch_ahead.h). */
enum status batch_log_read_ahead(struct batch_log *log,
                                 struct buffer **ret_buffer,
                                 struct batch_record *ret_record,
                                 const struct digest *digest);

/* ---- retention ------------------------------------------------------------------------------- */

/* Pre-block `index` of leader round `round` executes this batch: its segment is kept while
 * pre-block `index` is. To be told for every kept pre-block at start, and for each new one. */
void batch_log_note_executed(struct batch_log *log,
                             const struct digest *digest,
                             uint64_t index,
                             round_t round);

/* Pre-blocks below `oldest_index` are gone; `oldest_round` is the leader round of the oldest kept
 * one. Deletes at most one segment: the oldest, when it is not being written, none of its batches
 * is executed by a kept pre-block, and it was not appended to nor looked up since round
 * `oldest_round` - 4 GC_DEPTH: batches in it that were not executed by then can not be ordered any
 * more (CONSENSUS 4). `ret_deleted` says whether one was deleted: call again then. ERR_IO. */
enum status batch_log_retain(struct batch_log *log,
                             bool *ret_deleted,
                             uint64_t oldest_index,
                             round_t oldest_round);

struct batch_log_stats {
    uint64_t bytes;    /* of all segment files */
    uint64_t segments; /* files */
    uint64_t batches;  /* in the index */
    uint64_t groups;   /* written since opening */
    uint64_t appended; /* bytes written since opening, with padding */
    uint64_t ring_hits;
    uint64_t disk_reads;
    bool direct; /* O_DIRECT is in use */
};
void batch_log_get_stats(struct batch_log *log, struct batch_log_stats *ret_stats);

#endif
