/* A rollup's life in some dozen levels: valid messages duplicated, reordered across levels and
 * interleaved with every kind of message the kernel must ignore. Used by the C tests, by node's
 * WebAssembly and by the RPC test, so that all of them see the same. */
#ifndef TESTS_KERNEL_SCENARIO_H
#define TESTS_KERNEL_SCENARIO_H

#include "tests/kernel/rig.h"

/* A chain of pre-blocks of several shapes. */
void scenario_chain(struct chain *ret_chain, uint64_t seed, uint32_t members);

/* Adds the messages of level 0, 1, ...; false when the scenario is over, and by then all is
 * applied. */
bool scenario_level(struct rig *rig, int level, uint64_t *random);

/* Adds one message that must be ignored, of a kind chosen by `random`. */
void scenario_junk(struct rig *rig, uint64_t *random);

#endif
