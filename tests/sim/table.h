/* One table of a simulated disk: byte keys in order, byte values. A sorted array of pointers, as
 * nearly every key is appended at the end and erased from the front. */
#ifndef TESTS_SIM_TABLE_H
#define TESTS_SIM_TABLE_H

#include "common/base.h"

struct table_entry {
    uint32_t key_len;
    uint32_t value_len;
    bool rotten;    /* the checksum shows it to whoever reads the value */
    uint8_t data[]; /* key | value */
};

struct table {
    struct table_entry **entries; /* from `begin` on */
    size_t begin;
    size_t count;
    size_t capacity;
};

void table_put(struct table *table, struct bytes key, struct bytes value);
void table_erase(struct table *table, struct bytes key);
void table_erase_below(struct table *table, struct bytes key);
void table_close(struct table *table);

/* Position of the first entry with a key >= `key`; table->count when there is none. */
size_t table_seek(const struct table *table, struct bytes key);

/* Position of exactly `key`; table->count when absent. */
size_t table_find(const struct table *table, struct bytes key);

struct bytes table_key(const struct table *table, size_t position);
struct bytes table_value(const struct table *table, size_t position);

/* The value under exactly `key`; {NULL, 0} when absent. */
struct bytes table_get(const struct table *table, struct bytes key);

/* Appends copies of all entries; `ret_copy` is empty. */
void table_copy(struct table *ret_copy, const struct table *table);

/* Inverts the bits of `mask` in byte `at` of the value. It stays rotten until it is put again. */
void table_rot(struct table *table, size_t position, size_t at, uint8_t mask);
bool table_is_rotten(const struct table *table, size_t position);

#endif
