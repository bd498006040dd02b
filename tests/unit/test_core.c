/* Whole cores in a lossless cluster in virtual time (core_world.h). Goal: what every node must do
 * when nothing goes wrong, and the few faults that concern one node's memory. */
#include "consensus/core/wire.h"
#include "tests/unit/core_world.h"
#include "tests/unit/unit.h"

/* Everything delivered by two nodes at the same index is the same. */
static void assert_agree(const struct world *world, uint32_t nodes)
{
    for (uint32_t i = 1; i < nodes; i++) {
        uint64_t last = u64_min(world_delivered(world, 0), world_delivered(world, i));

        for (uint64_t index = 1; index <= last; index++) {
            struct digest a = world_preblock(world, 0, index);
            struct digest b = world_preblock(world, i, index);

            assert_memory_equal(a.bytes, b.bytes, sizeof a.bytes);
        }
    }
}

static void cluster_commits(uint32_t nodes, const uint32_t *stakes)
{
    struct world_options options = world_options_default(nodes);
    struct world *world;
    struct digest batches[60];
    uint32_t made = 0;

    options.stakes = stakes;
    world = world_open(&options);
    world_start_all(world);
    world_run(world, 100000);
    for (; made < 60; made++) {
        batches[made] = world_submit(world, made % nodes, 1000 + made);
        world_run(world, 20000);
    }
    world_run(world, 3000000);
    for (uint32_t i = 0; i < nodes; i++) {
        assert_null(world_alarm(world, i));
        assert_true(world_ready(world, i));
        for (uint32_t j = 0; j < made; j++) {
            assert_int_equal(world_executed(world, i, &batches[j]), 1);
        }
        assert_int_equal(world_certified(world, i), world_delivered(world, i));
        assert_int_equal(world_delivered(world, i), world_delivered(world, 0));
    }
    assert_agree(world, nodes);
    world_close(world);
}

static void one_node_commits_alone(void **state)
{
    (void)state;
    cluster_commits(1, NULL);
}

static void four_nodes_commit_the_same(void **state)
{
    (void)state;
    cluster_commits(4, NULL);
}

static void seven_nodes_commit_the_same(void **state)
{
    (void)state;
    cluster_commits(7, NULL);
}

static void ten_and_thirteen_nodes_commit_the_same(void **state)
{
    (void)state;
    cluster_commits(10, NULL);
    cluster_commits(13, NULL);
}

static void unequal_stakes_commit_the_same(void **state)
{
    static const uint32_t stakes[] = {7, 1, 5, 3, 3, 2, 4};

    (void)state;
    cluster_commits(7, stakes);
}

/* Submits one batch at each of the given nodes and runs until everybody had time to execute them.
 */
static void submit_round(struct world *world, struct digest *ret, uint32_t first, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        ret[i] = world_submit(world, first + i, 500);
        world_run(world, 15000);
    }
}

static void assert_executed(struct world *world,
                            uint32_t node,
                            const struct digest *batches,
                            uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        assert_int_equal(world_executed(world, node, &batches[i]), 1);
    }
}

/* Its batch reaches nobody by stream: they look for it when the header names it, and fetch it. */
static void hidden_batch_is_fetched(void **state)
{
    struct world_options options = world_options_default(4);
    struct world *world = world_open(&options);
    struct digest batch = {{7}};

    (void)state;
    world_start_all(world);
    world_run(world, 100000);
    world_store(world, 2, 2, &batch);
    world_run(world, 5000000);
    for (uint32_t i = 0; i < 4; i++)
        assert_executed(world, i, &batch, 1);
    assert_agree(world, 4);
    world_close(world);
}

/* f nodes stop; the others go on; started from their stores they catch up and take part again. */
static void stopped_node_catches_up(void **state)
{
    struct world_options options = world_options_default(4);
    struct world *world = world_open(&options);
    struct digest batches[200];

    (void)state;
    world_start_all(world);
    world_run(world, 100000);
    submit_round(world, batches, 0, 4);
    world_stop(world, 3);
    for (uint32_t i = 0; i < 60; i++)
        submit_round(world, batches + 4 + 3 * i, 0, 3);
    world_run(world, 1000000);
    for (uint32_t i = 0; i < 3; i++)
        assert_executed(world, i, batches, 184);
    world_start(world, 3, false);
    world_run(world, 6000000);
    assert_null(world_alarm(world, 3));
    assert_executed(world, 3, batches, 184);
    assert_int_equal(world_delivered(world, 3), world_delivered(world, 0));
    batches[184] = world_submit(world, 3, 600);
    world_run(world, 3000000);
    for (uint32_t i = 0; i < 4; i++)
        assert_executed(world, i, batches + 184, 1);
    assert_agree(world, 4);
    world_close(world);
}

/* A node that was away hears at once how far the others are, long before it has made what they have. */
static void node_that_is_behind_knows_how_far(void **state)
{
    struct world_options options = world_options_default(4);
    struct world *world = world_open(&options);
    struct core_status status;
    struct digest batches[3 * 60];

    (void)state;
    world_start_all(world);
    world_run(world, 100000);
    world_stop(world, 3);
    const uint64_t before = world_delivered(world, 3);
    for (uint32_t i = 0; i < 60; i++)
        submit_round(world, batches + 3 * i, 0, 3);
    world_run(world, 1000000);
    const uint64_t last = world_certified(world, 0);
    assert_true(last > before + 20);
    world_start(world, 3, false);
    core_get_status(world_core(world, 3), &status);
    assert_int_equal(status.network_index, status.preblock_index);
    world_run(world, 2 * options.delay_us + 1000);
    core_get_status(world_core(world, 3), &status);
    assert_int_equal(status.preblock_index, before);
    assert_int_equal(status.network_index, last);
    world_run(world, 6000000);
    core_get_status(world_core(world, 3), &status);
    assert_int_equal(status.preblock_index, last);
    assert_int_equal(status.network_index, last);
    world_close(world);
}

