/* Goal: the batch log returns exactly what was appended or says why not; what was synced is never
 * cut off and what was torn never comes back. Method: real segment files of small size, changed
 * behind the log's back at every place a power loss could tear; children that are killed or run out
 * of disk. */
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/bytes.h"
#include "consensus/node/batch_segment.h"
#include "tests/unit/storage_world.h"

#define SEGMENT_BYTES (256u * 1024u)
#define FOUND_MAX     4096u

/* Records in the order in which opening found them. */
static struct {
    struct batch_record records[FOUND_MAX];
    size_t count;
} found;

static void note_found(void *context, const struct batch_record *record)
{
    assert_ptr_equal(context, &found);
    assert_true(found.count < FOUND_MAX);
    found.records[found.count++] = *record;
}

static struct batch_log_options log_options(const struct world *world)
{
    return (struct batch_log_options){.directory = world_path(world, "batches"),
                                      .create = true,
                                      .segment_bytes = SEGMENT_BYTES,
                                      .found = note_found,
                                      .context = &found};
}

static enum status try_open(struct world *world, struct batch_log **ret_log)
{
    const struct batch_log_options options = log_options(world);
    found.count = 0;
    return batch_log_open(ret_log, world->error, &options);
}

static struct batch_log *open_log(struct world *world)
{
    struct batch_log *log = NULL;
    if (try_open(world, &log) != OK) fail_msg("%s", world->error);
    return log;
}

/* Batches `first` .. `first` + `count` - 1, as one group. */
static void append(struct batch_log *log, uint64_t first, size_t count, size_t bytes)
{
    struct batch_log_item items[BATCH_LOG_GROUP_MAX];
    for (size_t i = 0; i < count; i++)
        items[i] = world_batch(first + i, bytes);
    assert_int_equal(batch_log_append(log, items, count), OK);
    for (size_t i = 0; i < count; i++)
        buffer_unref(items[i].buffer);
}

/* What reading batch `number` says; when OK it is the right one. */
static enum status check_read(struct batch_log *log, uint64_t number, size_t bytes)
{
    struct batch_log_item expected = world_batch(number, bytes);
    struct batch_record record;
    struct buffer *buffer = NULL;
    const enum status status = batch_log_read(log, &buffer, &record, &expected.record.digest);

    if (status == OK) {
        assert_int_equal(record.bytes, expected.record.bytes);
        assert_int_equal(record.transactions, expected.record.transactions);
        assert_int_equal(record.author, expected.record.author);
        assert_int_equal(record.created_at, expected.record.created_at);
        assert_int_equal(record.own, expected.record.own);
        assert_memory_equal(buffer->data + BUFFER_BATCH, expected.buffer->data + BUFFER_BATCH,
                            record.bytes);
        buffer_unref(buffer);
    }
    buffer_unref(expected.buffer);
    return status;
}

static void holds(struct batch_log *log, uint64_t first, size_t count, size_t bytes)
{
    for (size_t i = 0; i < count; i++)
        assert_int_equal(check_read(log, first + i, bytes), OK);
}

