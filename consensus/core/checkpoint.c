#include "consensus/core/checkpoint.h"

#include "common/codec.h"
#include "common/crypto.h"

/* ---- the bytes ------------------------------------------------------------------------------- */

void checkpoint_encode(struct writer *writer, const struct checkpoint *checkpoint)
{
    writer_u8(writer, CHECKPOINT_VERSION);
    writer_u64(writer, checkpoint->epoch);
    writer_u64(writer, checkpoint->sequence);
    writer_u64(writer, checkpoint->round);
    writer_copy(writer, checkpoint->record.bytes, sizeof checkpoint->record.bytes);
    preblock_encode(writer, &checkpoint->preblock);
}

/* "None" has one form. */
static bool preblock_is_zero(const struct preblock *preblock)
{
    static const struct preblock zero;
    uint8_t memory[2][PREBLOCK_HEADER_BYTES];
    struct writer given = writer_make(memory[0], sizeof memory[0]);
    struct writer none = writer_make(memory[1], sizeof memory[1]);

    preblock_encode(&given, preblock);
    preblock_encode(&none, &zero);
    CHECK(!given.failed && !none.failed);
    return memcmp(memory[0], memory[1], PREBLOCK_HEADER_BYTES) == 0;
}

static bool preblock_fits(const struct checkpoint *checkpoint)
{
    const struct preblock *preblock = &checkpoint->preblock;

    if (preblock->index == 0) return preblock_is_zero(preblock);
    return preblock->epoch == checkpoint->epoch && preblock->round <= checkpoint->round;
}

void checkpoint_decode(struct checkpoint *ret_checkpoint, struct reader *reader)
{
    struct checkpoint *checkpoint = ret_checkpoint;

    if (reader_u8(reader) != CHECKPOINT_VERSION) reader_fail(reader);
    checkpoint->epoch = reader_u64(reader);
    checkpoint->sequence = reader_u64(reader);
    checkpoint->round = reader_u64(reader);
    reader_copy(reader, checkpoint->record.bytes, sizeof checkpoint->record.bytes);
    preblock_decode(&checkpoint->preblock, reader);
    if (reader->failed) return;
    if (checkpoint->sequence == 0 || checkpoint->sequence % CHECKPOINT_INTERVAL != 0)
        reader_fail(reader);
    if (checkpoint->round < checkpoint->sequence || !preblock_fits(checkpoint)) reader_fail(reader);
}

void checkpoint_digest(struct digest *ret_digest, const struct checkpoint *checkpoint)
{
    uint8_t memory[CHECKPOINT_BYTES];
    struct writer writer = writer_make(memory, sizeof memory);

    checkpoint_encode(&writer, checkpoint);
    CHECK(!writer.failed && writer.len == sizeof memory);
    crypto_hash_one(ret_digest, memory, sizeof memory);
}

void checkpoint_row_write(struct writer *writer, const struct checkpoint_proof *proof)
{
    checkpoint_encode(writer, &proof->checkpoint);
    quorum_encode(writer, &proof->quorum);
}

enum status checkpoint_row_read(struct checkpoint_proof *ret_proof, struct bytes value)
{
    struct reader reader = reader_make(value.data, value.len);

    checkpoint_decode(&ret_proof->checkpoint, &reader);
    quorum_decode(&ret_proof->quorum, &reader);
    if (!reader_done(&reader)) return ERR_CORRUPT;
    checkpoint_digest(&ret_proof->digest, &ret_proof->checkpoint);
    return OK;
}

/* ---- gathering signatures -------------------------------------------------------------------- */

void checkpointer_place(struct checkpointer *checkpointer,
                        struct region *region,
                        const struct committee *committee,
                        authority_t self)
{
    CHECK(self < committee->count);
    checkpointer->committee = committee;
    checkpointer->self = self;
    checkpointer->made.checkpoint.sequence = 0;
    checkpointer->newest.checkpoint.sequence = 0;
    checkpointer->older = 0;
    checkpointer->cells =
        region_take(region, sizeof *checkpointer->cells * 2 * (size_t)committee->count);
}

static struct checkpoint_cell *cell_of(const struct checkpointer *checkpointer,
                                       uint64_t sequence,
                                       authority_t authority)
{
    size_t turn = sequence / CHECKPOINT_INTERVAL % 2;

    CHECK(authority < checkpointer->committee->count);
    return &checkpointer->cells[turn * checkpointer->committee->count + authority];
}

static bool is_final(const struct checkpoint_proof *proof)
{
    return proof->checkpoint.sequence > 0 && proof->quorum.count > 0;
}

void checkpointer_make(struct checkpointer *checkpointer, const struct checkpoint *checkpoint)
{
    struct checkpoint_proof *made = &checkpointer->made;

    CHECK(checkpoint->sequence > made->checkpoint.sequence);
    CHECK(checkpoint->sequence > checkpointer->newest.checkpoint.sequence);
    CHECK(checkpoint->sequence % CHECKPOINT_INTERVAL == 0);
    made->checkpoint = *checkpoint;
    made->quorum.count = 0;
    checkpoint_digest(&made->digest, checkpoint);
}

static void note_final(struct checkpointer *checkpointer, const struct checkpoint_proof *proof)
{
    CHECK(is_final(proof));
    CHECK(proof->checkpoint.sequence > checkpointer->newest.checkpoint.sequence);
    checkpointer->older = checkpointer->newest.checkpoint.sequence;
    checkpointer->newest = *proof;
}

