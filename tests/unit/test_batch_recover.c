/* Goal: what was synced is never cut off, and what was torn never comes back. Method: segment files changed
 * behind the log's back at every place where a power loss could tear them, and at others, where it could not. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/unit/batch_world.h"

/* Writes `data` as segment 1, the only one, and opens. */
static struct batch_log *reopen_with(struct world *world, const uint8_t *data, size_t len)
{
    (void)unlink(world_path(world, "batches/00000002.log")); /* begun after a tail was cut off */
    world_write_file(world_path(world, "batches/00000001.log"), data, len);
    return batch_world_open(world);
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
    struct batch_log *log = batch_world_open(world);
    size_t len = 0;

    batch_world_append(log, 0, 2, bytes);
    batch_world_append(log, 2, 1, bytes);
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
            assert_int_equal(batch_world_found.count, kept ? 3 : 2);
            batch_world_holds(log, 0, 2, bytes);
            assert_int_equal(batch_world_read(log, 2, bytes), kept ? OK : ERR_NOT_FOUND);
            batch_world_append(log, 2, 2, bytes);
            batch_log_close(log);
            log = batch_world_open(world);
            assert_int_equal(batch_world_found.count, 4);
            batch_world_holds(log, 0, 4, bytes);
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
    struct batch_log *log = batch_world_open(world);
    size_t len = 0;

    batch_world_append(log, 0, 2, 10000);
    batch_world_append(log, 2, 3, 10000);
    batch_log_close(log);
    uint8_t *data = world_read_file(world_path(world, "batches/00000001.log"), &len);
    memset(data + SEGMENT_PAGE + 2 * record, 0, record);
    log = reopen_with(world, data, len);
    assert_int_equal(batch_world_found.count, 2);
    batch_log_close(log);
    assert_int_equal(world_file_size(world_path(world, "batches/00000001.log")),
                     SEGMENT_PAGE + 2 * record);

    memcpy(data + SEGMENT_PAGE + 3 * record, data + SEGMENT_PAGE + 2 * record,
           100); /* and its successor */
    log = reopen_with(world, data, len);
    assert_int_equal(batch_world_found.count, 2);
    batch_log_close(log);
    free(data);
    world_close(world);
}

/* The last record is torn; of the group before it, which that record said is synced, one batch has rotted and the
 * other is good. Cutting off the torn record must not make the group before it the last one, which is cut off from its
 * first bad batch on. Found by fuzz_batch_log. */
static void a_torn_record_does_not_take_along_the_synced_group_before_it(void **state)
{
    (void)state;
    const size_t record = 12288;
    struct world *world = world_open();
    struct batch_log *log = batch_world_open(world);

    batch_world_append(log, 0, 1, 10000);
    batch_world_append(log, 1, 2, 10000);
    batch_world_append(log, 3, 1, 10000);
    batch_log_close(log);
    world_flip(world_path(world, "batches/00000001.log"), SEGMENT_PAGE + record + 5000);
    world_flip(world_path(world, "batches/00000001.log"), SEGMENT_PAGE + 3 * record + 5000);
    for (int start = 0; start < 3; start++) {
        log = batch_world_open(world);
        assert_int_equal(batch_world_found.count, 3);
        assert_int_equal(batch_world_read(log, 1, 10000), ERR_CORRUPT);
        batch_world_holds(log, 2, 1, 10000);
        batch_log_close(log);
    }
    world_close(world);
}

static void a_damaged_log_header_before_the_last_group_is_corruption(void **state)
{
    (void)state;
    const size_t record = 12288;
    struct world *world = world_open();
    struct batch_log *log = batch_world_open(world);
    size_t len = 0;

    batch_world_append(log, 0, 2, 10000);
    batch_world_append(log, 2, 2, 10000);
    batch_world_append(log, 4, 1, 10000);
    batch_log_close(log);
    uint8_t *data = world_read_file(world_path(world, "batches/00000001.log"), &len);
    for (size_t at = 0; at < 4; at++) {
        const size_t offset = SEGMENT_PAGE + at * record;
        for (size_t byte = 0; byte < SEGMENT_RECORD_BYTES; byte += 7) {
            world_write_file(world_path(world, "batches/00000001.log"), data, len);
            world_flip(world_path(world, "batches/00000001.log"), offset + byte);
            batch_world_is_corrupt(world, "00000001.log", offset);
        }
    }
    /* Cut in the middle: the marks of the records behind the cut are gone with them, but the ones
     * before it are whole, so this can not be told from a torn group, unless a mark beyond the end
     * is seen. */
    world_write_file(world_path(world, "batches/00000001.log"), data,
                     SEGMENT_PAGE + 3 * record + 100);
    log = batch_world_open(world);
    assert_int_equal(batch_world_found.count, 3);
    batch_log_close(log);
    /* Damage to the segment's own header. */
    world_write_file(world_path(world, "batches/00000001.log"), data, len);
    world_flip(world_path(world, "batches/00000001.log"), 30);
    batch_world_is_corrupt(world, "00000001.log", 0);
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
    struct batch_log *log = batch_world_open(world);
    struct batch_log_item item = world_batch(5, 5000);
    size_t len = 0;

    batch_world_append(log, 0, 2, 10000);
    batch_world_append(log, 2, 1, 40000);
    batch_world_append(log, 3, 1, 10000);
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
    log = batch_world_open(world);
    assert_int_equal(batch_world_found.count, 2);
    batch_log_close(log);
    /* With the true record behind it, it was no torn tail. */
    world_write_file(world_path(world, "batches/00000001.log"), data, len);
    batch_world_is_corrupt(world, "00000001.log", torn);
    buffer_unref(item.buffer);
    free(data);
    world_close(world);
}

