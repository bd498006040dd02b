#include "tests/sim/old_copy.h"

#include "tests/sim/world.h"

void old_copy_take(struct sim_node *node)
{
    disk_close(&node->old_copy.disk);
    node->old_copy = (struct old_copy){.taken = true,
                                       .wiped = node->wiped,
                                       .delivered = node->delivered,
                                       .given_up = node->given_up};
    disk_copy(&node->old_copy.disk, &node->disk);
    node_note_life(node, "its store is copied");
}

/* What was accepted since the copy was made, and is not certified, may be lost. */
static void give_up_forgotten(struct sim_node *node)
{
    struct registry *registry = &node->world->registry;

    for (uint64_t number = 0; number < registry->batches_count; number++) {
        struct sim_batch *batch = registry_batch(registry, number);

        if (batch->author != node->index || batch->certified) continue;
        if (!disk_has_batch(&node->disk, number)) batch->accepted = false;
    }
}

void old_copy_put_back(struct sim_node *node)
{
    struct old_copy copy = node->old_copy;

    CHECK(copy.taken);
    CHECK(!node->dead);
    if (node->up) node_crash(node);
    node->old_copy = (struct old_copy){0};
    disk_close(&node->disk);
    node->disk = copy.disk;
    node->wiped = copy.wiped;
    node->delivered = copy.delivered;
    node->ordered = 0;
    node->given_up = copy.given_up;
    node->restored = true;
    give_up_forgotten(node);
    node->world->faults.old_copies++;
    node_note_life(node, "its store is an old copy");
}
