/* Votes: which headers this node signs, and the record of what it signed.
 *
 * A vote for header h is given only if (CONSENSUS 6)
 *   - h is well-formed and its author's signature verifies (checked before it comes here);
 *   - round >= gc_round + 2, or round 1 with the genesis digests as parents;
 *   - round > floor (a rejoining node signs nothing at or below it);
 *   - every parent certificate is in the DAG here with checked signatures, nothing excused by
 *     garbage collection; they are of round - 1, of distinct authors, of stake >= Q; none created
 *     after h;
 *   - created_at <= max(own clock + tolerance, greatest parent created_at), else it waits;
 *   - every batch is durable here under its stated worker, else it waits; at most
 *     HEADER_PAYLOAD_BYTES_MAX of them;
 *   - no other header of the same (author, round) was voted for.
 * No rule reads execution state.
 *
 * The record (author, round) -> digest is durable before the vote leaves and lives while round >
 * gc_round. In memory the last VOTER_ROUNDS rounds are kept: below that nothing is voted for, so
 * losing the memory of a record can never cost a second vote. */
#ifndef CONSENSUS_CORE_VOTER_H
#define CONSENSUS_CORE_VOTER_H

#include "consensus/core/batch_table.h"
#include "consensus/core/dag.h"

#define VOTER_ROUNDS 64u

enum vote_verdict {
    VOTE_GIVE,          /* persist header and record, then send */
    VOTE_REPEAT,        /* voted for this very header before: the same vote again */
    VOTE_WAIT_PARENTS,  /* some parent is not in, or its signatures are not checked */
    VOTE_WAIT_BATCHES,  /* some batch is not here */
    VOTE_WAIT_CLOCK,    /* created in the future */
    VOTE_NEVER_STALE,   /* round at or below what may be signed */
    VOTE_NEVER_OTHER,   /* another header of this slot has our vote */
    VOTE_NEVER_PARENTS, /* parents that can never be right */
    VOTE_NEVER_TIME,    /* created before a parent */
    VOTE_NEVER_SIZE,    /* names more payload bytes than allowed */
};

struct vote_record {
    round_t round; /* 0: none */
    struct digest header;
    struct signature signature;
    bool is_signed; /* false after recovery: sign again when it is needed */
};

/* Invariants (voter_check): the record at place (round mod VOTER_ROUNDS, author) is of that place.
 */
struct voter {
    const struct committee *committee;
    struct vote_record *records; /* VOTER_ROUNDS x count */
    round_t highest;             /* highest round voted for */
};

/* What the rules read besides the DAG and the batches. */
struct vote_context {
    const struct dag *dag;
    const struct batch_table *batches;
    const struct authority_set
        *implied; /* by round mod DAG_ROUNDS: vertices with unchecked signatures */
    round_t floor;
    uint64_t wall_ms;
    uint64_t tolerance_ms;
};

void voter_place(struct voter *voter, struct region *region, const struct committee *committee);

/* Applies the rules to a well-formed, signed header. Changes nothing. */
enum vote_verdict voter_judge(const struct voter *voter,
                              const struct vote_context *context,
                              const struct header *header,
                              const struct digest *digest);

/* Notes a vote that is given, or a recovered record (signature NULL). A different record for the
 * same slot is a failed CHECK: voter_judge said so. Records below the kept rounds are ignored. */
void voter_record(struct voter *voter,
                  const struct vertex_ref *ref,
                  const struct signature *signature);

/* The record of (round, author), or NULL. */
struct vote_record *voter_find(const struct voter *voter, round_t round, authority_t author);

/* True when a missing record proves that no vote was given: the round is above gc_round and kept.
 */
bool voter_would_know(const struct voter *voter, round_t round, round_t gc_round);

void voter_check(const struct voter *voter);

#endif
