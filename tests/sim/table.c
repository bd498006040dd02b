#include "tests/sim/table.h"

#include <stdlib.h>

static int compare(struct bytes a, struct bytes b)
{
    size_t len = a.len < b.len ? a.len : b.len;
    int order = len > 0 ? memcmp(a.data, b.data, len) : 0;

    if (order != 0) return order;
    return a.len < b.len ? -1 : a.len > b.len;
}

static struct bytes entry_key(const struct table_entry *entry)
{
    return (struct bytes){entry->data, entry->key_len};
}

struct bytes table_key(const struct table *table, size_t position)
{
    CHECK(position < table->count);
    return entry_key(table->entries[table->begin + position]);
}

struct bytes table_value(const struct table *table, size_t position)
{
    CHECK(position < table->count);
    const struct table_entry *entry = table->entries[table->begin + position];
    return (struct bytes){entry->data + entry->key_len, entry->value_len};
}

size_t table_seek(const struct table *table, struct bytes key)
{
    size_t low = 0, high = table->count;

    if (high > 0 && compare(table_key(table, high - 1), key) < 0) return high;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (compare(table_key(table, middle), key) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool holds(const struct table *table, size_t position, struct bytes key)
{
    return position < table->count && compare(table_key(table, position), key) == 0;
}

size_t table_find(const struct table *table, struct bytes key)
{
    size_t position = table_seek(table, key);

    return holds(table, position, key) ? position : table->count;
}

struct bytes table_get(const struct table *table, struct bytes key)
{
    size_t position = table_find(table, key);

    return position < table->count ? table_value(table, position) : (struct bytes){NULL, 0};
}

static struct table_entry *entry_new(struct bytes key, struct bytes value)
{
    struct table_entry *entry = malloc(sizeof *entry + key.len + value.len);

    CHECK(entry != NULL);
    entry->key_len = (uint32_t)key.len;
    entry->value_len = (uint32_t)value.len;
    entry->rotten = false;
    if (key.len > 0) memcpy(entry->data, key.data, key.len);
    if (value.len > 0) memcpy(entry->data + key.len, value.data, value.len);
    return entry;
}

static void make_room(struct table *table)
{
    if (table->begin + table->count < table->capacity) return;
    if (table->begin > table->count) {
        memmove(table->entries, table->entries + table->begin,
                table->count * sizeof(struct table_entry *));
        table->begin = 0;
        return;
    }
    table->capacity = table->capacity == 0 ? 64 : table->capacity * 2;
    table->entries = realloc(table->entries, table->capacity * sizeof(struct table_entry *));
    CHECK(table->entries != NULL);
}

void table_put(struct table *table, struct bytes key, struct bytes value)
{
    size_t position = table_seek(table, key);
    struct table_entry *entry = entry_new(key, value);

    if (holds(table, position, key)) {
        free(table->entries[table->begin + position]);
        table->entries[table->begin + position] = entry;
        return;
    }
    make_room(table);
    struct table_entry **slot = table->entries + table->begin + position;
    memmove(slot + 1, slot, (table->count - position) * sizeof(struct table_entry *));
    *slot = entry;
    table->count++;
}

void table_erase(struct table *table, struct bytes key)
{
    size_t position = table_seek(table, key);

    if (!holds(table, position, key)) return;
    struct table_entry **slot = table->entries + table->begin + position;
    free(*slot);
    memmove(slot, slot + 1, (table->count - position - 1) * sizeof(struct table_entry *));
    table->count--;
}

void table_erase_below(struct table *table, struct bytes key)
{
    size_t position = table_seek(table, key);

    for (size_t i = 0; i < position; i++)
        free(table->entries[table->begin + i]);
    table->begin += position;
    table->count -= position;
}

void table_copy(struct table *ret_copy, const struct table *table)
{
    CHECK(ret_copy->count == 0);
    for (size_t i = 0; i < table->count; i++) {
        table_put(ret_copy, table_key(table, i), table_value(table, i));
        ret_copy->entries[ret_copy->begin + i]->rotten = table_is_rotten(table, i);
    }
    CHECK(ret_copy->count == table->count);
}

void table_rot(struct table *table, size_t position, size_t at, uint8_t mask)
{
    CHECK(position < table->count);
    struct table_entry *entry = table->entries[table->begin + position];
    CHECK(at < entry->value_len);
    CHECK(mask != 0);
    entry->data[entry->key_len + at] ^= mask;
    entry->rotten = true;
}

bool table_is_rotten(const struct table *table, size_t position)
{
    CHECK(position < table->count);
    return table->entries[table->begin + position]->rotten;
}

void table_close(struct table *table)
{
    for (size_t i = 0; i < table->count; i++)
        free(table->entries[table->begin + i]);
    free(table->entries);
    *table = (struct table){0};
}
