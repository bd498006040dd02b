/* A trap at every host call of every run of a small story, one or several in a row, and runs that end at every byte
 * of their budget. What comes out must be what the model says: the same as without, but for transactions that
 * trapped again. KERNEL_TRAPS_ALL=1 takes every pair of traps instead of a part of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <sodium.h>

#include "tests/kernel/native.h"
#include "tests/kernel/rig.h"
#include "tests/kernel/trap.h"

#define LEVELS    3
#define PREBLOCKS 4u

/* The story, level by level, as it goes without traps. */
static struct rig rig;
static struct chain chain;
static struct durable *begins[LEVELS];
static struct model ends[LEVELS];
static uint8_t fork_header[153];
#ifndef RIG_NATIVE
static struct rig_kernel test_kernel;
#endif

/* Pre-blocks of one batch; of several, one over two pages; and one that is not what its header says. */
static void make_chain(bool traps)
{
    struct chain_batch batches[3];
    uint64_t random = 17;

    chain_open(&chain, 17, 1);
    batch_random(&batches[0], &random, 1, 20);
    chain_append(&chain, batches, 1, 0);

    batch_random(&batches[0], &random, 2, 20);
    if (traps) batch_add(&batches[0], MODEL_TRAP "1", 5);
    batch_random(&batches[1], &random, 4, 30);
    uint8_t large[3900] = {7};
    batch_add(&batches[1], large, sizeof large);
    batch_random(&batches[2], &random, 1, 20);
    chain_append(&chain, batches, 3, 0);

    batch_random(&batches[0], &random, 2, 20);
    blob_u8(&batches[0].bytes, 0xff);
    chain_append(&chain, batches, 1, 1);

    batch_random(&batches[0], &random, traps ? 0 : 1, 20);
    if (traps) batch_add(&batches[0], MODEL_TRAP "2", 5);
    chain_append(&chain, batches, 1, 0);
    memcpy(fork_header, chain.preblocks[2].header, sizeof fork_header);
    fork_header[20] ^= 1;
}

static void post_pages(uint64_t index)
{
    if (!rig.model.reveal) rig_pages(&rig, index);
}

static void post(int level)
{
    struct blob blob;

    switch (level) {
    case 0:
        rig_segment(&rig, 1, 2);
        post_pages(1);
        for (int page = 1; page < chain.preblocks[1].pages_count && !rig.model.reveal; page++) {
            rig_page(&rig, 2, page, 0); /* all but the first batch's */
        }
        break;
    case 1:
        message_header(&blob, &chain, fork_header);
        rig_add(&rig, &blob, (struct model_message){MODEL_FORK, 0, 0, fork_header});
        rig_segment(&rig, 3, 3);
        post_pages(2);
        post_pages(3);
        break;
    default: /* the end of the story, and what mends one that lost messages */
        rig_segment(&rig, 1, PREBLOCKS);
        for (uint64_t index = 1; index <= PREBLOCKS; index++) {
            post_pages(index);
        }
        break;
    }
}

static void begin(enum model_application application,
                  unsigned mode,
                  const struct rig_kernel *kernel,
                  bool traps)
{
    make_chain(traps);
    if (application == MODEL_LOG) {
        rig_open_log(&rig, &chain, 2, mode, kernel);
    } else {
        rig_open(&rig, &chain, application, mode, kernel);
    }
    rig.model.traps = traps;
    trap_attach(rig.pvm, rig.entry);
    for (int level = 0; level < LEVELS; level++) {
        begins[level] = durable_snapshot(pvm_durable(rig.pvm));
        post(level);
        assert_true(rig_level(&rig));
        model_copy(&ends[level], &rig.model);
    }
    assert_int_equal(rig.model.applied, PREBLOCKS);
}

static void finish(void)
{
    for (int level = 0; level < LEVELS; level++) {
        durable_close(begins[level]);
        model_close(&ends[level]);
    }
    rig_close(&rig);
    chain_close(&chain);
}

static void run(int level)
{
    post(level);
    rig_begin(&rig);
    assert_int_equal(pvm_finish(rig.pvm), PVM_LEVEL_DONE);
    while (rig.count > 0) {
        blob_free(&rig.blobs[--rig.count]);
    }
}