static void batches_of_all_sizes_come_back(void **state)
{
    (void)state;
    static const size_t sizes[] = {16,    200,   3960,   3964,   3966,   3967,  3968,
                                   3969,  3970,  4096,   8063,   8064,   8065,  65536,
                                   70000, 99999, 262140, 300000, 479990, 480000};
    struct world *world = world_open();
    struct batch_log *log = open_log(world);

    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
        append(log, i, 1, sizes[i]);
    for (int pass = 0; pass < 2; pass++) {
        for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
            assert_int_equal(check_read(log, i, sizes[i]), OK);
        }
        assert_int_equal(check_read(log, 999, 200), ERR_NOT_FOUND);
        batch_log_close(log);
        log = open_log(world);
        assert_int_equal(found.count, sizeof sizes / sizeof sizes[0]);
        for (size_t i = 0; i < found.count; i++) {
            assert_int_equal(found.records[i].created_at, 1000 + i); /* in append order */
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
    struct batch_log_options options = log_options(world);
    struct batch_log *log = NULL;
    struct batch_log_stats stats;

    options.buffered = true;
    assert_int_equal(batch_log_open(&log, world->error, &options), OK);
    append(log, 0, 20, 30000);
    batch_log_get_stats(log, &stats);
    assert_false(stats.direct);
    batch_log_close(log);
    log = open_log(world);
    holds(log, 0, 20, 30000);
    batch_log_close(log);
    world_close(world);
}

static void many_small_batches_are_all_found_again(void **state)
{
    (void)state;
    struct world *world = world_open();
    struct batch_log *log = open_log(world);
    struct batch_record record;

    for (uint64_t i = 0; i < 3000; i += 60)
        append(log, i, 60, 40);
    batch_log_close(log);
    log = open_log(world);
    assert_int_equal(found.count, 3000);
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
    struct batch_log *log = open_log(world);
    struct batch_log_item items[3] = {world_batch(1, 5000), world_batch(1, 5000),
                                      world_batch(2, 5000)};
    struct batch_log_stats stats;

    assert_int_equal(batch_log_append(log, items, 3), OK);
    append(log, 1, 2, 5000);
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
    struct batch_log_options options = log_options(world);
    struct batch_log *log = NULL;
    struct batch_log_stats stats;

    options.ring_bytes = 4 * 65536;
    assert_int_equal(batch_log_open(&log, world->error, &options), OK);
    append(log, 0, 10, 60000); /* buffers of 65536 bytes: the last four stay */
    holds(log, 6, 4, 60000);
    batch_log_get_stats(log, &stats);
    assert_int_equal(stats.ring_hits, 4);
    assert_int_equal(stats.disk_reads, 0);
    holds(log, 0, 6, 60000);
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
    assert_int_equal(check_read(log, 100, 100), OK);
    holds(log, 7, 3, 60000);
    batch_log_get_stats(log, &stats);
    assert_int_equal(stats.ring_hits, 8);
    batch_log_close(log);
    world_close(world);
}

/* ---- torn tails ------------------------------------------------------------------------------ */

/* Writes `data` as segment 1 and opens. */
static struct batch_log *reopen_with(struct world *world, const uint8_t *data, size_t len)
{
    world_write_file(world_path(world, "batches/00000001.log"), data, len);
    return open_log(world);
}

/* Whatever a power loss leaves of the last group: the last record cut or zeroed from every 512-byte
 * boundary on, or zero up to there. The records before it stay, and the log can be written to
 * again. */
static void a_last_record_torn_anywhere_is_cut_off(void **state)
{
    (void)state;
    const size_t bytes = 10000;
    const size_t record = 12288;
    const size_t begin = SEGMENT_PAGE + 2 * record;
    struct world *world = world_open();
    struct batch_log *log = open_log(world);
    size_t len = 0;

    append(log, 0, 2, bytes);
    append(log, 2, 1, bytes);
    batch_log_close(log);
    uint8_t *whole = world_read_file(world_path(world, "batches/00000001.log"), &len);
    assert_int_equal(len, begin + record);
    uint8_t *torn = malloc(len);
    assert_non_null(torn);
    for (size_t at = 0; at < record; at += 512) {
        const bool padding_only = at >= BUFFER_BATCH + bytes;
        for (int kind = 0; kind < 3; kind++) {
            size_t torn_len = len;
            memcpy(torn, whole, len);
            if (kind == 0) torn_len = begin + at;
            if (kind == 1) memset(torn + begin + at, 0, record - at);
            if (kind == 2) memset(torn + begin, 0, at + 1);
            log = reopen_with(world, torn, torn_len);
            const bool kept = kind == 1 && padding_only;
            assert_int_equal(found.count, kept ? 3 : 2);
            holds(log, 0, 2, bytes);
            assert_int_equal(check_read(log, 2, bytes), kept ? OK : ERR_NOT_FOUND);
            append(log, 2, 2, bytes);
            batch_log_close(log);
            log = open_log(world);
            assert_int_equal(found.count, 4);
            holds(log, 0, 4, bytes);
            batch_log_close(log);
        }
    }
    free(torn);
    free(whole);
    world_close(world);
}

/* Of a group of three written at once, the first record is lost and the others are there: none was
 * acknowledged, all go. */
static void a_hole_in_the_last_group_cuts_the_rest_of_it(void **state)
{
    (void)state;
    const size_t record = 12288;
    struct world *world = world_open();
    struct batch_log *log = open_log(world);
    size_t len = 0;

    append(log, 0, 2, 10000);
    append(log, 2, 3, 10000);
    batch_log_close(log);
    uint8_t *data = world_read_file(world_path(world, "batches/00000001.log"), &len);
    memset(data + SEGMENT_PAGE + 2 * record, 0, record);
    log = reopen_with(world, data, len);
    assert_int_equal(found.count, 2);
    batch_log_close(log);
    assert_int_equal(world_file_size(world_path(world, "batches/00000001.log")),
                     SEGMENT_PAGE + 2 * record);

    memcpy(data + SEGMENT_PAGE + 3 * record, data + SEGMENT_PAGE + 2 * record,
           100); /* and its successor */
    world_write_file(world_path(world, "batches/00000001.log"), data, len);
    log = open_log(world);
    assert_int_equal(found.count, 2);
    batch_log_close(log);
    free(data);
    world_close(world);
}

static void corrupt_at(struct world *world, const char *file, uint64_t offset)
{
    struct batch_log *log = NULL;
    char expected[STORE_ERROR_BYTES];

    (void)snprintf(expected, sizeof expected,
                   "%s/batches/%s: corrupt at offset %llu, start with --rejoin", world->directory,
                   file, (unsigned long long)offset);
    world->error[0] = '\0';
    assert_int_equal(try_open(world, &log), ERR_CORRUPT);
    assert_string_equal(world->error, expected);
}

static void a_damaged_log_header_before_the_last_group_is_corruption(void **state)
{
    (void)state;
    const size_t record = 12288;
    struct world *world = world_open();
    struct batch_log *log = open_log(world);
    size_t len = 0;

    append(log, 0, 2, 10000);
    append(log, 2, 2, 10000);
    append(log, 4, 1, 10000);
    batch_log_close(log);
    uint8_t *data = world_read_file(world_path(world, "batches/00000001.log"), &len);
    for (size_t at = 0; at < 4; at++) {
        const size_t offset = SEGMENT_PAGE + at * record;
        for (size_t byte = 0; byte < SEGMENT_RECORD_BYTES; byte += 7) {
            world_write_file(world_path(world, "batches/00000001.log"), data, len);
            world_flip(world_path(world, "batches/00000001.log"), offset + byte);
            corrupt_at(world, "00000001.log", offset);
        }
    }
    /* Cut in the middle: the marks of the records behind the cut are gone with them, but the ones
     * before it are whole, so this can not be told from a torn group, unless a mark beyond the end
     * is seen. */
    world_write_file(world_path(world, "batches/00000001.log"), data,
                     SEGMENT_PAGE + 3 * record + 100);
    log = open_log(world);
    assert_int_equal(found.count, 3);
    batch_log_close(log);
    /* Damage to the segment's own header. */
    world_write_file(world_path(world, "batches/00000001.log"), data, len);
    world_flip(world_path(world, "batches/00000001.log"), 30);
    corrupt_at(world, "00000001.log", 0);
    free(data);
    world_close(world);
}

/* A torn record, in whose place something lies that looks like a record from after it was synced:
 * what a peer put into its batch without knowing the salt, or the true header of another place.
 * Neither turns the torn tail into corruption, nor into records. */
static void neither_content_nor_stale_blocks_can_pose_as_a_record(void **state)
{
    (void)state;
    struct world *world = world_open();
    struct batch_log *log = open_log(world);
    struct batch_log_item item = world_batch(5, 5000);
    size_t len = 0;

    append(log, 0, 2, 10000);
    append(log, 2, 1, 40000);
    append(log, 3, 1, 10000);
    batch_log_close(log);
    uint8_t *data = world_read_file(world_path(world, "batches/00000001.log"), &len);
    const size_t torn = SEGMENT_PAGE + 2 * 12288;
    const size_t last = len - 12288;
    struct segment segment = {.number = 1, .synced = last};
    memset(data + torn, 0, SEGMENT_PAGE);
    memcpy(data + torn + SEGMENT_PAGE, data + last, SEGMENT_RECORD_BYTES);
    segment_record_encode(data + torn + 2 * SEGMENT_PAGE, &segment, torn + 2 * SEGMENT_PAGE,
                          &item.record);
    world_write_file(world_path(world, "batches/00000001.log"), data, last);
    log = open_log(world);
    assert_int_equal(found.count, 2);
    batch_log_close(log);
    /* With the true record behind it, it was no torn tail. */
    world_write_file(world_path(world, "batches/00000001.log"), data, len);
    corrupt_at(world, "00000001.log", torn);
    buffer_unref(item.buffer);
    free(data);
    world_close(world);
}

static void sealed_segments_must_be_whole_and_in_sequence(void **state)
{
    (void)state;
    struct world *world = world_open();
    struct batch_log *log = open_log(world);
    size_t len = 0;

    for (uint64_t i = 0; i < 10; i++)
        append(log, i, 4, 30000); /* the same digests do not repeat */
    for (uint64_t i = 100; i < 130; i++)
        append(log, i, 1, 30000);
    batch_log_close(log);
    assert_int_equal(access(world_path(world, "batches/00000004.log"), F_OK), 0);
    const char *second = strdup(world_path(world, "batches/00000002.log"));
    uint8_t *data = world_read_file(second, &len);

    world_write_file(second, data, len - 32768); /* one record short */
    corrupt_at(world, "00000002.log", len - 32768);
    world_write_file(second, data, len - 100);
    corrupt_at(world, "00000002.log", len - 32768); /* the record that is not whole */
    world_write_file(second, data, len);
    world_flip(second, len - 32768);
    corrupt_at(world, "00000002.log", len - 32768);
    assert_int_equal(unlink(second), 0);
    struct batch_log *none = NULL;
    assert_int_equal(try_open(world, &none), ERR_CORRUPT);
    world_write_file(second, data, len);
    batch_log_close(open_log(world));
    free(data);
    free((void *)(uintptr_t)second);
    world_close(world);
}

static void an_unfinished_new_segment_is_dropped(void **state)
{
    (void)state;
    static const size_t lengths[] = {0, 1, 512, 4095, 4096};
    uint8_t zeros[SEGMENT_PAGE] = {0};
    struct world *world = world_open();
    struct batch_log *log = open_log(world);

    append(log, 0, 3, 30000);
    batch_log_close(log);
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        world_write_file(world_path(world, "batches/00000002.log"), zeros, lengths[i]);
        log = open_log(world);
        holds(log, 0, 3, 30000);
        assert_int_not_equal(access(world_path(world, "batches/00000002.log"), F_OK), 0);
        batch_log_close(log);
    }
    log = open_log(world);
    append(log, 3, 10, 30000);
    batch_log_close(log);
    log = open_log(world);
    holds(log, 0, 13, 30000);
    batch_log_close(log);
    world_close(world);
}

