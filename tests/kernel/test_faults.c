/* Goal: faults are what their list says, the same ones for the same seed, and the batcher does them to operations and
 * to nothing else. Method: lists that are good and bad; decisions compared and counted; a batcher driven through blocks
 * with one fault on at a time, every message's way looked at; blocks undone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/bytes.h"
#include "rollup-kernel/host/batcher.h"

static struct faults_spec parsed(const char *text)
{
    struct faults_spec spec;
    struct error_line error = {""};

    if (faults_parse(&spec, text, &error) != OK) fail_msg("%s: %s", text, error.text);
    return spec;
}

/* ---- lists ----------------------------------------------------------------------------------- */

static void a_list_is_read_and_written_back(void **state)
{
    static const char all[] = "drop=10%,delay=20%:3,duplicate=10%,reorder=20%,error=5%,"
                              "hang=1%:2000,reorg=5%:2,seed=7";
    char text[FAULTS_TEXT_BYTES_MAX];

    (void)state;
    struct faults_spec spec = parsed(all);
    assert_int_equal(spec.percent[FAULT_DROP], 10);
    assert_int_equal(spec.percent[FAULT_DELAY], 20);
    assert_int_equal(spec.amount[FAULT_DELAY], 3);
    assert_int_equal(spec.percent[FAULT_HANG], 1);
    assert_int_equal(spec.amount[FAULT_HANG], 2000);
    assert_int_equal(spec.amount[FAULT_REORG], 2);
    assert_int_equal(spec.seed, 7);
    faults_format(text, &spec);
    assert_string_equal(text, all);

    spec = parsed("");
    struct faults faults = {.spec = spec};
    assert_false(faults_are_on(&faults));
    faults_format(text, &spec);
    assert_string_equal(text, "");
    spec = parsed("seed=18446744073709551615,reorg=100%:1,drop=0%");
    faults_format(text, &spec);
    assert_string_equal(text, "reorg=100%:1,seed=18446744073709551615");
    /* The longest list there is fits. */
    spec = parsed("drop=100%,delay=100%:100,duplicate=100%,reorder=100%,error=100%,"
                  "hang=100%:60000,reorg=100%:2,seed=18446744073709551615");
    faults_format(text, &spec);
    assert_int_equal(spec.amount[FAULT_HANG], 60000);
}

static void every_field_refuses_what_it_cannot_be(void **state)
{
    static const struct {
        const char *text;
        const char *line;
    } bad[] = {
        {"drop", "\"drop\": expected drop="},
        {"drop=", "drop: expected a percentage as in drop=10%, not \"\""},
        {"drop=10", "drop: expected a percentage"},
        {"drop=101%", "drop: expected a percentage as in drop=10%, not \"101%\""},
        {"drop=-1%", "drop: expected a percentage"},
        {"drop=1%:2", "drop: expected a percentage as in drop=10%, not \"1%:2\""},
        {"drop=1%%", "drop: expected a percentage"},
        {"drop= 1%", "drop: expected a percentage"},
        {"delay=10%", "delay: expected PERCENT%:LEVELS with LEVELS from 1 to 100, as in"},
        {"delay=10%:", "delay: expected"},
        {"delay=10%:0", "delay: expected"},
        {"delay=10%:101", "delay: expected"},
        {"delay=10%:3x", "delay: expected"},
        {"duplicate=x%", "duplicate: expected a percentage"},
        {"reorder=5", "reorder: expected a percentage"},
        {"error=500%", "error: expected a percentage"},
        {"hang=1%", "hang: expected PERCENT%:MILLISECONDS with MILLISECONDS from 1 to 60000"},
        {"hang=1%:60001", "hang: expected"},
        {"reorg=5%:3",
         "reorg: expected PERCENT%:BLOCKS with BLOCKS from 1 to 2 (older blocks are final)"},
        {"reorg=5%:9", "reorg: expected"},
        {"reorg=5%", "reorg: expected"},
        {"reorg=%:1", "reorg: expected"},
        {"seed=", "seed: expected a number of 64 bits, not \"\""},
        {"seed=x", "seed: expected a number"},
        {"seed=18446744073709551616", "seed: expected a number"},
        {"drop=1%,drop=2%", "drop: given twice"},
        {"seed=1,seed=1", "seed: given twice"},
        {"drop=1%,", "the list ends with a comma"},
        {",drop=1%", "\"\": expected drop="},
        {"drop=1%,,error=1%", "\"\": expected drop="},
        {"drip=1%", "\"drip=1%\": expected drop="},
        {"=1%", "\"=1%\": expected drop="},
    };

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct faults_spec spec = {.seed = 77};
        struct error_line error = {""};
        assert_int_equal(faults_parse(&spec, bad[i].text, &error), ERR_CONFIG);
        if (strncmp(error.text, bad[i].line, strlen(bad[i].line)) != 0)
            fail_msg("%s: \"%s\", expected \"%s\"", bad[i].text, error.text, bad[i].line);
        assert_int_equal(spec.seed, 77);
    }
}

