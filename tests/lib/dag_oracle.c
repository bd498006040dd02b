#include "tests/lib/dag_oracle.h"

#include <stdlib.h>

#include "common/crypto.h"

void oracle_init(struct oracle *ret_oracle,
                 const struct world *world,
                 const struct commit_parameters *rule,
                 uint32_t gc_depth,
                 uint32_t window,
                 enum oracle_bug bug)
{
    memset(ret_oracle, 0, sizeof *ret_oracle);
    ret_oracle->world = world;
    ret_oracle->rule = *rule;
    ret_oracle->gc_depth = gc_depth;
    ret_oracle->window = window;
    ret_oracle->bug = bug;
    ret_oracle->arrived = calloc(world->count, sizeof(bool));
    ret_oracle->present = calloc(world->count, sizeof(bool));
    ret_oracle->ordered = calloc(world->count, sizeof(bool));
    memset(ret_oracle->first, 0xff, sizeof ret_oracle->first);
}

void oracle_free(struct oracle *oracle)
{
    for (uint32_t i = 0; i < oracle->records_count; i++) {
        free(oracle->records[i].vertices);
        free(oracle->records[i].batches);
    }
    free(oracle->arrived);
    free(oracle->present);
    free(oracle->ordered);
}

static const struct world_vertex *oracle_vertex(const struct oracle *oracle, uint32_t v)
{
    return &oracle->world->vertices[v];
}

/* The present vertex of (round, author). */
static uint32_t oracle_at(const struct oracle *oracle, round_t round, uint32_t author)
{
    if (round == 0 || round > oracle->world->rounds) return WORLD_NONE;
    uint32_t v = oracle->world->at[round][author];
    return v != WORLD_NONE && oracle->present[v] ? v : WORLD_NONE;
}

static bool oracle_names(const struct oracle *oracle, uint32_t child, uint32_t parent)
{
    const struct world_vertex *vertex = oracle_vertex(oracle, child);
    for (uint32_t i = 0; i < vertex->parents_count; i++)
        if (vertex->parents[i] == parent) return true;
    return false;
}

/* ---- schedule -------------------------------------------------------------------------------- */

struct oracle_score {
    uint32_t skips[WORLD_AUTHORITIES_MAX];
    uint32_t counts[WORLD_AUTHORITIES_MAX];
};

static struct oracle_score oracle_scores(const struct oracle *oracle)
{
    struct oracle_score score = {{0}, {0}};
    uint32_t total = oracle->records_count;
    uint32_t from = total > oracle->window ? total - oracle->window : 0;

    for (uint32_t i = from; i < total; i++) {
        const struct oracle_record *record = &oracle->records[i];
        for (uint32_t s = 0; s < record->skipped_count; s++)
            score.skips[record->skipped[s].author]++;
        for (uint32_t v = 0; v < record->vertices_count; v++)
            score.counts[oracle_vertex(oracle, record->vertices[v])->header.author]++;
    }
    if (oracle->bug == ORACLE_LOCAL_REPUTATION) {
        memset(score.skips, 0, sizeof score.skips);
        for (uint32_t a = 0; a < oracle->world->committee.count; a++)
            for (round_t round = oracle->gc_round + 1; round < oracle->top; round++)
                score.skips[a] += oracle_at(oracle, round, a) == WORLD_NONE;
    }
    return score;
}

static struct authority_set oracle_excluded(const struct oracle *oracle)
{
    const struct committee *committee = &oracle->world->committee;
    struct oracle_score score = oracle_scores(oracle);
    struct authority_set excluded = {{0}};
    struct authority_set seen = {{0}};
    stake_t stake = 0;

    for (;;) {
        uint32_t worst = WORLD_NONE;
        for (uint32_t a = 0; a < committee->count; a++) {
            bool lazy =
                oracle->records_count >= oracle->window && score.counts[a] < oracle->window / 2;
            if (authority_set_has(&seen, (authority_t)a)) continue;
            if (score.skips[a] == 0 && !lazy) continue;
            if (worst == WORLD_NONE || score.skips[a] > score.skips[worst] ||
                (score.skips[a] == score.skips[worst] && score.counts[a] < score.counts[worst]))
                worst = a;
        }
        if (worst == WORLD_NONE) return excluded;
        authority_set_add(&seen, (authority_t)worst);
        if (stake + committee->members[worst].stake > (committee->total - 1) / 3) continue;
        stake += committee->members[worst].stake;
        authority_set_add(&excluded, (authority_t)worst);
    }
}

/* The exclusions change with records only, so they are computed once per record. */
static struct authority_set oracle_present_exclusions(struct oracle *oracle)
{
    bool local = oracle->bug == ORACLE_LOCAL_REPUTATION;

    if (local || oracle->excluded_after != oracle->records_count) {
        oracle->excluded = oracle_excluded(oracle);
        oracle->excluded_after = oracle->records_count;
    }
    return oracle->excluded;
}

