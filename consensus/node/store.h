/* The metadata store: everything a node must remember but the batches, in RocksDB, one column
 * family per enum core_table, plus an identity row that says whose store this is.
 *
 * Durability. A commit is one atomic write of one or more store batches. With SYNC_ALWAYS it is on
 * disk when store_commit returns; with SYNC_PROCESS it survives the process but not the machine, so
 * a store written that way is refused after a reboot (another boot id) and its node must
 * `--rejoin`. Recovery forgives a torn last record of the write-ahead log and nothing else. After a
 * failed write the store refuses everything: the process must stop.
 *
 * A store is created on purpose only: STORE_INIT once per key and network, STORE_REJOIN when it was
 * lost (CONSENSUS 3). STORE_REJOIN moves what is there into `lost` beside it, and refuses when
 * `lost` exists already, so that it neither destroys anything nor fills the disk when it is left in
 * a service file.
 *
 * Threads: reads (get, cursor) from any thread; commits from one thread at a time.
 * docs/protocol.md, storage. */
#ifndef CONSENSUS_NODE_STORE_H
#define CONSENSUS_NODE_STORE_H

#include "common/committee.h"
#include "consensus/core/core.h"
#include "consensus/node/store_error.h"

/* Version of the rows' meaning. A store of a newer one is refused; older ones would be migrated
 * here. */
#define STORE_SCHEMA 2u

/* /proc/sys/kernel/random/boot_id with its terminating zero. */
#define STORE_BOOT_ID_BYTES 37u

enum sync_mode {
    SYNC_ALWAYS,  /* fdatasync before a write counts as done */
    SYNC_PROCESS, /* survives a crash of the process, not of the machine */
};

enum store_mode {
    STORE_EXISTING, /* must exist */
    STORE_INIT,     /* must not exist; created */
    STORE_REJOIN,   /* what exists is moved to `lost`; created */
};

struct store_options {
    const char *directory; /* the node's data directory; created when the mode creates a store */
    enum store_mode mode;
    enum sync_mode sync;
    const struct committee *committee;
    authority_t self;
    const char *boot_id; /* NULL: this machine's; tests pretend a reboot */
};

struct store;

/* Opens `directory`/meta. On failure `ret_error` (STORE_ERROR_BYTES) holds one line that names the
 * directory and says what to do. ERR_NOT_FOUND: missing; ERR_DUPLICATE: --init and one exists, or
 * --rejoin and `lost` exists; ERR_CONFLICT: another committee's or another member's; ERR_VERSION:
 * newer schema; ERR_STALE: sync=process in another boot; ERR_CORRUPT; ERR_IO (also: in use by
 * another process). */
enum status store_open(struct store **ret_store,
                       char *ret_error,
                       const struct store_options *options);

/* Flushes what SYNC_PROCESS left unsynced (so that a clean stop needs no rejoin after a reboot) and
 * closes. NULL is fine. */
void store_close(struct store *store);

/* True when this store was created by STORE_REJOIN, now or in an earlier run: the core is to be
 * told (core_options.rejoin), and finds out itself whether it already has its floor. */
bool store_is_rejoined(const struct store *store);

/* True when no table has a row: nothing rests on this store yet. */
bool store_is_empty(struct store *store);

/* Bytes on disk, estimated. */
uint64_t store_bytes(const struct store *store);

/* ---- writing --------------------------------------------------------------------------------- */

/* A list of changes that become durable together, in order. Owned by one thread at a time; needs no
 * store, so the loop thread builds it and the storage thread commits it. */
struct store_batch;

struct store_batch *store_batch_new(void); /* never NULL */
void store_batch_free(struct store_batch *batch);
void store_batch_clear(struct store_batch *batch);
size_t store_batch_count(const struct store_batch *batch);
size_t store_batch_bytes(const struct store_batch *batch);

/* Keys are 1 .. CORE_KEY_BYTES_MAX bytes; key and value are copied. */
void store_batch_put(struct store_batch *batch,
                     enum core_table table,
                     struct bytes key,
                     struct bytes value);
void store_batch_delete(struct store_batch *batch, enum core_table table, struct bytes key);

/* Deletes every key of the table below `key`. */
void store_batch_delete_below(struct store_batch *batch, enum core_table table, struct bytes key);

/* A core action: PERSIST, ERASE or ERASE_BELOW (checked). */
void store_batch_add(struct store_batch *batch, const struct core_action *action);

/* One change read back; `value` is empty for deletions. */
enum store_change_kind { STORE_PUT, STORE_DELETE, STORE_DELETE_BELOW };
struct store_change {
    enum store_change_kind kind;
    enum core_table table;
    struct bytes key;
    struct bytes value;
};

/* Walks the changes: `offset` starts at 0; false at the end. Views live as long as the batch is
 * unchanged. */
bool store_batch_next(const struct store_batch *batch,
                      struct store_change *ret_change,
                      size_t *offset);

/* Commits `count` batches in order as one atomic write, durable on return as the sync mode says.
 * The batches stay the caller's. ERR_IO: nothing more may be written; stop the process. */
enum status store_commit(struct store *store, struct store_batch *const *batches, size_t count);

/* ---- reading --------------------------------------------------------------------------------- */

/* The value of a key in malloc'ed memory, to be free()d. ERR_NOT_FOUND, ERR_CORRUPT or ERR_IO. */
enum status store_get(struct store *store,
                      uint8_t **ret_value,
                      size_t *ret_len,
                      enum core_table table,
                      struct bytes key);

/* Rows of one table in key order, from the first key >= `from` (empty: all), as they were at
 * opening. */
struct store_cursor;
struct store_cursor *store_cursor_open(struct store *store,
                                       enum core_table table,
                                       struct bytes from);

/* The next row; views are valid until the next call. False at the end or on an error. */
bool store_cursor_next(struct store_cursor *cursor, struct bytes *ret_key, struct bytes *ret_value);

/* Closes; says whether the end was the end: OK, ERR_CORRUPT or ERR_IO. */
enum status store_cursor_close(struct store_cursor *cursor);

#endif
