/* Goal: whatever happens between a sequencer and the inbox, every pre-block is applied, in order, with no more
 * messages than needed. Method: the poster against the scripted rollup of poster_world.h with its faults, sequencers
 * that start anew, take turns, and work together. */
#include "tests/unit/unit.h"

#include <stdlib.h>
#include <string.h>

#include "common/limits.h"
#include "sequencer/slots.h"
#include "tests/unit/poster_world.h"

static const struct da_poster_options alone = {.batching_keys = 1, .sequencers = 1};

/* One sequencer until all is applied; it starts anew in `restart` percent of the levels. */
static int run(struct rollup *rollup, uint32_t restart)
{
    struct da_poster_options options = {.batching_keys = poster_promised_keys, .sequencers = 1};
    struct da_poster *poster = da_poster_new(&options);
    int levels = 0;

    while (!rollup_is_done(rollup)) {
        assert_true(levels++ < LEVELS_MAX);
        uint64_t applied = rollup_now(rollup)->applied;
        rollup_level(rollup);
        if (rollup_chance(rollup, restart)) {
            da_poster_free(poster);
            poster = da_poster_new(&options);
        }
        struct da_figures figures;
        da_poster_figures(poster, &figures);
        if (figures.first > rollup_now(rollup)->applied + 1) da_poster_reset(poster);
        if (restart == 0 && rollup->undo == 0) assert_true(rollup_now(rollup)->applied >= applied);
        poster_show_head(poster, rollup);
        poster_feed(poster, rollup, u64_min(PREBLOCKS, (uint64_t)levels));
        poster_post(poster, rollup);
    }
    da_poster_free(poster);
    return levels;
}

/* ---- tests ----------------------------------------------------------------------------------- */

static void nothing_is_posted_twice_without_faults(void **state)
{
    struct rollup rollup;
    uint64_t pages = 0, bytes = 0, posted = 0;

    (void)state;
    rollup_open(&rollup, 1, 1);
    int levels = run(&rollup, 0);
    for (uint64_t index = 1; index <= PREBLOCKS; index++) {
        pages += model_preblocks[index]->pages_count;
        for (uint32_t p = 0; p < model_preblocks[index]->pages_count; p++)
            bytes += 4 + 31 + model_preblocks[index]->pages[p].len;
    }
    for (uint32_t i = 0; i < rollup.sent_count; i++)
        posted += rollup.sent[i].data[21] == 2;
    assert_int_equal(posted, pages);
    assert_int_equal(rollup.again, 0);
    /* And the key is kept busy: not many more levels than the bytes need. */
    assert_true(levels <= (int)(bytes / INBOX_OPERATION_BYTES_MAX) * 3 / 2 + 12);
    free(rollup.sent);
}

/* Runs with the faults of `faults` and `restart`, for some seeds; messages posted again, over all of them. */
static uint64_t run_with(const struct rollup *faults, uint32_t restart)
{
    uint64_t again = 0;

    for (uint64_t seed = 1; seed <= 6; seed++) {
        struct rollup rollup;
        rollup_open(&rollup, seed, 1);
        rollup.lose = faults->lose;
        rollup.hold = faults->hold;
        rollup.refuse = faults->refuse;
        rollup.undo = faults->undo;
        run(&rollup, restart);
        again += rollup.again;
        free(rollup.sent);
    }
    return again;
}

static void lost_messages_are_posted_again(void **state)
{
    static const struct rollup faults = {.lose = 20};

    (void)state;
    assert_true(run_with(&faults, 0) > 0);
}

static void messages_held_up_arrive_in_any_order(void **state)
{
    static const struct rollup faults = {.hold = 60};

    (void)state;
    run_with(&faults, 0);
}

/* What was taken although the answer was lost is known to the batcher. */
static void refused_posts_are_made_again(void **state)
{
    static const struct rollup faults = {.refuse = 30};

    (void)state;
    assert_int_equal(run_with(&faults, 0), 0);
}

static void undone_levels_are_made_good(void **state)
{
    static const struct rollup faults = {.undo = 10};

    (void)state;
    run_with(&faults, 0);
}

/* Starting anew costs nothing: the batcher knows what it has. */
static void a_new_start_needs_no_memory(void **state)
{
    static const struct rollup faults = {.lose = 0};

    (void)state;
    assert_int_equal(run_with(&faults, 30), 0);
}

static void everything_at_once_ends_well(void **state)
{
    static const struct rollup faults = {.lose = 10, .hold = 30, .refuse = 10, .undo = 4};

    (void)state;
    run_with(&faults, 5);
}

