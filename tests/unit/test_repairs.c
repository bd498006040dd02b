/* Every peer is asked in turn and nobody else, what comes back ends it, and what nobody has is given up in time. */
#include <stdlib.h>

#include "common/crypto.h"
#include "consensus/node/repairs.h"
#include "tests/unit/unit.h"

#define AUTHORITIES 7u
#define SELF        2u

struct fixture {
    struct committee committee;
    struct repairs *repairs;
    uint32_t by_peer[AUTHORITIES];
    uint32_t count;
    uint32_t given_up;
    uint32_t worker;
    authority_t peer; /* the last one asked */
    struct digest last;
};

static struct digest digest_make(uint64_t number)
{
    struct digest digest;

    crypto_hash_one(&digest, &number, sizeof number);
    return digest;
}

static void on_ask(void *context, authority_t peer, const struct digest *digest, uint32_t worker)
{
    struct fixture *fixture = context;

    assert_true(peer < AUTHORITIES);
    fixture->by_peer[peer]++;
    fixture->count++;
    fixture->worker = worker;
    fixture->peer = peer;
    fixture->last = *digest;
}

static void on_give_up(void *context, const struct digest *digest)
{
    struct fixture *fixture = context;

    fixture->given_up++;
    fixture->last = *digest;
}

static struct fixture *open_for(uint32_t authorities)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);

    assert_non_null(fixture);
    fixture->committee.count = authorities;
    fixture->committee.total = authorities;
    fixture->committee.quorum = authorities - (authorities - 1) / 3;
    for (uint32_t i = 0; i < authorities; i++)
        fixture->committee.members[i].stake = 1;
    fixture->repairs = repairs_open(&(struct repairs_options){.committee = &fixture->committee,
                                                              .self = authorities == 1 ? 0 : SELF,
                                                              .ask = on_ask,
                                                              .give_up = on_give_up,
                                                              .context = fixture});
    return fixture;
}

static void fixture_close(struct fixture *fixture)
{
    repairs_close(fixture->repairs);
    free(fixture);
}

static void forget_asked(struct fixture *fixture)
{
    memset(fixture->by_peer, 0, sizeof fixture->by_peer);
    fixture->count = 0;
    fixture->given_up = 0;
}

static void each_peer_is_asked_in_turn(void **state)
{
    struct fixture *fixture = open_for(AUTHORITIES);

    (void)state;
    for (uint64_t number = 0; number < 20; number++) { /* whatever peer it begins with */
        const struct digest digest = digest_make(number);

        forget_asked(fixture);
        assert_int_equal(repairs_begin(fixture->repairs, &digest, 5), REPAIR_BEGUN);
        assert_int_equal(fixture->count, 1); /* at once */
        assert_int_equal(repairs_begin(fixture->repairs, &digest, 5), REPAIR_GOES_ON);
        assert_int_equal(fixture->count, 1); /* and once */
        for (uint32_t turn = 1; turn < 4 * (AUTHORITIES - 1); turn++)
            repairs_turn(fixture->repairs);
        for (uint32_t peer = 0; peer < AUTHORITIES; peer++)
            assert_int_equal(fixture->by_peer[peer], peer == SELF ? 0 : 4);
        assert_int_equal(fixture->worker, 5);
        assert_int_equal(fixture->given_up, 0); /* nobody said no: they cannot be reached */
        assert_true(repairs_end(fixture->repairs, &digest));
    }
    fixture_close(fixture);
}

static void a_no_brings_the_next_turn_at_once_and_all_of_them_the_end(void **state)
{
    struct fixture *fixture = open_for(AUTHORITIES);
    const struct digest digest = digest_make(7);

    (void)state;
    (void)repairs_begin(fixture->repairs, &digest, 0);
    for (uint32_t no = 1; no < AUTHORITIES - 1; no++) {
        const authority_t peer = fixture->peer;
        repairs_note_absent(fixture->repairs, peer, &digest);
        repairs_note_absent(fixture->repairs, peer,
                            &digest); /* said twice, it brings nothing more */
        assert_int_equal(fixture->count, no + 1);
        assert_int_not_equal(fixture->peer, peer);
        assert_int_equal(fixture->given_up, 0);
    }
    repairs_note_absent(fixture->repairs, fixture->peer, &digest);
    assert_int_equal(fixture->given_up, 1);
    assert_true(digest_equal(&fixture->last, &digest));
    assert_int_equal(repairs_count(fixture->repairs), 0);
    repairs_note_absent(fixture->repairs, 0, &digest); /* of what nobody repairs */
    assert_false(repairs_end(fixture->repairs, &digest));
    fixture_close(fixture);
}

