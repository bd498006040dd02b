#include "common/crypto.h"
#include "consensus/core/core_state.h"

/* ---- what is stored and sent ----------------------------------------------------------------- */

void core_persist_checkpoint(struct core *core, const struct checkpoint_proof *proof)
{
    struct writer writer = core_writer(core, CHECKPOINT_ROW_BYTES_MAX);

    checkpoint_row_write(&writer, proof);
    core_persist_number(core, TABLE_CHECKPOINTS, proof->checkpoint.sequence,
                        core_written(core, &writer));
}

void core_send_checkpoint_signature(struct core *core, authority_t peer)
{
    const struct checkpoint_cell *cell = checkpointer_own(&core->checkpointer);
    struct wire_attestation signature = {.authority = core->self};
    struct writer writer;

    if (cell == NULL || core->rejoin.active) return;
    if (cell->sequence <= core->checkpointer.newest.checkpoint.sequence) return;
    signature.index = cell->sequence;
    signature.digest = cell->digest;
    signature.signature = cell->signature;
    writer = core_writer(core, 128);
    wire_write_checkpoint_signature(&writer, &signature);
    core_send_or_broadcast(core, peer, core_written(core, &writer));
}

static void send_newest(struct core *core, authority_t peer)
{
    const struct checkpoint_proof *newest = &core->checkpointer.newest;
    struct writer writer = core_writer(core, 1 + CHECKPOINT_ROW_BYTES_MAX);

    writer_u8(&writer, WIRE_CHECKPOINT);
    checkpoint_row_write(&writer, newest);
    core_send(core, peer, core_written(core, &writer));
}

/* ---- making one, and making it final --------------------------------------------------------- */

/* A newer one is final. The two newest stay, with the ordering records that a start from the older one
 * needs. */
static void final_now(struct core *core)
{
    const struct checkpointer *checkpointer = &core->checkpointer;
    const struct checkpoint_proof *newest = &checkpointer->newest;
    uint64_t kept = checkpointer->older > 0 ? checkpointer->older : newest->checkpoint.sequence;

    CHECK(newest->checkpoint.sequence <= core->cut + 1);
    core_persist_checkpoint(core, newest);
    core_erase_below(core, TABLE_CHECKPOINTS, kept);
    core_erase_below(core, TABLE_ORDERING, kept - CHECKPOINT_RECORDS + 1);
    core_note(core, TRACE_CHECKPOINT, core->self, newest->checkpoint.round,
              newest->checkpoint.sequence, &newest->digest);
}

static void try_finish(struct core *core)
{
    struct authority_set bad;

    if (checkpointer_finish(&core->checkpointer, &bad)) final_now(core);
    for (authority_t a = 0; a < core->committee->count; a++) {
        if (!authority_set_has(&bad, a)) continue;
        core_refuse(core, REFUSED_SIGNATURE, a);
        core_act(core, CORE_ACTION_CUT_PEER)->peer = a;
    }
}

static struct wire_attestation sign(const struct core *core, const struct checkpoint_proof *made)
{
    struct wire_attestation signature = {
        .index = made->checkpoint.sequence, .digest = made->digest, .authority = core->self};

    crypto_sign(&signature.signature, SCOPE_CHECKPOINT, &made->digest, &core->options.key);
    return signature;
}

void core_make_checkpoint(struct core *core, const struct ordering_record *record)
{
    struct checkpoint checkpoint = {.epoch = core->committee->epoch,
                                    .sequence = record->sequence,
                                    .round = record->anchor.round};
    struct wire_attestation signature;

    CHECK(core->cut + 1 == record->sequence);
    if (record->sequence % CHECKPOINT_INTERVAL != 0) return;
    if (core->rejoin.active || core->halted) return;
    ordering_record_digest(&checkpoint.record, record);
    if (core->attestor.made > 0) {
        checkpoint.preblock = core->attestor.headers[core->attestor.made % ATTESTOR_RING];
        CHECK(checkpoint.preblock.index == core->attestor.made);
    }
    checkpointer_make(&core->checkpointer, &checkpoint);
    core_persist_checkpoint(core, &core->checkpointer.made);
    signature = sign(core, &core->checkpointer.made);
    (void)checkpointer_add(&core->checkpointer, &signature, true);
    core_send_checkpoint_signature(core, core->self);
    try_finish(core);
}

