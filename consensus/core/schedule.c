#include "consensus/core/schedule.h"

#include "common/bytes.h"
#include "common/crypto.h"

_Static_assert(sizeof(struct schedule_delta) == 4 * AUTHORITIES_MAX, "the ring has no padding");

/* F: the stake that may be excluded. */
static stake_t schedule_fault_stake(const struct schedule *schedule)
{
    return schedule->committee->total - schedule->committee->quorum;
}

static bool schedule_is_candidate(const struct schedule *schedule, uint32_t authority)
{
    if (schedule->skips[authority] > 0) return true;
    return schedule->records >= schedule->window &&
           schedule->counts[authority] < schedule->window / 2;
}

/* True when `a` goes before `b` in the order of exclusion. */
static bool schedule_is_worse(const struct schedule *schedule, uint32_t a, uint32_t b)
{
    if (schedule->skips[a] != schedule->skips[b]) return schedule->skips[a] > schedule->skips[b];
    if (schedule->counts[a] != schedule->counts[b])
        return schedule->counts[a] < schedule->counts[b];
    return a < b;
}

/* What the rule gives for the present sums. */
static struct authority_set schedule_exclusions(const struct schedule *schedule)
{
    uint32_t candidates[AUTHORITIES_MAX];
    uint32_t count = 0;

    for (uint32_t a = 0; a < schedule->committee->count; a++) {
        if (!schedule_is_candidate(schedule, a)) continue;
        uint32_t at = count++;
        while (at > 0 && schedule_is_worse(schedule, a, candidates[at - 1])) {
            candidates[at] = candidates[at - 1];
            at--;
        }
        candidates[at] = a;
    }

    struct authority_set excluded = {{0}};
    stake_t left = schedule_fault_stake(schedule);
    for (uint32_t i = 0; i < count; i++) {
        stake_t stake = schedule->committee->members[candidates[i]].stake;
        if (stake > left) continue;
        left -= stake;
        authority_set_add(&excluded, (authority_t)candidates[i]);
    }
    return excluded;
}

static void schedule_update(struct schedule *schedule)
{
    schedule->excluded = schedule_exclusions(schedule);
    schedule->eligible =
        schedule->committee->total - committee_stake(schedule->committee, &schedule->excluded);
    CHECK(schedule->eligible >= schedule->committee->quorum);
}

void schedule_init(struct schedule *schedule, const struct committee *committee, uint32_t window)
{
    CHECK(window >= 1);
    CHECK(window <= SCHEDULE_WINDOW);
    CHECK(committee->count >= 1 && committee->count <= AUTHORITIES_MAX);

    memset(schedule, 0, sizeof *schedule);
    schedule->committee = committee;
    schedule->window = window;
    schedule_update(schedule);
}

void schedule_resume(struct schedule *schedule, uint64_t records)
{
    CHECK(schedule->records == 0);
    schedule->records = records;
    schedule->resumed = records;
}

bool schedule_is_complete(const struct schedule *schedule)
{
    return schedule->resumed == 0 || schedule->records - schedule->resumed >= schedule->window;
}

void schedule_record(struct schedule *schedule, const struct schedule_delta *delta)
{
    struct schedule_delta *oldest = &schedule->ring[schedule->records % schedule->window];

    for (uint32_t a = 0; a < schedule->committee->count; a++) {
        CHECK(schedule->skips[a] >= oldest->skips[a]);
        CHECK(schedule->counts[a] >= oldest->ordered[a]);
        schedule->skips[a] += delta->skips[a];
        schedule->skips[a] -= oldest->skips[a];
        schedule->counts[a] += delta->ordered[a];
        schedule->counts[a] -= oldest->ordered[a];
    }
    *oldest = *delta;
    schedule->records++;
    schedule_update(schedule);
}

authority_t schedule_leader(const struct schedule *schedule, round_t round)
{
    uint8_t bytes[8];
    struct digest hash;
    struct writer writer = writer_make(bytes, sizeof bytes);
    writer_u64(&writer, round);
    struct bytes parts[] = {{schedule->committee->digest.bytes, 32}, {bytes, sizeof bytes}};
    crypto_hash(&hash, parts, 2);

    CHECK(schedule->eligible > 0);
    struct reader reader = reader_make(hash.bytes, sizeof hash.bytes);
    stake_t position = reader_u64(&reader) % schedule->eligible;
    for (uint32_t a = 0; a < schedule->committee->count; a++) {
        if (authority_set_has(&schedule->excluded, (authority_t)a)) continue;
        stake_t stake = schedule->committee->members[a].stake;
        if (position < stake) return (authority_t)a;
        position -= stake;
    }
    check_failed(__FILE__, __LINE__, "a stake position has an owner");
}

bool schedule_excludes(const struct schedule *schedule, authority_t authority)
{
    CHECK(authority < schedule->committee->count);
    return authority_set_has(&schedule->excluded, authority);
}

void schedule_check(const struct schedule *schedule)
{
    struct authority_set excluded = schedule_exclusions(schedule);
    stake_t stake = committee_stake(schedule->committee, &excluded);

    for (uint32_t a = 0; a < schedule->committee->count; a++) {
        uint32_t skips = 0;
        uint32_t counts = 0;
        for (uint32_t i = 0; i < schedule->window; i++) {
            skips += schedule->ring[i].skips[a];
            counts += schedule->ring[i].ordered[a];
        }
        CHECK(skips == schedule->skips[a]);
        CHECK(counts == schedule->counts[a]);
    }
    CHECK(schedule->records >= schedule->resumed);
    CHECK(memcmp(&excluded, &schedule->excluded, sizeof excluded) == 0);
    CHECK(stake <= schedule_fault_stake(schedule));
    CHECK(schedule->eligible == schedule->committee->total - stake);
}
