/* Every peer is asked in turn and nobody else, what comes back ends it, and what nobody has is given up in time. */
#include "common/crypto.h"
#include "consensus/node/repairs.h"
#include "tests/unit/unit.h"

#define AUTHORITIES 7u
#define SELF        2u

struct asked {
    uint32_t by_peer[AUTHORITIES];
    uint32_t count;
    uint32_t given_up;
    uint32_t worker;
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
    struct asked *asked = context;

    assert_true(peer < AUTHORITIES);
    asked->by_peer[peer]++;
    asked->count++;
    asked->worker = worker;
    asked->last = *digest;
}

static void on_give_up(void *context, const struct digest *digest)
{
    struct asked *asked = context;

    asked->given_up++;
    asked->last = *digest;
}

static struct repairs *open_for(struct asked *asked, uint32_t authorities)
{
    return repairs_open(&(struct repairs_options){.self = authorities == 1 ? 0 : SELF,
                                                  .authorities = authorities,
                                                  .ask = on_ask,
                                                  .give_up = on_give_up,
                                                  .context = asked});
}

static void each_peer_is_asked_in_turn_until_nobody_has_it(void **state)
{
    struct asked asked = {0};
    struct repairs *repairs = open_for(&asked, AUTHORITIES);

    (void)state;
    for (uint64_t number = 0; number < 20; number++) { /* whatever peer it begins with */
        const struct digest digest = digest_make(number);

        asked = (struct asked){0};
        assert_true(repairs_begin(repairs, &digest, 5));
        assert_int_equal(asked.count, 1); /* at once */
        assert_true(repairs_begin(repairs, &digest, 5));
        assert_int_equal(asked.count, 1); /* and once */
        for (uint32_t turn = 1; turn < REPAIR_CIRCLES * (AUTHORITIES - 1); turn++) {
            repairs_turn(repairs);
            assert_int_equal(asked.count, turn + 1);
            assert_int_equal(asked.given_up, 0);
        }
        for (uint32_t peer = 0; peer < AUTHORITIES; peer++)
            assert_int_equal(asked.by_peer[peer], peer == SELF ? 0 : REPAIR_CIRCLES);
        assert_int_equal(asked.worker, 5);
        repairs_turn(repairs);
        assert_int_equal(asked.given_up, 1);
        assert_true(digest_equal(&asked.last, &digest));
        assert_int_equal(repairs_count(repairs), 0);
        assert_false(repairs_end(repairs, &digest));
    }
    repairs_close(repairs);
}

static void what_comes_back_is_not_asked_for_again(void **state)
{
    struct asked asked = {0};
    struct repairs *repairs = open_for(&asked, AUTHORITIES);
    const struct digest a = digest_make(1);
    const struct digest b = digest_make(2);

    (void)state;
    assert_false(repairs_end(repairs, &a));
    assert_true(repairs_begin(repairs, &a, 0));
    assert_true(repairs_begin(repairs, &b, 0));
    assert_true(repairs_end(repairs, &a));
    assert_false(repairs_end(repairs, &a));
    asked.count = 0;
    repairs_turn(repairs);
    assert_int_equal(asked.count, 1);
    assert_true(digest_equal(&asked.last, &b));
    repairs_close(repairs);
}

static void repairs_are_bounded(void **state)
{
    struct asked asked = {0};
    struct repairs *repairs = open_for(&asked, AUTHORITIES);
    struct digest digest;

    (void)state;
    for (uint64_t number = 0; number < REPAIRS_MAX; number++) {
        digest = digest_make(number);
        assert_true(repairs_begin(repairs, &digest, 0));
    }
    digest = digest_make(REPAIRS_MAX);
    assert_false(repairs_begin(repairs, &digest, 0));
    for (uint32_t turn = 0; turn < REPAIR_CIRCLES * (AUTHORITIES - 1); turn++)
        repairs_turn(repairs);
    assert_int_equal(asked.given_up, REPAIRS_MAX);
    assert_true(repairs_begin(repairs, &digest, 0));
    repairs_close(repairs);
}

static void who_is_alone_has_nobody_to_ask(void **state)
{
    struct asked asked = {0};
    struct repairs *repairs = open_for(&asked, 1);
    const struct digest digest = digest_make(1);

    (void)state;
    assert_false(repairs_begin(repairs, &digest, 0));
    assert_int_equal(asked.count, 0);
    repairs_close(repairs);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_peer_is_asked_in_turn_until_nobody_has_it),
        cmocka_unit_test(what_comes_back_is_not_asked_for_again),
        cmocka_unit_test(repairs_are_bounded),
        cmocka_unit_test(who_is_alone_has_nobody_to_ask),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