/* ---- decisions ------------------------------------------------------------------------------- */

static void decisions_follow_from_the_seed(void **state)
{
    const struct faults_spec spec = parsed("drop=30%,error=30%,seed=5");
    struct faults a = {.spec = {.seed = 0}}, b = a;
    uint64_t drops[200];
    uint32_t hits = 0;

    (void)state;
    faults_set(&a, &spec);
    for (int i = 0; i < 200; i++) {
        drops[i] = faults_decide(&a, FAULT_DROP);
        hits += drops[i] != 0;
    }
    assert_in_range(hits, 35, 85);
    /* Others that are asked for in between change nothing. */
    faults_set(&b, &spec);
    uint32_t equal = 0;
    for (int i = 0; i < 200; i++) {
        uint64_t error = faults_decide(&b, FAULT_ERROR);
        if (i % 3 == 0) (void)faults_lose(&b);
        assert_true(faults_decide(&b, FAULT_DROP) == drops[i]);
        equal += (error != 0) == (drops[i] != 0);
    }
    assert_in_range(equal, 80, 160); /* of 200: independent ones agree in 58 % */
    /* Set again: from the beginning; another seed: otherwise. */
    struct faults_spec other = spec;
    other.seed = 6;
    uint32_t different = 0;
    faults_set(&a, &spec);
    faults_set(&b, &other);
    for (int i = 0; i < 200; i++) {
        assert_true(faults_decide(&a, FAULT_DROP) == drops[i]);
        different += (faults_decide(&b, FAULT_DROP) != 0) != (drops[i] != 0);
    }
    assert_in_range(different, 40, 130);
}

static void percentages_are_what_happens(void **state)
{
    static const uint32_t percents[] = {0, 1, 5, 50, 99, 100};

    (void)state;
    for (size_t i = 0; i < sizeof percents / sizeof percents[0]; i++) {
        struct faults faults = {.spec = {.seed = 9}};
        uint32_t hits = 0, odd = 0, lost = 0;
        faults.spec.percent[FAULT_REORDER] = percents[i];
        for (int n = 0; n < 10000; n++) {
            uint64_t random = faults_decide(&faults, FAULT_REORDER);
            hits += random != 0;
            odd += random % 2;
            lost += faults_lose(&faults);
        }
        assert_in_range(hits, percents[i] * 100 * 3 / 4, percents[i] * 100 * 5 / 4);
        assert_in_range(odd, hits * 2 / 5, hits * 3 / 5 + 1);
        assert_in_range(lost, 4700, 5300);
    }
}

/* ---- the batcher ----------------------------------------------------------------------------- */

#define MESSAGES 64

struct world {
    struct faults faults;
    struct batcher *batcher;
    int32_t level;
    uint32_t added;
    struct digest ids[MESSAGES];
    uint32_t seen[MESSAGES]; /* times included */
    int32_t first[MESSAGES]; /* level of the first time */
    uint32_t order[4096];    /* messages in the order of inclusion */
    uint32_t included;
};

static void world_open(struct world *world, uint32_t keys, const char *list)
{
    const struct faults_spec spec = parsed(list);

    memset(world, 0, sizeof *world);
    faults_set(&world->faults, &spec);
    world->batcher = batcher_new(keys, &world->faults);
}

/* Adds messages of which an operation takes seven. */
static void add(struct world *world, uint32_t count)
{
    static uint8_t content[4095];

    for (uint32_t i = 0; i < count; i++) {
        const struct batcher_submission submission = {.content = {content, sizeof content},
                                                      .drop_duplicate = true};
        assert_true(world->added < MESSAGES);
        content[0] = (uint8_t)world->added;
        assert_int_equal(batcher_add(&world->ids[world->added], world->batcher, &submission), OK);
        world->added++;
    }
}

