#include "common/bcs.h"
#include "consensus/core/core_state.h"

/* ---- sending our own state again ------------------------------------------------------------- */

static struct bytes position_body(struct core *core)
{
    /* What is collected is not needed, though after a start from a checkpoint it was never here. */
    round_t round = u64_max(core_quorum_round(core), dag_gc_round(core->dag));
    struct wire_position position = {.quorum_round = round,
                                     .anchor_round = orderer_anchor_round(core->orderer),
                                     .certified_index = core->attestor.certified,
                                     .rejoining = core->rejoin.active};
    struct writer writer = core_writer(core, 32);

    wire_write_position(&writer, &position);
    return core_written(core, &writer);
}

/* Position, newest header, votes of the current and the previous round, newest attestation. */
static void send_state(struct core *core, authority_t peer)
{
    round_t round = core_quorum_round(core);
    struct writer writer;

    core_send_or_broadcast(core, peer, position_body(core));
    if (core->rejoin.active) return;
    if (core->own_header.round > dag_gc_round(core->dag)) {
        writer = core_writer(core, HEADER_ROW_BYTES_MAX + 1);
        wire_write_header(&writer, &core->own_header, &core->own_signature);
        core_send_or_broadcast(core, peer, core_written(core, &writer));
    }
    for (authority_t a = 0; a < core->committee->count; a++) {
        core_send_vote(core, peer, round, a);
        core_send_vote(core, peer, round + 1, a);
    }
    core_send_attestation(core, peer);
    core_send_checkpoint_signature(core, peer);
}

void core_restart_retry(struct core *core)
{
    core->retry_delay_us = core->options.parameters.retry_delay_us;
    core->retry_at_us = core->now_us + core->retry_delay_us;
}

/* True while the node waits for others: only then it sends again. */
static bool is_waiting(const struct core *core)
{
    if (core->committee->count == 1) return false;
    if (core->rejoin.active || !core_may_sign(core, core_quorum_round(core) + 1)) return true;
    if (core->attestor.certified < core->attestor.made) return true;
    return core->proposer.highest > core_quorum_round(core);
}

static uint64_t retransmit(struct core *core)
{
    if (!is_waiting(core)) return UINT64_MAX;
    if (core->now_us < core->retry_at_us) return core->retry_at_us;
    send_state(core, core->self);
    if (core->rejoin.active) core_rejoin_query(core, core->self);
    core->retry_delay_us = u64_min(2 * core->retry_delay_us, CORE_RETRY_US_MAX);
    core->retry_at_us = core->now_us + core->retry_delay_us;
    return core->retry_at_us;
}

/* The newest attestation has a timer of its own: rounds go on while a pre-block waits for its
 * certificate, and each one would put the other timer off. A peer that has the certificate answers the
 * position with it. */
static uint64_t repeat_attestation(struct core *core)
{
    const struct attestor *attestor = &core->attestor;

    CHECK(attestor->certified <= attestor->made);
    if (core->committee->count == 1 || core->rejoin.active) return UINT64_MAX;
    if (attestor->certified == attestor->made) return UINT64_MAX;
    if (core->attest_index != attestor->made) {
        core->attest_index = attestor->made;
        core->attest_delay_us = core->options.parameters.retry_delay_us;
        core->attest_at_us = core->now_us + core->attest_delay_us;
    }
    if (core->now_us < core->attest_at_us) return core->attest_at_us;
    core_send_or_broadcast(core, core->self, position_body(core));
    core_send_attestation(core, core->self);
    core->attest_delay_us = u64_min(2 * core->attest_delay_us, CORE_RETRY_US_MAX);
    core->attest_at_us = core->now_us + core->attest_delay_us;
    return core->attest_at_us;
}

void core_peer_up(struct core *core, authority_t peer)
{
    CHECK(peer < core->committee->count);
    CHECK(peer != core->self);
    core->synchronizer.peers[peer].up = true;
    core->synchronizer.peers[peer].heard = false;
    send_state(core, peer);
    if (core->rejoin.active) core_rejoin_query(core, peer);
}

void core_peer_down(struct core *core, authority_t peer)
{
    CHECK(peer < core->committee->count);
    core->synchronizer.peers[peer].up = false;
    synchronizer_answered(&core->synchronizer, peer, true, core->now_us);
}

/* ---- what peers ask -------------------------------------------------------------------------- */

/* Serving costs reads: at most one range per peer in CORE_SERVE_US. */
static bool may_serve(struct core *core, authority_t peer)
{
    if (core->served_us[peer] != 0 && core->now_us < core->served_us[peer] + CORE_SERVE_US)
        return false;
    core->served_us[peer] = core->now_us;
    return true;
}

