/* The switch of the mutated simulator: which bug of mutations.ini is on, by SIM_MUTATION in the
 * environment; and what some of the bugs need that production code has no use for. */
#ifndef TESTS_SIM_MUTATION_H
#define TESTS_SIM_MUTATION_H

#include "consensus/core/dag.h"
#include "consensus/core/schedule.h"

/* Number of the bug; 0: none. */
extern int sim_mutation;

/* The leader of a round as this DAG's node first asked for it. */
authority_t mutation_cached_leader(const struct dag *dag,
                                   const struct schedule *schedule,
                                   round_t round);

/* At or below the highest round of this author that was ordered. */
bool mutation_below_watermark(const struct dag *dag, round_t round, authority_t author);

/* False, whatever the value: for the compiler. */
bool mutation_never(bool value);

#endif