/* What storage holds is certified whole: pages hash to their names, and the accepted digest is that of the accepted
 * index. So it is even where a run was cut off that was reading the inbox. */
static bool is_certified(void)
{
    const struct durable *durable = pvm_durable(rig.pvm);
    struct bytes name, value, digest;
    char path[160], hex[65];
    uint8_t hash[32];

    for (unsigned index = 1; index <= PREBLOCKS; index++) {
        snprintf(path, sizeof path, "/pages/%u", index);
        for (size_t n = 0; durable_nth_key(&name, durable, durable_path(path), n); n++) {
            char page[240];
            snprintf(page, sizeof page, "%s/%.*s", path, (int)name.len, (const char *)name.data);
            if (!durable_value(&value, durable, durable_path(page))) return false;
            crypto_generichash(hash, sizeof hash, value.data, value.len, NULL, 0);
            sodium_bin2hex(hex, sizeof hex, hash, sizeof hash);
            if (name.len != 64 || memcmp(hex, name.data, 64) != 0) return false;
        }
    }
    if (!durable_value(&value, durable, durable_path("/accepted"))) return true; /* not installed */
    unsigned accepted = value.data[7];
    return durable_value(&digest, durable, durable_path("/accepted/digest")) &&
           memcmp(digest.data, accepted == 0 ? chain.genesis : chain.preblocks[accepted - 1].digest,
                  32) == 0;
}

/* All transactions of the batch are done one by one, and its own step is left. */
static bool is_batch_end(struct model_skip cursor)
{
    const struct chain_preblock *preblock = &chain.preblocks[cursor.index - 1];

    return cursor.batch < preblock->batches_count &&
           cursor.transaction == preblock->batches[cursor.batch].transactions;
}

/* Looks at the traps that were: adds what they cost. False when one cost what it must not, or did not cost what it
 * must. `ret_cut`: the level may have ended before its work did, messages may be lost. */
static bool learn(struct model *model, bool *ret_cut)
{
    const struct trap_log *log = trap_done();

    *ret_cut = false;
    for (size_t i = 0; i < log->count; i++) {
        const struct trap *trap = &log->traps[i];
        *ret_cut = *ret_cut || trap->inbox || trap->first;
        if (trap->marked && !trap->was_marked && (!trap->in_step || !trap->may_redo)) return false;
        if (trap->must_redo && trap->in_app && !trap->marked && !is_batch_end(trap->cursor)) {
            return false;
        }
        if (trap->marked) model_skip(model, trap->cursor);
        /* Between taking the mark away and committing: the skip itself did not happen. */
        if (trap->was_marked && !trap->marked) model_unskip(model, trap->cursor);
    }
    return true;
}

/* Plays the level with traps, then mends what was lost. Returns the traps there were. */
static size_t play(int level, const uint64_t *gaps, size_t count)
{
    struct model after, last;
    bool cut, good;

    model_copy(&after, &ends[level]);
    model_copy(&last, &ends[LEVELS - 1]);
    pvm_reset(rig.pvm, durable_snapshot(begins[level]));
    trap_arm(0, gaps, count);
    run(level);
    const size_t traps = trap_done()->count;
    good = learn(&after, &cut) && learn(&last, &cut);
    good = good && (cut ? is_certified() : model_agrees(&after, pvm_durable(rig.pvm)));
    trap_arm(0, NULL, 0);
    run(LEVELS - 1);
    /* The fork may have been in what was lost, or in a level that was not played. */
    if ((cut || level == 0) &&
        durable_has(pvm_durable(rig.pvm), durable_path("/fault/fork")) == 0) {
        last.fork = NULL;
    }
    good = good && model_agrees(&last, pvm_durable(rig.pvm));
    model_close(&after);
    model_close(&last);
    if (good) return traps;
    for (size_t i = 0; i < count; i++) {
        print_error("level %d, gap %llu\n", level, (unsigned long long)gaps[i]);
    }
    fail();
    return 0;
}

static void one_trap_at_every_point(enum model_application application,
                                    unsigned mode,
                                    const struct rig_kernel *kernel)
{
    uint64_t points = 0;

    begin(application, mode, kernel, kernel != NULL);
    for (int level = 0; level < LEVELS; level++) {
        uint64_t gap = 0;
        while (play(level, &gap, 1) > 0) {
            gap++;
        }
        assert_true(gap > 50);
        points += gap;
    }
    print_message("%llu points\n", (unsigned long long)points);
    finish();
}

