/* Latency in steady runs: how long after its header was first sent a vertex is ordered, summed over
 * all vertices and all nodes. The first rounds, when nodes still connect, do not count. */
#include "consensus/core/ordering_record.h"
#include "tests/sim/world.h"

#define WARM_UP_US 5000000u

void check_latency_ordering(struct sim_node *node, struct bytes value)
{
    struct world *world = node->world;
    struct ordering_record record;
    struct ordering_vertex vertex;

    CHECK(ordering_record_open(&record, value) == OK);
    struct ordering_cursor cursor = ordering_record_begin(&record);
    while (ordering_record_next(&cursor, &vertex)) {
        const struct known_header *header = registry_find(&world->registry, &vertex.ref.digest);
        CHECK(header != NULL);
        if (header->sent_us < WARM_UP_US) continue;
        world->checkers.latency_sum_us += world->now_us - header->sent_us;
        world->checkers.latency_count++;
    }
}
