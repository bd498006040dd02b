/* Blows that chance seldom strikes, each of them followed by healing and the demand for progress:
 *
 *   power    all members lose power at once, at every instant of a round at which anything happens;
 *            of what was written and not synced, everything is kept, nothing, or a part
 *   crash    one member crashes at every instant of a round, so that it forgets in every state
 *   restarts every member in turn, over and over, without a pause
 *   wipes    every member in turn loses its store and rejoins
 *   absence  F members are away for thousands of rounds and come back, with their store or without
 *   old-copies  the stores of up to F members are copied at every instant of a round, and put back a few rounds
 *            later, or hundreds; members that went on until then, or stopped soon after the copy, have forgotten
 *            what they signed
 *
 * The checkers watch as in any other run. Every run is a function of its number. */
#include <stdio.h>
#include <stdlib.h>

#include "tests/sim/old_copy.h"
#include "tests/sim/world.h"

#define WARM_US        500000u
#define ROUND_US       30000u  /* a round and a little more at the delays below */
#define LOAD_US        300000u /* clients go on for so long */
#define ABSENT_SECONDS 60u
#define ABSENT_ROUNDS  1500u
#define FEW_ROUNDS     5u
#define MANY_ROUNDS    (4u * GC_DEPTH)
#define CUT_ROUNDS     (8u * GC_DEPTH) /* peers that forget do not have them any more */

static struct world world;
static bool verbose;
static unsigned every = 1; /* of the instants, one in so many is tried */
static enum sim_bug bug = BUG_NONE;
static bool prune; /* members forget all that checkpoints allow */

static void open_world(uint32_t nodes, uint64_t seed)
{
    struct sim_options options = sim_options_default();

    options.seed = seed;
    options.nodes = nodes;
    options.seconds = 1;
    options.stride = seed % 3 == 0 ? 2 : 1;
    options.fast = seed % 3 == 1;
    options.unequal = 0;
    options.prune = prune;
    options.faults_drawn = false;
    options.bug = bug;
    options.delay_us_min = 4000;
    options.delay_us_mean = 6000;
    options.sync_us_mean = 2000;
    options.batches_per_minute = 600;
    options.batch_bytes = 1000;
    world_open(&world, &options, NULL);
}

static void restart_after(const struct sim_node *node, uint64_t delay_us)
{
    queue_push(&world.queue, (struct sim_event){.time_us = world.now_us + delay_us,
                                                .kind = SIM_RESTART,
                                                .node = (uint8_t)node->index,
                                                .life = node->life});
}

/* Heals, demands progress, and says how long it took. */
static uint64_t finish(void)
{
    world_recover(&world, LOAD_US);
    uint64_t recovered_us = world.checkers.recovered_us;
    world_close(&world);
    return recovered_us;
}

/* ---- every instant ------------------------------------------------------------------------------ */

/* Runs to the instant with this number; false when the round is over before. */
static bool run_to_instant(uint64_t number)
{
    world_run(&world, WARM_US);
    for (uint64_t i = 0; i < number; i++)
        world_run(&world, world.queue.items[0].time_us);
    return world.now_us < WARM_US + ROUND_US;
}

static void power(authority_t unused)
{
    (void)unused;
    for (authority_t i = 0; i < world.options.nodes; i++) {
        node_crash(&world.nodes[i]);
        restart_after(&world.nodes[i], 1000 + 500 * (uint64_t)i);
    }
}

static void crash(authority_t victim)
{
    node_crash(&world.nodes[victim]);
    restart_after(&world.nodes[victim], 20000);
}

static void at_every_instant(const char *name, void (*blow)(authority_t victim), uint32_t nodes)
{
    static const enum disk_keeps keeps[] = {DISK_KEEPS_NOTHING, DISK_KEEPS_ALL, DISK_KEEPS_SOME};
    uint64_t slowest_us = 0;
    uint64_t blows = 0;
    uint64_t blows_before = UINT64_MAX;

    for (uint64_t number = 0; blows != blows_before; number += every) {
        blows_before = blows;
        for (unsigned rule = 0; rule < 3; rule++) {
            uint64_t kept = (rule + number / every) % 3;

            open_world(nodes, rule);
            if (!run_to_instant(number)) {
                world_close(&world);
                continue;
            }
            if (verbose)
                fprintf(stderr, "%s: instant %llu, %llu us, rule %u, kept %u\n", name,
                        (unsigned long long)number, (unsigned long long)world.now_us, rule,
                        (unsigned)keeps[kept]);
            for (authority_t i = 0; i < nodes; i++)
                world.nodes[i].disk.keeps = keeps[kept];
            blow((authority_t)(number / every % nodes));
            slowest_us = u64_max(slowest_us, finish());
            blows++;
        }
    }
    printf("%-8s n = %-2u %llu blows, slowest recovery %.2f s\n", name, nodes,
           (unsigned long long)blows, (double)slowest_us / 1e6);
}

