/* Goal: consensus/core/schedule.h: who is excluded, in which order, for how long, and that leaders
 * follow stake. Method: deltas by hand. (The property test compares every step with a second
 * implementation.) */
#include "tests/unit/unit.h"

#include "consensus/core/schedule.h"
#include "tests/lib/dag_world.h"

/* A record in which everybody ordered `each` vertices, and `skipped` (if any) was skipped `times`.
 */
static void record(struct schedule *schedule, uint16_t each, const char *skipped, uint16_t times)
{
    struct schedule_delta delta = {0};
    for (uint32_t a = 0; a < schedule->committee->count; a++)
        delta.ordered[a] = each;
    for (; *skipped != 0; skipped++)
        delta.skips[*skipped - 'A'] = times;
    schedule_record(schedule, &delta);
    schedule_check(schedule);
}

static void assert_excluded(const struct schedule *schedule, const char *letters)
{
    char text[30] = "";
    for (uint32_t a = 0, at = 0; a < schedule->committee->count; a++)
        if (schedule_excludes(schedule, (authority_t)a)) text[at++] = (char)('A' + a);
    assert_string_equal(text, letters);
}

static void leaders_follow_stake(void **state)
{
    (void)state;
    struct committee committee;
    struct schedule schedule;
    uint32_t stakes[] = {1, 2, 3, 4};
    uint32_t led[4] = {0};
    test_committee_make(&committee, 4, stakes, 1);
    schedule_init(&schedule, &committee, SCHEDULE_WINDOW);
    for (round_t round = 1; round <= 10000; round++)
        led[schedule_leader(&schedule, round)]++;
    for (uint32_t a = 0; a < 4; a++)
        assert_in_range(led[a], 1000 * stakes[a] - 150, 1000 * stakes[a] + 150);
}

static void excluded_authors_lead_nothing(void **state)
{
    (void)state;
    struct committee committee;
    struct schedule schedule;
    test_committee_make(&committee, 7, NULL, 1);
    schedule_init(&schedule, &committee, SCHEDULE_WINDOW);
    record(&schedule, 1, "BG", 1);
    assert_excluded(&schedule, "BG");
    for (round_t round = 1; round <= 1000; round++) {
        authority_t leader = schedule_leader(&schedule, round);
        assert_true(leader != 1 && leader != 6);
    }
}

static void the_worst_go_first_and_only_as_far_as_f(void **state)
{
    (void)state;
    struct committee committee;
    struct schedule schedule;
    test_committee_make(&committee, 7, NULL, 1);
    schedule_init(&schedule, &committee, SCHEDULE_WINDOW);
    assert_excluded(&schedule, "");
    record(&schedule, 1, "CDE", 1);
    assert_excluded(&schedule, "CD"); /* equal skips and counts: by index */
    record(&schedule, 1, "E", 1);
    assert_excluded(&schedule, "CE"); /* more skips */
    struct schedule_delta delta = {0};
    for (uint32_t a = 0; a < 7; a++)
        delta.ordered[a] = a == 3 ? 0 : 5;
    schedule_record(&schedule, &delta);
    assert_excluded(&schedule, "DE"); /* equal skips, fewer vertices */
}

static void who_does_not_fit_into_f_is_passed_over(void **state)
{
    (void)state;
    struct committee committee;
    struct schedule schedule;
    uint32_t stakes[] = {4, 1, 1, 1}; /* N = 7, F = 2 */
    test_committee_make(&committee, 4, stakes, 1);
    schedule_init(&schedule, &committee, SCHEDULE_WINDOW);
    record(&schedule, 1, "A", 5);
    assert_excluded(&schedule, "");
    record(&schedule, 1, "BCD", 1);
    assert_excluded(&schedule, "BC");
    assert_int_equal(schedule.eligible, 5);
}

static void few_vertices_count_only_once_the_window_is_full(void **state)
{
    (void)state;
    struct committee committee;
    struct schedule schedule;
    struct schedule_delta delta = {0};
    test_committee_make(&committee, 4, NULL, 1);
    schedule_init(&schedule, &committee, 10);
    for (uint32_t a = 0; a < 3; a++)
        delta.ordered[a] = 1;
    for (int i = 0; i < 9; i++) {
        schedule_record(&schedule, &delta);
        assert_excluded(&schedule, "");
    }
    schedule_record(&schedule, &delta);
    assert_excluded(&schedule, "D");
    delta.ordered[3] = 1;
    for (int i = 0; i < 4; i++)
        schedule_record(&schedule, &delta);
    assert_excluded(&schedule, "D"); /* 4 < 10 / 2 */
    schedule_record(&schedule, &delta);
    assert_excluded(&schedule, "");
}

static void an_exclusion_ends_with_its_record(void **state)
{
    (void)state;
    struct committee committee;
    struct schedule schedule;
    test_committee_make(&committee, 4, NULL, 1);
    schedule_init(&schedule, &committee, 10);
    record(&schedule, 1, "A", 3);
    for (int i = 0; i < 9; i++) {
        assert_excluded(&schedule, "A");
        record(&schedule, 1, "", 0);
    }
    assert_excluded(&schedule, "A");
    record(&schedule, 1, "", 0);
    assert_excluded(&schedule, "");
}

static void the_last_window_of_records_is_enough(void **state)
{
    (void)state;
    struct committee committee;
    struct schedule whole;
    struct schedule late;
    struct prng prng = {3};
    test_committee_make(&committee, 7, NULL, 1);
    schedule_init(&whole, &committee, 10);
    schedule_init(&late, &committee, 10);
    schedule_resume(&late, 25);
    for (int i = 0; i < 40; i++) {
        struct schedule_delta delta = {0};
        for (uint32_t a = 0; a < 7; a++) {
            delta.ordered[a] = (uint16_t)prng_below(&prng, 3);
            delta.skips[a] = prng_chance(&prng, 10);
        }
        schedule_record(&whole, &delta);
        if (i < 25) continue;
        schedule_record(&late, &delta);
        assert_int_equal(schedule_is_complete(&late), i >= 34);
        if (i < 34) continue;
        assert_memory_equal(&late.excluded, &whole.excluded, sizeof late.excluded);
        assert_int_equal(schedule_leader(&late, 77), schedule_leader(&whole, 77));
        schedule_check(&late);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(leaders_follow_stake),
        cmocka_unit_test(excluded_authors_lead_nothing),
        cmocka_unit_test(the_worst_go_first_and_only_as_far_as_f),
        cmocka_unit_test(who_does_not_fit_into_f_is_passed_over),
        cmocka_unit_test(few_vertices_count_only_once_the_window_is_full),
        cmocka_unit_test(an_exclusion_ends_with_its_record),
        cmocka_unit_test(the_last_window_of_records_is_enough),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
