/* Who is the anchor of a round: by stake, without those who lately failed.
 *
 * The schedule is a function of the committed prefix alone, so that nodes with equal prefixes C
 * agree on schedule(C, r) for every r. Over the last W ordering records:
 *
 *   skips(a)  skipped instance slots that a led          count(a)  ordered vertices of a
 *
 * Candidates for exclusion are those with skips > 0 or, once W records exist, count < W / 2. They
 * are taken by (skips descending, count ascending, index ascending); each is excluded if the stake
 * excluded so far and its own fit together in F, and passed over if not. At least Q of stake is
 * left. Then
 *
 *   leader(r) = owner of stake position LE64(blake2b(committee digest || r as u64)) mod E,
 *
 * positions running in index order over the E units of stake that are not excluded. Integers only.
 * An exclusion ends when the records it rests on leave the window. Nothing is cached per round:
 * after every ordered anchor all later rounds are evaluated anew (caching is one of the variants
 * that fork). Source: CONSENSUS 9; Shoal, leader reputation. */
#ifndef CONSENSUS_CORE_SCHEDULE_H
#define CONSENSUS_CORE_SCHEDULE_H

#include "common/committee.h"
#include "common/types.h"

/* What one ordering record adds. */
struct schedule_delta {
    uint16_t skips[AUTHORITIES_MAX];   /* skipped slots led by this author */
    uint16_t ordered[AUTHORITIES_MAX]; /* vertices of this author */
};

/* Invariants (schedule_check): skips and counts are the sums of the deltas in the ring; excluded is
 * what the rule gives for them and holds stake <= F; eligible is the rest of the stake, >= Q. */
struct schedule {
    const struct committee *committee;
    uint32_t window;  /* W, 1 .. SCHEDULE_WINDOW */
    uint64_t records; /* ordering records of the prefix; the last min(records, W) are in the ring */
    uint64_t resumed; /* of them, those before recovery began (schedule_resume) */
    uint32_t skips[AUTHORITIES_MAX];
    uint32_t counts[AUTHORITIES_MAX];
    struct authority_set excluded;
    stake_t eligible; /* E */
    struct schedule_delta ring[SCHEDULE_WINDOW];
};

/* `committee` outlives the schedule. `window` is SCHEDULE_WINDOW, or smaller in tests. */
void schedule_init(struct schedule *schedule, const struct committee *committee, uint32_t window);

/* Starts recovery in the middle: `records` were taken before those that are going to be replayed
 * with schedule_record. Only on a fresh schedule. */
void schedule_resume(struct schedule *schedule, uint64_t records);

/* False while recovery has not replayed a whole window: then nothing below may be relied on. */
bool schedule_is_complete(const struct schedule *schedule);

/* Takes the delta of the next ordering record and works out the exclusions after it. */
void schedule_record(struct schedule *schedule, const struct schedule_delta *delta);

/* schedule(C, round), C being the records taken so far. Always a member of the committee. */
authority_t schedule_leader(const struct schedule *schedule, round_t round);

bool schedule_excludes(const struct schedule *schedule, authority_t authority);

void schedule_check(const struct schedule *schedule);

#endif
