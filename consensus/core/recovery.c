#include "common/bcs.h"
#include "common/crypto.h"
#include "consensus/core/core_state.h"

/* ---- where each table is read from ----------------------------------------------------------- */

static uint64_t first_ordering(const struct core *core)
{
    uint64_t window = u64_minus(core->stored.ordering_last, SCHEDULE_WINDOW - 1);

    return u64_max(1, u64_min(window, core->cut + 1));
}

static uint64_t first_preblock(const struct core *core)
{
    uint64_t first = u64_min(core->stored.certified_last, core->stored.preblock_last);

    first = u64_max(first, core->attestor.certified); /* by a checkpoint */
    first = u64_max(first, u64_minus(core->stored.preblock_last, ATTESTOR_RING - 1));
    return u64_max(1, first);
}

size_t core_recover_first(const struct core *core, enum core_table table, uint8_t *ret_key)
{
    CHECK(!core->started);
    switch (table) {
    case TABLE_ORDERING:
        return key_of_number(ret_key, first_ordering(core));
    case TABLE_PREBLOCKS:
        return key_of_number(ret_key, first_preblock(core));
    case TABLE_PREBLOCK_CERTIFICATES:
        return key_of_number(ret_key, u64_max(1, core->stored.certified_last));
    case TABLE_ATTESTATIONS:
        return key_of_number(ret_key, core->attestor.certified + 1);
    case TABLE_CERTIFICATES:
        return key_of_slot(ret_key, u64_minus(dag_gc_round(core->dag), GC_DEPTH) + 1, 0);
    case TABLE_META:
    case TABLE_CHECKPOINTS:
    case TABLE_OWN_HEADERS:
    case TABLE_HEADERS:
    case TABLE_VOTES:
        return 0;
    case TABLE_EXECUTED:
    case TABLE_EVIDENCE:
    case CORE_TABLES:
        return SIZE_MAX;
    }
    return SIZE_MAX;
}

/* ---- one record each ------------------------------------------------------------------------- */

static bool key_is(struct bytes key, struct bytes name)
{
    return key.len == name.len && memcmp(key.data, name.data, name.len) == 0;
}

/* Names that are not ours belong to the driver. */
static enum status recover_meta(struct core *core, struct bytes key, struct bytes value)
{
    struct reader reader = reader_make(value.data, value.len);
    uint64_t number = reader_u64(&reader);
    bool is_number = reader_done(&reader);

    if (key_is(key, META_ORDERING))
        core->stored.ordering_last = number;
    else if (key_is(key, META_CUT))
        core->cut = number;
    else if (key_is(key, META_PREBLOCK))
        core->stored.preblock_last = number;
    else if (key_is(key, META_CERTIFIED))
        core->stored.certified_last = number;
    else if (key_is(key, META_FLOOR))
        core->floor = number;
    else if (key_is(key, META_REJOINING))
        core->rejoin.active = number != 0;
    else
        return OK;
    return is_number ? OK : ERR_CORRUPT;
}

/* The last checkpoint is signed again: it must be the one that this record leads to. */
static bool is_as_checkpointed(const struct core *core, const struct ordering_record *record)
{
    const struct checkpoint *made = &core->checkpointer.made.checkpoint;
    struct digest digest;

    if (record->sequence != made->sequence) return true;
    ordering_record_digest(&digest, record);
    return digest_equal(&digest, &made->record) && record->anchor.round == made->round;
}

static enum status recover_ordering(struct core *core, struct bytes value)
{
    struct ordering_record record;
    enum status status = ordering_record_open(&record, value);

    if (status != OK) return ERR_CORRUPT;
    if (record.sequence > core->stored.ordering_last)
        return OK; /* of a start from a checkpoint that did not end */
    status = orderer_replay(core->orderer, core->dag, value);
    if (status != OK) return status;
    if (!is_as_checkpointed(core, &record)) return ERR_CORRUPT;
    if (record.sequence <= core->cut) return OK;
    if (!core_pend_has_room(core)) return ERR_CORRUPT; /* more than we would ever let wait */
    core_pend(core, &record);
    return OK;
}

/* The last pre-block, when a final checkpoint certifies it: after a start from that one it is all that is left
 * of what was before, otherwise it is in its own table as well. */
static void recover_checkpointed_preblock(struct core *core, const struct preblock *preblock)
{
    if (preblock->index == 0 || preblock->index != core->stored.preblock_last) return;
    if (core->attestor.made == preblock->index) return;
    attestor_note_made(&core->attestor, preblock);
    core->chain = preblock_chain_after(preblock);
    core->attestor.certified = preblock->index;
}

static enum status recover_checkpoint(struct core *core, struct bytes value)
{
    struct checkpoint_proof proof;

    if (checkpoint_row_read(&proof, value) != OK) return ERR_CORRUPT;
    if (proof.checkpoint.sequence <= core->checkpointer.made.checkpoint.sequence)
        return ERR_CORRUPT;
    if (proof.checkpoint.sequence > core->cut) return ERR_CORRUPT;
    checkpointer_recover(&core->checkpointer, &proof);
    if (proof.quorum.count > 0) recover_checkpointed_preblock(core, &proof.checkpoint.preblock);
    return OK;
}

