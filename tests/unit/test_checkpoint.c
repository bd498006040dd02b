/* Goal: consensus/core/checkpoint.h. Method: checkpoints of four members, signed for real. */
#include "tests/unit/unit.h"

#include <stdlib.h>

#include "common/crypto.h"
#include "consensus/core/checkpoint.h"

#define SEQUENCE CHECKPOINT_INTERVAL

struct signing {
    struct committee committee;
    struct secret_key keys[4];
    struct checkpointer checkpointer; /* of member 0 */
    uint8_t memory[65536];
};

static struct signing *signing_open(void)
{
    struct signing *signing = calloc(1, sizeof *signing);
    assert_non_null(signing);
    struct region region = region_make(signing->memory, sizeof signing->memory);

    signing->committee = (struct committee){.epoch = 3, .count = 4};
    for (uint32_t i = 0; i < 4; i++) {
        struct secret_key unused;
        uint8_t seed[32] = {(uint8_t)(i + 1)};

        crypto_key_pair(&signing->committee.members[i].key, &signing->keys[i], seed);
        seed[31] = 1;
        crypto_key_pair(&signing->committee.members[i].network_key, &unused, seed);
        signing->committee.members[i].stake = 1;
    }
    assert_int_equal(committee_finish(&signing->committee), OK);
    checkpointer_place(&signing->checkpointer, &region, &signing->committee, 0);
    return signing;
}

static struct checkpoint sample(uint64_t sequence)
{
    return (struct checkpoint){.epoch = 3,
                               .sequence = sequence,
                               .round = sequence + 20,
                               .record = {{7}},
                               .preblock = {.epoch = 3, .index = 5, .round = sequence + 9}};
}

static struct wire_attestation sign(const struct signing *signing,
                                    authority_t member,
                                    const struct checkpoint *checkpoint)
{
    struct wire_attestation signature = {.index = checkpoint->sequence, .authority = member};

    checkpoint_digest(&signature.digest, checkpoint);
    crypto_sign(&signature.signature, SCOPE_CHECKPOINT, &signature.digest, &signing->keys[member]);
    return signature;
}

static enum status add(struct signing *signing,
                       authority_t member,
                       const struct checkpoint *checkpoint)
{
    struct wire_attestation signature = sign(signing, member, checkpoint);

    return checkpointer_add(&signing->checkpointer, &signature, member == 0);
}

static bool decodes(const struct checkpoint *checkpoint)
{
    uint8_t memory[2][CHECKPOINT_BYTES];
    struct writer writer = writer_make(memory[0], CHECKPOINT_BYTES);
    struct writer again = writer_make(memory[1], CHECKPOINT_BYTES);
    struct checkpoint read;
    struct reader reader;

    checkpoint_encode(&writer, checkpoint);
    assert_int_equal(writer.len, CHECKPOINT_BYTES);
    reader = reader_make(memory[0], CHECKPOINT_BYTES);
    checkpoint_decode(&read, &reader);
    if (!reader_done(&reader)) return false;
    checkpoint_encode(&again, &read);
    assert_memory_equal(memory[0], memory[1], CHECKPOINT_BYTES);
    return true;
}

static void only_what_can_be_made_decodes(void **state)
{
    (void)state;
    struct checkpoint good = sample(SEQUENCE);
    struct checkpoint bad = good;

    assert_true(decodes(&good));
    good.preblock = (struct preblock){0};
    assert_true(decodes(&good));
    good.preblock.timestamp = 1; /* none, but not all zero */
    assert_false(decodes(&good));
    bad.sequence = 0;
    assert_false(decodes(&bad));
    bad.sequence = SEQUENCE + 1;
    assert_false(decodes(&bad));
    bad = sample(SEQUENCE);
    bad.round = SEQUENCE - 1;
    assert_false(decodes(&bad));
    bad = sample(SEQUENCE);
    bad.preblock.round = bad.round + 1;
    assert_false(decodes(&bad));
    bad = sample(SEQUENCE);
    bad.preblock.epoch = 4;
    assert_false(decodes(&bad));
}