static void rot_is_seen_on_reading_and_mended_by_appending_again(void **state)
{
    (void)state;
    struct world *world = world_open();
    struct batch_log *log = open_log(world);

    append(log, 0, 3, 10000);
    append(log, 3, 1, 10000);
    world_flip(world_path(world, "batches/00000001.log"),
               SEGMENT_PAGE + 12288 + 5000); /* data of 1 */
    world_flip(world_path(world, "batches/00000001.log"),
               SEGMENT_PAGE + 2 * 12288 + 50); /* header of 2 */
    assert_int_equal(check_read(log, 0, 10000), OK);
    assert_int_equal(check_read(log, 1, 10000), ERR_CORRUPT);
    assert_int_equal(check_read(log, 1, 10000), ERR_NOT_FOUND);
    assert_int_equal(check_read(log, 2, 10000), ERR_CORRUPT);
    append(log, 1, 1, 10000);
    holds(log, 0, 2, 10000);
    batch_log_close(log);
    corrupt_at(world, "00000001.log", SEGMENT_PAGE + 2 * 12288); /* a start must not skip it */
    world_flip(world_path(world, "batches/00000001.log"), SEGMENT_PAGE + 2 * 12288 + 50);
    log = open_log(world);
    holds(log, 0, 4, 10000); /* the second copy of 1 counts */
    batch_log_close(log);
    world_close(world);
}

