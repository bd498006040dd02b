/* When a header is due (CONSENSUS 5): by the clock and by what is in, no cluster around it. */
#include "consensus/core/proposer.h"

#include <stdlib.h>

#include "consensus/core/core.h"
#include "tests/unit/unit.h"

#define COUNT 7u

static const struct authority_set nobody;

struct fixture {
    struct committee committee;
    struct core_parameters parameters;
    struct proposer proposer;
    void *memory;
};

static void fixture_open(struct fixture *fixture)
{
    struct region region = region_make(NULL, 0);

    memset(fixture, 0, sizeof *fixture);
    fixture->committee.count = COUNT;
    fixture->parameters = core_parameters_default();
    fixture->parameters.header_delay_us_min = 0;
    proposer_place(&fixture->proposer, &region, &fixture->committee, &fixture->parameters, 0);
    fixture->memory = calloc(1, region.used + 64);
    assert_non_null(fixture->memory);
    region = region_make((void *)(((uintptr_t)fixture->memory + 63) / 64 * 64), region.used);
    proposer_place(&fixture->proposer, &region, &fixture->committee, &fixture->parameters, 0);
}

static void fixture_close(struct fixture *fixture)
{
    free(fixture->memory);
}

/* Every author's certificates came so long after the quorum, all the time. */
static void set_lags(struct fixture *fixture, uint32_t lag_us)
{
    for (size_t a = 0; a < COUNT; a++) {
        fixture->proposer.lags[a].count = PROPOSER_SAMPLES;
        for (size_t i = 0; i < PROPOSER_SAMPLES; i++)
            fixture->proposer.lags[a].samples_us[i] = lag_us;
    }
}

static struct proposer_facts facts_at(uint64_t now_us)
{
    return (struct proposer_facts){.now_us = now_us, .anchor_in = true, .reason = true};
}

/* When a header is due, if nothing changes. */
static uint64_t due_us(const struct fixture *fixture, struct proposer_facts facts)
{
    uint64_t deadline_us = 0;

    facts.now_us = 0;
    if (proposer_is_due(&fixture->proposer, &deadline_us, &facts, &nobody)) return 0;
    facts.now_us = deadline_us;
    assert_true(proposer_is_due(&fixture->proposer, &deadline_us, &facts, &nobody));
    return facts.now_us;
}

/* Rounds pass faster than this node's wait is long: each jump would begin it anew, for ever. */
static void who_is_overtaken_proposes_all_the_same(void **state)
{
    struct fixture fixture;
    uint64_t deadline_us;
    uint64_t now_us = 1000000;
    round_t round = 1;

    (void)state;
    fixture_open(&fixture);
    set_lags(&fixture, 50000);
    proposer_note_round(&fixture.proposer, round, now_us);
    fixture.proposer.wait_since_us = now_us;
    for (;;) {
        struct proposer_facts facts = facts_at(now_us);
        facts.anchor_round = round;
        if (proposer_is_due(&fixture.proposer, &deadline_us, &facts, &nobody)) break;
        assert_true(now_us < 1050000);
        now_us += 10000;
        proposer_note_round(&fixture.proposer, ++round, now_us);
    }
    assert_int_equal(now_us, 1050000);
    fixture_close(&fixture);
}

static void the_wait_ends_when_all_are_in(void **state)
{
    struct fixture fixture;
    struct proposer_facts facts = facts_at(0);

    (void)state;
    fixture_open(&fixture);
    set_lags(&fixture, 50000);
    assert_int_equal(due_us(&fixture, facts), 50000);
    facts.all_in = true;
    assert_int_equal(due_us(&fixture, facts), 0);
    fixture_close(&fixture);
}

static void the_wait_is_bounded_whatever_the_lags(void **state)
{
    struct fixture fixture;

    (void)state;
    fixture_open(&fixture);
    assert_int_equal(due_us(&fixture, facts_at(0)), fixture.parameters.anchor_wait_us_min);
    set_lags(&fixture, 9000000);
    assert_int_equal(due_us(&fixture, facts_at(0)), fixture.parameters.header_delay_us_max);
    fixture_close(&fixture);
}

