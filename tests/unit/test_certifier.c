/* Certifier and voter: certificates from headers and votes, one vote for ever. */
#include "consensus/core/certifier.h"

#include <stdlib.h>

#include "common/codec.h"
#include "common/crypto.h"
#include "consensus/core/voter.h"
#include "tests/unit/unit.h"

#define NODES 4u

struct fixture {
    struct committee committee;
    struct secret_key keys[NODES];
    struct certifier certifier;
    struct voter voter;
    struct batch_table batches;
    struct dag *dag;
    struct authority_set implied[DAG_ROUNDS];
    void *memory;
    void *dag_memory;
};

static void place(struct fixture *fixture, struct region *region)
{
    certifier_place(&fixture->certifier, region, &fixture->committee);
    voter_place(&fixture->voter, region, &fixture->committee);
    batch_table_place(&fixture->batches, region, &fixture->committee, 0, 1);
}

static int fixture_open(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);
    struct region region = region_make(NULL, 0);

    assert_non_null(fixture);
    fixture->committee.count = NODES;
    for (uint32_t i = 0; i < NODES; i++) {
        uint8_t seed[32] = {(uint8_t)(i + 1)};
        struct secret_key secret;

        crypto_key_pair(&fixture->committee.members[i].key, &fixture->keys[i], seed);
        seed[1] = 1;
        crypto_key_pair(&fixture->committee.members[i].network_key, &secret, seed);
        fixture->committee.members[i].stake = 1;
    }
    assert_int_equal(committee_finish(&fixture->committee), OK);
    place(fixture, &region);
    fixture->memory = aligned_alloc(64, region.used);
    assert_non_null(fixture->memory);
    memset(fixture->memory, 0, region.used);
    region = region_make(fixture->memory, region.used);
    place(fixture, &region);
    fixture->dag_memory = aligned_alloc(64, (dag_bytes(NODES, DAG_ROUNDS) + 63) / 64 * 64);
    assert_non_null(fixture->dag_memory);
    memset(fixture->dag_memory, 0, dag_bytes(NODES, DAG_ROUNDS));
    dag_init(&fixture->dag, fixture->dag_memory, &fixture->committee, DAG_ROUNDS);
    *state = fixture;
    return 0;
}

static int fixture_close(void **state)
{
    struct fixture *fixture = *state;

    certifier_check(&fixture->certifier);
    voter_check(&fixture->voter);
    free(fixture->memory);
    free(fixture->dag_memory);
    free(fixture);
    return 0;
}

static int digest_order(const void *a, const void *b)
{
    return memcmp(a, b, sizeof(struct digest));
}

/* A header of round 1; `salt` tells twins apart. */
static void header_make(const struct fixture *fixture,
                        struct header *ret_header,
                        struct digest *ret_digest,
                        authority_t author,
                        uint64_t salt)
{
    memset(ret_header, 0, sizeof *ret_header);
    ret_header->author = author;
    ret_header->round = 1;
    ret_header->epoch = fixture->committee.epoch;
    ret_header->created_at = 1000 + salt;
    ret_header->parents_count = NODES;
    for (authority_t i = 0; i < NODES; i++) {
        committee_genesis(&ret_header->parents[i], &fixture->committee, i);
    }
    qsort(ret_header->parents, NODES, sizeof(struct digest), digest_order);
    header_digest(ret_digest, ret_header);
}

static struct signature sign(const struct fixture *fixture,
                             uint32_t by,
                             const struct digest *digest)
{
    struct signature signature;

    crypto_sign(&signature, SCOPE_HEADER, digest, &fixture->keys[by]);
    return signature;
}

static struct vote vote_make(const struct fixture *fixture,
                             authority_t voter,
                             authority_t author,
                             const struct digest *digest)
{
    return (struct vote){.header = *digest,
                         .round = 1,
                         .author = author,
                         .voter = voter,
                         .signature = sign(fixture, voter, digest)};
}

static enum status add_header(struct fixture *fixture,
                              const struct header *header,
                              const struct digest *digest)
{
    struct signature signature = sign(fixture, header->author, digest);

    return certifier_add_header(&fixture->certifier, header, digest, &signature);
}

static bool certify(struct fixture *fixture,
                    struct certificate *ret_certificate,
                    struct authority_set *ret_bad,
                    authority_t author,
                    const struct digest *digest)
{
    struct certifier_slot *slot = certifier_slot(&fixture->certifier, 1, author);

    assert_non_null(slot);
    return certifier_certify(&fixture->certifier, ret_certificate, ret_bad, slot, digest);
}

