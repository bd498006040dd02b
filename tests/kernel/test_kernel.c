/* The kernel against the model, in the host library: valid messages in any order and any grouping
 * into levels and runs, with traps and without. What it must ignore is in test_hostile.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/kernel/rig.h"
#include "tests/kernel/scenario.h"

static struct rig rig;

static void applies_in_order(enum model_application application, unsigned mode, uint32_t members)
{
    struct chain chain;

    scenario_chain(&chain, 42, members);
    rig_open(&rig, &chain, application, mode, NULL);
    assert_true(rig_level(&rig)); /* the first level installs the configuration */
    for (uint64_t index = 1; index <= chain.count; index++) {
        rig_segment(&rig, index, index);
        if (mode == 0) rig_pages(&rig, index);
        assert_true(rig_level(&rig));
        assert_int_equal(rig.model.applied, index);
    }
    assert_int_equal(pvm_traps(rig.pvm), 0);
    rig_close(&rig);
    chain_close(&chain);
}

static void log_applies_preblocks_in_order(void **state)
{
    (void)state;
    applies_in_order(MODEL_LOG, 0, 7);
}

static void counter_applies_preblocks_in_order(void **state)
{
    (void)state;
    applies_in_order(MODEL_COUNTER, 0, 7);
}

static void committees_of_other_sizes_work(void **state)
{
    (void)state;
    applies_in_order(MODEL_LOG, 0, 1);
    applies_in_order(MODEL_LOG, 0, 4);
    applies_in_order(MODEL_LOG, 0, 10);
}

static void reveal_mode_fetches_what_is_not_posted(void **state)
{
    (void)state;
    applies_in_order(MODEL_LOG, 1, 7);
    applies_in_order(MODEL_COUNTER, 1, 4);
}

static void a_missing_preimage_holds_the_level_and_changes_nothing(void **state)
{
    struct pvm_level level = {.level = 200};
    struct chain chain;
    struct digest before, after;
    struct blob message;

    (void)state;
    scenario_chain(&chain, 42, 7);
    rig_open(&rig, &chain, MODEL_LOG, 1, NULL);
    assert_true(rig_level(&rig));
    message_segment_quorum(&message, &chain, 1, 1);
    struct bytes external = {message.data, message.len};
    pvm_begin(rig.pvm, &level, &external, 1);
    rig.reveals_refused = true;
    assert_int_equal(pvm_finish(rig.pvm), PVM_WAITING);
    durable_hash(&before, pvm_durable(rig.pvm), durable_path(""));
    assert_int_equal(pvm_finish(rig.pvm), PVM_WAITING);
    durable_hash(&after, pvm_durable(rig.pvm), durable_path(""));
    assert_memory_equal(before.bytes, after.bytes, sizeof before.bytes);
    assert_memory_equal(pvm_missing(rig.pvm)->bytes, chain.preblocks[0].header + 97, 32);

    rig.reveals_refused = false;
    assert_int_equal(pvm_finish(rig.pvm), PVM_LEVEL_DONE);
    struct model_message meaning = {MODEL_SEGMENT, 1, 1, NULL};
    model_level(&rig.model, &meaning, 1);
    assert_true(model_agrees(&rig.model, pvm_durable(rig.pvm)));
    blob_free(&message);
    rig_close(&rig);
    chain_close(&chain);
}

/* One level for each page, in the order from the header down, and between them levels with nothing.
 */
static void pages_may_trickle_in_one_per_level(void **state)
{
    struct chain chain;

    (void)state;
    scenario_chain(&chain, 3, 4);
    rig_open(&rig, &chain, MODEL_LOG, 0, NULL);
    for (uint64_t index = 1; index <= 4; index++) {
        rig_segment(&rig, index, index);
        assert_true(rig_level(&rig));
        for (int page = chain.preblocks[index - 1].pages_count; page-- > 0;) {
            rig_page(&rig, index, page, 0);
            assert_true(rig_level(&rig));
        }
        assert_int_equal(rig.model.applied, index);
    }
    rig_close(&rig);
    chain_close(&chain);
}

