/* Batches that the own log lost to rot, on their way back from peers.
 *
 * A batch whose bytes do not match its digest any more is never served; it is asked of one peer after
 * the other, one each turn, until one sends it (every certified batch is at stake Q) or each was asked
 * REPAIR_CIRCLES times. The core, for which it was stored, hears of it only when nobody has it.
 * Bounded: what finds no room is asked for when it is met again. Loop thread only. */
#ifndef CONSENSUS_NODE_REPAIRS_H
#define CONSENSUS_NODE_REPAIRS_H

#include "common/base.h"

/* Batches under repair at once. */
#define REPAIRS_MAX 64u

/* How often each peer is asked for a batch before it is given up. */
#define REPAIR_CIRCLES 3u

struct repairs;

struct repairs_options {
    authority_t self;
    uint32_t authorities;
    /* Ask this peer for the batch of this worker. */
    void (*ask)(void *context, authority_t peer, const struct digest *digest, uint32_t worker);
    /* Nobody has it. */
    void (*give_up)(void *context, const struct digest *digest);
    void *context;
};

/* Never NULL. */
struct repairs *repairs_open(const struct repairs_options *options);
void repairs_close(struct repairs *repairs); /* NULL is fine */

/* Begins the repair of a batch and asks the first peer; one that is under repair already goes on. False: no
 * room, or no peers. */
bool repairs_begin(struct repairs *repairs, const struct digest *digest, uint32_t worker);

/* Asks the next peer for each, or gives it up. For a timer of a second. */
void repairs_turn(struct repairs *repairs);

/* The batch is in the log again. True when it was under repair. */
bool repairs_end(struct repairs *repairs, const struct digest *digest);

size_t repairs_count(const struct repairs *repairs);

#endif