static uint32_t oracle_draw_leader(struct oracle *oracle, round_t round)
{
    const struct committee *committee = &oracle->world->committee;
    struct authority_set excluded = oracle_present_exclusions(oracle);
    uint8_t message[40];
    struct digest hash;
    uint64_t position = 0;
    stake_t stake = 0;

    memcpy(message, committee->digest.bytes, 32);
    for (int i = 0; i < 8; i++)
        message[32 + i] = (uint8_t)(round >> (8 * i));
    crypto_hash_one(&hash, message, sizeof message);
    for (int i = 7; i >= 0; i--)
        position = position << 8 | hash.bytes[i];
    for (uint32_t a = 0; a < committee->count; a++)
        if (!authority_set_has(&excluded, (authority_t)a)) stake += committee->members[a].stake;
    position %= stake;
    for (uint32_t a = 0;; a++) {
        if (authority_set_has(&excluded, (authority_t)a)) continue;
        if (position < committee->members[a].stake) return a;
        position -= committee->members[a].stake;
    }
}

static uint32_t oracle_leader(struct oracle *oracle, round_t round)
{
    if (oracle->bug != ORACLE_SCHEDULE_CACHED) return oracle_draw_leader(oracle, round);
    if (oracle->leader_cache[round] == 0)
        oracle->leader_cache[round] = oracle_draw_leader(oracle, round) + 1;
    return oracle->leader_cache[round] - 1;
}

/* ---- decisions ------------------------------------------------------------------------------- */

static bool oracle_is_direct(const struct oracle *oracle, uint32_t v)
{
    const struct world *world = oracle->world;
    round_t above = oracle_vertex(oracle, v)->header.round + 1;
    stake_t certified = 0;
    stake_t first = 0;

    if (above > world->rounds) return false;
    for (uint32_t a = 0; a < world->committee.count; a++) {
        uint32_t child = world->at[above][a];
        uint32_t header = oracle->first[above][a];
        stake_t stake = world->committee.members[a].stake;
        if (child != WORLD_NONE && oracle->arrived[child] && oracle_names(oracle, child, v))
            certified += stake;
        if (header != WORLD_NONE && oracle_names(oracle, header, v)) first += stake;
    }
    stake_t enough =
        oracle->bug == ORACLE_FAST_VALIDITY ? world->committee.validity : world->committee.quorum;
    return certified >= world->committee.validity || (oracle->rule.fast && first >= enough);
}

/* Depth-first, remembering where it has been. */
static bool oracle_search(const struct oracle *oracle, bool *seen, uint32_t from, uint32_t to)
{
    const struct world_vertex *vertex = oracle_vertex(oracle, from);

    if (from == to) return true;
    if (seen[from] || vertex->header.round <= oracle_vertex(oracle, to)->header.round) return false;
    seen[from] = true;
    for (uint32_t i = 0; i < vertex->parents_count; i++)
        if (oracle_search(oracle, seen, vertex->parents[i], to)) return true;
    return false;
}

static bool oracle_reaches(const struct oracle *oracle, uint32_t from, uint32_t to)
{
    bool *seen = calloc(oracle->world->count, sizeof(bool));
    bool found = oracle_search(oracle, seen, from, to);

    free(seen);
    return found;
}

static uint32_t oracle_anchor(struct oracle *oracle, round_t round)
{
    return oracle_at(oracle, round, oracle_leader(oracle, round));
}

/* The anchor to order next, or WORLD_NONE. */
static uint32_t oracle_decide(struct oracle *oracle, round_t *ret_first_slot)
{
    round_t slot = oracle->last + 1;
    uint32_t current = WORLD_NONE;
    round_t step = oracle->bug == ORACLE_WALK_BY_ONES ? 1 : 2;

    if (oracle->rule.stride == 2 && slot % 2 == 1) slot++;
    *ret_first_slot = slot;
    for (round_t round = slot; round <= oracle->top && current == WORLD_NONE; round += 2) {
        uint32_t anchor = oracle_anchor(oracle, round);
        if (anchor != WORLD_NONE && oracle_is_direct(oracle, anchor)) current = anchor;
    }
    if (current == WORLD_NONE) return WORLD_NONE;
    round_t round = oracle_vertex(oracle, current)->header.round;
    while (round >= slot + step) {
        round -= step;
        uint32_t anchor = oracle_anchor(oracle, round);
        if (anchor != WORLD_NONE && oracle_reaches(oracle, current, anchor)) current = anchor;
    }
    return current;
}

/* ---- ordering -------------------------------------------------------------------------------- */

static void oracle_mark(const struct oracle *oracle, bool *marked, uint32_t v, round_t floor)
{
    const struct world_vertex *vertex = oracle_vertex(oracle, v);

    if (marked[v] || vertex->header.round <= floor || !oracle->present[v]) return;
    marked[v] = true;
    for (uint32_t i = 0; i < vertex->parents_count; i++)
        oracle_mark(oracle, marked, vertex->parents[i], floor);
}