static void quorum_of_votes_is_a_certificate(void **state)
{
    struct fixture *fixture = *state;
    struct certificate certificate;
    struct authority_set bad;
    struct header header;
    struct digest digest;
    struct vote vote;

    header_make(fixture, &header, &digest, 2, 0);
    vote = vote_make(fixture, 1, 2, &digest);
    assert_int_equal(certifier_add_vote(&fixture->certifier, &vote, false), OK); /* votes first */
    assert_int_equal(certifier_add_vote(&fixture->certifier, &vote, false), ERR_DUPLICATE);
    assert_int_equal(add_header(fixture, &header, &digest), OK);
    assert_int_equal(add_header(fixture, &header, &digest), ERR_DUPLICATE);
    assert_false(certify(fixture, &certificate, &bad, 2, &digest));
    assert_int_equal(fixture->certifier.verified, 0); /* not before it could be enough */
    vote = vote_make(fixture, 3, 2, &digest);
    assert_int_equal(certifier_add_vote(&fixture->certifier, &vote, false), OK);
    assert_true(certify(fixture, &certificate, &bad, 2, &digest));
    assert_true(authority_set_is_empty(&bad));
    assert_int_equal(fixture->certifier.verified, 2); /* the author's was checked before */
    assert_int_equal(
        committee_verify_quorum(&fixture->committee, SCOPE_HEADER, &digest, &certificate.quorum),
        OK);
    vote = vote_make(fixture, 0, 2, &digest);
    assert_int_equal(certifier_add_vote(&fixture->certifier, &vote, false), OK);
    assert_false(certify(fixture, &certificate, &bad, 2, &digest));
    assert_int_equal(fixture->certifier.verified, 2); /* never after the quorum */
}

static void bad_vote_is_reported_and_makes_room_for_the_real_one(void **state)
{
    struct fixture *fixture = *state;
    struct certificate certificate;
    struct authority_set bad;
    struct header header;
    struct digest digest;
    struct vote vote;

    header_make(fixture, &header, &digest, 2, 0);
    assert_int_equal(add_header(fixture, &header, &digest), OK);
    vote = vote_make(fixture, 1, 2, &digest);
    vote.signature.bytes[5] ^= 1;
    assert_int_equal(certifier_add_vote(&fixture->certifier, &vote, false), OK);
    vote = vote_make(fixture, 3, 2, &digest);
    assert_int_equal(certifier_add_vote(&fixture->certifier, &vote, false), OK);
    assert_false(certify(fixture, &certificate, &bad, 2, &digest));
    assert_true(authority_set_has(&bad, 1));
    assert_false(authority_set_has(&bad, 3));
    vote = vote_make(fixture, 1, 2, &digest);
    assert_int_equal(certifier_add_vote(&fixture->certifier, &vote, false), OK);
    assert_true(certify(fixture, &certificate, &bad, 2, &digest));
}

static void second_header_enters_only_when_honest_votes_name_it(void **state)
{
    struct fixture *fixture = *state;
    struct certificate certificate;
    struct authority_set bad;
    struct header first;
    struct header second;
    struct digest one;
    struct digest two;
    struct digest unknown;
    struct vote vote;

    header_make(fixture, &first, &one, 2, 0);
    header_make(fixture, &second, &two, 2, 1);
    assert_int_equal(add_header(fixture, &first, &one), OK);
    assert_int_equal(add_header(fixture, &second, &two), ERR_CONFLICT);
    vote = vote_make(fixture, 1, 2, &two);
    assert_int_equal(certifier_add_vote(&fixture->certifier, &vote, false), OK);
    assert_false(certifier_unknown(&fixture->certifier, &unknown,
                                   certifier_slot(&fixture->certifier, 1, 2)));
    vote = vote_make(fixture, 3, 2, &two);
    assert_int_equal(certifier_add_vote(&fixture->certifier, &vote, false), OK);
    assert_true(certifier_unknown(&fixture->certifier, &unknown,
                                  certifier_slot(&fixture->certifier, 1, 2)));
    assert_memory_equal(unknown.bytes, two.bytes, 32);
    assert_int_equal(add_header(fixture, &second, &two), OK);
    /* The author signed both, so its signature counts for this one, too. */
    assert_true(certify(fixture, &certificate, &bad, 2, &two));
    vote = vote_make(fixture, 1, 2, &one);
    assert_int_equal(certifier_add_vote(&fixture->certifier, &vote, false), ERR_CONFLICT);
}

static void voter_never_votes_for_two_headers(void **state)
{
    struct fixture *fixture = *state;
    struct vote_context context = {.dag = fixture->dag,
                                   .batches = &fixture->batches,
                                   .implied = fixture->implied,
                                   .wall_ms = 1000,
                                   .tolerance_ms = 1000};
    struct header first;
    struct header second;
    struct vertex_ref ref = {.round = 1, .author = 2};
    struct digest two;

    header_make(fixture, &first, &ref.digest, 2, 0);
    header_make(fixture, &second, &two, 2, 1);
    assert_int_equal(voter_judge(&fixture->voter, &context, &first, &ref.digest), VOTE_GIVE);
    voter_record(&fixture->voter, &ref, NULL); /* as recovery does */
    assert_int_equal(voter_judge(&fixture->voter, &context, &first, &ref.digest), VOTE_REPEAT);
    assert_int_equal(voter_judge(&fixture->voter, &context, &second, &two), VOTE_NEVER_OTHER);
    /* Rounds whose records left the memory are not voted for, whatever was forgotten. */
    ref.round = 1 + VOTER_ROUNDS;
    voter_record(&fixture->voter, &ref, NULL);
    assert_int_equal(voter_judge(&fixture->voter, &context, &second, &two), VOTE_NEVER_STALE);
}

