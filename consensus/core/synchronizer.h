/* Catching up: certificates that wait for parents, and who is asked for what (CONSENSUS 7).
 *
 *   suspended    verified certificates whose parents are not in the DAG: at most SUSPENDED_MAX, one
 *                per (author, round); when full the highest round gives way. The lowest missing
 *                parents are asked for first, from the signers of their child.
 *   implied      vertices of the DAG whose own signatures were not checked, because a verified
 *                vertex names them through its parents. They are stored flagged, and never served,
 *                exported or used as a parent until a verified certificate of them comes.
 *   range sync   while peers are more than SYNC_AHEAD_ROUNDS ahead: chunks of certificates, upward,
 *                above our own quorum round; one request per peer, two peers at the most. A request
 *                that is not answered in SYNC_TIMEOUT_US or adds nothing marks the peer for
 *                SYNC_MARK_US.
 *   chunk        one answer being worked through, over several steps if it is long:
 *                  1. from the top down: a certificate that no verified or implied one of the chunk
 *                     names is verified by its signatures; its parents in the chunk are implied by
 *                     digest;
 *                  2. from the bottom up: what is verified or implied enters the DAG, the rest is
 *                     dropped;
 *                  3. what was implied is checked by its own signatures after all, so that this
 *                     node can serve it: else the last node that has a signature could be gone.
 *
 * The module keeps state and verifies; it sends nothing. */
#ifndef CONSENSUS_CORE_SYNCHRONIZER_H
#define CONSENSUS_CORE_SYNCHRONIZER_H

#include "consensus/core/dag.h"
#include "consensus/core/digest_map.h"
#include "consensus/core/wire.h"

/* A peer this many rounds ahead is caught up with by range; less comes by itself or by name. */
#define SYNC_AHEAD_ROUNDS 2u

#define SYNC_TIMEOUT_US   5000000u
#define SYNC_MARK_US      5000000u
#define SYNC_REQUESTS     2u
#define SYNC_SECOND_US    1000000u /* the second peer is asked when the first takes this long */

/* Certificates of a chunk worked on in one step, and of them checked by their signatures afterwards. */
#define SYNC_STEP_CERTIFICATES 128u
#define SYNC_STEP_CHECKS       16u

/* First wait before missing certificates are asked for by name: they are usually under way. */
#define SYNC_WANT_US   40000u

#define SUSPENDED_NONE UINT32_MAX

struct suspended {
    struct certificate certificate;
    struct digest digest;
    round_t round; /* 0: free */
    uint32_t next_free;
};

enum chunk_state { CHUNK_EMPTY, CHUNK_VERIFYING, CHUNK_ENTERING, CHUNK_CHECKING };

struct chunk_item {
    struct digest digest;
    uint32_t offset; /* of the certificate in `bytes` */
    bool reached;    /* named by a verified or implied one of the chunk */
    bool verified;
    bool dropped;
};

/* One CERTIFICATES answer. Bytes are copied in, as it outlives the step. */
struct chunk {
    enum chunk_state state;
    authority_t peer;
    bool last;     /* the peer's answer was complete */
    bool ranged;   /* it answers a range request */
    round_t first; /* lowest round in it; 0: empty */
    uint32_t count;
    uint32_t next;  /* item to work on: downward while verifying, upward after that */
    uint32_t added; /* items that entered or were suspended */
    size_t len;
    uint8_t *bytes;           /* FRAME_BYTES_MAX */
    struct chunk_item *items; /* WIRE_ANSWER_CERTIFICATES_MAX */
    struct digest_map map;    /* digest -> item */
};

struct sync_request {
    bool active;
    authority_t peer;
    round_t after;
    uint64_t sent_us;
};

struct sync_peer {
    round_t claimed;          /* highest certified round it claimed or showed */
    uint64_t certified_index; /* newest certified pre-block it claimed */
    uint64_t marked_until_us; /* not asked before */
    round_t
        beyond; /* the round that its last answer to a range should have begun with and did not: it
                       holds nothing so low any more; 0: it does */
    bool heard; /* it said where it is since it is up */
    bool rejoining;
    bool up;
};

/* Invariants (synchronizer_check): suspended_count agrees with the pool and the places; places hold
 * entries of their own (round, author). */
