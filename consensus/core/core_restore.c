#include "common/crypto.h"
#include "consensus/core/core_state.h"

/* Starting again from a checkpoint.
 *
 *   peers of stake >= V have no certificates of the rounds that follow ours     behind
 *   or no batch that the next pre-block waits for                               starved
 *     -> WANT_CHECKPOINT to one of them -> CHECKPOINT, its quorum verified
 *     -> of a record that is not ordered here: WANT_RECORDS, the last W down from it, each checked by the chain
 *     -> one atomic write that makes it the begin of this store's history -> RESTART
 *
 * Fetched records are stored as they are verified: a start in between ignores what lies beyond its own last
 * one. Who is only starved keeps its certificates, votes and ordering records, and passes over pre-blocks.
 *
 * Why it is safe: a quorum on a checkpoint holds an honest member that made it, and honest members' ordering
 * records are equal, so what is taken is a prefix of the one history, longer than ours. Votes, own headers and
 * the rejoin floor above the new gc_round stay as they are; at or below it nothing is signed any more. So no
 * slot is signed twice. Nothing that a peer says without a quorum decides more than whether we ask. */

/* ---- when ------------------------------------------------------------------------------------ */

/* The peer has no certificates for us any more. */
static bool is_beyond(const struct core *core, authority_t peer)
{
    const struct sync_peer *known = &core->synchronizer.peers[peer];

    return known->up && known->beyond == core_range_after(core) + 1;
}

/* The peer does not have the batch that the next pre-block waits for. */
static bool is_lacking(const struct core *core, authority_t peer)
{
    struct digest missing;

    return core->synchronizer.peers[peer].up && authority_set_has(&core->restore.lacking, peer) &&
           core_pend_waits(core, &missing) && digest_equal(&missing, &core->restore.lacked);
}

/* One honest member at least says so. */
static bool is_said_by_validity(const struct core *core,
                                bool (*says)(const struct core *core, authority_t peer))
{
    struct authority_set set = {{0, 0}};

    for (authority_t a = 0; a < core->committee->count; a++) {
        if (a != core->self && says(core, a)) authority_set_add(&set, a);
    }
    return committee_stake(core->committee, &set) >= core->committee->validity;
}

/* Ordering record above which a checkpoint helps; UINT64_MAX: none is needed. */
static uint64_t needed_above(const struct core *core)
{
    if (core->halted || core->replaced) return UINT64_MAX;
    if (is_said_by_validity(core, is_beyond)) return orderer_sequence(core->orderer);
    if (is_said_by_validity(core, is_lacking)) return core->cut;
    return UINT64_MAX;
}

bool core_restore_wants(const struct core *core, uint64_t sequence)
{
    return core->restore.target.checkpoint.sequence == 0 && sequence > needed_above(core);
}

void core_restore_note_absent(struct core *core, authority_t peer, const struct digest *digest)
{
    struct digest missing;

    if (!core_pend_waits(core, &missing) || !digest_equal(&missing, digest)) return;
    if (!digest_equal(&core->restore.lacked, digest)) {
        core->restore.lacked = *digest;
        core->restore.lacking = (struct authority_set){{0, 0}};
    }
    authority_set_add(&core->restore.lacking, peer);
}

/* ---- the new begin --------------------------------------------------------------------------- */

static void erase_executed(struct core *core, uint64_t index)
{
    core_erase_below(core, TABLE_PREBLOCKS, index + 1);
    core_erase_below(core, TABLE_PREBLOCK_CERTIFICATES, index + 1);
    core_erase_below(core, TABLE_ATTESTATIONS, index + 1);
}

/* The commit state becomes that of the checkpoint. */
static void replace_order(struct core *core, const struct checkpoint *checkpoint)
{
    round_t gc_round = u64_minus(checkpoint->round, GC_DEPTH);

    CHECK(gc_round >= dag_gc_round(core->dag));
    core_erase_below(core, TABLE_CERTIFICATES, gc_round + 1);
    core_erase_below(core, TABLE_VOTES, gc_round + 1);
    core_erase_below(core, TABLE_HEADERS, gc_round + 1);
    core_erase_below(core, TABLE_OWN_HEADERS, gc_round + 1);
    core_persist_meta(core, META_ORDERING, checkpoint->sequence);
    core_persist_meta(core, META_GC, gc_round);
}

/* One atomic write. */
static void install(struct core *core)
{
    const struct checkpoint_proof *target = &core->restore.target;
    const struct checkpoint *checkpoint = &target->checkpoint;

    CHECK(checkpoint->sequence > core->cut);
    if (checkpoint->sequence > orderer_sequence(core->orderer)) replace_order(core, checkpoint);
    core_erase_below(core, TABLE_ORDERING, checkpoint->sequence - CHECKPOINT_RECORDS + 1);
    erase_executed(core, checkpoint->preblock.index);
    core_erase_below(core, TABLE_CHECKPOINTS, checkpoint->sequence);
    core_persist_checkpoint(core, target);
    core_persist_meta(core, META_CUT, checkpoint->sequence);
    core_persist_meta(core, META_PREBLOCK, checkpoint->preblock.index);
    core_persist_meta(core, META_CERTIFIED, checkpoint->preblock.index);
    core_persist_meta(core, META_RESTORED, checkpoint->sequence);
    core->meta_preblock_dirty = false;
    core->meta_certified_dirty = false;
    core_note(core, TRACE_RESTORED, core->restore.peer, checkpoint->round, checkpoint->sequence,
              &target->digest);
    (void)core_act(core, CORE_ACTION_RESTART);
    core->replaced = true;
}

