/* Every batch this node knows of: digest, worker, size, who made it, and what is still to happen to
 * it. An entry is in exactly one list:
 *
 *     UNNAMED    another's, durable here, named by no header yet; in order of arrival
 *     NAMEABLE   waits for the proposer: ours and new, or to be named again
 *     RENAME     another's, certified, collected unordered: becomes NAMEABLE at `due_us`
 *     NAMED      durable here, named by a live header; in order of the highest round naming it
 *     PINNED     durable here, taken by an ordering record whose pre-block is not made yet
 *     MISSING    named by a live header or ordered, not durable here, not asked for yet
 *     FETCHING   the same, asked for
 *
 * - A missing batch is asked for when its author's bulk stream has passed it, or when `due_us` has come and
 *   that stream has stood still as long; BATCH_PATIENCE_US after `due_us` even while it moves. One
 *   peer is asked, then another after BATCH_FETCH_RETRY_US, doubled each time, and from the third
 *   time on two: on a machine that is late every answer is, and to ask everybody for everything makes
 *   it later still (CONSENSUS 4; measured in docs/protocol.md, batches).
 * - *Pinned* entries (in PINNED, or missing) are never given up. Everything else may be evicted
 *   when the table is full (what is durable is found again in the batch log): first UNNAMED, then
 *   MISSING, then NAMED of others.
 * - At most UNNAMED_BATCH_BYTES_MAX of unnamed batches per author are held, each counted as at
 *   least one 4 KiB record of the batch log.
 * - What waits to be named by us (NAMEABLE, RENAME) is taken off by our own header or by an ordering
 *   record, and what is ours or certified is not kept alive by other headers: a member that names it
 *   again and again where nothing comes of it would keep it back for ever.
 * - A batch sealed here is ours, though a peer has streamed equal bytes before.
 * - Acknowledgements tell who else has an own batch. What was made and is not acknowledged by a
 *   peer is that peer's bulk lag; the proposer reads the lag of the fastest quorum.
 *
 * Theory: CONSENSUS 4 (docs/protocol.md, batches). */
#ifndef CONSENSUS_CORE_BATCH_TABLE_H
#define CONSENSUS_CORE_BATCH_TABLE_H

#include "common/committee.h"
#include "consensus/core/dag.h"
#include "consensus/core/digest_map.h"

/* Size at which an unnamed batch is counted at least: one padded record of the batch log. */
#define BATCH_CHARGE_BYTES_MIN 4096u

/* Entries per author: twice what its headers can name while the whole DAG ring is unordered. About
 * 90 MB of address space for seven, touched only as it is used. */
#define BATCH_ENTRIES_PER_AUTHOR (2u * HEADER_BATCHES_MAX * DAG_ROUNDS)

/* Time from the first asking for a missing batch to the second; it doubles so many times. */
#define BATCH_FETCH_RETRY_US  200000u
#define BATCH_FETCH_DOUBLINGS 3u

/* So many times only those are asked that signed for holding it, when there are any. */
#define BATCH_ASKED_HOLDERS 3u

/* How long a bulk stream that moves is waited for past a missing batch's due time. */
#define BATCH_PATIENCE_US 3000000u

/* Batches asked for at one time: as many as make BATCH_FETCH_BYTES at the mean size of those fetched lately,
 * within these bounds. 64 of the largest are 30 MB under way; small ones would come no faster than 64 in a
 * round trip, which is less than a network at rest can make. Of those that no certified header names, and
 * which may not exist, each author has an equal share. */
#define BATCH_FETCHES_MIN 64u
#define BATCH_FETCHES_MAX 256u
#define BATCH_FETCH_BYTES (4u * 1024u * 1024u)

/* A batch that no certified header names and nobody has after this many rounds of asking makes room
 * for others for BATCH_GIVE_WAY_US: its author may have named what never was. */
#define BATCH_ASKED_MAX   5u
#define BATCH_GIVE_WAY_US 5000000u

/* Missing batches looked at per call, so that a long list costs a step little. */
#define BATCH_SCAN_MAX 256u

/* Another's batch, certified and then collected unordered, is named again by any holder after this.
 */
#define BATCH_RENAME_US 2000000u

