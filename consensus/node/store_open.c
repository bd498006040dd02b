#include "consensus/node/store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "consensus/node/store_internal.h"
#include "consensus/node/store_tail.h"

/* The store holds metadata only: some MB per minute of full load. Small memtables and a small cache
 * keep the node's memory for batches. */
#define MEMTABLE_BYTES    (2u * 1024u * 1024u)  /* of one family */
#define MEMTABLES_BYTES   (12u * 1024u * 1024u) /* of all families: then the largest is flushed */
#define ARENA_BYTES       (64u * 1024u)         /* first allocation of a memtable */
#define BLOCK_CACHE_BYTES (8u * 1024u * 1024u)
#define WAL_BYTES_MAX \
    (32u * 1024u * 1024u)                   /* then families that hold old log files are flushed \
                                             */
#define SYNC_STEP_BYTES     (1024u * 1024u) /* write-back in small steps instead of bursts */
#define OPEN_FILES_MAX      128
#define BACKGROUND_JOBS     2
#define CHECKSUM_XXH3       4 /* rocksdb::ChecksumType::kXXH3 */
#define INFO_LOG_LEVEL_WARN 2

#define IDENTITY_KEY        "identity"

static const char *const family_names[CORE_TABLES] = {
    [TABLE_META] = "meta",
    [TABLE_CHECKPOINTS] = "checkpoints",
    [TABLE_ORDERING] = "ordering",
    [TABLE_PREBLOCKS] = "preblocks",
    [TABLE_PREBLOCK_CERTIFICATES] = "preblock_certificates",
    [TABLE_ATTESTATIONS] = "attestations",
    [TABLE_CERTIFICATES] = "certificates",
    [TABLE_OWN_HEADERS] = "own_headers",
    [TABLE_HEADERS] = "headers",
    [TABLE_VOTES] = "votes",
    [TABLE_EXECUTED] = "executed",
    [TABLE_EVIDENCE] = "evidence",
};

static char *path_join(const char *directory, const char *name)
{
    char *path = NULL;
    CHECK(asprintf(&path, "%s/%s", directory, name) > 0);
    return path;
}

/* ---- options --------------------------------------------------------------------------------- */

/* Direct writes are refused by some file systems: ask before telling RocksDB to use them. */
static bool directory_takes_direct(const char *directory)
{
    char *path = path_join(directory, "direct.probe");
    const int fd = open(path, O_CREAT | O_WRONLY | O_DIRECT | O_CLOEXEC, 0600);

    if (fd >= 0) (void)close(fd);
    (void)unlink(path);
    free(path);
    return fd >= 0;
}

static void store_make_options(struct store *store, bool direct)
{
    rocksdb_options_t *options = rocksdb_options_create();

    store->options = options;
    rocksdb_options_set_paranoid_checks(options, 1);
    rocksdb_options_set_wal_recovery_mode(options,
                                          rocksdb_tolerate_corrupted_tail_records_recovery);
    rocksdb_options_set_use_direct_io_for_flush_and_compaction(options, direct);
    rocksdb_options_set_bytes_per_sync(options, SYNC_STEP_BYTES);
    rocksdb_options_set_wal_bytes_per_sync(options, SYNC_STEP_BYTES);
    rocksdb_options_set_write_buffer_size(options, MEMTABLE_BYTES);
    rocksdb_options_set_db_write_buffer_size(options, MEMTABLES_BYTES);
    rocksdb_options_set_arena_block_size(options, ARENA_BYTES);
    rocksdb_options_set_max_write_buffer_number(options, 2);
    rocksdb_options_set_max_total_wal_size(options, WAL_BYTES_MAX);
    rocksdb_options_set_max_open_files(options, OPEN_FILES_MAX);
    rocksdb_options_set_max_background_jobs(options, BACKGROUND_JOBS);
    rocksdb_options_set_max_file_opening_threads(options, 1);
    rocksdb_options_set_compression(options, rocksdb_no_compression);
    rocksdb_options_set_allow_concurrent_memtable_write(options, 0);
    rocksdb_options_set_skip_stats_update_on_db_open(options, 1);
    rocksdb_options_set_stats_dump_period_sec(options, 0);
    rocksdb_options_set_stats_persist_period_sec(options, 0);
    rocksdb_options_set_info_log_level(options, INFO_LOG_LEVEL_WARN);
    rocksdb_options_set_keep_log_file_num(options, 2);
    rocksdb_options_set_max_manifest_file_size(options, 4u * 1024u * 1024u);

    store->cache = rocksdb_cache_create_lru(BLOCK_CACHE_BYTES);
    store->table_options = rocksdb_block_based_options_create();
    rocksdb_block_based_options_set_block_cache(store->table_options, store->cache);
    rocksdb_block_based_options_set_cache_index_and_filter_blocks(store->table_options, 1);
    rocksdb_block_based_options_set_checksum(store->table_options, CHECKSUM_XXH3);
    rocksdb_options_set_block_based_table_factory(options, store->table_options);

    store->read_options = rocksdb_readoptions_create();
    store->write_options = rocksdb_writeoptions_create();
    store->write_batch = rocksdb_writebatch_create();
}

