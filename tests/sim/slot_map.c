#include <stdlib.h>

#include "tests/sim/checkers.h"

struct slot_entry {
    uint64_t key; /* plus one; 0: free */
    struct digest digest;
};

static struct slot_entry *find(const struct slot_map *map, uint64_t key)
{
    uint64_t hash = (key + 1) * 0x9e3779b97f4a7c15ull;
    size_t i = (size_t)(hash ^ hash >> 32) & (map->capacity - 1);

    while (map->entries[i].key != 0 && map->entries[i].key != key + 1)
        i = (i + 1) & (map->capacity - 1);
    return &map->entries[i];
}

static void grow(struct slot_map *map)
{
    struct slot_map larger = {.capacity = map->capacity == 0 ? 256 : map->capacity * 2};

    larger.entries = calloc(larger.capacity, sizeof *larger.entries);
    CHECK(larger.entries != NULL);
    for (size_t i = 0; i < map->capacity; i++)
        if (map->entries[i].key != 0) *find(&larger, map->entries[i].key - 1) = map->entries[i];
    larger.count = map->count;
    free(map->entries);
    *map = larger;
}

const struct digest *slot_map_add(struct slot_map *map, uint64_t key, const struct digest *digest)
{
    if (map->count * 2 >= map->capacity) grow(map);
    struct slot_entry *entry = find(map, key);
    if (entry->key == 0) {
        entry->key = key + 1;
        entry->digest = *digest;
        map->count++;
    }
    return &entry->digest;
}

const struct digest *slot_map_get(const struct slot_map *map, uint64_t key)
{
    if (map->count == 0) return NULL;
    const struct slot_entry *entry = find(map, key);
    return entry->key == 0 ? NULL : &entry->digest;
}

void slot_map_close(struct slot_map *map)
{
    free(map->entries);
    *map = (struct slot_map){0};
}
