/* Batches that the own log lost to rot, on their way back from peers.
 *
 * A batch whose bytes do not match its digest any more is never served; it is asked of one peer after
 * the other: the next when one says that it has not got it, or when a second has passed. It comes back
 * (every certified batch is at stake Q), or it is given up: when every peer has said no, or when each was
 * asked REPAIR_CIRCLES times and stake Q, this member included, has not got it: then it is in no
 * certificate. A member that reaches too few goes on asking.
 *
 * The core, for which it was stored, hears of it only when nobody has it. Bounded: REPAIRS_ASKED_MAX are asked for
 * at one time, REPAIRS_MAX wait. Loop thread only. */
#ifndef CONSENSUS_NODE_REPAIRS_H
#define CONSENSUS_NODE_REPAIRS_H

#include "common/committee.h"

/* Batches under repair, and those of them that are asked for. */
#define REPAIRS_MAX       1024u
#define REPAIRS_ASKED_MAX 64u

/* How often each peer is asked before fewer than all may say that nobody has it. */
#define REPAIR_CIRCLES 3u

struct repairs;

struct repairs_options {
    const struct committee *committee; /* outlives the repairs */
    authority_t self;
    /* Ask this peer for the batch of this worker. */
    void (*ask)(void *context, authority_t peer, const struct digest *digest, uint32_t worker);
    /* Nobody has it. */
    void (*give_up)(void *context, const struct digest *digest);
    void *context;
};

/* Never NULL. */
struct repairs *repairs_open(const struct repairs_options *options);
void repairs_close(struct repairs *repairs); /* NULL is fine */

enum repair_begun {
    REPAIR_BEGUN,
    REPAIR_GOES_ON, /* it was under repair already */
    REPAIR_REFUSED  /* no room, or no peers */
};

/* Begins the repair of a batch: asks the first peer, or waits for its turn. */
enum repair_begun repairs_begin(struct repairs *repairs,
                                const struct digest *digest,
                                uint32_t worker);

/* The peer says that it does not have the batch. */
void repairs_note_absent(struct repairs *repairs, authority_t peer, const struct digest *digest);

/* Asks the next peer for each, or gives it up. For a timer of a second. */
void repairs_turn(struct repairs *repairs);

/* The batch is in the log again. True when it was under repair. */
bool repairs_end(struct repairs *repairs, const struct digest *digest);

size_t repairs_count(const struct repairs *repairs);

#endif
