/* Inside of the core: all modules' state, and the functions by which the core_*.c files turn facts
 * into actions. Modules (dag, certifier, voter, ...) know nothing of this file; nothing outside the
 * core includes it.
 *
 *   core.c               life, the step's switch, deadline, status, check
 *   core_actions.c       the list of actions and the arena behind it
 *   core_headers.c       HEADER: first-seen headers, evidence, our votes
 *   core_votes.c         VOTE: certificates out of votes, asking for unknown headers
 *   core_certificates.c  certificates into the DAG, suspended ones, garbage collection
 *   core_checkpoint.c    checkpoints made, signed, made final and served
 *   core_restore.c       starting again from one
 *   core_order.c         ordering records, pre-blocks, attestations and their certificates
 *   core_propose.c       own headers
 *   core_batches.c       batches stored, acknowledged, missing, dropped
 *   core_sync.c          WANT, WANT_RANGE, POSITION, chunks, retransmission, peers up and down
 *   recovery.c           stored records in, START
 *   rejoin.c             starting without memory
 *
 * One step: the event's own handler, then core_advance, which does everything that became possible.
 * Actions are collected in two lists, persists and others; all persists of a step go first, so one
 * synced write covers a step and nothing leaves before what it rests on. */
#ifndef CONSENSUS_CORE_CORE_STATE_H
#define CONSENSUS_CORE_CORE_STATE_H

#include "consensus/core/attestor.h"
#include "consensus/core/batch_table.h"
#include "consensus/core/certifier.h"
#include "consensus/core/checkpoint.h"
#include "consensus/core/core.h"
#include "consensus/core/dag.h"
#include "consensus/core/orderer.h"
#include "consensus/core/preblock_cutter.h"
#include "consensus/core/proposer.h"
#include "consensus/core/records.h"
#include "consensus/core/synchronizer.h"
#include "consensus/core/voter.h"
#include "consensus/core/wire.h"

/* Others than persists in one step, for a committee of `count`: three for each pre-block of the
 * largest record, which has at most one for each of its vertices, and what other work may add. */
#define CORE_OTHERS_MAX(count) (8192u + 3u * DAG_ROUNDS * (size_t)(count))

/* Persists: an EXECUTED row for each batch of the largest record, its pre-blocks, and other work.
 */
#define CORE_PERSISTS_MAX(count) (16384u + DAG_ROUNDS * (size_t)(count) * (HEADER_BATCHES_MAX + 4u))

/* Step memory: the same rows and records. */
#define CORE_ARENA_BYTES(count) \
    (16u * 1024u * 1024u +      \
     DAG_ROUNDS * (size_t)(count) * (HEADER_BATCHES_MAX * 96u + 1536u + QUORUM_BYTES_MAX))

/* What a step keeps free for one more unit of work. */
#define CORE_ROOM_ACTIONS 1024u
#define CORE_ROOM_BYTES   (2u * 1024u * 1024u)

/* Ordering records that wait for their pre-blocks. */
#define CORE_PENDING_MAX 4096u

/* Longest retransmission delay. */
#define CORE_RETRY_US_MAX 5000000u

/* An unknown header that votes name is asked for after this: it is usually under way. */
#define CORE_HEADER_ASK_US 30000u

/* Least time between two served ranges to one peer. */
#define CORE_SERVE_US 2000u

/* Least time between two checkpoints sent to one peer whose signature came late. */
#define CORE_PROVE_US 1000000u

/* A checkpoint that is needed is asked for this often, each time of another peer. */
#define CORE_RESTORE_RETRY_US 1000000u

/* Evidence rows of one author since the start: one is proof enough, and it can make one per round. */
#define CORE_EVIDENCE_ROWS_MAX 16u

/* "Author not known" in a WANT. */
#define CORE_AUTHOR_UNKNOWN UINT16_MAX

/* A header that waits for our vote: the first of its slot. */
struct core_candidate {
    round_t round;
    authority_t author;
    uint8_t verdict; /* enum vote_verdict when last judged */
    uint64_t since_us;
};

/* An ordering record whose pre-blocks are not made. */
struct core_pending {
    uint64_t sequence;
    size_t offset;
    size_t len;
    size_t skip;           /* bytes left unused at the ring's end before it */
    struct digest missing; /* a batch that was not here when last looked */
    bool waits;
};

