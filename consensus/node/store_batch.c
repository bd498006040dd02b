#include "consensus/node/store.h"

#include <stdlib.h>

/* A change: kind u8 | table u8 | key length u8 | value length u32 | key | value. */
#define CHANGE_BYTES 7u

/* A batch is bounded by what one loop turn persists; far more than that is our own bug. */
#define STORE_BATCH_BYTES_MAX (256u * 1024u * 1024u)

/* Invariants: len <= capacity; the first `len` bytes are `count` whole changes. */
struct store_batch {
    uint8_t *data;
    size_t len;
    size_t capacity;
    size_t count;
};

struct store_batch *store_batch_new(void)
{
    struct store_batch *batch = calloc(1, sizeof *batch);
    CHECK(batch != NULL);
    return batch;
}

void store_batch_free(struct store_batch *batch)
{
    if (batch == NULL) return;
    free(batch->data);
    free(batch);
}

void store_batch_clear(struct store_batch *batch)
{
    batch->len = 0;
    batch->count = 0;
}

size_t store_batch_count(const struct store_batch *batch)
{
    return batch->count;
}

size_t store_batch_bytes(const struct store_batch *batch)
{
    return batch->len;
}

static void store_batch_reserve(struct store_batch *batch, size_t more)
{
    size_t capacity = batch->capacity == 0 ? 1024 : batch->capacity;

    CHECK(more <= STORE_BATCH_BYTES_MAX - batch->len);
    while (capacity - batch->len < more)
        capacity *= 2;
    if (capacity == batch->capacity) return;
    batch->data = realloc(batch->data, capacity);
    CHECK(batch->data != NULL);
    batch->capacity = capacity;
}

static void store_batch_write(struct store_batch *batch,
                              enum store_change_kind kind,
                              enum core_table table,
                              struct bytes key,
                              struct bytes value)
{
    CHECK(table < CORE_TABLES);
    CHECK(key.len >= 1);
    CHECK(key.len <= CORE_KEY_BYTES_MAX);
    CHECK(value.len <= STORE_BATCH_BYTES_MAX);
    store_batch_reserve(batch, CHANGE_BYTES + key.len + value.len);

    struct writer writer = writer_make(batch->data + batch->len, batch->capacity - batch->len);
    writer_u8(&writer, (uint8_t)kind);
    writer_u8(&writer, (uint8_t)table);
    writer_u8(&writer, (uint8_t)key.len);
    writer_u32(&writer, (uint32_t)value.len);
    writer_copy(&writer, key.data, key.len);
    writer_copy(&writer, value.data, value.len);
    CHECK(!writer.failed);
    batch->len += writer.len;
    batch->count++;
}

void store_batch_put(struct store_batch *batch,
                     enum core_table table,
                     struct bytes key,
                     struct bytes value)
{
    store_batch_write(batch, STORE_PUT, table, key, value);
}

void store_batch_delete(struct store_batch *batch, enum core_table table, struct bytes key)
{
    store_batch_write(batch, STORE_DELETE, table, key, (struct bytes){NULL, 0});
}

void store_batch_delete_below(struct store_batch *batch, enum core_table table, struct bytes key)
{
    store_batch_write(batch, STORE_DELETE_BELOW, table, key, (struct bytes){NULL, 0});
}

void store_batch_add(struct store_batch *batch, const struct core_action *action)
{
    const bool put = action->kind == CORE_ACTION_PERSIST;

    CHECK(put || action->kind == CORE_ACTION_ERASE || action->kind == CORE_ACTION_ERASE_BELOW);
    if (put) {
        store_batch_put(batch, action->table, action->key, action->value);
    } else if (action->kind == CORE_ACTION_ERASE) {
        store_batch_delete(batch, action->table, action->key);
    } else {
        store_batch_delete_below(batch, action->table, action->key);
    }
}

bool store_batch_next(const struct store_batch *batch,
                      struct store_change *ret_change,
                      size_t *offset)
{
    CHECK(*offset <= batch->len);
    if (*offset == batch->len) return false;

    struct reader reader = reader_make(batch->data + *offset, batch->len - *offset);
    const size_t before = reader.left;
    struct store_change change;
    change.kind = (enum store_change_kind)reader_u8(&reader);
    change.table = (enum core_table)reader_u8(&reader);
    const size_t key_len = reader_u8(&reader);
    const size_t value_len = reader_u32(&reader);
    change.key = reader_view(&reader, key_len);
    change.value = reader_view(&reader, value_len);
    CHECK(!reader.failed);
    *offset += before - reader.left;
    *ret_change = change;
    return true;
}
