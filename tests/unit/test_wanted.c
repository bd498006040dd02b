/* What was asked for is known, once; what never comes makes room for what may. */
#include "common/crypto.h"
#include "consensus/node/wanted.h"
#include "tests/unit/unit.h"

static struct digest digest_make(uint64_t number)
{
    struct digest digest;

    crypto_hash_one(&digest, &number, sizeof number);
    return digest;
}

static void answer_is_taken_once(void **state)
{
    struct wanted *wanted = wanted_open();
    struct digest a = digest_make(1);
    struct digest b = digest_make(2);

    (void)state;
    wanted_add(wanted, &a);
    wanted_add(wanted, &a);
    assert_int_equal(wanted_count(wanted), 1);
    assert_false(wanted_remove(wanted, &b));
    assert_true(wanted_remove(wanted, &a));
    assert_false(wanted_remove(wanted, &a));
    wanted_close(wanted);
}

/* Ten times as many as fit are asked for and never come; the next is noted all the same. */
static void what_never_comes_makes_room(void **state)
{
    struct wanted *wanted = wanted_open();
    uint64_t count = UINT64_C(10) * WANTED_MAX;

    (void)state;
    for (uint64_t i = 0; i < count; i++) {
        struct digest digest = digest_make(i);
        wanted_add(wanted, &digest);
        assert_true(wanted_count(wanted) <= WANTED_MAX);
    }
    for (uint64_t i = count - WANTED_MAX; i < count; i++) {
        struct digest digest = digest_make(i);
        assert_true(wanted_remove(wanted, &digest));
    }
    assert_int_equal(wanted_count(wanted), 0);
    wanted_close(wanted);
}

/* Taken out and asked for again: the old slot's turn to be forgotten must not take the new note. */
static void asked_again_is_not_forgotten_early(void **state)
{
    struct wanted *wanted = wanted_open();
    struct digest again = digest_make(0);

    (void)state;
    wanted_add(wanted, &again);
    for (uint64_t i = 1; i < WANTED_MAX; i++) {
        struct digest digest = digest_make(i);
        wanted_add(wanted, &digest);
        if (i != 10) continue;
        assert_true(wanted_remove(wanted, &again));
        wanted_add(wanted, &again);
    }
    for (uint64_t i = 0; i < 5; i++) {
        struct digest digest = digest_make(WANTED_MAX + i);
        wanted_add(wanted, &digest);
    }
    assert_true(wanted_remove(wanted, &again));
    wanted_close(wanted);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answer_is_taken_once),
        cmocka_unit_test(what_never_comes_makes_room),
        cmocka_unit_test(asked_again_is_not_forgotten_early),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
