#include "consensus/core/core.h"

#include "common/crypto.h"
#include "consensus/core/core_state.h"

struct core_parameters core_parameters_default(void)
{
    return (struct core_parameters){.stride = 1,
                                    .fast = true,
                                    .header_delay_us_min = 15000,
                                    .header_delay_us_max = 150000,
                                    .anchor_wait_us_min = 1000,
                                    .idle_delay_us = 1000000,
                                    .retry_delay_us = 250000,
                                    .batch_fetch_us = 1000000,
                                    .clock_tolerance_ms = 1000};
}

/* ---- life ------------------------------------------------------------------------------------ */

/* A number peers do not know, for the positions in hash maps. */
static uint64_t secret_seed(const struct core_options *options)
{
    struct digest digest;
    struct reader reader;

    crypto_hash_one(&digest, options->key.bytes, sizeof options->key.bytes);
    reader = reader_make(digest.bytes, sizeof digest.bytes);
    return reader_u64(&reader);
}

static struct orderer_options order_options(const struct core_options *options, uint64_t seed)
{
    struct commit_parameters rule = {.stride = options->parameters.stride,
                                     .fast = options->parameters.fast};
    struct orderer_options order = orderer_options_default(options->committee, &rule);

    order.seed = seed;
    return order;
}

static void place_modules(struct core *core,
                          struct region *region,
                          const struct core_options *options)
{
    const struct committee *committee = options->committee;
    uint64_t seed = secret_seed(options);
    struct orderer_options order = order_options(options, seed);
    void *dag = region_take(region, dag_bytes(committee->count, DAG_ROUNDS));
    void *orderer = region_take(region, orderer_bytes(&order));

    batch_table_place(&core->batches, region, committee, options->self, seed);
    certifier_place(&core->certifier, region, committee);
    voter_place(&core->voter, region, committee);
    proposer_place(&core->proposer, region, committee, &core->options.parameters, options->self);
    synchronizer_place(&core->synchronizer, region, committee, options->self, seed);
    attestor_place(&core->attestor, region, committee, options->self);
    checkpointer_place(&core->checkpointer, region, committee, options->self);
    if (region->base == NULL) return;
    dag_init(&core->dag, dag, committee, DAG_ROUNDS);
    orderer_init(&core->orderer, orderer, &order);
}

static void place_buffers(struct core *core, struct region *region, size_t count)
{
    core->candidates =
        region_take(region, sizeof *core->candidates * (CERTIFIER_ROUNDS * count + 1));
    core->ring_capacity = 4 * ORDERING_RECORD_BYTES_MAX(count, DAG_ROUNDS);
    core->ring = region_take(region, core->ring_capacity);
    core->pending = region_take(region, sizeof *core->pending * CORE_PENDING_MAX);
    core->sizes =
        region_take(region, sizeof *core->sizes * DAG_ROUNDS * count * HEADER_BATCHES_MAX);
    core->served_us = region_take(region, sizeof *core->served_us * count);
    core->proved_us = region_take(region, sizeof *core->proved_us * count);
    core->restore.capacity = ORDERING_RECORD_BYTES_MAX(count, DAG_ROUNDS);
    core->restore.record = region_take(region, core->restore.capacity);
    core->others_max = CORE_OTHERS_MAX(count);
    core->persists_max = CORE_PERSISTS_MAX(count);
    core->items =
        region_take(region, sizeof *core->items * (core->persists_max + core->others_max));
    core->others = region_take(region, sizeof *core->others * core->others_max);
    core->arena_capacity = CORE_ARENA_BYTES(count);
    core->arena = region_take(region, core->arena_capacity);
}

size_t core_bytes(const struct core_options *options)
{
    struct region region = region_make(NULL, 0);
    struct core measure; /* written by the placing code, read by nobody */

    (void)region_take(&region, sizeof(struct core));
    place_modules(&measure, &region, options);
    place_buffers(&measure, &region, options->committee->count);
    return region.used;
}

