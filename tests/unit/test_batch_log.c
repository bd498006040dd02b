/* Goal: the batch log returns exactly what was appended or says why not; segments go when nothing needs them;
 * a failed write stops it and loses nothing. Method: real segment files of small size; children that are killed
 * or run out of disk. What happens to damaged files is in test_batch_recover.c. */
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/batch_world.h"

static void batches_of_all_sizes_come_back(void **state)
{
    (void)state;
    static const size_t sizes[] = {16,    200,   3960,   3964,   3966,   3967,  3968,
                                   3969,  3970,  4096,   8063,   8064,   8065,  65536,
                                   70000, 99999, 262140, 300000, 479990, 480000};
    struct world *world = world_open();
    struct batch_log *log = batch_world_open(world);

    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
        batch_world_append(log, i, 1, sizes[i]);
    for (int pass = 0; pass < 2; pass++) {
        for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
            assert_int_equal(batch_world_read(log, i, sizes[i]), OK);
        }
        assert_int_equal(batch_world_read(log, 999, 200), ERR_NOT_FOUND);
        batch_log_close(log);
        log = batch_world_open(world);
        assert_int_equal(batch_world_found.count, sizeof sizes / sizeof sizes[0]);
        for (size_t i = 0; i < batch_world_found.count; i++) {
            assert_int_equal(batch_world_found.records[i].created_at,
                             1000 + i); /* in append order */
        }
    }
    struct batch_log_stats stats;
    batch_log_get_stats(log, &stats);
    assert_true(stats.segments > 3);
    assert_int_equal(stats.batches, sizeof sizes / sizeof sizes[0]);
    batch_log_close(log);
    world_close(world);
}

static void works_without_direct_writes_too(void **state)
{
    (void)state;
    struct world *world = world_open();
    struct batch_log_options options = batch_world_options(world);
    struct batch_log *log = NULL;
    struct batch_log_stats stats;

    options.buffered = true;
    assert_int_equal(batch_log_open(&log, world->error, &options), OK);
    batch_world_append(log, 0, 20, 30000);
    batch_log_get_stats(log, &stats);
    assert_false(stats.direct);
    batch_log_close(log);
    log = batch_world_open(world);
    batch_world_holds(log, 0, 20, 30000);
    batch_log_close(log);
    world_close(world);
}

/* Small runs go through the page cache, large ones past it, in one file; both are read back past it. */
static void both_ways_of_writing_mix_in_one_file(void **state)
{
    (void)state;
    static const size_t sizes[] = {200, 300000, 4096, 60000, 70000, 16, 480000, 3970};
    const size_t count = sizeof sizes / sizeof sizes[0];
    struct world *world = world_open();
    struct batch_log_options options = batch_world_options(world);
    struct batch_log *log = NULL;
    struct batch_log_stats stats;

    options.sync = SYNC_PROCESS;
    options.ring_bytes = 0;
    options.segment_bytes = 64u << 20;
    assert_int_equal(batch_log_open(&log, world->error, &options), OK);
    for (size_t i = 0; i < 4 * count; i++) {
        batch_world_append(log, i, 1, sizes[i % count]);
        assert_int_equal(batch_world_read(log, i / 2, sizes[i / 2 % count]), OK);
    }
    batch_log_get_stats(log, &stats);
    assert_int_equal(stats.segments, 1);
    const bool direct = stats.direct;
    batch_log_close(log);
    assert_int_equal(batch_log_open(&log, world->error, &options), OK);
    for (size_t i = 0; i < 4 * count; i++)
        assert_int_equal(batch_world_read(log, i, sizes[i % count]), OK);
    batch_log_get_stats(log, &stats);
    assert_int_equal(stats.direct, direct); /* the cache is no fall back */
    batch_log_close(log);
    world_close(world);
}

/* A peer streamed it, then a client gave it to us: after a restart the log says that we owe it. */
static void batch_that_a_peer_sent_first_becomes_our_own(void **state)
{
    (void)state;
    for (int at_once = 0; at_once < 2; at_once++) {
        struct world *world = world_open();
        struct batch_log *log = batch_world_open(world);
        struct batch_log_item items[] = {world_batch(0, 5000), world_batch(0, 5000),
                                         world_batch(0, 5000)};
        struct batch_log_stats stats;
        struct batch_record record;

        items[1].record.own = true;
        items[1].record.author = 1;
        assert_false(items[0].record.own);
        if (at_once) {
            assert_int_equal(batch_log_append(log, items, 3), OK);
        } else {
            for (size_t i = 0; i < 3; i++)
                assert_int_equal(batch_log_append(log, &items[i], 1), OK);
        }
        batch_log_get_stats(log, &stats);
        assert_int_equal(stats.batches, 1);
        batch_log_close(log);
        log = batch_world_open(world);
        assert_int_equal(batch_log_find(log, &record, &items[0].record.digest), OK);
        assert_true(record.own);
        assert_int_equal(batch_world_found.count, 2);
        assert_true(batch_world_found.records[1].own);
        for (size_t i = 0; i < 3; i++)
            buffer_unref(items[i].buffer);
        batch_log_close(log);
        world_close(world);
    }
}