static void signatures_of_q_make_it_final(void **state)
{
    (void)state;
    struct signing *signing = signing_open();
    struct checkpointer *checkpointer = &signing->checkpointer;
    struct checkpoint checkpoint = sample(SEQUENCE);
    struct checkpoint next = sample(2 * SEQUENCE);
    struct authority_set bad;

    assert_int_equal(add(signing, 1, &checkpoint), OK); /* before it is made here */
    checkpointer_make(checkpointer, &checkpoint);
    assert_int_equal(add(signing, 0, &checkpoint), OK);
    assert_non_null(checkpointer_own(checkpointer));
    assert_false(checkpointer_finish(checkpointer, &bad));
    assert_int_equal(add(signing, 1, &checkpoint), ERR_DUPLICATE);
    assert_false(checkpointer_finish(checkpointer, &bad));
    assert_int_equal(add(signing, 3, &next), OK); /* of a peer that is ahead: does not count here */
    assert_false(checkpointer_finish(checkpointer, &bad));
    assert_int_equal(add(signing, 2, &checkpoint), OK);
    assert_true(checkpointer_finish(checkpointer, &bad));
    assert_false(checkpointer_finish(checkpointer, &bad));
    assert_int_equal(checkpointer->newest.checkpoint.sequence, SEQUENCE);
    assert_int_equal(committee_verify_quorum(&signing->committee, SCOPE_CHECKPOINT,
                                             &checkpointer->newest.digest,
                                             &checkpointer->newest.quorum),
                     OK);
    assert_int_equal(add(signing, 3, &checkpoint), ERR_STALE);
    checkpointer_make(checkpointer, &next);
    assert_int_equal(add(signing, 0, &next), OK);
    assert_int_equal(add(signing, 1, &next), OK);
    assert_true(checkpointer_finish(checkpointer, &bad)); /* with the early one of 3 */
    assert_int_equal(checkpointer->older, SEQUENCE);
    checkpointer_check(checkpointer);
    free(signing);
}

static void what_is_not_ours_does_not_count(void **state)
{
    (void)state;
    struct signing *signing = signing_open();
    struct checkpointer *checkpointer = &signing->checkpointer;
    struct checkpoint ours = sample(SEQUENCE);
    struct checkpoint other = ours;
    struct wire_attestation forged;
    struct authority_set bad;

    other.record.bytes[0] ^= 1;
    checkpointer_make(checkpointer, &ours);
    assert_int_equal(add(signing, 0, &ours), OK);
    assert_int_equal(add(signing, 1, &ours), OK);
    assert_int_equal(add(signing, 2, &other), OK);
    assert_int_equal(add(signing, 2, &ours), ERR_CONFLICT);
    assert_false(checkpointer_finish(checkpointer, &bad));
    forged = sign(signing, 3, &ours);
    forged.signature.bytes[9] ^= 1;
    assert_int_equal(checkpointer_add(checkpointer, &forged, false), OK);
    assert_false(checkpointer_finish(checkpointer, &bad));
    assert_true(authority_set_has(&bad, 3));
    assert_false(authority_set_has(&bad, 1));
    assert_int_equal(add(signing, 3, &ours), OK); /* the bad one gave way */
    assert_true(checkpointer_finish(checkpointer, &bad));
    forged.index = SEQUENCE + 1;
    assert_int_equal(checkpointer_add(checkpointer, &forged, false), ERR_MALFORMED);
    free(signing);
}

static void a_proof_of_ours_is_taken_once(void **state)
{
    (void)state;
    struct signing *signing = signing_open();
    struct checkpointer *checkpointer = &signing->checkpointer;
    struct checkpoint_proof *proof = calloc(1, sizeof *proof);

    assert_non_null(proof);
    proof->checkpoint = sample(SEQUENCE);
    checkpointer_make(checkpointer, &proof->checkpoint);
    proof->digest = checkpointer->made.digest;
    proof->quorum.count = 3;
    proof->digest.bytes[0] ^= 1;
    assert_int_equal(checkpointer_take(checkpointer, proof), ERR_CONFLICT);
    proof->digest.bytes[0] ^= 1;
    proof->checkpoint.sequence = 2 * SEQUENCE;
    assert_int_equal(checkpointer_take(checkpointer, proof), ERR_STALE);
    proof->checkpoint.sequence = SEQUENCE;
    assert_int_equal(checkpointer_take(checkpointer, proof), OK);
    assert_int_equal(checkpointer_take(checkpointer, proof), ERR_STALE);
    free(proof);
    free(signing);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_what_can_be_made_decodes),
        cmocka_unit_test(signatures_of_q_make_it_final),
        cmocka_unit_test(what_is_not_ours_does_not_count),
        cmocka_unit_test(a_proof_of_ours_is_taken_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
