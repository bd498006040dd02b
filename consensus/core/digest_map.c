#include "consensus/core/digest_map.h"

static uint32_t cell_of(const struct digest_map *map, const struct digest *digest)
{
    uint64_t a;
    uint64_t b;

    memcpy(&a, digest->bytes, sizeof a);
    memcpy(&b, digest->bytes + 8, sizeof b);
    a = (a ^ map->seed) * UINT64_C(0x9E3779B97F4A7C15);
    a ^= a >> 32;
    a = (a ^ b ^ (map->seed << 1)) * UINT64_C(0xD6E8FEB86659FD93);
    a ^= a >> 29;
    return (uint32_t)a & map->mask;
}

void digest_map_place(struct digest_map *map,
                      struct region *region,
                      uint32_t capacity,
                      uint64_t seed)
{
    uint32_t cells = 4;

    CHECK(capacity > 0);
    CHECK(capacity <= UINT32_C(1) << 28);
    while (cells < 2 * capacity)
        cells *= 2;
    map->cells = region_take(region, sizeof *map->cells * (size_t)cells);
    map->mask = cells - 1;
    map->capacity = capacity;
    map->seed = seed;
    map->used = 0;
}

uint32_t digest_map_get(const struct digest_map *map, const struct digest *digest)
{
    for (uint32_t i = cell_of(map, digest);; i = (i + 1) & map->mask) {
        const struct digest_map_cell *cell = &map->cells[i];

        if (cell->value_plus_one == 0) return DIGEST_MAP_NONE;
        if (digest_equal(&cell->digest, digest)) return cell->value_plus_one - 1;
    }
}

void digest_map_put(struct digest_map *map, const struct digest *digest, uint32_t value)
{
    uint32_t i = cell_of(map, digest);

    CHECK(value != DIGEST_MAP_NONE);
    CHECK(map->used < map->capacity);
    while (map->cells[i].value_plus_one != 0) {
        CHECK(!digest_equal(&map->cells[i].digest, digest));
        i = (i + 1) & map->mask;
    }
    map->cells[i].digest = *digest;
    map->cells[i].value_plus_one = value + 1;
    map->used++;
}

void digest_map_remove(struct digest_map *map, const struct digest *digest)
{
    uint32_t hole = cell_of(map, digest);

    while (!digest_equal(&map->cells[hole].digest, digest)) {
        CHECK(map->cells[hole].value_plus_one != 0);
        hole = (hole + 1) & map->mask;
    }
    CHECK(map->cells[hole].value_plus_one != 0);
    for (uint32_t i = (hole + 1) & map->mask; map->cells[i].value_plus_one != 0;
         i = (i + 1) & map->mask) {
        uint32_t home = cell_of(map, &map->cells[i].digest);

        /* An entry may move into the hole when its home is not between the hole and itself. */
        if (((i - home) & map->mask) >= ((i - hole) & map->mask)) {
            map->cells[hole] = map->cells[i];
            hole = i;
        }
    }
    map->cells[hole].value_plus_one = 0;
    CHECK(map->used > 0);
    map->used--;
}

void digest_map_check(const struct digest_map *map)
{
    uint32_t used = 0;

    for (uint32_t i = 0; i <= map->mask; i++) {
        if (map->cells[i].value_plus_one == 0) continue;
        CHECK(digest_map_get(map, &map->cells[i].digest) == map->cells[i].value_plus_one - 1);
        used++;
    }
    CHECK(used == map->used);
    CHECK(used <= map->capacity);
}
