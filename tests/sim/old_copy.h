/* A backup of a store that is put back. Who starts from it has lost memory without knowing it (docs/security.md,
 * section 4), and is faulty for the rest of the run. It runs the production core all the same: it is shown a
 * signature of its own that it does not know and stops with an alarm, or it catches up and takes part again. */
#ifndef TESTS_SIM_OLD_COPY_H
#define TESTS_SIM_OLD_COPY_H

#include "tests/sim/node.h"

/* Copies what is durable; the copy of before is gone. */
void old_copy_take(struct sim_node *node);

/* Crashes the node if it is up and gives it the copy for its store; the caller starts it again. Batches that it
 * had only accepted since the copy was made are not owed any more. The copy is used up. */
void old_copy_put_back(struct sim_node *node);

#endif