static void serve_range(struct core *core, authority_t peer, round_t after)
{
    struct core_action *action;

    if (!may_serve(core, peer)) return;
    action = core_act(core, CORE_ACTION_SERVE_RANGE);
    action->peer = peer;
    action->round = after;
}

void core_recv_want_range(struct core *core, authority_t peer, struct reader *reader)
{
    round_t after = reader_u64(reader);

    if (!reader_done(reader)) {
        core_refuse(core, REFUSED_MALFORMED, peer);
        return;
    }
    serve_range(core, peer, after);
}

/* Names the vertex fully: the asker may know only round and digest. */
static bool resolve(const struct core *core, struct vertex_ref *ref)
{
    const struct dag_vertex *vertex = dag_find(core->dag, ref->round, &ref->digest);

    if (vertex != NULL) ref->author = vertex->author;
    return ref->author < core->committee->count;
}

void core_recv_want(struct core *core, authority_t peer, struct reader *reader)
{
    uint32_t count = bcs_read_length(reader, WIRE_WANT_REFS_MAX);
    struct vertex_ref *refs = core_take(core, sizeof *refs * WIRE_WANT_REFS_MAX);
    struct core_action *action;
    size_t kept = 0;

    for (uint32_t i = 0; i < count; i++) {
        vertex_decode(&refs[kept], reader);
        if (!reader->failed && resolve(core, &refs[kept])) kept++;
    }
    if (!reader_done(reader)) {
        core_refuse(core, REFUSED_MALFORMED, peer);
        return;
    }
    if (kept == 0) return;
    action = core_act(core, CORE_ACTION_SERVE_CERTIFICATES);
    action->peer = peer;
    action->refs = refs;
    action->refs_count = kept;
}

void core_recv_want_header(struct core *core, authority_t peer, struct reader *reader)
{
    struct vertex_ref *ref = core_take(core, sizeof *ref);
    const struct certifier_header *known = NULL;
    struct certifier_slot *slot;
    struct core_action *action;
    struct writer writer;

    vertex_decode(ref, reader);
    if (!reader_done(reader) || ref->author >= core->committee->count) {
        core_refuse(core, REFUSED_MALFORMED, peer);
        return;
    }
    slot = certifier_slot(&core->certifier, ref->round, ref->author);
    if (slot != NULL) known = certifier_find(slot, &ref->digest);
    if (known != NULL) {
        writer = core_writer(core, HEADER_ROW_BYTES_MAX + 1);
        wire_write_header(&writer, known->header, &known->signature);
        core_send(core, peer, core_written(core, &writer));
        return;
    }
    action = core_act(core, CORE_ACTION_SERVE_HEADER);
    action->peer = peer;
    action->refs = ref;
    action->refs_count = 1;
}

static void send_preblock_certificate(struct core *core, authority_t peer)
{
    const struct preblock_proof *proof = &core->attestor.newest;
    struct writer writer;

    if (proof->index == 0) return;
    writer = core_writer(core, 1 + PREBLOCK_HEADER_BYTES + QUORUM_BYTES_MAX);
    wire_write_preblock_certificate(&writer, &proof->header, &proof->quorum);
    core_send(core, peer, core_written(core, &writer));
}

void core_recv_want_preblock_certificate(struct core *core, authority_t peer, struct reader *reader)
{
    uint64_t index = reader_u64(reader);

    if (!reader_done(reader)) {
        core_refuse(core, REFUSED_MALFORMED, peer);
        return;
    }
    if (index < core->attestor.certified) send_preblock_certificate(core, peer);
}

void core_recv_position(struct core *core, authority_t peer, struct reader *reader)
{
    struct sync_peer *known = &core->synchronizer.peers[peer];
    struct wire_position position;
    struct writer writer;

    wire_read_position(&position, reader);
    if (!reader_done(reader)) {
        core_refuse(core, REFUSED_MALFORMED, peer);
        return;
    }
    known->heard = true;
    known->rejoining = position.rejoining;
    if (!position.rejoining || position.quorum_round > 0) {
        synchronizer_note_claim(&core->synchronizer, peer, position.quorum_round);
    }
    attestor_note_claim(&core->attestor, peer, position.certified_index);
    if (position.quorum_round < core_quorum_round(core)) {
        serve_range(core, peer, u64_minus(position.quorum_round, 1));
    }
    if (position.certified_index < core->attestor.certified) {
        send_preblock_certificate(core, peer);
    } else if (position.certified_index >
               u64_max(core->attestor.certified, core->attestor.ahead.index)) {
        writer = core_writer(core, 9);
        wire_write_want_preblock_certificate(&writer, core->attestor.certified);
        core_send(core, peer, core_written(core, &writer));
    }
}

