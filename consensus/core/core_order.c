#include "common/crypto.h"
#include "consensus/core/core_state.h"

/* ---- the ring of records that wait for their pre-blocks -------------------------------------- */

static size_t record_bytes_max(const struct core *core)
{
    return ORDERING_RECORD_BYTES_MAX(core->committee->count, DAG_ROUNDS);
}

static struct core_pending *pending_at(const struct core *core, uint32_t position)
{
    return &core->pending[(core->pending_first + position) % CORE_PENDING_MAX];
}

/* Where `len` bytes go: at the end of what is used, or at the ring's begin when they do not fit
 * there. */
static size_t ring_place(const struct core *core, size_t len, size_t *ret_skip)
{
    size_t end = (core->ring_begin + core->ring_used) % core->ring_capacity;

    *ret_skip = len > core->ring_capacity - end ? core->ring_capacity - end : 0;
    return *ret_skip > 0 ? 0 : end;
}

bool core_pend_has_room(const struct core *core)
{
    size_t largest = record_bytes_max(core);

    if (core->pending_count == 0) return true;
    if (core->pending_count == CORE_PENDING_MAX) return false;
    return core->ring_capacity - core->ring_used >= 2 * largest;
}

void core_pend(struct core *core, const struct ordering_record *record)
{
    struct core_pending *pending = pending_at(core, core->pending_count);
    struct ordering_cursor cursor = ordering_record_begin(record);
    struct ordering_vertex vertex;
    struct ordering_batch batch;

    CHECK(core->pending_count < CORE_PENDING_MAX);
    CHECK(core->pending_count == 0 ||
          pending_at(core, core->pending_count - 1)->sequence + 1 == record->sequence);
    pending->sequence = record->sequence;
    pending->len = record->bytes.len;
    pending->offset = ring_place(core, pending->len, &pending->skip);
    pending->waits = false;
    CHECK(pending->skip + pending->len <= core->ring_capacity - core->ring_used);
    memcpy(core->ring + pending->offset, record->bytes.data, record->bytes.len);
    core->ring_used += pending->skip + pending->len;
    core->pending_count++;
    while (ordering_record_next(&cursor, &vertex)) {
        while (ordering_record_next_batch(&cursor, &batch)) {
            struct batch_info info = {
                .digest = batch.digest, .worker = batch.worker, .created_at = 0};
            uint32_t entry;

            CHECK(batch_table_name(&core->batches, &entry, &info, vertex.ref.author,
                                   vertex.ref.round, core->now_us) == OK);
            batch_table_pin(&core->batches, entry);
            core_look_up(core, entry);
        }
    }
}

bool core_pend_waits(const struct core *core, struct digest *ret_missing)
{
    const struct core_pending *pending = pending_at(core, 0);

    if (core->pending_count == 0 || !pending->waits) return false;
    *ret_missing = pending->missing;
    return true;
}

struct digest core_pend_digest(const struct core *core, uint64_t sequence)
{
    const struct core_pending *pending;
    struct digest digest;

    CHECK(sequence > core->cut && sequence - core->cut <= core->pending_count);
    pending = pending_at(core, (uint32_t)(sequence - core->cut - 1));
    CHECK(pending->sequence == sequence);
    crypto_hash_one(&digest, core->ring + pending->offset, pending->len);
    return digest;
}

static void pending_pop(struct core *core)
{
    struct core_pending *pending = pending_at(core, 0);

    CHECK(core->pending_count > 0);
    core->cut = pending->sequence;
    core->ring_begin = (pending->offset + pending->len) % core->ring_capacity;
    core->ring_used -= pending->skip + pending->len;
    core->pending_first = (core->pending_first + 1) % CORE_PENDING_MAX;
    core->pending_count--;
    core->meta_preblock_dirty = true;
}

/* ---- ordering -------------------------------------------------------------------------------- */