/* ---- in turn ------------------------------------------------------------------------------------ */

static bool is_back(const struct sim_node *node)
{
    return node->up && !node->wiped;
}

static void in_turn(const char *name, bool wipe, uint32_t nodes, uint32_t turns)
{
    uint64_t deadline;

    open_world(nodes, nodes);
    world_run(&world, WARM_US);
    for (uint32_t i = 0; i < turns * nodes; i++) {
        struct sim_node *node = &world.nodes[i % nodes];

        if (wipe)
            node_wipe(node);
        else
            node_crash(node);
        restart_after(node, 10000);
        deadline = world.now_us + 20000000;
        do {
            if (world.now_us >= deadline)
                world_fail(&world, FAILURE_LIVENESS, "%s: node %u is not back after 20 s", name,
                           i % nodes);
            world_run(&world, world.now_us + 20000);
        } while (!is_back(node));
    }
    uint64_t recovered_us = finish();
    printf("%-8s n = %-2u %u blows, recovery %.2f s\n", name, nodes, turns * nodes,
           (double)recovered_us / 1e6);
}

/* ---- absence ------------------------------------------------------------------------------------ */

/* Peers that forget have only a checkpoint for who was away; else every round is caught up with. */
static void absence(bool wipe, uint32_t nodes, bool forget)
{
    uint32_t away = (nodes - 1) / 3;
    struct core_status status;

    prune = forget;
    open_world(nodes, nodes);
    world_run(&world, WARM_US);
    for (uint32_t i = 0; i < away; i++)
        node_crash(&world.nodes[i]);
    world_run(&world, ABSENT_SECONDS * 1000000u);
    core_get_status(world.nodes[away].core, &status);
    if (status.quorum_round < ABSENT_ROUNDS)
        world_fail(&world, FAILURE_LIVENESS, "only %llu rounds without %u members",
                   (unsigned long long)status.quorum_round, away);
    for (uint32_t i = 0; i < away; i++) {
        if (wipe) node_wipe(&world.nodes[i]);
        restart_after(&world.nodes[i], 1000);
    }
    world_recover(&world, LOAD_US);
    if (world.faults.restores != (forget ? away : 0))
        world_fail(&world, FAILURE_LIVENESS, "%llu starts from a checkpoint, %u members were away",
                   (unsigned long long)world.faults.restores, away);
    printf("absence  n = %-2u %u members for %llu rounds, %s, %s: recovery %.2f s\n", nodes, away,
           (unsigned long long)status.quorum_round, wipe ? "stores lost" : "stores kept",
           forget ? "checkpoint" : "all rounds", (double)world.checkers.recovered_us / 1e6);
    world_close(&world);
}

/* ---- old copies --------------------------------------------------------------------------------- */

struct old_copies {
    uint64_t runs, restored, alarms, from_checkpoints, slowest_us;
};

static round_t round_of(const struct sim_node *node)
{
    struct core_status status;

    core_get_status(node->core, &status);
    return status.quorum_round;
}

static void run_to_round(const struct sim_node *witness, round_t round)
{
    while (round_of(witness) < round) {
        if (world.now_us > 60000000)
            world_fail(&world, FAILURE_LIVENESS, "old-copies: not at round %llu in a minute",
                       (unsigned long long)round);
        world_run(&world, world.now_us + 1000);
    }
}

/* `count` members from `first` on go on for `awake` rounds, and start again from what their stores were `rounds`
 * rounds ago. */
static void go_back(struct old_copies *totals,
                    authority_t first,
                    uint32_t count,
                    uint64_t awake,
                    uint64_t rounds)
{
    const struct sim_node *witness = &world.nodes[(first + count) % world.options.nodes];
    round_t begin = round_of(witness);
    struct sim_node *members[SIM_NODES_MAX];

    for (uint32_t i = 0; i < count; i++) {
        members[i] = &world.nodes[(first + i) % world.options.nodes];
        old_copy_take(members[i]);
    }
    run_to_round(witness, begin + awake);
    for (uint32_t i = 0; i < count && awake < rounds; i++)
        node_crash(members[i]);
    run_to_round(witness, begin + rounds);
    for (uint32_t i = 0; i < count; i++) {
        old_copy_put_back(members[i]);
        restart_after(members[i], 1000 + 3000 * (uint64_t)i);
    }
    world_recover(&world, LOAD_US);
    totals->runs++;
    totals->restored += world.faults.old_copies;
    totals->alarms += world.faults.alarms;
    totals->from_checkpoints += world.faults.restores;
    totals->slowest_us = u64_max(totals->slowest_us, world.checkers.recovered_us);
    world_close(&world);
}