static bool is_checkpointed(const struct core *core, const struct preblock *preblock)
{
    struct digest digest;

    preblock_digest(&digest, preblock);
    return digest_equal(&digest, &core->chain.digest);
}

static enum status recover_preblock(struct core *core, struct bytes value)
{
    struct preblock_record record;

    if (preblock_record_open(&record, value) != OK) return ERR_CORRUPT;
    if (record.header.index == core->attestor.certified && is_checkpointed(core, &record.header))
        return OK;
    if (record.header.index <= core->attestor.made) return ERR_CORRUPT;
    attestor_note_made(&core->attestor, &record.header);
    core->chain = preblock_chain_after(&record.header);
    return OK;
}

static enum status recover_preblock_certificate(struct core *core,
                                                struct bytes key,
                                                struct bytes value)
{
    struct reader reader = reader_make(value.data, value.len);
    struct preblock_proof *newest = &core->attestor.newest;
    uint64_t index;

    if (number_of_key(&index, key) != OK) return ERR_CORRUPT;
    quorum_decode(&newest->quorum, &reader);
    if (!reader_done(&reader) || index > core->attestor.made) return ERR_CORRUPT;
    core->attestor.certified = u64_max(core->attestor.certified, index);
    if (core->attestor.headers[index % ATTESTOR_RING].index != index) return OK;
    newest->index = index;
    newest->header = core->attestor.headers[index % ATTESTOR_RING];
    newest->digest = core->attestor.digests[index % ATTESTOR_RING];
    return OK;
}

static enum status recover_attestation(struct core *core, struct bytes key, struct bytes value)
{
    struct wire_attestation attestation = {.authority = core->self};
    enum status status;

    if (number_of_key(&attestation.index, key) != OK) return ERR_CORRUPT;
    if (value.len != sizeof attestation.digest.bytes) return ERR_CORRUPT;
    memcpy(attestation.digest.bytes, value.data, value.len);
    if (attestation.index > core->attestor.made) return ERR_CORRUPT;
    if (attestation.index + ATTESTOR_RING <= core->attestor.made) return OK;
    if (!digest_equal(&attestation.digest,
                      &core->attestor.digests[attestation.index % ATTESTOR_RING])) {
        return ERR_CORRUPT;
    }
    crypto_sign(&attestation.signature, SCOPE_PREBLOCK, &attestation.digest, &core->options.key);
    status = attestor_add(&core->attestor, &attestation, true);
    return status == OK || status == ERR_STALE ? OK : ERR_CORRUPT;
}

/* A certified header at or below gc_round. What of its payload was not executed was collected unordered,
 * and is owed to its clients: it is looked up, and then named again as if it had just been collected.
 * What a vertex executed itself is in the dedup window, as its leader is; what it named a second time may
 * have left it: then the look-up says so (core_batch_stored). */
static void recover_collected(struct core *core, const struct header *header)
{
    for (uint32_t i = 0; i < header->payload_count; i++) {
        const struct batch_info *info = &header->payload[i];
        uint32_t number;

        if (orderer_executed(core->orderer, &info->digest)) continue;
        if (batch_table_name(&core->batches, &number, info, header->author, header->round, 0) != OK)
            return;
        batch_table_entry(&core->batches, number)->certified = true;
    }
}

static enum status recover_certificate(struct core *core, struct bytes value)
{
    struct certificate certificate;
    struct digest digest;
    enum status status;
    bool verified;

    if (certificate_row_read(&certificate, &verified, value) != OK) return ERR_CORRUPT;
    if (header_validate(&certificate.header, core->committee) != OK) return ERR_CORRUPT;
    header_digest(&digest, &certificate.header);
    /* Implied when the node stopped: checked now, so that it can be a parent. */
    if (!verified) {
        verified = committee_verify_quorum(core->committee, SCOPE_HEADER, &digest,
                                           &certificate.quorum) == OK;
    }
    status = dag_insert(core->dag, &certificate.header, &digest);
    if (status == ERR_STALE) {
        recover_collected(core, &certificate.header);
        return OK;
    }
    if (status != OK) return ERR_CORRUPT;
    synchronizer_set_implied(&core->synchronizer, certificate.header.round,
                             certificate.header.author, !verified);
    if (verified && certificate.header.round > core->proof.header.round) core->proof = certificate;
    return OK;
}

static enum status recover_header(struct core *core, struct bytes value, bool own)
{
    struct header header;
    struct signature signature;
    struct digest digest;

    if (header_row_read(&header, &signature, value) != OK) return ERR_CORRUPT;
    if (header_validate(&header, core->committee) != OK) return ERR_CORRUPT;
    if (own != (header.author == core->self)) return ERR_CORRUPT;
    header_digest(&digest, &header);
    if (own && header.round > core->own_header.round) {
        core->own_header = header;
        core->own_signature = signature;
        core->own_digest = digest;
    }
    if (header.round <= dag_gc_round(core->dag)) return OK;
    (void)certifier_add_header(&core->certifier, &header, &digest, &signature);
    return OK;
}

