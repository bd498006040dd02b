/* What clients wait for: the fate of each batch that the API sealed here.
 *
 *   sealed -> ACCEPTED (durable) -> CERTIFIED -> COMMITTED at (index, position), or FAILED
 *
 * Batches of equal bytes have one digest and are executed once; all their tickets share the fate of
 * that one. A batch sealed again within the next TICKETS_DONE_MAX executed ones is answered from
 * memory: the core would not name it again while its digest is in the dedup window (CONSENSUS 10).
 */
#ifndef CONSENSUS_NODE_TICKETS_H
#define CONSENSUS_NODE_TICKETS_H

#include "consensus/node/api.h"

/* Executed batches remembered. More than one dedup window (2 gc_depth rounds of 64 batches each).
 */
#define TICKETS_DONE_MAX 8192u

struct tickets;

/* `api` may be NULL (tests): then nobody is told. Never NULL. */
struct tickets *tickets_open(struct api *api);
void tickets_close(struct tickets *tickets); /* NULL is fine */

/* A ticket for a batch. True: this is the first of its digest and must be stored and sent; false:
 * its fate is shared or was answered at once. */
bool tickets_add(struct tickets *tickets, uint64_t ticket, const struct digest *digest);

/* Steps of a batch's life; digests without a ticket are ignored. */
void tickets_accepted(struct tickets *tickets, const struct digest *digest);
void tickets_certified(struct tickets *tickets, const struct digest *digest);
void tickets_committed(struct tickets *tickets,
                       const struct digest *digest,
                       uint64_t index,
                       uint32_t position);

/* Ends the batch's tickets and forgets it. `reason` is a static text. */
void tickets_failed(struct tickets *tickets, const struct digest *digest, const char *reason);

/* Fails whatever is left. */
void tickets_stop(struct tickets *tickets);

#endif
