#include "consensus/core/core_state.h"

static void persist_certificate(struct core *core,
                                const struct certificate *certificate,
                                bool verified)
{
    uint8_t *key = core_take(core, CORE_KEY_BYTES_MAX);
    struct writer writer = core_writer(core, CERTIFICATE_BYTES_MAX + 1);

    certificate_row_write(&writer, certificate, verified);
    core_persist(core, TABLE_CERTIFICATES,
                 (struct bytes){
                     key, key_of_slot(key, certificate->header.round, certificate->header.author)},
                 core_written(core, &writer));
}

/* True when we would know the own header of this round, if we ever made one. */
static bool would_know_own(const struct core *core, round_t round)
{
    if (round > core->proposer.highest) return true;
    return voter_would_know(&core->voter, round, dag_gc_round(core->dag)) &&
           round + CERTIFIER_ROUNDS > core_quorum_round(core) + 2;
}

static bool is_own_header(const struct core *core, round_t round, const struct digest *digest)
{
    const struct certifier_slot *slot = certifier_slot(&core->certifier, round, core->self);

    if (core->own_header.round == round) return digest_equal(&core->own_digest, digest);
    return slot != NULL && certifier_find(slot, digest) != NULL;
}

/* A quorum with our own valid signature on a header we have no record of: we signed it in a past
 * that the store does not know, or somebody has our key. */
static void check_own_signature(struct core *core,
                                const struct certificate *certificate,
                                const struct digest *digest)
{
    const struct header *header = &certificate->header;
    const struct vote_record *record = voter_find(&core->voter, header->round, header->author);
    bool signed_by_us = false;

    if (core->rejoin.active || header->round <= core->floor) return;
    for (uint32_t i = 0; i < certificate->quorum.count; i++) {
        if (certificate->quorum.signers[i] == core->self) signed_by_us = true;
    }
    if (!signed_by_us) return;
    if (header->author == core->self) {
        if (would_know_own(core, header->round) && !is_own_header(core, header->round, digest))
            core_alarm(core, "a certificate of a header signed with our key that we did not make");
        return;
    }
    if (record != NULL && digest_equal(&record->header, digest)) return;
    if (!voter_would_know(&core->voter, header->round, dag_gc_round(core->dag))) return;
    core_alarm(core, "a certificate holds a vote signed with our key that we did not give");
}

static void note_proof(struct core *core, const struct certificate *certificate)
{
    if (certificate->header.round > core->proof.header.round) core->proof = *certificate;
}

/* What follows from a certificate that has just entered the DAG. */
static void on_inserted(struct core *core,
                        const struct certificate *certificate,
                        const struct digest *digest,
                        bool verified)
{
    const struct header *header = &certificate->header;
    struct certifier_slot *slot = certifier_slot(&core->certifier, header->round, header->author);

    CHECK(dag_get(core->dag, header->round, header->author) != NULL);
    if (slot != NULL) slot->certified = true;
    synchronizer_set_implied(&core->synchronizer, header->round, header->author, !verified);
    persist_certificate(core, certificate, verified);
    core->counts.certificates++;
    core_note(core, TRACE_CERTIFIED, header->author, header->round, certificate->quorum.count,
              digest);
    proposer_note_certificate(&core->proposer, header->round, header->author, core->now_us);
    core_name_batches(core, header, &certificate->quorum);
    core->dag_dirty = true;
    core->candidates_dirty = true;
}

/* The last step of growing: R may have moved. */
static void after_growth(struct core *core)
{
    if (core_quorum_round(core) <= core->proposer.round) return;
    proposer_note_round(&core->proposer, core_quorum_round(core), core->now_us);
    core_restart_retry(core);
}

/* Lets suspended certificates of `round` in, and then of each round above, as long as some enter.
 */
static void release_suspended(struct core *core, round_t round)
{
    bool entered = true;

    for (; entered; round++) {
        entered = false;
        for (authority_t a = 0; a < core->committee->count; a++) {
            const struct suspended *waiting = synchronizer_suspended(&core->synchronizer, round, a);

            if (waiting == NULL) continue;
            if (!core_has_room(core)) {
                /* Cut here: the next step begins again at the lowest suspended round. */
                core->more_work = true;
                core->release_round = u64_min(core->release_round, round);
                return;
            }
            if (dag_insert(core->dag, &waiting->certificate.header, &waiting->digest) != OK)
                continue;
            on_inserted(core, &waiting->certificate, &waiting->digest, true);
            synchronizer_release(&core->synchronizer, waiting);
            entered = true;
        }
    }
}

