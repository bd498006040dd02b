/* Goal: a nonce is used at most once, whatever the order. Method: cases at the edges, and random
 * walks compared with a set that remembers everything. */
#include "tests/unit/unit.h"

#include <stdlib.h>

#include "common/replay_window.h"

static struct replay_window window;

static int fresh(void **state)
{
    (void)state;
    memset(&window, 0, sizeof window);
    return 0;
}

static void use(uint64_t nonce)
{
    assert_int_equal(replay_window_check(&window, nonce), OK);
    replay_window_mark(&window, nonce);
    assert_int_equal(replay_window_check(&window, nonce), ERR_DUPLICATE);
}

static void the_first_nonce_may_be_any(void **state)
{
    (void)state;
    use(0);
    use(1);
    memset(&window, 0, sizeof window);
    use(UINT64_MAX);
    assert_int_equal(replay_window_check(&window, 0), ERR_STALE);
    use(UINT64_MAX - REPLAY_WINDOW_NONCES + 1);
}

static void numbers_left_out_can_still_be_used(void **state)
{
    (void)state;
    use(1000);
    use(10);
    use(999);
    use(1001);
    assert_int_equal(replay_window_check(&window, 10), ERR_DUPLICATE);
    use(11);
}

static void what_leaves_the_window_counts_as_used(void **state)
{
    (void)state;
    use(5);
    use(4 + REPLAY_WINDOW_NONCES);
    assert_int_equal(replay_window_check(&window, 5), ERR_DUPLICATE);
    assert_int_equal(replay_window_check(&window, 6), OK);
    use(6 + REPLAY_WINDOW_NONCES);
    assert_int_equal(replay_window_check(&window, 5), ERR_STALE);
    assert_int_equal(replay_window_check(&window, 6), ERR_STALE);
    assert_int_equal(replay_window_check(&window, 7), OK);
    /* The place of 5 belongs to another number now, which was not used. */
    use(5 + REPLAY_WINDOW_NONCES);
    /* A jump over everything empties the window. */
    use(10 * REPLAY_WINDOW_NONCES);
    use(9 * REPLAY_WINDOW_NONCES + 1);
    assert_int_equal(replay_window_check(&window, 9 * REPLAY_WINDOW_NONCES), ERR_STALE);
}

#define NUMBERS (4u * REPLAY_WINDOW_NONCES)

static void no_number_is_ever_used_twice(void **state)
{
    (void)state;
    uint64_t seed = 42;
    bool *used = calloc(NUMBERS, sizeof *used);
    uint64_t at = 0;

    assert_non_null(used);
    for (int i = 0; i < 400000; i++) {
        at += unit_random_below(&seed, 100) == 0 ? unit_random_below(&seed, 300) : 1;
        uint64_t back = unit_random_below(&seed, 10) == 0 ? REPLAY_WINDOW_NONCES + 500 : 40;
        uint64_t nonce = u64_minus(at, unit_random_below(&seed, back));
        if (nonce >= NUMBERS) break;
        enum status status = replay_window_check(&window, nonce);
        if (window.highest < nonce + REPLAY_WINDOW_NONCES)
            assert_int_equal(status, used[nonce] ? ERR_DUPLICATE : OK);
        else
            assert_int_equal(status, ERR_STALE);
        if (status != OK) continue;
        replay_window_mark(&window, nonce);
        used[nonce] = true;
    }
    free(used);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(the_first_nonce_may_be_any, fresh),
        cmocka_unit_test_setup(numbers_left_out_can_still_be_used, fresh),
        cmocka_unit_test_setup(what_leaves_the_window_counts_as_used, fresh),
        cmocka_unit_test_setup(no_number_is_ever_used_twice, fresh),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