static void voter_keeps_every_rule(void **state)
{
    struct fixture *fixture = *state;
    struct vote_context context = {.dag = fixture->dag,
                                   .batches = &fixture->batches,
                                   .implied = fixture->implied,
                                   .wall_ms = 1000,
                                   .tolerance_ms = 1000};
    struct batch_stored stored = {.author = 2, .bytes = 10, .transactions = 1};
    struct header header;
    struct header changed;
    struct digest digest;
    uint32_t entry;

    header_make(fixture, &header, &digest, 2, 0);
    changed = header;
    changed.created_at = 2001;
    assert_int_equal(voter_judge(&fixture->voter, &context, &changed, &digest), VOTE_WAIT_CLOCK);
    changed = header;
    changed.parents_count--;
    assert_int_equal(voter_judge(&fixture->voter, &context, &changed, &digest), VOTE_NEVER_PARENTS);
    changed = header;
    changed.round = 2;
    assert_int_equal(voter_judge(&fixture->voter, &context, &changed, &digest), VOTE_WAIT_PARENTS);
    changed = header;
    changed.payload_count = 1;
    changed.payload[0].digest = digest;
    changed.payload[0].worker = 0;
    assert_int_equal(voter_judge(&fixture->voter, &context, &changed, &digest), VOTE_WAIT_BATCHES);
    stored.digest = digest;
    assert_int_equal(batch_table_store(&fixture->batches, &entry, &stored, 1, 0), OK);
    assert_int_equal(voter_judge(&fixture->voter, &context, &changed, &digest), VOTE_GIVE);
    changed.payload[0].worker = 1;
    assert_int_equal(voter_judge(&fixture->voter, &context, &changed, &digest), VOTE_WAIT_BATCHES);
    context.floor = 1;
    assert_int_equal(voter_judge(&fixture->voter, &context, &header, &digest), VOTE_NEVER_STALE);
}

/* Puts the headers of round 1 of `count` authors into the DAG; fills in a header of round 2. */
static void second_round(struct fixture *fixture,
                         struct header *ret_header,
                         struct digest *ret_digest,
                         authority_t count)
{
    struct digest parents[NODES];
    struct header header;

    for (authority_t i = 0; i < count; i++) {
        header_make(fixture, &header, &parents[i], i, 5);
        assert_int_equal(dag_insert(fixture->dag, &header, &parents[i]), OK);
    }
    header_make(fixture, ret_header, ret_digest, 3, 9);
    ret_header->round = 2;
    ret_header->parents_count = count;
    qsort(parents, count, sizeof(struct digest), digest_order);
    memcpy(ret_header->parents, parents, sizeof(struct digest) * count);
    header_digest(ret_digest, ret_header);
}

static void voter_wants_a_quorum_of_checked_parents(void **state)
{
    struct fixture *fixture = *state;
    struct vote_context context = {.dag = fixture->dag,
                                   .batches = &fixture->batches,
                                   .implied = fixture->implied,
                                   .wall_ms = 1000,
                                   .tolerance_ms = 1000};
    struct header header;
    struct digest digest;

    second_round(fixture, &header, &digest, 3);
    assert_int_equal(voter_judge(&fixture->voter, &context, &header, &digest), VOTE_GIVE);
    authority_set_add(&fixture->implied[1], 1);
    assert_int_equal(voter_judge(&fixture->voter, &context, &header, &digest), VOTE_WAIT_PARENTS);
    authority_set_remove(&fixture->implied[1], 1);
    header.created_at = 1004; /* its parents were created at 1005 */
    assert_int_equal(voter_judge(&fixture->voter, &context, &header, &digest), VOTE_NEVER_TIME);
    header.created_at = 1009;
    header.parents_count = 2;
    assert_int_equal(voter_judge(&fixture->voter, &context, &header, &digest), VOTE_NEVER_PARENTS);
    dag_collect(fixture->dag, 1);
    assert_int_equal(voter_judge(&fixture->voter, &context, &header, &digest), VOTE_NEVER_STALE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(quorum_of_votes_is_a_certificate, fixture_open,
                                        fixture_close),
        cmocka_unit_test_setup_teardown(bad_vote_is_reported_and_makes_room_for_the_real_one,
                                        fixture_open, fixture_close),
        cmocka_unit_test_setup_teardown(second_header_enters_only_when_honest_votes_name_it,
                                        fixture_open, fixture_close),
        cmocka_unit_test_setup_teardown(voter_never_votes_for_two_headers, fixture_open,
                                        fixture_close),
        cmocka_unit_test_setup_teardown(voter_keeps_every_rule, fixture_open, fixture_close),
        cmocka_unit_test_setup_teardown(voter_wants_a_quorum_of_checked_parents, fixture_open,
                                        fixture_close),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
