/* Which batches were executed lately: batch digest -> round of the leader whose sub-DAG executed
 * it.
 *
 * The set decides what a pre-block contains, so it is a function of the ordering records alone: a
 * digest enters when a record lists it as new, and leaves when the leader round of that record is 2
 * gc_depth or more below the last anchor's (CONSENSUS 10). Hash chains over a pool of entries;
 * entries are also linked by age, so pruning costs what it removes. Freed entries are reused first,
 * so memory is touched only as far as the set has ever grown.
 *
 * Digests come from peers, who may grind for equal buckets: the bucket is taken under `seed`, which
 * they do not know. It has no influence on any answer. */
#ifndef CONSENSUS_CORE_EXECUTED_H
#define CONSENSUS_CORE_EXECUTED_H

#include "common/base.h"

struct executed;

/* Bytes for at most `capacity` digests (1 .. 2^31). */
size_t executed_bytes(uint32_t capacity);

/* An empty set in `memory`: executed_bytes() bytes, 64-byte aligned, ZEROED, owned by the caller.
 */
void executed_init(struct executed **ret_executed, void *memory, uint32_t capacity, uint64_t seed);

bool executed_has(const struct executed *executed, const struct digest *digest);

/* Adds a digest that is not in. Leader rounds are above 0 and never decrease from one call to the
 * next. Running full is our bug (the capacity is derived from the DAG's): a failed CHECK. */
void executed_add(struct executed *executed, const struct digest *digest, round_t leader_round);

/* Removes every digest with leader round <= floor. */
void executed_prune(struct executed *executed, round_t floor);

uint32_t executed_count(const struct executed *executed);

/* Invariants: every entry is in the chain of its bucket and in the age list exactly once, ages
 * ascend, no digest twice, used + free = touched. */
void executed_check(const struct executed *executed);

#endif
