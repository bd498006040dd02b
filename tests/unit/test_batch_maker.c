/* Goal: an idle node seals soon, a loaded one seals full batches, and no batch waits past its delay
 * or grows past its size. Method: plain calls with a made-up clock; rates are played for some
 * seconds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "consensus/core/batch_maker.h"

#define KB 1000u

static struct batch_maker make(void)
{
    struct batch_maker maker;
    assert_int_equal(batch_maker_init(&maker, 200 * KB, 2000, 25000), OK);
    return maker;
}

/* Plays transactions of 512 bytes at `per_second` for `seconds`; returns the mean batch in bytes
 * and checks that each batch is sealed in time. */
static size_t play(struct batch_maker *maker,
                   uint64_t start_us,
                   uint64_t per_second,
                   uint64_t seconds)
{
    uint64_t count = per_second * seconds;
    uint64_t sealed = 0;
    for (uint64_t i = 0; i < count; i++) {
        uint64_t now_us = start_us + i * 1000000 / per_second;
        uint64_t deadline_us = batch_maker_deadline_us(maker);
        if (deadline_us <= now_us) {
            assert_true(deadline_us <= maker->opened_us + 25000);
            batch_maker_seal(maker);
            sealed++;
        }
        if (batch_maker_would_overflow(maker, 515)) {
            batch_maker_seal(maker);
            sealed++;
        }
        batch_maker_add(maker, now_us, 515);
        assert_true(maker->open_bytes <= batch_maker_target(maker));
    }
    assert_true(sealed > 0);
    return (size_t)(count * 515 / sealed);
}

static void batch_maker_seals_soon_when_idle(void **unused)
{
    (void)unused;
    struct batch_maker maker = make();
    assert_true(batch_maker_deadline_us(&maker) == UINT64_MAX);
    for (uint64_t now_us = 1000000; now_us < 20000000; now_us += 1000000) {
        batch_maker_add(&maker, now_us, 515);
        assert_in_range(batch_maker_deadline_us(&maker), now_us + 2000, now_us + 2100);
        assert_false(batch_maker_is_due(&maker, now_us + 1999));
        assert_true(batch_maker_is_due(&maker, now_us + 2100));
        batch_maker_seal(&maker);
    }
}

static void batch_maker_waits_longer_under_load(void **unused)
{
    (void)unused;
    struct batch_maker maker = make();
    size_t low = play(&maker, 1000000, 200, 5);
    maker = make();
    size_t middle = play(&maker, 1000000, 3000, 5);
    maker = make();
    size_t high = play(&maker, 1000000, 20000, 5);
    maker = make();
    size_t full = play(&maker, 1000000, 400000, 1);
    assert_in_range(low, 515, 3 * 515);
    assert_in_range(middle, 15 * KB, 45 * KB);
    assert_in_range(high, 180 * KB, 200 * KB);
    assert_in_range(full, 198 * KB, 200 * KB);
}

static void batch_maker_forgets_load_after_a_pause(void **unused)
{
    (void)unused;
    struct batch_maker maker = make();
    play(&maker, 1000000, 10000, 3);
    if (maker.open_bytes > 0) batch_maker_seal(&maker);
    uint64_t now_us = maker.opened_us + 60000000;
    batch_maker_add(&maker, now_us, 515);
    assert_in_range(batch_maker_deadline_us(&maker), now_us + 2000, now_us + 2500);
}

static void batch_maker_is_due_at_once_when_full(void **unused)
{
    (void)unused;
    struct batch_maker maker = make();
    batch_maker_add(&maker, 5, 150 * KB);
    assert_false(batch_maker_is_due(&maker, 6));
    assert_true(batch_maker_would_overflow(&maker, 50 * KB + 1));
    assert_false(batch_maker_would_overflow(&maker, 50 * KB));
    batch_maker_add(&maker, 6, 50 * KB);
    assert_true(batch_maker_is_due(&maker, 6));
    batch_maker_seal(&maker);
    assert_false(batch_maker_is_due(&maker, UINT64_MAX - 1));
    /* One transaction larger than the target goes alone. */
    assert_false(batch_maker_would_overflow(&maker, 262 * KB));
    batch_maker_add(&maker, 7, 262 * KB);
    assert_true(batch_maker_is_due(&maker, 7));
}

static void batch_maker_grows_batches_while_pressed(void **unused)
{
    (void)unused;
    struct batch_maker maker = make();
    batch_maker_set_pressed(&maker, true);
    assert_int_equal(batch_maker_target(&maker), BATCH_BYTES_MAX);
    batch_maker_add(&maker, 1000, 200 * KB);
    assert_false(batch_maker_is_due(&maker, 1000 + 24999));
    assert_true(batch_maker_is_due(&maker, 1000 + 25000));
    batch_maker_set_pressed(&maker, false);
    assert_true(batch_maker_would_overflow(&maker, 1));
}

static void batch_maker_refuses_bad_options(void **unused)
{
    (void)unused;
    struct batch_maker maker;
    assert_int_equal(batch_maker_init(&maker, 0, 1, 2), ERR_CONFIG);
    assert_int_equal(batch_maker_init(&maker, BATCH_BYTES_MAX + 1, 1, 2), ERR_CONFIG);
    assert_int_equal(batch_maker_init(&maker, 1, 3, 2), ERR_CONFIG);
    assert_int_equal(batch_maker_init(&maker, 1, 3, BATCH_MAKER_DELAY_US_MAX + 1), ERR_CONFIG);
    assert_int_equal(batch_maker_init(&maker, BATCH_BYTES_MAX, 0, 0), OK);
    batch_maker_add(&maker, 9, 1);
    assert_true(batch_maker_is_due(&maker, 9));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(batch_maker_seals_soon_when_idle),
        cmocka_unit_test(batch_maker_waits_longer_under_load),
        cmocka_unit_test(batch_maker_forgets_load_after_a_pause),
        cmocka_unit_test(batch_maker_is_due_at_once_when_full),
        cmocka_unit_test(batch_maker_grows_batches_while_pressed),
        cmocka_unit_test(batch_maker_refuses_bad_options),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
