/* What must stay bounded whatever peers send, as the core itself counts it. */
#include "tests/sim/world.h"

/* Actions waiting for one sync: a turn's worth, many times over. */
#define HELD_MAX 100000u

void check_bounds_node(struct sim_node *node)
{
    struct core_status status;

    core_get_status(node->core, &status);
    if (status.suspended > SUSPENDED_MAX)
        world_fail(node->world, FAILURE_SAFETY, "node %u holds %llu suspended certificates",
                   node->index, (unsigned long long)status.suspended);
    if (status.unnamed_bytes > UNNAMED_BATCH_BYTES_MAX)
        world_fail(node->world, FAILURE_SAFETY, "node %u holds %llu unnamed bytes", node->index,
                   (unsigned long long)status.unnamed_bytes);
    if (node->held_count > HELD_MAX)
        world_fail(node->world, FAILURE_SAFETY, "node %u: %llu actions wait for a sync",
                   node->index, (unsigned long long)node->held_count);
}
