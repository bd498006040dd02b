#include "common/crypto.h"
#include "consensus/core/core_state.h"

static void refuse_bad_votes(struct core *core, const struct authority_set *bad)
{
    for (authority_t voter = 0; voter < core->committee->count; voter++) {
        if (!authority_set_has(bad, voter)) continue;
        core_refuse(core, REFUSED_SIGNATURE, voter);
        core_act(core, CORE_ACTION_CUT_PEER)->peer = voter;
    }
}

void core_try_certify(struct core *core, struct certifier_slot *slot, const struct digest *digest)
{
    struct certificate certificate;
    struct authority_set bad;
    struct digest name = *digest;

    if (certifier_certify(&core->certifier, &certificate, &bad, slot, &name)) {
        (void)core_accept_certificate(core, &certificate, &name, true);
    }
    refuse_bad_votes(core, &bad);
}

/* A valid vote of ours that we have no record of: somebody has our key, or our past. The vote's round and
 * author are anybody's word, so it proves something only when its header is known. */
static void check_own_vote(struct core *core, const struct vote *vote)
{
    const struct certifier_slot *slot;
    const struct vote_record *record;

    if (vote->author >= core->committee->count || vote->author == core->self) return;
    if (core->rejoin.active || vote->round <= core->floor) return;
    if (!voter_would_know(&core->voter, vote->round, dag_gc_round(core->dag))) return;
    slot = certifier_slot(&core->certifier, vote->round, vote->author);
    if (slot == NULL || certifier_find(slot, &vote->header) == NULL) return;
    record = voter_find(&core->voter, vote->round, vote->author);
    if (record != NULL && digest_equal(&record->header, &vote->header)) return;
    if (crypto_verify(SCOPE_HEADER, &vote->header, &core->committee->members[core->self].key,
                      &vote->signature)) {
        core_alarm(core, "a vote signed with our key that we did not give");
    }
}

/* True when the vote is of use; else it is refused. Round and author are hints only: they choose
 * the slot, and the header found there by digest is what counts. */
static bool vote_is_useful(struct core *core, authority_t peer, const struct vote *vote)
{
    const struct certifier_slot *slot;

    if (vote->voter == core->self) check_own_vote(core, vote);
    if (vote->voter != peer) {
        core_refuse(core, REFUSED_UNSOLICITED, peer);
        return false;
    }
    if (vote->author >= core->committee->count) {
        core_refuse(core, REFUSED_UNKNOWN_AUTHORITY, peer);
        return false;
    }
    if (vote->round <= dag_gc_round(core->dag)) {
        core_refuse(core, REFUSED_STALE, peer);
        return false;
    }
    synchronizer_note_claim(&core->synchronizer, peer, vote->round - 1);
    if (vote->round > core_quorum_round(core) + 2) {
        core_refuse(core, REFUSED_AHEAD, peer);
        return false;
    }
    if (dag_certified(core->dag, vote->round, vote->author) != NULL) return false;
    slot = certifier_slot(&core->certifier, vote->round, vote->author);
    return slot == NULL || !slot->certified;
}

static void note_unknown(struct core *core, struct certifier_slot *slot)
{
    struct digest unknown;

    if (slot->named || !certifier_unknown(&core->certifier, &unknown, slot)) return;
    slot->named = true;
    core->header_ask_at_us = u64_min(core->header_ask_at_us, core->now_us + CORE_HEADER_ASK_US);
}

void core_recv_vote(struct core *core, authority_t peer, struct reader *reader)
{
    struct vote vote;
    struct certifier_slot *slot;
    enum status status;

    vote_decode(&vote, reader);
    if (!reader_done(reader)) {
        core_refuse(core, REFUSED_MALFORMED, peer);
        return;
    }
    if (!vote_is_useful(core, peer, &vote)) return;
    status = certifier_add_vote(&core->certifier, &vote, false);
    if (status == ERR_STALE) core_refuse(core, REFUSED_STALE, peer);
    if (status == ERR_DUPLICATE) core_refuse(core, REFUSED_DUPLICATE, peer);
    if (status == ERR_CONFLICT) core_refuse(core, REFUSED_EQUIVOCATION, peer);
    if (status != OK) return;
    slot = certifier_slot(&core->certifier, vote.round, vote.author);
    CHECK(slot != NULL);
    if (certifier_find(slot, &vote.header) == NULL) {
        note_unknown(core, slot);
        return;
    }
    core_try_certify(core, slot, &vote.header);
}

/* Asks one of those who name the header; another one at each turn. */
static bool ask_voter(struct core *core,
                      const struct certifier_slot *slot,
                      const struct digest *digest)
{
    uint32_t count = core->committee->count;
    struct vertex_ref ref = {.round = slot->round, .author = slot->author, .digest = *digest};
    struct writer writer;

    for (uint32_t i = 0; i < count; i++) {
        authority_t voter = (authority_t)((core->synchronizer.want_turn + i) % count);
        const struct certifier_vote *vote = &slot->votes[voter];

        if (voter == core->self || !vote->present || !digest_equal(&vote->header, digest)) continue;
        if (!core->synchronizer.peers[voter].up) continue;
        writer = core_writer(core, WIRE_VERTEX_BYTES + 1);
        wire_write_want_header(&writer, &ref);
        core_send(core, voter, core_written(core, &writer));
        return true;
    }
    return false;
}

void core_ask_headers(struct core *core)
{
    size_t slots = (size_t)CERTIFIER_ROUNDS * core->committee->count;
    bool any = false;

    if (core->now_us < core->header_ask_at_us) return;
    core->header_ask_at_us = UINT64_MAX;
    core->synchronizer.want_turn++;
    for (size_t i = 0; i < slots && core_has_room(core); i++) {
        struct certifier_slot *slot = &core->certifier.slots[i];
        struct digest unknown;

        if (!slot->named || slot->round <= dag_gc_round(core->dag)) continue;
        if (dag_certified(core->dag, slot->round, slot->author) != NULL) slot->named = false;
        if (!slot->named || !certifier_unknown(&core->certifier, &unknown, slot)) {
            slot->named = false;
            continue;
        }
        (void)ask_voter(core, slot, &unknown);
        any = true;
    }
    if (any) core->header_ask_at_us = core->now_us + core->options.parameters.retry_delay_us;
}
