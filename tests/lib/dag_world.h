/* Random worlds for tests of the DAG and of everything above it.
 *
 * A world is all that was ever signed: a certified DAG of `rounds` rounds, in which authors miss
 * rounds and children miss parents, and twins: second headers of Byzantine authors (stake <= F),
 * which name other parents and are never certified. A view is one node's order of events in that
 * world. Every view of a world must order the same sequence, or a prefix of it.
 *
 * Everything is a function of a seed. Committees here have no keys: these tests verify no
 * signature. */
#ifndef TESTS_LIB_DAG_WORLD_H
#define TESTS_LIB_DAG_WORLD_H

#include "common/codec.h"

#define WORLD_AUTHORITIES_MAX 13u
#define WORLD_ROUNDS_MAX      100u
#define WORLD_NONE            UINT32_MAX

/* splitmix64. */
struct prng {
    uint64_t state;
};
uint64_t prng_next(struct prng *prng);
uint32_t prng_below(struct prng *prng, uint32_t bound);
bool prng_chance(struct prng *prng, uint32_t percent);

/* A committee with these stakes (NULL: 1 each) whose digest is a hash of `nonce`. */
void test_committee_make(struct committee *ret_committee,
                         uint32_t count,
                         const uint32_t *stakes,
                         uint64_t nonce);

/* Sorts the parents, and computes the digest. */
void test_header_finish(struct header *header, struct digest *ret_digest);

struct world_vertex {
    struct header header;
    struct digest digest;
    uint32_t parents[WORLD_AUTHORITIES_MAX]; /* vertices of round - 1; none for round 1 */
    uint32_t parents_count;
    bool twin;
};

/* What holds for a stretch of rounds. Both sets have stake <= F. */
struct world_mood {
    struct authority_set shunned; /* most children leave them out */
    struct authority_set slow;    /* late in most views, and left out by those who are not */
};

struct world {
    struct committee committee;
    round_t rounds;
    struct authority_set byzantine;
    uint32_t count;
    struct world_vertex *vertices;
    uint32_t at[WORLD_ROUNDS_MAX + 1][WORLD_AUTHORITIES_MAX]; /* certified, or WORLD_NONE */
    struct world_mood moods[WORLD_ROUNDS_MAX + 1];
    uint32_t twin[WORLD_ROUNDS_MAX + 1][WORLD_AUTHORITIES_MAX]; /* or WORLD_NONE */
};

/* `unequal`: random stakes 1 .. 5. Freed by world_free. */
void world_make(struct world *ret_world,
                uint32_t authorities,
                round_t rounds,
                bool unequal,
                uint64_t seed);
void world_free(struct world *world);

enum world_event_kind {
    WORLD_CERTIFIED, /* a certificate arrives, perhaps before its parents' */
    WORLD_FIRST,     /* a header arrives */
};
struct world_event {
    uint64_t time;
    enum world_event_kind kind;
    uint32_t vertex;
};

/* A view: events in order. `ret_events` takes 2 x world->count. Returns how many. Some authors are
 * slow in this view, some for a stretch of rounds; of twins either may be seen first. */
uint32_t world_view(struct world_event *ret_events, const struct world *world, uint64_t seed);

/* The view of a node that was away: everything comes at once, highest rounds first, so that nothing
 * can enter before the end. */
uint32_t world_late_view(struct world_event *ret_events, const struct world *world);

#endif
