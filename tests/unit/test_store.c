/* Goal: the metadata store keeps what it said it kept, and refuses to open what it must not, with a
 * line that says what to do. Method: real stores in a directory, reopened; children that are killed
 * between commits; files changed behind its back; a pretended reboot through the boot id. */
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "consensus/node/store_internal.h"
#include "tests/unit/storage_world.h"

#define BOOT_A "11111111-1111-1111-1111-111111111111"
#define BOOT_B "22222222-2222-2222-2222-222222222222"

static struct bytes text(const char *string)
{
    return (struct bytes){(const uint8_t *)string, strlen(string)};
}

static struct store *open_or_fail(struct world *world, const struct store_options *options)
{
    struct store *store = NULL;
    const enum status status = store_open(&store, world->error, options);

    if (status != OK) fail_msg("%s", world->error);
    return store;
}

static struct store *open_mode(struct world *world, enum store_mode mode)
{
    const struct store_options options = world_store_options(world, mode);
    return open_or_fail(world, &options);
}

/* Refused with this status and exactly this line (DIR stands for the directory). */
static void refused(struct world *world,
                    const struct store_options *options,
                    enum status status,
                    const char *line)
{
    char expected[STORE_ERROR_BYTES];
    struct store *store = NULL;

    (void)snprintf(expected, sizeof expected, line, world->directory);
    world->error[0] = '\0';
    const enum status result = store_open(&store, world->error, options);
    assert_null(store);
    assert_string_equal(world->error, expected);
    assert_int_equal(result, status);
    assert_null(strchr(world->error, '\n'));
}

static void put(struct store *store, enum core_table table, const char *key, const char *value)
{
    struct store_batch *batch = store_batch_new();
    store_batch_put(batch, table, text(key), text(value));
    assert_int_equal(store_commit(store, &batch, 1), OK);
    store_batch_free(batch);
}

static void holds(struct store *store, enum core_table table, const char *key, const char *value)
{
    uint8_t *found = NULL;
    size_t len = 0;
    const enum status status = store_get(store, &found, &len, table, text(key));

    if (value == NULL) {
        assert_int_equal(status, ERR_NOT_FOUND);
        return;
    }
    assert_int_equal(status, OK);
    assert_int_equal(len, strlen(value));
    assert_memory_equal(found, value, len);
    free(found);
}

/* All keys of a table from `from` on, in one string. */
static void lists(struct store *store,
                  enum core_table table,
                  const char *from,
                  const char *expected)
{
    struct store_cursor *cursor = store_cursor_open(store, table, text(from));
    char found[256] = "";
    size_t len = 0;
    struct bytes key;
    struct bytes value;

    while (store_cursor_next(cursor, &key, &value)) {
        memcpy(found + len, key.data, key.len);
        len += key.len;
        found[len++] = ' ';
        found[len] = '\0';
    }
    assert_int_equal(store_cursor_close(cursor), OK);
    assert_string_equal(found, expected);
}

static void every_table_keeps_its_own_rows_across_restarts(void **state)
{
    (void)state;
    struct world *world = world_open();
    struct store *store = open_mode(world, STORE_INIT);
    char value[16];

    assert_false(store_is_rejoined(store));
    for (int table = 0; table < CORE_TABLES; table++) {
        (void)snprintf(value, sizeof value, "value %d", table);
        put(store, (enum core_table)table, "key", value);
    }
    put(store, TABLE_META, "empty", "");
    store_close(store);
    store = open_mode(world, STORE_EXISTING);
    for (int table = 0; table < CORE_TABLES; table++) {
        (void)snprintf(value, sizeof value, "value %d", table);
        holds(store, (enum core_table)table, "key", value);
        holds(store, (enum core_table)table, "other", NULL);
    }
    holds(store, TABLE_META, "empty", "");
    store_close(store);
    world_close(world);
}