struct core_rejoin {
    bool active; /* the floor is not known yet */
    uint64_t nonce;
    struct authority_set answered;
    round_t highest;
};

/* A start from a checkpoint under way (core_restore.c). */
struct core_restore {
    struct checkpoint_proof target; /* sequence 0: none */
    uint64_t next;                  /* sequence of the ordering record wanted */
    struct digest expected;         /* its digest */
    uint32_t have;                  /* bytes of it in `record` */
    uint32_t total;                 /* of it, known with the first part */
    uint8_t *record;
    size_t capacity;
    authority_t peer;
    struct digest lacked;         /* a batch that the next pre-block waits for */
    struct authority_set lacking; /* peers that said they do not have it */
    uint32_t turn;                /* who is asked next */
    uint64_t due_us;              /* when somebody else is asked */
};

struct core {
    struct core_options options;
    const struct committee *committee;
    authority_t self;
    uint64_t now_us;
    uint64_t wall_ms;
    bool started;
    bool halted;   /* an alarm was raised: nothing is signed or ordered any more */
    bool replaced; /* the store holds another history: no step does anything any more */

    struct dag *dag;
    struct orderer *orderer;
    struct batch_table batches;
    struct certifier certifier;
    struct voter voter;
    struct proposer proposer;
    struct synchronizer synchronizer;
    struct attestor attestor;
    struct checkpointer checkpointer;
    struct preblock_chain chain;
    struct core_rejoin rejoin;
    struct core_restore restore;

    round_t floor;            /* nothing is signed at or below it */
    struct header own_header; /* newest, round 0: none */
    struct signature own_signature;
    struct digest own_digest;
    struct certificate proof; /* of the highest round verified here; round 0: none */

    uint8_t evidence_rows[AUTHORITIES_MAX]; /* written since the start, by author */

    struct core_candidate *candidates; /* CERTIFIER_ROUNDS x count */
    uint32_t candidates_count;
    bool candidates_dirty; /* something they wait for may have come */

    uint8_t *ring; /* bytes of pending ordering records */
    size_t ring_capacity;
    size_t ring_begin;            /* of the oldest in use */
    size_t ring_used;             /* with what is skipped at its end */
    struct core_pending *pending; /* CORE_PENDING_MAX, circular */
    uint32_t pending_first;
    uint32_t pending_count;
    uint32_t pending_spent;   /* made in this step: bytes freed at the next */
    struct batch_size *sizes; /* of the record being cut */
    struct preblock_cutter cutter;
    uint64_t cut; /* sequence of the last record whose pre-blocks are made */

    uint64_t *served_us; /* per peer: when a range was served last */
    uint64_t *
        proved_us; /* per peer: when it was sent our newest checkpoint last, for its late signature */
    uint64_t retry_at_us;
    uint64_t retry_delay_us;
    uint64_t attest_at_us; /* when the newest attestation is sent again */
    uint64_t attest_delay_us;
    uint64_t attest_index; /* pre-block that the two times are about */
    uint64_t header_ask_at_us;
    round_t release_round; /* letting suspended certificates in was cut here; UINT64_MAX: not */
    bool dag_dirty;        /* the commit rule may have something new */
    bool more_work;        /* the step was cut */
    bool ready;
    bool meta_preblock_dirty;
    bool meta_certified_dirty;
    uint64_t deadline_us;

    struct core_action *items; /* persists, then others at the end of a step */
    size_t persists_count;
    size_t persists_max;
    struct core_action *others;
    size_t others_count;
    size_t others_max;
    uint8_t *arena;
    size_t arena_used;
    size_t arena_capacity;

    struct {
        uint64_t skipped_anchors;
        uint64_t direct_commits;
        uint64_t fast_commits;
        uint64_t indirect_commits;
        uint64_t certificates;
        uint64_t refusals[CORE_REFUSALS];
    } counts;

    struct { /* recovery only */
        uint64_t ordering_last;
        uint64_t preblock_last;
        uint64_t certified_last;
        bool any;
    } stored;
};

/* ---- core_actions.c -------------------------------------------------------------------------- */

/* True while there is room for one more unit of work in this step. */
bool core_has_room(const struct core *core);

