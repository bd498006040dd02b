/* Goal: what the storage thread answers OK is durable, in groups that form by themselves; its reads return what
 * was written; after a failed write nothing is answered OK. Method: a real thread on real files; children that
 * are killed or run out of disk. Exports and retention are in test_history.c. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "tests/unit/storage_fixture.h"

/* ---- writes ---------------------------------------------------------------------------------- */

static void appends_are_answered_in_order_and_found_again(void **state)
{
    (void)state;
    struct fixture fixture = fixture_open();
    struct storage_stats stats;

    for (uint64_t i = 0; i < 100; i++) {
        struct batch_log_item item = world_batch(i, BATCH_BYTES);
        assert_true(storage_submit_append(fixture.client, item.buffer, &item.record,
                                          (void *)(uintptr_t)(i + 1)));
        buffer_unref(item.buffer);
    }
    for (uint64_t i = 0; i < 100; i++) {
        struct storage_request *request = fixture_take(fixture.client);
        assert_int_equal(request->status, OK);
        assert_int_equal((uintptr_t)request->context, i + 1);
        assert_int_equal(request->record.created_at, 1000 + i);
        storage_request_free(request);
    }
    assert_null(storage_client_take(fixture.client));
    for (int pass = 0; pass < 2; pass++) {
        for (uint64_t i = 0; i < 100; i += 9) {
            struct batch_log_item item = world_batch(i, BATCH_BYTES);
            assert_true(storage_submit_find(fixture.client, &item.record.digest, NULL));
            struct storage_request *request = fixture_take(fixture.client);
            assert_int_equal(request->status, OK);
            assert_int_equal(request->record.bytes, item.record.bytes);
            assert_int_equal(request->record.transactions, item.record.transactions);
            storage_request_free(request);
            assert_true(storage_submit_read(fixture.client, &item.record.digest, NULL));
            request = fixture_take(fixture.client);
            assert_int_equal(request->status, OK);
            assert_int_equal(request->buffer->begin, BUFFER_BATCH);
            assert_int_equal(request->buffer->len, item.record.bytes);
            assert_memory_equal(request->buffer->data + BUFFER_BATCH,
                                item.buffer->data + BUFFER_BATCH, item.record.bytes);
            assert_ptr_not_equal(request->buffer, item.buffer);
            storage_request_free(request);
            buffer_unref(item.buffer);
        }
        fixture_restart(&fixture);
        assert_int_equal(fixture_found_count, 100);
    }
    const struct digest unknown = {{1}};
    assert_true(storage_submit_find(fixture.client, &unknown, NULL));
    assert_int_equal(fixture_take_status(fixture.client), ERR_NOT_FOUND);
    assert_true(storage_submit_read(fixture.client, &unknown, NULL));
    assert_int_equal(fixture_take_status(fixture.client), ERR_NOT_FOUND);
    storage_get_stats(fixture.storage, &stats);
    assert_int_equal(stats.log.batches, 100);
    fixture_close(&fixture);
}

/* One thread appends, one reads, at the same time: what was answered is found and right, what was not yet is
 * either found whole or not found. Under TSan this is the test of the log's lock. */
static void reads_go_on_while_batches_are_appended(void **state)
{
    (void)state;
    struct fixture fixture = fixture_open();
    const uint64_t count = 400;
    uint64_t appended = 0;
    uint64_t submitted = 0;
    uint64_t answered = 0;
    uint64_t found = 0;

    while (answered < 2 * count) {
        for (; submitted < count && 2 * submitted - answered < 120; submitted++) {
            struct batch_log_item item = world_batch(submitted, BATCH_BYTES);
            assert_true(storage_submit_append(fixture.client, item.buffer, &item.record, NULL));
            struct batch_log_item wanted = world_batch(submitted / 2, BATCH_BYTES);
            void *number = (void *)(uintptr_t)(submitted / 2 + 1);
            assert_true(storage_submit_read(fixture.client, &wanted.record.digest, number));
            buffer_unref(item.buffer);
            buffer_unref(wanted.buffer);
        }
        struct storage_request *request = fixture_take(fixture.client);
        const uint64_t number = (uintptr_t)request->context;
        answered++;
        if (number == 0) {
            assert_int_equal(request->status, OK);
            appended++;
        } else if (request->status == OK) {
            assert_int_equal(request->record.created_at, 1000 + number - 1);
            found++;
        } else {
            assert_int_equal(request->status, ERR_NOT_FOUND);
            assert_true(number > appended / 2);
        }
        storage_request_free(request);
    }
    assert_true(found > count / 4);
    fixture_close(&fixture);
}