static void changes_of_one_commit_happen_in_order(void **state)
{
    (void)state;
    struct world *world = world_open();
    struct store *store = open_mode(world, STORE_INIT);
    struct store_batch *batches[2] = {store_batch_new(), store_batch_new()};

    store_batch_put(batches[0], TABLE_VOTES, text("a"), text("1"));
    store_batch_put(batches[0], TABLE_VOTES, text("b"), text("1"));
    store_batch_put(batches[0], TABLE_HEADERS, text("a"), text("1"));
    store_batch_delete(batches[1], TABLE_VOTES, text("a"));
    store_batch_put(batches[1], TABLE_VOTES, text("b"), text("2"));
    assert_int_equal(store_batch_count(batches[0]), 3);
    assert_int_equal(store_commit(store, batches, 2), OK);
    holds(store, TABLE_VOTES, "a", NULL);
    holds(store, TABLE_VOTES, "b", "2");
    holds(store, TABLE_HEADERS, "a", "1");
    store_batch_free(batches[0]);
    store_batch_free(batches[1]);
    store_close(store);
    world_close(world);
}

static void delete_below(struct store *store, const char *key)
{
    struct store_batch *batch = store_batch_new();
    store_batch_delete_below(batch, TABLE_VOTES, text(key));
    assert_int_equal(store_commit(store, &batch, 1), OK);
    store_batch_free(batch);
}

static void rows_below_a_key_are_deleted_also_those_put_there_later(void **state)
{
    (void)state;
    struct world *world = world_open();
    struct store *store = open_mode(world, STORE_INIT);

    for (const char *key = "abcdefgh"; *key != '\0'; key++) {
        put(store, TABLE_VOTES, (const char[]){*key, '\0'}, "x");
    }
    put(store, TABLE_HEADERS, "a", "other table");
    delete_below(store, "c");
    lists(store, TABLE_VOTES, "", "c d e f g h ");
    delete_below(store, "b"); /* nothing */
    delete_below(store, "e");
    lists(store, TABLE_VOTES, "", "e f g h ");
    put(store, TABLE_VOTES, "b", "late");
    lists(store, TABLE_VOTES, "", "b e f g h ");
    delete_below(store, "f");
    lists(store, TABLE_VOTES, "", "f g h ");
    lists(store, TABLE_VOTES, "g", "g h ");
    lists(store, TABLE_VOTES, "z", "");
    holds(store, TABLE_HEADERS, "a", "other table");
    store_close(store);
    store = open_mode(world, STORE_EXISTING);
    lists(store, TABLE_VOTES, "", "f g h ");
    put(store, TABLE_VOTES, "a", "x");
    delete_below(store, "g");
    lists(store, TABLE_VOTES, "", "g h ");
    store_close(store);
    world_close(world);
}

static void core_actions_become_changes(void **state)
{
    (void)state;
    struct store_batch *batch = store_batch_new();
    const struct core_action actions[] = {
        {.kind = CORE_ACTION_PERSIST, .table = TABLE_META, .key = text("k"), .value = text("v")},
        {.kind = CORE_ACTION_ERASE, .table = TABLE_VOTES, .key = text("e")},
        {.kind = CORE_ACTION_ERASE_BELOW, .table = TABLE_HEADERS, .key = text("b")},
    };
    struct store_change change;
    size_t offset = 0;

    for (size_t i = 0; i < 3; i++)
        store_batch_add(batch, &actions[i]);
    assert_true(store_batch_next(batch, &change, &offset));
    assert_int_equal(change.kind, STORE_PUT);
    assert_memory_equal(change.value.data, "v", 1);
    assert_true(store_batch_next(batch, &change, &offset));
    assert_int_equal(change.kind, STORE_DELETE);
    assert_int_equal(change.table, TABLE_VOTES);
    assert_true(store_batch_next(batch, &change, &offset));
    assert_int_equal(change.kind, STORE_DELETE_BELOW);
    assert_memory_equal(change.key.data, "b", 1);
    assert_false(store_batch_next(batch, &change, &offset));
    store_batch_free(batch);
}

/* ---- refusals -------------------------------------------------------------------------------- */

static void a_missing_store_is_refused_naming_both_flags(void **state)
{
    (void)state;
    struct world *world = world_open();
    const struct store_options options = world_store_options(world, STORE_EXISTING);

    refused(world, &options, ERR_NOT_FOUND,
            "%s: no store here; --init creates one for a key that never ran, --rejoin replaces a "
            "lost one");
    world_close(world);
}