static void many_small_batches_are_all_found_again(void **state)
{
    (void)state;
    struct world *world = world_open();
    struct batch_log *log = batch_world_open(world);
    struct batch_record record;

    for (uint64_t i = 0; i < 3000; i += 60)
        batch_world_append(log, i, 60, 40);
    batch_log_close(log);
    log = batch_world_open(world);
    assert_int_equal(batch_world_found.count, 3000);
    for (uint64_t i = 0; i < 3000; i += 7) {
        struct batch_log_item item = world_batch(i, 40);
        assert_int_equal(batch_log_find(log, &record, &item.record.digest), OK);
        assert_int_equal(record.created_at, 1000 + i);
        assert_int_equal(record.transactions, item.record.transactions);
        buffer_unref(item.buffer);
    }
    batch_log_close(log);
    world_close(world);
}

static void a_batch_is_written_once(void **state)
{
    (void)state;
    struct world *world = world_open();
    struct batch_log *log = batch_world_open(world);
    struct batch_log_item items[3] = {world_batch(1, 5000), world_batch(1, 5000),
                                      world_batch(2, 5000)};
    struct batch_log_stats stats;

    assert_int_equal(batch_log_append(log, items, 3), OK);
    batch_world_append(log, 1, 2, 5000);
    batch_log_get_stats(log, &stats);
    assert_int_equal(stats.batches, 2);
    assert_int_equal(stats.appended, 2 * 8192);
    for (size_t i = 0; i < 3; i++)
        buffer_unref(items[i].buffer);
    batch_log_close(log);
    world_close(world);
}

static void the_ring_answers_without_the_disk_and_stays_within_its_bound(void **state)
{
    (void)state;
    struct world *world = world_open();
    struct batch_log_options options = batch_world_options(world);
    struct batch_log *log = NULL;
    struct batch_log_stats stats;

    options.ring_bytes = 4 * 65536;
    assert_int_equal(batch_log_open(&log, world->error, &options), OK);
    batch_world_append(log, 0, 10, 60000); /* buffers of 65536 bytes: the last four stay */
    batch_world_holds(log, 6, 4, 60000);
    batch_log_get_stats(log, &stats);
    assert_int_equal(stats.ring_hits, 4);
    assert_int_equal(stats.disk_reads, 0);
    batch_world_holds(log, 0, 6, 60000);
    batch_log_get_stats(log, &stats);
    assert_int_equal(stats.ring_hits, 4);
    assert_int_equal(stats.disk_reads, 6);

    /* A small batch in a large buffer takes only its own room. */
    struct batch_log_item small = world_batch(100, 100);
    struct buffer *large = buffer_new(500000);
    memcpy(large->data + BUFFER_BATCH, small.buffer->data + BUFFER_BATCH, small.record.bytes);
    buffer_unref(small.buffer);
    small.buffer = large;
    assert_int_equal(batch_log_append(log, &small, 1), OK);
    buffer_unref(large);
    assert_int_equal(batch_world_read(log, 100, 100), OK);
    batch_world_holds(log, 7, 3, 60000);
    batch_log_get_stats(log, &stats);
    assert_int_equal(stats.ring_hits, 8);
    batch_log_close(log);
    world_close(world);
}

static void a_missing_directory_is_not_made_up(void **state)
{
    (void)state;
    struct world *world = world_open();
    struct batch_log_options options = batch_world_options(world);
    struct batch_log *log = NULL;

    options.create = false;
    assert_int_equal(batch_log_open(&log, world->error, &options), ERR_NOT_FOUND);
    world_close(world);
}

/* ---- retention ------------------------------------------------------------------------------- */

static uint64_t segments_of(struct batch_log *log)
{
    struct batch_log_stats stats;
    batch_log_get_stats(log, &stats);
    return stats.segments;
}

static void note(struct batch_log *log, uint64_t number, uint64_t index, round_t round)
{
    struct batch_log_item item = world_batch(number, 30000);
    batch_log_note_executed(log, &item.record.digest, index, round);
    buffer_unref(item.buffer);
}

