/* The commit rule: which anchor is ordered next. A pure function of a view; the caller loops.
 *
 * Let C be the anchors ordered so far, p the round of the last. The instance of C has one slot in
 * each of the rounds s, s+2, s+4, ...: s = p + 1 with stride 1 (Shoal: every round gets an anchor,
 * because each ordered anchor starts a new instance one round up), or the next even round with
 * stride 2 (Bullshark). The anchor of a slot is schedule(C, round), for as long as C lasts.
 *
 *   direct(v)   v is in the DAG and is named by certified headers of round + 1 of stake >= V,
 *               or, with `fast`, by first headers of round + 1 of stake >= Q
 *
 *   decide      first = lowest slot whose anchor is direct; none: stop
 *               current = first
 *               for the slots below it, going down: if the slot's anchor is reached by current, it
 *               becomes current
 *               order current; the slots below it are skipped
 *
 *        s         s+2        s+4
 *       [a] . . . . [b] <----- [c] direct      a not reached by b: skipped
 *                    ^ reached: b is ordered now; c is looked at again under C' = C + b
 *
 * Why it agrees everywhere: V of certified children (or Q of first headers, of which V of stake is
 * honest and certifies nothing else) meet the Q parents of every certified vertex of round >=
 * v.round + 2, so each later anchor reaches a direct one: no node can pass over it. The rule is
 * idempotent, and monotone: a larger view only lengthens the sequence. Fast with V is wrong,
 * walking by ones is wrong, both fork. Sources: CONSENSUS 8; Bullshark; Shoal, section 4; Shoal++,
 * fast direct commit. */
#ifndef CONSENSUS_CORE_COMMIT_RULE_H
#define CONSENSUS_CORE_COMMIT_RULE_H

#include "consensus/core/dag.h"
#include "consensus/core/schedule.h"

struct commit_parameters {
    uint32_t stride; /* 1 or 2 */
    bool fast;
};

/* How the first direct anchor was decided, or that it pulled an earlier one in. Local: nodes may
 * differ in this while they agree on the anchor. */
enum commit_how {
    COMMIT_DIRECT,   /* V of certified children */
    COMMIT_FAST,     /* Q of first headers */
    COMMIT_INDIRECT, /* reached from a later direct anchor */
};

struct commit_slot {
    round_t round;
    authority_t author;
};

struct commit_decision {
    enum commit_how how;
    struct commit_slot anchor;
    struct digest digest; /* of the anchor */
    uint32_t skipped_count;
    struct commit_slot skipped[DAG_ROUNDS / 2]; /* ascending rounds, all below the anchor's */
};

/* First slot of the instance after an anchor of round `last` (0: none yet). */
round_t commit_rule_first_slot(const struct commit_parameters *parameters, round_t last);

/* direct(v) by certified children, or else by first headers. */
bool commit_rule_is_direct(enum commit_how *ret_how,
                           const struct commit_parameters *parameters,
                           const struct dag *dag,
                           const struct dag_vertex *vertex);

/* The next decision for the state (schedule, last), or false: stop, nothing can be ordered now. The
 * same arguments give the same answer; nothing is changed. Order the anchor (orderer_order),
 * collect, and ask again until it says stop. */
bool commit_rule_next(struct commit_decision *ret_decision,
                      const struct commit_parameters *parameters,
                      const struct dag *dag,
                      const struct schedule *schedule,
                      round_t last);

/* CHECKs what agreement rests on: every vertex here of round anchor + 2 reaches a directly decided
 * anchor. For tests and core_check; it can only fail by a bug or with more than F Byzantine. */
void commit_rule_check(const struct dag *dag, const struct commit_decision *decision);

#endif
