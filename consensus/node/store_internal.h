/* What store_open.c and store.c share: the open database. Nobody else includes this. */
#ifndef CONSENSUS_NODE_STORE_INTERNAL_H
#define CONSENSUS_NODE_STORE_INTERNAL_H

#include "consensus/node/store.h"
#include "consensus/node/store_error.h"
#include "consensus/node/store_identity_row.h"

#include <pthread.h>
#include <rocksdb/c.h>

/* Column families a store can have: ours, the default one, and room for those of newer schemas,
 * which are opened only to find out that they are newer. */
#define STORE_FAMILIES_MAX (CORE_TABLES + 16)

struct store {
    int lock_fd; /* flock on directory/lock: one process per data directory */
    enum sync_mode sync;
    struct store_identity identity;
    char *path; /* directory/meta */
    rocksdb_t *db;
    rocksdb_options_t *options;
    rocksdb_cache_t *cache;
    rocksdb_block_based_table_options_t *table_options;
    rocksdb_readoptions_t *read_options;
    rocksdb_writeoptions_t *write_options;
    rocksdb_column_family_handle_t *default_family;
    rocksdb_column_family_handle_t *families[CORE_TABLES];
    rocksdb_column_family_handle_t *handles[STORE_FAMILIES_MAX]; /* all of the above, owned */
    size_t handles_count;
    rocksdb_writebatch_t *write_batch; /* reused by every commit */
    bool failed;                       /* a write failed: nothing more is written */

    /* Everything below this key was deleted already, per table; length 0: nothing known. Lets
     * repeated delete_below become disjoint ranges instead of a pile of nested ones, which RocksDB
     * reads slowly. */
    struct {
        size_t len;
        uint8_t bytes[CORE_KEY_BYTES_MAX];
    } floors[CORE_TABLES];
};

/* store_refuse for RocksDB's error text, which is freed. */
enum status store_refuse_rocksdb(char *ret_error, const char *path, char *error);

/* The options' boot id, or this machine's. */
enum status store_read_boot_id(char *ret_boot_id,
                               char *ret_error,
                               const struct store_options *options);

/* The identity row: written as it is in `store`; read into it; checked to be ours and true; and
 * renewed, which says in the store how it is going to be written from now on. */
enum status store_identity_write(struct store *store, bool sync);
enum status store_identity_read(struct store *store, char *ret_error);
enum status store_identity_check(const struct store *store,
                                 char *ret_error,
                                 const struct store_options *options,
                                 const char *boot_id);
enum status store_identity_renew(struct store *store, char *ret_error, const char *boot_id);

/* Turns RocksDB's error text into a status and frees it. */
enum status store_status_of(char *error);

#endif