/* While one group is written, the next one gathers: far fewer writes and syncs than requests. */
static void groups_form_by_themselves(void **state)
{
    (void)state;
    struct fixture fixture = fixture_open();
    struct batch_log_item items[40];
    struct storage_stats stats;

    for (uint64_t i = 0; i < 40; i++)
        items[i] = world_batch(i, 400000);
    for (uint64_t i = 0; i < 40; i++) {
        struct store_batch *batch = store_batch_new();
        fixture_put(batch, TABLE_VOTES, i, i);
        assert_true(storage_submit_append(fixture.client, items[i].buffer, &items[i].record, NULL));
        assert_true(storage_submit_commit(fixture.client, batch, i));
    }
    for (uint64_t i = 0; i < 80; i++)
        assert_int_equal(fixture_take_status(fixture.client), OK);
    storage_get_stats(fixture.storage, &stats);
    assert_int_equal(stats.log.batches, 40);
    assert_in_range(stats.log.groups, 1, 30);
    assert_int_equal(stats.commits_merged, 40);
    assert_in_range(stats.commits, 1, 30);
    for (uint64_t i = 0; i < 40; i++)
        buffer_unref(items[i].buffer);
    fixture_close(&fixture);
}

static void commits_are_answered_in_order_and_kept(void **state)
{
    (void)state;
    struct fixture fixture = fixture_open();
    uint8_t key[CORE_KEY_BYTES_MAX];
    struct storage_stats stats;

    for (uint64_t i = 0; i < 100; i++) {
        struct store_batch *batch = store_batch_new();
        fixture_put(batch, TABLE_VOTES, i, i);
        fixture_put(batch, TABLE_VOTES, 1000, i); /* the last one wins */
        assert_true(storage_submit_commit(fixture.client, batch, i));
    }
    for (uint64_t i = 0; i < 100; i++) {
        struct storage_request *request = fixture_take(fixture.client);
        assert_int_equal(request->status, OK);
        assert_int_equal(request->token, i);
        storage_request_free(request);
    }
    fixture_restart(&fixture);
    for (uint64_t i = 0; i <= 100; i++) {
        uint8_t *value = NULL;
        size_t len = 0;
        const struct bytes key_bytes = fixture_key(key, i == 100 ? 1000 : i);
        assert_int_equal(
            store_get(storage_store(fixture.storage), &value, &len, TABLE_VOTES, key_bytes), OK);
        struct reader reader = reader_make(value, len);
        assert_int_equal(reader_u64(&reader), i == 100 ? 99 : i);
        free(value);
    }
    storage_get_stats(fixture.storage, &stats);
    assert_false(stats.failed);
    fixture_close(&fixture);
}

static void a_client_is_refused_beyond_its_bound_and_goes_on_later(void **state)
{
    (void)state;
    struct fixture fixture = fixture_open();
    struct storage_client *client = NULL;
    const struct digest unknown = {{1}};

    assert_int_equal(storage_client_open(&client, fixture.storage, 3), OK);
    for (int i = 0; i < 3; i++)
        assert_true(storage_submit_find(client, &unknown, NULL));
    assert_false(storage_submit_find(client, &unknown, NULL));
    struct store_batch *batch = store_batch_new();
    fixture_put(batch, TABLE_META, 1, 1);
    assert_false(storage_submit_commit(client, batch, 0)); /* the batch stays ours */
    assert_int_equal(fixture_take_status(client), ERR_NOT_FOUND);
    assert_true(storage_submit_commit(client, batch, 0));
    assert_false(storage_submit_find(client, &unknown, NULL));
    fixture_stop(&fixture);
    for (int i = 0; i < 3; i++)
        (void)fixture_take_status(client); /* all were answered before the end */
    assert_null(storage_client_take(client));
    storage_client_close(client);
    world_close(fixture.world);
}

/* ---- rows ------------------------------------------------------------------------------------ */

static void fill_rows(struct fixture *fixture, uint64_t count)
{
    struct store_batch *batch = store_batch_new();
    for (uint64_t i = 0; i < count; i++)
        fixture_put(batch, TABLE_ORDERING, i, i * i);
    fixture_commit(fixture, batch);
}

static void check_row(const struct storage_row *row, uint64_t number)
{
    uint8_t key[CORE_KEY_BYTES_MAX];
    const struct bytes expected = fixture_key(key, number);
    struct reader reader = reader_make(row->value.data, row->value.len);

    assert_int_equal(row->key.len, expected.len);
    assert_memory_equal(row->key.data, expected.data, expected.len);
    assert_int_equal(reader_u64(&reader), number * number);
    assert_true(reader_done(&reader));
}

