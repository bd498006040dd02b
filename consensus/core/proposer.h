/* When to propose, and what (CONSENSUS 5).
 *
 * R is the highest round whose certificates in the DAG reach Q. A header of R+1 is proposed, if no
 * own header >= R+1 exists, when the wait is over and there is a reason:
 *
 *   reason   own payload pending; an unordered vertex with payload in the DAG; the newest own
 *            pre-block is not certified; headers of R+1 from stake >= V were seen; the idle tick
 *   wait     for the certificates of R of all authors the schedule does not exclude, the anchor
 *            first of all: p95 of the authors' lag behind the quorum, [anchor_wait_us_min,
 *            header_delay_us_max]. For a missing anchor each anchor slot skipped lately doubles it,
 *            and after four doublings header_delay_us_max too; each directly committed anchor
 *            halves it.
 *   pace     header_delay_us_min between own headers; longer by up to PROPOSER_LOAD_US the more
 *            payload they carry, since a round costs its signatures whatever is in it and a busy
 *            machine spends them better on payload; and longer when this machine is late: the
 *            lateness of the core's own timers is what it can see of a saturated processor.
 *
 * A jump to a higher round does not restart a running wait: else a node that is being overtaken
 * would never propose. More than gc_depth rounds past the last ordered anchor, wait and pace double
 * with every round, up to PROPOSER_DELAY_US_MAX. All times are monotonic, microseconds. */
#ifndef CONSENSUS_CORE_PROPOSER_H
#define CONSENSUS_CORE_PROPOSER_H

#include "consensus/core/batch_table.h"
#include "consensus/core/dag.h"
#include "consensus/core/orderer.h"

/* Longest wait or pace whatever happens. */
#define PROPOSER_DELAY_US_MAX 10000000u

/* Lag samples kept per author, and rounds whose quorum time is remembered for them. */
#define PROPOSER_SAMPLES 16u
#define PROPOSER_ROUNDS  16u

/* Bulk bytes a peer may lag before batches wait for acknowledgements: one round's transfer at
 * least. */
#define PROPOSER_LAG_BYTES_MAX (256u * 1024u)

/* Nameable batches looked at for one header. */
#define PROPOSER_SCAN_MAX 1024u

/* The pace grows by this much per microsecond of timer lateness. */
#define PROPOSER_LATENESS_FACTOR 4u

/* Own payload, bytes a second, at which the pace is longer by PROPOSER_LOAD_US, and in proportion
 * below. Measured, 7 nodes on two cores, nothing synced: rounds of 40 ms cost half of the machine. */
#define PROPOSER_LOAD_RATE (4u * 1024u * 1024u)
#define PROPOSER_LOAD_US   80000u

/* Rounds after which an own header that is not certified is taken for lost, and its batches are
 * named again. Naming twice is harmless: the second is skipped. */
#define PROPOSER_LOST_ROUNDS 3u

struct proposer_lag {
    uint32_t samples_us[PROPOSER_SAMPLES];
    uint32_t count; /* samples taken, in all */
};

struct proposer {
    const struct core_parameters *parameters;
    const struct committee *committee;
    authority_t self;
    round_t highest;        /* of all stored own headers */
    round_t round;          /* R */
    uint64_t proposed_us;   /* when the newest own header was made, or the core started */
    uint64_t wait_since_us; /* when the running wait began */
    bool waiting;
    uint32_t doublings;                  /* of the anchor wait */
    uint64_t lateness_us;                /* smoothed */
    uint64_t payload_rate;               /* of own headers, bytes a second, smoothed */
    uint64_t quorum_us[PROPOSER_ROUNDS]; /* by round: when it got its quorum */
    struct proposer_lag *lags;           /* per author */
    uint64_t transfer_bytes;             /* own bulk bytes acknowledged by Q in the last round */
};

/* What a decision rests on, gathered by the caller. */
struct proposer_facts {
    uint64_t now_us;
    round_t anchor_round; /* p */
    bool anchor_in;       /* the scheduled anchor of R is in, or R has no anchor */
    bool all_in;          /* every author not excluded is in */
    bool reason;          /* any but the idle tick */
};

void proposer_place(struct proposer *proposer,
                    struct region *region,
                    const struct committee *committee,
                    const struct core_parameters *parameters,
                    authority_t self);

/* R is `round` now: remembers when it got there and starts the wait if none is running. */
void proposer_note_round(struct proposer *proposer, round_t round, uint64_t now_us);

/* A certificate of (round, author) entered the DAG. */
void proposer_note_certificate(struct proposer *proposer,
                               round_t round,
                               authority_t author,
                               uint64_t now_us);

/* An anchor was ordered after `skipped` slots; `direct`: it was decided directly. */
void proposer_note_anchor(struct proposer *proposer, uint32_t skipped, bool direct);

/* A timer event came `late_us` after its deadline. */
void proposer_note_late(struct proposer *proposer, uint64_t late_us);

/* A header of `round` with so much payload was proposed (or recovered: `now_us` of START). */
void proposer_note_proposed(struct proposer *proposer,
                            round_t round,
                            uint64_t payload_bytes,
                            uint64_t now_us);

/* p95 of the lags of the authors not in `excluded`, clamped as the wait is. */
uint64_t proposer_wait_us(const struct proposer *proposer, const struct authority_set *excluded);

/* True when a header of R+1 should be made now; else `ret_deadline_us` says when to ask again at
 * the latest (UINT64_MAX: only after something changed). */
bool proposer_is_due(const struct proposer *proposer,
                     uint64_t *ret_deadline_us,
                     const struct proposer_facts *facts,
                     const struct authority_set *excluded);

/* True while no new payload may be named because nothing was ordered for gc_depth rounds. */
bool proposer_is_stuck(const struct proposer *proposer, round_t anchor_round);

/* Fills the payload of `header` from the nameable batches and moves them to NAMED: at most
 * HEADER_BATCHES_MAX and HEADER_PAYLOAD_BYTES_MAX; returns its bytes. While the bulk links lag only batches that stake
 * Q acknowledged. Batches that `orderer` executed are forgotten instead. */
uint64_t proposer_fill(struct proposer *proposer,
                       struct header *header,
                       struct batch_table *batches,
                       const struct orderer *orderer,
                       uint64_t now_us);

/* True when proposer_fill would name something. */
bool proposer_has_payload(const struct proposer *proposer,
                          const struct batch_table *batches,
                          uint64_t now_us);

/* Own payload certified but not ordered, and not named again since, bytes. */
uint64_t proposer_unordered_bytes(const struct proposer *proposer,
                                  const struct dag *dag,
                                  const struct batch_table *batches);

void proposer_check(const struct proposer *proposer);

#endif
