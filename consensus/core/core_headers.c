#include "common/crypto.h"
#include "consensus/core/core_state.h"

static enum core_refusal refusal_of_header(enum status status)
{
    if (status == ERR_UNKNOWN_AUTHORITY) return REFUSED_UNKNOWN_AUTHORITY;
    if (status == ERR_EPOCH) return REFUSED_EPOCH;
    return REFUSED_MALFORMED;
}

/* ---- our votes ------------------------------------------------------------------------------- */

static void vote_of_record(const struct core *core,
                           struct vote *ret_vote,
                           struct vote_record *record,
                           authority_t author)
{
    if (!record->is_signed) {
        crypto_sign(&record->signature, SCOPE_HEADER, &record->header, &core->options.key);
        record->is_signed = true;
    }
    ret_vote->header = record->header;
    ret_vote->round = record->round;
    ret_vote->author = author;
    ret_vote->voter = core->self;
    ret_vote->signature = record->signature;
}

void core_send_vote(struct core *core, authority_t peer, round_t round, authority_t author)
{
    struct vote_record *record = voter_find(&core->voter, round, author);
    struct writer writer;
    struct vote vote;

    if (record == NULL || !core_may_sign(core, round)) return;
    vote_of_record(core, &vote, record, author);
    writer = core_writer(core, VOTE_BYTES + 1);
    wire_write_vote(&writer, &vote);
    core_send_or_broadcast(core, peer, core_written(core, &writer));
}

static void persist_header(struct core *core,
                           const struct vertex_ref *ref,
                           const struct certifier_header *known)
{
    uint8_t *key = core_take(core, CORE_KEY_BYTES_MAX);
    struct writer writer = core_writer(core, HEADER_ROW_BYTES_MAX);

    header_row_write(&writer, known->header, &known->signature);
    core_persist(core, TABLE_HEADERS, (struct bytes){key, key_of_vertex(key, ref)},
                 core_written(core, &writer));
}

/* Our recorded vote goes to everyone and counts here. */
static void cast_vote(struct core *core, struct certifier_slot *slot)
{
    struct vote_record *record = voter_find(&core->voter, slot->round, slot->author);
    struct vote vote;

    CHECK(record != NULL);
    core_send_vote(core, core->self, slot->round, slot->author);
    vote_of_record(core, &vote, record, slot->author);
    (void)certifier_add_vote(&core->certifier, &vote, true);
    core_try_certify(core, slot, &record->header);
}

/* Header and record become durable, then the vote leaves. */
static void give_vote(struct core *core, struct certifier_slot *slot)
{
    const struct certifier_header *known = &slot->headers[0];
    struct vertex_ref ref = {.round = slot->round, .author = slot->author, .digest = known->digest};
    uint8_t *key = core_take(core, CORE_KEY_BYTES_MAX);
    uint8_t *value = core_take(core, sizeof known->digest.bytes);
    struct signature signature;

    CHECK(core_may_sign(core, slot->round));
    CHECK(slot->author != core->self);
    crypto_sign(&signature, SCOPE_HEADER, &known->digest, &core->options.key);
    voter_record(&core->voter, &ref, &signature);
    persist_header(core, &ref, known);
    memcpy(value, known->digest.bytes, sizeof known->digest.bytes);
    core_persist(core, TABLE_VOTES, (struct bytes){key, key_of_slot(key, ref.round, ref.author)},
                 (struct bytes){value, sizeof known->digest.bytes});
    core_note(core, TRACE_VOTED, ref.author, ref.round, 0, &ref.digest);
    cast_vote(core, slot);
}

static enum core_refusal refusal_of_verdict(enum vote_verdict verdict)
{
    switch (verdict) {
    case VOTE_NEVER_STALE:
        return REFUSED_STALE;
    case VOTE_NEVER_OTHER:
        return REFUSED_EQUIVOCATION;
    case VOTE_NEVER_TIME:
        return REFUSED_TIMESTAMP;
    case VOTE_NEVER_SIZE:
        return REFUSED_MALFORMED;
    case VOTE_NEVER_PARENTS:
    case VOTE_GIVE:
    case VOTE_REPEAT:
    case VOTE_WAIT_PARENTS:
    case VOTE_WAIT_BATCHES:
    case VOTE_WAIT_CLOCK:
        return REFUSED_PARENTS;
    }
    return REFUSED_PARENTS;
}