/* ---- opening --------------------------------------------------------------------------------- */

static enum status store_open_database(struct store *store, char *ret_error, bool create)
{
    const char *names[STORE_FAMILIES_MAX] = {"default"};
    const rocksdb_options_t *options[STORE_FAMILIES_MAX];
    size_t count = 1;
    size_t listed_count = 0;
    char **listed = NULL;
    char *error = NULL;

    if (create) {
        for (size_t i = 0; i < CORE_TABLES; i++)
            names[count++] = family_names[i];
    } else {
        listed = rocksdb_list_column_families(store->options, store->path, &listed_count, &error);
        if (error != NULL) {
            /* The directory is there but the database does not begin: whatever RocksDB calls it. */
            rocksdb_free(error);
            if (listed != NULL) rocksdb_list_column_families_destroy(listed, listed_count);
            return store_refuse(ret_error, ERR_CORRUPT,
                                "%s: corrupt store, start with --rejoin: no readable manifest",
                                store->path);
        }
        count = listed_count < STORE_FAMILIES_MAX ? listed_count : STORE_FAMILIES_MAX;
        for (size_t i = 0; i < count; i++)
            names[i] = listed[i];
    }
    for (size_t i = 0; i < count; i++)
        options[i] = store->options;
    rocksdb_options_set_create_if_missing(store->options, create);
    rocksdb_options_set_error_if_exists(store->options, create);
    rocksdb_options_set_create_missing_column_families(store->options, create);
    store->db = rocksdb_open_column_families(store->options, store->path, (int)count, names,
                                             options, store->handles, &error);
    if (store->db != NULL) {
        store->handles_count = count;
        for (size_t i = 0; i < count; i++) {
            if (strcmp(names[i], "default") == 0) store->default_family = store->handles[i];
            for (size_t table = 0; table < CORE_TABLES; table++) {
                if (strcmp(names[i], family_names[table]) == 0) {
                    store->families[table] = store->handles[i];
                }
            }
        }
    }
    if (listed != NULL) rocksdb_list_column_families_destroy(listed, listed_count);
    return error == NULL ? OK : store_refuse_rocksdb(ret_error, store->path, error);
}

static void store_close_database(struct store *store)
{
    for (size_t i = 0; i < store->handles_count; i++) {
        rocksdb_column_family_handle_destroy(store->handles[i]);
    }
    store->handles_count = 0;
    store->default_family = NULL;
    memset(store->families, 0, sizeof store->families);
    if (store->db != NULL) rocksdb_close(store->db);
    store->db = NULL;
}

/* Opening a database to write rewrites some of its files: whose it is, and of which schema, is asked
 * before that. One that cannot even be read is left to the opening, which says why. */
static enum status store_peek_identity(struct store *store,
                                       char *ret_error,
                                       const struct store_options *options,
                                       const char *boot_id)
{
    const char *const name = "default";
    const rocksdb_options_t *const family_options = store->options;
    char *error = NULL;
    enum status status;

    store->db = rocksdb_open_for_read_only_column_families(
        store->options, store->path, 1, &name, &family_options, store->handles, 0, &error);
    if (error != NULL) {
        rocksdb_free(error);
        store->db = NULL;
        return OK;
    }
    store->handles_count = 1;
    store->default_family = store->handles[0];
    status = store_identity_read(store, ret_error);
    if (status == OK) status = store_identity_check(store, ret_error, options, boot_id);
    store_close_database(store);
    return status;
}