void checkpointer_recover(struct checkpointer *checkpointer, const struct checkpoint_proof *proof)
{
    checkpointer->made = *proof;
    if (is_final(proof)) note_final(checkpointer, proof);
}

enum status checkpointer_add(struct checkpointer *checkpointer,
                             const struct wire_attestation *signature,
                             bool verified)
{
    struct checkpoint_cell *cell;

    if (signature->index == 0 || signature->index % CHECKPOINT_INTERVAL != 0) return ERR_MALFORMED;
    if (signature->index <= checkpointer->newest.checkpoint.sequence) return ERR_STALE;
    cell = cell_of(checkpointer, signature->index, signature->authority);
    if (cell->sequence > signature->index) return ERR_STALE;
    if (cell->sequence == signature->index) {
        bool same = digest_equal(&cell->digest, &signature->digest);

        CHECK(same || signature->authority != checkpointer->self);
        return same ? ERR_DUPLICATE : ERR_CONFLICT;
    }
    cell->sequence = signature->index;
    cell->digest = signature->digest;
    cell->signature = signature->signature;
    cell->verified = verified;
    return OK;
}

/* True when the authority signed what we made. */
static bool agrees(const struct checkpointer *checkpointer, const struct checkpoint_cell *cell)
{
    const struct checkpoint_proof *made = &checkpointer->made;

    return cell->sequence == made->checkpoint.sequence &&
           digest_equal(&cell->digest, &made->digest);
}

const struct checkpoint_cell *checkpointer_own(const struct checkpointer *checkpointer)
{
    uint64_t sequence = checkpointer->made.checkpoint.sequence;
    const struct checkpoint_cell *cell = cell_of(checkpointer, sequence, checkpointer->self);

    return sequence > 0 && cell->sequence == sequence ? cell : NULL;
}

/* Stake behind what we made: of verified signatures only, or of all. */
static stake_t stake_behind(const struct checkpointer *checkpointer, bool verified_only)
{
    uint64_t sequence = checkpointer->made.checkpoint.sequence;
    stake_t stake = 0;

    for (authority_t a = 0; a < checkpointer->committee->count; a++) {
        const struct checkpoint_cell *cell = cell_of(checkpointer, sequence, a);

        if (!agrees(checkpointer, cell)) continue;
        if (cell->verified || !verified_only) stake += checkpointer->committee->members[a].stake;
    }
    return stake;
}

/* The fewest signatures, lowest indexes first, whose stake reaches Q. */
static void quorum_build(struct checkpointer *checkpointer)
{
    const struct committee *committee = checkpointer->committee;
    struct quorum *quorum = &checkpointer->made.quorum;
    stake_t stake = 0;

    quorum->count = 0;
    for (authority_t a = 0; a < committee->count && stake < committee->quorum; a++) {
        const struct checkpoint_cell *cell =
            cell_of(checkpointer, checkpointer->made.checkpoint.sequence, a);

        if (!agrees(checkpointer, cell) || !cell->verified) continue;
        quorum->signers[quorum->count] = (uint8_t)a;
        quorum->signatures[quorum->count] = cell->signature;
        quorum->count++;
        stake += committee->members[a].stake;
    }
    CHECK(stake >= committee->quorum);
}

bool checkpointer_finish(struct checkpointer *checkpointer, struct authority_set *ret_bad)
{
    const struct committee *committee = checkpointer->committee;
    const struct checkpoint_proof *made = &checkpointer->made;
    stake_t stake;

    *ret_bad = (struct authority_set){{0, 0}};
    if (made->checkpoint.sequence == 0 || is_final(made)) return false;
    if (stake_behind(checkpointer, false) < committee->quorum) return false;
    stake = stake_behind(checkpointer, true);
    for (authority_t a = 0; a < committee->count && stake < committee->quorum; a++) {
        struct checkpoint_cell *cell = cell_of(checkpointer, made->checkpoint.sequence, a);

        if (!agrees(checkpointer, cell) || cell->verified) continue;
        if (crypto_verify(SCOPE_CHECKPOINT, &made->digest, &committee->members[a].key,
                          &cell->signature)) {
            cell->verified = true;
            stake += committee->members[a].stake;
        } else {
            cell->sequence = 0;
            authority_set_add(ret_bad, a);
        }
    }
    if (stake < committee->quorum) return false;
    quorum_build(checkpointer);
    note_final(checkpointer, made);
    return true;
}

enum status checkpointer_take(struct checkpointer *checkpointer,
                              const struct checkpoint_proof *proof)
{
    struct checkpoint_proof *made = &checkpointer->made;

    if (proof->checkpoint.sequence != made->checkpoint.sequence || is_final(made)) return ERR_STALE;
    if (!digest_equal(&proof->digest, &made->digest)) return ERR_CONFLICT;
    made->quorum = proof->quorum;
    note_final(checkpointer, made);
    return OK;
}

void checkpointer_check(const struct checkpointer *checkpointer)
{
    const struct checkpoint_proof *newest = &checkpointer->newest;

    CHECK(newest->checkpoint.sequence == 0 || is_final(newest));
    CHECK(checkpointer->older == 0 || checkpointer->older < newest->checkpoint.sequence);
    CHECK(checkpointer->made.checkpoint.sequence >= newest->checkpoint.sequence);
}