static void a_missing_directory_is_not_made_up(void **state)
{
    (void)state;
    struct world *world = world_open();
    struct batch_log_options options = log_options(world);
    struct batch_log *log = NULL;

    options.create = false;
    assert_int_equal(batch_log_open(&log, world->error, &options), ERR_NOT_FOUND);
    world_close(world);
}

/* ---- retention ------------------------------------------------------------------------------- */

static uint64_t segments_of(const struct batch_log *log)
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
    struct batch_log *log = open_log(world);
    bool deleted = true;

    /* 7 records of 32 KB fill a segment; batch i is executed by pre-block i + 1 of round 10 (i +
     * 1). */
    for (uint64_t i = 0; i < 28; i++) {
        append(log, i, 1, 30000);
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
    assert_int_equal(check_read(log, 0, 30000), ERR_NOT_FOUND);
    assert_int_equal(check_read(log, 6, 30000), ERR_NOT_FOUND);
    holds(log, 7, 21, 30000);
    /* The segment being written stays whatever happens. */
    for (int i = 0; i < 5; i++)
        assert_int_equal(batch_log_retain(log, &deleted, 1000, 100000), OK);
    assert_false(deleted);
    assert_int_equal(segments_of(log), 1);
    holds(log, 21, 7, 30000);
    append(log, 0, 1, 30000); /* what was deleted can be stored again */
    holds(log, 0, 1, 30000);
    batch_log_close(log);
    log = open_log(world);
    holds(log, 21, 7, 30000);
    holds(log, 0, 1, 30000);
    batch_log_close(log);
    world_close(world);
}