/* Makes renames in a directory durable. */
static enum status sync_directory(char *ret_error, const char *path)
{
    const int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    const bool done = fd >= 0 && fsync(fd) == 0;

    if (fd >= 0) (void)close(fd);
    return done ? OK : store_refuse(ret_error, ERR_IO, "%s: sync: %s", path, strerror(errno));
}

/* A new database is made beside its place and moved there when it is whole, so that an interrupted
 * creation leaves a missing store, never half of one. */
static enum status store_create(struct store *store,
                                char *ret_error,
                                const struct store_options *options,
                                const char *boot_id)
{
    char *final_path = store->path;
    char *error = NULL;

    store->path = path_join(options->directory, "meta.new");
    rocksdb_destroy_db(store->options, store->path, &error);
    if (error != NULL) rocksdb_free(error);
    enum status status = store_open_database(store, ret_error, true);
    if (status == OK) {
        store->identity = (struct store_identity){
            .schema = STORE_SCHEMA,
            .committee = options->committee->digest,
            .self = options->self,
            .key = options->committee->members[options->self].key,
            .rejoined = options->mode == STORE_REJOIN,
        };
        memcpy(store->identity.boot_id, boot_id, STORE_BOOT_ID_BYTES);
        if (store_identity_write(store, true) != OK) {
            status = store_refuse(ret_error, ERR_IO, "%s: can not be written", store->path);
        }
    }
    store_close_database(store);
    if (status == OK && rename(store->path, final_path) != 0) {
        status = store_refuse(ret_error, ERR_IO, "%s: %s", final_path, strerror(errno));
    }
    free(store->path);
    store->path = final_path;
    return status == OK ? sync_directory(ret_error, options->directory) : status;
}

static bool directory_has(const char *directory, const char *name)
{
    char *path = path_join(directory, name);
    const bool found = access(path, F_OK) == 0;

    free(path);
    return found;
}

/* Moves meta and batches into `lost`. */
static enum status move_to_lost(char *ret_error, const char *directory)
{
    static const char *const names[] = {"meta", "batches"};
    char *lost = path_join(directory, "lost");
    enum status status = OK;

    if (mkdir(lost, 0700) != 0) {
        status = errno == EEXIST
                     ? store_refuse(ret_error, ERR_DUPLICATE,
                                    "%s: an earlier --rejoin put a store here; remove it, or start "
                                    "without --rejoin when that one had succeeded",
                                    lost)
                     : store_refuse(ret_error, ERR_IO, "%s: %s", lost, strerror(errno));
    }
    for (size_t i = 0; status == OK && i < sizeof names / sizeof names[0]; i++) {
        char *from = path_join(directory, names[i]);
        char *to = path_join(lost, names[i]);
        if (rename(from, to) != 0 && errno != ENOENT) {
            status = store_refuse(ret_error, ERR_IO, "%s: %s", from, strerror(errno));
        }
        free(from);
        free(to);
    }
    free(lost);
    return status == OK ? sync_directory(ret_error, directory) : status;
}

/* Takes the directory's lock and sorts out whether a store may be, must be, or must not be there.
 */
