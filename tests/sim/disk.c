#include "tests/sim/disk.h"

#include <stdlib.h>

#define BATCH_ROTTEN 0x80u
#define BATCH_LOST   0x40u
#define BATCH_AUTHOR 0x3fu

void disk_open(struct disk *disk)
{
    *disk = (struct disk){.unit = 1};
}

static void close_tables(struct disk *disk)
{
    for (size_t i = 0; i < CORE_TABLES; i++)
        table_close(&disk->tables[i]);
}

void disk_close(struct disk *disk)
{
    close_tables(disk);
    free(disk->operations);
    free(disk->bytes);
    free(disk->batches);
    *disk = (struct disk){0};
}

static void append_bytes(struct disk *disk, struct bytes bytes)
{
    if (disk->bytes_len + bytes.len > disk->bytes_capacity) {
        disk->bytes_capacity = (disk->bytes_len + bytes.len) * 2 + 4096;
        disk->bytes = realloc(disk->bytes, disk->bytes_capacity);
        CHECK(disk->bytes != NULL);
    }
    if (bytes.len > 0) memcpy(disk->bytes + disk->bytes_len, bytes.data, bytes.len);
    disk->bytes_len += bytes.len;
}

void disk_write(struct disk *disk,
                enum disk_operation_kind kind,
                enum core_table table,
                struct bytes key,
                struct bytes value)
{
    CHECK(table < CORE_TABLES);
    if (disk->dropped_tables >> table & 1) return;
    if (disk->operations_count == disk->operations_capacity) {
        disk->operations_capacity = disk->operations_capacity * 2 + 64;
        disk->operations =
            realloc(disk->operations, disk->operations_capacity * sizeof *disk->operations);
        CHECK(disk->operations != NULL);
    }
    disk->operations[disk->operations_count++] =
        (struct disk_operation){kind, table, disk->unit, disk->bytes_len, key.len, value.len};
    append_bytes(disk, key);
    append_bytes(disk, value);
}

uint64_t disk_last_unit(const struct disk *disk)
{
    return disk->operations_count == 0 ? disk->durable
                                       : disk->operations[disk->operations_count - 1].unit;
}

void disk_commit(struct disk *disk)
{
    if (!disk_is_clean(disk) && disk_last_unit(disk) == disk->unit) disk->unit++;
}

bool disk_is_clean(const struct disk *disk)
{
    return disk->operations_count == 0;
}

uint64_t disk_begin_sync(struct disk *disk)
{
    if (disk->syncing != 0 || disk->operations_count == 0) return 0;
    disk->syncing = disk_last_unit(disk);
    return disk->syncing;
}

static void apply(struct disk *disk, const struct disk_operation *operation)
{
    struct table *table = &disk->tables[operation->table];
    struct bytes key = {disk->bytes + operation->key_at, operation->key_len};
    struct bytes value = {key.data + key.len, operation->value_len};

    switch (operation->kind) {
    case DISK_PUT:
        table_put(table, key, value);
        break;
    case DISK_ERASE:
        table_erase(table, key);
        break;
    case DISK_ERASE_BELOW:
        table_erase_below(table, key);
        break;
    }
}

/* Applies the waiting operations of units up to `unit` and forgets them. */
static void apply_up_to(struct disk *disk, uint64_t unit)
{
    size_t done = 0;

    while (done < disk->operations_count && disk->operations[done].unit <= unit)
        apply(disk, &disk->operations[done++]);
    size_t left = disk->operations_count - done;
    size_t cut = left == 0 ? disk->bytes_len : disk->operations[done].key_at;
    if (left > 0) {
        memmove(disk->operations, disk->operations + done, left * sizeof *disk->operations);
        memmove(disk->bytes, disk->bytes + cut, disk->bytes_len - cut);
        for (size_t i = 0; i < left; i++)
            disk->operations[i].key_at -= cut;
    }
    disk->operations_count = left;
    disk->bytes_len -= cut;
    disk->durable = u64_max(disk->durable, unit);
}

void disk_finish_sync(struct disk *disk, uint64_t unit)
{
    CHECK(disk->syncing == unit);
    disk->syncing = 0;
    apply_up_to(disk, unit);
}

