/* A store in memory for core_world.c: sorted tables of rows. */
#ifndef TESTS_UNIT_CORE_WORLD_STORE_H
#define TESTS_UNIT_CORE_WORLD_STORE_H

#include "consensus/core/core.h"

struct row {
    uint8_t key[CORE_KEY_BYTES_MAX];
    size_t key_len;
    uint8_t *value;
    size_t value_len;
};

struct table {
    struct row *rows; /* ascending */
    size_t count;
    size_t capacity;
};

/* `array`, reallocated when `count` entries of `size` bytes fill it. */
void *world_grow(void *array, size_t *capacity, size_t count, size_t size);

/* Order of a row's key and another key, as memcmp. */
int world_key_compare(const struct row *row, struct bytes key);

/* First row at or above the key. */
size_t world_table_lower(const struct table *table, struct bytes key);
void world_table_erase(struct table *table, size_t first, size_t count);
void world_table_erase_key(struct table *table, struct bytes key); /* when it is there */
void world_table_put(struct table *table, struct bytes key, struct bytes value);
void world_table_free(struct table *table);

/* Gives the core the rows of its table that it reads at a start. */
void world_table_recover(const struct table *table, struct core *core, enum core_table number);

#endif