/* True when `digest` was executed within the window of dedup, looking through all records. */
static bool oracle_executed(const struct oracle *oracle,
                            const struct oracle_record *now,
                            const struct digest *digest)
{
    for (uint32_t i = 0; i < now->batches_count; i++)
        if (digest_equal(&now->batches[i], digest)) return true;
    for (uint32_t r = 0; r < oracle->records_count; r++) {
        const struct oracle_record *record = &oracle->records[r];
        round_t leader = oracle_vertex(oracle, record->anchor)->header.round;
        if (leader + 2 * oracle->gc_depth <= oracle->last) continue;
        for (uint32_t i = 0; i < record->batches_count; i++)
            if (digest_equal(&record->batches[i], digest)) return true;
    }
    return false;
}

static void oracle_list(struct oracle *oracle, struct oracle_record *record, uint32_t v)
{
    const struct header *header = &oracle_vertex(oracle, v)->header;

    record->vertices[record->vertices_count++] = v;
    oracle->ordered[v] = true;
    for (uint32_t i = 0; i < header->payload_count; i++)
        if (!oracle_executed(oracle, record, &header->payload[i].digest))
            record->batches[record->batches_count++] = header->payload[i].digest;
}

static void oracle_order(struct oracle *oracle, uint32_t anchor, round_t first_slot)
{
    const struct world *world = oracle->world;
    struct oracle_record *record = &oracle->records[oracle->records_count];
    bool *marked = calloc(world->count, sizeof(bool));
    round_t round = oracle_vertex(oracle, anchor)->header.round;

    memset(record, 0, sizeof *record);
    record->anchor = anchor;
    record->vertices = calloc(world->count, sizeof *record->vertices);
    record->batches = calloc(4 * world->count, sizeof *record->batches);
    for (round_t slot = first_slot; slot < round; slot += 2)
        record->skipped[record->skipped_count++] =
            (struct commit_slot){slot, (authority_t)oracle_leader(oracle, slot)};
    oracle_mark(oracle, marked, anchor, oracle->gc_round);
    for (round_t r = 1; r <= world->rounds; r++) {
        for (uint32_t a = 0; a < world->committee.count; a++) {
            uint32_t v = world->at[r][a];
            if (v == WORLD_NONE || !marked[v] || oracle->ordered[v]) continue;
            oracle_list(oracle, record, v);
        }
    }
    free(marked);
    oracle->records_count++;
    oracle->last = round;
    if (oracle->bug != ORACLE_GC_TOP_ROUND) oracle->gc_round = u64_minus(round, oracle->gc_depth);
    record->excluded = oracle_excluded(oracle);
}

/* The next vertex that may enter, lowest (round, author) first; WORLD_NONE when there is none. */
static uint32_t oracle_insertable(const struct oracle *oracle)
{
    const struct world *world = oracle->world;

    for (round_t r = oracle->gc_round + 1; r <= world->rounds; r++) {
        for (uint32_t a = 0; a < world->committee.count; a++) {
            uint32_t v = world->at[r][a];
            if (v == WORLD_NONE || !oracle->arrived[v] || oracle->present[v]) continue;
            if (r - 1 <= oracle->gc_round || oracle->bug == ORACLE_PRESENT_ONLY) return v;
            bool complete = true;
            for (uint32_t i = 0; i < world->vertices[v].parents_count; i++)
                complete = complete && oracle->present[world->vertices[v].parents[i]];
            if (complete) return v;
        }
    }
    return WORLD_NONE;
}

static void oracle_decide_all(struct oracle *oracle)
{
    round_t first_slot;

    for (;;) {
        uint32_t anchor = oracle_decide(oracle, &first_slot);
        if (anchor == WORLD_NONE) return;
        oracle_order(oracle, anchor, first_slot);
    }
}

void oracle_take(struct oracle *oracle, const struct world_event *event)
{
    const struct header *header = &oracle_vertex(oracle, event->vertex)->header;

    if (event->kind == WORLD_CERTIFIED)
        oracle->arrived[event->vertex] = true;
    else if (oracle->first[header->round][header->author] == WORLD_NONE)
        oracle->first[header->round][header->author] = event->vertex;
    oracle_decide_all(oracle);
    for (;;) {
        uint32_t v = oracle_insertable(oracle);
        if (v == WORLD_NONE) return;
        oracle->present[v] = true;
        oracle->top = u64_max(oracle->top, oracle_vertex(oracle, v)->header.round);
        if (oracle->bug == ORACLE_GC_TOP_ROUND)
            oracle->gc_round = u64_minus(oracle->top, oracle->gc_depth);
        oracle_decide_all(oracle);
    }
}

static bool oracle_record_equal(const struct oracle_record *a, const struct oracle_record *b)
{
    return a->anchor == b->anchor && a->vertices_count == b->vertices_count &&
           memcmp(a->vertices, b->vertices, a->vertices_count * sizeof *a->vertices) == 0 &&
           a->batches_count == b->batches_count &&
           memcmp(a->batches, b->batches, a->batches_count * sizeof *a->batches) == 0;
}

bool oracle_agrees(const struct oracle *a, const struct oracle *b)
{
    for (uint32_t i = 0; i < a->records_count && i < b->records_count; i++)
        if (!oracle_record_equal(&a->records[i], &b->records[i])) return false;
    return true;
}
