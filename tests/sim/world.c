#include "tests/sim/world.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/crypto.h"

/* Client traffic goes on for so long after healing. */
#define HEALED_LOAD_US 3000000u

/* A hundred times what bad quartz does: 2 s in the longest runs. */
#define DRIFT_PPM_MAX 20000u

/* How often the goal of the liveness phase is looked at. */
#define PROGRESS_EVERY_US 50000u

static const struct world *running; /* for check_failed, which knows nothing else */

stake_t world_fault_budget(const struct world *world)
{
    return (world->committee.total - 1) / 3;
}

static void print_nodes(const struct world *world)
{
    for (authority_t i = 0; i < world->options.nodes; i++) {
        const struct sim_node *node = &world->nodes[i];
        struct core_status status;
        if (node->byzantine || !node->up) {
            fprintf(stderr, "  node %u: %s\n", i,
                    node->byzantine ? "Byzantine"
                    : node->dead    ? "dead"
                                    : "down");
            continue;
        }
        core_get_status(node->core, &status);
        fprintf(
            stderr,
            "  node %u: life %u%s round %llu quorum %llu anchor %llu gc %llu floor %llu seq %llu "
            "index %llu certified %llu suspended %llu missing %llu unnamed %llu%s%s\n",
            i, node->life, node->wiped ? " wiped" : "", (unsigned long long)status.round,
            (unsigned long long)status.quorum_round, (unsigned long long)status.anchor_round,
            (unsigned long long)status.gc_round, (unsigned long long)status.floor,
            (unsigned long long)status.ordering_sequence, (unsigned long long)status.preblock_index,
            (unsigned long long)status.certified_index, (unsigned long long)status.suspended,
            (unsigned long long)status.missing_batches, (unsigned long long)status.unnamed_bytes,
            status.ready ? "" : " not ready", status.syncing ? " syncing" : "");
    }
}

static void print_replay(const struct world *world)
{
    char text[1024];

    sim_options_text(text, sizeof text, &world->options);
    fprintf(stderr, "  at %llu.%06llu s%s, replay: sim %s\n",
            (unsigned long long)(world->now_us / 1000000),
            (unsigned long long)(world->now_us % 1000000), world->healed ? " (healed)" : "", text);
}

void world_fail(const struct world *world, enum world_failure failure, const char *format, ...)
{
    va_list arguments;

    fflush(stdout);
    fprintf(stderr, "sim: %s: ",
            failure == FAILURE_SAFETY     ? "SAFETY"
            : failure == FAILURE_LIVENESS ? "LIVENESS"
                                          : "CRASH");
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fprintf(stderr, "\n");
    print_replay(world);
    if (failure != FAILURE_CRASH) print_nodes(world);
    _exit((int)failure); /* no leak report on top of the failure */
}

void check_failed(const char *file, int line, const char *condition)
{
    fflush(stdout);
    fprintf(stderr, "sim: CRASH: %s:%d: check failed: %s\n", file, line, condition);
    if (running != NULL) print_replay(running);
    _exit(FAILURE_CRASH);
}

/* ---- opening --------------------------------------------------------------------------------- */

static void make_committee(struct world *world)
{
    struct random random = random_make(world->options.seed, 2);
    struct committee *committee = &world->committee;

    *committee = (struct committee){.epoch = 1, .count = world->options.nodes};
    for (size_t i = 0; i < sizeof committee->network; i++)
        committee->network[i] = (uint8_t)random_u64(&random);
    for (uint32_t i = 0; i < committee->count; i++) {
        struct secret_key unused;
        uint8_t seed[32];
        for (size_t b = 0; b < sizeof seed; b++)
            seed[b] = (uint8_t)random_u64(&random);
        crypto_key_pair(&committee->members[i].key, &world->keys[i], seed);
        seed[0] ^= 0xff;
        crypto_key_pair(&committee->members[i].network_key, &unused, seed);
        committee->members[i].stake =
            world->options.unequal > 0 ? (uint32_t)random_between(&random, 1, 5) : 1;
    }
    CHECK(committee_finish(committee) == OK);
    world->quorum = committee->total - (committee->total - 1) / 3;
}

static uint32_t dropped_tables(enum sim_bug bug)
{
    switch (bug) {
    case BUG_VOTES:
        return 1u << TABLE_VOTES | 1u << TABLE_HEADERS;
    case BUG_HEADERS:
        return 1u << TABLE_OWN_HEADERS;
    case BUG_ATTESTATIONS:
        return 1u << TABLE_ATTESTATIONS;
    case BUG_CERTIFICATES:
        return 1u << TABLE_CERTIFICATES;
    case BUG_NONE:
    case BUG_SYNC:
    case BUG_LOG:
    case BUG_GIVEN_UP:
    case BUG_ROT:
    case SIM_BUGS:
        return 0;
    }
    return 0;
}