/* Posts by two sequencers at `level`; which of them did, as bits. */
static uint32_t both_post(struct da_poster *const posters[2],
                          struct rollup *rollup,
                          bool second_alone)
{
    uint32_t who = 0;

    for (uint32_t s = second_alone ? 1 : 0; s < 2; s++) {
        poster_show_head(posters[s], rollup);
        poster_feed(posters[s], rollup, PREBLOCKS);
        if (poster_post(posters[s], rollup)) who |= 1u << s;
    }
    return who;
}

static void sequencers_take_turns(void **state)
{
    struct da_poster *posters[2];
    struct rollup rollup;
    int levels = 0;

    (void)state;
    rollup_open(&rollup, 5, 1);
    for (uint32_t s = 0; s < 2; s++) {
        const struct da_poster_options options = {.batching_keys = 1, .sequencers = 2, .self = s};
        posters[s] = da_poster_new(&options);
    }
    while (!rollup_is_done(&rollup)) {
        assert_true(levels++ < LEVELS_MAX);
        rollup_level(&rollup);
        uint32_t who = both_post(posters, &rollup, false);
        uint32_t owner = (uint32_t)rollup.level / SLOT_LEVELS % 2;
        assert_true((who & ~(1u << owner)) == 0);
        if (rollup.level % SLOT_LEVELS < SLOT_WAIT_LEVELS) assert_int_equal(who, 0);
    }
    for (uint32_t s = 0; s < 2; s++)
        da_poster_free(posters[s]);
    free(rollup.sent);
}

static void a_standby_takes_over_from_a_dead_owner(void **state)
{
    struct da_poster *posters[2];
    struct rollup rollup;
    int32_t waited = 0;

    (void)state;
    rollup_open(&rollup, 5, 1); /* level 100: the slot of sequencer 1 of 2 is 100 .. 119 */
    for (uint32_t s = 0; s < 2; s++) {
        const struct da_poster_options options = {
            .batching_keys = 1, .sequencers = 2, .self = 1 - s};
        posters[s] = da_poster_new(&options);
    }
    /* posters[1] is sequencer 0, the standby; nobody else lives. */
    uint32_t who = 0;
    while (who == 0) {
        assert_true(++waited < 2 * SLOT_LEVELS);
        rollup_level(&rollup);
        who = both_post(posters, &rollup, true);
    }
    assert_int_equal(rollup.level / SLOT_LEVELS % 2, 1);
    /* The first level shows that something is pending; 4 + 3 more pass. */
    assert_int_equal(waited, 1 + 4 + 3);
    for (uint32_t s = 0; s < 2; s++)
        da_poster_free(posters[s]);
    free(rollup.sent);
}

/* One level of one of several sequencers: its reads may fail, it may start anew. */
static void take_part(struct da_poster **poster,
                      const struct da_poster_options *options,
                      struct rollup *rollup,
                      uint64_t certified)
{
    struct da_figures figures;

    if (rollup_chance(rollup, 20)) return;
    if (rollup_chance(rollup, 2)) {
        da_poster_free(*poster);
        *poster = da_poster_new(options);
    }
    da_poster_figures(*poster, &figures);
    if (figures.first > rollup_now(rollup)->applied + 1) da_poster_reset(*poster);
    poster_show_head(*poster, rollup);
    poster_feed(*poster, rollup, certified);
    poster_post(*poster, rollup);
}

/* Two and three of them, everything at once. */
static void several_together_end_well(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct da_poster_options options[3];
        struct da_poster *posters[3];
        struct rollup rollup;
        uint32_t count = 2 + (uint32_t)(seed % 2);
        uint64_t levels = 0;
        rollup_open(&rollup, seed, 1);
        rollup.lose = 10;
        rollup.hold = 30;
        rollup.refuse = 10;
        rollup.undo = 4;
        for (uint32_t s = 0; s < count; s++) {
            options[s] =
                (struct da_poster_options){.batching_keys = 1, .sequencers = count, .self = s};
            posters[s] = da_poster_new(&options[s]);
        }
        while (!rollup_is_done(&rollup)) {
            assert_true(levels++ < LEVELS_MAX);
            rollup_level(&rollup);
            for (uint32_t s = 0; s < count; s++)
                take_part(&posters[s], &options[s], &rollup, u64_min(PREBLOCKS, levels));
        }
        for (uint32_t s = 0; s < count; s++)
            da_poster_free(posters[s]);
        free(rollup.sent);
    }
}

