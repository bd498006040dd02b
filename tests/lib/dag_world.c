#include "tests/lib/dag_world.h"

#include <stdlib.h>

#include "common/crypto.h"

uint64_t prng_next(struct prng *prng)
{
    uint64_t z = prng->state += UINT64_C(0x9E3779B97F4A7C15);
    z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
    return z ^ (z >> 31);
}

uint32_t prng_below(struct prng *prng, uint32_t bound)
{
    return (uint32_t)(prng_next(prng) % bound);
}

bool prng_chance(struct prng *prng, uint32_t percent)
{
    return prng_below(prng, 100) < percent;
}

void test_committee_make(struct committee *ret_committee,
                         uint32_t count,
                         const uint32_t *stakes,
                         uint64_t nonce)
{
    CHECK(count >= 1 && count <= AUTHORITIES_MAX);
    memset(ret_committee, 0, sizeof *ret_committee);
    ret_committee->count = count;
    for (uint32_t a = 0; a < count; a++) {
        ret_committee->members[a].stake = stakes == NULL ? 1 : stakes[a];
        ret_committee->total += ret_committee->members[a].stake;
    }
    ret_committee->validity = (ret_committee->total - 1) / 3 + 1;
    ret_committee->quorum = ret_committee->total - (ret_committee->total - 1) / 3;
    crypto_hash_one(&ret_committee->digest, &nonce, sizeof nonce);
}

static int compare_digests(const void *a, const void *b)
{
    return memcmp(a, b, sizeof(struct digest));
}

void test_header_finish(struct header *header, struct digest *ret_digest)
{
    qsort(header->parents, header->parents_count, sizeof header->parents[0], compare_digests);
    header_digest(ret_digest, header);
}

/* ---- worlds ---------------------------------------------------------------------------------- */

static stake_t world_stake(const struct world *world, uint32_t author)
{
    return world->committee.members[author].stake;
}

/* Some authors of stake <= F in all. */
static struct authority_set world_draw_faulty(const struct world *world, struct prng *prng)
{
    struct authority_set faulty = {{0}};
    stake_t left = world->committee.total - world->committee.quorum;
    uint32_t start = prng_below(prng, world->committee.count);

    for (uint32_t i = 0; i < world->committee.count; i++) {
        uint32_t a = (start + i) % world->committee.count;
        if (world_stake(world, a) > left || prng_chance(prng, 25)) continue;
        left -= world_stake(world, a);
        authority_set_add(&faulty, (authority_t)a);
    }
    return faulty;
}

/* Draws up to three batches; a third of them was named by somebody before. */
static void world_draw_payload(struct header *header, struct prng *prng, uint64_t *batches)
{
    header->payload_count = prng_below(prng, 4);
    for (uint32_t i = 0; i < header->payload_count; i++) {
        uint64_t number = ++*batches;
        if (prng_chance(prng, 33)) number = 1 + prng_below(prng, (uint32_t)number);
        crypto_hash_one(&header->payload[i].digest, &number, sizeof number);
        header->payload[i].created_at = number;
    }
}

/* Parents of stake >= Q from the round before: who is not slow leaves out most of the shunned and
 * of the slow ones; everybody leaves out some. */
static void world_draw_parents(const struct world *world,
                               struct world_vertex *vertex,
                               struct prng *prng)
{
    round_t below = vertex->header.round - 1;
    const struct world_mood *mood = &world->moods[below];
    bool slow = authority_set_has(&mood->slow, vertex->header.author);
    stake_t stake = 0;
    uint32_t count = 0;

    for (uint32_t a = 0; a < world->committee.count; a++)
        if (world->at[below][a] != WORLD_NONE) stake += world_stake(world, a);
    uint32_t start = prng_below(prng, world->committee.count);
    for (uint32_t i = 0; i < world->committee.count; i++) {
        uint32_t a = (start + i) % world->committee.count;
        bool disliked = authority_set_has(&mood->shunned, (authority_t)a) ||
                        authority_set_has(&mood->slow, (authority_t)a);
        if (world->at[below][a] == WORLD_NONE) continue;
        if (stake - world_stake(world, a) >= world->committee.quorum &&
            prng_chance(prng, disliked && !slow && !vertex->twin ? 80 : 15)) {
            stake -= world_stake(world, a);
            continue;
        }
        vertex->parents[count] = world->at[below][a];
        vertex->header.parents[count] = world->vertices[vertex->parents[count]].digest;
        count++;
    }
    vertex->parents_count = count;
    vertex->header.parents_count = count;
}

static uint32_t world_add_vertex(struct world *world,
                                 struct prng *prng,
                                 round_t round,
                                 uint32_t author,
                                 bool twin,
                                 uint64_t *batches)
{
    struct world_vertex *vertex = &world->vertices[world->count];

    memset(vertex, 0, sizeof *vertex);
    vertex->twin = twin;
    vertex->header.author = (authority_t)author;
    vertex->header.round = round;
    vertex->header.created_at = 1000 * round + prng_below(prng, 3000);
    world_draw_payload(&vertex->header, prng, batches);
    if (round == 1) {
        vertex->header.parents_count = world->committee.count;
        for (uint32_t a = 0; a < world->committee.count; a++)
            committee_genesis(&vertex->header.parents[a], &world->committee, (authority_t)a);
    } else {
        world_draw_parents(world, vertex, prng);
    }
    test_header_finish(&vertex->header, &vertex->digest);
    return world->count++;
}