static void a_level_may_bring_everything_in_reverse(void **state)
{
    struct chain chain;

    (void)state;
    scenario_chain(&chain, 5, 7);
    rig_open(&rig, &chain, MODEL_LOG, 0, NULL);
    for (uint64_t index = chain.count; index >= 1; index--) {
        if (index <= 4) rig_pages(&rig, index);
        rig_segment(&rig, index, index);
    }
    assert_true(rig_level(&rig));
    assert_int_equal(rig.model.accepted, chain.count);
    assert_int_equal(rig.model.applied, 4);
    rig_close(&rig);
    chain_close(&chain);
}

static void a_segment_may_repeat_what_is_accepted(void **state)
{
    struct chain chain;

    (void)state;
    scenario_chain(&chain, 6, 7);
    rig_open(&rig, &chain, MODEL_LOG, 0, NULL);
    rig_segment(&rig, 1, 3);
    assert_true(rig_level(&rig));
    rig_segment(&rig, 1, 5);
    rig_segment(&rig, 3, 6);
    rig_segment(&rig, 2, 2);
    assert_true(rig_level(&rig));
    assert_int_equal(rig.model.accepted, 6);
    rig_close(&rig);
    chain_close(&chain);
}

/* More than the kernel's memory holds at once: 400 copies of pages, 1.6 MB. */
static void a_level_larger_than_the_arena_is_worked_off_in_parts(void **state)
{
    struct chain chain;

    (void)state;
    scenario_chain(&chain, 8, 7);
    rig_open(&rig, &chain, MODEL_LOG, 0, NULL);
    assert_true(rig_level(&rig));
    /* Needed ones first, so that the first part has to be worked off, not forgotten. */
    rig_segment(&rig, 1, chain.count);
    for (int page = chain.preblocks[0].pages_count; page-- > 0;) {
        rig_page(&rig, 1, page, 0);
    }
    for (int i = 0; i < 400; i++) {
        /* Content pages that no tree names, all different: each takes memory until its part is
         * done. */
        struct blob page = {0}, message;
        blob_u8(&page, 0);
        blob_big(&page, 4000, 4);
        for (int b = 0; b < 500; b++) {
            blob_big(&page, (uint64_t)i, 8);
        }
        message_page(&message, &chain, 1, 0, &page);
        rig_junk(&rig, &message);
        blob_free(&page);
    }
    for (uint64_t index = 2; index <= 3; index++) {
        for (int page = chain.preblocks[index - 1].pages_count; page-- > 0;) {
            rig_page(&rig, index, page, 0);
        }
    }
    assert_true(rig_level(&rig));
    assert_int_equal(rig.model.applied, 3);
    rig_close(&rig);
    chain_close(&chain);
}

static void the_log_keeps_as_many_blocks_as_it_is_told(void **state)
{
    (void)state;
    for (uint32_t keep = 0; keep <= 3; keep++) {
        struct chain chain;
        scenario_chain(&chain, 61, 4);
        rig_open_log(&rig, &chain, keep, 0, NULL);
        for (uint64_t index = 1; index <= 7; index++) {
            rig_segment(&rig, index, index);
            rig_pages(&rig, index);
            assert_true(rig_level(&rig));
        }
        assert_int_equal(durable_list_size(pvm_durable(rig.pvm), durable_path("/blocks")),
                         keep == 0 ? 7 : keep);
        rig_close(&rig);
        chain_close(&chain);
    }
}

static void wrong_counts_and_bad_batches_are_counted_and_survived(void **state)
{
    struct chain chain;
    struct chain_batch batches[3];
    uint64_t random = 9;

    (void)state;
    chain_open(&chain, 9, 4);
    batch_random(&batches[0], &random, 3, 30);
    chain_append(&chain, batches, 1, 5); /* claims five more */
    batch_random(&batches[0], &random, 3, 30);
    batch_random(&batches[1], &random, 2, 30);
    blob_u8(&batches[1].bytes, 0xff); /* ends with a byte of no transaction */
    batch_random(&batches[2], &random, 2, 30);
    chain_append(&chain, batches, 3, 0);
    rig_open(&rig, &chain, MODEL_LOG, 0, NULL);
    rig_segment(&rig, 1, 2);
    rig_pages(&rig, 1);
    rig_pages(&rig, 2);
    assert_true(rig_level(&rig));
    assert_int_equal(rig.model.applied, 2);
    assert_int_equal(rig.model.faulty, 2);
    rig_close(&rig);
    chain_close(&chain);
}

