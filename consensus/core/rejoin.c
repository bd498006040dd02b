#include "common/bcs.h"
#include "common/crypto.h"
#include "consensus/core/core_state.h"

/* Starting without memory (CONSENSUS 3). The node signs nothing until peers of stake >= Q, not
 * itself and not rejoining, have each proved their highest round by a certificate. R* is the
 * highest of them; the floor R* + 2 becomes durable before anything above it is signed.
 *
 * Why it is enough: whoever signed at round r had Q parents of r - 1, and any Q other answers
 * include a durable honest author of one of them, so r <= R* + 1. */

void core_rejoin_start(struct core *core)
{
    uint8_t secret[sizeof core->options.key.bytes + 16];
    struct writer writer = writer_make(secret, sizeof secret);
    struct digest digest;
    struct reader reader;

    CHECK(core->started);
    writer_copy(&writer, core->options.key.bytes, sizeof core->options.key.bytes);
    writer_u64(&writer, core->wall_ms);
    writer_u64(&writer, core->now_us);
    CHECK(!writer.failed);
    crypto_hash_one(&digest, secret, writer.len);
    reader = reader_make(digest.bytes, sizeof digest.bytes);
    core->rejoin.active = true;
    core->rejoin.nonce = reader_u64(&reader);
    core->rejoin.answered = (struct authority_set){{0, 0}};
    core->rejoin.highest = 0;
    core_persist_meta(core, META_REJOINING, 1);
}

void core_rejoin_query(struct core *core, authority_t peer)
{
    struct writer writer = core_writer(core, 9);

    CHECK(core->rejoin.active);
    wire_write_rejoin_query(&writer, core->rejoin.nonce);
    core_send_or_broadcast(core, peer, core_written(core, &writer));
}

void core_recv_rejoin_query(struct core *core, authority_t peer, struct reader *reader)
{
    uint64_t nonce = reader_u64(reader);
    struct writer writer;

    if (!reader_done(reader)) {
        core_refuse(core, REFUSED_MALFORMED, peer);
        return;
    }
    if (core->rejoin.active) return; /* one without memory proves nothing */
    writer = core_writer(core, CERTIFICATE_BYTES_MAX + 16);
    wire_write_rejoin_answer(&writer, nonce, core->proof.header.round == 0 ? NULL : &core->proof);
    core_send(core, peer, core_written(core, &writer));
}

static void finish(struct core *core)
{
    core->rejoin.active = false;
    core->floor = u64_max(core->floor, core->rejoin.highest + 2);
    CHECK(core->floor >= 2);
    core_persist_meta(core, META_FLOOR, core->floor);
    core_persist_meta(core, META_REJOINING, 0);
    core->candidates_dirty = true;
    core_note(core, TRACE_REJOINED, core->self, core->floor, 0, NULL);
}

/* The proof of an answer: OK with its round, or why it is refused. */
static enum status proof_round(const struct core *core, round_t *ret_round, struct reader *reader)
{
    uint32_t count = bcs_read_length(reader, 1);
    struct certificate certificate;
    struct digest digest;
    enum status status;

    *ret_round = 0;
    if (count == 0) return reader_done(reader) ? OK : ERR_MALFORMED;
    certificate_decode(&certificate, reader);
    if (!reader_done(reader)) return ERR_MALFORMED;
    status = header_validate(&certificate.header, core->committee);
    if (status != OK) return status;
    header_digest(&digest, &certificate.header);
    *ret_round = certificate.header.round;
    return committee_verify_quorum(core->committee, SCOPE_HEADER, &digest, &certificate.quorum);
}

void core_recv_rejoin_answer(struct core *core, authority_t peer, struct reader *reader)
{
    uint64_t nonce = reader_u64(reader);
    enum status status;
    round_t round;

    if (!core->rejoin.active || nonce != core->rejoin.nonce) {
        core_refuse(core, REFUSED_UNSOLICITED, peer);
        return;
    }
    status = proof_round(core, &round, reader);
    if (status != OK) {
        core_refuse(core, status == ERR_SIGNATURE ? REFUSED_SIGNATURE : REFUSED_MALFORMED, peer);
        return;
    }
    synchronizer_note_claim(&core->synchronizer, peer, round);
    authority_set_add(&core->rejoin.answered, peer);
    core->rejoin.highest = u64_max(core->rejoin.highest, round);
    if (committee_stake(core->committee, &core->rejoin.answered) >= core->committee->quorum)
        finish(core);
}
