/* The outward half of the simulated driver: what each action means in the simulated world, and the
 * worker's bulk side (batches travel, are stored, fetched and acknowledged). */
#ifndef TESTS_SIM_PERFORM_H
#define TESTS_SIM_PERFORM_H

#include "tests/sim/node.h"

/* Performs one action now. `packet` is the frame of a SEND or BROADCAST that was held, or NULL. */
void node_perform(struct sim_node *node, const struct core_action *action, struct packet *packet);

/* Hands a batch that is durable here to the core, in a step of its own. */
void node_post_batch(struct sim_node *node, uint64_t batch, authority_t author, bool streamed);

/* A bulk frame arrived. */
void node_take_bulk(struct sim_node *node, const struct sim_event *event);

/* Asks the peer for a batch. */
void node_want_batch(struct sim_node *node, authority_t peer, const struct digest *digest);

/* The node stops: for good, or with a corrupt store. */
void node_post_stop(struct sim_node *node, bool for_good);

/* The batch log has synced a batch. */
void node_batch_synced(struct sim_node *node, const struct sim_event *event);

#endif
