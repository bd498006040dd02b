#include "tests/sim/mutation.h"

#include <stdio.h>
#include <stdlib.h>

#include "mutation_names.h"

#define OWNERS_MAX 64u
#define ROUNDS     512u

int sim_mutation;

static const char *const names[] = {"none", MUTATION_NAMES};

__attribute__((constructor)) static void choose_mutation(void)
{
    const char *wanted = getenv("SIM_MUTATION");

    if (wanted == NULL) return;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(names[i], wanted) != 0) continue;
        sim_mutation = (int)i;
        return;
    }
    fprintf(stderr, "SIM_MUTATION: '%s' is not in mutations.ini\n", wanted);
    exit(2);
}

struct cached_leader {
    round_t round;
    authority_t leader;
};

/* Nodes by the address of their DAG, which stays the same over restarts in place. */
static struct cached_leader *cache_of(const struct dag *dag)
{
    static const struct dag *owners[OWNERS_MAX];
    static struct cached_leader caches[OWNERS_MAX][ROUNDS];
    size_t i = 0;

    while (i + 1 < OWNERS_MAX && owners[i] != NULL && owners[i] != dag)
        i++;
    owners[i] = dag;
    return caches[i];
}

authority_t mutation_cached_leader(const struct dag *dag,
                                   const struct schedule *schedule,
                                   round_t round)
{
    struct cached_leader *cached = &cache_of(dag)[round % ROUNDS];

    if (cached->round != round)
        *cached = (struct cached_leader){round, schedule_leader(schedule, round)};
    return cached->leader;
}

bool mutation_below_watermark(const struct dag *dag, round_t round, authority_t author)
{
    for (round_t above = dag_highest_round(dag); above >= round && above > 0; above--) {
        const struct dag_vertex *vertex = dag_get(dag, above, author);
        if (vertex != NULL && vertex->ordered) return true;
    }
    return false;
}

bool mutation_never(bool value)
{
    (void)value;
    return false;
}
