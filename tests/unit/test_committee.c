/* Goal: thresholds, digests and quorum checks of a committee are those of the rules. Method:
 * hand-made tables of thresholds, the properties that make quorums safe on random stakes, and one
 * broken quorum per rule. */
#include "tests/unit/unit.h"

#include <stdio.h>

#include "common/committee.h"
#include "common/crypto.h"

static struct secret_key secrets[AUTHORITIES_MAX];

static struct committee make_committee(const uint32_t *stakes, uint32_t count)
{
    struct committee committee;
    memset(&committee, 0, sizeof committee);
    memset(committee.network, 0x11, sizeof committee.network);
    committee.epoch = 5;
    committee.count = count;
    for (uint32_t i = 0; i < count; i++) {
        struct secret_key unused;
        uint8_t seed[32] = {(uint8_t)i, 1};
        crypto_key_pair(&committee.members[i].key, &secrets[i], seed);
        seed[1] = 2;
        crypto_key_pair(&committee.members[i].network_key, &unused, seed);
        committee.members[i].stake = stakes == NULL ? 1 : stakes[i];
    }
    return committee;
}

static void thresholds_of_equal_stakes(void **state)
{
    (void)state;
    const struct {
        uint32_t count;
        stake_t quorum;
        stake_t validity;
    } cases[] = {{1, 1, 1}, {2, 2, 1},  {3, 3, 1},  {4, 3, 2},    {5, 4, 2},    {6, 5, 2},
                 {7, 5, 3}, {10, 7, 4}, {13, 9, 5}, {50, 34, 17}, {88, 59, 30}, {89, 60, 30}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct committee committee = make_committee(NULL, cases[i].count);
        assert_int_equal(committee_finish(&committee), OK);
        assert_int_equal(committee.total, cases[i].count);
        assert_int_equal(committee.quorum, cases[i].quorum);
        assert_int_equal(committee.validity, cases[i].validity);
    }
    for (uint32_t count = 90; count <= 100; count++) { /* 61 signers and more do not fit */
        struct committee committee = make_committee(NULL, count);
        assert_int_equal(committee_finish(&committee), ERR_CONFIG);
    }
}

static void thresholds_of_unequal_stakes(void **state)
{
    (void)state;
    const uint32_t stakes[] = {10, 1, 1, 1};
    struct committee committee = make_committee(stakes, 4);
    assert_int_equal(committee_finish(&committee), OK);
    assert_int_equal(committee.total, 13);
    assert_int_equal(committee.quorum, 9);
    assert_int_equal(committee.validity, 5);

    /* Two quorums share an honest member, and the honest alone are a quorum: for any stakes. */
    uint64_t seed = 17;
    for (int lap = 0; lap < 2000; lap++) {
        uint32_t random[13];
        for (size_t i = 0; i < 13; i++) {
            random[i] = 1 + (uint32_t)unit_random_below(&seed, 1u << unit_random_below(&seed, 28));
        }
        committee = make_committee(random, 13);
        assert_int_equal(committee_finish(&committee), OK);
        stake_t faulty = committee.validity - 1;
        assert_true(3 * faulty < committee.total);
        assert_true(3 * (faulty + 1) >= committee.total);
        assert_true(2 * committee.quorum > committee.total + faulty);
        assert_true(committee.quorum <= committee.total - faulty);
    }
}

static void stakes_and_sizes_at_the_edges(void **state)
{
    (void)state;
    const uint32_t largest[] = {UINT32_MAX - 1, 1};
    const uint32_t over[] = {UINT32_MAX, 1};
    const uint32_t zero[] = {1, 0};
    struct committee committee = make_committee(largest, 2);
    assert_int_equal(committee_finish(&committee), OK);
    committee = make_committee(over, 2);
    assert_int_equal(committee_finish(&committee), ERR_CONFIG);
    committee = make_committee(zero, 2);
    assert_int_equal(committee_finish(&committee), ERR_CONFIG);
    committee = make_committee(NULL, 0);
    assert_int_equal(committee_finish(&committee), ERR_CONFIG);
    committee.count = AUTHORITIES_MAX + 1;
    assert_int_equal(committee_finish(&committee), ERR_CONFIG);

    /* A hundred members are fine when few of them reach a quorum. */
    uint32_t few[100];
    for (size_t i = 0; i < 100; i++) {
        few[i] = i < 50 ? 100 : 1;
    }
    committee = make_committee(few, 100);
    assert_int_equal(committee_finish(&committee), OK);

    committee = make_committee(NULL, 4);
    committee.members[3].key = committee.members[0].key;
    assert_int_equal(committee_finish(&committee), ERR_CONFIG);
    committee = make_committee(NULL, 4);
    committee.members[3].network_key = committee.members[1].network_key;
    assert_int_equal(committee_finish(&committee), ERR_CONFIG);
}

static void the_record_round_trips_and_names_all_that_matters(void **state)
{
    (void)state;
    uint8_t record[COMMITTEE_RECORD_BYTES_MAX];
    struct committee committee = make_committee(NULL, 7);
    struct committee back;
    assert_int_equal(committee_finish(&committee), OK);

    struct writer writer = writer_make(record, sizeof record);
    committee_encode(&writer, &committee);
    assert_int_equal(writer.len, 32 + 8 + 1 + 7 * 68);
    struct digest digest;
    crypto_hash_one(&digest, record, writer.len);
    assert_memory_equal(&digest, &committee.digest, sizeof digest);

    memset(&back, 0, sizeof back);
    struct reader reader = reader_make(record, writer.len);
    assert_int_equal(committee_decode(&back, &reader), OK);
    assert_true(reader_done(&reader));
    assert_memory_equal(&back, &committee, sizeof back);
    for (size_t len = 0; len < writer.len; len++) {
        reader = reader_make(record, len);
        assert_int_equal(committee_decode(&back, &reader), ERR_MALFORMED);
    }
    for (size_t at = 0; at < writer.len; at++) { /* every byte is part of the digest */
        record[at] ^= 1;
        reader = reader_make(record, writer.len);
        if (committee_decode(&back, &reader) == OK) {
            assert_memory_not_equal(&back.digest, &committee.digest, sizeof digest);
        }
        record[at] ^= 1;
    }
}