/* A batch that was executed while the header waited is forgotten, but the vote needs it. */
static void name_forgotten(struct core *core, const struct header *header)
{
    for (uint32_t i = 0; i < header->payload_count; i++) {
        if (batch_table_find(&core->batches, &header->payload[i].digest) != BATCH_NONE) continue;
        core_name_batches(core, header, NULL);
        return;
    }
}

/* Judges one candidate; true when it is decided and leaves the list. */
static bool judge_candidate(struct core *core, struct core_candidate *candidate)
{
    struct certifier_slot *slot =
        certifier_slot(&core->certifier, candidate->round, candidate->author);
    struct vote_context context = {.dag = core->dag,
                                   .batches = &core->batches,
                                   .implied = core->synchronizer.implied,
                                   .floor = core->floor,
                                   .wall_ms = core->wall_ms,
                                   .tolerance_ms = core->options.parameters.clock_tolerance_ms};
    enum vote_verdict verdict;

    if (slot == NULL || slot->headers_count == 0) return true;
    if (core->rejoin.active || core->halted) return false;
    verdict =
        voter_judge(&core->voter, &context, slot->headers[0].header, &slot->headers[0].digest);
    candidate->verdict = (uint8_t)verdict;
    switch (verdict) {
    case VOTE_GIVE:
        give_vote(core, slot);
        return true;
    case VOTE_REPEAT:
        cast_vote(core, slot);
        return true;
    case VOTE_WAIT_BATCHES:
        name_forgotten(core, slot->headers[0].header);
        return false;
    case VOTE_WAIT_PARENTS:
    case VOTE_WAIT_CLOCK:
        return false;
    case VOTE_NEVER_STALE:
    case VOTE_NEVER_OTHER:
    case VOTE_NEVER_PARENTS:
    case VOTE_NEVER_TIME:
    case VOTE_NEVER_SIZE:
        core_refuse(core, refusal_of_verdict(verdict), slot->author);
        return true;
    }
    return true;
}

void core_vote_candidates(struct core *core)
{
    uint32_t kept = 0;
    uint32_t count = core->candidates_count;

    core->candidates_dirty = false;
    for (uint32_t i = 0; i < count; i++) {
        struct core_candidate candidate = core->candidates[i];

        if (!core_has_room(core)) {
            core->candidates_dirty = true;
            core->more_work = true;
        } else if (judge_candidate(core, &candidate)) {
            continue;
        }
        core->candidates[kept++] = candidate;
    }
    CHECK(core->candidates_count == count);
    core->candidates_count = kept;
}

/* ---- headers in ------------------------------------------------------------------------------ */

void core_add_candidate(struct core *core, const struct header *header)
{
    /* One for each slot of the window at the most: first headers only, see core_take_header. */
    CHECK(core->candidates_count < CERTIFIER_ROUNDS * core->committee->count);
    core->candidates[core->candidates_count++] = (struct core_candidate){
        .round = header->round,
        .author = header->author,
        .verdict = VOTE_WAIT_PARENTS,
        .since_us = core->now_us,
    };
    core->candidates_dirty = true;
}

/* A candidate whose slot was taken over by a higher round is dropped before the list can overflow.
 */
static void trim_candidates(struct core *core)
{
    uint32_t kept = 0;

    for (uint32_t i = 0; i < core->candidates_count; i++) {
        const struct core_candidate *candidate = &core->candidates[i];

        if (certifier_slot(&core->certifier, candidate->round, candidate->author) == NULL) continue;
        core->candidates[kept++] = *candidate;
    }
    core->candidates_count = kept;
}

enum status core_take_header(struct core *core,
                             const struct header *header,
                             const struct digest *digest,
                             const struct signature *signature)
{
    enum status status = certifier_add_header(&core->certifier, header, digest, signature);
    struct certifier_slot *slot;

    if (status != OK) return status;
    slot = certifier_slot(&core->certifier, header->round, header->author);
    CHECK(slot != NULL);
    if (slot->headers_count == 1) {
        (void)dag_note_first_header(core->dag, header, digest);
        core->dag_dirty = true;
        trim_candidates(core);
        if (header->author != core->self) core_add_candidate(core, header);
    }
    core_name_batches(core, header, NULL);
    core_try_certify(core, slot, digest);
    return OK;
}

