#include "consensus/core/executed.h"

#define EXECUTED_ALIGN 64u
#define EXECUTED_NONE  0u /* links count from 1, so that zeroed memory is an empty table */

struct executed_entry {
    struct digest digest;
    round_t leader_round;
    uint32_t next_in_bucket; /* also links free entries */
    uint32_t next_by_age;
};

struct executed {
    uint32_t capacity;
    uint32_t count;
    uint32_t touched; /* entries ever used: 1 .. touched */
    uint32_t free;    /* first free one among them */
    uint32_t oldest;
    uint32_t newest;
    uint32_t buckets_log2;
    uint64_t seed;
    uint32_t *buckets;
    struct executed_entry *entries;
};

static size_t executed_round_up(size_t bytes)
{
    return (bytes + EXECUTED_ALIGN - 1) / EXECUTED_ALIGN * EXECUTED_ALIGN;
}

/* Buckets are half the capacity, rounded up: chains stay short even when the table is full. */
static uint32_t executed_buckets_log2(uint32_t capacity)
{
    uint32_t log2 = 4;

    while (log2 < 30 && ((uint64_t)1 << log2) < capacity / 2)
        log2++;
    return log2;
}

static size_t executed_bucket_bytes(uint32_t capacity)
{
    return executed_round_up(((size_t)1 << executed_buckets_log2(capacity)) * sizeof(uint32_t));
}

size_t executed_bytes(uint32_t capacity)
{
    CHECK(capacity >= 1);
    CHECK(capacity <= (uint32_t)1 << 31);
    return executed_round_up(sizeof(struct executed)) + executed_bucket_bytes(capacity) +
           executed_round_up((size_t)capacity * sizeof(struct executed_entry));
}

void executed_init(struct executed **ret_executed, void *memory, uint32_t capacity, uint64_t seed)
{
    CHECK(memory != NULL);
    CHECK((uintptr_t)memory % EXECUTED_ALIGN == 0);
    CHECK(executed_bytes(capacity) > 0);

    uint8_t *base = memory;
    struct executed *executed = memory;
    size_t at = executed_round_up(sizeof *executed);
    executed->capacity = capacity;
    executed->seed = seed;
    executed->buckets_log2 = executed_buckets_log2(capacity);
    executed->buckets = (void *)(base + at);
    executed->entries = (void *)(base + at + executed_bucket_bytes(capacity));
    *ret_executed = executed;
}

static struct executed_entry *executed_entry(const struct executed *executed, uint32_t link)
{
    CHECK(link >= 1);
    CHECK(link <= executed->touched);
    return &executed->entries[link - 1];
}

/* Multiplicative hashing of eight bytes under the seed: the top bits of the product. */
static uint32_t *executed_bucket(const struct executed *executed, const struct digest *digest)
{
    uint64_t word;

    memcpy(&word, digest->bytes, sizeof word);
    word = (word ^ executed->seed) * UINT64_C(0x9E3779B97F4A7C15);
    return &executed->buckets[word >> (64 - executed->buckets_log2)];
}

bool executed_has(const struct executed *executed, const struct digest *digest)
{
    uint32_t link = *executed_bucket(executed, digest);

    while (link != EXECUTED_NONE) {
        const struct executed_entry *entry = executed_entry(executed, link);
        if (digest_equal(&entry->digest, digest)) return true;
        link = entry->next_in_bucket;
    }
    return false;
}

/* A free entry, one used before if there is one. */
static uint32_t executed_take_entry(struct executed *executed)
{
    uint32_t link = executed->free;

    if (link == EXECUTED_NONE) {
        CHECK(executed->touched < executed->capacity);
        return ++executed->touched;
    }
    executed->free = executed_entry(executed, link)->next_in_bucket;
    return link;
}

void executed_add(struct executed *executed, const struct digest *digest, round_t leader_round)
{
    CHECK(leader_round > 0);
    CHECK(!executed_has(executed, digest));
    CHECK(executed->newest == EXECUTED_NONE ||
          executed_entry(executed, executed->newest)->leader_round <= leader_round);

    uint32_t link = executed_take_entry(executed);
    uint32_t *bucket = executed_bucket(executed, digest);
    struct executed_entry *entry = executed_entry(executed, link);
    entry->digest = *digest;
    entry->leader_round = leader_round;
    entry->next_in_bucket = *bucket;
    entry->next_by_age = EXECUTED_NONE;
    *bucket = link;
    if (executed->newest == EXECUTED_NONE)
        executed->oldest = link;
    else
        executed_entry(executed, executed->newest)->next_by_age = link;
    executed->newest = link;
    executed->count++;
    CHECK(executed->count <= executed->touched);
}

static void executed_remove_oldest(struct executed *executed)
{
    uint32_t link = executed->oldest;
    struct executed_entry *entry = executed_entry(executed, link);
    uint32_t *at = executed_bucket(executed, &entry->digest);

    while (*at != link)
        at = &executed_entry(executed, *at)->next_in_bucket;
    *at = entry->next_in_bucket;
    executed->oldest = entry->next_by_age;
    if (executed->oldest == EXECUTED_NONE) executed->newest = EXECUTED_NONE;
    entry->leader_round = 0;
    entry->next_in_bucket = executed->free;
    entry->next_by_age = EXECUTED_NONE;
    executed->free = link;
    executed->count--;
}

void executed_prune(struct executed *executed, round_t floor)
{
    while (executed->oldest != EXECUTED_NONE &&
           executed_entry(executed, executed->oldest)->leader_round <= floor) {
        CHECK(executed->count > 0);
        executed_remove_oldest(executed);
    }
    CHECK((executed->count == 0) == (executed->oldest == EXECUTED_NONE));
}

uint32_t executed_count(const struct executed *executed)
{
    return executed->count;
}

/* The chain of the entry's bucket holds it once, no other entry with its digest, and none that is
 * free. */
static void executed_check_chain(const struct executed *executed, uint32_t link)
{
    const struct executed_entry *entry = executed_entry(executed, link);
    uint32_t *bucket = executed_bucket(executed, &entry->digest);
    uint32_t found = 0;
    uint32_t length = 0;

    for (uint32_t at = *bucket; at != EXECUTED_NONE; length++) {
        const struct executed_entry *other = executed_entry(executed, at);
        CHECK(length < executed->count);
        CHECK(other->leader_round > 0);
        CHECK(executed_bucket(executed, &other->digest) == bucket);
        CHECK(at == link || !digest_equal(&other->digest, &entry->digest));
        found += at == link;
        at = other->next_in_bucket;
    }
    CHECK(found == 1);
}

void executed_check(const struct executed *executed)
{
    uint32_t aged = 0;
    uint32_t freed = 0;
    round_t last = 0;

    for (uint32_t link = executed->oldest; link != EXECUTED_NONE;) {
        const struct executed_entry *entry = executed_entry(executed, link);
        CHECK(entry->leader_round >= last);
        CHECK(aged < executed->count);
        CHECK(entry->next_by_age != EXECUTED_NONE || link == executed->newest);
        executed_check_chain(executed, link);
        last = entry->leader_round;
        aged++;
        link = entry->next_by_age;
    }
    for (uint32_t link = executed->free; link != EXECUTED_NONE; freed++) {
        CHECK(freed < executed->touched);
        CHECK(executed_entry(executed, link)->leader_round == 0);
        link = executed_entry(executed, link)->next_in_bucket;
    }
    CHECK(aged == executed->count);
    CHECK(aged + freed == executed->touched);
    CHECK(executed->touched <= executed->capacity);
}