static void note_decision(struct core *core, const struct commit_decision *decision)
{
    static const enum core_trace_kind kinds[] = {
        [COMMIT_DIRECT] = TRACE_ANCHOR_DIRECT,
        [COMMIT_FAST] = TRACE_ANCHOR_FAST,
        [COMMIT_INDIRECT] = TRACE_ANCHOR_INDIRECT,
    };

    for (uint32_t i = 0; i < decision->skipped_count; i++) {
        core_note(core, TRACE_ANCHOR_SKIPPED, decision->skipped[i].author,
                  decision->skipped[i].round, 0, NULL);
    }
    core_note(core, kinds[decision->how], decision->anchor.author, decision->anchor.round, 0,
              &decision->digest);
    core->counts.skipped_anchors += decision->skipped_count;
    switch (decision->how) {
    case COMMIT_DIRECT:
        core->counts.direct_commits++;
        break;
    case COMMIT_FAST:
        core->counts.fast_commits++;
        break;
    case COMMIT_INDIRECT:
        core->counts.indirect_commits++;
        break;
    }
    proposer_note_anchor(&core->proposer, decision->skipped_count,
                         decision->how != COMMIT_INDIRECT);
}

/* Orders one anchor: everything that changes with it is in this step's persists. */
static void order_one(struct core *core, const struct commit_decision *decision)
{
    struct ordering_record record;
    round_t old_gc_round = dag_gc_round(core->dag);
    struct bytes stored;

    note_decision(core, decision);
    orderer_order(core->orderer, &record, core->dag, decision);
    CHECK(record.sequence == orderer_sequence(core->orderer));
    core_pend(core, &record);
    stored = (struct bytes){core->ring + pending_at(core, core->pending_count - 1)->offset,
                            record.bytes.len};
    core_persist_number(core, TABLE_ORDERING, record.sequence, stored);
    core_persist_meta(core, META_ORDERING, record.sequence);
    core_note(core, TRACE_ORDERED, record.anchor.author, record.anchor.round, record.vertices_count,
              &record.anchor.digest);
    core_collect(core, old_gc_round);
}

void core_order(struct core *core)
{
    struct commit_decision decision;

    if (!core->dag_dirty || core->halted) return;
    while (orderer_decide(core->orderer, &decision, core->dag)) {
        /* A ring that was freed in this step is written over at the earliest in the next. */
        if (!core_pend_has_room(core) || core->pending_spent > 0) {
            core->more_work = core->more_work || core->pending_spent > 0;
            return;
        }
        if (!core_has_room(core)) {
            core->more_work = true;
            return;
        }
        order_one(core, &decision);
    }
    core->dag_dirty = false;
}

/* ---- pre-blocks ------------------------------------------------------------------------------ */

/* Fills in the sizes of the record's batches; false when one is not here. */
static bool record_sizes(struct core *core,
                         struct core_pending *pending,
                         const struct ordering_record *record)
{
    struct ordering_cursor cursor = ordering_record_begin(record);
    struct ordering_vertex vertex;
    struct ordering_batch batch;
    uint32_t count = 0;

    while (ordering_record_next(&cursor, &vertex)) {
        while (ordering_record_next_batch(&cursor, &batch)) {
            uint32_t number = batch_table_find(&core->batches, &batch.digest);
            const struct batch_entry *entry;

            CHECK(number != BATCH_NONE);
            entry = batch_table_entry(&core->batches, number);
            CHECK(entry->pins > 0);
            if (!batch_entry_is_held(entry)) {
                pending->waits = true;
                pending->missing = batch.digest;
                return false;
            }
            core->sizes[count++] =
                (struct batch_size){.bytes = entry->bytes, .transactions = entry->transactions};
        }
    }
    CHECK(count == record->batches_count);
    return true;
}

static void persist_executed(struct core *core, const struct digest *digest, struct bytes index)
{
    uint8_t *key = core_take(core, sizeof digest->bytes);

    memcpy(key, digest->bytes, sizeof digest->bytes);
    core_persist(core, TABLE_EXECUTED, (struct bytes){key, sizeof digest->bytes}, index);
}

