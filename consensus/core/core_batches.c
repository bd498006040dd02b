#include "consensus/core/core_state.h"

void core_look_up(struct core *core, uint32_t number)
{
    struct batch_entry *entry = batch_table_entry(&core->batches, number);

    if (batch_entry_is_held(entry) || entry->looked_up || !core->started) return;
    if (!core_has_room(core)) return; /* the fetch that follows does without */
    entry->looked_up = true;
    core_act(core, CORE_ACTION_LOOK_UP_BATCH)->digest = entry->digest;
    core->others[core->others_count - 1].worker = entry->worker;
}

static void promise(struct core *core, const struct digest *digest, uint32_t worker)
{
    struct core_action *action = core_act(core, CORE_ACTION_BATCH_CERTIFIED);

    action->digest = *digest;
    action->worker = worker;
}

/* An own batch is in a certified header: the availability proof that clients wait for. */
static void note_certified(struct core *core, uint32_t number, const struct quorum *quorum)
{
    struct batch_entry *entry = batch_table_entry(&core->batches, number);

    for (uint32_t i = 0; i < quorum->count; i++) {
        if (quorum->signers[i] == core->self) continue;
        if (entry->author == core->self) {
            (void)batch_table_acknowledge(&core->batches, number, quorum->signers[i]);
        } else {
            authority_set_add(&entry->holders, quorum->signers[i]);
        }
    }
    if (entry->certified) return;
    entry->certified = true;
    if (entry->author == core->self) promise(core, &entry->digest, entry->worker);
}

void core_name_batches(struct core *core, const struct header *header, const struct quorum *quorum)
{
    uint64_t fetch_at_us = core->now_us + core->options.parameters.batch_fetch_us;

    for (uint32_t i = 0; i < header->payload_count; i++) {
        const struct batch_info *info = &header->payload[i];
        uint32_t number = batch_table_find(&core->batches, &info->digest);

        /* What was executed is needed by nobody: a second name of it is skipped when it is ordered.
         * A vote asks for it all the same, through the header that is not certified yet. */
        if (number == BATCH_NONE && quorum != NULL &&
            orderer_executed(core->orderer, &info->digest)) {
            continue;
        }
        if (batch_table_name(&core->batches, &number, info, header->author, header->round,
                             fetch_at_us) != OK) {
            core_refuse(core, REFUSED_FULL, header->author);
            continue;
        }
        /* It may leave the dedup window before this header is collected unordered. */
        if (orderer_executed(core->orderer, &info->digest))
            batch_table_note_executed(&core->batches, number);
        if (quorum != NULL) note_certified(core, number, quorum);
        core_look_up(core, number);
    }
}

static void acknowledge(struct core *core, const struct core_event *event)
{
    struct core_action *action;

    if (event->peer == core->self || !event->batch.streamed) return;
    action = core_act(core, CORE_ACTION_ACKNOWLEDGE_BATCH);
    action->peer = event->peer;
    action->digest = event->batch.digest;
    action->worker = event->batch.worker;
}

static void drop(struct core *core, const struct digest *digest, uint32_t worker)
{
    struct core_action *action = core_act(core, CORE_ACTION_BATCH_DROPPED);

    action->digest = *digest;
    action->worker = worker;
}

/* A batch whose headers are all at or below gc_round, and which nothing ordered. */
static void settle_collected(struct core *core, uint32_t number)
{
    struct batch_entry *entry = batch_table_entry(&core->batches, number);

    if (!batch_entry_is_held(entry) || entry->executed ||
        orderer_executed(core->orderer, &entry->digest)) {
        batch_table_forget(&core->batches, number);
    } else if (entry->author == core->self) {
        batch_table_make_nameable(&core->batches, number);
    } else if (entry->certified) {
        batch_table_rename_later(&core->batches, number, core->now_us + BATCH_RENAME_US);
    } else {
        drop(core, &entry->digest, entry->worker);
        batch_table_forget(&core->batches, number);
    }
}