/* Who did not stop with an alarm is where everybody is, or the run had failed. Who went on until its old copy
 * was put back is shown what it signed since, and stops; of who stopped soon after the copy nobody remembers
 * anything, and it takes part again. */
static void old_copies(uint32_t nodes, uint64_t awake, uint64_t rounds, bool forget)
{
    struct old_copies totals = {0};
    uint64_t runs_before = UINT64_MAX;

    prune = forget;
    for (uint64_t number = 0; totals.runs != runs_before; number += every) {
        runs_before = totals.runs;
        for (unsigned rule = 0; rule < 3; rule++) {
            open_world(nodes, rule);
            if (!run_to_instant(number)) {
                world_close(&world);
                continue;
            }
            uint32_t count = 1 + (uint32_t)(number / every + rule) % ((nodes - 1) / 3);
            go_back(&totals, (authority_t)(number / every % nodes), count, awake, rounds);
        }
    }
    uint64_t caught_up = totals.restored - totals.alarms;
    printf("old copy n = %-2u %llu runs, %llu rounds back, %llu forgotten%s: %llu members, %llu "
           "stopped with an "
           "alarm, %llu caught up, %llu from a checkpoint, slowest recovery %.2f s\n",
           nodes, (unsigned long long)totals.runs, (unsigned long long)rounds,
           (unsigned long long)awake, forget ? ", checkpoint" : "",
           (unsigned long long)totals.restored, (unsigned long long)totals.alarms,
           (unsigned long long)caught_up, (unsigned long long)totals.from_checkpoints,
           (double)totals.slowest_us / 1e6);
    if (awake == rounds ? totals.alarms < totals.restored
                        : caught_up == 0 || (forget && totals.from_checkpoints == 0)) {
        fprintf(stderr, "scenario_blows: that is not how these members were to end\n");
        exit(FAILURE_SAFETY);
    }
}

static const char help[] =
    "Usage: scenario_blows WHAT [--every N] [--bug headers|votes|...] [--verbose]\n"
    "WHAT: power, crash, turns, absence, old-copies. --every N: one instant in N (1). SIM_SEEDS "
    "(percent) "
    "scales it.\n";

static int play(const char *what)
{
    if (strcmp(what, "power") == 0) {
        at_every_instant("power", power, 7);
    } else if (strcmp(what, "crash") == 0) {
        at_every_instant("crash", crash, 4);
    } else if (strcmp(what, "turns") == 0) {
        in_turn("restarts", false, 7, 10);
        in_turn("wipes", true, 7, 3);
        in_turn("wipes", true, 4, 3);
    } else if (strcmp(what, "absence") == 0) {
        for (int forget = 0; forget < 2; forget++) {
            absence(false, 7, forget);
            absence(true, 7, forget);
            absence(true, 4, forget);
        }
    } else if (strcmp(what, "old-copies") == 0) {
        for (uint32_t nodes = 4; nodes <= 7; nodes += 3) {
            old_copies(nodes, FEW_ROUNDS, FEW_ROUNDS, false);
            old_copies(nodes, MANY_ROUNDS, MANY_ROUNDS, true);
            old_copies(nodes, 1, MANY_ROUNDS, false);
            old_copies(nodes, 1, CUT_ROUNDS, true);
        }
    } else {
        fprintf(stderr, "scenario_blows: '%s' is not known, see --help\n", what);
        return 2;
    }
    return 0;
}

int main(int count, char **arguments)
{
    const char *scale = getenv("SIM_SEEDS");
    struct sim_options options = sim_options_default();

    for (int i = 2; i < count;) {
        int used = sim_options_parse(&options, count - i, arguments + i);

        if (strcmp(arguments[i], "--verbose") == 0) verbose = true;
        if (strcmp(arguments[i], "--every") == 0 && i + 1 < count) {
            every = (unsigned)atoi(arguments[i + 1]);
            used = 2;
        }
        if (used <= 0 || every == 0) return 2;
        i += used;
    }
    if (count < 2 || strcmp(arguments[1], "--help") == 0) {
        fputs(help, count < 2 ? stderr : stdout);
        return count < 2 ? 2 : 0;
    }
    bug = options.bug;
    if (scale != NULL && atoi(scale) > 0 && atoi(scale) < 100)
        every *= 100u / (unsigned)atoi(scale);
    return play(arguments[1]);
}