/* Two signed headers of one slot: what proves it, durable, once. */
static void store_evidence(struct core *core,
                           const struct header *second,
                           const struct signature *signature)
{
    struct certifier_slot *slot = certifier_slot(&core->certifier, second->round, second->author);
    struct writer writer;
    uint8_t *key;

    CHECK(slot != NULL);
    CHECK(slot->headers_count > 0);
    if (slot->evidence) return;
    slot->evidence = true;
    if (core->evidence_rows[second->author] == CORE_EVIDENCE_ROWS_MAX) return;
    core->evidence_rows[second->author]++;
    key = core_take(core, CORE_KEY_BYTES_MAX);
    writer = core_writer(core, 2 * HEADER_ROW_BYTES_MAX);
    header_row_write(&writer, slot->headers[0].header, &slot->headers[0].signature);
    header_row_write(&writer, second, signature);
    core_persist(core, TABLE_EVIDENCE,
                 (struct bytes){key, key_of_slot(key, second->round, second->author)},
                 core_written(core, &writer));
    core_note(core, TRACE_EQUIVOCATION, second->author, second->round, 0, &slot->headers[0].digest);
}

/* True when a header of this round is of use now; else it is refused. */
static bool round_is_useful(struct core *core, authority_t peer, const struct header *header)
{
    if (header->author == peer)
        synchronizer_note_claim(&core->synchronizer, peer, header->round - 1);
    if (header->round <= dag_gc_round(core->dag)) {
        core_refuse(core, REFUSED_STALE, peer);
        return false;
    }
    if (header->round > core_quorum_round(core) + 2) {
        core_refuse(core, REFUSED_AHEAD, peer);
        return false;
    }
    return true;
}

/* A valid signature of ours on a header we have no record of: somebody else has our key or our
 * past. */
static void check_own(struct core *core, const struct header *header, const struct digest *digest)
{
    if (core->rejoin.active || header->round <= core->floor) return;
    if (core->own_header.round == header->round && digest_equal(&core->own_digest, digest)) return;
    if (core->proposer.highest < header->round) {
        core_alarm(core, "a header signed with our key that we did not make");
        return;
    }
    if (certifier_slot(&core->certifier, header->round, core->self) == NULL) return;
    core_alarm(core, "another header than ours signed with our key");
}

void core_recv_header(struct core *core, authority_t peer, struct reader *reader)
{
    struct header header;
    struct signature signature;
    struct digest digest;
    struct certifier_slot *slot;
    enum status status;

    header_decode(&header, reader);
    reader_copy(reader, signature.bytes, sizeof signature.bytes);
    status = reader_done(reader) ? header_validate(&header, core->committee) : ERR_MALFORMED;
    if (status != OK) {
        core_refuse(core, refusal_of_header(status), peer);
        return;
    }
    if (!round_is_useful(core, peer, &header)) return;
    header_digest(&digest, &header);
    slot = certifier_slot(&core->certifier, header.round, header.author);
    if (slot != NULL && certifier_find(slot, &digest) != NULL) {
        /* A repeated header gets the same vote again: its sender may have missed it. */
        core_refuse(core, REFUSED_DUPLICATE, peer);
        if (header.author != core->self) core_send_vote(core, peer, header.round, header.author);
        return;
    }
    if (slot != NULL && slot->headers_count > 0 && slot->evidence &&
        certifier_named_stake(&core->certifier, slot, &digest) < core->committee->validity) {
        core_refuse(core, REFUSED_EQUIVOCATION, peer);
        return;
    }
    if (!crypto_verify(SCOPE_HEADER, &digest, &core->committee->members[header.author].key,
                       &signature)) {
        /* Whoever delivered it: nobody honest passes on what it has not checked. */
        core_refuse(core, REFUSED_SIGNATURE, peer);
        core_act(core, CORE_ACTION_CUT_PEER)->peer = peer;
        return;
    }
    if (header.author == core->self) {
        check_own(core, &header, &digest);
        return;
    }
    status = core_take_header(core, &header, &digest, &signature);
    if (slot != NULL && slot->headers_count > 0 &&
        !digest_equal(&slot->headers[0].digest, &digest)) {
        store_evidence(core, &header, &signature);
    }
    if (status != OK) {
        core_refuse(core, status == ERR_CONFLICT ? REFUSED_EQUIVOCATION : REFUSED_STALE, peer);
    }
}