#define BATCH_NONE      UINT32_MAX

enum batch_list {
    BATCH_LIST_FREE,
    BATCH_LIST_UNNAMED,
    BATCH_LIST_NAMEABLE,
    BATCH_LIST_RENAME,
    BATCH_LIST_NAMED,
    BATCH_LIST_PINNED,
    BATCH_LIST_MISSING,
    BATCH_LIST_FETCHING,
    BATCH_LISTS
};

struct batch_entry {
    struct digest digest;
    uint64_t created_at; /* ms */
    uint64_t
        due_us; /* MISSING, FETCHING: when to ask; RENAME: when it becomes nameable; own NAMEABLE: when
                      * it is named though stake Q did not acknowledge it */
    round_t round; /* UNNAMED: round here at arrival; named: highest round naming it */
    struct authority_set holders; /* who else is known to have it */
    uint32_t bytes;
    uint32_t transactions;
    uint32_t worker;
    uint32_t pins;     /* ordering records that wait for it */
    uint32_t previous; /* neighbours in its list */
    uint32_t next;
    authority_t author;
    authority_t next_peer; /* FETCHING: where asking goes on */
    uint16_t asked;        /* FETCHING: rounds of asking */
    uint8_t list;          /* enum batch_list */
    bool looked_up;        /* MISSING: the local log was asked */
    bool certified;        /* a certified header names it */
    bool executed;         /* batch_table_note_executed */
    bool acknowledged;     /* own: stake Q has it */
    bool was_named;        /* own: some own header named it before */
};

struct batch_queue {
    uint32_t first;
    uint32_t last;
    uint32_t count;
};

/* Invariants (batch_table_check): list counts agree with the map; fetches are bounded; entries in
 * MISSING and FETCHING are not durable and all others are. */
struct batch_table {
    const struct committee *committee;
    authority_t self;
    struct batch_entry *entries;
    struct digest_map map;
    uint32_t capacity;
    uint32_t used_max; /* entries ever used; memory beyond is untouched */
    struct batch_queue lists[BATCH_LISTS];
    uint32_t fetched_bytes;   /* mean size of the batches fetched lately */
    uint64_t *unnamed_bytes;  /* per author: charged bytes in UNNAMED, own: new in NAMEABLE */
    uint64_t *lag_bytes;      /* per peer: own bulk bytes it has not acknowledged */
    uint64_t *streamed_until; /* per author: created_at its bulk stream has reached, ms */
    uint64_t *stream_due_us;  /* per author: until when its bulk stream counts as moving */
    uint32_t missing_pinned;  /* missing batches that are pinned */
    uint64_t acked_bytes;     /* own bytes that reached stake Q since batch_table_take_acked */
};

void batch_table_place(struct batch_table *table,
                       struct region *region,
                       const struct committee *committee,
                       authority_t self,
                       uint64_t seed);

/* The entry's number, or BATCH_NONE. */
uint32_t batch_table_find(const struct batch_table *table, const struct digest *digest);

/* Entry by number; alive until it is forgotten. */
struct batch_entry *batch_table_entry(const struct batch_table *table, uint32_t entry);

/* True when the entry's batch is durable here. */
bool batch_entry_is_held(const struct batch_entry *entry);

/* True when the batch is durable here under the stated worker. */
bool batch_table_holds(const struct batch_table *table, const struct batch_info *info);

struct batch_stored {
    struct digest digest;
    authority_t author;
    uint32_t worker;
    uint32_t bytes;
    uint32_t transactions;
    uint64_t created_at;
    bool streamed;
    bool executed; /* the store says so */
};

/* A batch became durable here while the node was in `round`. An own new batch becomes nameable, at
 * `due_us` though the links lag; a streamed one says that its author's stream moves, until `due_us`.
 * OK; ERR_DUPLICATE when it was held already; ERR_FULL when its author's share or the table is
 * full: the caller lets it be forgotten. `ret_entry` on OK. */
enum status batch_table_store(struct batch_table *table,
                              uint32_t *ret_entry,
                              const struct batch_stored *stored,
                              round_t round,
                              uint64_t due_us);