/* ---- chunks ---------------------------------------------------------------------------------- */

void core_recv_certificates(struct core *core, authority_t peer, struct bytes body)
{
    bool ranged = synchronizer_is_asked(&core->synchronizer, peer);
    enum status status = synchronizer_take_chunk(&core->synchronizer, peer, body, ranged);

    if (status == OK) return;
    core_refuse(core, status == ERR_FULL ? REFUSED_FULL : REFUSED_MALFORMED, peer);
    /* One that could not be taken now is asked for again; a malformed one marks its sender. */
    if (ranged) synchronizer_answered(&core->synchronizer, peer, status == ERR_FULL, core->now_us);
}

/* ---- asking ---------------------------------------------------------------------------------- */

/* Author of a digest of `round`, if some header here has it. */
static authority_t author_of(const struct core *core, round_t round, const struct digest *digest)
{
    for (authority_t a = 0; a < core->committee->count; a++) {
        const struct certifier_slot *slot = certifier_slot(&core->certifier, round, a);
        const struct suspended *waiting = synchronizer_suspended(&core->synchronizer, round, a);

        if (slot != NULL && certifier_find(slot, digest) != NULL) return a;
        if (waiting != NULL && digest_equal(&waiting->digest, digest)) return a;
    }
    return CORE_AUTHOR_UNKNOWN;
}

/* Asks `peer` for the parents of `header` that are not here, or not checked. True when it asked. */
static bool want_parents(struct core *core, authority_t peer, const struct header *header)
{
    struct vertex_ref refs[AUTHORITIES_MAX];
    round_t round = header->round - 1;
    size_t count = 0;
    struct writer writer;

    if (round <= dag_gc_round(core->dag) || peer == core->self) return false;
    for (uint32_t i = 0; i < header->parents_count; i++) {
        const struct dag_vertex *parent = dag_find(core->dag, round, &header->parents[i]);
        authority_t author =
            parent == NULL ? author_of(core, round, &header->parents[i]) : parent->author;

        if (parent != NULL && !synchronizer_is_implied(&core->synchronizer, round, author))
            continue;
        refs[count++] =
            (struct vertex_ref){.round = round, .author = author, .digest = header->parents[i]};
    }
    if (count == 0) return false;
    writer = core_writer(core, 8 + count * WIRE_VERTEX_BYTES);
    wire_write_want(&writer, refs, count);
    core_send(core, peer, core_written(core, &writer));
    return true;
}

/* A peer that is up, starting at the turn: a signer when `signers` is given. */
static authority_t next_peer(const struct core *core, const struct quorum *signers)
{
    uint32_t count = core->committee->count;
    uint32_t choices = signers == NULL ? count : signers->count;

    for (uint32_t i = 0; i < choices; i++) {
        uint32_t at = (core->synchronizer.want_turn + i) % choices;
        authority_t peer = signers == NULL ? (authority_t)at : signers->signers[at];

        if (peer != core->self && core->synchronizer.peers[peer].up) return peer;
    }
    return core->self;
}

/* An implied vertex whose signatures were bad in the answer: somebody else has good ones. */
static void want_again(struct core *core, const struct header *header, const struct digest *digest)
{
    struct vertex_ref ref = {.round = header->round, .author = header->author, .digest = *digest};
    authority_t peer;
    struct writer writer;

    core->synchronizer.want_turn++;
    peer = next_peer(core, NULL);
    core_refuse(core, REFUSED_SIGNATURE, core->synchronizer.chunk.peer);
    if (peer == core->self) return;
    writer = core_writer(core, 8 + WIRE_VERTEX_BYTES);
    wire_write_want(&writer, &ref, 1);
    core_send(core, peer, core_written(core, &writer));
}

void core_work_chunk(struct core *core)
{
    struct chunk *chunk = &core->synchronizer.chunk;
    struct certificate certificate;
    struct digest digest;
    uint32_t checks = 0;
    bool verified;

    for (uint32_t i = 0; i < SYNC_STEP_CERTIFICATES && chunk->state != CHUNK_EMPTY; i++) {
        bool checking = chunk->state == CHUNK_CHECKING;
        enum status status;

        if (!core_has_room(core) || checks == SYNC_STEP_CHECKS) break;
        status =
            synchronizer_next(&core->synchronizer, core->dag, &certificate, &digest, &verified);
        if (checking) checks++;
        if (checking && status == OK) core_keep_checked(core, &certificate);
        if (status == OK && core_accept_certificate(core, &certificate, &digest, verified)) {
            chunk->added++;
        }
        if (status == ERR_SIGNATURE) want_again(core, &certificate.header, &digest);
        if (status == ERR_MISSING && chunk->ranged) {
            synchronizer_answered(&core->synchronizer, chunk->peer, chunk->added > 0, core->now_us);
        }
    }
    core->more_work = core->more_work || chunk->state != CHUNK_EMPTY;
}