static enum status store_prepare(struct store *store,
                                 char *ret_error,
                                 const struct store_options *options)
{
    const char *directory = options->directory;
    const bool create = options->mode != STORE_EXISTING;

    if (create && mkdir(directory, 0700) != 0 && errno != EEXIST) {
        return store_refuse(ret_error, ERR_IO, "%s: %s", directory, strerror(errno));
    }
    const bool holds = directory_has(directory, "meta") || directory_has(directory, "batches");
    if (!create && !holds) {
        return store_refuse(
            ret_error, ERR_NOT_FOUND,
            "%s: no store here; --init creates one for a key that never ran, --rejoin "
            "replaces a lost one",
            directory);
    }
    char *lock = path_join(directory, "lock");
    store->lock_fd = open(lock, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
    free(lock);
    if (store->lock_fd < 0)
        return store_refuse(ret_error, ERR_IO, "%s: %s", directory, strerror(errno));
    if (flock(store->lock_fd, LOCK_EX | LOCK_NB) != 0) {
        return store_refuse(ret_error, ERR_IO, "%s: in use by another process", directory);
    }
    if (!create && !directory_has(directory, "meta")) {
        return store_refuse(ret_error, ERR_CORRUPT,
                            "%s: missing beside its batches, start with --rejoin", store->path);
    }
    if (options->mode == STORE_INIT && directory_has(directory, "lost")) {
        return store_refuse(
            ret_error, ERR_DUPLICATE,
            "%s: holds a lost store (lost/), so this key has run: start with --rejoin", directory);
    }
    if (options->mode == STORE_INIT && holds) {
        return store_refuse(ret_error, ERR_DUPLICATE,
                            "%s: there is a store already; --init never overwrites one", directory);
    }
    return options->mode == STORE_REJOIN && holds ? move_to_lost(ret_error, directory) : OK;
}

static enum status store_check_logs(const struct store *store, char *ret_error)
{
    char name[STORE_TAIL_NAME_BYTES];

    if (store_tail_check(store->path, name)) return OK;
    return store_refuse(ret_error, ERR_CORRUPT,
                        "%s: corrupt store, start with --rejoin: %s is damaged before its end",
                        store->path, name);
}

enum status store_open(struct store **ret_store,
                       char *ret_error,
                       const struct store_options *options)
{
    char boot_id[STORE_BOOT_ID_BYTES];
    const bool create = options->mode != STORE_EXISTING;
    struct store *store = calloc(1, sizeof *store);

    CHECK(store != NULL);
    CHECK(options->self < options->committee->count);
    store->lock_fd = -1;
    store->sync = options->sync;
    store->path = path_join(options->directory, "meta");
    enum status status = store_read_boot_id(boot_id, ret_error, options);
    if (status == OK) status = store_prepare(store, ret_error, options);
    if (status == OK) {
        store_make_options(store, directory_takes_direct(options->directory));
        rocksdb_writeoptions_set_sync(store->write_options, options->sync == SYNC_ALWAYS);
    }
    if (status == OK && create) status = store_create(store, ret_error, options, boot_id);
    if (status == OK && !create) status = store_peek_identity(store, ret_error, options, boot_id);
    if (status == OK && !create) status = store_check_logs(store, ret_error);
    if (status == OK) status = store_open_database(store, ret_error, false);
    if (status == ERR_CORRUPT && !create && store_tail_mend(store->path)) {
        status = store_peek_identity(store, ret_error, options, boot_id);
        if (status == OK) status = store_open_database(store, ret_error, false);
    }
    if (status == OK) status = store_identity_read(store, ret_error);
    if (status == OK) status = store_identity_check(store, ret_error, options, boot_id);
    for (size_t i = 0; status == OK && i < CORE_TABLES; i++) {
        if (store->families[i] == NULL) {
            status = store_refuse(ret_error, ERR_CORRUPT,
                                  "%s: corrupt store, start with --rejoin: no table %s",
                                  store->path, family_names[i]);
        }
    }
    if (status == OK) status = store_identity_renew(store, ret_error, boot_id);
    if (status != OK) {
        store->failed = true; /* closing must not write */
        store_close(store);
        return status;
    }
    *ret_store = store;
    return OK;
}

void store_close(struct store *store)
{
    if (store == NULL) return;
    if (store->db != NULL && !store->failed && store->identity.unsynced) {
        char *error = NULL;
        rocksdb_flush_wal(store->db, 1, &error);
        if (store_status_of(error) == OK) {
            store->identity.unsynced = false;
            (void)store_identity_write(store, true);
        }
    }
    store_close_database(store);
    if (store->write_batch != NULL) rocksdb_writebatch_destroy(store->write_batch);
    if (store->write_options != NULL) rocksdb_writeoptions_destroy(store->write_options);
    if (store->read_options != NULL) rocksdb_readoptions_destroy(store->read_options);
    if (store->table_options != NULL) rocksdb_block_based_options_destroy(store->table_options);
    if (store->options != NULL) rocksdb_options_destroy(store->options);
    if (store->cache != NULL) rocksdb_cache_destroy(store->cache);
    if (store->lock_fd >= 0) (void)close(store->lock_fd);
    free(store->path);
    free(store);
}
