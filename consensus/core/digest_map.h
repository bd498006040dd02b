/* A fixed-size hash map from digest to a small number (an index into somebody's array).
 *
 * Open addressing with linear probing and deletion by shifting back, so there are no tombstones and
 * no degradation over time. Digests can be chosen by an adversary, so the position is a keyed mix
 * of the digest's bytes. Iteration is not offered: nothing may depend on the order of a hash map.
 * */
#ifndef CONSENSUS_CORE_DIGEST_MAP_H
#define CONSENSUS_CORE_DIGEST_MAP_H

#include "consensus/core/region.h"

#define DIGEST_MAP_NONE UINT32_MAX

struct digest_map_cell {
    struct digest digest;
    uint32_t value_plus_one; /* 0: empty, so zeroed memory is an empty map */
};

/* Invariants (digest_map_check): used <= capacity; every entry is found by its own digest. */
struct digest_map {
    struct digest_map_cell *cells;
    uint32_t mask;     /* cells - 1, cells a power of two >= 2 * capacity */
    uint32_t capacity; /* entries at the most */
    uint32_t used;
    uint64_t seed;
};

/* The region is zero-filled. */
void digest_map_place(struct digest_map *map,
                      struct region *region,
                      uint32_t capacity,
                      uint64_t seed);

/* The value, or DIGEST_MAP_NONE. */
uint32_t digest_map_get(const struct digest_map *map, const struct digest *digest);

/* Adds a digest that is not there yet; the map must not be full (checked). */
void digest_map_put(struct digest_map *map, const struct digest *digest, uint32_t value);

/* Removes a digest that is there (checked). */
void digest_map_remove(struct digest_map *map, const struct digest *digest);

static inline bool digest_map_is_full(const struct digest_map *map)
{
    return map->used >= map->capacity;
}

void digest_map_check(const struct digest_map *map);

#endif
