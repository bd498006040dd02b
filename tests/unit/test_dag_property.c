/* Goal: whatever the order in which certificates and headers arrive, and wherever a node restarts,
 * it orders the same sequence; and the views used here are rich enough to catch the variants that
 * only look right. Method: random worlds and views (tests/lib/dag_world.h), the real modules
 * against a naive oracle (tests/lib/dag_oracle.h) after every single event, and the oracle with
 * each bug against itself. */
#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>

#include "tests/lib/dag_node.h"
#include "tests/lib/dag_oracle.h"

#define WORLDS 2u /* of each size and rule; the first argument overrides it */
#define VIEWS  6u
#define ROUNDS 45u

static uint32_t worlds = 16 * WORLDS;

static const uint32_t committee_sizes[] = {4, 7, 10, 13};
static const struct commit_parameters rules[] = {{2, false}, {1, false}, {1, true}, {2, true}};

struct setup {
    struct world world;
    struct commit_parameters rule;
    uint32_t gc_depth;
    uint32_t window;
    struct world_event *events;
    uint64_t seed;
};

static void setup_make(struct setup *ret_setup, uint32_t number)
{
    struct prng prng = {0x5eed + number};

    ret_setup->seed = number;
    ret_setup->rule = rules[number / 4 % 4];
    ret_setup->gc_depth = 3 + prng_below(&prng, 6);
    ret_setup->window = 2 * ret_setup->gc_depth + prng_below(&prng, 8);
    world_make(&ret_setup->world, committee_sizes[number % 4], ROUNDS, prng_chance(&prng, 50),
               prng_next(&prng));
    ret_setup->events = calloc(2 * ret_setup->world.count, sizeof *ret_setup->events);
}

static void setup_free(struct setup *setup)
{
    world_free(&setup->world);
    free(setup->events);
}

static struct orderer_options setup_options(const struct setup *setup)
{
    struct orderer_options options = orderer_options_default(&setup->world.committee, &setup->rule);
    options.gc_depth = setup->gc_depth;
    options.window = setup->window;
    options.dag_rounds = 64;
    options.seed = setup->seed;
    return options;
}

/* View `number` of a world; the last one is late. */
static uint32_t setup_view(struct setup *setup, uint32_t number)
{
    if (number + 1 == VIEWS) return world_late_view(setup->events, &setup->world);
    return world_view(setup->events, &setup->world, 1000 * setup->seed + number);
}

/* ---- against the oracle ---------------------------------------------------------------------- */

static void assert_record_is(const struct setup *setup,
                             const struct dag_node_record *kept,
                             const struct oracle_record *expected)
{
    const struct world_vertex *vertices = setup->world.vertices;
    struct ordering_record record;
    struct ordering_cursor cursor;
    struct ordering_vertex vertex;
    struct ordering_batch batch;
    uint32_t v = 0;
    uint32_t b = 0;

    assert_int_equal(ordering_record_open(&record, (struct bytes){kept->data, kept->len}), OK);
    assert_int_equal(record.vertices_count, expected->vertices_count);
    assert_int_equal(record.batches_count, expected->batches_count);
    assert_int_equal(record.skipped_count, expected->skipped_count);
    assert_memory_equal(&record.excluded, &expected->excluded, sizeof record.excluded);
    assert_memory_equal(&record.anchor.digest, &vertices[expected->anchor].digest, 32);
    for (uint32_t i = 0; i < record.skipped_count; i++) {
        struct commit_slot slot = ordering_record_skipped(&record, i);
        assert_int_equal(slot.round, expected->skipped[i].round);
        assert_int_equal(slot.author, expected->skipped[i].author);
    }
    for (cursor = ordering_record_begin(&record); ordering_record_next(&cursor, &vertex); v++) {
        assert_memory_equal(&vertex.ref.digest, &vertices[expected->vertices[v]].digest, 32);
        while (ordering_record_next_batch(&cursor, &batch))
            assert_memory_equal(&batch.digest, &expected->batches[b++], 32);
    }
    assert_int_equal(v, expected->vertices_count);
    assert_int_equal(b, expected->batches_count);
}

static void every_step_is_the_oracles(void **state)
{
    (void)state;
    uint32_t how[3] = {0, 0, 0};
    uint32_t skipped = 0;
    uint32_t records = 0;

    for (uint32_t number = 0; number < worlds; number++) {
        struct setup setup;
        setup_make(&setup, number);
        struct orderer_options options = setup_options(&setup);
        for (uint32_t view = 0; view < 2; view++) {
            struct dag_node node;
            struct oracle *oracle = malloc(sizeof *oracle);
            dag_node_init(&node, &setup.world, &options);
            node.check = true;
            oracle_init(oracle, &setup.world, &setup.rule, setup.gc_depth, setup.window,
                        ORACLE_RIGHT);
            uint32_t events = setup_view(&setup, view);
            for (uint32_t e = 0, seen = 0; e < events; e++) {
                dag_node_take(&node, &setup.events[e]);
                oracle_take(oracle, &setup.events[e]);
                assert_int_equal(node.records_count, oracle->records_count);
                for (; seen < node.records_count; seen++) {
                    assert_record_is(&setup, &node.records[seen], &oracle->records[seen]);
                    skipped += oracle->records[seen].skipped_count;
                }
            }
            records += node.records_count;
            for (int i = 0; i < 3; i++)
                how[i] += node.how[i];
            oracle_free(oracle);
            free(oracle);
            dag_node_free(&node);
        }
        setup_free(&setup);
    }
    print_message("%u records: %u direct, %u fast, %u indirect; %u slots skipped\n", records,
                  how[COMMIT_DIRECT], how[COMMIT_FAST], how[COMMIT_INDIRECT], skipped);
    assert_true(how[COMMIT_FAST] > worlds / 4 && how[COMMIT_INDIRECT] > worlds && skipped > worlds);
}