static void sealed_segments_must_be_whole_and_in_sequence(void **state)
{
    (void)state;
    struct world *world = world_open();
    struct batch_log *log = batch_world_open(world);
    size_t len = 0;

    for (uint64_t i = 0; i < 10; i++)
        batch_world_append(log, i, 4, 30000); /* the same digests do not repeat */
    for (uint64_t i = 100; i < 130; i++)
        batch_world_append(log, i, 1, 30000);
    batch_log_close(log);
    assert_int_equal(access(world_path(world, "batches/00000004.log"), F_OK), 0);
    const char *second = strdup(world_path(world, "batches/00000002.log"));
    uint8_t *data = world_read_file(second, &len);

    world_write_file(second, data, len - 32768); /* one record short */
    batch_world_is_corrupt(world, "00000002.log", len - 32768);
    world_write_file(second, data, len - 100);
    batch_world_is_corrupt(world, "00000002.log", len - 32768); /* the record that is not whole */
    world_write_file(second, data, len);
    world_flip(second, len - 32768);
    batch_world_is_corrupt(world, "00000002.log", len - 32768);
    assert_int_equal(unlink(second), 0);
    struct batch_log *none = NULL;
    assert_int_equal(batch_world_try_open(world, &none), ERR_CORRUPT);
    world_write_file(second, data, len);
    batch_log_close(batch_world_open(world));
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
    struct batch_log *log = batch_world_open(world);

    batch_world_append(log, 0, 3, 30000);
    batch_log_close(log);
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        world_write_file(world_path(world, "batches/00000002.log"), zeros, lengths[i]);
        log = batch_world_open(world);
        batch_world_holds(log, 0, 3, 30000);
        assert_int_not_equal(access(world_path(world, "batches/00000002.log"), F_OK), 0);
        batch_log_close(log);
    }
    log = batch_world_open(world);
    batch_world_append(log, 3, 10, 30000);
    batch_log_close(log);
    log = batch_world_open(world);
    batch_world_holds(log, 0, 13, 30000);
    batch_log_close(log);
    world_close(world);
}

static void rot_is_seen_on_reading_and_mended_by_appending_again(void **state)
{
    (void)state;
    struct world *world = world_open();
    struct batch_log *log = batch_world_open(world);

    batch_world_append(log, 0, 3, 10000);
    batch_world_append(log, 3, 1, 10000);
    world_flip(world_path(world, "batches/00000001.log"),
               SEGMENT_PAGE + 12288 + 5000); /* data of 1 */
    world_flip(world_path(world, "batches/00000001.log"),
               SEGMENT_PAGE + 2 * 12288 + 50); /* header of 2 */
    assert_int_equal(batch_world_read(log, 0, 10000), OK);
    assert_int_equal(batch_world_read(log, 1, 10000), ERR_CORRUPT);
    assert_int_equal(batch_world_read(log, 1, 10000), ERR_NOT_FOUND);
    assert_int_equal(batch_world_read(log, 2, 10000), ERR_CORRUPT);
    batch_world_append(log, 1, 1, 10000);
    batch_world_holds(log, 0, 2, 10000);
    batch_log_close(log);
    batch_world_is_corrupt(world, "00000001.log",
                           SEGMENT_PAGE + 2 * 12288); /* a start must not skip it */
    world_flip(world_path(world, "batches/00000001.log"), SEGMENT_PAGE + 2 * 12288 + 50);
    log = batch_world_open(world);
    batch_world_holds(log, 0, 4, 10000); /* the second copy of 1 counts */
    batch_log_close(log);
    world_close(world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_last_record_torn_anywhere_is_cut_off),
        cmocka_unit_test(a_hole_in_the_last_group_cuts_the_rest_of_it),
        cmocka_unit_test(a_torn_record_does_not_take_along_the_synced_group_before_it),
        cmocka_unit_test(a_damaged_log_header_before_the_last_group_is_corruption),
        cmocka_unit_test(neither_content_nor_stale_blocks_can_pose_as_a_record),
        cmocka_unit_test(sealed_segments_must_be_whole_and_in_sequence),
        cmocka_unit_test(an_unfinished_new_segment_is_dropped),
        cmocka_unit_test(rot_is_seen_on_reading_and_mended_by_appending_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