void core_batch_stored(struct core *core, const struct core_event *event)
{
    struct batch_stored stored = {.digest = event->batch.digest,
                                  .author = event->peer,
                                  .worker = event->batch.worker,
                                  .bytes = event->batch.bytes,
                                  .transactions = event->batch.transactions,
                                  .created_at = event->batch.created_at,
                                  .streamed = event->batch.streamed,
                                  .executed = event->batch.executed};
    uint32_t number = batch_table_find(&core->batches, &stored.digest);
    const struct batch_entry *entry;
    enum status status;

    CHECK(event->peer < core->committee->count);
    CHECK(stored.bytes >= 1);
    acknowledge(core, event);
    /* Executed already, or found in the log for somebody who does not wait any more. What a header names may have
     * been executed by an anchor that left the dedup window since: the store knows. */
    stored.executed = stored.executed || orderer_executed(core->orderer, &stored.digest);
    if (number == BATCH_NONE && stored.executed) {
        if (stored.author == core->self) promise(core, &stored.digest, stored.worker);
        return;
    }
    if (number == BATCH_NONE && !stored.streamed && stored.author != core->self) return;
    status = batch_table_store(&core->batches, &number, &stored, core_quorum_round(core),
                               core->now_us + core->options.parameters.batch_fetch_us);
    if (status == ERR_FULL) {
        core_refuse(core, REFUSED_FULL, event->peer);
        drop(core, &stored.digest, stored.worker);
    }
    if (status != OK) return;
    core->candidates_dirty = true;
    entry = batch_table_entry(&core->batches, number);
    /* Equal bytes of somebody else were certified before ours were stored. */
    if (stored.author == core->self && (entry->certified || entry->executed))
        promise(core, &stored.digest, stored.worker);
    /* Found in the log at a start, for a header that was collected before it. */
    if (entry->list == BATCH_LIST_NAMED && entry->round <= dag_gc_round(core->dag))
        settle_collected(core, number);
}

/* A header that names it is never certified, because nobody can vote for it: an own batch must not be in the next
 * one, and the next, or this member is silent for ever. What is certified or ordered somebody has. */
void core_batch_lost(struct core *core, const struct digest *digest)
{
    uint32_t number = batch_table_find(&core->batches, digest);
    const struct batch_entry *entry;

    if (number == BATCH_NONE) return;
    entry = batch_table_entry(&core->batches, number);
    if (!batch_entry_is_held(entry) || entry->pins > 0 || entry->certified) return;
    if (entry->author == core->self && !entry->executed) drop(core, digest, entry->worker);
    batch_table_forget(&core->batches, number);
}

void core_recv_batch_ack(struct core *core, authority_t peer, struct reader *reader)
{
    struct digest digest;
    uint32_t number;

    reader_copy(reader, digest.bytes, sizeof digest.bytes);
    if (!reader_done(reader)) {
        core_refuse(core, REFUSED_MALFORMED, peer);
        return;
    }
    number = batch_table_find(&core->batches, &digest);
    if (number == BATCH_NONE) return; /* executed before its last acknowledgement */
    (void)batch_table_acknowledge(&core->batches, number, peer);
}

void core_recv_no_batch(struct core *core, authority_t peer, struct reader *reader)
{
    struct digest digest;
    uint32_t number;

    reader_copy(reader, digest.bytes, sizeof digest.bytes);
    if (!reader_done(reader)) {
        core_refuse(core, REFUSED_MALFORMED, peer);
        return;
    }
    core_restore_note_absent(core, peer, &digest);
    number = batch_table_find(&core->batches, &digest);
    if (number != BATCH_NONE) batch_table_note_absent(&core->batches, number, peer, core->now_us);
}

uint64_t core_fetch_batches(struct core *core)
{
    uint64_t deadline = UINT64_MAX;
    uint32_t number;

    if (core->committee->count == 1) return UINT64_MAX;
    while (core_has_room(core)) {
        const struct batch_entry *entry;

        number = batch_table_fetch_due(&core->batches, &deadline, core->now_us);
        if (number == BATCH_NONE) return deadline;
        entry = batch_table_entry(&core->batches, number);
        for (uint32_t i = 0; i < batch_table_fetch_peers(&core->batches, number); i++) {
            struct core_action *action;
            authority_t peer = batch_table_fetch_peer(&core->batches, number);

            action = core_act(core, CORE_ACTION_FETCH_BATCH);
            action->peer = peer;
            action->digest = entry->digest;
            action->worker = entry->worker;
            core_note(core, TRACE_FETCH, peer, entry->round, entry->asked, &entry->digest);
        }
    }
    core->more_work = true;
    return UINT64_MAX;
}

void core_sweep_batches(struct core *core)
{
    static const enum batch_list lists[] = {BATCH_LIST_NAMED, BATCH_LIST_MISSING,
                                            BATCH_LIST_FETCHING};
    round_t gc_round = dag_gc_round(core->dag);
    round_t stale_round = u64_minus(core_quorum_round(core), GC_DEPTH);
    uint32_t number;

    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        for (;;) {
            number = batch_table_stale_named(&core->batches, lists[i], gc_round, core->now_us);
            if (number == BATCH_NONE) break;
            if (!core_has_room(core)) {
                core->more_work = true;
                return;
            }
            settle_collected(core, number);
        }
    }
    if (stale_round == 0) return;
    for (;;) {
        number = batch_table_stale_unnamed(&core->batches, stale_round);
        if (number == BATCH_NONE) return;
        if (!core_has_room(core)) {
            core->more_work = true;
            return;
        }
        drop(core, &batch_table_entry(&core->batches, number)->digest,
             batch_table_entry(&core->batches, number)->worker);
        batch_table_forget(&core->batches, number);
    }
}
