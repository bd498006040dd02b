/* Goal: the pieces of consensus/core/commit_rule.h that scenarios and random worlds do not show one
 * by one: first slots, thresholds at their edges, the list of skipped slots, repetition. Method:
 * small DAGs. */
#include "tests/unit/unit.h"

#include <stdlib.h>

#include "consensus/core/commit_rule.h"
#include "tests/lib/dag_build.h"

static void first_slots(void **state)
{
    (void)state;
    struct commit_parameters shoal = {.stride = 1};
    struct commit_parameters bullshark = {.stride = 2};
    assert_int_equal(commit_rule_first_slot(&shoal, 0), 1);
    assert_int_equal(commit_rule_first_slot(&shoal, 7), 8);
    assert_int_equal(commit_rule_first_slot(&bullshark, 0), 2);
    assert_int_equal(commit_rule_first_slot(&bullshark, 2), 4);
    assert_int_equal(commit_rule_first_slot(&bullshark, 8), 10);
}

/* Stakes, not heads, on both ways: N = 10, F = 3, V = 4, Q = 7. */
static void thresholds_count_stake(void **state)
{
    (void)state;
    struct committee committee;
    uint32_t stakes[] = {3, 3, 3, 1};
    struct commit_parameters slow = {.stride = 1, .fast = false};
    struct commit_parameters fast = {.stride = 1, .fast = true};
    struct dag_vertex vertex = {0};
    struct dag *dag;
    enum commit_how how;
    test_committee_make(&committee, 4, stakes, 1);
    dag_init(&dag, test_memory(dag_bytes(4, 16)), &committee, 16);
    assert_int_equal(committee.validity, 4);
    assert_int_equal(committee.quorum, 7);

    vertex.certified_stake = 3;
    vertex.first_stake = 6;
    assert_false(commit_rule_is_direct(&how, &fast, dag, &vertex));
    vertex.first_stake = 7;
    assert_false(commit_rule_is_direct(&how, &slow, dag, &vertex));
    assert_true(commit_rule_is_direct(&how, &fast, dag, &vertex));
    assert_int_equal(how, COMMIT_FAST);
    vertex.certified_stake = 4;
    assert_true(commit_rule_is_direct(&how, &slow, dag, &vertex));
    assert_int_equal(how, COMMIT_DIRECT);
    free(dag);
}

/* Round by round, only the last round of slots gets an anchor that its children name. */
static void every_slot_below_the_anchor_is_skipped(void **state)
{
    (void)state;
    struct committee committee;
    struct schedule schedule;
    struct commit_parameters rule = {.stride = 1, .fast = false};
    struct commit_decision decision;
    struct dag *dag;
    test_committee_make(&committee, 4, NULL, 1);
    dag_init(&dag, test_memory(dag_bytes(4, 64)), &committee, 64);
    schedule_init(&schedule, &committee, SCHEDULE_WINDOW);
    for (round_t round = 1; round <= 12; round++) {
        authority_t shunned = schedule_leader(&schedule, round - 1);
        assert_false(commit_rule_next(&decision, &rule, dag, &schedule, 0));
        for (authority_t a = 0; a < 4; a++) {
            struct authority_set parents = {{15}};
            struct header header;
            struct digest digest;
            if (round <= 11) authority_set_remove(&parents, shunned);
            test_header_make(&header, &digest, dag, round, a, &parents, 0, 0);
            assert_int_equal(dag_insert(dag, &header, &digest), OK);
        }
    }
    assert_true(commit_rule_next(&decision, &rule, dag, &schedule, 0));
    assert_int_equal(decision.anchor.round, 11);
    assert_int_equal(decision.anchor.author, schedule_leader(&schedule, 11));
    assert_int_equal(decision.how, COMMIT_DIRECT);
    assert_int_equal(decision.skipped_count, 5);
    for (uint32_t i = 0; i < 5; i++) {
        assert_int_equal(decision.skipped[i].round, 2 * i + 1);
        assert_int_equal(decision.skipped[i].author, schedule_leader(&schedule, 2 * i + 1));
    }
    commit_rule_check(dag, &decision);
    free(dag);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(first_slots),
        cmocka_unit_test(thresholds_count_stake),
        cmocka_unit_test(every_slot_below_the_anchor_is_skipped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