void core_resume_release(struct core *core)
{
    round_t round = core->release_round;

    if (round == UINT64_MAX) return;
    core->release_round = UINT64_MAX;
    for (; round <= dag_highest_round(core->dag) + 1; round++)
        release_suspended(core, round);
    after_growth(core);
}

static bool suspend(struct core *core,
                    const struct certificate *certificate,
                    const struct digest *digest)
{
    enum status status =
        synchronizer_suspend(&core->synchronizer, certificate, digest, dag_gc_round(core->dag));

    if (status == ERR_FULL || status == ERR_AHEAD) core_refuse(core, REFUSED_FULL, core->self);
    if (status != OK) return false;
    core_note(core, TRACE_SUSPENDED, certificate->header.author, certificate->header.round, 0,
              digest);
    core->dag_dirty = true;
    core->synchronizer.want_at_us =
        u64_min(core->synchronizer.want_at_us, core->now_us + core->synchronizer.want_delay_us);
    return true;
}

/* The vertex is in the DAG: only checked signatures of an implied one are news. */
static bool accept_known(struct core *core, const struct certificate *certificate, bool verified)
{
    const struct header *header = &certificate->header;

    if (!verified) return false;
    if (!synchronizer_is_implied(&core->synchronizer, header->round, header->author)) return false;
    synchronizer_set_implied(&core->synchronizer, header->round, header->author, false);
    persist_certificate(core, certificate, true);
    core->candidates_dirty = true;
    return true;
}

/* Two certified digests for one author and round: more than F are Byzantine. Both are kept, ordering
 * stops. */
static void keep_both(struct core *core,
                      const struct certificate *certificate,
                      const struct digest *digest)
{
    struct vertex_ref ref = {.round = certificate->header.round,
                             .author = certificate->header.author,
                             .digest = *digest};
    uint8_t *key = core_take(core, CORE_KEY_BYTES_MAX);
    struct writer writer = core_writer(core, CERTIFICATE_BYTES_MAX + 1);

    certificate_row_write(&writer, certificate, true);
    core_persist(core, TABLE_EVIDENCE, (struct bytes){key, key_of_vertex(key, &ref)},
                 core_written(core, &writer));
    core_alarm(core, "two certificates for one author and round");
}

void core_keep_checked(struct core *core, const struct certificate *certificate)
{
    if (certificate->header.round <= dag_gc_round(core->dag))
        persist_certificate(core, certificate, true);
}

bool core_accept_certificate(struct core *core,
                             const struct certificate *certificate,
                             const struct digest *digest,
                             bool verified)
{
    const struct header *header = &certificate->header;
    const struct dag_vertex *known = dag_get(core->dag, header->round, header->author);
    enum status status;

    if (header->round <= dag_gc_round(core->dag)) return false;
    if (verified) check_own_signature(core, certificate, digest);
    if (verified) note_proof(core, certificate);
    if (known != NULL && digest_equal(&known->digest, digest)) {
        return accept_known(core, certificate, verified);
    }
    if (verified && dag_note_certified(core->dag, header, digest) == ERR_CONFLICT) {
        keep_both(core, certificate, digest);
        return false;
    }
    status = dag_insert(core->dag, header, digest);
    if (status == OK) {
        on_inserted(core, certificate, digest, verified);
        release_suspended(core, header->round + 1);
        after_growth(core);
        return true;
    }
    if (status == ERR_CONFLICT) keep_both(core, certificate, digest);
    if (status == ERR_AHEAD) core_refuse(core, REFUSED_AHEAD, core->self);
    return status == ERR_MISSING && verified && suspend(core, certificate, digest);
}

void core_collect(struct core *core, round_t old_gc_round)
{
    round_t gc_round = orderer_gc_round(core->orderer);

    CHECK(gc_round >= old_gc_round);
    dag_collect(core->dag, gc_round);
    CHECK(dag_gc_round(core->dag) == gc_round);
    if (gc_round == old_gc_round) return;
    synchronizer_collect(&core->synchronizer, old_gc_round, gc_round);
    core_erase_below(core, TABLE_VOTES, gc_round + 1);
    core_erase_below(core, TABLE_HEADERS, gc_round + 1);
    core_erase_below(core, TABLE_OWN_HEADERS, gc_round + 1);
    core_persist_meta(core, META_GC, gc_round);
    release_suspended(core, gc_round + 1);
    after_growth(core);
}