/* The record of a lost batch is still in the log, and a start lists it. */
static void list_lost_batches(struct disk *disk)
{
    for (size_t i = 0; i < disk->batches_capacity; i++)
        if (disk_batch_is_lost(disk, i))
            disk->batches[i] = (disk->batches[i] & BATCH_AUTHOR) | BATCH_ROTTEN;
}

void disk_copy(struct disk *ret_copy, const struct disk *disk)
{
    disk_open(ret_copy);
    ret_copy->keeps = disk->keeps;
    ret_copy->dropped_tables = disk->dropped_tables;
    for (size_t i = 0; i < CORE_TABLES; i++)
        table_copy(&ret_copy->tables[i], &disk->tables[i]);
    if (disk->batches_capacity == 0) return;
    ret_copy->batches = malloc(disk->batches_capacity);
    CHECK(ret_copy->batches != NULL);
    memcpy(ret_copy->batches, disk->batches, disk->batches_capacity);
    ret_copy->batches_capacity = disk->batches_capacity;
    list_lost_batches(ret_copy);
}

void disk_crash(struct disk *disk, struct random *random)
{
    if (disk->operations_count > 0) {
        uint64_t first = disk->operations[0].unit - 1;
        uint64_t last = disk_last_unit(disk);

        if (disk->keeps == DISK_KEEPS_ALL) first = last;
        if (disk->keeps == DISK_KEEPS_NOTHING) last = first;
        apply_up_to(disk, random_between(random, first, last));
    }
    disk->operations_count = 0;
    disk->bytes_len = 0;
    disk->syncing = 0;
    disk->durable = disk->unit++;
    list_lost_batches(disk);
}

void disk_wipe(struct disk *disk)
{
    close_tables(disk);
    disk->operations_count = 0;
    disk->bytes_len = 0;
    disk->syncing = 0;
    disk->durable = disk->unit++;
    if (disk->batches_capacity > 0) memset(disk->batches, 0, disk->batches_capacity);
}

void disk_drop_batch(struct disk *disk, uint64_t batch)
{
    if (batch < disk->batches_capacity) disk->batches[batch] = 0;
    CHECK(!disk_has_batch(disk, batch));
}

bool disk_has_batch(const struct disk *disk, uint64_t batch)
{
    return batch < disk->batches_capacity && disk->batches[batch] != 0 &&
           !disk_batch_is_lost(disk, batch);
}

void disk_rot_batch(struct disk *disk, uint64_t batch)
{
    CHECK(disk_has_batch(disk, batch));
    disk->batches[batch] |= BATCH_ROTTEN;
}

bool disk_batch_is_rotten(const struct disk *disk, uint64_t batch)
{
    return batch < disk->batches_capacity && (disk->batches[batch] & BATCH_ROTTEN) != 0;
}

void disk_lose_batch(struct disk *disk, uint64_t batch)
{
    CHECK(disk_batch_is_rotten(disk, batch));
    disk->batches[batch] = (disk->batches[batch] & BATCH_AUTHOR) | BATCH_LOST;
}

bool disk_batch_is_lost(const struct disk *disk, uint64_t batch)
{
    return batch < disk->batches_capacity && (disk->batches[batch] & BATCH_LOST) != 0;
}

authority_t disk_batch_author(const struct disk *disk, uint64_t batch)
{
    CHECK(batch < disk->batches_capacity);
    CHECK(disk->batches[batch] != 0);
    return (authority_t)((disk->batches[batch] & BATCH_AUTHOR) - 1u);
}

void disk_put_batch(struct disk *disk, uint64_t batch, authority_t author, authority_t self)
{
    if (batch >= disk->batches_capacity) {
        size_t capacity = (size_t)batch * 2 + 256;
        disk->batches = realloc(disk->batches, capacity);
        CHECK(disk->batches != NULL);
        memset(disk->batches + disk->batches_capacity, 0, capacity - disk->batches_capacity);
        disk->batches_capacity = capacity;
    }
    if (!disk_has_batch(disk, batch) || author == self)
        disk->batches[batch] = (uint8_t)(author + 1);
}
