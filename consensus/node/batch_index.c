#include "consensus/node/batch_index.h"

#include <stdlib.h>

#define CAPACITY_MIN 1024u

struct slot {
    uint64_t tag;
    struct batch_place place; /* segment 0: empty; below `oldest` or DEAD: dead */
};
_Static_assert(sizeof(struct slot) == 16, "a batch costs 16 bytes of index");

#define PLACE_DEAD UINT32_MAX

struct batch_index {
    struct slot *slots;
    size_t capacity; /* power of two */
    size_t live;
    size_t dead;
    size_t entries_max;
    uint64_t key;
    uint32_t oldest; /* slots of lower segments are dead */
};

static struct slot *slots_new(size_t capacity)
{
    struct slot *slots = calloc(capacity, sizeof *slots);
    CHECK(slots != NULL);
    return slots;
}

struct batch_index *batch_index_new(size_t entries_max, uint64_t key)
{
    struct batch_index *index = calloc(1, sizeof *index);

    CHECK(index != NULL);
    index->capacity = CAPACITY_MIN;
    index->slots = slots_new(index->capacity);
    index->entries_max = entries_max;
    index->key = key;
    index->oldest = 1;
    return index;
}

void batch_index_free(struct batch_index *index)
{
    if (index == NULL) return;
    free(index->slots);
    free(index);
}

static uint64_t tag_of(const struct digest *digest)
{
    uint64_t tag;
    memcpy(&tag, digest->bytes, sizeof tag);
    return tag;
}

/* Where probing for a tag begins. Multiply, fold, multiply: with an unknown key the low bits of the
 * outcome can not be steered through the tag. */
static size_t bucket_of(const struct batch_index *index, uint64_t tag)
{
    uint64_t mixed = (tag ^ index->key) * 0x9e3779b97f4a7c15u;
    mixed ^= mixed >> 32;
    mixed *= (index->key | 1u);
    mixed ^= mixed >> 29;
    return (size_t)mixed & (index->capacity - 1);
}

static bool slot_is_empty(const struct slot *slot)
{
    return slot->place.segment == 0;
}

static bool slot_is_live(const struct batch_index *index, const struct slot *slot)
{
    return slot->place.segment >= index->oldest && slot->place.segment != PLACE_DEAD;
}

/* Puts an entry into the first empty slot of its chain. */
static void slots_put(struct batch_index *index, struct slot entry)
{
    size_t at = bucket_of(index, entry.tag);

    for (size_t i = 0; i < index->capacity; i++) {
        if (slot_is_empty(&index->slots[at])) {
            index->slots[at] = entry;
            return;
        }
        at = (at + 1) & (index->capacity - 1);
    }
    CHECK(false); /* the load factor leaves room */
}

/* Rebuilds without dead slots, larger when the live ones need it. */
static void batch_index_rebuild(struct batch_index *index)
{
    struct slot *old = index->slots;
    const size_t old_capacity = index->capacity;

    while (index->live >= index->capacity / 2)
        index->capacity *= 2;
    index->slots = slots_new(index->capacity);
    index->dead = 0;
    for (size_t i = 0; i < old_capacity; i++) {
        if (slot_is_live(index, &old[i])) slots_put(index, old[i]);
    }
    free(old);
    batch_index_check(index);
}

bool batch_index_next(const struct batch_index *index,
                      struct batch_place *ret_place,
                      uint64_t *cursor,
                      const struct digest *digest)
{
    const uint64_t tag = tag_of(digest);
    const size_t begin = bucket_of(index, tag);

    while (*cursor < index->capacity) {
        const struct slot *slot = &index->slots[(begin + *cursor) & (index->capacity - 1)];
        if (slot_is_empty(slot)) return false;
        (*cursor)++;
        if (slot->tag == tag && slot_is_live(index, slot)) {
            *ret_place = slot->place;
            return true;
        }
    }
    return false;
}

bool batch_index_add(struct batch_index *index,
                     const struct digest *digest,
                     struct batch_place place)
{
    CHECK(place.segment >= index->oldest);
    CHECK(place.segment != PLACE_DEAD);
    if (index->live >= index->entries_max) return false;
    if ((index->live + index->dead + 1) * 4 > index->capacity * 3) batch_index_rebuild(index);
    slots_put(index, (struct slot){.tag = tag_of(digest), .place = place});
    index->live++;
    return true;
}

void batch_index_remove(struct batch_index *index,
                        const struct digest *digest,
                        struct batch_place place)
{
    const uint64_t tag = tag_of(digest);
    const size_t begin = bucket_of(index, tag);

    for (size_t i = 0; i < index->capacity; i++) {
        struct slot *slot = &index->slots[(begin + i) & (index->capacity - 1)];
        if (slot_is_empty(slot)) return;
        if (slot->tag == tag && slot_is_live(index, slot) && slot->place.segment == place.segment &&
            slot->place.page == place.page) {
            slot->place.segment = PLACE_DEAD;
            CHECK(index->live > 0);
            index->live--;
            index->dead++;
            return;
        }
    }
}

void batch_index_drop_below(struct batch_index *index, uint32_t oldest, size_t count)
{
    CHECK(oldest >= index->oldest);
    CHECK(count <= index->live);
    index->oldest = oldest;
    index->live -= count;
    index->dead += count;
}

size_t batch_index_count(const struct batch_index *index)
{
    return index->live;
}

void batch_index_check(const struct batch_index *index)
{
    CHECK(index->capacity >= CAPACITY_MIN);
    CHECK((index->capacity & (index->capacity - 1)) == 0);
    CHECK((index->live + index->dead) * 4 <= index->capacity * 3);

    size_t live = 0;
    for (size_t i = 0; i < index->capacity; i++) {
        if (slot_is_empty(&index->slots[i])) continue;
        if (slot_is_live(index, &index->slots[i])) live++;
    }
    CHECK(live == index->live);
}
