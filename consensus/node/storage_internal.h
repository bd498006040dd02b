/* What the files of the storage thread share: storage.c (life, clients, requests), storage_thread.c
 * (turns and writes), storage_read.c (reads), storage_retain.c (forgetting). Nobody else includes
 * this. */
#ifndef CONSENSUS_NODE_STORAGE_INTERNAL_H
#define CONSENSUS_NODE_STORAGE_INTERNAL_H

#include <pthread.h>

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

/* The storage thread's own after start, but for `mailbox`, and `stats` under `stats_lock`. */
struct storage {
    struct store *store;
    struct batch_log *log;
    const struct committee *committee; /* the caller's, outlives the storage */
    struct mailbox *mailbox;
    pthread_t thread;
    struct storage_request *stop; /* posting it ends the thread */
    bool stopping;
    bool failed; /* a write failed: everything is refused */

    struct request_queue appends;
    struct request_queue commits;
    struct request_queue reads;
    struct request_queue retains;

    /* The read under way: request_queue's first, with what it needs from slice to slice. */
    struct storage_request *read;
    struct history *read_history;
    struct store_cursor *read_cursor;
    uint32_t read_key;
    size_t read_used;

    /* Retention. Indexes of the oldest and newest pre-block are in `now`, 0 when there is none. */
    struct store_batch *retain_batch; /* goes with the next commit */
    round_t oldest_round;
    round_t newest_round;
    bool retain_done;     /* the first of `retains` is, once retain_batch is committed */
    bool retain_segments; /* a segment may be deletable */

    struct cache_entry cache[CACHE_ENTRIES_MAX];
    size_t cache_bytes;
    size_t cache_bytes_max;
    uint64_t cache_clock;

    uint64_t stats_refreshed_us;
    uint64_t stats_window_us;
    struct storage_stats now; /* counted here, copied to `stats` */
    pthread_mutex_t stats_lock;
    struct storage_stats stats;
};

uint64_t storage_now_us(void);

/* Answers a request. */
void storage_complete(struct storage *storage, struct storage_request *request, enum status status);

/* Makes the figures of the turn visible to storage_get_stats. */
void storage_publish_stats(struct storage *storage);

void *storage_thread_main(void *argument);

/* Is there a read to go on with? Steps of bounded work, at least one, until this time has come. */
bool storage_has_read(const struct storage *storage);
void storage_read_until(struct storage *storage, uint64_t deadline_us);

/* Starts to retain what the store says at opening: finds oldest and newest pre-block and tells the
 * log what they execute. */
enum status storage_retain_start(struct storage *storage, char *ret_error);

/* Notes pre-blocks that a commit is making. */
void storage_retain_note(struct storage *storage, const struct store_batch *batch);

/* Forgets some pre-blocks: fills retain_batch, to be committed with the next commits. */
bool storage_has_retain(const struct storage *storage);
void storage_retain_slice(struct storage *storage);

/* After that commit: answers the requests that are done and deletes at most one segment. */
void storage_retain_committed(struct storage *storage);

#endif