static void init_never_overwrites(void **state)
{
    (void)state;
    struct world *world = world_open();
    const struct store_options options = world_store_options(world, STORE_INIT);
    struct store *store = open_mode(world, STORE_INIT);

    put(store, TABLE_META, "k", "v");
    store_close(store);
    refused(world, &options, ERR_DUPLICATE,
            "%s: there is a store already; --init never overwrites one");
    store = open_mode(world, STORE_EXISTING);
    holds(store, TABLE_META, "k", "v");
    store_close(store);
    world_close(world);
}

static void a_store_of_others_is_refused(void **state)
{
    (void)state;
    struct world *world = world_open();
    struct committee other;
    struct secret_key secrets[WORLD_MEMBERS];
    struct store_options options = world_store_options(world, STORE_EXISTING);
    char line[STORE_ERROR_BYTES];
    char ours[17];
    char theirs[17];

    store_close(open_mode(world, STORE_INIT));
    world_make_committee(&other, secrets, 8);
    hex_encode(ours, other.digest.bytes, 8);
    hex_encode(theirs, world->committee.digest.bytes, 8);
    (void)snprintf(line, sizeof line,
                   "%%s/meta: belongs to committee %s..., not %s...; name another data directory "
                   "(and --init there)",
                   theirs, ours);
    options.committee = &other;
    refused(world, &options, ERR_CONFLICT, line);
    options = world_store_options(world, STORE_EXISTING);
    options.self = 2;
    refused(world, &options, ERR_CONFLICT,
            "%s/meta: belongs to member 2, not 3; name another data directory");
    store_close(open_mode(world, STORE_EXISTING));
    world_close(world);
}

static void a_newer_schema_is_refused(void **state)
{
    (void)state;
    struct world *world = world_open();
    const struct store_options options = world_store_options(world, STORE_EXISTING);
    struct store *store = open_mode(world, STORE_INIT);

    store->identity.schema = STORE_SCHEMA + 1;
    assert_int_equal(store_identity_write(store, true), OK);
    store_close(store);
    refused(world, &options, ERR_VERSION,
            "%s/meta: schema 3 is newer than this program's 2, use the newer program");
    world_close(world);
}

static void an_older_schema_is_refused(void **state)
{
    (void)state;
    struct world *world = world_open();
    const struct store_options options = world_store_options(world, STORE_EXISTING);
    struct store *store = open_mode(world, STORE_INIT);

    store->identity.schema = STORE_SCHEMA - 1;
    assert_int_equal(store_identity_write(store, true), OK);
    store_close(store);
    refused(world, &options, ERR_VERSION,
            "%s/meta: schema 1 is older than this program's 2, start with --rejoin");
    world_close(world);
}

static int leave_unclean(const struct world *world, int pipe_fd, uint64_t sync)
{
    struct store_options options = world_store_options(world, STORE_EXISTING);
    struct store *store = NULL;
    char error[STORE_ERROR_BYTES];

    options.sync = (enum sync_mode)sync;
    options.boot_id = BOOT_A;
    if (store_open(&store, error, &options) != OK) return 1;
    put(store, TABLE_META, "k", "v");
    return write(pipe_fd, "x", 1) == 1 ? 0 : 1; /* and no store_close */
}

static void crash_with(struct world *world, enum sync_mode sync)
{
    int pid = 0;
    const int fd = world_fork(world, leave_unclean, sync, &pid);

    assert_int_equal(world_wait(pid), 0);
    (void)close(fd);
}

static void unsynced_writes_of_another_boot_are_refused(void **state)
{
    (void)state;
    struct world *world = world_open();
    struct store_options options = world_store_options(world, STORE_INIT);
    static const char line[] = "%s/meta: was written with sync=process before the last reboot and "
                               "may have lost its latest "
                               "votes, start with --rejoin";

    store_close(open_or_fail(world, &options));
    options = world_store_options(world, STORE_EXISTING);

    crash_with(world, SYNC_ALWAYS); /* synced: a reboot is fine */
    options.boot_id = BOOT_B;
    store_close(open_or_fail(world, &options));

    crash_with(world, SYNC_PROCESS);
    refused(world, &options, ERR_STALE, line);
    refused(world, &options, ERR_STALE, line); /* asking again does not help */

    options.boot_id = BOOT_A; /* the same boot: the page cache was still there */
    struct store *store = open_or_fail(world, &options);
    holds(store, TABLE_META, "k", "v");
    store_close(store);
    options.boot_id = BOOT_B; /* that one synced and closed */
    store_close(open_or_fail(world, &options));

    options.sync = SYNC_PROCESS; /* a clean stop syncs too */
    options.boot_id = BOOT_A;
    store_close(open_or_fail(world, &options));
    options.boot_id = BOOT_B;
    store_close(open_or_fail(world, &options));
    world_close(world);
}

