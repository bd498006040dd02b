/* The kernel against the model, in the host library: what it must do with valid messages, in any
 * order and any grouping into levels. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/kernel/rig.h"

/* Pre-blocks of several shapes: one tiny transaction, many batches, a batch of many pages. */
static void fill(struct chain *chain, uint64_t *random, uint32_t preblocks)
{
    for (uint32_t i = 0; i < preblocks; i++) {
        struct chain_batch batches[CHAIN_BATCHES_MAX];
        uint32_t count = i % 5 == 3 ? 140 : 1 + random_below(random, 4);
        for (uint32_t b = 0; b < count; b++) {
            uint32_t transactions = i % 4 == 2 && b == 0 ? 60 : 1 + random_below(random, 5);
            batch_random(&batches[b], random, transactions, i % 4 == 2 ? 600 : 40);
        }
        chain_append(chain, batches, count, 0);
    }
}

static void applies_in_order(enum model_application application, unsigned mode)
{
    static struct rig rig;
    struct chain chain;
    uint64_t random = 1;

    chain_open(&chain, 42, 7);
    fill(&chain, &random, 8);
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
    applies_in_order(MODEL_LOG, 0);
}

static void counter_applies_preblocks_in_order(void **state)
{
    (void)state;
    applies_in_order(MODEL_COUNTER, 0);
}

static void reveal_mode_fetches_what_is_not_posted(void **state)
{
    (void)state;
    applies_in_order(MODEL_LOG, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(log_applies_preblocks_in_order),
        cmocka_unit_test(counter_applies_preblocks_in_order),
        cmocka_unit_test(reveal_mode_fetches_what_is_not_posted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
