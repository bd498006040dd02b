/* Latency of each parameter set in message delays: seven nodes, a fixed delay, instant disks, a
 * batch for every header. The average over all vertices, from sending the header to ordering it,
 * must be within 0.15 of the closed forms for rounds of two delays (votes go to everybody):
 *
 *   Bullshark     anchors 2D, odd rounds 3D, the rest of even rounds 4D    (4 + 7 x 6 + 6 x 8) / 14
 * = 6.71 Shoal         anchors 2D, the rest 3D                                  (4 + 6 x 6) / 7
 * = 5.71 Shoal + fast  anchors D + 1, the rest 2D + 1                           (3 + 6 x 5) / 7
 * = 4.71 */
#include <stdio.h>

#include "tests/sim/world.h"

#define DELAY_US 100000u
#define SECONDS  125u

static struct world world;

/* Waits add to every round; they are kept at a hundredth of a delay. */
static void adjust(struct core_parameters *parameters)
{
    parameters->anchor_wait_us_min = 1000;
    parameters->header_delay_us_min = 1000;
}

static bool measure(const char *name, uint32_t stride, bool fast, double expected)
{
    struct sim_options options = sim_options_default();

    options.stride = stride;
    options.fast = fast;
    options.steady = true;
    options.faults_drawn = false;
    options.unequal = 0;
    options.delay_us_min = options.delay_us_mean = DELAY_US;
    options.sync_us_mean = 1;
    options.batches_per_minute = 600;
    options.batch_bytes = 1000;
    world_open(&world, &options, adjust);
    world_run(&world, (uint64_t)SECONDS * 1000000);
    const struct checkers *checkers = &world.checkers;
    if (checkers->latency_count < 1000)
        world_fail(&world, FAILURE_LIVENESS, "%s: only %llu vertices ordered", name,
                   (unsigned long long)checkers->latency_count);
    double average = (double)checkers->latency_sum_us / (double)checkers->latency_count / DELAY_US;
    bool close = average > expected - 0.15 && average < expected + 0.15;
    printf("%-13s %.2f delays (%.2f expected), %llu vertices%s\n", name, average, expected,
           (unsigned long long)checkers->latency_count, close ? "" : "  WRONG");
    world_close(&world);
    return close;
}

int main(void)
{
    bool good = measure("Bullshark", 2, false, 94.0 / 14);

    good = measure("Shoal", 1, false, 40.0 / 7) && good;
    good = measure("Shoal + fast", 1, true, 33.0 / 7) && good;
    return good ? 0 : 1;
}