/* ---- views against each other ---------------------------------------------------------------- */

/* Runs a view; `restart_percent` of the events are followed by a restart. */
static void run_view(struct dag_node *node,
                     struct setup *setup,
                     uint32_t number,
                     uint32_t restart_percent)
{
    struct prng prng = {number};
    struct orderer_options options = setup_options(setup);
    uint32_t events = setup_view(setup, number);

    dag_node_init(node, &setup->world, &options);
    node->suspended = number % 2 == 0;
    for (uint32_t e = 0; e < events; e++) {
        dag_node_take(node, &setup->events[e]);
        if (restart_percent > 0 && prng_chance(&prng, restart_percent)) dag_node_restart(node);
    }
}

static void views_agree(uint32_t restart_percent)
{
    uint32_t shortest = UINT32_MAX;

    for (uint32_t number = 0; number < worlds; number++) {
        struct setup setup;
        struct dag_node nodes[VIEWS];
        setup_make(&setup, number);
        for (uint32_t view = 0; view < VIEWS; view++)
            run_view(&nodes[view], &setup, view, restart_percent);
        for (uint32_t a = 0; a < VIEWS; a++) {
            for (uint32_t b = a + 1; b < VIEWS; b++) {
                assert_true(dag_node_agrees(&nodes[a], &nodes[b]));
                if (!setup.rule.fast)
                    assert_int_equal(nodes[a].records_count, nodes[b].records_count);
            }
            if (nodes[a].records_count < shortest) shortest = nodes[a].records_count;
        }
        for (uint32_t view = 0; view < VIEWS; view++)
            dag_node_free(&nodes[view]);
        setup_free(&setup);
    }
    print_message("shortest sequence: %u records\n", shortest);
    assert_true(shortest >= 5);
}

static void views_of_one_world_order_one_sequence(void **state)
{
    (void)state;
    views_agree(0);
}

static void restarts_change_nothing(void **state)
{
    (void)state;
    views_agree(4);
}

/* ---- sensitivity ----------------------------------------------------------------------------- */

/* Worlds in which two views of an oracle with this bug disagree. */
static uint32_t count_divergent_worlds(enum oracle_bug bug)
{
    uint32_t divergent = 0;

    for (uint32_t number = 0; number < worlds; number++) {
        struct setup setup;
        struct oracle *oracles = calloc(VIEWS, sizeof *oracles);
        bool agree = true;
        setup_make(&setup, number);
        for (uint32_t view = 0; view < VIEWS; view++) {
            uint32_t events = setup_view(&setup, view);
            oracle_init(&oracles[view], &setup.world, &setup.rule, setup.gc_depth, setup.window,
                        bug);
            for (uint32_t e = 0; e < events; e++)
                oracle_take(&oracles[view], &setup.events[e]);
            for (uint32_t other = 0; other < view; other++)
                agree = agree && oracle_agrees(&oracles[other], &oracles[view]);
        }
        divergent += !agree;
        for (uint32_t view = 0; view < VIEWS; view++)
            oracle_free(&oracles[view]);
        free(oracles);
        setup_free(&setup);
    }
    return divergent;
}

static void plausible_wrong_rules_are_caught(void **state)
{
    (void)state;
    static const char *const names[ORACLE_BUGS] = {
        "right",
        "schedule cached per round",
        "walk back by ones",
        "floor from the local top round",
        "reputation from local observation",
        "order the ancestors that are present",
        "fast with V of first headers",
    };
    uint32_t undetected = 0;

    for (int bug = 0; bug < ORACLE_BUGS; bug++) {
        uint32_t divergent = count_divergent_worlds((enum oracle_bug)bug);
        print_message("%-40s %u of %u worlds diverge\n", names[bug], divergent, worlds);
        undetected += bug != ORACLE_RIGHT && divergent == 0;
        assert_true(bug != ORACLE_RIGHT || divergent == 0);
    }
    assert_int_equal(undetected, 0);
}

int main(int argc, char **argv)
{
    if (argc > 1) worlds = 16 * (uint32_t)strtoul(argv[1], NULL, 10);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_step_is_the_oracles),
        cmocka_unit_test(views_of_one_world_order_one_sequence),
        cmocka_unit_test(restarts_change_nothing),
        cmocka_unit_test(plausible_wrong_rules_are_caught),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