static void rejoin_moves_what_is_there_aside_once(void **state)
{
    (void)state;
    struct world *world = world_open();
    const struct store_options rejoin = world_store_options(world, STORE_REJOIN);
    struct store *store = open_mode(world, STORE_INIT);

    put(store, TABLE_META, "k", "v");
    store_close(store);
    assert_int_equal(mkdir(world_path(world, "batches"), 0700), 0);
    store = open_mode(world, STORE_REJOIN);
    assert_true(store_is_rejoined(store));
    holds(store, TABLE_META, "k", NULL);
    store_close(store);
    assert_int_equal(access(world_path(world, "lost/meta/CURRENT"), F_OK), 0);
    assert_int_equal(access(world_path(world, "lost/batches"), F_OK), 0);
    assert_int_not_equal(access(world_path(world, "batches"), F_OK), 0);

    store = open_mode(world, STORE_EXISTING);
    assert_true(store_is_rejoined(store));
    store_close(store);
    refused(
        world, &rejoin, ERR_DUPLICATE,
        "%s/lost: an earlier --rejoin put a store here; remove it, or start without --rejoin when "
        "that one had succeeded");
    store_close(open_mode(world, STORE_EXISTING));
    world_close(world);
}

static void init_beside_a_lost_store_is_refused(void **state)
{
    (void)state;
    struct world *world = world_open();
    const struct store_options init = world_store_options(world, STORE_INIT);

    assert_int_equal(mkdir(world_path(world, "lost"), 0700), 0);
    refused(world, &init, ERR_DUPLICATE,
            "%s: holds a lost store (lost/), so this key has run: start with --rejoin");
    store_close(
        open_mode(world, STORE_REJOIN)); /* nothing to move: the earlier one was cut short */
    world_close(world);
}

static void a_store_without_its_database_is_corrupt_not_missing(void **state)
{
    (void)state;
    struct world *world = world_open();
    const struct store_options options = world_store_options(world, STORE_EXISTING);

    assert_int_equal(mkdir(world_path(world, "batches"), 0700), 0);
    refused(world, &options, ERR_CORRUPT,
            "%s/meta: missing beside its batches, start with --rejoin");
    world_close(world);
}

static void an_interrupted_creation_leaves_a_missing_store(void **state)
{
    (void)state;
    struct world *world = world_open();
    const struct store_options options = world_store_options(world, STORE_EXISTING);

    store_close(open_mode(world, STORE_INIT));
    char *made = strdup(world_path(world, "meta"));
    assert_int_equal(rename(made, world_path(world, "meta.new")), 0);
    free(made);
    refused(world, &options, ERR_NOT_FOUND,
            "%s: no store here; --init creates one for a key that never ran, --rejoin replaces a "
            "lost one");
    struct store *store = open_mode(world, STORE_INIT);
    put(store, TABLE_META, "k", "v");
    store_close(store);
    world_close(world);
}

static void a_store_in_use_is_refused(void **state)
{
    (void)state;
    struct world *world = world_open();
    struct store *store = open_mode(world, STORE_INIT);
    const struct store_options existing = world_store_options(world, STORE_EXISTING);
    const struct store_options rejoin = world_store_options(world, STORE_REJOIN);

    refused(world, &existing, ERR_IO, "%s: in use by another process");
    refused(world, &rejoin, ERR_IO, "%s: in use by another process");
    put(store, TABLE_META, "k", "v");
    store_close(store);
    world_close(world);
}

/* ---- damage ---------------------------------------------------------------------------------- */

