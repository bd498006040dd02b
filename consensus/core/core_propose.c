#include "common/crypto.h"
#include "consensus/core/core_state.h"

/* Authors of round R that may be parents: in the DAG with checked signatures. */
static struct authority_set parent_authors(const struct core *core, round_t round)
{
    struct authority_set authors = dag_round_authors(core->dag, round);

    for (authority_t a = 0; a < core->committee->count; a++) {
        if (synchronizer_is_implied(&core->synchronizer, round, a))
            authority_set_remove(&authors, a);
    }
    return authors;
}

/* Ascending by insertion: a header has few parents. */
static void insert_parent(struct header *header, const struct digest *digest)
{
    uint32_t i = header->parents_count++;

    CHECK(i < AUTHORITIES_MAX);
    while (i > 0 && memcmp(header->parents[i - 1].bytes, digest->bytes, sizeof digest->bytes) > 0) {
        header->parents[i] = header->parents[i - 1];
        i--;
    }
    header->parents[i] = *digest;
}

static void fill_parents(const struct core *core, struct header *header)
{
    round_t round = header->round - 1;
    struct authority_set authors = parent_authors(core, round);

    header->parents_count = 0;
    for (authority_t a = 0; a < core->committee->count; a++) {
        const struct dag_vertex *parent = dag_get(core->dag, round, a);
        struct digest genesis;

        if (round == 0) {
            committee_genesis(&genesis, core->committee, a);
            insert_parent(header, &genesis);
        } else if (authority_set_has(&authors, a)) {
            CHECK(parent != NULL);
            header->created_at = u64_max(header->created_at, parent->created_at);
            insert_parent(header, &parent->digest);
        }
    }
}

/* The header becomes durable, then it goes to everyone; at home it is the first of its slot. */
static void publish(struct core *core, const struct header *header, uint64_t payload_bytes)
{
    uint8_t *key = core_take(core, CORE_KEY_BYTES_MAX);
    struct writer writer;

    CHECK(header->round > core->proposer.highest);
    CHECK(core_may_sign(core, header->round));
    core->own_header = *header;
    header_digest(&core->own_digest, header);
    crypto_sign(&core->own_signature, SCOPE_HEADER, &core->own_digest, &core->options.key);
    writer = core_writer(core, HEADER_ROW_BYTES_MAX);
    header_row_write(&writer, header, &core->own_signature);
    core_persist(core, TABLE_OWN_HEADERS, (struct bytes){key, key_of_number(key, header->round)},
                 core_written(core, &writer));
    writer = core_writer(core, HEADER_ROW_BYTES_MAX + 1);
    wire_write_header(&writer, header, &core->own_signature);
    core_broadcast(core, core_written(core, &writer));
    proposer_note_proposed(&core->proposer, header->round, payload_bytes, core->now_us);
    core_restart_retry(core);
    core_note(core, TRACE_PROPOSED, core->self, header->round, header->payload_count,
              &core->own_digest);
    CHECK(core_take_header(core, header, &core->own_digest, &core->own_signature) == OK);
}

/* Stake whose first headers of `round` were seen here. */
static stake_t stake_ahead(const struct core *core, round_t round)
{
    stake_t stake = 0;

    for (authority_t a = 0; a < core->committee->count; a++) {
        const struct certifier_slot *slot = certifier_slot(&core->certifier, round, a);

        if (slot != NULL && slot->headers_count > 0) stake += core->committee->members[a].stake;
    }
    return stake;
}

/* Ordering is ahead of the batches, here or at so many others that pre-blocks are not certified. */
static bool execution_lags(const struct core *core)
{
    return core->attestor.made > core->attestor.certified + UNCERTIFIED_PREBLOCKS_MAX ||
           batch_table_missing(&core->batches) > MISSING_BATCHES_MAX;
}

static bool may_name_payload(const struct core *core)
{
    if (proposer_is_stuck(&core->proposer, orderer_anchor_round(core->orderer))) return false;
    if (execution_lags(core)) return false;
    return proposer_unordered_bytes(&core->proposer, core->dag, &core->batches) <=
           OWN_UNORDERED_BYTES_MAX;
}

/* Any reason to propose but the idle tick. */
static bool has_reason(const struct core *core)
{
    if (dag_unordered_payload(core->dag) > 0) return true;
    if (core->attestor.certified < core->attestor.made) return true;
    if (batch_table_passed_by(&core->batches, core_quorum_round(core), 0) != BATCH_NONE)
        return true;
    if (proposer_has_payload(&core->proposer, &core->batches, core->now_us) &&
        may_name_payload(core))
        return true;
    return stake_ahead(core, core_quorum_round(core) + 1) >= core->committee->validity;
}

static void gather_facts(const struct core *core, struct proposer_facts *ret_facts)
{
    round_t round = core_quorum_round(core);
    const struct schedule *schedule = orderer_schedule(core->orderer);
    bool anchor_round = core->options.parameters.stride == 1 || round % 2 == 0;

    ret_facts->now_us = core->now_us;
    ret_facts->anchor_round = orderer_anchor_round(core->orderer);
    ret_facts->reason = has_reason(core);
    ret_facts->anchor_in = round == 0 || !anchor_round ||
                           dag_get(core->dag, round, schedule_leader(schedule, round)) != NULL;
    ret_facts->all_in = true;
    for (authority_t a = 0; a < core->committee->count && round > 0; a++) {
        if (schedule_excludes(schedule, a)) continue;
        if (dag_get(core->dag, round, a) == NULL) ret_facts->all_in = false;
    }
}

/* Own batches are named again when the network passed their header by without a certificate, or when
 * anchors above its vertex were ordered and did not reach it: most likely nobody named it in time. To
 * wait until it falls to gc_round would cost gc_depth rounds; a batch named twice is executed once. */
static void recover_lost(struct core *core)
{
    round_t round = u64_minus(core_quorum_round(core), PROPOSER_LOST_ROUNDS);
    round_t ordered = u64_minus(orderer_anchor_round(core->orderer), PROPOSER_LOST_ROUNDS);

    for (;;) {
        uint32_t number = batch_table_passed_by(&core->batches, round, ordered);

        if (number == BATCH_NONE) return;
        batch_table_make_nameable(&core->batches, number);
    }
}

uint64_t core_propose(struct core *core)
{
    round_t round = core_quorum_round(core);
    struct authority_set parents = parent_authors(core, round);
    struct proposer_facts facts;
    struct header header;
    uint64_t bytes = 0;
    uint64_t deadline;

    if (core->halted || !core_may_sign(core, round + 1)) return UINT64_MAX;
    if (core->proposer.highest > round) return UINT64_MAX;
    if (round > 0 && committee_stake(core->committee, &parents) < core->committee->quorum) {
        return UINT64_MAX;
    }
    if (!core_has_room(core)) {
        core->more_work = true;
        return UINT64_MAX;
    }
    gather_facts(core, &facts);
    if (!proposer_is_due(&core->proposer, &deadline, &facts,
                         &orderer_schedule(core->orderer)->excluded)) {
        return deadline;
    }
    recover_lost(core);
    header.author = core->self;
    header.round = round + 1;
    header.epoch = core->committee->epoch;
    header.created_at = core->wall_ms;
    header.payload_count = 0;
    fill_parents(core, &header);
    if (may_name_payload(core)) {
        bytes =
            proposer_fill(&core->proposer, &header, &core->batches, core->orderer, core->now_us);
    }
    publish(core, &header, bytes);
    core->more_work = core->more_work || core->committee->count == 1;
    return UINT64_MAX;
}