/* Headers without a certificate of their own go with one that covers them. */
static void segments_end_with_a_certificate(void **state)
{
    struct da_poster *poster = da_poster_new(&alone);
    static struct da_post plan;
    const struct da_head head = {.level = 10};

    (void)state;
    da_poster_head(poster, &head);
    for (uint64_t index = 1; index <= 4; index++) {
        struct da_preblock *preblock = model_preblock_make(index);
        if (index != 3) preblock->quorum.count = 0;
        da_poster_add(poster, preblock);
    }
    da_poster_plan(poster, &plan);
    assert_int_equal(plan.messages[0].page, DA_SEGMENT);
    assert_int_equal(plan.messages[0].first, 1);
    assert_int_equal(plan.messages[0].index, 3);
    for (uint32_t i = 1; i < plan.count; i++)
        assert_true(plan.messages[i].page != DA_SEGMENT && plan.messages[i].index <= 3);
    da_poster_free(poster);
}

/* A batcher that is slower than its keys promise: what waits in its queue counts as posted. */
static void what_waits_in_the_queue_is_not_posted_again(void **state)
{
    struct rollup rollup;

    (void)state;
    rollup_open(&rollup, 1, 1);
    poster_promised_keys = 4;
    run(&rollup, 0);
    poster_promised_keys = 1;
    assert_int_equal(rollup.again, 0);
    free(rollup.sent);
}

/* The poster at `level` of a rollup that has nothing, with the first pre-block. */
static struct da_poster *fresh(int32_t level)
{
    struct da_poster *poster = da_poster_new(&alone);
    const struct da_head head = {.level = level};

    da_poster_head(poster, &head);
    da_poster_add(poster, model_preblock_make(1));
    return poster;
}

static void a_segment_that_did_nothing_goes_again_alone(void **state)
{
    struct da_poster *poster = fresh(10);
    static struct da_post plan;
    static struct digest ids[DA_POST_MESSAGES_MAX];
    struct da_message late;
    struct digest id;

    (void)state;
    da_poster_plan(poster, &plan);
    assert_int_equal(plan.messages[0].page, DA_SEGMENT);
    da_poster_posted(poster, &plan, ids);
    for (int32_t level = 11; level <= 13; level++) {
        const struct da_head head = {.level = level};
        da_poster_head(poster, &head);
        da_poster_plan(poster, &plan);
        assert_int_equal(plan.count, 0);
        assert_int_equal(da_poster_late(poster, &late, &id, 1), level == 13);
    }
    da_poster_status(poster, &late, DA_STATUS_INCLUDED, 11);
    da_poster_plan(poster, &plan);
    assert_int_equal(plan.count, 0);
    const struct da_head head = {.level = 14};
    da_poster_head(poster, &head);
    assert_int_equal(da_poster_late(poster, &late, &id, 1), 1);
    da_poster_status(poster, &late, DA_STATUS_INCLUDED, 11);
    da_poster_plan(poster, &plan);
    assert_int_equal(plan.count, 1);
    assert_int_equal(plan.messages[0].page, DA_SEGMENT);
    assert_false(plan.drop_duplicate);
    da_poster_free(poster);
}

static void a_head_that_goes_back_can_be_posted_at(void **state)
{
    struct da_poster *poster = fresh(10);
    static struct da_post plan;
    static struct digest ids[DA_POST_MESSAGES_MAX];
    const struct da_head back = {.level = 8};

    (void)state;
    da_poster_plan(poster, &plan);
    da_poster_posted(poster, &plan, ids);
    da_poster_add(poster, model_preblock_make(2));
    da_poster_plan(poster, &plan);
    assert_int_equal(plan.count, 0);
    da_poster_head(poster, &back);
    da_poster_plan(poster, &plan);
    assert_true(plan.count > 0);
    assert_int_equal(plan.messages[0].first, 2);
    da_poster_free(poster);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_posted_twice_without_faults),
        cmocka_unit_test(lost_messages_are_posted_again),
        cmocka_unit_test(messages_held_up_arrive_in_any_order),
        cmocka_unit_test(refused_posts_are_made_again),
        cmocka_unit_test(undone_levels_are_made_good),
        cmocka_unit_test(a_new_start_needs_no_memory),
        cmocka_unit_test(everything_at_once_ends_well),
        cmocka_unit_test(sequencers_take_turns),
        cmocka_unit_test(a_standby_takes_over_from_a_dead_owner),
        cmocka_unit_test(several_together_end_well),
        cmocka_unit_test(segments_end_with_a_certificate),
        cmocka_unit_test(what_waits_in_the_queue_is_not_posted_again),
        cmocka_unit_test(a_segment_that_did_nothing_goes_again_alone),
        cmocka_unit_test(a_head_that_goes_back_can_be_posted_at),
    };
    return cmocka_run_group_tests(tests, model_set_up, model_tear_down);
}