/* One round: authors of stake >= Q produce; Byzantine ones may sign a twin. */
static void world_add_round(struct world *world,
                            struct prng *prng,
                            round_t round,
                            uint64_t *batches)
{
    stake_t stake = world->committee.total;

    world->moods[round] = world->moods[round - 1];
    if (round == 1 || prng_chance(prng, 25)) {
        world->moods[round].shunned = world_draw_faulty(world, prng);
        world->moods[round].slow = world_draw_faulty(world, prng);
    }
    for (uint32_t a = 0; a < world->committee.count; a++) {
        world->at[round][a] = WORLD_NONE;
        world->twin[round][a] = WORLD_NONE;
    }
    for (uint32_t a = 0; a < world->committee.count; a++) {
        bool misses =
            prng_chance(prng, 15) && stake - world_stake(world, a) >= world->committee.quorum;
        if (misses) {
            stake -= world_stake(world, a);
            continue;
        }
        world->at[round][a] = world_add_vertex(world, prng, round, a, false, batches);
        if (authority_set_has(&world->byzantine, (authority_t)a) && prng_chance(prng, 50))
            world->twin[round][a] = world_add_vertex(world, prng, round, a, true, batches);
    }
}

void world_make(struct world *ret_world,
                uint32_t authorities,
                round_t rounds,
                bool unequal,
                uint64_t seed)
{
    struct prng prng = {seed};
    uint32_t stakes[WORLD_AUTHORITIES_MAX];
    uint64_t batches = 0;

    CHECK(authorities <= WORLD_AUTHORITIES_MAX);
    CHECK(rounds <= WORLD_ROUNDS_MAX);
    memset(ret_world, 0, sizeof *ret_world);
    for (uint32_t a = 0; a < authorities; a++)
        stakes[a] = unequal ? 1 + prng_below(&prng, 5) : 1;
    test_committee_make(&ret_world->committee, authorities, stakes, prng_next(&prng));
    ret_world->byzantine = world_draw_faulty(ret_world, &prng);
    ret_world->rounds = rounds;
    ret_world->vertices = calloc(2 * rounds * authorities, sizeof(struct world_vertex));
    CHECK(ret_world->vertices != NULL);
    for (round_t round = 1; round <= rounds; round++)
        world_add_round(ret_world, &prng, round, &batches);
}

void world_free(struct world *world)
{
    free(world->vertices);
    world->vertices = NULL;
}

/* ---- views ----------------------------------------------------------------------------------- */

static int compare_events(const void *a, const void *b)
{
    const struct world_event *x = a;
    const struct world_event *y = b;
    if (x->time != y->time) return x->time < y->time ? -1 : 1;
    if (x->kind != y->kind) return x->kind < y->kind ? -1 : 1;
    return x->vertex < y->vertex ? -1 : x->vertex > y->vertex;
}

/* Rounds are 100 ticks long. A slow author is up to 12 rounds late, for a stretch of rounds. */
struct world_slowness {
    round_t from;
    round_t to;
    uint32_t ticks;
};

uint32_t world_view(struct world_event *ret_events, const struct world *world, uint64_t seed)
{
    struct prng prng = {seed};
    struct world_slowness slow[WORLD_AUTHORITIES_MAX];
    uint32_t noise = 1 + prng_below(&prng, 400);
    uint32_t headers_percent = prng_chance(&prng, 70) ? 100 : prng_below(&prng, 101);
    uint32_t headers_ticks = 1 + prng_below(&prng, 300); /* headers are this early at most */
    uint32_t slow_ticks = prng_below(&prng, 800);
    uint32_t held_back_percent = prng_chance(&prng, 50) ? prng_below(&prng, 30) : 0;
    uint32_t count = 0;

    for (uint32_t a = 0; a < world->committee.count; a++) {
        slow[a].from = prng_below(&prng, (uint32_t)world->rounds);
        slow[a].to = slow[a].from + prng_below(&prng, 15);
        slow[a].ticks = prng_chance(&prng, 40) ? prng_below(&prng, 1200) : 0;
    }
    for (uint32_t v = 0; v < world->count; v++) {
        const struct world_vertex *vertex = &world->vertices[v];
        const struct world_slowness *author = &slow[vertex->header.author];
        uint64_t time = 100 * vertex->header.round + prng_below(&prng, noise);
        if (vertex->header.round >= author->from && vertex->header.round <= author->to)
            time += author->ticks;
        const struct authority_set *slow_ones = &world->moods[vertex->header.round].slow;
        if (authority_set_has(slow_ones, vertex->header.author)) time += slow_ticks;
        if (prng_chance(&prng, held_back_percent)) time += prng_below(&prng, 600);
        if (!vertex->twin) ret_events[count++] = (struct world_event){time, WORLD_CERTIFIED, v};
        if (prng_chance(&prng, headers_percent)) {
            uint64_t early = u64_minus(time, prng_below(&prng, headers_ticks));
            ret_events[count++] = (struct world_event){early, WORLD_FIRST, v};
        }
    }
    qsort(ret_events, count, sizeof *ret_events, compare_events);
    return count;
}

uint32_t world_late_view(struct world_event *ret_events, const struct world *world)
{
    uint32_t count = 0;

    for (uint32_t v = world->count; v-- > 0;)
        if (!world->vertices[v].twin)
            ret_events[count++] = (struct world_event){0, WORLD_CERTIFIED, v};
    return count;
}