/* The lowest suspended certificate that misses parents which are not suspended themselves. */
static bool want_for_suspended(struct core *core)
{
    const struct suspended *lowest = synchronizer_lowest(&core->synchronizer);
    bool any = false;

    if (lowest == NULL) return false;
    for (authority_t a = 0; a < core->committee->count && core_has_room(core); a++) {
        const struct suspended *waiting =
            synchronizer_suspended(&core->synchronizer, lowest->round, a);

        if (waiting == NULL) continue;
        any = true;
        (void)want_parents(core, next_peer(core, &waiting->certificate.quorum),
                           &waiting->certificate.header);
    }
    return any;
}

static bool want_for_candidates(struct core *core)
{
    bool any = false;

    for (uint32_t i = 0; i < core->candidates_count && core_has_room(core); i++) {
        const struct core_candidate *candidate = &core->candidates[i];
        const struct certifier_slot *slot =
            certifier_slot(&core->certifier, candidate->round, candidate->author);
        authority_t peer = candidate->author;

        if (slot == NULL || candidate->verdict != VOTE_WAIT_PARENTS || candidate->round <= 1)
            continue;
        any = true;
        if (core->now_us - candidate->since_us < SYNC_WANT_US) continue;
        if (!core->synchronizer.peers[peer].up || core->synchronizer.want_turn % 2 == 1) {
            peer = next_peer(core, NULL);
        }
        (void)want_parents(core, peer, slot->headers[0].header);
    }
    return any;
}

/* Missing certificates by name, when they did not come by themselves. */
static uint64_t want_missing(struct core *core)
{
    struct synchronizer *sync = &core->synchronizer;
    bool any;

    if (sync->suspended_count == 0 && core->candidates_count == 0) {
        sync->want_delay_us = SYNC_WANT_US;
        sync->want_at_us = UINT64_MAX;
        return UINT64_MAX;
    }
    if (sync->want_at_us == UINT64_MAX) sync->want_at_us = core->now_us + sync->want_delay_us;
    if (core->now_us < sync->want_at_us) return sync->want_at_us;
    sync->want_turn++;
    any = want_for_suspended(core);
    any = want_for_candidates(core) || any;
    sync->want_delay_us = any ? u64_min(2 * sync->want_delay_us, 1000000) : SYNC_WANT_US;
    sync->want_at_us = any ? core->now_us + sync->want_delay_us : UINT64_MAX;
    return sync->want_at_us;
}

/* First round that something may be missing of. A suspended certificate of the quorum round or the next misses
 * a parent below: peers that collected it know it no more by its name alone, but they have its round. */
static round_t range_begin(const struct core *core)
{
    const struct suspended *lowest = synchronizer_lowest(&core->synchronizer);
    round_t round = core_quorum_round(core);

    return lowest == NULL ? round : u64_min(round, u64_minus(lowest->round, 1));
}

round_t core_range_after(const struct core *core)
{
    return u64_max(u64_minus(range_begin(core), 1), dag_gc_round(core->dag));
}

static uint64_t request_range(struct core *core)
{
    struct synchronizer *sync = &core->synchronizer;
    round_t round = core_quorum_round(core);
    authority_t peer;

    /* No room in the DAG's ring: ordering must go on first. */
    if (round + CERTIFIER_ROUNDS >= dag_gc_round(core->dag) + DAG_ROUNDS) return UINT64_MAX;
    while (synchronizer_request(sync, &peer, round, core_range_after(core), core->now_us)) {
        struct writer writer = core_writer(core, 9);

        wire_write_want_range(&writer, core_range_after(core));
        core_send(core, peer, core_written(core, &writer));
        core_note(core, TRACE_SYNC, peer, round, sync->peers[peer].claimed, NULL);
    }
    return synchronizer_deadline(sync, core->now_us);
}

uint64_t core_synchronize(struct core *core)
{
    uint64_t deadline = UINT64_MAX;

    if (!core_has_room(core)) {
        core->more_work = true;
        return UINT64_MAX;
    }
    core_ask_headers(core);
    deadline = u64_min(deadline, core->header_ask_at_us);
    deadline = u64_min(deadline, want_missing(core));
    deadline = u64_min(deadline, request_range(core));
    deadline = u64_min(deadline, core_restore_turn(core));
    deadline = u64_min(deadline, repeat_attestation(core));
    return u64_min(deadline, retransmit(core));
}