static int write_rows(const struct world *world, int pipe_fd, uint64_t count)
{
    struct store_options options = world_store_options(world, STORE_EXISTING);
    struct store *store = NULL;
    char error[STORE_ERROR_BYTES];

    if (store_open(&store, error, &options) != OK) return 1;
    for (uint64_t i = 0; i < count; i++) {
        char key[16];
        (void)snprintf(key, sizeof key, "%08u", (unsigned)i);
        struct store_batch *batch = store_batch_new();
        store_batch_put(batch, TABLE_VOTES, text(key), text(key));
        store_batch_put(batch, TABLE_OWN_HEADERS, text(key), text(key));
        if (store_commit(store, &batch, 1) != OK) return 2;
        store_batch_free(batch);
        if (write(pipe_fd, &i, sizeof i) != sizeof i) return 3;
    }
    return 0; /* without closing: the write-ahead log stays */
}

/* Rows 0, 1, 2 ... of both tables, without a gap and the same in both. */
static uint64_t count_rows(struct store *store)
{
    uint64_t count = 0;
    for (;;) {
        char key[16];
        uint8_t *value = NULL;
        size_t len = 0;
        (void)snprintf(key, sizeof key, "%08u", (unsigned)count);
        const enum status status = store_get(store, &value, &len, TABLE_VOTES, text(key));
        free(value);
        value = NULL;
        const enum status other = store_get(store, &value, &len, TABLE_OWN_HEADERS, text(key));
        free(value);
        assert_int_equal(status, other);
        if (status != OK) break;
        count++;
    }
    char from[16];
    (void)snprintf(from, sizeof from, "%08u", (unsigned)count);
    lists(store, TABLE_VOTES, from, "");
    return count;
}

static void a_torn_tail_of_the_write_ahead_log_is_forgiven(void **state)
{
    (void)state;
    struct world *world = world_open();
    int pid = 0;

    store_close(open_mode(world, STORE_INIT));
    const int fd = world_fork(world, write_rows, 20, &pid);
    assert_int_equal(world_wait(pid), 0);
    (void)close(fd);
    char *log = world_newest_file(world, ".log");
    assert_int_equal(truncate(log, (off_t)world_file_size(log) - 5), 0);
    free(log);
    struct store *store = open_mode(world, STORE_EXISTING);
    assert_int_equal(count_rows(store), 19); /* the torn one is gone, as a whole */
    store_close(store);
    world_close(world);
}

static void damage_within_the_write_ahead_log_is_refused(void **state)
{
    (void)state;
    struct world *world = world_open();
    const struct store_options options = world_store_options(world, STORE_EXISTING);
    struct store *store = NULL;
    int pid = 0;

    store_close(open_mode(world, STORE_INIT));
    const int fd = world_fork(world, write_rows, 20, &pid);
    assert_int_equal(world_wait(pid), 0);
    (void)close(fd);
    char *log = world_newest_file(world, ".log");
    world_flip(log, world_file_size(log) / 2);
    free(log);
    assert_int_equal(store_open(&store, world->error, &options), ERR_CORRUPT);
    assert_non_null(strstr(world->error, "corrupt store, start with --rejoin"));
    assert_null(strchr(world->error, '\n'));
    world_close(world);
}

static void a_truncated_manifest_is_refused(void **state)
{
    (void)state;
    struct world *world = world_open();
    const struct store_options options = world_store_options(world, STORE_EXISTING);
    struct store *store = NULL;

    store_close(open_mode(world, STORE_INIT));
    world_write_file(world_path(world, "meta/CURRENT"), (const uint8_t *)"", 0);
    assert_int_equal(store_open(&store, world->error, &options), ERR_CORRUPT);
    assert_non_null(strstr(world->error, "corrupt store, start with --rejoin"));
    store_close(open_mode(world, STORE_REJOIN));
    world_close(world);
}

static void nothing_acknowledged_is_lost_when_the_process_is_killed(void **state)
{
    (void)state;
    uint64_t random = 20;

    for (int round = 0; round < 8; round++) {
        struct world *world = world_open();
        int pid = 0;
        store_close(open_mode(world, STORE_INIT));
        const int fd = world_fork(world, write_rows, 1000, &pid);
        const uint64_t stop = unit_random_below(&random, 60);
        uint64_t seen = 0;
        while (world_read(fd, &seen, sizeof seen) && seen < stop)
            continue;
        assert_int_equal(kill(pid, SIGKILL), 0);
        while (world_read(fd, &seen, sizeof seen))
            continue; /* what was reported before it died */
        assert_int_equal(world_wait(pid), -SIGKILL);
        (void)close(fd);
        struct store *store = open_mode(world, STORE_EXISTING);
        const uint64_t count = count_rows(store);
        assert_true(count == seen + 1 ||
                    count == seen + 2); /* the last one may not have been reported */
        store_close(store);
        world_close(world);
    }
}