static void genesis_digests_are_the_formula(void **state)
{
    (void)state;
    struct committee committee = make_committee(NULL, 4);
    struct digest genesis;
    struct digest expected;
    uint8_t bytes[34];
    assert_int_equal(committee_finish(&committee), OK);
    for (authority_t i = 0; i < 4; i++) {
        memcpy(bytes, committee.digest.bytes, 32);
        bytes[32] = (uint8_t)i;
        bytes[33] = 0;
        crypto_hash_one(&expected, bytes, sizeof bytes);
        committee_genesis(&genesis, &committee, i);
        assert_memory_equal(&genesis, &expected, sizeof genesis);
    }
}

static void stake_counts_members_once_and_strangers_never(void **state)
{
    (void)state;
    const uint32_t stakes[] = {1, 2, 4, 8};
    struct committee committee = make_committee(stakes, 4);
    assert_int_equal(committee_finish(&committee), OK);
    struct authority_set set = {{0, 0}};
    assert_int_equal(committee_stake(&committee, &set), 0);
    authority_set_add(&set, 1);
    authority_set_add(&set, 1);
    authority_set_add(&set, 3);
    authority_set_add(&set, 4);
    authority_set_add(&set, 99);
    assert_int_equal(committee_stake(&committee, &set), 10);
    assert_true(authority_set_has(&set, 99));
    authority_set_remove(&set, 3);
    assert_int_equal(committee_stake(&committee, &set), 2);
}

static struct quorum sign(const struct digest *digest, const uint8_t *signers, uint32_t count)
{
    struct quorum quorum;
    memset(&quorum, 0, sizeof quorum);
    quorum.count = count;
    for (uint32_t i = 0; i < count; i++) {
        quorum.signers[i] = signers[i];
        crypto_sign(&quorum.signatures[i], SCOPE_PREBLOCK, digest, &secrets[signers[i]]);
    }
    return quorum;
}

static void a_quorum_is_refused_for_each_reason(void **state)
{
    (void)state;
    struct committee committee = make_committee(NULL, 7);
    struct digest digest = {{9}};
    struct digest other = {{8}};
    assert_int_equal(committee_finish(&committee), OK);

    struct quorum quorum = sign(&digest, (const uint8_t[]){0, 2, 3, 5, 6}, 5);
    assert_int_equal(committee_verify_quorum(&committee, SCOPE_PREBLOCK, &digest, &quorum), OK);
    assert_int_equal(committee_verify_quorum(&committee, SCOPE_HEADER, &digest, &quorum),
                     ERR_SIGNATURE);
    assert_int_equal(committee_verify_quorum(&committee, SCOPE_PREBLOCK, &other, &quorum),
                     ERR_SIGNATURE);

    struct quorum all = sign(&digest, (const uint8_t[]){0, 1, 2, 3, 4, 5, 6}, 7);
    assert_int_equal(committee_verify_quorum(&committee, SCOPE_PREBLOCK, &digest, &all), OK);
    all.signatures[6].bytes[0] ^= 1; /* one bad signature among more than enough */
    assert_int_equal(committee_verify_quorum(&committee, SCOPE_PREBLOCK, &digest, &all),
                     ERR_SIGNATURE);

    quorum.count = 4;
    assert_int_equal(committee_verify_quorum(&committee, SCOPE_PREBLOCK, &digest, &quorum),
                     ERR_QUORUM);
    quorum.count = 0;
    assert_int_equal(committee_verify_quorum(&committee, SCOPE_PREBLOCK, &digest, &quorum),
                     ERR_QUORUM);
    quorum.count = AUTHORITIES_MAX + 1;
    assert_int_equal(committee_verify_quorum(&committee, SCOPE_PREBLOCK, &digest, &quorum),
                     ERR_MALFORMED);

    quorum = sign(&digest, (const uint8_t[]){0, 2, 2, 5, 6}, 5); /* one vote counted twice */
    assert_int_equal(committee_verify_quorum(&committee, SCOPE_PREBLOCK, &digest, &quorum),
                     ERR_MALFORMED);
    quorum = sign(&digest, (const uint8_t[]){0, 3, 2, 5, 6}, 5);
    assert_int_equal(committee_verify_quorum(&committee, SCOPE_PREBLOCK, &digest, &quorum),
                     ERR_MALFORMED);
    quorum = sign(&digest, (const uint8_t[]){0, 2, 3, 5, 6}, 5);
    quorum.signers[4] = 7;
    assert_int_equal(committee_verify_quorum(&committee, SCOPE_PREBLOCK, &digest, &quorum),
                     ERR_UNKNOWN_AUTHORITY);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(thresholds_of_equal_stakes),
        cmocka_unit_test(thresholds_of_unequal_stakes),
        cmocka_unit_test(stakes_and_sizes_at_the_edges),
        cmocka_unit_test(the_record_round_trips_and_names_all_that_matters),
        cmocka_unit_test(genesis_digests_are_the_formula),
        cmocka_unit_test(stake_counts_members_once_and_strangers_never),
        cmocka_unit_test(a_quorum_is_refused_for_each_reason),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