/* A header of `author` and `round` names the batch: it is kept, or missed from now on. ERR_FULL
 * when there is no room. */
enum status batch_table_name(struct batch_table *table,
                             uint32_t *ret_entry,
                             const struct batch_info *info,
                             authority_t author,
                             round_t round,
                             uint64_t fetch_at_us);

/* The batch was executed, though something still asks for it: it is never named (again) by us. The dedup
 * window passes, so whoever learns of it says so while it is known. */
void batch_table_note_executed(struct batch_table *table, uint32_t entry);

/* An ordering record took the batch: it is never given up and not named again until it is unpinned.
 * `certified` names of the same batch must come first (batch_table_name). */
void batch_table_pin(struct batch_table *table, uint32_t entry);

/* Its pre-block is made. Forgets the entry when that was the last pin. */
void batch_table_unpin(struct batch_table *table, uint32_t entry);

/* The peer has the own batch. True when this made stake Q (self included). */
bool batch_table_acknowledge(struct batch_table *table, uint32_t entry, authority_t peer);

/* Own bulk lag of the peer that completes a quorum of the fastest, bytes; self has none. */
uint64_t batch_table_quorum_lag(const struct batch_table *table);

/* Own bytes acknowledged by stake Q since the last call. */
uint64_t batch_table_take_acked(struct batch_table *table);

/* The batch may be named (again) by us: in front when it was named before. Not for pinned and executed ones. */
void batch_table_make_nameable(struct batch_table *table, uint32_t entry);

/* The same for another's, at `due_us`, unless it is ordered first. */
void batch_table_rename_later(struct batch_table *table, uint32_t entry, uint64_t due_us);

/* Moves what is due from RENAME to NAMEABLE; returns the next due time or UINT64_MAX. */
uint64_t batch_table_rename_due(struct batch_table *table, uint64_t now_us);

/* Forgets an entry that is not pinned. */
void batch_table_forget(struct batch_table *table, uint32_t entry);

/* Batches that may be asked for at one time now: BATCH_FETCHES_MIN .. BATCH_FETCHES_MAX. */
uint32_t batch_table_fetches(const struct batch_table *table);

/* The next missing batch to ask for, moved to FETCHING, or BATCH_NONE; and when to come back. */
uint32_t batch_table_fetch_due(struct batch_table *table,
                               uint64_t *ret_deadline_us,
                               uint64_t now_us);

/* Peers to ask this time for an entry just returned by batch_table_fetch_due. */
uint32_t batch_table_fetch_peers(const struct batch_table *table, uint32_t entry);

/* Peer to ask next for the entry: one that signed for holding it, or its author when nobody is known
 * to; then the others, round robin. */
authority_t batch_table_fetch_peer(struct batch_table *table, uint32_t entry);

/* `peer` says that it does not hold the entry: the next is asked at once, so that one round of the committee
 * takes a few message delays when most were wiped. Past that the timers rule, whatever peers say. */
void batch_table_note_absent(struct batch_table *table,
                             uint32_t entry,
                             authority_t peer,
                             uint64_t now_us);

/* First UNNAMED entry that arrived at or below `round`, or BATCH_NONE. */
uint32_t batch_table_stale_unnamed(const struct batch_table *table, round_t round);

/* First entry of `list` (NAMED, MISSING or FETCHING) that is not pinned and named by rounds at or
 * below `round` only, or BATCH_NONE. A certified one in MISSING has until its due_us to be found in
 * the log. */
uint32_t batch_table_stale_named(const struct batch_table *table,
                                 enum batch_list list,
                                 round_t round,
                                 uint64_t now_us);

/* An own batch, not executed, that only headers of `round` or below name and that no certified one names, or
 * that only headers of `ordered_round` or below name, certified or not; or BATCH_NONE. */
uint32_t batch_table_passed_by(const struct batch_table *table,
                               round_t round,
                               round_t ordered_round);

/* True when `author`'s bulk link should not be read: its unnamed share is used up. */
bool batch_table_is_full(const struct batch_table *table, authority_t author);

/* Batches that a pre-block waits for now. */
uint64_t batch_table_missing(const struct batch_table *table);

void batch_table_check(const struct batch_table *table);

#endif
