/* What the files of the storage share: storage.c (life, clients, requests), storage_commit.c (the
 * records thread), storage_retain.c (forgetting, on the same), storage_append.c (the batches thread)
 * and storage_read.c (the reads thread). Nobody else includes this. */
#ifndef CONSENSUS_NODE_STORAGE_INTERNAL_H
#define CONSENSUS_NODE_STORAGE_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "common/mailbox.h"
#include "consensus/node/history.h"
#include "consensus/node/storage.h"

/* Assembled sub-DAGs in the cache at the most; their bytes are bounded as well. */
#define CACHE_ENTRIES_MAX 32u

/* Requests in order of arrival. */
struct request_queue {
    struct storage_request *first;
    struct storage_request *last;
};

void request_queue_push(struct request_queue *queue, struct storage_request *request);
struct storage_request *request_queue_pop(struct request_queue *queue); /* NULL: empty */

/* One assembled sub-DAG; `used` orders them by last use. */
struct cache_entry {
    struct buffer *buffer; /* NULL: free */
    uint64_t index;
    bool certified;
    uint64_t used;
};

struct storage_client {
    struct storage *storage;
    struct mailbox *mailbox;
    size_t requests_max;
    size_t in_flight; /* submitter's thread only */
};

/* A thread and the mailbox before it. */
struct storage_lane {
    struct mailbox *mailbox;
    pthread_t thread;
    struct storage_request *stop; /* posting it ends the thread */
    bool running;
    bool stopping; /* the thread's own */
};

/* What the records thread has to say to the batches thread: a commit that made pre-blocks, or (batch
 * NULL) that pre-blocks below `oldest_index` are gone. */
struct storage_news {
    struct store_batch *batch; /* owned */
    uint64_t oldest_index;
    round_t oldest_round;
    struct storage_news *next;
};

struct storage {
    struct store *store;   /* written by the records thread only, read by all */
    struct batch_log *log; /* written by the batches thread only, read by the reads thread */
    const struct committee *committee; /* the caller's, outlives the storage */
    struct storage_lane records;
    struct storage_lane batches;
    struct storage_lane reads;
    struct mailbox *news;
    atomic_bool failed; /* a write failed: everything is refused */

    /* ---- the records thread's own after start: commits, retention ---- */
    struct request_queue commits;
    struct request_queue retains;
    struct store_batch *retain_batch; /* goes with the next commit */
    round_t oldest_round;             /* of the oldest and newest pre-block; indexes are in `now` */
    round_t newest_round;
    bool retain_done;                /* the first of `retains` is, once retain_batch is committed */
    struct storage_news *news_first; /* not posted yet, the oldest first */
    struct storage_news *news_last;
    uint64_t commits_refreshed_us;
    uint64_t commits_window_us;

    /* ---- the batches thread's own after start: appends ---- */
    struct request_queue appends;
    bool retain_segments; /* a segment may be deletable, with the two below */
    uint64_t segments_index;
    round_t segments_round;
    uint64_t appends_window_us;

    /* ---- the reads thread's own after start ---- */
    struct request_queue finds; /* everything but exports: before them, consensus may wait for it */
    struct request_queue exports;
    struct history *history; /* of the first of `exports`, being assembled */
    struct cache_entry cache[CACHE_ENTRIES_MAX];
    size_t cache_bytes;
    size_t cache_bytes_max;
    uint64_t cache_clock;

    /* Counted here, each field by one of the threads, and copied to `stats` under the lock. */
    struct storage_stats now;
    pthread_mutex_t stats_lock;
    struct storage_stats stats;
};

uint64_t storage_now_us(void);

/* Answers a request. */
void storage_complete(struct storage *storage, struct storage_request *request, enum status status);

/* After a group that began at this time: waits until the next one may begin. */
void storage_pause(uint64_t begin_us);

/* Keeps the longest time from submission to now of this request in `max_us`. */
void storage_note_latency(uint64_t *max_us, const struct storage_request *request, uint64_t now_us);

/* ---- records thread: storage_commit.c, storage_retain.c --------------------------------------- */

void *storage_records_main(void *argument);

/* Makes the figures of the turn visible to storage_get_stats. */
void storage_publish_commits(struct storage *storage);

/* Has the batches thread told about a commit that was done (takes its batch) or about what is gone
 * (batch NULL). */
void storage_tell(struct storage *storage, struct store_batch *batch);

/* Starts to retain what the store says at opening: finds oldest and newest pre-block and tells the
 * log what they execute. Before the threads run. */
enum status storage_retain_start(struct storage *storage, char *ret_error);

/* Notes pre-blocks that a commit made; true when there are any. */
bool storage_retain_note(struct storage *storage, const struct store_batch *batch);

/* Forgets some pre-blocks: fills retain_batch, to be committed with the next commits. */
bool storage_has_retain(const struct storage *storage);
void storage_retain_slice(struct storage *storage);

/* After that commit: answers the request that is done. */
void storage_retain_committed(struct storage *storage);

/* ---- batches thread: storage_append.c --------------------------------------------------------- */

void *storage_batches_main(void *argument);
void storage_publish_appends(struct storage *storage);

/* What the pre-blocks of a commit execute is noted in the log. */
void storage_note_executed(struct batch_log *log, const struct store_batch *batch);

/* ---- reads thread: storage_read.c ------------------------------------------------------------- */

void *storage_reads_main(void *argument);
void storage_publish_reads(struct storage *storage);

#endif
