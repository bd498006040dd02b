/* The storage threads: one writes the metadata store, one the batch log, one reads both.
 *
 *     submitter --request--> [mailbox] --> records thread   COMMIT, RETAIN        --+
 *               --request--> [mailbox] --> batches thread   APPEND                --+-> [client's
 *               --request--> [mailbox] --> reads thread     FIND, READ, SCAN, EXPORT +   mailbox]
 *
 * Three, because votes and headers wait for commits, and a commit is some kilobytes where a group of
 * batches is some megabytes; and because a reader of old history must not hold up what is new. With one
 * thread for all, rounds on a busy disk took as long as groups, and a node with a subscriber that had
 * fallen behind fell behind itself.
 *
 * A request is a struct that travels there and comes back: whoever submits it gets the same pointer
 * back from its own client's mailbox, with `status` and the answers filled, and frees it. A client
 * may have a bounded number of requests in flight, so completions never lack room; storage_submit
 * returns false when that bound or the storage mailbox is reached, and the request stays the
 * caller's (hold back and retry after the next completion).
 *
 * Groups form by themselves: a thread takes what gathered while it was writing. All commits that
 * gathered become one atomic, synced RocksDB write; all appends become one log write and one
 * fdatasync. Exports are assembled step by step, and whatever else is to be read goes before the next
 * step. Commits, appends, exports and other reads are done in submission order each; no order holds
 * between these four: wait for a completion before submitting what rests on it.
 *
 * Fail-stop: after a write failed every request is answered with ERR_IO. The driver must stop the
 * process. */
#ifndef CONSENSUS_NODE_STORAGE_H
#define CONSENSUS_NODE_STORAGE_H

#include "consensus/core/dag.h"
#include "consensus/core/ordering_record.h"
#include "consensus/node/batch_log.h"
#include "consensus/node/store.h"

/* Requests waiting in each mailbox, of all clients. */
#define STORAGE_REQUESTS_MAX 4096u

/* Keys of one READ_ROWS. */
#define STORAGE_KEYS_MAX 256u

/* Rows of one SCAN_ROWS, and bytes of one READ_ROWS or SCAN_ROWS: the largest row there can be, an ordering
 * record of the largest committee, is one of them. */
#define STORAGE_ROWS_MAX       4096u
#define STORAGE_ROWS_BYTES_MAX (128u * 1024u * 1024u)
_Static_assert(ORDERING_RECORD_BYTES_MAX(AUTHORITIES_MAX, DAG_ROUNDS) < STORAGE_ROWS_BYTES_MAX,
               "any ordering record can be read");

struct storage_options {
    struct store_options store; /* its directory holds meta/ (RocksDB) and batches/ (the log) */
    uint64_t segment_bytes;     /* 0: BATCH_LOG_SEGMENT_BYTES */
    size_t ring_bytes;          /* recent batches in memory; 0: STORAGE_RING_BYTES */
    size_t cache_bytes;         /* assembled sub-DAGs in memory; 0: STORAGE_CACHE_BYTES */
    /* Called for every batch found in the log at opening, in append order; may be NULL. The driver
     * finds the own batches that no header of its own names yet this way. */
    void (*found)(void *context, const struct batch_record *record);
    void *context;
};

#define STORAGE_RING_BYTES  (64u * 1024u * 1024u)
#define STORAGE_CACHE_BYTES (12u * 1024u * 1024u)

struct storage;

/* Opens store and log and starts the threads. `ret_error` takes STORE_ERROR_BYTES: one line on
 * failure. Errors of store_open and batch_log_open. */
enum status storage_open(struct storage **ret_storage,
                         char *ret_error,
                         const struct storage_options *options);

/* Finishes what was submitted, stops the threads, flushes and closes. Completions not taken yet stay
 * in their clients' mailboxes. NULL is fine. */
void storage_close(struct storage *storage);

/* The store, for reading (recovery). Never commit through it. */
struct store *storage_store(struct storage *storage);

/* ---- clients --------------------------------------------------------------------------------- */

/* One per submitting thread. */
struct storage_client;

/* `requests_max`: requests of this client in flight at once. */
enum status storage_client_open(struct storage_client **ret_client,
                                struct storage *storage,
                                size_t requests_max);

/* Only after storage_close. Frees completions not taken. NULL is fine. */
void storage_client_close(struct storage_client *client);

/* Readable when a completion may be there (an eventfd: see mailbox_fd); storage_client_drain_fd
 * resets it, to be called before taking completions. */
int storage_client_fd(const struct storage_client *client);
void storage_client_drain_fd(struct storage_client *client);

/* The next answered request, the caller's again; NULL when there is none. */
struct storage_request *storage_client_take(struct storage_client *client);

/* ---- requests -------------------------------------------------------------------------------- */