void core_recover_own_checkpoint(struct core *core)
{
    const struct checkpoint_proof *made = &core->checkpointer.made;
    struct wire_attestation signature;

    if (made->checkpoint.sequence <= core->checkpointer.newest.checkpoint.sequence) return;
    signature = sign(core, made);
    (void)checkpointer_add(&core->checkpointer, &signature, true);
}

/* ---- signatures and proofs in ---------------------------------------------------------------- */

void core_recv_checkpoint_signature(struct core *core, authority_t peer, struct reader *reader)
{
    struct wire_attestation signature;
    enum status status;

    wire_read_attestation(&signature, reader);
    if (!reader_done(reader)) {
        core_refuse(core, REFUSED_MALFORMED, peer);
        return;
    }
    if (signature.authority != peer) {
        core_refuse(core, REFUSED_UNSOLICITED, peer);
        return;
    }
    status = checkpointer_add(&core->checkpointer, &signature, false);
    if (status == OK) try_finish(core);
    if (status == ERR_MALFORMED) core_refuse(core, REFUSED_MALFORMED, peer);
    if (status == ERR_DUPLICATE) core_refuse(core, REFUSED_DUPLICATE, peer);
    if (status == ERR_CONFLICT) core_refuse(core, REFUSED_EQUIVOCATION, peer);
    /* Its signature comes after Q others: it may not have all of those. */
    if (status == ERR_STALE && core->now_us >= core->proved_us[peer] + CORE_PROVE_US &&
        signature.index == core->checkpointer.newest.checkpoint.sequence) {
        core->proved_us[peer] = core->now_us;
        send_newest(core, peer);
    }
}

void core_recv_want_checkpoint(struct core *core, authority_t peer, struct reader *reader)
{
    uint64_t sequence = reader_u64(reader);

    if (!reader_done(reader)) {
        core_refuse(core, REFUSED_MALFORMED, peer);
        return;
    }
    if (sequence < core->checkpointer.newest.checkpoint.sequence) send_newest(core, peer);
}

void core_recv_checkpoint(struct core *core, authority_t peer, struct reader *reader)
{
    struct checkpoint_proof *proof = core_take(core, sizeof *proof);
    const struct checkpoint_proof *made = &core->checkpointer.made;
    enum status status;
    bool is_ours;

    if (checkpoint_row_read(proof, reader_view(reader, reader->left)) != OK ||
        proof->checkpoint.epoch != core->committee->epoch) {
        core_refuse(core, REFUSED_MALFORMED, peer);
        return;
    }
    is_ours = proof->checkpoint.sequence == made->checkpoint.sequence && made->quorum.count == 0;
    if (!is_ours && !core_restore_wants(core, proof->checkpoint.sequence)) {
        core_refuse(core, REFUSED_UNSOLICITED, peer);
        return;
    }
    if (committee_verify_quorum(core->committee, SCOPE_CHECKPOINT, &proof->digest,
                                &proof->quorum) != OK) {
        core_refuse(core, REFUSED_SIGNATURE, peer);
        return;
    }
    if (!is_ours) {
        core_restore_begin(core, peer, proof);
        return;
    }
    status = checkpointer_take(&core->checkpointer, proof);
    if (status == OK) final_now(core);
    if (status == ERR_CONFLICT) core_alarm(core, "a final checkpoint of another history than ours");
}

void core_recv_want_records(struct core *core, authority_t peer, struct reader *reader)
{
    uint64_t sequence = reader_u64(reader);
    uint32_t offset = reader_u32(reader);
    struct core_action *action;

    if (!reader_done(reader) || sequence == 0) {
        core_refuse(core, REFUSED_MALFORMED, peer);
        return;
    }
    /* No least time between two runs, as for ranges: whoever is near would lose its next question, and wait
     * for long. What is read at one time for one peer is bounded by who reads (SERVE_MAX). */
    if (sequence > core->cut) return;
    action = core_act(core, CORE_ACTION_SERVE_RECORDS);
    action->peer = peer;
    action->index = sequence;
    action->offset = offset;
}