/* Bytes of the record of one cut. */
static size_t cut_bytes_max(const struct preblock_cut *cut)
{
    return PREBLOCK_HEADER_BYTES + 42 + 10 + (size_t)cut->vertices * PREBLOCK_RECORD_VERTEX_BYTES +
           (size_t)cut->header.batches * PREBLOCK_RECORD_BATCH_BYTES;
}

/* Encodes the record of one cut, and persists it with its EXECUTED rows. */
static struct bytes persist_preblock(struct core *core,
                                     const struct ordering_record *ordering,
                                     const struct preblock_cut *cut)
{
    struct writer writer = core_writer(core, cut_bytes_max(cut));
    struct ordering_cursor cursor = cut->cursor;
    struct ordering_vertex vertex;
    struct ordering_batch batch;
    struct bytes record;
    struct bytes index;

    preblock_record_write_begin(&writer, &cut->header, &ordering->anchor, cut->vertices);
    for (uint32_t i = 0; i < cut->vertices; i++) {
        CHECK(ordering_record_next(&cursor, &vertex));
        preblock_record_write_vertex(&writer, &vertex.ref, vertex.batches);
    }
    preblock_record_write_batches_count(&writer, cut->header.batches);
    cursor = cut->cursor;
    for (uint32_t i = 0, n = 0; i < cut->vertices; i++) {
        CHECK(ordering_record_next(&cursor, &vertex));
        while (ordering_record_next_batch(&cursor, &batch)) {
            const struct batch_size *size = &core->sizes[cut->first_batch + n++];
            struct preblock_batch row = {.digest = batch.digest,
                                         .worker = batch.worker,
                                         .bytes = size->bytes,
                                         .transactions = size->transactions};

            preblock_record_write_batch(&writer, &row);
        }
    }
    record = core_written(core, &writer);
    writer = core_writer(core, 8);
    writer_u64(&writer, cut->header.index);
    index = core_written(core, &writer);
    core_persist_number(core, TABLE_PREBLOCKS, cut->header.index, record);
    cursor = cut->cursor;
    for (uint32_t i = 0; i < cut->vertices; i++) {
        CHECK(ordering_record_next(&cursor, &vertex));
        while (ordering_record_next_batch(&cursor, &batch)) {
            persist_executed(core, &batch.digest, index);
        }
    }
    return record;
}

/* ---- attestations ---------------------------------------------------------------------------- */

static void certified_now(struct core *core)
{
    const struct preblock_proof *proof = &core->attestor.newest;
    struct writer writer = core_writer(core, QUORUM_BYTES_MAX);
    struct core_action *action;
    struct bytes quorum;

    CHECK(proof->index == core->attestor.certified);
    quorum_encode(&writer, &proof->quorum);
    quorum = core_written(core, &writer);
    core_persist_number(core, TABLE_PREBLOCK_CERTIFICATES, proof->index, quorum);
    core->meta_certified_dirty = true;
    action = core_act(core, CORE_ACTION_CERTIFY);
    action->index = proof->index;
    action->message = quorum;
    action->digest = proof->digest;
    core_note(core, TRACE_PREBLOCK_CERTIFIED, core->self, 0, proof->index, &proof->digest);
}

static void try_certify_preblock(struct core *core, uint64_t index)
{
    struct authority_set bad;

    if (attestor_certify(&core->attestor, &bad, index)) certified_now(core);
    for (authority_t a = 0; a < core->committee->count; a++) {
        if (!authority_set_has(&bad, a)) continue;
        core_refuse(core, REFUSED_SIGNATURE, a);
        core_act(core, CORE_ACTION_CUT_PEER)->peer = a;
    }
}

static void attestation_of_cell(const struct core *core,
                                struct wire_attestation *ret_attestation,
                                const struct attestation_cell *cell)
{
    ret_attestation->index = cell->index;
    ret_attestation->digest = cell->digest;
    ret_attestation->authority = core->self;
    ret_attestation->signature = cell->signature;
}

