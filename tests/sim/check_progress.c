/* Progress: after healing, all honest nodes that are to live reach one state. They have the same
 * last pre-block, with its certificate, every batch that was sealed at a living node is executed,
 * and nothing is missing anywhere. Members that started from an old copy and met no signature that they do not
 * know are among them: they are where one is that was away for that long. */
#include <stdio.h>

#include "tests/sim/world.h"

static bool is_expected(const struct sim_node *node)
{
    return !node->byzantine && !node->dead;
}

static bool is_open(const struct world *world, uint64_t number)
{
    const struct sim_batch *batch = &world->registry.batches[number];
    const struct sim_node *author = &world->nodes[batch->author];
    bool owed = batch->certified ||
                (batch->accepted && is_expected(author) && disk_has_batch(&author->disk, number));

    return owed && batch->executed == 0;
}

static uint64_t batches_open(const struct world *world)
{
    uint64_t open = 0;

    for (uint64_t number = 0; number < world->registry.batches_count; number++)
        open += is_open(world, number);
    return open;
}

static void print_open(const struct world *world)
{

    for (uint64_t number = 0; number < world->registry.batches_count; number++) {
        const struct sim_batch *batch = &world->registry.batches[number];
        if (!is_open(world, number)) continue;
        fprintf(stderr, "  batch %llu of node %u, sealed at %llu ms, is open\n",
                (unsigned long long)number, batch->author,
                (unsigned long long)(batch->sealed_us / 1000));
        check_print_batch(world, batch);
    }
}

static bool nodes_agree(const struct world *world)
{
    for (authority_t i = 0; i < world->options.nodes; i++) {
        const struct sim_node *node = &world->nodes[i];
        struct core_status status;
        if (!is_expected(node)) continue;
        if (!node->up || node->wiped) return false;
        core_get_status(node->core, &status);
        if (node->delivered != world->checkers.preblocks_count) return false;
        if (status.preblock_index != world->checkers.preblocks_count) return false;
        if (status.certified_index != world->checkers.preblocks_count) return false;
        /* Batches that a Byzantine header names and nobody has stay missing until they are too old. */
        if (status.missing_batches > 0 && world->adversary.count == 0) return false;
        if (status.syncing || !status.ready) return false;
        if (!check_rot_is_repaired(node)) return false;
    }
    return true;
}

bool check_progress_reached(struct world *world)
{
    return nodes_agree(world) && batches_open(world) == 0;
}

void check_progress_fail(struct world *world)
{
    if (nodes_agree(world))
        check_clients_end(world); /* at rest, and something acknowledged is lost */
    print_open(world);
    world_fail(world, FAILURE_LIVENESS,
               "no common state %u s after healing: %llu pre-blocks, %llu batches open",
               world->options.heal_seconds, (unsigned long long)world->checkers.preblocks_count,
               (unsigned long long)batches_open(world));
}
