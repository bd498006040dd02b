/* Is this node a good place to send clients to? One answer for /readyz, /status, the metric and the gRPC
 * health service.
 *
 *   not yet in step    the core has not said READY: it catches up, or too few members have answered
 *   no quorum          it was ready, and reaches too few members now to go on
 *   rounds behind      peers of stake V have certificates of higher rounds
 *   pre-blocks behind  rounds are in step, but the pre-blocks they order are not made yet: after a rejoin
 *                      there can be thousands, each with batches to fetch
 *
 * Only the first of these refuses submissions: the others can pass within a second, and what was
 * taken in meanwhile waits. */
#ifndef CONSENSUS_NODE_READINESS_H
#define CONSENSUS_NODE_READINESS_H

#include "consensus/core/core.h"

/* So many rounds are simply on their way. */
#define LAG_ROUNDS_READY 4u

/* So many pre-blocks are simply on their way. Nobody names payload while the newest pre-block is more
 * than UNCERTIFIED_PREBLOCKS_MAX above the one that stake Q has made, so a member whose attestation the
 * network works with is never further behind than that and what was named before the brake took hold: as
 * much again. Further behind is only who the others no longer wait for. */
#define LAG_PREBLOCKS_READY (2u * UNCERTIFIED_PREBLOCKS_MAX)

enum readiness_kind {
    READINESS_READY,
    READINESS_CATCHING_UP,
    READINESS_NO_QUORUM,
    READINESS_ROUNDS_BEHIND,
    READINESS_PREBLOCKS_BEHIND,
};

struct readiness {
    enum readiness_kind kind;
    uint64_t behind; /* rounds or pre-blocks */
};

/* Rounds behind the network; 0 up to LAG_ROUNDS_READY. */
uint64_t readiness_lag_rounds(const struct core_status *status);

/* Pre-blocks that the network has made and this node has not. */
uint64_t readiness_lag_preblocks(const struct core_status *status);

/* `begun`: the node has acted on the core's READY. `reaches_quorum`: links are up to members of stake Q,
 * this one included. */
struct readiness readiness_judge(const struct core_status *status, bool begun, bool reaches_quorum);

/* Why it is not ready: a code of an HTTP error and its line. `kind` is not READY. */
#define READINESS_TEXT_BYTES 64u
const char *readiness_code(const struct readiness *readiness);
void readiness_text(char *ret, const struct readiness *readiness); /* READINESS_TEXT_BYTES */

#endif
