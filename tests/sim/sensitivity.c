/* Do the checkers see anything? Each bug of SIM_BUG_TABLE is put in on purpose; within a number of
 * seeds one run must fail. And without a bug the same seeds must pass. Prints the seeds needed. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/sim/world.h"

#define SEEDS_MAX 60u

struct trial {
    enum sim_bug bug;
    const char *name;
    uint32_t faults;
};

#define BIT(fault) (1u << FAULT_##fault)
static const struct trial trials[] = {
    {BUG_VOTES, "votes kept in memory", BIT(CRASH) | BIT(EQUIVOCATE) | BIT(OUTLIERS)},
    {BUG_HEADERS, "own headers kept in memory", BIT(CRASH)},
    {BUG_SYNC, "sends before the sync", BIT(CRASH) | BIT(POWER) | BIT(SLOW_DISK)},
    {BUG_CERTIFICATES, "certificates kept in memory", BIT(CRASH) | BIT(POWER)},
    {BUG_LOG, "batches called durable too early", BIT(CRASH) | BIT(POWER) | BIT(SLOW_DISK)},
};

static struct world world;

static int run_child(const struct trial *trial, enum sim_bug bug, uint64_t seed)
{
    int status = 0;
    fflush(stdout);
    pid_t child = fork();

    CHECK(child >= 0);
    if (child == 0) {
        struct sim_options options = sim_options_default();
        options.seed = seed;
        options.bug = bug;
        options.faults_drawn = false;
        options.faults = trial->faults;
        options.check_every = 16;
        if (bug != BUG_NONE && freopen("/dev/null", "w", stderr) == NULL) _exit(1);
        world_open(&world, &options, NULL);
        world_play(&world);
        _exit(0);
    }
    CHECK(waitpid(child, &status, 0) == child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : FAILURE_CRASH;
}

static bool is_detected(const struct trial *trial)
{
    for (uint64_t seed = 1; seed <= SEEDS_MAX; seed++) {
        int code = run_child(trial, trial->bug, seed);
        if (code != FAILURE_SAFETY && code != FAILURE_LIVENESS && code != FAILURE_CRASH) continue;
        bool clean = run_child(trial, BUG_NONE, seed) == 0;
        printf("%-34s seed %llu: %s%s\n", trial->name, (unsigned long long)seed,
               code == FAILURE_SAFETY     ? "safety"
               : code == FAILURE_LIVENESS ? "liveness"
                                          : "crash",
               clean ? "" : ", but it fails without the bug too");
        return clean;
    }
    printf("%-34s not detected in %u seeds\n", trial->name, SEEDS_MAX);
    return false;
}

int main(void)
{
    bool good = true;

    for (size_t i = 0; i < sizeof trials / sizeof trials[0]; i++)
        good = is_detected(&trials[i]) && good;
    return good ? 0 : 1;
}