/* The next block; messages in it. */
static uint32_t block(struct world *world)
{
    const struct bytes *messages;

    batcher_make_operations(world->batcher, true);
    size_t count = batcher_next_block(&messages, world->batcher);
    world->level++;
    for (size_t i = 0; i < count; i++) {
        uint8_t which = messages[i].data[0];
        assert_true(which < world->added && messages[i].len == 4095);
        if (world->seen[which]++ == 0) world->first[which] = world->level;
        assert_true(world->included < 4096);
        world->order[world->included++] = which;
    }
    batcher_included(world->batcher, world->level);
    return (uint32_t)count;
}

static enum batched_state state_of(const struct world *world, uint32_t message)
{
    const struct batched_message *found = batcher_find(world->batcher, &world->ids[message]);

    assert_non_null(found);
    return found->state;
}

static void dropped_operations_free_their_key_and_never_come(void **state)
{
    static struct world world;

    (void)state;
    world_open(&world, 1, "drop=50%,seed=3");
    add(&world, 56);
    for (int i = 0; i < 8; i++)
        block(&world);
    for (uint32_t m = 0; m < 56; m++) {
        assert_true(world.seen[m] <= 1 && world.seen[m] == world.seen[m - m % 7]);
        /* Nothing tells a poster that it is lost. */
        assert_int_equal(state_of(&world, m),
                         world.seen[m] == 1 ? BATCHED_INCLUDED : BATCHED_INJECTED);
    }
    uint64_t dropped = world.faults.counts[FAULTS_DROPPED];
    assert_in_range(dropped, 1, 7);
    assert_int_equal(world.included, 56 - 7 * dropped);
    assert_int_equal(world.faults.counts[FAULTS_MESSAGES_DROPPED], 7 * dropped);
    assert_int_equal(world.faults.counts[FAULTS_OPERATIONS], 8);
    /* The same content is known until it is forgotten, as what was included is. */
    world.level += BATCHER_REMEMBER_LEVELS + 9;
    block(&world);
    for (uint32_t m = 0; m < 56; m++)
        assert_int_equal(batcher_find(world.batcher, &world.ids[m]) != NULL, world.seen[m] == 0);
    world.level += BATCHER_LOST_LEVELS;
    block(&world);
    for (uint32_t m = 0; m < 56; m++)
        assert_null(batcher_find(world.batcher, &world.ids[m]));
    batcher_close(world.batcher);
}

static void delayed_operations_keep_their_key(void **state)
{
    static struct world world;

    (void)state;
    world_open(&world, 1, "delay=100%:3");
    add(&world, 14);
    for (int level = 1; level <= 8; level++) {
        uint32_t count = block(&world);
        assert_int_equal(count, level % 4 == 0 ? 7 : 0);
    }
    assert_int_equal(world.first[0], 4);
    assert_int_equal(world.first[13], 8);
    assert_int_equal(world.faults.counts[FAULTS_DELAYED], 2);
    batcher_close(world.batcher);

    /* With several keys later ones overtake. */
    world_open(&world, 4, "delay=40%:2,seed=2");
    add(&world, 56);
    for (int i = 0; i < 16; i++)
        block(&world);
    bool overtaken = false;
    for (uint32_t m = 0; m < 56; m++) {
        assert_int_equal(world.seen[m], 1);
        overtaken = overtaken || world.order[m] != m;
    }
    assert_true(overtaken);
    batcher_close(world.batcher);
}

static void duplicated_operations_come_twice(void **state)
{
    static struct world world;

    (void)state;
    world_open(&world, 2, "duplicate=100%");
    add(&world, 56);
    uint32_t most = 0;
    for (int i = 0; i < 6; i++) {
        uint32_t count = block(&world);
        most = count > most ? count : most;
    }
    for (uint32_t m = 0; m < 56; m++)
        assert_int_equal(world.seen[m], 2);
    assert_true(most > 14); /* some in one block */
    bool later = false;     /* and some in the next */
    for (uint32_t i = 0; i < world.included; i++)
        later = later || world.order[i] < (i >= 7 ? world.order[i - 7] : 0);
    assert_true(later);
    assert_int_equal(world.faults.counts[FAULTS_MESSAGES_DUPLICATED], 56);
    batcher_close(world.batcher);
}

