/* The DAG as one node sees it: certified vertices, who names whom, and what was ordered.
 *
 *      round   r-1      r       r+1
 *       A       o <---- o <----- o       a vertex is one certificate; `<-` is "names as parent"
 *       B       o <--X- o        :       (only the round before), stake >= Q of them
 *       C       o <---- o <----- o
 *       D       o <---- o <- - - ?       ? evidence: a header that names a vertex but is not (yet)
 *                                          in the DAG itself
 *
 * At most one certified digest exists per (round, author): two would need one honest author or
 * voter to sign twice. So once the digests are matched, the parents of a vertex are a bit mask over
 * the authors of the round before, and reachability is a walk over masks, round by round, without
 * recursion.
 *
 * A vertex enters only when all its parents are in (of round 1: when it names the genesis digests),
 * or when the parents' round is at or below gc_round. So below any vertex there is no hole above
 * gc_round.
 *
 * Evidence. The commit rule also counts edges of headers that are not in the DAG (CONSENSUS 8):
 *   - certified children, from the moment their certificate verifies, though suspended;
 *   - first headers: the first well-formed signed header seen of (round, author) since start. A
 *     second, different one never counts.
 *
 * Evidence lives in a ring of DAG_EVIDENCE_ROUNDS rounds, one entry per author; a higher round
 * evicts. Losing evidence only delays a decision, never changes it. An edge to a vertex that is not
 * here yet is kept by digest and counted when that vertex enters.
 *
 * gc_round moves up only through dag_collect; rounds at or below it are forgotten. The ring holds
 * the `rounds` rounds above it. "Ordered" is one bit per vertex, never a watermark per author: a
 * late vertex must be ordered by everybody or by nobody. Sources: CONSENSUS 7 and 8; Narwhal,
 * Bullshark. */
#ifndef CONSENSUS_CORE_DAG_H
#define CONSENSUS_CORE_DAG_H

#include "common/committee.h"
#include "common/types.h"
#include "consensus/core/core.h"

/* Rounds above gc_round that fit. GC_DEPTH of them are below the last ordered anchor. The others
 * bound how far a network that orders nothing can run; beyond gc_depth rounds its rounds take up to
 * 10 s each, so they are more than an hour. A power of two, so that a round's place in the ring is
 * a mask. */
#define DAG_ROUNDS 512u

/* Rounds of evidence kept: far above the two rounds that headers may be ahead, and a catch-up
 * chunk. */
#define DAG_EVIDENCE_ROUNDS 64u

_Static_assert(DAG_ROUNDS > 4 * GC_DEPTH, "the ring must reach far above the last ordered anchor");

struct dag;

/* One certified vertex, read-only for callers. Valid until dag_collect passes its round.
 *
 * Invariants (dag_check): `parents` are vertices of round - 1 in the DAG, when round - 1 >
 * gc_round; each of them has this author among its certified children; the stakes are the stakes of
 * the sets. */
struct dag_vertex {
    round_t round;
    uint64_t created_at; /* ms, of the header */
    struct digest digest;
    struct authority_set parents; /* authors of round - 1; empty if those were collected */
    struct authority_set
        certified_children;              /* authors of certified headers of round + 1 naming this */
    struct authority_set first_children; /* authors whose first header of round + 1 names this */
    stake_t certified_stake;             /* stake of certified_children */
    stake_t first_stake;                 /* stake of first_children */
    const struct batch_info *payload;    /* payload_count entries, order of the header */
    uint32_t payload_count;
    authority_t author;
    bool ordered;
};

/* ---- life ------------------------------------------------------------------------------------ */

/* Bytes for a committee of `authorities` and a ring of `rounds` (a power of two, at most
 * DAG_ROUNDS; use DAG_ROUNDS). About 12 MB at n = 7, touched only as far as rounds and payload use
 * it. */
size_t dag_bytes(uint32_t authorities, uint32_t rounds);

/* Builds an empty DAG with gc_round 0 in `memory`: dag_bytes() bytes, 64-byte aligned, ZEROED,
 * owned by the caller. `committee` outlives the DAG. Nothing to close. */
void dag_init(struct dag **ret_dag,
              void *memory,
              const struct committee *committee,
              uint32_t rounds);

/* ---- growing --------------------------------------------------------------------------------- */

/* Puts a certified header in; the caller has verified its certificate. Errors, none of which
 * changes anything: ERR_STALE      round at or below gc_round ERR_AHEAD      round above gc_round +
 * rounds of the ring: try again after gc_round has moved ERR_DUPLICATE  it is in already
 *   ERR_CONFLICT   another certified digest has this (round, author): more than F is Byzantine, or
 * a key was used twice. The caller keeps both, alarms and stops ordering ERR_MALFORMED  round 1,
 * and its parents are not exactly the genesis digests ERR_MISSING    a parent of a round above
 * gc_round is not in (dag_missing names them) */