static void a_kernel_without_configuration_does_nothing(void **state)
{
    struct pvm_level level = {.level = 1};
    struct pvm_options options = {.origination_level = 1};
    struct engine *engine = engine_new(NULL);
    struct pvm *pvm = pvm_new(&options, engine, pvm_originate(engine_builtin_wasm()));

    (void)state;
    for (int i = 0; i < 3; i++) {
        pvm_begin(pvm, &level, NULL, 0);
        assert_int_equal(pvm_finish(pvm), PVM_LEVEL_DONE);
    }
    assert_int_equal(pvm_runs(pvm), 3);
    assert_int_equal(durable_has(pvm_durable(pvm), durable_path("/accepted")), 0);
    assert_int_equal(durable_list_size(pvm_durable(pvm), durable_path("")),
                     2); /* kernel, readonly */
    pvm_close(pvm);
    engine_close(engine);
}

static void play(uint64_t seed,
                 enum model_application application,
                 unsigned mode,
                 const struct rig_kernel *kernel,
                 uint32_t budget)
{
    struct chain chain;
    uint64_t random = seed;

    scenario_chain(&chain, seed, 7);
    rig_open(&rig, &chain, application, mode, kernel);
    if (kernel != NULL) rig_set_budget(&rig, budget);
    for (int level = 0; scenario_level(&rig, level, &random); level++) {
        if (!rig_level(&rig)) fail_msg("seed %llu level %d", (unsigned long long)seed, level);
    }
    assert_int_equal(rig.model.applied, chain.count);
    assert_int_equal(pvm_traps(rig.pvm), 0);
    rig_close(&rig);
    chain_close(&chain);
}

/* KERNEL_SEEDS=n plays more of them. */
static void scenarios_of_many_seeds_end_as_the_model_says(void **state)
{
    const char *seeds = getenv("KERNEL_SEEDS");
    const uint64_t last = seeds == NULL ? 12 : strtoull(seeds, NULL, 10);

    (void)state;
    for (uint64_t seed = 1; seed <= last; seed++) {
        play(seed, seed % 2 == 0 ? MODEL_LOG : MODEL_COUNTER, seed % 3 == 0, NULL, 0);
    }
}

#ifndef RIG_NATIVE /* the native kernel is always the one of the build */
static struct rig_kernel test_kernel;

/* A kernel whose runs stop after 100 bytes of payload: hundreds of reboots, the same state. */
static void the_state_does_not_depend_on_the_length_of_runs(void **state)
{
    (void)state;
    play(21, MODEL_LOG, 0, &test_kernel, 100);
    play(22, MODEL_COUNTER, 0, &test_kernel, 100);
}

/* Batches with trapping transactions at the beginning, in the middle, at the end, alone, and all of
 * them. */
static void add_trap(struct chain_batch *batch)
{
    static unsigned number;
    char text[32];

    batch_add(batch, text, (size_t)snprintf(text, sizeof text, MODEL_TRAP "%u", number++));
}

static void fill_with_traps(struct chain *chain, uint64_t *random)
{
    for (int shape = 0; shape < 6; shape++) {
        struct chain_batch batches[3];
        for (int b = 0; b < 3; b++) {
            batch_random(&batches[b], random, 0, 1);
            if (shape % 3 == b || shape == 5) add_trap(&batches[b]);
            for (uint32_t left = random_below(random, 40); left > 0 && shape != 4; left--) {
                uint8_t transaction[9] = {1, (uint8_t)left};
                batch_add(&batches[b], transaction, sizeof transaction);
                if (shape >= 3 && left % 7 == 0) add_trap(&batches[b]);
            }
            if (shape == 1 || batches[b].transactions == 0) add_trap(&batches[b]);
        }
        chain_append(chain, batches, 3, 0);
    }
}

