/* What checkpoints let a member forget, and what it takes to start again from one. */
#ifndef TESTS_SIM_RESTORE_H
#define TESTS_SIM_RESTORE_H

#include "tests/sim/node.h"

/* With --prune: a newer checkpoint is final, so everything that a start from the oldest kept one does not need
 * goes: certificates, pre-blocks with their certificates and signatures, and executed batches. As much as any
 * retention may ever delete, at the earliest moment. `value` is the checkpoint's row. */
void node_prune(struct sim_node *node, struct bytes value);

/* CORE_ACTION_RESTART: the store holds another history, durably. Builds the member anew from it. Own batches
 * of before are given up: they may be executed in what was passed over. */
void node_restore(struct sim_node *node);

#endif
