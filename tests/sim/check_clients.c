/* No lost acknowledgement: at the end, every batch that a client was told is certified is in a
 * pre-block that all honest nodes have. `committed` is told from delivered pre-blocks, which
 * agreement keeps. */
#include "tests/sim/world.h"

void check_clients_end(struct world *world)
{
    uint64_t lost = 0, first = 0;

    for (uint64_t number = 0; number < world->registry.batches_count; number++) {
        const struct sim_batch *batch = &world->registry.batches[number];
        if (!batch->certified || batch->executed != 0) continue;
        if (lost++ == 0) first = number;
    }
    if (lost == 0) return;
    const struct sim_batch *batch = &world->registry.batches[first];
    world_fail(
        world, FAILURE_SAFETY,
        "%llu batches acknowledged as certified are lost; the first, %llu, was sealed at node %u"
        " at %llu ms",
        (unsigned long long)lost, (unsigned long long)first, batch->author,
        (unsigned long long)(batch->sealed_us / 1000));
}