static void trap_in_the_application(enum model_application application)
{
    struct chain chain;
    uint64_t random = 31;

    chain_open(&chain, 31, 4);
    fill_with_traps(&chain, &random);
    rig_open(&rig, &chain, application, 0, &test_kernel);
    rig.model.traps = true;
    for (uint64_t index = 1; index <= chain.count; index++) {
        rig_segment(&rig, index, index);
        rig_pages(&rig, index);
        assert_true(rig_level(&rig));
        assert_int_equal(rig.model.applied, index);
    }
    assert_true(rig.model.skipped > 10);
    assert_true(pvm_traps(rig.pvm) > rig.model.skipped);
    rig_close(&rig);
    chain_close(&chain);
}

static void a_transaction_that_traps_costs_only_itself(void **state)
{
    (void)state;
    trap_in_the_application(MODEL_LOG);
    trap_in_the_application(MODEL_COUNTER);
}

static void a_preblock_whose_end_traps_is_left_behind(void **state)
{
    struct chain chain;
    struct bytes value;
    uint64_t random = 41;

    (void)state;
    chain_open(&chain, 41, 4);
    for (int i = 0; i < TRAPPING_LEADER + 1; i++) {
        struct chain_batch batch;
        batch_random(&batch, &random, 2, 20);
        chain_append(&chain, &batch, 1, 0);
    }
    rig_open(&rig, &chain, MODEL_COUNTER, 0, &test_kernel);
    for (uint64_t index = 1; index <= chain.count; index++) {
        rig_segment(&rig, index, index);
        rig_pages(&rig, index);
        (void)rig_level(
            &rig); /* the model knows nothing of ends that trap: it prints differences */
    }
    assert_true(durable_value(&value, pvm_durable(rig.pvm), durable_path("/index")));
    assert_int_equal(value.data[7], chain.count);
    assert_true(durable_value(&value, pvm_durable(rig.pvm), durable_path("/fault/skipped")));
    assert_int_equal(value.data[3], 1);
    assert_true(durable_value(&value, pvm_durable(rig.pvm), durable_path("/counter")));
    assert_int_equal(value.data[7], 2 * chain.count);
    assert_int_equal(pvm_traps(rig.pvm), 2);
    assert_int_equal(durable_has(pvm_durable(rig.pvm), durable_path("/run")), 0);
    rig_close(&rig);
    chain_close(&chain);
}

#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(log_applies_preblocks_in_order),
        cmocka_unit_test(counter_applies_preblocks_in_order),
        cmocka_unit_test(committees_of_other_sizes_work),
        cmocka_unit_test(reveal_mode_fetches_what_is_not_posted),
        cmocka_unit_test(a_missing_preimage_holds_the_level_and_changes_nothing),
        cmocka_unit_test(pages_may_trickle_in_one_per_level),
        cmocka_unit_test(a_level_may_bring_everything_in_reverse),
        cmocka_unit_test(a_segment_may_repeat_what_is_accepted),
        cmocka_unit_test(a_level_larger_than_the_arena_is_worked_off_in_parts),
        cmocka_unit_test(the_log_keeps_as_many_blocks_as_it_is_told),
        cmocka_unit_test(wrong_counts_and_bad_batches_are_counted_and_survived),
        cmocka_unit_test(a_kernel_without_configuration_does_nothing),
        cmocka_unit_test(scenarios_of_many_seeds_end_as_the_model_says),
#ifndef RIG_NATIVE
        cmocka_unit_test(the_state_does_not_depend_on_the_length_of_runs),
        cmocka_unit_test(a_transaction_that_traps_costs_only_itself),
        cmocka_unit_test(a_preblock_whose_end_traps_is_left_behind),
#endif
    };

#ifndef RIG_NATIVE
    rig_kernel_load(&test_kernel, KERNEL_TRAPS, KERNEL_TRAPS_LIBRARY);
#endif
    return cmocka_run_group_tests(tests, NULL, NULL);
}