/* A block holds sixteen operations, copies or not. */
static void a_block_stays_as_large_as_a_block(void **state)
{
    static struct world world;

    (void)state;
    world_open(&world, 16, "duplicate=100%,reorder=50%");
    for (int i = 0; i < 6; i++) {
        if (world.added < 56) add(&world, 56);
        assert_true(block(&world) <= 16 * 7);
    }
    batcher_close(world.batcher);
}

static void shuffled_blocks_hold_the_same(void **state)
{
    static struct world world;

    (void)state;
    world_open(&world, 4, "reorder=100%,seed=4");
    add(&world, 56);
    assert_int_equal(block(&world) + block(&world), 56);
    bool shuffled = false;
    for (uint32_t i = 0; i < 56; i++) {
        assert_int_equal(world.seen[i], 1);
        shuffled = shuffled || world.order[i] != i;
        /* Inside an operation nothing moves. */
        assert_int_equal(world.order[i] % 7, i % 7);
        assert_int_equal(world.order[i] / 28, i / 28);
    }
    assert_true(shuffled);
    assert_int_equal(world.faults.counts[FAULTS_SHUFFLED], 2);
    batcher_close(world.batcher);
}

static void undone_blocks_give_back_or_lose_what_they_held(void **state)
{
    static struct world world;

    (void)state;
    world_open(&world, 2, "");
    add(&world, 56);
    for (int i = 0; i < 3; i++)
        block(&world); /* 42 messages; 14 wait */
    batcher_undo(world.batcher, 1);
    world.level = 1;
    uint64_t lost = world.faults.counts[FAULTS_UNDONE_LOST];
    uint64_t returned = world.faults.counts[FAULTS_UNDONE_RETURNED];
    assert_int_equal(lost + returned, 4);
    for (uint32_t m = 0; m < 56; m++)
        assert_int_equal(state_of(&world, m), m < 14   ? BATCHED_INCLUDED
                                              : m < 42 ? BATCHED_INJECTED
                                                       : BATCHED_PENDING);
    /* What waits again goes first, one operation for each key and block. */
    uint32_t before = world.included;
    for (int i = 0; i < 4; i++)
        assert_true(block(&world) <= 14);
    assert_int_equal(world.included - before, 7 * returned + 14);
    for (uint32_t i = before + 1; i < world.included; i++)
        assert_true(world.order[i] > world.order[i - 1]);
    for (uint32_t m = 0; m < 56; m++) {
        bool is_lost = world.seen[m] == 1 && m >= 14 && m < 42;
        assert_int_equal(state_of(&world, m), is_lost ? BATCHED_INJECTED : BATCHED_INCLUDED);
    }
    /* Undone again, what was lost stays lost, and all of it is forgotten in its time. */
    batcher_undo(world.batcher, 1);
    world.level = 1;
    for (int i = 0; i < BATCHER_LOST_LEVELS + 6; i++)
        block(&world);
    for (uint32_t m = 0; m < 56; m++)
        assert_null(batcher_find(world.batcher, &world.ids[m]));
    batcher_close(world.batcher);
}

/* A block that was begun and not made changes nothing. */
static void an_abandoned_block_is_made_again(void **state)
{
    static struct world world;
    const struct bytes *messages;

    (void)state;
    world_open(&world, 2, "duplicate=100%,delay=30%:1,seed=8");
    add(&world, 28);
    block(&world);
    batcher_make_operations(world.batcher, true);
    size_t begun = batcher_next_block(&messages, world.batcher);
    batcher_undo(world.batcher, world.level);
    assert_int_equal(batcher_next_block(&messages, world.batcher), begun);
    for (int i = 0; i < 12; i++)
        block(&world);
    for (uint32_t m = 0; m < 28; m++)
        assert_int_equal(world.seen[m], 2);
    batcher_close(world.batcher);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_list_is_read_and_written_back),
        cmocka_unit_test(every_field_refuses_what_it_cannot_be),
        cmocka_unit_test(decisions_follow_from_the_seed),
        cmocka_unit_test(percentages_are_what_happens),
        cmocka_unit_test(dropped_operations_free_their_key_and_never_come),
        cmocka_unit_test(delayed_operations_keep_their_key),
        cmocka_unit_test(duplicated_operations_come_twice),
        cmocka_unit_test(a_block_stays_as_large_as_a_block),
        cmocka_unit_test(shuffled_blocks_hold_the_same),
        cmocka_unit_test(undone_blocks_give_back_or_lose_what_they_held),
        cmocka_unit_test(an_abandoned_block_is_made_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
