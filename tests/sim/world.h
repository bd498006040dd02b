/* The simulated world: every part of a run, and the loop that drives it.
 *
 *     queue --> world_run --> node (driver around a real core) --> disk, network
 *                        \--> clients, faults, adversary
 *     every action that leaves a node, and every durable record, passes the checkers
 *
 * Honest members run the production core over a simulated disk, network and clock. Byzantine
 * members have no core: the adversary speaks for them, and may look at everything that was ever
 * sent. */
#ifndef TESTS_SIM_WORLD_H
#define TESTS_SIM_WORLD_H

#include "common/committee.h"
#include "consensus/core/core.h"
#include "tests/sim/adversary.h"
#include "tests/sim/checkers.h"
#include "tests/sim/clients.h"
#include "tests/sim/faults.h"
#include "tests/sim/network.h"
#include "tests/sim/node.h"
#include "tests/sim/options.h"
#include "tests/sim/queue.h"
#include "tests/sim/random.h"
#include "tests/sim/registry.h"

/* Wall clock at simulated time 0, ms since the Unix epoch. */
#define WORLD_WALL_MS 1700000000000ull

enum world_failure { FAILURE_CRASH = 3, FAILURE_SAFETY = 4, FAILURE_LIVENESS = 5 };

/* Lets a scenario decide about a message: the delay in us, or one of the two below. */
#define ROUTE_DROP  UINT64_MAX
#define ROUTE_USUAL (UINT64_MAX - 1)
typedef uint64_t world_route(struct world *world,
                             authority_t from,
                             authority_t to,
                             const struct packet *packet);

struct world {
    struct sim_options options;
    struct random random; /* network and disks */
    struct queue queue;
    uint64_t now_us;
    uint64_t trace_hash; /* of everything that happened */
    uint64_t events;     /* handled */
    uint64_t steps;      /* of cores */
    struct committee committee;
    stake_t quorum; /* N - F, by the simulator's own arithmetic */
    struct secret_key keys[SIM_NODES_MAX];
    struct sim_node nodes[SIM_NODES_MAX];
    struct network network;
    struct registry registry;
    struct clients clients;
    struct faults faults;
    struct adversary adversary;
    struct checkers checkers;
    bool healed;        /* the liveness phase has begun */
    world_route *route; /* may be NULL */
    void *route_context;
};

/* Builds the committee, draws the rest of the options and starts every node at time 0. `adjust`,
 * when not NULL, may change the core parameters of the honest nodes. */
void world_open(struct world *world,
                const struct sim_options *options,
                void (*adjust)(struct core_parameters *parameters));
void world_close(struct world *world);

/* Handles events until the clock reaches `until_us`. */
void world_run(struct world *world, uint64_t until_us);

/* Stops every fault that can stop, and brings every member back that is to come back. */
void world_heal(struct world *world);

/* The liveness phase: heals, lets clients go on for `load_us`, and demands that all reach one state.
 * Fails the process when they do not. */
void world_recover(struct world *world, uint64_t load_us);

/* A full run: safety phase, healing, liveness phase. Fails the process when a promise is broken. */
void world_play(struct world *world);

/* Stake that members with faults (Byzantine, dead, without memory) may hold together: F. */
stake_t world_fault_budget(const struct world *world);

/* Prints the reason, the options to replay and the state of the nodes, and ends the process. */
_Noreturn void world_fail(const struct world *world,
                          enum world_failure failure,
                          const char *format,
                          ...) __attribute__((format(printf, 3, 4)));

/* Folds a value into the trace hash. */
static inline void world_note(struct world *world, uint64_t value)
{
    uint64_t hash = (world->trace_hash ^ value) * 0x9fb21c651e98df25ull;
    world->trace_hash = hash ^ hash >> 29;
}

/* True for members that run a core. */
static inline bool world_is_honest(const struct world *world, authority_t node)
{
    return !world->nodes[node].byzantine;
}

#endif
