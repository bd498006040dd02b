/* Whose turn it is to post, when several sequencers serve one rollup. Nobody talks to anybody: all of them see the same
 * levels.
 *
 *   level    0 .. 19     20 .. 39    40 .. 59    60 .. 79        S = 3
 *   owner       0           1           2           0
 *
 * The owner posts from the fourth level of its slot on, so that what the one before it posted has been included. The
 * r-th after the owner (r = 1 .. S-1) stands by: it posts when, although something is pending, nothing moved for
 * 4 + 3 r levels, the next ones after it if it does not. Two that post at once cost fees, never correctness: messages
 * are cut the same everywhere. A reorganisation gives levels back, and with them the turn.
 *
 * Pure. ROLLUP 4. */
#ifndef SEQUENCER_SLOTS_H
#define SEQUENCER_SLOTS_H

#include "common/base.h"

#define SLOT_LEVELS         20
#define SLOT_WAIT_LEVELS    3 /* of the owner, into its slot */
#define SLOT_STANDBY_LEVELS 4 /* of everybody else, and for each rank */
#define SLOT_STANDBY_EACH   3

struct slots {
    uint32_t sequencers; /* S >= 1 */
    uint32_t self;       /* 0 .. S-1 */
};

/* The owner of a level (>= 0). */
uint32_t slots_owner(const struct slots *slots, int32_t level);

/* How many sequencers come before this one at a level: 0 is the owner. */
uint32_t slots_rank(const struct slots *slots, int32_t level);

/* True when this one may post at `level`, the head's. `moved` is the level at which what the rollup has last changed, or
 * at which nothing was pending. */
bool slots_is_turn(const struct slots *slots, int32_t level, int32_t moved);

#endif