void core_send_attestation(struct core *core, authority_t peer)
{
    const struct attestation_cell *cell = attestor_own(&core->attestor, core->attestor.made);
    struct wire_attestation attestation;
    struct writer writer;

    if (cell == NULL || core->rejoin.active) return;
    attestation_of_cell(core, &attestation, cell);
    writer = core_writer(core, 128);
    wire_write_attestation(&writer, &attestation);
    core_send_or_broadcast(core, peer, core_written(core, &writer));
}

/* Signs our own newest pre-block: (index, digest) durable first. */
static void attest(struct core *core, uint64_t index, const struct digest *digest)
{
    struct wire_attestation attestation = {
        .index = index, .digest = *digest, .authority = core->self};
    uint8_t *value = core_take(core, sizeof digest->bytes);

    CHECK(index == core->attestor.made);
    memcpy(value, digest->bytes, sizeof digest->bytes);
    core_persist_number(core, TABLE_ATTESTATIONS, index,
                        (struct bytes){value, sizeof digest->bytes});
    crypto_sign(&attestation.signature, SCOPE_PREBLOCK, digest, &core->options.key);
    (void)attestor_add(&core->attestor, &attestation, true);
    core_send_attestation(core, core->self);
}

/* A new own pre-block: settle what peers already proved, else sign it. */
static void settle_preblock(struct core *core,
                            const struct preblock *header,
                            const struct digest *digest)
{
    enum status status;

    attestor_note_made(&core->attestor, header);
    status = attestor_settle_ahead(&core->attestor);
    if (status == ERR_CONFLICT) {
        core_alarm(core, "a certificate of another pre-block than ours");
        return;
    }
    if (status == OK) {
        certified_now(core);
        return;
    }
    /* What a kept certificate of a later index covers needs no signature of ours. */
    if (core->attestor.ahead.index != 0 || core->rejoin.active || core->halted) return;
    attest(core, header->index, digest);
    try_certify_preblock(core, header->index);
}

static void make_one(struct core *core,
                     const struct ordering_record *ordering,
                     const struct preblock_cut *cut)
{
    struct preblock *header = core_take(core, sizeof *header);
    struct bytes record = persist_preblock(core, ordering, cut);
    struct core_action *action;
    struct digest digest;

    *header = cut->header;
    preblock_digest(&digest, header);
    core_note(core, TRACE_PREBLOCK, ordering->anchor.author, header->round, header->index, &digest);
    action = core_act(core, CORE_ACTION_DELIVER);
    action->index = header->index;
    action->preblock = header;
    action->record = record;
    action->digest = digest;
    settle_preblock(core, header, &digest);
    core->meta_preblock_dirty = true;
}

static void unpin_all(struct core *core, const struct ordering_record *record)
{
    struct ordering_cursor cursor = ordering_record_begin(record);
    struct ordering_vertex vertex;
    struct ordering_batch batch;

    while (ordering_record_next(&cursor, &vertex)) {
        while (ordering_record_next_batch(&cursor, &batch)) {
            uint32_t number = batch_table_find(&core->batches, &batch.digest);

            CHECK(number != BATCH_NONE);
            batch_table_unpin(&core->batches, number);
        }
    }
}

/* Room for all pre-blocks of a record: they are one atomic write. */
static bool has_room_for_record(const struct core *core, const struct ordering_record *record)
{
    size_t batches = record->batches_count;
    size_t cuts = batches < record->vertices_count ? batches : record->vertices_count;
    size_t bytes = batches * (PREBLOCK_RECORD_BATCH_BYTES + 40) +
                   record->vertices_count * PREBLOCK_RECORD_VERTEX_BYTES +
                   cuts * (1024 + QUORUM_BYTES_MAX);

    if (!core_has_room(core)) return false;
    if (core->persists_max - core->persists_count < batches + 4 * cuts + CORE_ROOM_ACTIONS)
        return false;
    if (core->others_max - core->others_count < 3 * cuts) return false;
    return core->arena_capacity - core->arena_used >= bytes + CORE_ROOM_BYTES;
}