/* Two of seven never answer. Four others and this one are stake Q: what they have not got is in no certificate. */
static void stake_q_without_it_is_enough_after_three_circles(void **state)
{
    struct fixture *fixture = open_for(AUTHORITIES);
    const struct digest digest = digest_make(7);
    authority_t silent = 0;

    (void)state;
    (void)repairs_begin(fixture->repairs, &digest, 0);
    for (authority_t peer = 0; peer < AUTHORITIES; peer++) {
        if (peer == SELF || silent++ < 3) continue;
        repairs_note_absent(fixture->repairs, peer, &digest);
    }
    for (uint32_t turn = 0; turn < 30; turn++)
        repairs_turn(fixture->repairs);
    assert_int_equal(fixture->given_up, 0); /* three others: not yet */
    repairs_note_absent(fixture->repairs, 0, &digest);
    assert_int_equal(fixture->given_up, 1);
    fixture_close(fixture);
}

static void what_comes_back_is_not_asked_for_again(void **state)
{
    struct fixture *fixture = open_for(AUTHORITIES);
    const struct digest a = digest_make(1);
    const struct digest b = digest_make(2);

    (void)state;
    assert_false(repairs_end(fixture->repairs, &a));
    (void)repairs_begin(fixture->repairs, &a, 0);
    (void)repairs_begin(fixture->repairs, &b, 0);
    assert_true(repairs_end(fixture->repairs, &a));
    assert_false(repairs_end(fixture->repairs, &a));
    forget_asked(fixture);
    repairs_turn(fixture->repairs);
    assert_int_equal(fixture->count, 1);
    assert_true(digest_equal(&fixture->last, &b));
    fixture_close(fixture);
}

static void repairs_are_bounded_and_wait_for_their_turn(void **state)
{
    struct fixture *fixture = open_for(AUTHORITIES);
    struct digest digest;

    (void)state;
    for (uint64_t number = 0; number < REPAIRS_MAX; number++) {
        digest = digest_make(number);
        assert_int_equal(repairs_begin(fixture->repairs, &digest, 0), REPAIR_BEGUN);
    }
    assert_int_equal(fixture->count, REPAIRS_ASKED_MAX);
    digest = digest_make(REPAIRS_MAX);
    assert_int_equal(repairs_begin(fixture->repairs, &digest, 0), REPAIR_REFUSED);
    repairs_turn(fixture->repairs);
    assert_int_equal(fixture->count, 2 * REPAIRS_ASKED_MAX);
    /* What ends makes room for one that waited, which is asked for at once. */
    for (uint64_t number = 0; number < REPAIRS_MAX; number++) {
        const uint32_t before = fixture->count;
        digest = digest_make(number);
        assert_true(repairs_end(fixture->repairs, &digest));
        assert_true(fixture->count <= before + 1);
    }
    assert_int_equal(repairs_count(fixture->repairs), 0);
    fixture_close(fixture);
}

static void all_that_waits_is_asked_for_in_the_end(void **state)
{
    struct fixture *fixture = open_for(AUTHORITIES);

    (void)state;
    for (uint64_t number = 0; number < 3 * REPAIRS_ASKED_MAX; number++) {
        struct digest digest = digest_make(number);
        (void)repairs_begin(fixture->repairs, &digest, 0);
    }
    for (uint32_t ended = 0; ended < 3 * REPAIRS_ASKED_MAX; ended++) {
        const struct digest digest = fixture->last; /* the last one asked for is sent */
        if (!repairs_end(fixture->repairs, &digest)) {
            repairs_turn(fixture->repairs);
            ended--;
        }
    }
    assert_int_equal(repairs_count(fixture->repairs), 0);
    fixture_close(fixture);
}

static void who_is_alone_has_nobody_to_ask(void **state)
{
    struct fixture *fixture = open_for(1);
    const struct digest digest = digest_make(1);

    (void)state;
    assert_int_equal(repairs_begin(fixture->repairs, &digest, 0), REPAIR_REFUSED);
    assert_int_equal(fixture->count, 0);
    fixture_close(fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_peer_is_asked_in_turn),
        cmocka_unit_test(a_no_brings_the_next_turn_at_once_and_all_of_them_the_end),
        cmocka_unit_test(stake_q_without_it_is_enough_after_three_circles),
        cmocka_unit_test(what_comes_back_is_not_asked_for_again),
        cmocka_unit_test(repairs_are_bounded_and_wait_for_their_turn),
        cmocka_unit_test(all_that_waits_is_asked_for_in_the_end),
        cmocka_unit_test(who_is_alone_has_nobody_to_ask),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
