#include "consensus/core/proposer.h"

void proposer_place(struct proposer *proposer,
                    struct region *region,
                    const struct committee *committee,
                    const struct core_parameters *parameters,
                    authority_t self)
{
    CHECK(self < committee->count);
    proposer->parameters = parameters;
    proposer->committee = committee;
    proposer->self = self;
    proposer->highest = 0;
    proposer->round = 0;
    proposer->proposed_us = 0;
    proposer->wait_since_us = 0;
    proposer->waiting = true; /* genesis is the quorum of round 0 */
    proposer->doublings = 0;
    proposer->lateness_us = 0;
    proposer->payload_rate = 0;
    proposer->transfer_bytes = 0;
    memset(proposer->quorum_us, 0, sizeof proposer->quorum_us);
    proposer->lags = region_take(region, sizeof *proposer->lags * committee->count);
}

void proposer_note_round(struct proposer *proposer, round_t round, uint64_t now_us)
{
    CHECK(round >= proposer->round);
    for (round_t r = u64_max(proposer->round, u64_minus(round, PROPOSER_ROUNDS)) + 1; r <= round;
         r++) {
        proposer->quorum_us[r % PROPOSER_ROUNDS] = now_us;
    }
    proposer->round = round;
    if (!proposer->waiting && proposer->highest <= round) {
        proposer->waiting = true;
        proposer->wait_since_us = now_us;
    }
}

void proposer_note_certificate(struct proposer *proposer,
                               round_t round,
                               authority_t author,
                               uint64_t now_us)
{
    struct proposer_lag *lag = &proposer->lags[author];
    uint64_t sample = 0;

    CHECK(author < proposer->committee->count);
    if (round + PROPOSER_ROUNDS <= proposer->round) return;
    if (round <= proposer->round) sample = now_us - proposer->quorum_us[round % PROPOSER_ROUNDS];
    lag->samples_us[lag->count % PROPOSER_SAMPLES] =
        (uint32_t)u64_min(sample, PROPOSER_DELAY_US_MAX);
    lag->count++;
}

void proposer_note_anchor(struct proposer *proposer, uint32_t skipped, bool direct)
{
    proposer->doublings = (uint32_t)u64_min((uint64_t)proposer->doublings + skipped, 24);
    if (direct && proposer->doublings > 0) proposer->doublings--;
}

void proposer_note_late(struct proposer *proposer, uint64_t late_us)
{
    uint64_t sample = u64_min(late_us, 100000);

    proposer->lateness_us = (proposer->lateness_us * 15 + sample) / 16;
}

/* Smoothed over about eight headers. */
static void note_payload(struct proposer *proposer, uint64_t bytes, uint64_t now_us)
{
    uint64_t since_us = u64_max(1000, u64_minus(now_us, proposer->proposed_us));

    proposer->payload_rate = (proposer->payload_rate * 7 + bytes * 1000000 / since_us) / 8;
}

void proposer_note_proposed(struct proposer *proposer,
                            round_t round,
                            uint64_t payload_bytes,
                            uint64_t now_us)
{
    CHECK(round >= proposer->highest);
    note_payload(proposer, payload_bytes, now_us);
    proposer->highest = round;
    proposer->proposed_us = now_us;
    proposer->waiting = false;
}

/* `value` << `shift`, at most PROPOSER_DELAY_US_MAX. */
static uint64_t delay_doubled(uint64_t value, uint64_t shift)
{
    if (shift > 24) shift = 24;
    return u64_min(value << shift, PROPOSER_DELAY_US_MAX);
}

uint64_t proposer_wait_us(const struct proposer *proposer, const struct authority_set *excluded)
{
    uint32_t samples[AUTHORITIES_MAX * PROPOSER_SAMPLES];
    size_t count = 0;
    uint64_t wait = 0;

    for (authority_t a = 0; a < proposer->committee->count; a++) {
        const struct proposer_lag *lag = &proposer->lags[a];

        if (a == proposer->self || authority_set_has(excluded, a)) continue;
        for (size_t i = 0; i < lag->count && i < PROPOSER_SAMPLES; i++) {
            samples[count++] = lag->samples_us[i];
        }
    }
    /* The 95th percentile is the largest but count / 20: take the largest out that often. */
    for (size_t taken = 0; count > 0 && taken <= count / 20; taken++) {
        size_t largest = 0;

        for (size_t i = 1; i < count; i++) {
            if (samples[i] > samples[largest]) largest = i;
        }
        wait = samples[largest];
        samples[largest] = 0;
    }
    wait = u64_min(wait, proposer->parameters->header_delay_us_max);
    return u64_max(wait, proposer->parameters->anchor_wait_us_min);
}

/* Doublings because nothing was ordered for more than gc_depth rounds. */
static uint64_t stuck_doublings(const struct proposer *proposer, round_t anchor_round)
{
    return u64_minus(proposer->round + 1, anchor_round + GC_DEPTH);
}

bool proposer_is_stuck(const struct proposer *proposer, round_t anchor_round)
{
    return stuck_doublings(proposer, anchor_round) > 0;
}

/* The wait for an anchor that is not in: doubled for anchors skipped lately, up to
 * header_delay_us_max, which itself doubles from the fifth on. */
static uint64_t anchor_wait_us(const struct proposer *proposer, uint64_t wait)
{
    uint64_t bound =
        delay_doubled(proposer->parameters->header_delay_us_max, u64_minus(proposer->doublings, 4));

    return u64_min(delay_doubled(wait, proposer->doublings), bound);
}