static void segments_go_when_nothing_kept_needs_them(void **state)
{
    (void)state;
    struct world *world = world_open();
    struct batch_log *log = batch_world_open(world);
    bool deleted = true;

    /* 7 records of 32 KB fill a segment; batch i is executed by pre-block i + 1 of round 10 (i +
     * 1). */
    for (uint64_t i = 0; i < 28; i++) {
        batch_world_append(log, i, 1, 30000);
        note(log, i, i + 1, 10 * (i + 1));
    }
    assert_int_equal(segments_of(log), 4);
    /* Pre-block 7 is in segment 1 and kept. */
    assert_int_equal(batch_log_retain(log, &deleted, 7, 2000), OK);
    assert_false(deleted);
    /* Nothing kept needs segment 1, but it was last used at round 60: its other batches may come
     * yet. */
    assert_int_equal(batch_log_retain(log, &deleted, 8, 60 + 4 * GC_DEPTH), OK);
    assert_false(deleted);
    assert_int_equal(batch_log_retain(log, &deleted, 8, 70 + 4 * GC_DEPTH + 1), OK);
    assert_true(deleted);
    assert_int_equal(segments_of(log), 3);
    assert_int_not_equal(access(world_path(world, "batches/00000001.log"), F_OK), 0);
    assert_int_equal(batch_world_read(log, 0, 30000), ERR_NOT_FOUND);
    assert_int_equal(batch_world_read(log, 6, 30000), ERR_NOT_FOUND);
    batch_world_holds(log, 7, 21, 30000);
    /* The segment being written stays whatever happens. */
    for (int i = 0; i < 5; i++)
        assert_int_equal(batch_log_retain(log, &deleted, 1000, 100000), OK);
    assert_false(deleted);
    assert_int_equal(segments_of(log), 1);
    batch_world_holds(log, 21, 7, 30000);
    batch_world_append(log, 0, 1, 30000); /* what was deleted can be stored again */
    batch_world_holds(log, 0, 1, 30000);
    batch_log_close(log);
    log = batch_world_open(world);
    batch_world_holds(log, 21, 7, 30000);
    batch_world_holds(log, 0, 1, 30000);
    batch_log_close(log);
    world_close(world);
}

static void a_batch_asked_for_keeps_its_segment(void **state)
{
    (void)state;
    struct world *world = world_open();
    struct batch_log *log = batch_world_open(world);
    struct batch_log_item item = world_batch(0, 30000);
    struct batch_record record;
    bool deleted = true;

    for (uint64_t i = 0; i < 14; i++)
        batch_world_append(log, i, 1, 30000);
    note(log, 1, 1, 10);
    note(log, 13, 2, 1000);
    assert_int_equal(batch_log_find(log, &record, &item.record.digest),
                     OK); /* somebody names it now */
    assert_int_equal(batch_log_retain(log, &deleted, 2, 1000), OK);
    assert_false(deleted);
    assert_int_equal(batch_log_retain(log, &deleted, 3, 1001 + 4 * GC_DEPTH), OK);
    assert_true(deleted);
    buffer_unref(item.buffer);
    batch_log_close(log);
    world_close(world);
}

static void after_a_start_segments_wait_for_a_whole_retention(void **state)
{
    (void)state;
    struct world *world = world_open();
    struct batch_log *log = batch_world_open(world);
    bool deleted = true;

    for (uint64_t i = 0; i < 14; i++)
        batch_world_append(log, i, 1, 30000);
    batch_log_close(log);
    log = batch_world_open(world);
    note(log, 13, 2, 5000);
    /* Unexecuted batches of before the start may have been named just before it. */
    assert_int_equal(batch_log_retain(log, &deleted, 2, 5000), OK);
    assert_false(deleted);
    assert_int_equal(batch_log_retain(log, &deleted, 3, 5001 + 4 * GC_DEPTH), OK);
    assert_true(deleted);
    batch_log_close(log);
    world_close(world);
}

/* ---- crashes and full disks ------------------------------------------------------------------ */

static int append_for_ever(const struct world *world, int pipe_fd, uint64_t seed)
{
    struct batch_log_options options = batch_world_options(world);
    struct batch_log *log = NULL;
    char error[STORE_ERROR_BYTES];
    uint64_t next = 0;

    options.found = NULL;
    if (batch_log_open(&log, error, &options) != OK) return 1;
    for (;;) {
        struct batch_log_item items[4];
        const size_t count = 1 + unit_random_below(&seed, 4);
        for (size_t i = 0; i < count; i++)
            items[i] = world_batch(next + i, 20000);
        const enum status status = batch_log_append(log, items, count);
        for (size_t i = 0; i < count; i++)
            buffer_unref(items[i].buffer);
        if (status != OK) {
            struct batch_log_item small = world_batch(1000000, 16);
            const enum status again = batch_log_append(log, &small, 1);
            return status == ERR_IO && again == ERR_IO ? 0 : 2;
        }
        next += count;
        if (write(pipe_fd, &next, sizeof next) != sizeof next) return 3;
    }
}

