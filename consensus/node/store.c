#include "consensus/node/store.h"

#include <stdlib.h>

#include "consensus/node/store_internal.h"

struct store_cursor {
    rocksdb_iterator_t *iterator;
    bool started;
};

enum status store_status_of(char *error)
{
    if (error == NULL) return OK;
    const bool corrupt = strncmp(error, "Corruption", strlen("Corruption")) == 0;
    rocksdb_free(error);
    return corrupt ? ERR_CORRUPT : ERR_IO;
}

bool store_is_rejoined(const struct store *store)
{
    return store->identity.rejoined;
}

uint64_t store_bytes(const struct store *store)
{
    static const char *const properties[] = {"rocksdb.live-sst-files-size",
                                             "rocksdb.cur-size-all-mem-tables"};
    uint64_t sum = 0;

    for (size_t i = 0; i < store->handles_count; i++) {
        for (size_t j = 0; j < sizeof properties / sizeof properties[0]; j++) {
            uint64_t value = 0;
            if (rocksdb_property_int_cf(store->db, store->handles[i], properties[j], &value) == 0) {
                sum += value;
            }
        }
    }
    return sum;
}

/* ---- writing --------------------------------------------------------------------------------- */

static int key_compare(const void *a, size_t a_len, const void *b, size_t b_len)
{
    const int order = memcmp(a, b, a_len < b_len ? a_len : b_len);
    if (order != 0) return order;
    return a_len < b_len ? -1 : a_len > b_len;
}

/* Deletes from the table's floor up to the key, and moves the floor there. A key at or below the
 * floor has nothing below it. */
static void store_apply_delete_below(struct store *store, const struct store_change *change)
{
    uint8_t *floor = store->floors[change->table].bytes;
    size_t *floor_len = &store->floors[change->table].len;

    CHECK(change->key.len <= CORE_KEY_BYTES_MAX);
    if (key_compare(change->key.data, change->key.len, floor, *floor_len) <= 0) return;
    rocksdb_writebatch_delete_range_cf(store->write_batch, store->families[change->table],
                                       (const char *)floor, *floor_len,
                                       (const char *)change->key.data, change->key.len);
    memcpy(floor, change->key.data, change->key.len);
    *floor_len = change->key.len;
}

static void store_apply(struct store *store, const struct store_change *change)
{
    const char *key = (const char *)change->key.data;

    switch (change->kind) {
    case STORE_PUT:
        /* A row below the floor: the next delete_below has to look there again. */
        if (key_compare(key, change->key.len, store->floors[change->table].bytes,
                        store->floors[change->table].len) < 0) {
            memcpy(store->floors[change->table].bytes, key, change->key.len);
            store->floors[change->table].len = change->key.len;
        }
        rocksdb_writebatch_put_cf(store->write_batch, store->families[change->table], key,
                                  change->key.len, (const char *)change->value.data,
                                  change->value.len);
        return;
    case STORE_DELETE:
        rocksdb_writebatch_delete_cf(store->write_batch, store->families[change->table], key,
                                     change->key.len);
        return;
    case STORE_DELETE_BELOW:
        store_apply_delete_below(store, change);
        return;
    }
    CHECK(false);
}

enum status store_commit(struct store *store, struct store_batch *const *batches, size_t count)
{
    if (store->failed) return ERR_IO;

    rocksdb_writebatch_clear(store->write_batch);
    for (size_t i = 0; i < count; i++) {
        struct store_change change;
        size_t offset = 0;
        while (store_batch_next(batches[i], &change, &offset))
            store_apply(store, &change);
    }

    char *error = NULL;
    rocksdb_write(store->db, store->write_options, store->write_batch, &error);
    rocksdb_writebatch_clear(store->write_batch);
    if (store_status_of(error) == OK) return OK;
    store->failed = true;
    return ERR_IO;
}

/* ---- reading --------------------------------------------------------------------------------- */

enum status store_get(struct store *store,
                      uint8_t **ret_value,
                      size_t *ret_len,
                      enum core_table table,
                      struct bytes key)
{
    char *error = NULL;
    size_t len = 0;

    CHECK(table < CORE_TABLES);
    char *value = rocksdb_get_cf(store->db, store->read_options, store->families[table],
                                 (const char *)key.data, key.len, &len, &error);
    const enum status status = store_status_of(error);
    if (status != OK) return status;
    if (value == NULL) return ERR_NOT_FOUND;
    *ret_value = (uint8_t *)value;
    *ret_len = len;
    return OK;
}

struct store_cursor *store_cursor_open(struct store *store,
                                       enum core_table table,
                                       struct bytes from)
{
    struct store_cursor *cursor = calloc(1, sizeof *cursor);

    CHECK(cursor != NULL);
    CHECK(table < CORE_TABLES);
    cursor->iterator =
        rocksdb_create_iterator_cf(store->db, store->read_options, store->families[table]);
    if (from.len == 0) {
        rocksdb_iter_seek_to_first(cursor->iterator);
    } else {
        rocksdb_iter_seek(cursor->iterator, (const char *)from.data, from.len);
    }
    return cursor;
}

bool store_cursor_next(struct store_cursor *cursor, struct bytes *ret_key, struct bytes *ret_value)
{
    if (cursor->started && rocksdb_iter_valid(cursor->iterator))
        rocksdb_iter_next(cursor->iterator);
    cursor->started = true;
    if (!rocksdb_iter_valid(cursor->iterator)) return false;

    ret_key->data = (const uint8_t *)rocksdb_iter_key(cursor->iterator, &ret_key->len);
    ret_value->data = (const uint8_t *)rocksdb_iter_value(cursor->iterator, &ret_value->len);
    return true;
}

enum status store_cursor_close(struct store_cursor *cursor)
{
    char *error = NULL;
    rocksdb_iter_get_error(cursor->iterator, &error);
    rocksdb_iter_destroy(cursor->iterator);
    free(cursor);
    return store_status_of(error);
}

bool store_is_empty(struct store *store)
{
    bool empty = true;

    for (int table = 0; empty && table < CORE_TABLES; table++) {
        struct store_cursor *cursor =
            store_cursor_open(store, (enum core_table)table, (struct bytes){NULL, 0});
        struct bytes key;
        struct bytes value;

        empty = !store_cursor_next(cursor, &key, &value);
        empty = store_cursor_close(cursor) == OK && empty;
    }
    return empty;
}