enum storage_kind {
    STORAGE_APPEND,     /* a batch into the log */
    STORAGE_COMMIT,     /* a store batch, durable */
    STORAGE_FIND_BATCH, /* is `record.digest` in the log? fills `record` and `executed` */
    STORAGE_READ_BATCH, /* `record.digest`: fills `buffer` (a private copy, batch at BUFFER_BATCH)
                           and `record` */
    STORAGE_READ_ROWS,  /* `table`, `keys`: the rows that exist, in the order of the keys */
    STORAGE_SCAN_ROWS,  /* `table`, from `keys`[0] (or all), up to `rows_max` and `bytes_max` */
    STORAGE_EXPORT,     /* pre-block `index` as serialized exporter.SubDag in `buffer` */
    STORAGE_RETAIN,     /* forget pre-blocks below `index` (at most the last certified one) and what
     only     they need, but never what consensus may still need; background work */
    STORAGE_KINDS
};

struct storage_key {
    uint8_t len;
    uint8_t bytes[CORE_KEY_BYTES_MAX];
};

/* A row of an answer. Views into the request's own memory. */
struct storage_row {
    struct bytes key;
    struct bytes value;
};

/* Fields by kind: see enum storage_kind. What the request holds (buffer, batch, rows) is freed or
 * unref'ed with it by storage_request_free; set a field to NULL to take it over. */
struct storage_request {
    enum storage_kind kind;
    enum status
        status; /* the answer: OK, ERR_NOT_FOUND, ERR_CORRUPT, ERR_FULL, ERR_IO, ERR_STOPPING */

    /* The submitter's own, never touched. */
    void *context;
    uint64_t token;

    struct buffer *buffer;      /* APPEND: in, batch at BUFFER_BATCH; READ_BATCH, EXPORT: out */
    struct batch_record record; /* APPEND: in; FIND_BATCH, READ_BATCH: in digest, out all */
    struct store_batch *batch;  /* COMMIT */
    bool executed;              /* FIND_BATCH: out, TABLE_EXECUTED has the digest */
    uint64_t index; /* EXPORT, RETAIN; RETAIN out: the oldest kept, 0 when there is none */
    bool certified; /* EXPORT: include the pre-block certificate when it is stored; out: it is in */
    bool
        lacks_batch; /* EXPORT, ERR_MISSING: `record` has digest and worker of a batch that is gone or rotten */

    enum core_table table;    /* READ_ROWS, SCAN_ROWS */
    struct storage_key *keys; /* malloc'ed by storage_request_add_key */
    uint32_t keys_count;
    uint32_t rows_max;        /* SCAN_ROWS */
    size_t bytes_max;         /* READ_ROWS, SCAN_ROWS: keys and values together */
    struct storage_row *rows; /* out */
    uint32_t rows_count;
    bool rows_end; /* out: no bound was reached before the end of the keys, or of the table */

    /* The storage module's own. */
    struct storage_client *client;
    struct storage_request *next;
    uint8_t *rows_memory;
    uint64_t submitted_us; /* monotonic */
};

/* A zeroed request of this kind. Never NULL. */
struct storage_request *storage_request_new(enum storage_kind kind);
void storage_request_free(struct storage_request *request);

/* Adds a key (1 .. CORE_KEY_BYTES_MAX bytes) for READ_ROWS or SCAN_ROWS; false when
 * STORAGE_KEYS_MAX are in. */
bool storage_request_add_key(struct storage_request *request, struct bytes key);

/* Hands the request to its thread. False: no room now, it stays the caller's. */
bool storage_submit(struct storage_client *client, struct storage_request *request);

/* Shorthands: a request is made and submitted; on false nothing was kept. Append takes its own
 * reference to the buffer; commit takes the batch over on true. */
bool storage_submit_append(struct storage_client *client,
                           struct buffer *buffer,
                           const struct batch_record *record,
                           void *context);
bool storage_submit_commit(struct storage_client *client,
                           struct store_batch *batch,
                           uint64_t token);
bool storage_submit_find(struct storage_client *client, const struct digest *digest, void *context);
bool storage_submit_read(struct storage_client *client, const struct digest *digest, void *context);
bool storage_submit_export(struct storage_client *client,
                           uint64_t index,
                           bool certified,
                           void *context);
bool storage_submit_retain(struct storage_client *client, uint64_t index);

/* ---- looking in ------------------------------------------------------------------------------ */

/* Figures for /metrics and /status, as of the last turns of the threads: who was answered finds it in them. From any thread. */
struct storage_stats {
    struct batch_log_stats log;
    uint64_t store_bytes;    /* estimated, refreshed about once a second */
    uint64_t commits;        /* synced metadata writes */
    uint64_t commits_merged; /* requests in them */
    uint64_t exports;
    uint64_t export_cache_hits;
    uint64_t oldest_index; /* oldest pre-block kept, 0 when there is none */
    uint64_t newest_index;
    uint64_t
        commit_us_max; /* longest from submission to durability in the last ten seconds or so */
    uint64_t append_us_max;
    bool failed; /* a write failed */
};
void storage_get_stats(struct storage *storage, struct storage_stats *ret_stats);

#endif