/* `bytes` of step memory, 8-byte aligned. */
void *core_take(struct core *core, size_t bytes);

/* A writer into step memory; core_written keeps what was written and gives it back. */
struct writer core_writer(struct core *core, size_t bytes_max);
struct bytes core_written(struct core *core, const struct writer *writer);

void core_persist(struct core *core, enum core_table table, struct bytes key, struct bytes value);
void core_persist_number(struct core *core,
                         enum core_table table,
                         uint64_t key,
                         struct bytes value);
void core_persist_meta(struct core *core, struct bytes name, uint64_t value);
void core_erase_below(struct core *core, enum core_table table, round_t round);

/* A zeroed action of this kind among the others. */
struct core_action *core_act(struct core *core, enum core_action_kind kind);
void core_send(struct core *core, authority_t peer, struct bytes message);

/* To all others. Nothing when the committee has no others. */
void core_broadcast(struct core *core, struct bytes message);

/* To the peer, or to all others when `peer` is self. */
void core_send_or_broadcast(struct core *core, authority_t peer, struct bytes message);

/* Something impossible was seen: stop signing and ordering, tell the driver. */
void core_alarm(struct core *core, const char *reason);

void core_refuse(struct core *core, enum core_refusal refusal, authority_t peer);
void core_note(struct core *core,
               enum core_trace_kind kind,
               authority_t author,
               round_t round,
               uint64_t value,
               const struct digest *digest);

/* ---- core.c ---------------------------------------------------------------------------------- */

/* True when a header or vote of this round may be signed. */
bool core_may_sign(const struct core *core, round_t round);

static inline round_t core_quorum_round(const struct core *core)
{
    return dag_quorum_round(core->dag);
}

/* ---- core_headers.c -------------------------------------------------------------------------- */

void core_recv_header(struct core *core, authority_t peer, struct reader *reader);

/* Takes a well-formed header with a verified signature into its slot. */
enum status core_take_header(struct core *core,
                             const struct header *header,
                             const struct digest *digest,
                             const struct signature *signature);

/* The header, first of its slot, waits for our vote. */
void core_add_candidate(struct core *core, const struct header *header);

/* Judges the candidates again and votes for those that are ready. */
void core_vote_candidates(struct core *core);

/* Our recorded vote of (round, author) to `peer`, or to all when peer is self; nothing without one.
 */
void core_send_vote(struct core *core, authority_t peer, round_t round, authority_t author);

/* ---- core_votes.c ---------------------------------------------------------------------------- */

void core_recv_vote(struct core *core, authority_t peer, struct reader *reader);

/* Makes the certificate of a slot's header if its votes allow it. */
void core_try_certify(struct core *core, struct certifier_slot *slot, const struct digest *digest);

/* Asks voters for headers that stake >= V names and that are not here. */
void core_ask_headers(struct core *core);

/* ---- core_certificates.c --------------------------------------------------------------------- */

/* A certificate, verified or implied by a verified one. True when it is new here: in the DAG or
 * suspended. */
bool core_accept_certificate(struct core *core,
                             const struct certificate *certificate,
                             const struct digest *digest,
                             bool verified);

/* A certificate that entered as implied was checked: when its vertex is collected meanwhile, only the store
 * has to know. Without that nobody could be served it, and after a wipe of every member in turn nobody would
 * have signatures for it that count. */
void core_keep_checked(struct core *core, const struct certificate *certificate);

/* Goes on with letting suspended certificates in after a step was cut. */
void core_resume_release(struct core *core);

/* gc_round moved up from `old`: forgets, and lets suspended certificates in. */
void core_collect(struct core *core, round_t old_gc_round);

/* ---- core_order.c ---------------------------------------------------------------------------- */

void core_order(struct core *core);
void core_make_preblocks(struct core *core);
void core_recv_attestation(struct core *core, authority_t peer, struct reader *reader);
void core_recv_preblock_certificate(struct core *core, authority_t peer, struct reader *reader);
void core_send_attestation(struct core *core, authority_t peer);

/* Puts a record at the end of the pending ring and pins its batches. */
void core_pend(struct core *core, const struct ordering_record *record);
bool core_pend_has_room(const struct core *core);

/* True when the oldest pending record waits for a batch: which. */
bool core_pend_waits(const struct core *core, struct digest *ret_missing);