static bool key_belongs(const struct core_options *options)
{
    const struct public_key *key;

    if (options->self >= options->committee->count) return false;
    key = &options->committee->members[options->self].key;
    return memcmp(options->key.bytes + 32, key->bytes, sizeof key->bytes) == 0;
}

/* Memory that is not zero-filled would be taken for live state: samples tell early. */
static void check_zeroed(const uint8_t *memory, size_t bytes)
{
    for (size_t i = 0; i < bytes; i += 1024u * 1024u)
        CHECK(memory[i] == 0);
    CHECK(memory[bytes - 1] == 0);
}

enum status core_init(struct core **ret_core, void *memory, const struct core_options *options)
{
    struct region region;
    struct core *core;

    if (!key_belongs(options)) return ERR_CONFIG;
    if (options->parameters.stride != 1 && options->parameters.stride != 2) return ERR_CONFIG;
    CHECK((uintptr_t)memory % REGION_ALIGN == 0);
    region = region_make(memory, core_bytes(options));
    check_zeroed(memory, region.capacity);
    core = region_take(&region, sizeof *core);
    core->options = *options;
    core->committee = options->committee;
    core->self = options->self;
    place_modules(core, &region, &core->options);
    place_buffers(core, &region, core->committee->count);
    CHECK(region.used == region.capacity);
    core->chain = preblock_chain_start(core->committee);
    core->retry_at_us = UINT64_MAX;
    core->header_ask_at_us = UINT64_MAX;
    core->release_round = UINT64_MAX;
    core->deadline_us = UINT64_MAX;
    *ret_core = core;
    return OK;
}

/* ---- the step -------------------------------------------------------------------------------- */

bool core_may_sign(const struct core *core, round_t round)
{
    if (!core->started || core->halted || core->rejoin.active) return false;
    return round > core->floor && round > dag_gc_round(core->dag);
}

static void recv_message(struct core *core, authority_t peer, struct bytes message)
{
    struct reader reader = reader_make(message.data, message.len);
    uint8_t kind = reader_u8(&reader);

    switch (kind) {
    case WIRE_HEADER:
        core_recv_header(core, peer, &reader);
        break;
    case WIRE_VOTE:
        core_recv_vote(core, peer, &reader);
        break;
    case WIRE_CERTIFICATES:
        core_recv_certificates(core, peer, reader_view(&reader, reader.left));
        break;
    case WIRE_ATTESTATION:
        core_recv_attestation(core, peer, &reader);
        break;
    case WIRE_WANT:
        core_recv_want(core, peer, &reader);
        break;
    case WIRE_WANT_RANGE:
        core_recv_want_range(core, peer, &reader);
        break;
    case WIRE_WANT_HEADER:
        core_recv_want_header(core, peer, &reader);
        break;
    case WIRE_POSITION:
        core_recv_position(core, peer, &reader);
        break;
    case WIRE_PREBLOCK_CERTIFICATE:
        core_recv_preblock_certificate(core, peer, &reader);
        break;
    case WIRE_WANT_PREBLOCK_CERTIFICATE:
        core_recv_want_preblock_certificate(core, peer, &reader);
        break;
    case WIRE_REJOIN_QUERY:
        core_recv_rejoin_query(core, peer, &reader);
        break;
    case WIRE_REJOIN_ANSWER:
        core_recv_rejoin_answer(core, peer, &reader);
        break;
    case WIRE_BATCH_ACK:
        core_recv_batch_ack(core, peer, &reader);
        break;
    case WIRE_NO_BATCH:
        core_recv_no_batch(core, peer, &reader);
        break;
    case WIRE_CHECKPOINT_SIGNATURE:
        core_recv_checkpoint_signature(core, peer, &reader);
        break;
    case WIRE_CHECKPOINT:
        core_recv_checkpoint(core, peer, &reader);
        break;
    case WIRE_WANT_CHECKPOINT:
        core_recv_want_checkpoint(core, peer, &reader);
        break;
    case WIRE_WANT_RECORDS:
        core_recv_want_records(core, peer, &reader);
        break;
    case WIRE_RECORD:
        core_recv_record(core, peer, &reader);
        break;
    default:
        core_refuse(core, REFUSED_UNKNOWN_KIND, peer);
        break; /* any byte a peer may send */
    }
}

