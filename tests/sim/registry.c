#include "tests/sim/registry.h"

#include <stdlib.h>

#include "consensus/core/wire.h"
#include "tests/sim/world.h"

#define BATCH_SLOTS_FIRST 1024u

static uint64_t digest_word(const struct digest *digest)
{
    uint64_t word;

    memcpy(&word, digest->bytes, sizeof word);
    return word;
}

void registry_open(struct registry *registry)
{
    *registry = (struct registry){0};
    registry->headers = calloc(REGISTRY_BUCKETS, sizeof(struct known_header *));
    registry->batch_slots_count = BATCH_SLOTS_FIRST;
    registry->batch_slots = calloc(BATCH_SLOTS_FIRST, sizeof(uint64_t));
    CHECK(registry->headers != NULL);
    CHECK(registry->batch_slots != NULL);
}

void registry_close(struct registry *registry)
{
    for (size_t i = 0; i < REGISTRY_BUCKETS; i++) {
        struct known_header *next = NULL;
        for (struct known_header *header = registry->headers[i]; header != NULL; header = next) {
            next = header->next_in_bucket;
            packet_unref(header->packet);
            free(header->parents);
            free(header->payload);
            free(header);
        }
    }
    free(registry->headers);
    free(registry->rounds);
    free(registry->batches);
    free(registry->batch_slots);
    *registry = (struct registry){0};
}

struct known_header *registry_find(const struct registry *registry, const struct digest *digest)
{
    struct known_header *header = registry->headers[digest_word(digest) % REGISTRY_BUCKETS];

    while (header != NULL && !digest_equal(&header->digest, digest))
        header = header->next_in_bucket;
    return header;
}

struct known_header *registry_round(const struct registry *registry, round_t round)
{
    return round < registry->rounds_capacity ? registry->rounds[round] : NULL;
}

/* Absurd rounds are not listed by round, so that they cost nothing. */
static void list_by_round(struct registry *registry, struct known_header *header)
{
    if (header->round > registry->top_round + 1000) return;
    if (header->round >= registry->rounds_capacity) {
        size_t old = registry->rounds_capacity, capacity = (size_t)header->round * 2 + 64;
        registry->rounds = realloc(registry->rounds, capacity * sizeof(struct known_header *));
        CHECK(registry->rounds != NULL);
        memset(registry->rounds + old, 0, (capacity - old) * sizeof(struct known_header *));
        registry->rounds_capacity = capacity;
    }
    header->next_in_round = registry->rounds[header->round];
    registry->rounds[header->round] = header;
}

static void count_vote(struct world *world, struct known_header *header, authority_t voter)
{
    if (voter >= world->committee.count || authority_set_has(&header->voters, voter)) return;
    authority_set_add(&header->voters, voter);
    header->stake += world->committee.members[voter].stake;
    if (header->stake >= world->committee.quorum && header->round > world->registry.top_round)
        world->registry.top_round = header->round;
}

static struct known_header *add_header(struct world *world,
                                       struct packet *packet,
                                       const struct header *content,
                                       const struct digest *digest)
{
    struct registry *registry = &world->registry;
    struct known_header *header = calloc(1, sizeof *header);

    CHECK(header != NULL);
    header->digest = *digest;
    header->author = content->author;
    header->round = content->round;
    header->created_at = content->created_at;
    header->sent_us = world->now_us;
    header->packet = packet_ref(packet);
    header->parents_count = content->parents_count;
    header->parents = malloc((content->parents_count + 1) * sizeof(struct digest));
    header->payload_count = content->payload_count;
    header->payload = malloc((content->payload_count + 1) * sizeof(struct digest));
    CHECK(header->parents != NULL);
    CHECK(header->payload != NULL);
    for (uint32_t i = 0; i < content->parents_count; i++)
        header->parents[i] = content->parents[i];
    for (uint32_t i = 0; i < content->payload_count; i++)
        header->payload[i] = content->payload[i].digest;
    struct known_header **bucket = &registry->headers[digest_word(digest) % REGISTRY_BUCKETS];
    header->next_in_bucket = *bucket;
    *bucket = header;
    registry->headers_count++;
    list_by_round(registry, header);
    count_vote(world, header, content->author);
    return header;
}

