#include "tests/unit/batch_world.h"

#include <stdio.h>

struct batch_world_found batch_world_found;

static void note_found(void *context, const struct batch_record *record)
{
    assert_ptr_equal(context, &batch_world_found);
    assert_true(batch_world_found.count < FOUND_MAX);
    batch_world_found.records[batch_world_found.count++] = *record;
}

struct batch_log_options batch_world_options(const struct world *world)
{
    return (struct batch_log_options){.directory = world_path(world, "batches"),
                                      .create = true,
                                      .segment_bytes = SEGMENT_BYTES,
                                      .found = note_found,
                                      .context = &batch_world_found};
}

enum status batch_world_try_open(struct world *world, struct batch_log **ret_log)
{
    const struct batch_log_options options = batch_world_options(world);
    batch_world_found.count = 0;
    return batch_log_open(ret_log, world->error, &options);
}

struct batch_log *batch_world_open(struct world *world)
{
    struct batch_log *log = NULL;
    if (batch_world_try_open(world, &log) != OK) fail_msg("%s", world->error);
    return log;
}

void batch_world_append(struct batch_log *log, uint64_t first, size_t count, size_t bytes)
{
    struct batch_log_item items[BATCH_LOG_GROUP_MAX] = {0};
    for (size_t i = 0; i < count; i++)
        items[i] = world_batch(first + i, bytes);
    assert_int_equal(batch_log_append(log, items, count), OK);
    for (size_t i = 0; i < count; i++)
        buffer_unref(items[i].buffer);
}

enum status batch_world_read(struct batch_log *log, uint64_t number, size_t bytes)
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

void batch_world_holds(struct batch_log *log, uint64_t first, size_t count, size_t bytes)
{
    for (size_t i = 0; i < count; i++)
        assert_int_equal(batch_world_read(log, first + i, bytes), OK);
}

void batch_world_is_corrupt(struct world *world, const char *file, uint64_t offset)
{
    struct batch_log *log = NULL;
    char expected[STORE_ERROR_BYTES];

    (void)snprintf(expected, sizeof expected,
                   "%s/batches/%s: corrupt at offset %llu, start with --rejoin", world->directory,
                   file, (unsigned long long)offset);
    world->error[0] = '\0';
    assert_int_equal(batch_world_try_open(world, &log), ERR_CORRUPT);
    assert_string_equal(world->error, expected);
}
