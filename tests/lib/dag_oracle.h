/* A second, naive reading of the rules (CONSENSUS 7 to 10), written apart from consensus/core and
 * in another way: lists, depth-first search, everything recomputed from the whole prefix each time.
 * Tests compare the real modules with it, step by step.
 *
 * It can also be told to be wrong in one of the ways that look right. Under each of them some pair
 * of views of one world must disagree: that shows that the views used as tests can tell. */
#ifndef TESTS_LIB_DAG_ORACLE_H
#define TESTS_LIB_DAG_ORACLE_H

#include "consensus/core/commit_rule.h"
#include "tests/lib/dag_world.h"

enum oracle_bug {
    ORACLE_RIGHT,
    ORACLE_SCHEDULE_CACHED,  /* the leader of a round is kept as first computed */
    ORACLE_WALK_BY_ONES,     /* the walk back looks at the anchor of every round */
    ORACLE_GC_TOP_ROUND,     /* the floor follows the highest round seen */
    ORACLE_LOCAL_REPUTATION, /* skips are counted over the local view */
    ORACLE_PRESENT_ONLY, /* vertices enter without parents; whatever ancestor is there is ordered */
    ORACLE_FAST_VALIDITY, /* V of first headers are enough */
    ORACLE_BUGS
};

struct oracle_record {
    uint32_t anchor;
    struct authority_set excluded;
    uint32_t *vertices;
    uint32_t vertices_count;
    struct digest *batches;
    uint32_t batches_count;
    uint32_t skipped_count;
    struct commit_slot skipped[WORLD_ROUNDS_MAX];
};

struct oracle {
    const struct world *world;
    struct commit_parameters rule;
    uint32_t gc_depth;
    uint32_t window;
    enum oracle_bug bug;
    round_t last; /* p */
    round_t gc_round;
    round_t top; /* highest round present */
    bool *arrived;
    bool *present;
    bool *ordered;
    uint32_t first[WORLD_ROUNDS_MAX + 2][WORLD_AUTHORITIES_MAX];
    uint32_t leader_cache[WORLD_ROUNDS_MAX + 2]; /* + 1; 0: none */
    struct oracle_record records[WORLD_ROUNDS_MAX + 1];
    uint32_t records_count;
    uint32_t excluded_after; /* records behind `excluded` */
    struct authority_set excluded;
};

void oracle_init(struct oracle *ret_oracle,
                 const struct world *world,
                 const struct commit_parameters *rule,
                 uint32_t gc_depth,
                 uint32_t window,
                 enum oracle_bug bug);
void oracle_free(struct oracle *oracle);

/* One event, then as much insertion and ordering as follows from it. */
void oracle_take(struct oracle *oracle, const struct world_event *event);

/* True when one oracle's records are a prefix of the other's. */
bool oracle_agrees(const struct oracle *a, const struct oracle *b);

#endif