static void prepare_nodes(struct world *world, void (*adjust)(struct core_parameters *))
{
    struct core_parameters parameters = core_parameters_default();

    parameters.stride = world->options.stride;
    parameters.fast = world->options.fast > 0;
    if (adjust != NULL) adjust(&parameters);
    for (authority_t i = 0; i < world->options.nodes; i++) {
        struct sim_node *node = &world->nodes[i];
        node->world = world;
        node->index = i;
        node->parameters = parameters;
        node->slow_disk = 1;
        if (sim_options_has(&world->options, FAULT_CLOCK))
            node->wall_skew_ms = (int64_t)random_below(&world->random, 1000) - 500;
        if (sim_options_has(&world->options, FAULT_DRIFT))
            node->drift_ppm =
                (int32_t)random_below(&world->random, 2 * DRIFT_PPM_MAX) - (int32_t)DRIFT_PPM_MAX;
        disk_open(&node->disk);
        node->disk.dropped_tables = dropped_tables(world->options.bug);
    }
}

void world_open(struct world *world,
                const struct sim_options *options,
                void (*adjust)(struct core_parameters *))
{
    memset(world, 0, sizeof *world);
    running = world;
    world->options = *options;
    sim_options_draw(&world->options);
    world->random = random_make(world->options.seed, 0);
    make_committee(world);
    registry_open(&world->registry);
    network_open(world);
    prepare_nodes(world, adjust);
    adversary_choose(world);
    for (authority_t i = 0; i < world->options.nodes; i++)
        if (world_is_honest(world, i)) node_start(&world->nodes[i]);
    adversary_start(world);
    clients_open(world);
    faults_open(world);
}

void world_close(struct world *world)
{
    for (authority_t i = 0; i < world->options.nodes; i++)
        node_close(&world->nodes[i]);
    adversary_close(world);
    queue_close(&world->queue);
    registry_close(&world->registry);
    checkers_close(&world->checkers);
    running = NULL;
}

/* ---- running --------------------------------------------------------------------------------- */

static void on_fault(struct world *world, const struct sim_event *event)
{
    if (event->flag) /* a connection that was cut is made again */
        network_set_up(world, event->node, event->peer, 1000);
    else
        faults_turn(world);
}

static void on_byzantine(struct world *world, const struct sim_event *event)
{
    struct link *link = &world->network.links[event->node][event->peer];

    if (event->kind == SIM_LINK) {
        link->seen_up = event->flag;
        link->seen = event->value;
    } else if (event->kind == SIM_BULK && network_accepts(world, event)) {
        adversary_bulk(world, event);
    } else if (event->kind == SIM_CONTROL && network_accepts(world, event)) {
        adversary_control(world, event);
    }
}

static void handle(struct world *world, const struct sim_event *event)
{
    struct sim_node *node = &world->nodes[event->node];

    switch (event->kind) {
    case SIM_CLIENT:
        clients_turn(world, event->node);
        return;
    case SIM_FAULT:
        on_fault(world, event);
        return;
    case SIM_ADVERSARY:
        adversary_turn(world, event);
        return;
    case SIM_STORE_FAULT:
        faults_turn_stores(world);
        return;
    case SIM_RESTART:
        if (!node->up && !node->dead && node->life == event->life) node_start(node);
        return;
    case SIM_CONTROL:
    case SIM_BULK:
    case SIM_TIMER:
    case SIM_STEP:
    case SIM_SYNC:
    case SIM_BATCH_SYNC:
    case SIM_LINK:
    case SIM_RESTORE:
    case SIM_STOP:
    case SIM_REPAIR:
        if (node->byzantine)
            on_byzantine(world, event);
        else
            node_handle(node, event);
        return;
    }
}

void world_run(struct world *world, uint64_t until_us)
{
    struct sim_event event;

    while (world->queue.count > 0 && world->queue.items[0].time_us <= until_us) {
        if (!queue_pop(&event, &world->queue)) break;
        CHECK(event.time_us >= world->now_us);
        world->now_us = event.time_us;
        world->events++;
        world_note(world, event.time_us ^ (uint64_t)event.kind << 60 ^ (uint64_t)event.node << 52 ^
                              (event.packet != NULL ? event.packet->fingerprint : 0));
        handle(world, &event);
        packet_unref(event.packet);
    }
    world->now_us = until_us;
}

void world_heal(struct world *world)
{
    world->healed = true;
    faults_heal(world);
}

void world_recover(struct world *world, uint64_t load_us)
{
    world_heal(world);
    uint64_t healed_us = world->now_us;
    world_run(world, healed_us + load_us);
    world->clients.stopped = true;
    uint64_t deadline = healed_us + (uint64_t)world->options.heal_seconds * 1000000;
    while (!check_progress_reached(world)) {
        if (world->now_us >= deadline) {
            check_progress_fail(world);
        }
        world_run(world, world->now_us + PROGRESS_EVERY_US);
    }
    world->checkers.recovered_us = world->now_us - healed_us;
    check_clients_end(world);
}

void world_play(struct world *world)
{
    world_run(world, (uint64_t)world->options.seconds * 1000000);
    world_recover(world, HEALED_LOAD_US);
}