/* All lose their memory at once, in the middle of work. */
static void all_restart_at_once(void **state)
{
    struct world_options options = world_options_default(4);
    struct world *world = world_open(&options);
    struct digest batches[40];

    (void)state;
    world_start_all(world);
    world_run(world, 100000);
    for (uint32_t turn = 0; turn < 10; turn++) {
        for (uint32_t i = 0; i < 4; i++)
            batches[4 * turn + i] = world_submit(world, i, 500);
        world_run(world, 7000 + 1300 * turn);
        for (uint32_t i = 0; i < 4; i++)
            world_stop(world, i);
        world_start_all(world);
    }
    world_run(world, 10000000);
    for (uint32_t i = 0; i < 4; i++) {
        assert_null(world_alarm(world, i));
        assert_executed(world, i, batches, 40);
    }
    assert_agree(world, 4);
    world_close(world);
}

/* A wiped node signs nothing until it knows the floor, then replays everything and takes part
 * again. */
static void wiped_node_rejoins(void **state)
{
    struct world_options options = world_options_default(4);
    struct world *world = world_open(&options);
    struct core_status status;
    struct digest batches[44];

    (void)state;
    world_start_all(world);
    world_run(world, 100000);
    for (uint32_t i = 0; i < 10; i++)
        submit_round(world, batches + 4 * i, 0, 4);
    world_run(world, 1000000);
    world_stop(world, 1);
    world_wipe(world, 1);
    world_start(world, 1, true);
    world_run(world, 10000000);
    assert_null(world_alarm(world, 1));
    assert_true(world_ready(world, 1));
    core_get_status(world_core(world, 1), &status);
    assert_true(status.floor > 10);
    submit_round(world, batches + 40, 0, 4);
    world_run(world, 5000000);
    for (uint32_t i = 0; i < 4; i++)
        assert_executed(world, i, batches, 44);
    core_get_status(world_core(world, 1), &status);
    assert_true(status.round > status.floor);
    assert_agree(world, 4);
    world_close(world);
}

/* Two halves without a quorum make nothing; healed, they go on where they were. */
static void partition_heals(void **state)
{
    struct world_options options = world_options_default(4);
    struct world *world = world_open(&options);
    struct digest batches[8];
    uint64_t before;

    (void)state;
    world_start_all(world);
    world_run(world, 100000);
    submit_round(world, batches, 0, 4);
    world_run(world, 1000000);
    before = world_delivered(world, 0);
    for (uint32_t a = 0; a < 2; a++) {
        for (uint32_t b = 2; b < 4; b++)
            world_cut(world, a, b, true);
    }
    submit_round(world, batches + 4, 0, 4);
    world_run(world, 20000000);
    assert_int_equal(world_delivered(world, 0), before);
    for (uint32_t a = 0; a < 2; a++) {
        for (uint32_t b = 2; b < 4; b++)
            world_cut(world, a, b, false);
    }
    world_run(world, 5000000);
    for (uint32_t i = 0; i < 4; i++)
        assert_executed(world, i, batches, 8);
    assert_agree(world, 4);
    world_close(world);
}

/* Attestations are lost: nobody can tell whether the others execute what is ordered, so after a while
 * no more payload is named. Nothing is lost of what waited meanwhile. */
static void nothing_is_named_while_preblocks_are_not_certified(void **state)
{
    struct world_options options = world_options_default(4);
    struct world *world = world_open(&options);
    struct digest batches[4 * 150];

    (void)state;
    world_start_all(world);
    world_run(world, 100000);
    const uint64_t before = world_certified(world, 0);
    world_lose(world, WIRE_ATTESTATION);
    for (uint32_t turn = 0; turn < 150; turn++)
        submit_round(world, batches + 4 * turn, 0, 4);
    assert_in_range(world_delivered(world, 0) - before, UNCERTIFIED_PREBLOCKS_MAX,
                    UNCERTIFIED_PREBLOCKS_MAX + 8);
    world_lose(world, 0);
    world_run(world, 10000000);
    for (uint32_t i = 0; i < 4; i++)
        assert_executed(world, i, batches, 4 * 150);
    assert_agree(world, 4);
    world_close(world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_node_commits_alone),
        cmocka_unit_test(four_nodes_commit_the_same),
        cmocka_unit_test(seven_nodes_commit_the_same),
        cmocka_unit_test(ten_and_thirteen_nodes_commit_the_same),
        cmocka_unit_test(unequal_stakes_commit_the_same),
        cmocka_unit_test(hidden_batch_is_fetched),
        cmocka_unit_test(stopped_node_catches_up),
        cmocka_unit_test(node_that_is_behind_knows_how_far),
        cmocka_unit_test(all_restart_at_once),
        cmocka_unit_test(wiped_node_rejoins),
        cmocka_unit_test(partition_heals),
        cmocka_unit_test(nothing_is_named_while_preblocks_are_not_certified),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