static enum status recover_vote(struct core *core, struct bytes key, struct bytes value)
{
    struct vertex_ref ref;

    if (slot_of_key(&ref.round, &ref.author, key) != OK) return ERR_CORRUPT;
    if (value.len != sizeof ref.digest.bytes || ref.author >= core->committee->count)
        return ERR_CORRUPT;
    if (ref.round == 0) return ERR_CORRUPT;
    memcpy(ref.digest.bytes, value.data, value.len);
    voter_record(&core->voter, &ref, NULL);
    return OK;
}

enum status core_recover(struct core *core,
                         enum core_table table,
                         struct bytes key,
                         struct bytes value)
{
    CHECK(!core->started);
    switch (table) {
    case TABLE_META:
        return recover_meta(core, key, value);
    case TABLE_CHECKPOINTS:
        return recover_checkpoint(core, value);
    case TABLE_ORDERING:
        return recover_ordering(core, value);
    case TABLE_PREBLOCKS:
        return recover_preblock(core, value);
    case TABLE_PREBLOCK_CERTIFICATES:
        return recover_preblock_certificate(core, key, value);
    case TABLE_ATTESTATIONS:
        return recover_attestation(core, key, value);
    case TABLE_CERTIFICATES:
        return recover_certificate(core, value);
    case TABLE_OWN_HEADERS:
        return recover_header(core, value, true);
    case TABLE_HEADERS:
        return recover_header(core, value, false);
    case TABLE_VOTES:
        return recover_vote(core, key, value);
    case TABLE_EXECUTED:
    case TABLE_EVIDENCE:
    case CORE_TABLES:
        return OK;
    }
    return ERR_CORRUPT;
}

/* ---- START ----------------------------------------------------------------------------------- */

static void look_up_missing(struct core *core)
{
    uint32_t number = core->batches.lists[BATCH_LIST_MISSING].first;

    for (; number != BATCH_NONE; number = core->batches.entries[number].next) {
        core->batches.entries[number].due_us =
            core->now_us + core->options.parameters.batch_fetch_us;
        core_look_up(core, number);
    }
}

/* Payload of everything live is needed or may be: certified and unordered, voted for, our own. */
static void name_recovered(struct core *core)
{
    static const struct quorum nobody;
    size_t slots = (size_t)CERTIFIER_ROUNDS * core->committee->count;

    for (round_t r = dag_gc_round(core->dag) + 1; r <= dag_highest_round(core->dag); r++) {
        for (authority_t a = 0; a < core->committee->count; a++) {
            const struct dag_vertex *vertex = dag_get(core->dag, r, a);
            struct header header;

            if (vertex == NULL || vertex->ordered) continue;
            header.author = a;
            header.round = r;
            header.payload_count = vertex->payload_count;
            for (uint32_t i = 0; i < vertex->payload_count; i++)
                header.payload[i] = vertex->payload[i];
            core_name_batches(core, &header, &nobody);
        }
    }
    for (size_t i = 0; i < slots; i++) {
        struct certifier_slot *slot = &core->certifier.slots[i];
        const struct header *header;

        if (slot->headers_count == 0) continue;
        header = slot->headers[0].header;
        if (dag_certified(core->dag, slot->round, slot->author) != NULL) {
            slot->certified = true;
            continue;
        }
        if (slot->author == core->self) {
            (void)dag_note_first_header(core->dag, header, &slot->headers[0].digest);
        }
        core_name_batches(core, header, NULL);
        if (slot->author != core->self) core_add_candidate(core, header);
    }
}

void core_start(struct core *core)
{
    CHECK(!core->started);
    core->started = true;
    if (orderer_replay_end(core->orderer) != OK) core_alarm(core, "ordering records do not agree");
    if (orderer_sequence(core->orderer) != core->stored.ordering_last) {
        core_alarm(core, "the last ordering record is missing");
    }
    core_recover_own_checkpoint(core);
    if (core->cut > core->stored.ordering_last ||
        core->pending_count != core->stored.ordering_last - core->cut) {
        core_alarm(core,
                   "what was cut into pre-blocks and what waits are not the ordering records");
    }
    if (core->attestor.made != core->stored.preblock_last) {
        core_alarm(core, "the last pre-block is missing");
    }
    if (core->own_header.round > core->proposer.highest) {
        core->proposer.highest = core->own_header.round;
    }
    proposer_note_proposed(&core->proposer, core->proposer.highest, 0, core->now_us);
    proposer_note_round(&core->proposer, core_quorum_round(core), core->now_us);
    core_restart_retry(core);
    core->dag_dirty = true;
    core->candidates_dirty = true;
    /* A store made by --rejoin says so for ever; once it has its floor, that is over. */
    if ((core->options.rejoin && core->floor == 0) || core->rejoin.active) core_rejoin_start(core);
    name_recovered(core);
    look_up_missing(core);
}