struct synchronizer {
    const struct committee *committee;
    authority_t self;
    struct suspended *pool; /* SUSPENDED_MAX */
    uint32_t pool_used;     /* entries ever used */
    uint32_t free_first;
    uint32_t suspended_count;
    uint32_t *places;              /* DAG_ROUNDS x count: pool index + 1, 0: none */
    struct authority_set *implied; /* DAG_ROUNDS: by round mod DAG_ROUNDS */
    struct sync_peer *peers;
    struct sync_request requests[SYNC_REQUESTS];
    struct chunk chunk;
    uint64_t
        want_at_us; /* when missing certificates are asked for next; UINT64_MAX: nothing to ask */
    uint64_t want_delay_us; /* doubles up to the retry bound while nothing comes */
    uint32_t want_turn;     /* which signer is asked next */
};

void synchronizer_place(struct synchronizer *synchronizer,
                        struct region *region,
                        const struct committee *committee,
                        authority_t self,
                        uint64_t seed);

/* ---- suspended certificates ------------------------------------------------------------------ */

/* OK; ERR_DUPLICATE; ERR_FULL: no room below its round; ERR_AHEAD: beyond the ring. */
enum status synchronizer_suspend(struct synchronizer *synchronizer,
                                 const struct certificate *certificate,
                                 const struct digest *digest,
                                 round_t gc_round);

/* The suspended certificate of (round, author), or NULL. */
const struct suspended *synchronizer_suspended(const struct synchronizer *synchronizer,
                                               round_t round,
                                               authority_t author);
void synchronizer_release(struct synchronizer *synchronizer, const struct suspended *suspended);

/* Drops what is suspended and implied at or below the new gc_round. */
void synchronizer_collect(struct synchronizer *synchronizer,
                          round_t old_gc_round,
                          round_t gc_round);

/* The suspended certificate of the lowest round, or NULL. */
const struct suspended *synchronizer_lowest(const struct synchronizer *synchronizer);

/* ---- implied vertices ------------------------------------------------------------------------ */

bool synchronizer_is_implied(const struct synchronizer *synchronizer,
                             round_t round,
                             authority_t author);
void synchronizer_set_implied(struct synchronizer *synchronizer,
                              round_t round,
                              authority_t author,
                              bool implied);

/* ---- chunks ---------------------------------------------------------------------------------- */

/* Takes a CERTIFICATES body (after its kind). ERR_FULL while another is being worked on,
 * ERR_MALFORMED. */
enum status synchronizer_take_chunk(struct synchronizer *synchronizer,
                                    authority_t peer,
                                    struct bytes body,
                                    bool ranged);

/* Works on the chunk. What `dag` holds with checked signatures, or has collected, is neither verified
 * again nor given out.
 *   OK             the next certificate to put into the DAG; `ret_verified` false: an implied one. The
 *                  implied ones come a second time, verified
 *   ERR_NOT_FOUND  a bounded amount of verifying was done: call again
 *   ERR_SIGNATURE  an implied one, in `ret_certificate`, has bad signatures: ask others for it
 *   ERR_MISSING    the chunk is done and empty again; `added` and so on can be read from it until the
 *                  next synchronizer_take_chunk */
enum status synchronizer_next(struct synchronizer *synchronizer,
                              const struct dag *dag,
                              struct certificate *ret_certificate,
                              struct digest *ret_digest,
                              bool *ret_verified);

/* ---- peers and requests ---------------------------------------------------------------------- */

void synchronizer_note_claim(struct synchronizer *synchronizer, authority_t peer, round_t round);

/* Highest round claimed by any peer, and by peers of stake >= V together (one of them is honest).
 */
round_t synchronizer_claimed(const struct synchronizer *synchronizer);
round_t synchronizer_target(const struct synchronizer *synchronizer);

/* Chooses a peer for the next range request, of rounds > `after`, and notes the request; false when none is
 * due. */
bool synchronizer_request(struct synchronizer *synchronizer,
                          authority_t *ret_peer,
                          round_t quorum_round,
                          round_t after,
                          uint64_t now_us);

/* The peer's answer was worked through. */
void synchronizer_answered(struct synchronizer *synchronizer,
                           authority_t peer,
                           bool added,
                           uint64_t now_us);

/* True when a range request to the peer is open. */
bool synchronizer_is_asked(const struct synchronizer *synchronizer, authority_t peer);

/* When synchronizer_request should be called again, after `now_us`; UINT64_MAX: nothing is open. */
uint64_t synchronizer_deadline(const struct synchronizer *synchronizer, uint64_t now_us);

void synchronizer_check(const struct synchronizer *synchronizer);

#endif
