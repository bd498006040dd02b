/* Goal: percentiles of the histogram are within 1 % of those of the sorted values. Method: several
 * seeded distributions over the whole range against a sorted copy. */
#include "tests/unit/unit.h"

#include <stdlib.h>

#include "common/stats.h"

static struct stats stats;
static uint64_t values[20000];
#define COUNT (sizeof values / sizeof values[0])

static int compare(const void *a, const void *b)
{
    const uint64_t *x = a;
    const uint64_t *y = b;
    return (*x > *y) - (*x < *y);
}

static void check_percentiles(void)
{
    const uint32_t shares[] = {0, 1, 100, 2500, 5000, 9000, 9500, 9900, 9990, 9999, 10000};
    uint64_t sum = 0;

    stats_reset(&stats);
    for (size_t i = 0; i < COUNT; i++) {
        stats_add(&stats, values[i]);
        sum += values[i];
    }
    qsort(values, COUNT, sizeof values[0], compare);
    assert_int_equal(stats.count, COUNT);
    assert_int_equal(stats.min, values[0]);
    assert_int_equal(stats.max, values[COUNT - 1]);
    assert_int_equal(stats_mean(&stats), sum / COUNT);
    for (size_t i = 0; i < sizeof shares / sizeof shares[0]; i++) {
        size_t rank = (COUNT * shares[i] + 9999) / 10000;
        uint64_t exact = values[rank == 0 ? 0 : rank - 1];
        uint64_t found = stats_percentile(&stats, shares[i]);
        uint64_t error = found > exact ? found - exact : exact - found;
        if (error * 100 > exact) {
            fail_msg("share %u: %llu instead of %llu", shares[i], (unsigned long long)found,
                     (unsigned long long)exact);
        }
    }
}

static void percentiles_are_within_one_percent(void **state)
{
    (void)state;
    uint64_t seed = 7;
    for (unsigned bits = 1; bits <= 27; bits++) {
        for (size_t i = 0; i < COUNT; i++) {
            values[i] = unit_random_below(&seed, 1ull << bits);
        }
        check_percentiles();
    }
    for (size_t i = 0; i < COUNT; i++) { /* every size as likely as every other */
        values[i] = unit_random(&seed) >> (64 - 1 - unit_random_below(&seed, 27));
    }
    check_percentiles();
}

static void nothing_and_too_much_are_fine(void **state)
{
    (void)state;
    stats_reset(&stats);
    assert_int_equal(stats_percentile(&stats, 9990), 0);
    assert_int_equal(stats_mean(&stats), 0);

    stats_add(&stats, 1);
    stats_add(&stats, 2);
    stats_add(&stats, 3);
    assert_int_equal(stats_percentile(&stats, 3333), 1);
    assert_int_equal(stats_percentile(&stats, 5000), 2); /* ranks round up */

    stats_reset(&stats);
    stats_add(&stats, 5000);
    assert_int_equal(stats_percentile(&stats, 0), 5000);
    assert_int_equal(stats_percentile(&stats, 10000), 5000);
    stats_add(&stats, 1ull << 40);
    assert_int_equal(stats_percentile(&stats, 10000), 1ull << 40);
    assert_true(stats_percentile(&stats, 5000) <= 5050);
}

static void merging_is_adding_all(void **state)
{
    (void)state;
    static struct stats parts[3];
    static struct stats whole;
    uint64_t seed = 9;

    for (size_t i = 0; i < 3; i++) {
        stats_reset(&parts[i]);
    }
    stats_reset(&whole);
    for (size_t i = 0; i < 1000; i++) {
        uint64_t value = unit_random_below(&seed, 1000000);
        stats_add(&parts[i % 2], value); /* the third stays empty */
        stats_add(&whole, value);
    }
    stats_reset(&stats);
    for (size_t i = 3; i > 0; i--) {
        stats_merge(&stats, &parts[i - 1]);
    }
    assert_memory_equal(&stats, &whole, sizeof stats);
}

static void results_are_shown(void **state)
{
    (void)state;
    char text[STATS_TEXT_BYTES_MAX];
    stats_reset(&stats);
    stats_add(&stats, 1000);
    stats_add(&stats, 3000);
    stats_format(text, &stats);
    assert_memory_equal(text, "mean 2.00 ms, p50 1.00 ms, ", 27);
    assert_non_null(strstr(text, ", max 3.00 ms"));

    json_t *json = stats_json(&stats);
    assert_int_equal(json_integer_value(json_object_get(json, "count")), 2);
    assert_int_equal(json_integer_value(json_object_get(json, "max_us")), 3000);
    json_decref(json);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(percentiles_are_within_one_percent),
        cmocka_unit_test(nothing_and_too_much_are_fine),
        cmocka_unit_test(merging_is_adding_all),
        cmocka_unit_test(results_are_shown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
