/* Goal: a power loss that leaves holes in the last record of a log costs that record and nothing else; all other damage,
 * and what RocksDB would pass over, is refused. Method: a child commits records of several pages and tells where each ends; then pages of its
 * log are gone, and the store is opened. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "consensus/node/store.h"
#include "tests/unit/storage_world.h"

#define PAGE    4096u
#define RECORDS 6u
#define BLOCK   32768u

static uint8_t content[RECORDS * 20000];

static struct bytes key_of(uint64_t number, char *memory)
{
    (void)snprintf(memory, 16, "%08u", (unsigned)number);
    return (struct bytes){(uint8_t *)memory, strlen(memory)};
}

/* Record n has n times so many bytes: from less than a page to more than three blocks. */
static struct bytes value_of(uint64_t number, uint64_t unit)
{
    return (struct bytes){content, (size_t)(number * unit)};
}

static int write_records(const struct world *world, int pipe_fd, uint64_t unit)
{
    struct store_options options = world_store_options(world, STORE_EXISTING);
    struct store *store = NULL;
    char error[STORE_ERROR_BYTES];
    char memory[16];

    if (store_open(&store, error, &options) != OK) return 1;
    for (uint64_t i = 1; i <= RECORDS; i++) {
        struct store_batch *batch = store_batch_new();
        store_batch_put(batch, TABLE_VOTES, key_of(i, memory), value_of(i, unit));
        if (store_commit(store, &batch, 1) != OK) return 2;
        store_batch_free(batch);
        char *log = world_newest_file(world, ".log");
        const uint64_t size = world_file_size(log);
        free(log);
        if (write(pipe_fd, &size, sizeof size) != sizeof size) return 3;
    }
    return 0; /* without closing: the write-ahead log stays */
}

struct written {
    struct world *world;
    char *log;
    uint64_t ends[RECORDS + 1]; /* of each record in the log; before the first one: 0 */
};

static struct written write_log(uint64_t unit)
{
    struct written written = {.world = world_open()};
    struct store_options options = world_store_options(written.world, STORE_INIT);
    struct store *store = NULL;
    int pid = 0;

    for (size_t i = 0; i < sizeof content; i++)
        content[i] = (uint8_t)(i * 7 + i / 251 + 1);
    assert_int_equal(store_open(&store, written.world->error, &options), OK);
    store_close(store);
    const int fd = world_fork(written.world, write_records, unit, &pid);
    for (size_t i = 1; i <= RECORDS; i++)
        assert_true(world_read(fd, &written.ends[i], sizeof written.ends[i]));
    assert_int_equal(world_wait(pid), 0);
    (void)close(fd);
    written.log = world_newest_file(written.world, ".log");
    assert_int_equal(world_file_size(written.log), written.ends[RECORDS]);
    return written;
}

static void end_written(struct written *written)
{
    free(written->log);
    world_close(written->world);
}

/* Zeros, as of pages that were never written. */
static void make_hole(const char *path, uint64_t begin, uint64_t end)
{
    static const uint8_t zeros[RECORDS * 20000];
    const int fd = open(path, O_WRONLY | O_CLOEXEC);

    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, zeros, end - begin, (off_t)begin), end - begin);
    (void)close(fd);
}

static enum status try_open(struct world *world, struct store **ret_store)
{
    const struct store_options options = world_store_options(world, STORE_EXISTING);

    return store_open(ret_store, world->error, &options);
}

/* Records 1 .. count are there, whole, and no others. */
static void check_records(struct store *store, uint64_t count, uint64_t unit)
{
    for (uint64_t i = 1; i <= RECORDS; i++) {
        uint8_t *value = NULL;
        char memory[16];
        size_t len = 0;
        const enum status status = store_get(store, &value, &len, TABLE_VOTES, key_of(i, memory));

        assert_int_equal(status, i <= count ? OK : ERR_NOT_FOUND);
        if (status == OK) {
            assert_int_equal(len, i * unit);
            assert_memory_equal(value, content, len);
        }
        free(value);
    }
}

static void check_hole_in_the_last(uint64_t unit, uint64_t page, uint64_t pages)
{
    struct written written = write_log(unit);
    struct store *store = NULL;
    uint64_t begin = page * PAGE;
    uint64_t end = begin + pages * PAGE;

    if (begin < written.ends[RECORDS - 1]) begin = written.ends[RECORDS - 1];
    if (end > written.ends[RECORDS]) end = written.ends[RECORDS];
    make_hole(written.log, begin, end);
    if (try_open(written.world, &store) != OK) fail_msg("%s", written.world->error);
    check_records(store, RECORDS - 1, unit);
    store_close(store);
    store = NULL; /* and the mended log is a log like any other */
    assert_int_equal(try_open(written.world, &store), OK);
    check_records(store, RECORDS - 1, unit);
    store_close(store);
    end_written(&written);
}