static int write_until_full(const struct world *world, int pipe_fd, uint64_t limit)
{
    const struct rlimit bytes = {limit, limit};
    struct store_options options = world_store_options(world, STORE_EXISTING);
    struct store *store = NULL;
    char error[STORE_ERROR_BYTES];
    uint8_t value[8192] = {0};

    (void)signal(SIGXFSZ, SIG_IGN);
    if (store_open(&store, error, &options) != OK) return 1;
    if (setrlimit(RLIMIT_FSIZE, &bytes) != 0) return 2;
    struct store_batch *batch = store_batch_new();
    for (uint64_t i = 0; i < 10000; i++) {
        store_batch_clear(batch);
        char key[16];
        (void)snprintf(key, sizeof key, "%08u", (unsigned)i);
        store_batch_put(batch, TABLE_HEADERS, text(key), (struct bytes){value, sizeof value});
        if (store_commit(store, &batch, 1) == OK) {
            if (write(pipe_fd, &i, sizeof i) != sizeof i) return 3;
            continue;
        }
        /* Once refused, refused for ever, even though a small row would fit. */
        store_batch_clear(batch);
        store_batch_put(batch, TABLE_META, text("after"), text("x"));
        return store_commit(store, &batch, 1) == ERR_IO ? 0 : 4;
    }
    return 5;
}

static void a_failed_write_stops_the_store_and_loses_nothing(void **state)
{
    (void)state;
    struct world *world = world_open();
    uint64_t seen = 0;
    int pid = 0;

    store_close(open_mode(world, STORE_INIT));
    const int fd = world_fork(world, write_until_full, 1024 * 1024, &pid);
    while (world_read(fd, &seen, sizeof seen))
        continue;
    assert_int_equal(world_wait(pid), 0);
    (void)close(fd);
    assert_true(seen > 20);
    struct store *store = open_mode(world, STORE_EXISTING);
    for (uint64_t i = 0; i <= seen; i++) {
        char key[16];
        uint8_t *value = NULL;
        size_t len = 0;
        (void)snprintf(key, sizeof key, "%08u", (unsigned)i);
        assert_int_equal(store_get(store, &value, &len, TABLE_HEADERS, text(key)), OK);
        free(value);
    }
    holds(store, TABLE_META, "after", NULL);
    store_close(store);
    world_close(world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_table_keeps_its_own_rows_across_restarts),
        cmocka_unit_test(changes_of_one_commit_happen_in_order),
        cmocka_unit_test(rows_below_a_key_are_deleted_also_those_put_there_later),
        cmocka_unit_test(core_actions_become_changes),
        cmocka_unit_test(a_missing_store_is_refused_naming_both_flags),
        cmocka_unit_test(init_never_overwrites),
        cmocka_unit_test(a_store_of_others_is_refused),
        cmocka_unit_test(a_newer_schema_is_refused),
        cmocka_unit_test(an_older_schema_is_refused),
        cmocka_unit_test(unsynced_writes_of_another_boot_are_refused),
        cmocka_unit_test(rejoin_moves_what_is_there_aside_once),
        cmocka_unit_test(init_beside_a_lost_store_is_refused),
        cmocka_unit_test(a_store_without_its_database_is_corrupt_not_missing),
        cmocka_unit_test(an_interrupted_creation_leaves_a_missing_store),
        cmocka_unit_test(a_store_in_use_is_refused),
        cmocka_unit_test(a_torn_tail_of_the_write_ahead_log_is_forgiven),
        cmocka_unit_test(damage_within_the_write_ahead_log_is_refused),
        cmocka_unit_test(a_truncated_manifest_is_refused),
        cmocka_unit_test(nothing_acknowledged_is_lost_when_the_process_is_killed),
        cmocka_unit_test(a_failed_write_stops_the_store_and_loses_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
