/* Ordering: turns a decided anchor into an ordering record, and moves the commit state with it.
 *
 *     while (orderer_decide(orderer, &decision, dag)) {
 *         orderer_order(orderer, &record, dag, &decision);
 *         persist record.bytes and, in the same atomic write, the pruning that follows from it
 *         vertices of rounds <= orderer_gc_round() that are not ordered now are lost: re-name
 *         dag_collect(dag, orderer_gc_round(orderer));
 *         suspended certificates may enter now, lowest round first
 *     }
 *
 * order(v), with p the round of the anchor ordered before v and g = max(0, p - gc_depth): the
 * unordered ancestors of v of round > g, by (round, author index). The floor moves only after v is
 * ordered: gc_round = max(0, v.round - gc_depth). Taking it from v itself, or from the local top
 * round, forks.
 *
 * A batch digest is new in v unless it was executed earlier in this sub-DAG, or by one whose leader
 * round is > p - 2 gc_depth.
 *
 * All state (sequence, p, schedule, executed set, chain digest) is a function of the records: as
 * the ring of the schedule is at least 2 gc_depth long and leader rounds grow, the last W records
 * rebuild everything. Sources: CONSENSUS 8, 9 and 10. */
#ifndef CONSENSUS_CORE_ORDERER_H
#define CONSENSUS_CORE_ORDERER_H

#include "consensus/core/commit_rule.h"
#include "consensus/core/dag.h"
#include "consensus/core/ordering_record.h"
#include "consensus/core/schedule.h"

struct orderer;

struct orderer_options {
    const struct committee *committee; /* outlives the orderer */
    struct commit_parameters rule;
    uint32_t gc_depth;   /* GC_DEPTH; smaller only in tests */
    uint32_t window;     /* SCHEDULE_WINDOW; smaller only in tests; >= 2 gc_depth */
    uint32_t dag_rounds; /* rounds of the DAG's ring: DAG_ROUNDS */
    uint64_t seed;       /* any number that peers do not know (see executed.h) */
};

/* GC_DEPTH, SCHEDULE_WINDOW, DAG_ROUNDS, seed 0. */
struct orderer_options orderer_options_default(const struct committee *committee,
                                               const struct commit_parameters *rule);

/* ---- life ------------------------------------------------------------------------------------ */

/* About 22 MB at n = 7, touched only as far as it is used. */
size_t orderer_bytes(const struct orderer_options *options);

/* At sequence 0 in `memory`: orderer_bytes() bytes, 64-byte aligned, ZEROED, owned by the caller.
 */
void orderer_init(struct orderer **ret_orderer,
                  void *memory,
                  const struct orderer_options *options);

/* Recovery: the last W ordering records (all, when there are fewer; more do no harm) in order of
 * sequence, the first as it is, each next one chained to it. Marks the vertices in `dag` and
 * collects it, so certificates are inserted afterwards. ERR_CORRUPT: not a record, a broken chain,
 * a conflict, or a vertex outside the committee; the store must not be used. */
enum status orderer_replay(struct orderer *orderer, struct dag *dag, struct bytes record);

/* After the last orderer_replay: ERR_CORRUPT when the state does not agree with itself (too few
 * records, or other exclusions than the last record says). */
enum status orderer_replay_end(const struct orderer *orderer);

/* ---- ordering -------------------------------------------------------------------------------- */

/* commit_rule_next for the present state. */
bool orderer_decide(const struct orderer *orderer,
                    struct commit_decision *ret_decision,
                    const struct dag *dag);

/* Orders the anchor of a decision just made over this DAG: marks the vertices, takes in the new
 * batches, updates the schedule, makes the record. The record and its bytes are valid until the
 * next orderer_order. The DAG must have been collected up to orderer_gc_round() before. */
void orderer_order(struct orderer *orderer,
                   struct ordering_record *ret_record,
                   struct dag *dag,
                   const struct commit_decision *decision);

/* ---- looking --------------------------------------------------------------------------------- */

uint64_t orderer_sequence(const struct orderer *orderer);    /* of the last record, 0 at start */
round_t orderer_anchor_round(const struct orderer *orderer); /* p, 0 at start */
round_t orderer_gc_round(const struct orderer *orderer);     /* max(0, p - gc_depth) */
struct digest orderer_digest(const struct orderer *orderer); /* of the last record */
const struct schedule *orderer_schedule(const struct orderer *orderer);

/* True when naming `digest` again would execute nothing: it was executed within the dedup window.
 */
bool orderer_executed(const struct orderer *orderer, const struct digest *digest);

void orderer_check(const struct orderer *orderer);

#endif