/* Least time between two own headers. */
static uint64_t pace_us(const struct proposer *proposer)
{
    const struct core_parameters *parameters = proposer->parameters;
    uint64_t rate = u64_min(proposer->payload_rate, PROPOSER_LOAD_RATE);
    uint64_t pace = parameters->header_delay_us_min + rate * PROPOSER_LOAD_US / PROPOSER_LOAD_RATE +
                    PROPOSER_LATENESS_FACTOR * proposer->lateness_us;

    return u64_min(pace, u64_max(parameters->header_delay_us_min, parameters->header_delay_us_max));
}

bool proposer_is_due(const struct proposer *proposer,
                     uint64_t *ret_deadline_us,
                     const struct proposer_facts *facts,
                     const struct authority_set *excluded)
{
    const struct core_parameters *parameters = proposer->parameters;
    uint64_t stuck = stuck_doublings(proposer, facts->anchor_round);
    uint64_t ready_us = proposer->proposed_us + delay_doubled(pace_us(proposer), stuck);
    uint64_t idle_us = proposer->proposed_us + parameters->idle_delay_us;

    *ret_deadline_us = UINT64_MAX;
    if (proposer->highest > proposer->round) return false;
    CHECK(proposer->waiting);
    if (!facts->all_in) {
        uint64_t wait = proposer_wait_us(proposer, excluded);

        if (!facts->anchor_in) wait = anchor_wait_us(proposer, wait);
        ready_us = u64_max(ready_us, proposer->wait_since_us + delay_doubled(wait, stuck));
    }
    if (!facts->reason) ready_us = u64_max(ready_us, idle_us);
    if (ready_us <= facts->now_us) return true;
    *ret_deadline_us = ready_us;
    return false;
}

/* ---- payload --------------------------------------------------------------------------------- */

/* While the links to a quorum lag more than a round's transfer, only acknowledged batches are
 * named. */
static bool links_lag(const struct proposer *proposer, const struct batch_table *batches)
{
    return batch_table_quorum_lag(batches) >
           u64_max(PROPOSER_LAG_BYTES_MAX, proposer->transfer_bytes);
}

/* Acknowledgements can be lost with a link: after a while a batch is named without, and who misses it
 * fetches it. */
static bool entry_may_be_named(const struct proposer *proposer,
                               const struct batch_entry *entry,
                               bool lagging,
                               uint64_t now_us)
{
    if (!lagging || entry->acknowledged || entry->due_us <= now_us) return true;
    return entry->author != proposer->self || entry->was_named;
}

bool proposer_has_payload(const struct proposer *proposer,
                          const struct batch_table *batches,
                          uint64_t now_us)
{
    uint32_t number = batches->lists[BATCH_LIST_NAMEABLE].first;
    bool lagging = number != BATCH_NONE && links_lag(proposer, batches);

    for (uint32_t scanned = 0; number != BATCH_NONE && scanned < PROPOSER_SCAN_MAX; scanned++) {
        const struct batch_entry *entry = batch_table_entry(batches, number);

        if (entry_may_be_named(proposer, entry, lagging, now_us)) return true;
        number = entry->next;
    }
    return false;
}

uint64_t proposer_fill(struct proposer *proposer,
                       struct header *header,
                       struct batch_table *batches,
                       const struct orderer *orderer,
                       uint64_t now_us)
{
    uint32_t number = batches->lists[BATCH_LIST_NAMEABLE].first;
    bool lagging = links_lag(proposer, batches);
    uint64_t bytes = 0;

    CHECK(header->author == proposer->self);
    header->payload_count = 0;
    for (uint32_t scanned = 0; number != BATCH_NONE && scanned < PROPOSER_SCAN_MAX; scanned++) {
        const struct batch_entry *entry = batch_table_entry(batches, number);
        uint32_t next = entry->next;
        struct batch_info *info = &header->payload[header->payload_count];
        uint32_t named;

        if (header->payload_count == HEADER_BATCHES_MAX) break;
        if (orderer_executed(orderer, &entry->digest)) {
            batch_table_forget(batches, number);
        } else if (entry_may_be_named(proposer, entry, lagging, now_us)) {
            if (entry->bytes > HEADER_PAYLOAD_BYTES_MAX - bytes) break;
            bytes += entry->bytes;
            info->digest = entry->digest;
            info->worker = entry->worker;
            info->created_at = entry->created_at;
            header->payload_count++;
            CHECK(batch_table_name(batches, &named, info, proposer->self, header->round, 0) == OK);
            CHECK(named == number);
        }
        number = next;
    }
    proposer->transfer_bytes = batch_table_take_acked(batches);
    CHECK(header->payload_count <= HEADER_BATCHES_MAX);
    return bytes;
}

uint64_t proposer_unordered_bytes(const struct proposer *proposer,
                                  const struct dag *dag,
                                  const struct batch_table *batches)
{
    uint64_t bytes = 0;

    for (round_t round = dag_gc_round(dag) + 1; round <= dag_highest_round(dag); round++) {
        const struct dag_vertex *vertex = dag_get(dag, round, proposer->self);

        if (vertex == NULL || vertex->ordered) continue;
        for (uint32_t i = 0; i < vertex->payload_count; i++) {
            uint32_t number = batch_table_find(batches, &vertex->payload[i].digest);
            const struct batch_entry *entry;

            if (number == BATCH_NONE) continue;
            entry = batch_table_entry(batches, number);
            if (entry->list == BATCH_LIST_NAMED && entry->round == round) bytes += entry->bytes;
        }
    }
    return bytes;
}

void proposer_check(const struct proposer *proposer)
{
    CHECK(proposer->waiting || proposer->highest > proposer->round);
    CHECK(proposer->doublings <= 24);
    CHECK(proposer->lateness_us <= 100000);
}