static void a_batch_asked_for_keeps_its_segment(void **state)
{
    (void)state;
    struct world *world = world_open();
    struct batch_log *log = open_log(world);
    struct batch_log_item item = world_batch(0, 30000);
    struct batch_record record;
    bool deleted = true;

    for (uint64_t i = 0; i < 14; i++)
        append(log, i, 1, 30000);
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
    struct batch_log *log = open_log(world);
    bool deleted = true;

    for (uint64_t i = 0; i < 14; i++)
        append(log, i, 1, 30000);
    batch_log_close(log);
    log = open_log(world);
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
    struct batch_log_options options = log_options(world);
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
    struct batch_log *log = open_log(world);

    assert_true(found.count >= seen);
    for (size_t i = 0; i < found.count; i++)
        assert_int_equal(found.records[i].created_at, 1000 + i);
    holds(log, 0, seen, 20000);
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
    if (try_open(&inner, &log) != OK || found.count < seen) return 2;
    for (uint64_t i = 0; i < seen; i++) {
        if (check_read(log, i, 20000) != OK) return 3;
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
        cmocka_unit_test(many_small_batches_are_all_found_again),
        cmocka_unit_test(a_batch_is_written_once),
        cmocka_unit_test(the_ring_answers_without_the_disk_and_stays_within_its_bound),
        cmocka_unit_test(a_last_record_torn_anywhere_is_cut_off),
        cmocka_unit_test(a_hole_in_the_last_group_cuts_the_rest_of_it),
        cmocka_unit_test(a_damaged_log_header_before_the_last_group_is_corruption),
        cmocka_unit_test(neither_content_nor_stale_blocks_can_pose_as_a_record),
        cmocka_unit_test(sealed_segments_must_be_whole_and_in_sequence),
        cmocka_unit_test(an_unfinished_new_segment_is_dropped),
        cmocka_unit_test(rot_is_seen_on_reading_and_mended_by_appending_again),
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