/* Rounds of junk further above the top are not remembered: nobody can vote for them. */
#define ROUNDS_AHEAD_MAX 100u

static struct known_header *note_header(struct world *world, struct packet *packet)
{
    static struct header content;
    size_t len = packet->len - 1;
    struct digest digest;

    if (packet->len < 1 + 64) return NULL;
    len -= 64;
    crypto_hash_one(&digest, packet->data + 1, len);
    if (registry_find(&world->registry, &digest) != NULL) return NULL;
    struct reader reader = reader_make(packet->data + 1, len);
    header_decode(&content, &reader);
    if (!reader_done(&reader) || content.author >= world->committee.count) return NULL;
    if (content.round > world->registry.top_round + ROUNDS_AHEAD_MAX) return NULL;
    return add_header(world, packet, &content, &digest);
}

struct known_header *registry_note(struct world *world, struct packet *packet)
{
    if (packet->len == 0) return NULL;
    if (packet->data[0] == WIRE_HEADER) return note_header(world, packet);
    if (packet->data[0] == WIRE_VOTE && packet->len == 1 + VOTE_BYTES) {
        struct digest digest;
        memcpy(digest.bytes, packet->data + 1, sizeof digest.bytes);
        struct known_header *header = registry_find(&world->registry, &digest);
        if (header != NULL) {
            uint16_t voter = (uint16_t)(packet->data[43] | packet->data[44] << 8);
            count_vote(world, header, voter);
        }
    }
    return NULL;
}

bool registry_is_certified(const struct world *world, const struct known_header *header)
{
    return header->stake >= world->quorum;
}

stake_t registry_certified_stake(const struct world *world, round_t round)
{
    struct authority_set authors = {0};

    for (const struct known_header *header = registry_round(&world->registry, round);
         header != NULL; header = header->next_in_round)
        if (registry_is_certified(world, header)) authority_set_add(&authors, header->author);
    return committee_stake(&world->committee, &authors);
}

uint32_t registry_certified(const struct world *world, struct known_header **ret, round_t round)
{
    struct authority_set taken = {0};
    uint32_t count = 0;

    for (struct known_header *header = registry_round(&world->registry, round); header != NULL;
         header = header->next_in_round)
        if (registry_is_certified(world, header) && !authority_set_has(&taken, header->author)) {
            authority_set_add(&taken, header->author);
            ret[count++] = header;
        }
    return count;
}

static void place_batch(struct registry *registry, uint64_t number)
{
    uint64_t slot = digest_word(&registry->batches[number].digest) % registry->batch_slots_count;

    while (registry->batch_slots[slot] != 0)
        slot = (slot + 1) % registry->batch_slots_count;
    registry->batch_slots[slot] = number + 1;
}

uint64_t registry_add_batch(struct registry *registry, const struct sim_batch *batch)
{
    if (registry->batches_count == registry->batches_capacity) {
        registry->batches_capacity = registry->batches_capacity * 2 + 256;
        registry->batches =
            realloc(registry->batches, registry->batches_capacity * sizeof *registry->batches);
        CHECK(registry->batches != NULL);
    }
    uint64_t number = registry->batches_count++;
    registry->batches[number] = *batch;
    if (registry->batches_count * 2 > registry->batch_slots_count) {
        free(registry->batch_slots);
        registry->batch_slots_count *= 4;
        registry->batch_slots = calloc(registry->batch_slots_count, sizeof(uint64_t));
        CHECK(registry->batch_slots != NULL);
        for (uint64_t i = 0; i < number; i++)
            place_batch(registry, i);
    }
    place_batch(registry, number);
    return number;
}

struct sim_batch *registry_batch(struct registry *registry, uint64_t number)
{
    CHECK(number < registry->batches_count);
    return &registry->batches[number];
}

uint64_t registry_find_batch(const struct registry *registry, const struct digest *digest)
{
    uint64_t slot = digest_word(digest) % registry->batch_slots_count;

    while (registry->batch_slots[slot] != 0) {
        uint64_t number = registry->batch_slots[slot] - 1;
        if (digest_equal(&registry->batches[number].digest, digest)) return number;
        slot = (slot + 1) % registry->batch_slots_count;
    }
    return UINT64_MAX;
}