/* What the child had acknowledged is there; returns how much that was. */
static uint64_t check_after_crash(struct world *world, uint64_t seen)
{
    struct batch_log *log = batch_world_open(world);

    assert_true(batch_world_found.count >= seen);
    for (size_t i = 0; i < batch_world_found.count; i++)
        assert_int_equal(batch_world_found.records[i].created_at, 1000 + i);
    batch_world_holds(log, 0, seen, 20000);
    batch_log_close(log);
    return seen;
}

static void nothing_acknowledged_is_lost_when_the_process_is_killed(void **state)
{
    (void)state;
    uint64_t random = 99;

    for (uint64_t round = 0; round < 10; round++) {
        struct world *world = world_open();
        const uint64_t stop = unit_random_below(&random, 60);
        uint64_t seen = 0;
        int pid = 0;
        const int fd = world_fork(world, append_for_ever, round, &pid);
        while (world_read(fd, &seen, sizeof seen) && seen < stop)
            continue;
        assert_int_equal(kill(pid, SIGKILL), 0);
        while (world_read(fd, &seen, sizeof seen))
            continue;
        assert_int_equal(world_wait(pid), -SIGKILL);
        (void)close(fd);
        (void)check_after_crash(world, seen);
        world_close(world);
    }
}

static int append_within_limit(const struct world *world, int pipe_fd, uint64_t limit)
{
    const struct rlimit bytes = {limit, limit};

    (void)signal(SIGXFSZ, SIG_IGN);
    if (setrlimit(RLIMIT_FSIZE, &bytes) != 0) return 9;
    return append_for_ever(world, pipe_fd, limit);
}

static void a_refused_write_stops_the_log_and_loses_nothing(void **state)
{
    (void)state;
    /* On a page boundary, within a record's page, and within the very first record. */
    static const uint64_t limits[] = {20480, 100000, 126976, 131072, 200000};

    for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++) {
        struct world *world = world_open();
        uint64_t seen = 0;
        int pid = 0;
        const int fd = world_fork(world, append_within_limit, limits[i], &pid);
        while (world_read(fd, &seen, sizeof seen))
            continue;
        assert_int_equal(world_wait(pid), 0);
        (void)close(fd);
        (void)check_after_crash(world, seen);
        world_close(world);
    }
}

#define NO_MOUNT 77

/* On a file system of 1 MB of its own, which goes away with the child: it checks itself. */
static int fill_small_disk(const struct world *world, int pipe_fd, uint64_t argument)
{
    struct world inner = *world;
    struct batch_log *log = NULL;
    int ends[2];
    int pid = 0;

    (void)argument;
    if (unshare(CLONE_NEWNS) != 0 && unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) return NO_MOUNT;
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0) return NO_MOUNT;
    if (mount("tmpfs", world->directory, "tmpfs", 0, "size=1m,mode=700") != 0) return NO_MOUNT;
    ends[0] = world_fork(&inner, append_for_ever, 3, &pid);
    uint64_t seen = 0;
    while (world_read(ends[0], &seen, sizeof seen))
        continue;
    if (world_wait(pid) != 0 || seen < 20) return 1;
    if (batch_world_try_open(&inner, &log) != OK || batch_world_found.count < seen) return 2;
    for (uint64_t i = 0; i < seen; i++) {
        if (batch_world_read(log, i, 20000) != OK) return 3;
    }
    batch_log_close(log);
    return write(pipe_fd, &seen, sizeof seen) == sizeof seen ? 0 : 4;
}

static void a_full_disk_stops_the_log_and_loses_nothing(void **state)
{
    (void)state;
    struct world *world = world_open();
    int pid = 0;
    const int fd = world_fork(world, fill_small_disk, 0, &pid);
    const int code = world_wait(pid);

    (void)close(fd);
    world_close(world);
    if (code == NO_MOUNT) {
        print_message("SKIPPED: no file system can be mounted here\n");
        skip();
    }
    assert_int_equal(code, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(batches_of_all_sizes_come_back),
        cmocka_unit_test(works_without_direct_writes_too),
        cmocka_unit_test(both_ways_of_writing_mix_in_one_file),
        cmocka_unit_test(batch_that_a_peer_sent_first_becomes_our_own),
        cmocka_unit_test(many_small_batches_are_all_found_again),
        cmocka_unit_test(a_batch_is_written_once),
        cmocka_unit_test(the_ring_answers_without_the_disk_and_stays_within_its_bound),
        cmocka_unit_test(a_missing_directory_is_not_made_up),
        cmocka_unit_test(segments_go_when_nothing_kept_needs_them),
        cmocka_unit_test(a_batch_asked_for_keeps_its_segment),
        cmocka_unit_test(after_a_start_segments_wait_for_a_whole_retention),
        cmocka_unit_test(nothing_acknowledged_is_lost_when_the_process_is_killed),
        cmocka_unit_test(a_refused_write_stops_the_log_and_loses_nothing),
        cmocka_unit_test(a_full_disk_stops_the_log_and_loses_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