enum status dag_insert(struct dag *dag, const struct header *header, const struct digest *digest);

/* Parents of `header` that must enter before it does; `ret_missing` takes AUTHORITIES_MAX digests,
 * of round - 1, in the header's order. Returns how many; 0 for a round at or below gc_round + 1. */
uint32_t dag_missing(const struct dag *dag,
                     struct digest *ret_missing,
                     const struct header *header);

/* Notes that `header` has a verified certificate, though it may be suspended. Its edges count as
 * certified children. Not needed before dag_insert, which does the same. OK, ERR_DUPLICATE (known
 * certified), ERR_STALE (at or below gc_round, or evicted by a higher round), ERR_AHEAD, or
 * ERR_CONFLICT as in dag_insert. */
enum status dag_note_certified(struct dag *dag,
                               const struct header *header,
                               const struct digest *digest);

/* Notes a well-formed header with a verified author's signature, own ones too. Only the first of
 * its (round, author) since start counts: OK. ERR_DUPLICATE: the same again. ERR_CONFLICT: a
 * different one, ignored here; to the caller it is evidence of equivocation. ERR_STALE, ERR_AHEAD
 * as above. */
enum status dag_note_first_header(struct dag *dag,
                                  const struct header *header,
                                  const struct digest *digest);

/* Marks a vertex ordered, in the DAG or not yet: recovery reads ordering records before
 * certificates. Ignored at or below gc_round. ERR_CONFLICT when (round, author) has another digest;
 * ERR_AHEAD above the ring. */
enum status dag_mark_ordered(struct dag *dag, const struct vertex_ref *ref);

/* Raises gc_round to `gc_round` and forgets everything at or below it. Lower values are ignored. To
 * be called right after orderer_order with its gc_round; then suspended certificates whose missing
 * parents are now at or below it may enter, lowest round first. */
void dag_collect(struct dag *dag, round_t gc_round);

/* ---- looking --------------------------------------------------------------------------------- */

/* The vertex, or NULL when it is not in (also for a round at or below gc_round or out of the ring,
 * and for an author outside the committee). */
const struct dag_vertex *dag_get(const struct dag *dag, round_t round, authority_t author);
const struct dag_vertex *dag_find(const struct dag *dag,
                                  round_t round,
                                  const struct digest *digest);

/* The certified digest known for (round, author), in the DAG or as evidence; NULL when none. */
const struct digest *dag_certified(const struct dag *dag, round_t round, authority_t author);

/* The digest of the first header noted for (round, author); NULL when none (or evicted). */
const struct digest *dag_first_header(const struct dag *dag, round_t round, authority_t author);

/* Authors, and their stake, of the vertices of a round that are in. */
struct authority_set dag_round_authors(const struct dag *dag, round_t round);
stake_t dag_round_stake(const struct dag *dag, round_t round);

/* Highest round whose vertices in the DAG have ever reached stake Q; 0 at start (genesis is a
 * quorum). */
round_t dag_quorum_round(const struct dag *dag);

/* Highest round with a vertex; at least gc_round. */
round_t dag_highest_round(const struct dag *dag);
round_t dag_gc_round(const struct dag *dag);
const struct committee *dag_committee(const struct dag *dag);

/* Vertices in the DAG with payload that are not ordered. */
uint32_t dag_unordered_payload(const struct dag *dag);

/* True when a path of parents leads from `from` down to `to`, or they are the same. Both are in the
 * DAG. Cost: rounds between them x n, no recursion. */
bool dag_reaches(const struct dag *dag, const struct dag_vertex *from, const struct dag_vertex *to);

/* The unordered ancestors of an anchor, itself included, of round > floor, by (round, author
 * index). dag_walk_begin needs floor >= gc_round; a missing ancestor above the floor is a failed
 * CHECK. Ordered vertices end the walk: what they reach above the floor was ordered with them. The
 * DAG must not change during a walk, except by dag_mark_ordered. */
struct dag_walk {
    round_t round;  /* of the next vertex */
    round_t top;    /* the anchor's round */
    uint32_t next;  /* author index to look at next */
    uint32_t count; /* vertices of the whole walk */
    struct authority_set members[DAG_ROUNDS];
};
void dag_walk_begin(struct dag_walk *walk,
                    const struct dag *dag,
                    const struct dag_vertex *anchor,
                    round_t floor);

/* The next vertex, or NULL at the end. */
const struct dag_vertex *dag_walk_next(struct dag_walk *walk, const struct dag *dag);

/* Walks every invariant of this file; a broken one is a failed CHECK. */
void dag_check(const struct dag *dag);

#endif