static void rows_are_read_by_key_in_the_order_asked(void **state)
{
    (void)state;
    struct fixture fixture = fixture_open();
    struct storage_request *request = storage_request_new(STORAGE_READ_ROWS);
    uint8_t key[CORE_KEY_BYTES_MAX];

    fill_rows(&fixture, 300);
    request->table = TABLE_ORDERING;
    request->bytes_max = 100000;
    for (uint64_t i = 0; i < STORAGE_KEYS_MAX; i++) {
        /* Every third is not there. */
        const uint64_t number = i % 3 == 2 ? 1000 + i : 299 - i;
        assert_true(storage_request_add_key(request, fixture_key(key, number)));
    }
    assert_false(storage_request_add_key(request, fixture_key(key, 1)));
    (void)fixture_ask(&fixture, request);
    assert_int_equal(request->status, OK);
    assert_true(request->rows_end);
    uint32_t at = 0;
    for (uint64_t i = 0; i < STORAGE_KEYS_MAX; i++) {
        if (i % 3 != 2) check_row(&request->rows[at++], 299 - i);
    }
    assert_int_equal(request->rows_count, at);
    storage_request_free(request);

    request = storage_request_new(STORAGE_READ_ROWS); /* room for two rows of 16 bytes */
    request->table = TABLE_ORDERING;
    request->bytes_max = 47;
    for (uint64_t i = 0; i < 3; i++)
        assert_true(storage_request_add_key(request, fixture_key(key, i)));
    (void)fixture_ask(&fixture, request);
    assert_int_equal(request->status, OK);
    assert_int_equal(request->rows_count, 2);
    assert_false(request->rows_end);
    storage_request_free(request);
    fixture_close(&fixture);
}

static void scans_stop_at_their_bounds(void **state)
{
    (void)state;
    static const struct {
        uint64_t from;
        uint32_t rows_max;
        size_t bytes_max;
        uint32_t count;
        bool end;
    } cases[] = {
        {0, 4096, 1000000, 1000, true},  {0, 1000, 1000000, 1000, false},
        {0, 10, 1000000, 10, false},     {990, 100, 1000000, 10, true},
        {0, 100, 16 * 7 + 15, 7, false}, {5000, 100, 1000, 0, true},
        {0, 0, 1000, 0, false},
    };
    struct fixture fixture = fixture_open();
    uint8_t key[CORE_KEY_BYTES_MAX];

    fill_rows(&fixture, 1000);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct storage_request *request = storage_request_new(STORAGE_SCAN_ROWS);
        request->table = TABLE_ORDERING;
        request->rows_max = cases[i].rows_max;
        request->bytes_max = cases[i].bytes_max;
        if (cases[i].from > 0) {
            assert_true(storage_request_add_key(request, fixture_key(key, cases[i].from)));
        }
        (void)fixture_ask(&fixture, request);
        assert_int_equal(request->status, OK);
        assert_int_equal(request->rows_count, cases[i].count);
        assert_int_equal(request->rows_end, cases[i].end);
        for (uint32_t j = 0; j < request->rows_count; j++) {
            check_row(&request->rows[j], cases[i].from + j);
        }
        storage_request_free(request);
    }
    fixture_close(&fixture);
}

/* ---- starting, crashing, failing ------------------------------------------------------------- */

static void a_store_without_its_batches_is_refused(void **state)
{
    (void)state;
    struct fixture fixture = fixture_open();
    struct storage_options options = fixture_options(fixture.world, STORE_EXISTING);
    struct storage *storage = NULL;
    struct store_batch *batch = store_batch_new();
    char expected[STORE_ERROR_BYTES];

    fixture_put(batch, TABLE_VOTES, 1, 1); /* without a row it would be an interrupted creation */
    fixture_commit(&fixture, batch);
    fixture_stop(&fixture);
    char *batches = strdup(world_path(fixture.world, "batches"));
    assert_int_equal(rename(batches, world_path(fixture.world, "elsewhere")), 0);
    (void)snprintf(expected, sizeof expected, "%s: missing, start with --rejoin", batches);
    assert_int_equal(storage_open(&storage, fixture.world->error, &options), ERR_NOT_FOUND);
    assert_string_equal(fixture.world->error, expected);
    free(batches);
    fixture_start(&fixture, STORE_REJOIN);
    assert_true(store_is_rejoined(storage_store(fixture.storage)));
    fixture_close(&fixture);
}