/* `digest` is that of our own record where the checkpoint has `expected`. */
static void install_if_equal(struct core *core,
                             const struct digest *digest,
                             const struct digest *expected)
{
    if (digest_equal(digest, expected))
        install(core);
    else
        core_alarm(core, "a final checkpoint of another history than ours");
}

/* ---- records --------------------------------------------------------------------------------- */

static void want_records(struct core *core)
{
    struct core_restore *restore = &core->restore;
    struct writer writer = core_writer(core, 16);

    wire_write_want_records(&writer, restore->next, restore->have);
    core_send(core, restore->peer, core_written(core, &writer));
    restore->due_us = core->now_us + SYNC_TIMEOUT_US;
}

void core_restore_begin(struct core *core, authority_t peer, const struct checkpoint_proof *proof)
{
    struct core_restore *restore = &core->restore;

    CHECK(core_restore_wants(core, proof->checkpoint.sequence));
    CHECK(proof->quorum.count > 0);
    restore->target = *proof;
    restore->peer = peer;
    if (proof->checkpoint.sequence <= orderer_sequence(core->orderer)) {
        struct digest own = core_pend_digest(core, proof->checkpoint.sequence);

        install_if_equal(core, &own, &proof->checkpoint.record);
        return;
    }
    restore->next = proof->checkpoint.sequence;
    restore->expected = proof->checkpoint.record;
    restore->have = 0;
    restore->total = 0;
    want_records(core);
}

/* Another checkpoint, from another peer. */
static void give_up(struct core *core)
{
    core->restore.target.checkpoint.sequence = 0;
    core->restore.due_us = core->now_us;
    core->restore.turn++;
}

/* The record is whole and its digest is the expected one. */
static void take_record(struct core *core, const struct ordering_record *record)
{
    struct core_restore *restore = &core->restore;
    uint64_t last = orderer_sequence(core->orderer);

    CHECK(record->sequence == restore->next);
    CHECK(record->sequence > last);
    core_persist_number(core, TABLE_ORDERING, record->sequence, record->bytes);
    restore->next--;
    restore->expected = record->previous;
    restore->have = 0;
    restore->total = 0;
    if (restore->next == last && last > 0) {
        struct digest own = orderer_digest(core->orderer);

        install_if_equal(core, &own, &restore->expected); /* the rest is ours already */
    } else if (restore->target.checkpoint.sequence - restore->next == CHECKPOINT_RECORDS) {
        install(core);
    }
}

/* All bytes of the record wanted are here. False when they are not that record. */
static bool try_record(struct core *core)
{
    struct core_restore *restore = &core->restore;
    uint8_t *copy = core_take(core, restore->total);
    struct ordering_record record;
    struct digest digest;

    crypto_hash_one(&digest, restore->record, restore->total);
    if (!digest_equal(&digest, &restore->expected)) return false;
    memcpy(copy, restore->record, restore->total);
    if (ordering_record_open(&record, (struct bytes){copy, restore->total}) != OK) return false;
    if (record.sequence != restore->next) return false;
    take_record(core, &record);
    return true;
}

static bool part_fits(const struct core *core, const struct wire_record *part)
{
    const struct core_restore *restore = &core->restore;

    if (part->sequence != restore->next || part->offset != restore->have) return false;
    if (part->total > restore->capacity) return false;
    return restore->have == 0 || part->total == restore->total;
}

void core_recv_record(struct core *core, authority_t peer, struct reader *reader)
{
    struct core_restore *restore = &core->restore;
    struct wire_record part;

    wire_read_record(&part, reader);
    if (!reader_done(reader)) {
        core_refuse(core, REFUSED_MALFORMED, peer);
        return;
    }
    if (restore->target.checkpoint.sequence == 0 || peer != restore->peer ||
        !part_fits(core, &part)) {
        core_refuse(core, REFUSED_UNSOLICITED, peer);
        return;
    }
    if (part.part.len == 0) {
        give_up(core); /* not held any more */
        return;
    }
    memcpy(restore->record + restore->have, part.part.data, part.part.len);
    restore->total = part.total;
    restore->have += (uint32_t)part.part.len;
    restore->due_us = core->now_us + SYNC_TIMEOUT_US;
    if (restore->have == restore->total && !try_record(core)) {
        core_refuse(core, REFUSED_MALFORMED, peer);
        give_up(core);
        return;
    }
    if (part.last && !core->replaced && !core->halted) want_records(core);
}

/* ---- time ------------------------------------------------------------------------------------ */

/* The next of the peers that have nothing else for us, by turns. */
static authority_t choose_peer(const struct core *core)
{
    uint32_t count = core->committee->count;

    for (uint32_t i = 0; i < count; i++) {
        authority_t peer = (authority_t)((core->restore.turn + i) % count);

        if (peer != core->self && (is_beyond(core, peer) || is_lacking(core, peer))) return peer;
    }
    return core->self;
}

static void want_checkpoint(struct core *core, uint64_t above)
{
    authority_t peer = choose_peer(core);
    struct writer writer = core_writer(core, 9);

    CHECK(peer != core->self);
    wire_write_want_checkpoint(&writer, above);
    core_send(core, peer, core_written(core, &writer));
    core->restore.turn = peer + 1u;
    core->restore.due_us = core->now_us + CORE_RESTORE_RETRY_US;
}

uint64_t core_restore_turn(struct core *core)
{
    struct core_restore *restore = &core->restore;
    uint64_t above = needed_above(core);

    if (above == UINT64_MAX) {
        restore->target.checkpoint.sequence = 0; /* what was missing comes after all */
        return UINT64_MAX;
    }
    if (core->now_us < restore->due_us) return restore->due_us;
    if (restore->target.checkpoint.sequence > 0) give_up(core);
    want_checkpoint(core, above);
    return restore->due_us;
}
