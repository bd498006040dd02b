/* Silent rot. A batch that has rotted is still listed by the log; a certificate that has rotted is still a row of
 * the store. Whoever reads them sees it: by the digest, by the checksum of the block.
 *
 *   a batch that a peer asks for   the peer gets NO_BATCH; the batch is asked of the other members in turn until
 *                                  it is back
 *   a row, served or recovered     the node stops with a corrupt store, loses it and rejoins
 *
 * Neither may ever be served. A disk that rots counts against the fault budget for the rest of the run. */
#ifndef TESTS_SIM_ROT_H
#define TESTS_SIM_ROT_H

#include "tests/sim/node.h"

struct sim_event;

/* One batch or one certificate of the node rots. */
void rot_strike(struct sim_node *node);

/* A rotten batch was read. */
void rot_notice(struct sim_node *node, uint64_t batch);

/* SIM_REPAIR: asks the next member, unless the batch is back. */
void rot_repair(struct sim_node *node, const struct sim_event *event);

/* A rotten row was read: the store is lost, and the node rejoins some time later. */
void rot_give_up_store(struct sim_node *node);

#endif