/* Appends a batch, then commits a row that names it, as headers and votes do; reports each. */
static int name_batches(const struct world *world, int pipe_fd, uint64_t limit)
{
    struct world copy = *world;
    struct fixture fixture = {.world = &copy};
    const struct rlimit bytes = {limit, limit};

    fixture_start(&fixture, STORE_EXISTING);
    (void)signal(SIGXFSZ, SIG_IGN);
    if (limit > 0 && setrlimit(RLIMIT_FSIZE, &bytes) != 0) return 1;
    for (uint64_t i = 0;; i++) {
        struct batch_log_item item = world_batch(i, BATCH_BYTES);
        struct store_batch *batch = store_batch_new();
        if (!storage_submit_append(fixture.client, item.buffer, &item.record, NULL)) return 2;
        buffer_unref(item.buffer);
        enum status status = fixture_take_status(fixture.client);
        fixture_put(batch, TABLE_VOTES, i, i);
        if (!storage_submit_commit(fixture.client, batch, 0)) return 3;
        const enum status commit_status = fixture_take_status(fixture.client);
        if (status == OK && commit_status == OK) {
            if (write(pipe_fd, &i, sizeof i) != sizeof i) return 4;
            continue;
        }
        /* Failed: from now on everything is refused. */
        struct storage_stats stats;
        if (status == OK) status = commit_status;
        if (!storage_submit_find(fixture.client, &item.record.digest, NULL)) return 5;
        if (fixture_take_status(fixture.client) != ERR_IO) return 6;
        storage_get_stats(fixture.storage, &stats);
        return status == ERR_IO && commit_status == ERR_IO && stats.failed ? 0 : 7;
    }
}

/* Every row's batch is there, and everything reported is. */
static void check_named(struct fixture *fixture, uint64_t reported)
{
    uint8_t key[CORE_KEY_BYTES_MAX];
    uint64_t count = 0;

    while (fixture_has_row(fixture, TABLE_VOTES, fixture_key(key, count))) {
        struct batch_log_item item = world_batch(count, BATCH_BYTES);
        assert_true(storage_submit_read(fixture->client, &item.record.digest, NULL));
        assert_int_equal(fixture_take_status(fixture->client), OK);
        buffer_unref(item.buffer);
        count++;
    }
    assert_true(count >= reported);
}

static void a_killed_process_keeps_what_was_answered(void **state)
{
    (void)state;
    uint64_t random = 5;

    for (int round = 0; round < 6; round++) {
        struct fixture fixture = fixture_open();
        const uint64_t stop = unit_random_below(&random, 80);
        uint64_t seen = 0;
        uint64_t reported = 0;
        int pid = 0;
        fixture_stop(&fixture);
        const int fd = world_fork(fixture.world, name_batches, 0, &pid);
        while (world_read(fd, &seen, sizeof seen)) {
            reported = seen + 1;
            if (seen == stop) assert_int_equal(kill(pid, SIGKILL), 0);
        }
        assert_int_equal(world_wait(pid), -SIGKILL);
        (void)close(fd);
        fixture_start(&fixture, STORE_EXISTING);
        assert_true(reported > stop);
        check_named(&fixture, reported);
        fixture_close(&fixture);
    }
}

static void after_a_failed_write_nothing_is_answered_ok(void **state)
{
    (void)state;
    struct fixture fixture = fixture_open();
    uint64_t seen = 0;
    int pid = 0;

    fixture_stop(&fixture);
    const int fd = world_fork(fixture.world, name_batches, 200000, &pid);
    while (world_read(fd, &seen, sizeof seen))
        continue;
    assert_int_equal(world_wait(pid), 0);
    (void)close(fd);
    assert_true(seen > 3);
    fixture_start(&fixture, STORE_EXISTING);
    check_named(&fixture, seen + 1);
    fixture_close(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(appends_are_answered_in_order_and_found_again),
        cmocka_unit_test(reads_go_on_while_batches_are_appended),
        cmocka_unit_test(groups_form_by_themselves),
        cmocka_unit_test(commits_are_answered_in_order_and_kept),
        cmocka_unit_test(a_client_is_refused_beyond_its_bound_and_goes_on_later),
        cmocka_unit_test(rows_are_read_by_key_in_the_order_asked),
        cmocka_unit_test(scans_stop_at_their_bounds),
        cmocka_unit_test(a_store_without_its_batches_is_refused),
        cmocka_unit_test(a_killed_process_keeps_what_was_answered),
        cmocka_unit_test(after_a_failed_write_nothing_is_answered_ok),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