void core_make_preblocks(struct core *core)
{
    while (core->pending_count > 0 && !core->halted) {
        struct core_pending *pending = pending_at(core, 0);
        struct ordering_record record;
        struct preblock_cut cut;

        if (pending->waits) {
            uint32_t number = batch_table_find(&core->batches, &pending->missing);

            CHECK(number != BATCH_NONE);
            if (!batch_entry_is_held(batch_table_entry(&core->batches, number))) return;
        }
        CHECK(ordering_record_open(
                  &record, (struct bytes){core->ring + pending->offset, pending->len}) == OK);
        if (!record_sizes(core, pending, &record)) return;
        if (!has_room_for_record(core, &record)) {
            CHECK(core->persists_count + core->others_count > 0);
            core->more_work = true;
            return;
        }
        if (record.batches_count > 0) {
            preblock_cutter_begin(&core->cutter, &record, core->sizes);
            while (preblock_cutter_next(&core->cutter, &cut, &core->chain)) {
                make_one(core, &record, &cut);
            }
            unpin_all(core, &record);
        }
        core_make_checkpoint(core, &record);
        pending_pop(core);
        core->pending_spent++;
        core->dag_dirty = true; /* room for more records */
    }
}

/* ---- attestations and certificates of pre-blocks in ------------------------------------------ */

static void want_preblock_certificate(struct core *core, authority_t peer)
{
    struct writer writer = core_writer(core, 9);

    wire_write_want_preblock_certificate(&writer, core->attestor.certified);
    core_send(core, peer, core_written(core, &writer));
}

void core_recv_attestation(struct core *core, authority_t peer, struct reader *reader)
{
    struct wire_attestation attestation;
    enum status status;

    wire_read_attestation(&attestation, reader);
    if (!reader_done(reader) || attestation.index == 0) {
        core_refuse(core, REFUSED_MALFORMED, peer);
        return;
    }
    if (attestation.authority != peer) {
        core_refuse(core, REFUSED_UNSOLICITED, peer);
        return;
    }
    attestor_note_claim(&core->attestor, peer, attestation.index);
    status = attestor_add(&core->attestor, &attestation, false);
    if (status == OK) try_certify_preblock(core, attestation.index);
    if (status == ERR_DUPLICATE) core_refuse(core, REFUSED_DUPLICATE, peer);
    if (status == ERR_CONFLICT) core_refuse(core, REFUSED_EQUIVOCATION, peer);
    if (status == ERR_AHEAD) want_preblock_certificate(core, peer);
}

/* Our signature on a pre-block that was never made here. After a rejoin that is our own past. */
static void check_own_attestation(struct core *core, const struct preblock_proof *proof)
{
    if (core->rejoin.active || core->floor > 0 || proof->index <= core->attestor.made) return;
    for (uint32_t i = 0; i < proof->quorum.count; i++) {
        if (proof->quorum.signers[i] != core->self) continue;
        core_alarm(core, "a pre-block certificate holds a signature of ours that we did not give");
    }
}

void core_recv_preblock_certificate(struct core *core, authority_t peer, struct reader *reader)
{
    struct preblock_proof proof;
    enum status status;

    preblock_decode(&proof.header, reader);
    quorum_decode(&proof.quorum, reader);
    if (!reader_done(reader) || proof.header.index == 0 ||
        proof.header.epoch != core->committee->epoch) {
        core_refuse(core, REFUSED_MALFORMED, peer);
        return;
    }
    proof.index = proof.header.index;
    preblock_digest(&proof.digest, &proof.header);
    if (proof.index <= core->attestor.certified || proof.index <= core->attestor.ahead.index) {
        core_refuse(core, REFUSED_STALE, peer);
        return;
    }
    if (committee_verify_quorum(core->committee, SCOPE_PREBLOCK, &proof.digest, &proof.quorum) !=
        OK) {
        core_refuse(core, REFUSED_SIGNATURE, peer);
        return;
    }
    check_own_attestation(core, &proof);
    status = attestor_take_proof(&core->attestor, &proof);
    if (status == OK) certified_now(core);
    if (status == ERR_CONFLICT) core_alarm(core, "a certificate of another pre-block than ours");
}
