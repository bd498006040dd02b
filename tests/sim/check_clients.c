/* No lost acknowledgement: at the end, every batch that a client was told is certified is in a
 * pre-block that all honest nodes have. `committed` is told from delivered pre-blocks, which
 * agreement keeps. */
#include <stdio.h>

#include "tests/sim/world.h"

void check_print_batch(const struct world *world, const struct sim_batch *batch)
{
    for (size_t round = 0; round < world->registry.rounds_capacity; round++)
        for (const struct known_header *header = world->registry.rounds[round]; header != NULL;
             header = header->next_in_round)
            for (uint32_t i = 0; i < header->payload_count; i++) {
                if (!digest_equal(&header->payload[i], &batch->digest)) continue;
                fprintf(
                    stderr,
                    "  named by %u@%llu at %llu ms, stake of votes %llu, ordered by record %llu\n",
                    header->author, (unsigned long long)header->round,
                    (unsigned long long)(header->sent_us / 1000), (unsigned long long)header->stake,
                    (unsigned long long)header->ordered);
            }
}

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
    check_print_batch(world, batch);
    world_fail(
        world, FAILURE_SAFETY,
        "%llu batches acknowledged as certified are lost; the first, %llu, was sealed at node %u"
        " at %llu ms",
        (unsigned long long)lost, (unsigned long long)first, batch->author,
        (unsigned long long)(batch->sealed_us / 1000));
}