static void handle(struct core *core, const struct core_event *event)
{
    switch (event->kind) {
    case CORE_EVENT_START:
        core_start(core);
        break;
    case CORE_EVENT_TIMER:
        core->candidates_dirty = true;
        if (core->deadline_us != UINT64_MAX && core->deadline_us > 0) {
            proposer_note_late(&core->proposer, u64_minus(core->now_us, core->deadline_us));
        }
        break;
    case CORE_EVENT_MESSAGE:
        CHECK(event->peer < core->committee->count);
        CHECK(event->peer != core->self);
        recv_message(core, event->peer, event->message);
        break;
    case CORE_EVENT_PEER_UP:
        core_peer_up(core, event->peer);
        break;
    case CORE_EVENT_PEER_DOWN:
        core_peer_down(core, event->peer);
        break;
    case CORE_EVENT_BATCH_STORED:
        core_batch_stored(core, event);
        break;
    case CORE_EVENT_BATCH_LOST:
        core_batch_lost(core, &event->batch.digest);
        break;
    }
}

/* The first time the node is in step with its peers. */
static void note_ready(struct core *core)
{
    struct authority_set heard = {{0, 0}};

    if (core->ready || core->rejoin.active || core->halted) return;
    if (core_quorum_round(core) < core->floor) return;
    authority_set_add(&heard, core->self);
    for (authority_t a = 0; a < core->committee->count; a++) {
        if (core->synchronizer.peers[a].heard) authority_set_add(&heard, a);
    }
    if (committee_stake(core->committee, &heard) < core->committee->quorum) return;
    if (synchronizer_target(&core->synchronizer) > core_quorum_round(core) + SYNC_AHEAD_ROUNDS)
        return;
    core->ready = true;
    (void)core_act(core, CORE_ACTION_READY);
}

/* When the earliest header that waits for the clock may be voted for. */
static uint64_t clock_deadline(const struct core *core)
{
    uint64_t deadline = UINT64_MAX;

    for (uint32_t i = 0; i < core->candidates_count; i++) {
        const struct core_candidate *candidate = &core->candidates[i];
        const struct certifier_slot *slot =
            certifier_slot(&core->certifier, candidate->round, candidate->author);
        uint64_t ahead_ms;

        if (slot == NULL || candidate->verdict != VOTE_WAIT_CLOCK) continue;
        ahead_ms = u64_minus(slot->headers[0].header->created_at,
                             core->wall_ms + core->options.parameters.clock_tolerance_ms);
        deadline = u64_min(deadline, core->now_us + 1000 * u64_min(ahead_ms, 1000) + 1000);
    }
    return deadline;
}

static void flush_meta(struct core *core)
{
    if (core->meta_preblock_dirty) {
        core_persist_meta(core, META_PREBLOCK, core->attestor.made);
        core_persist_meta(core, META_CUT, core->cut);
    }
    if (core->meta_certified_dirty)
        core_persist_meta(core, META_CERTIFIED, core->attestor.certified);
    core->meta_preblock_dirty = false;
    core->meta_certified_dirty = false;
}

/* Everything that became possible. */
static uint64_t advance(struct core *core)
{
    uint64_t deadline;

    core_resume_release(core);
    core_work_chunk(core);
    if (core->candidates_dirty) core_vote_candidates(core);
    core_order(core);
    core_make_preblocks(core);
    core_order(core);
    core_sweep_batches(core);
    deadline = batch_table_rename_due(&core->batches, core->now_us);
    deadline = u64_min(deadline, core_propose(core));
    deadline = u64_min(deadline, core_fetch_batches(core));
    deadline = u64_min(deadline, core_synchronize(core));
    deadline = u64_min(deadline, clock_deadline(core));
    note_ready(core);
    flush_meta(core);
    return deadline;
}