static void one_trap_anywhere_changes_nothing(void **state)
{
    (void)state;
    one_trap_at_every_point(MODEL_LOG, 0, NULL);
    one_trap_at_every_point(MODEL_COUNTER, 0, NULL);
    one_trap_at_every_point(MODEL_LOG, 1, NULL);
}

/* Transactions that always trap, and at each point one more trap. */
static void a_trap_beside_transactions_that_trap_costs_only_them(void **state)
{
    (void)state;
#ifndef RIG_NATIVE
    one_trap_at_every_point(MODEL_LOG, 0, &test_kernel);
    one_trap_at_every_point(MODEL_COUNTER, 0, &test_kernel);
#else
    skip();
#endif
}

/* At each point, and again at points of the run that follows: all of them, or every `stride`-th. */
static void two_traps_in_a_row(enum model_application application, uint64_t stride)
{
    uint64_t pairs = 0;

    begin(application, 0, NULL, false);
    for (int level = 0; level < LEVELS; level++) {
        uint64_t gaps[2] = {0, 0};
        size_t traps;
        do {
            for (gaps[1] = gaps[0] % stride; (traps = play(level, gaps, 2)) == 2;) {
                gaps[1] += stride;
                pairs++;
            }
            gaps[0]++;
        } while (traps > 0);
    }
    print_message("%llu pairs\n", (unsigned long long)pairs);
    finish();
}

static bool all_of_them(void)
{
    return getenv("KERNEL_TRAPS_ALL") != NULL;
}

static void a_second_trap_costs_at_most_the_transaction_it_hits(void **state)
{
    (void)state;
    two_traps_in_a_row(MODEL_LOG, all_of_them() ? 1 : 131);
    two_traps_in_a_row(MODEL_COUNTER, all_of_them() ? 1 : 173);
}

/* The same point of every run, as long as the run gets there; and any points. */
static void many_traps_in_a_row_end(enum model_application application,
                                    const struct rig_kernel *kernel)
{
    const uint64_t rounds = all_of_them() ? 20000 : 150;
    uint64_t random = 3;

    begin(application, 0, kernel, kernel != NULL);
    for (uint64_t i = 0; i < rounds; i++) {
        uint64_t gaps[TRAPS_MAX];
        const int level = (int)random_below(&random, LEVELS);
        const size_t count = 3 + random_below(&random, TRAPS_MAX - 2);
        for (size_t t = 0; t < count; t++) {
            gaps[t] = t > 0 && i % 2 == 0 ? gaps[0] : random_below(&random, i % 3 == 0 ? 30 : 150);
        }
        play(level, gaps, count);
    }
    finish();
}

static void traps_in_many_runs_in_a_row_cost_only_what_they_hit(void **state)
{
    (void)state;
    many_traps_in_a_row_end(MODEL_LOG, NULL);
    many_traps_in_a_row_end(MODEL_COUNTER, NULL);
#ifndef RIG_NATIVE
    many_traps_in_a_row_end(MODEL_LOG, &test_kernel);
#endif
}

#ifndef RIG_NATIVE
/* Runs that apply in a level, by the rule: the step with which `budget` bytes are used up ends one. A step is a batch
 * of its bytes and one, or the end of a pre-block of one. `ret_near`: a budget of a byte less or more would make a
 * run end elsewhere, or this one ends somewhere exactly. */
static uint32_t expected_runs(int level, uint64_t budget, uint64_t *ret_bytes, bool *ret_near)
{
    uint64_t index = level == 0 ? 0 : ends[level - 1].applied;
    uint32_t batch = level == 0 ? 0 : ends[level - 1].batch;
    uint64_t used = 0;
    uint32_t runs = 1;

    *ret_bytes = 0;
    *ret_near = false;
    while (index < ends[level].applied || batch < ends[level].batch) {
        const struct chain_preblock *preblock = &chain.preblocks[index];
        const bool end = batch == preblock->batches_count;
        const uint64_t step = end ? 1 : preblock->batches[batch].bytes.len + 1;
        batch = end ? 0 : batch + 1;
        index += end;
        *ret_bytes += step;
        used += step;
        *ret_near = *ret_near || used + 1 == budget || used == budget || used == budget + 1;
        if (used < budget) continue;
        used = 0;
        runs++;
    }
    return runs;
}

