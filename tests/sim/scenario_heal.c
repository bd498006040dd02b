/* How soon commits resume when a network heals that had no quorum on either side. Fixed delays, instant disks; members
 * 0 .. F are cut off from the others, at instants all over a round, for a short and for a long time:
 *
 *   connections broken   they are made again at healing, and on each everybody sends its state at once
 *   messages lost        the connections survive: the next retransmission is due within RETRY_US_MAX
 *
 * Counted is from the healing (where messages were lost: from RETRY_US_MAX later) until every member has ordered an
 * anchor that nobody had ordered before, in message delays. BOUND_DELAYS is what docs/protocol.md states. */
#include <stdio.h>
#include <stdlib.h>

#include "tests/sim/world.h"

#define DELAY_US     20000u
#define WARM_US      3000000u
#define INSTANTS     8u
#define RETRY_US_MAX 5000000u
#define BOUND_DELAYS 16.0

static struct world world;

static void adjust(struct core_parameters *parameters)
{
    parameters->anchor_wait_us_min = 1000;
    parameters->header_delay_us_min = 1000;
}

static void open_world(uint32_t nodes, uint32_t stride, bool fast)
{
    struct sim_options options = sim_options_default();

    options.nodes = nodes;
    options.stride = stride;
    options.fast = fast;
    options.steady = true;
    options.faults_drawn = false;
    options.unequal = 0;
    options.prune = 0;
    options.delay_us_min = options.delay_us_mean = DELAY_US;
    options.sync_us_mean = 1;
    options.batches_per_minute = 600;
    options.batch_bytes = 1000;
    world_open(&world, &options, adjust);
}

static bool are_apart(authority_t a, authority_t b)
{
    const uint32_t side = (world.options.nodes - 1) / 3 + 1;

    return (a < side) != (b < side);
}

/* Cuts, or mends what was cut. */
static void set_cut(bool cut, bool breaks)
{
    for (authority_t a = 0; a < world.options.nodes; a++)
        for (authority_t b = 0; b < world.options.nodes; b++) {
            if (!are_apart(a, b)) continue;
            world.network.links[a][b].blocked = cut;
            if (!breaks || a > b) continue;
            if (cut)
                network_set_down(&world, a, b, DELAY_US);
            else
                network_set_up(&world, a, b, DELAY_US);
        }
}

static uint64_t sequence_of(authority_t node)
{
    struct core_status status;

    core_get_status(world.nodes[node].core, &status);
    return status.ordering_sequence;
}

/* Every member has ordered more than the furthest had before. */
static bool all_go_on(uint64_t before)
{
    for (authority_t i = 0; i < world.options.nodes; i++)
        if (sequence_of(i) <= before) return false;
    return true;
}

/* From healing until all go on, us. */
static uint64_t heal_after(uint64_t instant_us, uint64_t cut_us, bool breaks)
{
    uint64_t before = 0;

    world_run(&world, WARM_US + instant_us);
    set_cut(true, breaks);
    world_run(&world, world.now_us + cut_us);
    for (authority_t i = 0; i < world.options.nodes; i++)
        before = u64_max(before, sequence_of(i));
    uint64_t settled = before;
    world_run(&world, world.now_us + 1000000);
    for (authority_t i = 0; i < world.options.nodes; i++)
        settled = u64_max(settled, sequence_of(i));
    if (settled > before)
        world_fail(&world, FAILURE_SAFETY, "heal: %llu anchors are ordered without a quorum",
                   (unsigned long long)(settled - before));
    uint64_t healed_us = world.now_us;
    set_cut(false, breaks);
    while (!all_go_on(before)) {
        if (world.now_us > healed_us + 60000000)
            world_fail(&world, FAILURE_LIVENESS, "heal: nothing is ordered in a minute");
        world_run(&world, world.now_us + 1000);
    }
    return world.now_us - healed_us;
}

static bool measure(uint32_t nodes, uint32_t stride, bool fast, bool breaks)
{
    static const uint64_t cuts_us[] = {1000000, 16000000};
    uint64_t slowest_us = 0;

    for (size_t c = 0; c < 2; c++)
        for (uint64_t i = 0; i < INSTANTS; i++) {
            open_world(nodes, stride, fast);
            uint64_t us = heal_after(i * 2 * DELAY_US / INSTANTS, cuts_us[c], breaks);
            slowest_us = u64_max(slowest_us, us);
            world_close(&world);
        }
    const double waits_us = breaks ? 0 : RETRY_US_MAX;
    const double delays = ((double)slowest_us - waits_us) / DELAY_US;
    const bool good = delays <= BOUND_DELAYS;
    printf("n = %-2u stride %u%s  %-19s slowest %6.0f ms%s%5.1f delays%s\n", nodes, stride,
           fast ? " fast" : "     ", breaks ? "connections broken" : "messages lost",
           (double)slowest_us / 1000, breaks ? " = " : ", past the longest retry ", delays,
           good ? "" : "  TOO SLOW");
    return good;
}

int main(void)
{
    bool good = true;

    for (uint32_t nodes = 4; nodes <= 7; nodes += 3)
        for (int rule = 0; rule < 3; rule++)
            for (int breaks = 0; breaks < 2; breaks++)
                good = measure(nodes, rule == 0 ? 2 : 1, rule == 2, breaks) && good;
    return good ? 0 : FAILURE_LIVENESS;
}
