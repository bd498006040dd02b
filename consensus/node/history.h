/* A pre-block as subscribers get it: the serialized exporter.SubDag (proto/subdag.h), put together
 * from
 *
 *   TABLE_PREBLOCKS               the header, which vertices, how many batches of each are executed
 *   TABLE_CERTIFICATES            the vertices' certificates, the anchor's as leader
 *   batch log                     the batches, spliced as they are
 *   TABLE_PREBLOCK_CERTIFICATES   the pre-block's own certificate, once it is known
 *
 * An assembly is done in steps of bounded work (some certificates, or one batch), so that the
 * storage thread can serve writes in between. A certificate that came in by range sync and whose
 * signatures were not checked then (flag in its row) is checked here: nothing unverified is
 * exported. */
#ifndef CONSENSUS_NODE_HISTORY_H
#define CONSENSUS_NODE_HISTORY_H

#include "consensus/node/batch_log.h"
#include "consensus/node/store.h"

struct history;

/* Begins the assembly of pre-block `index`. `certified`: with its certificate, if that is stored.
 * ERR_NOT_FOUND: not made yet, or not kept any more; ERR_CORRUPT; ERR_IO. Store, log and committee
 * outlive it. */
enum status history_begin(struct history **ret_history,
                          struct store *store,
                          struct batch_log *log,
                          const struct committee *committee,
                          uint64_t index,
                          bool certified);

/* The next step. ERR_MISSING: a certificate of it is not here, or a batch, or a batch has rotted (history_lacks);
 * ERR_CORRUPT: the store; ERR_SIGNATURE; ERR_IO. */
enum status history_step(struct history *history, bool *ret_done);

/* After ERR_MISSING: the batch that the log does not have any more as it was; false: a certificate is missing. */
bool history_lacks(const struct history *history, struct digest *ret_digest, uint32_t *ret_worker);

/* After done: the SubDag, in use from `begin` for `len` bytes; the caller's. */
struct buffer *history_take(struct history *history, bool *ret_certified);

/* NULL is fine; at any moment. */
void history_end(struct history *history);

#endif