/* One in twenty may be as late as it likes; the own samples and those of who is excluded do not count. */
static void the_wait_is_the_95th_percentile(void **state)
{
    struct fixture fixture;
    struct authority_set excluded = {0};

    (void)state;
    fixture_open(&fixture);
    set_lags(&fixture, 10000);
    for (size_t i = 0; i < PROPOSER_SAMPLES; i++)
        fixture.proposer.lags[0].samples_us[i] = 80000;
    for (size_t i = 0; i < 4; i++) /* 4 of 96 */
        fixture.proposer.lags[1].samples_us[i] = 90000;
    assert_int_equal(proposer_wait_us(&fixture.proposer, &nobody), 10000);
    fixture.proposer.lags[2].samples_us[0] = 70000; /* the fifth */
    assert_int_equal(proposer_wait_us(&fixture.proposer, &nobody), 70000);
    authority_set_add(&excluded, 1);
    authority_set_add(&excluded, 2);
    assert_int_equal(proposer_wait_us(&fixture.proposer, &excluded), 10000);
    fixture_close(&fixture);
}

static void skipped_anchors_lengthen_the_wait_for_one_and_ordered_ones_shorten_it(void **state)
{
    struct fixture fixture;
    struct proposer_facts facts = facts_at(0);

    (void)state;
    fixture_open(&fixture);
    set_lags(&fixture, 10000);
    proposer_note_anchor(&fixture.proposer, 3, false);
    assert_int_equal(due_us(&fixture, facts), 10000); /* it is in: only the others are waited for */
    facts.anchor_in = false;
    assert_int_equal(due_us(&fixture, facts), 80000);
    proposer_note_anchor(&fixture.proposer, 1, false);
    assert_int_equal(due_us(&fixture, facts), 150000); /* header_delay_max */
    proposer_note_anchor(&fixture.proposer, 2, false);
    assert_int_equal(due_us(&fixture, facts), 600000); /* which doubles from the fifth on */
    proposer_note_anchor(&fixture.proposer, 100, false);
    assert_int_equal(due_us(&fixture, facts), PROPOSER_DELAY_US_MAX);
    for (int i = 0; i < 24; i++)
        proposer_note_anchor(&fixture.proposer, 0, true);
    assert_int_equal(due_us(&fixture, facts), 10000);
    fixture_close(&fixture);
}

static void an_idle_node_proposes_at_the_tick(void **state)
{
    struct fixture fixture;
    struct proposer_facts facts = facts_at(0);

    (void)state;
    fixture_open(&fixture);
    facts.all_in = true;
    facts.reason = false;
    assert_int_equal(due_us(&fixture, facts), fixture.parameters.idle_delay_us);
    fixture_close(&fixture);
}

static void rounds_that_order_nothing_slow_down(void **state)
{
    struct fixture fixture;
    struct proposer_facts facts = facts_at(0);

    (void)state;
    fixture_open(&fixture);
    set_lags(&fixture, 10000);
    facts.anchor_round = 100;
    proposer_note_round(&fixture.proposer, 100 + GC_DEPTH - 1, 0);
    assert_false(proposer_is_stuck(&fixture.proposer, 100));
    assert_int_equal(due_us(&fixture, facts), 10000);
    for (unsigned i = 1; i < 30; i++) {
        const uint64_t doubled = 10000ull << (i < 20 ? i : 20);
        proposer_note_round(&fixture.proposer, 100 + GC_DEPTH - 1 + i, 0);
        assert_true(proposer_is_stuck(&fixture.proposer, 100));
        assert_int_equal(due_us(&fixture, facts),
                         doubled < PROPOSER_DELAY_US_MAX ? doubled : PROPOSER_DELAY_US_MAX);
    }
    fixture_close(&fixture);
}

static void nothing_is_due_beside_an_own_header_as_high(void **state)
{
    struct fixture fixture;
    struct proposer_facts facts = facts_at(1000000);
    uint64_t deadline_us = 0;

    (void)state;
    fixture_open(&fixture);
    facts.all_in = true;
    proposer_note_proposed(&fixture.proposer, 1, 0, 0);
    assert_false(proposer_is_due(&fixture.proposer, &deadline_us, &facts, &nobody));
    assert_int_equal(deadline_us, UINT64_MAX);
    proposer_note_round(&fixture.proposer, 1, 500000);
    assert_true(proposer_is_due(&fixture.proposer, &deadline_us, &facts, &nobody));
    fixture_close(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_is_overtaken_proposes_all_the_same),
        cmocka_unit_test(the_wait_ends_when_all_are_in),
        cmocka_unit_test(the_wait_is_bounded_whatever_the_lags),
        cmocka_unit_test(the_wait_is_the_95th_percentile),
        cmocka_unit_test(skipped_anchors_lengthen_the_wait_for_one_and_ordered_ones_shorten_it),
        cmocka_unit_test(an_idle_node_proposes_at_the_tick),
        cmocka_unit_test(rounds_that_order_nothing_slow_down),
        cmocka_unit_test(nothing_is_due_beside_an_own_header_as_high),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