/* Budgets up to all that a level applies: so runs end behind every batch and every pre-block, exactly there and a byte
 * to either side. */
static void runs_may_end_at_every_byte(void **state)
{
    uint64_t total;
    bool near;

    (void)state;
    begin(MODEL_LOG, 0, &test_kernel, false);
    for (int level = 0; level < LEVELS; level++) {
        expected_runs(level, 1, &total, &near);
        for (uint32_t budget = 1; budget <= total + 1; budget++) {
            uint32_t runs = 1 + expected_runs(level, budget, &total, &near);
            if (!near && budget % 64 != 0 && !all_of_them()) continue;
            pvm_reset(rig.pvm, durable_snapshot(begins[level]));
            rig_set_budget(&rig, budget);
            trap_arm(0, NULL, 0);
            run(level);
            if (!model_agrees(&ends[level], pvm_durable(rig.pvm))) fail_msg("budget %u", budget);
            assert_int_equal(trap_done()->runs, runs);
        }
    }
    finish();
}
#endif

/* The cursor's batch after `runs` steps of the machine. */
static uint8_t batch_after(int runs)
{
    struct bytes cursor;

    while (runs-- > 0) {
        assert_int_equal(pvm_step(rig.pvm), PVM_AGAIN);
    }
    assert_true(durable_value(&cursor, pvm_durable(rig.pvm), durable_path("/state/cursor")));
    return cursor.data[11];
}

/* Seventeen full batches, then one that ends a byte before 8 MiB are used, there, and a byte behind; then a small
 * one. */
static void the_budget_is_8_mib(void **state)
{
    const uint32_t full = 480000;
    const uint32_t rest = 8 * 1024 * 1024 - 17 * (full + 1) - 1;
    uint8_t transaction[4000] = {0};

    (void)state;
    for (uint32_t more = 0; more < 3; more++) {
        struct chain_batch batches[19];
        struct blob message;
        memset(batches, 0, sizeof batches);
        chain_open(&chain, 5, 1);
        for (uint32_t b = 0; b < 19; b++) {
            const uint32_t len = b < 17 ? full : b == 17 ? rest - 1 + more : 100;
            /* A transaction adds three bytes of its own, one below 128 bytes two. */
            while (len - batches[b].bytes.len > 2 * sizeof transaction) {
                batch_add(&batches[b], transaction, sizeof transaction - 3);
            }
            while (len - batches[b].bytes.len > 200) {
                batch_add(&batches[b], transaction, 60);
            }
            batch_add(&batches[b], transaction, (len - batches[b].bytes.len) / 2 - 2);
            batch_add(&batches[b], transaction, len - batches[b].bytes.len - 2);
            assert_int_equal(batches[b].bytes.len, len);
        }
        chain_append(&chain, batches, 19, 0);
        rig_open(&rig, &chain, MODEL_COUNTER, 1, NULL);
        message_segment_quorum(&message, &chain, 1, 1);
        rig_add(&rig, &message, (struct model_message){MODEL_SEGMENT, 1, 1, NULL});
        rig_begin(&rig);
        assert_int_equal(batch_after(1), 0);
        assert_int_equal(batch_after(1), more == 0 ? 19 : 18);
        assert_int_equal(pvm_finish(rig.pvm), PVM_LEVEL_DONE);
        assert_true(rig_end(&rig));
        assert_int_equal(rig.model.applied, 1);
        rig_close(&rig);
        chain_close(&chain);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_trap_anywhere_changes_nothing),
        cmocka_unit_test(a_trap_beside_transactions_that_trap_costs_only_them),
        cmocka_unit_test(a_second_trap_costs_at_most_the_transaction_it_hits),
        cmocka_unit_test(traps_in_many_runs_in_a_row_cost_only_what_they_hit),
#ifndef RIG_NATIVE
        cmocka_unit_test(runs_may_end_at_every_byte),
#endif
        cmocka_unit_test(the_budget_is_8_mib),
    };

#ifndef RIG_NATIVE
    rig_kernel_load(&test_kernel, KERNEL_TRAPS, KERNEL_TRAPS_LIBRARY);
#endif
    return cmocka_run_group_tests(tests, NULL, NULL);
}