static void begin(struct core *core, const struct core_event *event)
{
    CHECK(event->now_us >= core->now_us);
    CHECK(core->started || event->kind == CORE_EVENT_START);
    core->now_us = event->now_us;
    core->wall_ms = event->wall_ms;
    core->persists_count = 0;
    core->others_count = 0;
    core->arena_used = 0;
    core->pending_spent = 0;
    if (core->pending_count == 0) {
        /* Begin again at the ring's start, so that only what is used is ever touched. */
        core->ring_begin = 0;
        CHECK(core->ring_used == 0);
    }
    core->more_work = false;
}

struct core_actions core_step(struct core *core, const struct core_event *event)
{
    begin(core, event);
    if (core->replaced) return (struct core_actions){core->items, 0};
    handle(core, event);
    core->deadline_us = core->replaced ? UINT64_MAX : advance(core);
    if (core->more_work && !core->replaced) core->deadline_us = 0;
    memcpy(core->items + core->persists_count, core->others,
           sizeof *core->others * core->others_count);
    CHECK(core->persists_count <= core->persists_max);
    return (struct core_actions){core->items, core->persists_count + core->others_count};
}

uint64_t core_deadline_us(const struct core *core)
{
    return core->deadline_us;
}

/* ---- looking in ------------------------------------------------------------------------------ */

void core_get_status(const struct core *core, struct core_status *ret_status)
{
    struct core_status *status = ret_status;

    memset(status, 0, sizeof *status);
    status->round = core->proposer.highest;
    status->quorum_round = core_quorum_round(core);
    status->anchor_round = orderer_anchor_round(core->orderer);
    status->gc_round = dag_gc_round(core->dag);
    status->floor = core->floor;
    status->peer_round = synchronizer_target(&core->synchronizer);
    status->ordering_sequence = orderer_sequence(core->orderer);
    status->preblock_index = core->attestor.made;
    status->certified_index = core->attestor.certified;
    status->network_index = attestor_network(&core->attestor);
    status->checkpoint = core->checkpointer.newest.checkpoint.sequence;
    status->skipped_anchors = core->counts.skipped_anchors;
    status->direct_commits = core->counts.direct_commits;
    status->fast_commits = core->counts.fast_commits;
    status->indirect_commits = core->counts.indirect_commits;
    status->certificates = core->counts.certificates;
    status->suspended = core->synchronizer.suspended_count;
    status->missing_batches = batch_table_missing(&core->batches);
    status->unnamed_bytes = core->batches.unnamed_bytes[core->self];
    status->unordered_bytes = proposer_unordered_bytes(&core->proposer, core->dag, &core->batches);
    memcpy(status->refusals, core->counts.refusals, sizeof status->refusals);
    status->ready = core->ready;
    status->syncing = status->peer_round > status->quorum_round + SYNC_AHEAD_ROUNDS;
}

bool core_is_pressed(const struct core *core)
{
    if (core->batches.unnamed_bytes[core->self] > 2 * OWN_UNORDERED_BYTES_MAX) return true;
    return proposer_unordered_bytes(&core->proposer, core->dag, &core->batches) >
           OWN_UNORDERED_BYTES_MAX;
}

bool core_is_full(const struct core *core, authority_t author)
{
    return batch_table_is_full(&core->batches, author);
}

void core_check(const struct core *core)
{
    dag_check(core->dag);
    orderer_check(core->orderer);
    batch_table_check(&core->batches);
    certifier_check(&core->certifier);
    voter_check(&core->voter);
    synchronizer_check(&core->synchronizer);
    attestor_check(&core->attestor);
    checkpointer_check(&core->checkpointer);
    if (core->started) proposer_check(&core->proposer);
    CHECK(dag_gc_round(core->dag) == orderer_gc_round(core->orderer));
    CHECK(core->proposer.round == dag_quorum_round(core->dag) || !core->started);
    CHECK(core->attestor.made == core->chain.index);
    CHECK(core->cut <= orderer_sequence(core->orderer));
    CHECK(core->cut + core->pending_count == orderer_sequence(core->orderer));
    CHECK(core->own_header.round <= core->proposer.highest || !core->started);
    CHECK(core->candidates_count <= CERTIFIER_ROUNDS * core->committee->count);
    CHECK(core->ring_used <= core->ring_capacity);
}