static void any_hole_in_the_last_record_costs_that_record(void **state)
{
    (void)state;
    static const uint64_t units[] = {700, 17000};
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        struct written written = write_log(units[i]);
        const uint64_t first = written.ends[RECORDS - 1] / PAGE;
        const uint64_t last = (written.ends[RECORDS] - 1) / PAGE;

        end_written(&written);
        for (uint64_t page = first; page <= last;
             page += page < first + 1 || page + 1 > last ? 1 : 8)
            check_hole_in_the_last(units[i], page, 1);
        check_hole_in_the_last(units[i], first, last - first + 1);
        check_hole_in_the_last(units[i], (first + last) / 2, last - first + 1);
    }
}

static void a_hole_before_the_last_record_is_refused_and_nothing_changed(void **state)
{
    (void)state;
    for (size_t record = 1; record < RECORDS; record++) {
        struct written written = write_log(9000);
        struct store *store = NULL;
        const uint64_t middle = (written.ends[record - 1] + written.ends[record]) / 2;
        size_t len = 0;
        size_t len_after = 0;

        make_hole(written.log, middle, middle + 64);
        uint8_t *before = world_read_file(written.log, &len);
        assert_int_equal(try_open(written.world, &store), ERR_CORRUPT);
        assert_non_null(strstr(written.world->error, "corrupt store, start with --rejoin"));
        uint8_t *after = world_read_file(written.log, &len_after);
        assert_int_equal(len_after, len);
        assert_memory_equal(after, before, len);
        free(before);
        free(after);
        end_written(&written);
    }
}

/* A length that leads nowhere does not hide the records behind it, in the same block or in a later one. */
static void check_broken_length(uint64_t unit, size_t record, bool same_block)
{
    struct written written = write_log(unit);
    struct store *store = NULL;
    uint64_t broken = written.ends[record - 1];

    assert_int_equal(written.ends[RECORDS - 1] / BLOCK == broken / BLOCK, same_block);
    make_hole(written.log, broken, broken + 7);
    assert_int_equal(try_open(written.world, &store), ERR_CORRUPT);
    end_written(&written);
}

static void a_broken_length_with_a_record_behind_it_is_refused(void **state)
{
    (void)state;
    check_broken_length(17000, 3, false);
    for (size_t record = 2; record < RECORDS; record++)
        check_broken_length(700, record, true);
}

static void flip_bit(const char *path, uint64_t at, uint8_t bit)
{
    size_t len = 0;
    uint8_t *data = world_read_file(path, &len);

    assert_true(at < len);
    data[at] ^= bit;
    world_write_file(path, data, len);
    free(data);
}

/* A bit of a record, its length and its type among them. */
static void check_rot(uint64_t unit, size_t record, uint64_t offset, uint8_t bit)
{
    struct written written = write_log(unit);
    struct store *store = NULL;

    flip_bit(written.log, written.ends[record - 1] + offset, bit);
    if (try_open(written.world, &store) != ERR_CORRUPT)
        fail_msg("record %zu, offset %u, bit %u: not refused", record, (unsigned)offset, bit);
    end_written(&written);
}

static void rot_is_refused_wherever_it_is(void **state)
{
    (void)state;
    static const struct {
        uint64_t offset;
        uint8_t bit;
    } bits[] = {{4, 1}, {5, 0x40}, {6, 1}, {300, 2}};
    for (size_t i = 0; i < sizeof bits / sizeof bits[0]; i++) {
        check_rot(700, 1, bits[i].offset, bits[i].bit);
        check_rot(700, RECORDS - 1, bits[i].offset, bits[i].bit);
        check_rot(17000, 3, bits[i].offset, bits[i].bit);
    }
    check_rot(700, RECORDS, 0,
              1); /* of the last one, too, where RocksDB does not take it for torn */
    check_rot(700, RECORDS, 20, 0x10);
    check_rot(17000, RECORDS, 50000, 2);
}

static void a_broken_end_of_the_manifest_is_refused(void **state)
{
    (void)state;
    /* A header of a whole piece of 100 bytes, none of which came to the disk. */
    static const uint8_t torn[107] = {0x12, 0x34, 0x56, 0x78, 100, 0, 1};
    struct written written = write_log(700);
    struct store *store = NULL;
    char name[64] = "";
    size_t len = 0;

    uint8_t *current = world_read_file(world_path(written.world, "meta/CURRENT"), &len);
    (void)snprintf(name, sizeof name, "meta/%.*s", (int)len - 1, (const char *)current);
    free(current);
    const int fd = open(world_path(written.world, name), O_WRONLY | O_APPEND | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, torn, sizeof torn), sizeof torn);
    (void)close(fd);
    assert_int_equal(try_open(written.world, &store), ERR_CORRUPT);
    end_written(&written);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_hole_in_the_last_record_costs_that_record),
        cmocka_unit_test(a_hole_before_the_last_record_is_refused_and_nothing_changed),
        cmocka_unit_test(a_broken_length_with_a_record_behind_it_is_refused),
        cmocka_unit_test(rot_is_refused_wherever_it_is),
        cmocka_unit_test(a_broken_end_of_the_manifest_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