/* Digest of a pending record: cut < sequence <= the last ordered. */
struct digest core_pend_digest(const struct core *core, uint64_t sequence);

/* ---- core_checkpoint.c ----------------------------------------------------------------------- */

/* All pre-blocks of the record are made: when a checkpoint is due at it, makes and signs it. */
void core_make_checkpoint(struct core *core, const struct ordering_record *record);

/* After recovery: our own signature on one that is not final. */
void core_recover_own_checkpoint(struct core *core);

void core_persist_checkpoint(struct core *core, const struct checkpoint_proof *proof);

/* Our signature on our newest one, while that is not final, to `peer`, or to all when peer is self. */
void core_send_checkpoint_signature(struct core *core, authority_t peer);
void core_recv_checkpoint_signature(struct core *core, authority_t peer, struct reader *reader);
void core_recv_checkpoint(struct core *core, authority_t peer, struct reader *reader);
void core_recv_want_checkpoint(struct core *core, authority_t peer, struct reader *reader);
void core_recv_want_records(struct core *core, authority_t peer, struct reader *reader);

/* ---- core_restore.c -------------------------------------------------------------------------- */

/* True when this node can only go on from a checkpoint, has none yet, and one of `sequence` would help. */
bool core_restore_wants(const struct core *core, uint64_t sequence);

/* Begins to fetch the records of a verified checkpoint that core_restore_wants. */
void core_restore_begin(struct core *core, authority_t peer, const struct checkpoint_proof *proof);

/* The peer does not have this batch. */
void core_restore_note_absent(struct core *core, authority_t peer, const struct digest *digest);
void core_recv_record(struct core *core, authority_t peer, struct reader *reader);

/* Asks when it is time; returns when to come back. */
uint64_t core_restore_turn(struct core *core);

/* ---- core_propose.c -------------------------------------------------------------------------- */

/* Proposes when it is time; returns when to come back. */
uint64_t core_propose(struct core *core);

/* ---- core_batches.c -------------------------------------------------------------------------- */

void core_batch_stored(struct core *core, const struct core_event *event);
void core_batch_lost(struct core *core, const struct digest *digest);
void core_recv_batch_ack(struct core *core, authority_t peer, struct reader *reader);
void core_recv_no_batch(struct core *core, authority_t peer, struct reader *reader);

/* The payload of a header is needed here; `certificate` when it is certified. */
void core_name_batches(struct core *core, const struct header *header, const struct quorum *quorum);
void core_look_up(struct core *core, uint32_t entry);

/* Asks for missing batches; returns when to come back. */
uint64_t core_fetch_batches(struct core *core);

/* Forgets what nothing needs any more, names again what was collected unordered. */
void core_sweep_batches(struct core *core);

/* ---- core_sync.c ----------------------------------------------------------------------------- */

void core_recv_certificates(struct core *core, authority_t peer, struct bytes body);
void core_recv_want(struct core *core, authority_t peer, struct reader *reader);
void core_recv_want_range(struct core *core, authority_t peer, struct reader *reader);
void core_recv_want_header(struct core *core, authority_t peer, struct reader *reader);
void core_recv_position(struct core *core, authority_t peer, struct reader *reader);
void core_recv_want_preblock_certificate(struct core *core,
                                         authority_t peer,
                                         struct reader *reader);
void core_peer_up(struct core *core, authority_t peer);
void core_peer_down(struct core *core, authority_t peer);

/* Certificates of rounds above this one are needed here. */
round_t core_range_after(const struct core *core);

/* Works on the chunk at hand, if any. */
void core_work_chunk(struct core *core);

/* Range requests, missing certificates, retransmission; returns when to come back. */
uint64_t core_synchronize(struct core *core);

/* Starts the retransmission clock anew: the node made a step. */
void core_restart_retry(struct core *core);

/* ---- recovery.c, rejoin.c -------------------------------------------------------------------- */

void core_start(struct core *core);
void core_rejoin_start(struct core *core);
void core_rejoin_query(struct core *core, authority_t peer);
void core_recv_rejoin_query(struct core *core, authority_t peer, struct reader *reader);
void core_recv_rejoin_answer(struct core *core, authority_t peer, struct reader *reader);

#endif
