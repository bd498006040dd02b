#include "tests/unit/core_world_store.h"

#include <stdlib.h>

void *world_grow(void *array, size_t *capacity, size_t count, size_t size)
{
    if (count < *capacity) return array;
    *capacity = *capacity == 0 ? 64 : 2 * *capacity;
    array = realloc(array, *capacity * size);
    CHECK(array != NULL);
    return array;
}

int world_key_compare(const struct row *row, struct bytes key)
{
    size_t len = row->key_len < key.len ? row->key_len : key.len;
    int order = memcmp(row->key, key.data, len);

    if (order != 0) return order;
    return row->key_len < key.len ? -1 : row->key_len > key.len;
}

size_t world_table_lower(const struct table *table, struct bytes key)
{
    size_t low = 0;
    size_t high = table->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (world_key_compare(&table->rows[middle], key) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

void world_table_erase(struct table *table, size_t first, size_t count)
{
    if (count == 0) return; /* an empty table has no rows to move */
    for (size_t i = first; i < first + count; i++)
        free(table->rows[i].value);
    memmove(&table->rows[first], &table->rows[first + count],
            sizeof *table->rows * (table->count - first - count));
    table->count -= count;
}

void world_table_erase_key(struct table *table, struct bytes key)
{
    size_t at = world_table_lower(table, key);

    if (at < table->count && world_key_compare(&table->rows[at], key) == 0)
        world_table_erase(table, at, 1);
}

void world_table_put(struct table *table, struct bytes key, struct bytes value)
{
    size_t at = world_table_lower(table, key);
    struct row *row;

    if (at < table->count && world_key_compare(&table->rows[at], key) == 0) {
        free(table->rows[at].value);
    } else {
        table->rows = world_grow(table->rows, &table->capacity, table->count, sizeof *table->rows);
        memmove(&table->rows[at + 1], &table->rows[at], sizeof *table->rows * (table->count - at));
        table->count++;
    }
    row = &table->rows[at];
    memcpy(row->key, key.data, key.len);
    row->key_len = key.len;
    row->value = malloc(value.len + 1);
    CHECK(row->value != NULL);
    memcpy(row->value, value.data, value.len);
    row->value_len = value.len;
}

void world_table_free(struct table *table)
{
    world_table_erase(table, 0, table->count);
    free(table->rows);
}

void world_table_recover(const struct table *table, struct core *core, enum core_table number)
{
    uint8_t key[CORE_KEY_BYTES_MAX];
    size_t len = core_recover_first(core, number, key);

    if (len == SIZE_MAX) return;
    for (size_t i = world_table_lower(table, (struct bytes){key, len}); i < table->count; i++) {
        const struct row *row = &table->rows[i];

        CHECK(core_recover(core, number, (struct bytes){row->key, row->key_len},
                           (struct bytes){row->value, row->value_len}) == OK);
    }
}
