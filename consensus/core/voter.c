#include "consensus/core/voter.h"

void voter_place(struct voter *voter, struct region *region, const struct committee *committee)
{
    CHECK(committee->count >= 1);
    voter->committee = committee;
    voter->highest = 0;
    voter->records =
        region_take(region, sizeof *voter->records * VOTER_ROUNDS * (size_t)committee->count);
}

static struct vote_record *record_place(const struct voter *voter,
                                        round_t round,
                                        authority_t author)
{
    CHECK(author < voter->committee->count);
    return &voter->records[(size_t)(round % VOTER_ROUNDS) * voter->committee->count + author];
}

struct vote_record *voter_find(const struct voter *voter, round_t round, authority_t author)
{
    struct vote_record *record = record_place(voter, round, author);

    return round > 0 && record->round == round ? record : NULL;
}

/* Rounds whose records may have left the memory. */
static bool round_is_forgotten(const struct voter *voter, round_t round)
{
    return round + VOTER_ROUNDS <= voter->highest;
}

bool voter_would_know(const struct voter *voter, round_t round, round_t gc_round)
{
    return round > gc_round && !round_is_forgotten(voter, round);
}

/* Parents of a round above 1: in the DAG, checked, of stake Q, none created after the header. */
static enum vote_verdict judge_parents(const struct voter *voter,
                                       const struct vote_context *context,
                                       const struct header *header,
                                       uint64_t *ret_created_at_max)
{
    struct authority_set authors = {{0, 0}};
    bool missing = false;
    uint64_t latest = 0;

    for (uint32_t i = 0; i < header->parents_count; i++) {
        const struct dag_vertex *parent =
            dag_find(context->dag, header->round - 1, &header->parents[i]);
        const struct authority_set *implied = &context->implied[(header->round - 1) % DAG_ROUNDS];

        if (parent == NULL || authority_set_has(implied, parent->author)) {
            missing = true;
            continue;
        }
        CHECK(parent->round == header->round - 1);
        if (parent->created_at > header->created_at) return VOTE_NEVER_TIME;
        latest = u64_max(latest, parent->created_at);
        authority_set_add(&authors, parent->author);
    }
    if (missing) return VOTE_WAIT_PARENTS;
    if (committee_stake(voter->committee, &authors) < voter->committee->quorum) {
        return VOTE_NEVER_PARENTS;
    }
    *ret_created_at_max = latest;
    return VOTE_GIVE;
}

/* Parents of round 1: exactly the genesis digests, which are distinct and ascending in the header.
 */
static enum vote_verdict judge_genesis(const struct voter *voter, const struct header *header)
{
    uint32_t found = 0;

    for (authority_t i = 0; i < voter->committee->count; i++) {
        struct digest genesis;

        committee_genesis(&genesis, voter->committee, i);
        for (uint32_t j = 0; j < header->parents_count; j++) {
            if (digest_equal(&genesis, &header->parents[j])) found++;
        }
    }
    if (found != voter->committee->count) return VOTE_NEVER_PARENTS;
    return header->parents_count == found ? VOTE_GIVE : VOTE_NEVER_PARENTS;
}

static enum vote_verdict judge_batches(const struct vote_context *context,
                                       const struct header *header)
{
    bool missing = false;
    uint64_t bytes = 0;

    for (uint32_t i = 0; i < header->payload_count; i++) {
        uint32_t number = batch_table_find(context->batches, &header->payload[i].digest);

        if (number != BATCH_NONE) bytes += batch_table_entry(context->batches, number)->bytes;
        if (!batch_table_holds(context->batches, &header->payload[i])) missing = true;
    }
    if (bytes > HEADER_PAYLOAD_BYTES_MAX) return VOTE_NEVER_SIZE;
    return missing ? VOTE_WAIT_BATCHES : VOTE_GIVE;
}

enum vote_verdict voter_judge(const struct voter *voter,
                              const struct vote_context *context,
                              const struct header *header,
                              const struct digest *digest)
{
    const struct vote_record *record = voter_find(voter, header->round, header->author);
    round_t gc_round = dag_gc_round(context->dag);
    enum vote_verdict verdict;
    uint64_t latest = 0;

    CHECK(header->round > 0);
    CHECK(header->author < voter->committee->count);
    if (header->round <= context->floor) return VOTE_NEVER_STALE;
    if (header->round <= gc_round) return VOTE_NEVER_STALE;
    if (record != NULL) {
        return digest_equal(&record->header, digest) ? VOTE_REPEAT : VOTE_NEVER_OTHER;
    }
    if (round_is_forgotten(voter, header->round)) return VOTE_NEVER_STALE;
    if (header->round > 1 && header->round < gc_round + 2) return VOTE_NEVER_STALE;
    if (header->round == 1) {
        verdict = judge_genesis(voter, header);
    } else {
        verdict = judge_parents(voter, context, header, &latest);
    }
    if (verdict != VOTE_GIVE) return verdict;
    if (header->created_at > u64_max(context->wall_ms + context->tolerance_ms, latest)) {
        return VOTE_WAIT_CLOCK;
    }
    return judge_batches(context, header);
}

void voter_record(struct voter *voter,
                  const struct vertex_ref *ref,
                  const struct signature *signature)
{
    struct vote_record *record = record_place(voter, ref->round, ref->author);

    CHECK(ref->round > 0);
    if (record->round > ref->round || round_is_forgotten(voter, ref->round)) return;
    if (record->round == ref->round) CHECK(digest_equal(&record->header, &ref->digest));
    record->round = ref->round;
    record->header = ref->digest;
    record->is_signed = signature != NULL;
    if (signature != NULL) record->signature = *signature;
    voter->highest = u64_max(voter->highest, ref->round);
}

void voter_check(const struct voter *voter)
{
    size_t count = voter->committee->count;

    for (size_t i = 0; i < VOTER_ROUNDS * count; i++) {
        const struct vote_record *record = &voter->records[i];

        if (record->round == 0) continue;
        CHECK(record->round % VOTER_ROUNDS == i / count);
        CHECK(record->round <= voter->highest);
    }
}
