/* sim: runs the deterministic simulator for one seed or many. See --help. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "tests/sim/world.h"

static const char help[] =
    "usage: sim [--seed S | --seeds A..B] [options]\n"
    "Runs whole networks of production cores over a simulated network, disk and clock: a phase "
    "with faults,\n"
    "then healing and a demand for progress. Exit: 0 all kept, 2 usage, 3 crash, 4 safety, 5 "
    "liveness.\n"
    "  --seed S        the seed (1)               --seeds A..B    all of them, both ends included\n"
    "  --nodes N       members (7)                --seconds T     simulated safety phase (20)\n"
    "  --heal T        limit of liveness (60)     --twice         each seed twice, traces must be "
    "equal\n"
    "  --stride 1|2    commit rule                --fast 0|1      commit on Q first headers too\n"
    "  --unequal 0|1   stakes 1..5                --faults LIST   all, none, drawn, or names with "
    "commas\n"
    "  --prune 0|1     forget what checkpoints allow\n"
    "  --bug NAME      put a bug in on purpose    --check N       core_check every N steps, 0 "
    "never (1)\n"
    "  --rate N        batches a minute and node  --bytes N       of a batch\n"
    "  --delay-min US --delay-mean US --sync US   message delay and disk sync\n"
    "  --trace LIST    print the trace of nodes   --verbose       one line for each seed\n"
    "Faults: "
#define FAULT_HELP(name, text) text " "
    SIM_FAULT_TABLE(FAULT_HELP)
#undef FAULT_HELP
        "\nBugs: "
#define BUG_HELP(name, text) text " "
    SIM_BUG_TABLE(BUG_HELP)
#undef BUG_HELP
        "\n";

struct totals {
    uint64_t seeds, events, steps, simulated_us, recovered_us_max, vertices, preblocks, crashes;
    uint64_t power_losses, wipes, restores, partitions, twins;
    uint64_t old_copies, alarms, rotten_batches, rotten_rows, noticed, repaired, stores_given_up;
};

static struct world world;

static void add_totals(struct totals *totals)
{
    totals->seeds++;
    totals->events += world.events;
    totals->steps += world.steps;
    totals->simulated_us += world.now_us;
    totals->recovered_us_max = u64_max(totals->recovered_us_max, world.checkers.recovered_us);
    totals->vertices += world.checkers.vertices_ordered;
    totals->preblocks += world.checkers.preblocks_count;
    totals->crashes += world.faults.crashes;
    totals->power_losses += world.faults.power_losses;
    totals->wipes += world.faults.wipes;
    totals->restores += world.faults.restores;
    totals->partitions += world.faults.partitions;
    totals->twins += world.adversary.twins;
    totals->old_copies += world.faults.old_copies;
    totals->alarms += world.faults.alarms;
    totals->rotten_batches += world.faults.rotten_batches;
    totals->rotten_rows += world.faults.rotten_rows;
    totals->noticed += world.faults.noticed;
    totals->repaired += world.faults.repaired;
    totals->stores_given_up += world.faults.stores_given_up;
}

static uint64_t play(const struct sim_options *options, struct totals *totals)
{
    world_open(&world, options, NULL);
    world_play(&world);
    add_totals(totals);
    if (options->verbose) {
        char text[1024];
        sim_options_text(text, sizeof text, &world.options);
        printf("%016llx pre-blocks %llu recovered %llu ms: %s\n",
               (unsigned long long)world.trace_hash,
               (unsigned long long)world.checkers.preblocks_count,
               (unsigned long long)(world.checkers.recovered_us / 1000), text);
    }
    uint64_t hash = world.trace_hash;
    world_close(&world);
    return hash;
}

static double wall_seconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void print_totals(const struct totals *totals, double seconds)
{
    printf("%llu runs, %.0f simulated s in %.1f s (%.0fx), %llu events, %llu core steps, "
           "%llu vertices, %llu pre-blocks\n",
           (unsigned long long)totals->seeds, (double)totals->simulated_us / 1e6, seconds,
           (double)totals->simulated_us / 1e6 / seconds, (unsigned long long)totals->events,
           (unsigned long long)totals->steps, (unsigned long long)totals->vertices,
           (unsigned long long)totals->preblocks);
    printf("%llu crashes, %llu power losses, %llu wipes, %llu starts from a checkpoint, %llu "
           "partitions, %llu twin headers; "
           "slowest recovery %.2f s\n",
           (unsigned long long)totals->crashes, (unsigned long long)totals->power_losses,
           (unsigned long long)totals->wipes, (unsigned long long)totals->restores,
           (unsigned long long)totals->partitions, (unsigned long long)totals->twins,
           (double)totals->recovered_us_max / 1e6);
    printf("%llu old copies, %llu alarms, %llu rotten batches, %llu of them read, %llu repaired, "
           "%llu rotten rows, %llu stores given up\n",
           (unsigned long long)totals->old_copies, (unsigned long long)totals->alarms,
           (unsigned long long)totals->rotten_batches, (unsigned long long)totals->noticed,
           (unsigned long long)totals->repaired, (unsigned long long)totals->rotten_rows,
           (unsigned long long)totals->stores_given_up);
}

/* "A..B", divided by SIM_SEEDS percent when that is set, for slow builds. */
static bool parse_range(uint64_t *ret_first, uint64_t *ret_last, const char *text)
{
    char *end = NULL;
    unsigned long long first = strtoull(text, &end, 10);

    if (end == text || end[0] != '.' || end[1] != '.') return false;
    const char *second = end + 2;
    unsigned long long last = strtoull(second, &end, 10);
    if (end == second || *end != '\0' || last < first) return false;
    const char *scale = getenv("SIM_SEEDS");
    if (scale != NULL && atoi(scale) > 0)
        last = first + (last - first + 1) * (unsigned)atoi(scale) / 100;
    *ret_first = first;
    *ret_last = last;
    return true;
}

int main(int count, char **arguments)
{
    struct sim_options options = sim_options_default();
    struct totals totals = {0};
    uint64_t first = 0, last = 0;
    bool many = false, twice = false;

    for (int i = 1; i < count;) {
        if (strcmp(arguments[i], "--help") == 0) {
            fputs(help, stdout);
            return 0;
        }
        int used = sim_options_parse(&options, count - i, arguments + i);
        if (used == 0 && strcmp(arguments[i], "--twice") == 0) {
            twice = true;
            used = 1;
        } else if (used == 0 && strcmp(arguments[i], "--seeds") == 0 && i + 1 < count) {
            many = parse_range(&first, &last, arguments[i + 1]);
            used = many ? 2 : 0;
        }
        if (used == 0) fprintf(stderr, "sim: '%s' is not understood, see --help\n", arguments[i]);
        if (used <= 0) return 2;
        i += used;
    }
    if (!many) first = last = options.seed;
    double began = wall_seconds();
    for (uint64_t seed = first; seed <= last; seed++) {
        options.seed = seed;
        uint64_t hash = play(&options, &totals);
        if (twice && play(&options, &totals) != hash)
            world_fail(&world, FAILURE_SAFETY, "seed %llu: two runs differ",
                       (unsigned long long)seed);
    }
    print_totals(&totals, wall_seconds() - began);
    return 0;
}
