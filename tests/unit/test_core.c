/* Whole cores in a lossless cluster in virtual time (core_world.h). Goal: what every node must do
 * when nothing goes wrong, and the few faults that concern one node's memory. */
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_node_commits_alone),
        cmocka_unit_test(four_nodes_commit_the_same),
        cmocka_unit_test(seven_nodes_commit_the_same),
        cmocka_unit_test(ten_and_thirteen_nodes_commit_the_same),
        cmocka_unit_test(unequal_stakes_commit_the_same),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
