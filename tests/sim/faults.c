#include "tests/sim/faults.h"

#include "tests/sim/old_copy.h"
#include "tests/sim/rot.h"
#include "tests/sim/world.h"

static void schedule(struct world *world)
{
    uint64_t delay = random_exponential(&world->faults.random, world->faults.mean_us) + 1000;

    queue_push(&world->queue,
               (struct sim_event){.time_us = world->now_us + delay, .kind = SIM_FAULT});
}

/* What strikes stores has a timer of its own. */
#define STORE_BLOWS (1u << FAULT_OLD_COPY | 1u << FAULT_ROT)

static void schedule_stores(struct world *world)
{
    uint64_t delay =
        random_exponential(&world->faults.store_random, world->faults.store_mean_us) + 1000;

    queue_push(&world->queue,
               (struct sim_event){.time_us = world->now_us + delay, .kind = SIM_STORE_FAULT});
}

void faults_open(struct world *world)
{
    struct faults *faults = &world->faults;

    faults->random = random_make(world->options.seed, 4);
    faults->mean_us = random_between(&faults->random, 200, 3000) * 1000;
    if (world->options.faults != 0) schedule(world);
    faults->store_random = random_make(world->options.seed, 7);
    faults->store_mean_us = random_between(&faults->store_random, 200, 2000) * 1000;
    if ((world->options.faults & STORE_BLOWS) != 0) schedule_stores(world);
}

/* ---- members --------------------------------------------------------------------------------- */

static struct sim_node *pick_honest(struct world *world)
{
    for (;;) {
        authority_t i = (authority_t)random_below(&world->faults.random, world->options.nodes);
        if (world_is_honest(world, i)) return &world->nodes[i];
    }
}

bool faults_fit(const struct world *world, const struct sim_node *node)
{
    struct authority_set faulty = {0};

    for (authority_t i = 0; i < world->options.nodes; i++) {
        const struct sim_node *other = &world->nodes[i];
        if (other->byzantine || other->dead || other->wiped || other->restored || other->rotten)
            authority_set_add(&faulty, i);
    }
    authority_set_add(&faulty, node->index);
    return committee_stake(&world->committee, &faulty) <= world_fault_budget(world);
}

static void restart_after(struct world *world, const struct sim_node *node, uint64_t delay)
{
    queue_push(&world->queue, (struct sim_event){.time_us = world->now_us + delay,
                                                 .kind = SIM_RESTART,
                                                 .node = (uint8_t)node->index,
                                                 .life = node->life});
}

static void restart_later(struct world *world, const struct sim_node *node, uint64_t longest_us)
{
    restart_after(world, node, random_between(&world->faults.random, 1, longest_us));
}

static void crash(struct world *world, struct sim_node *node)
{
    if (!node->up) return;
    uint64_t longest = random_chance(&world->faults.random, 300000) ? 10000000 : 500000;
    node_crash(node);
    restart_later(world, node, longest);
    world->faults.crashes++;
}

static void power_loss(struct world *world)
{
    uint64_t longest = random_chance(&world->faults.random, 500000) ? 3000000 : 1000;

    world->faults.power_losses++;
    for (authority_t i = 0; i < world->options.nodes; i++) {
        struct sim_node *node = &world->nodes[i];
        if (!node->up) continue;
        node_crash(node);
        restart_later(world, node, longest);
    }
}

static void wipe(struct world *world, struct sim_node *node)
{
    if (!node->up || node->wiped || !faults_fit(world, node)) return;
    node_wipe(node);
    restart_later(world, node, 2000000);
    world->faults.wipes++;
}

static void kill_for_good(struct world *world, struct sim_node *node)
{
    if (!node->up || !faults_fit(world, node) || random_chance(&world->faults.random, 700000))
        return;
    node_crash(node);
    node->dead = true;
}

static void jump_clock(struct world *world, struct sim_node *node)
{
    node->wall_skew_ms = (int64_t)random_below(&world->faults.random, 3000) - 1500;
}

/* ---- links ----------------------------------------------------------------------------------- */

static void unblock(struct world *world)
{
    for (authority_t a = 0; a < world->options.nodes; a++)
        for (authority_t b = 0; b < world->options.nodes; b++)
            world->network.links[a][b].blocked = false;
}

static void begin_partition(struct world *world, bool one_way)
{
    struct faults *faults = &world->faults;
    uint32_t side = (uint32_t)random_u64(&faults->random);
    bool hears = random_chance(&faults->random, 500000);
    bool breaks = !one_way && random_chance(&faults->random, 500000);

    if (one_way) side = 1u << random_below(&faults->random, world->options.nodes);
    unblock(world);
    faults->partition_until_us = world->now_us + random_between(&faults->random, 100000, 8000000);
    faults->partitions++;
    for (authority_t a = 0; a < world->options.nodes; a++)
        for (authority_t b = 0; b < world->options.nodes; b++) {
            if (a == b || (side >> a & 1) == (side >> b & 1)) continue;
            if (one_way && (side >> a & 1) == hears) continue;
            world->network.links[a][b].blocked = true;
            if (breaks && a < b) network_set_down(world, a, b, 500000);
        }
}

static void slow_links(struct world *world, bool one_node)
{
    struct faults *faults = &world->faults;
    authority_t node = (authority_t)random_below(&faults->random, world->options.nodes);
    uint32_t factor = (uint32_t)random_between(&faults->random, 2, 20);

    for (authority_t a = 0; a < world->options.nodes; a++)
        for (authority_t b = 0; b < world->options.nodes; b++) {
            bool chosen =
                one_node ? a == node || b == node : random_chance(&faults->random, 100000);
            world->network.links[a][b].slow = chosen ? factor : 1;
        }
}

static void flap(struct world *world)
{
    struct faults *faults = &world->faults;
    authority_t a = (authority_t)random_below(&faults->random, world->options.nodes);
    authority_t b = (authority_t)random_below(&faults->random, world->options.nodes);

    if (a == b) return;
    network_set_down(world, a, b, random_between(&faults->random, 0, 100000));
}

/* Broken connections are made again after a while. */
static void reconnect(struct world *world)
{
    for (authority_t a = 0; a < world->options.nodes; a++)
        for (authority_t b = (authority_t)(a + 1); b < world->options.nodes; b++)
            if (!world->network.links[b][a].blocked && !world->network.links[a][b].blocked &&
                random_chance(&world->faults.random, 500000))
                network_set_up(world, a, b, random_between(&world->faults.random, 1000, 300000));
}

/* ---- the turn -------------------------------------------------------------------------------- */

static void inject(struct world *world, enum sim_fault fault)
{
    switch (fault) {
    case FAULT_PARTITION:
        begin_partition(world, false);
        return;
    case FAULT_ONE_WAY:
        begin_partition(world, true);
        return;
    case FAULT_SLOW_LINK:
        slow_links(world, false);
        return;
    case FAULT_SLOW_NODE:
        slow_links(world, true);
        return;
    case FAULT_LINKS:
        flap(world);
        return;
    case FAULT_CRASH:
        crash(world, pick_honest(world));
        return;
    case FAULT_POWER:
        if (random_chance(&world->faults.random, 300000)) power_loss(world);
        return;
    case FAULT_WIPE:
        wipe(world, pick_honest(world));
        return;
    case FAULT_DEAD:
        kill_for_good(world, pick_honest(world));
        return;
    case FAULT_CLOCK:
        jump_clock(world, pick_honest(world));
        return;
    case FAULT_SLOW_DISK:
        pick_honest(world)->slow_disk = (uint32_t)random_between(&world->faults.random, 1, 50);
        return;
    case FAULT_LOSS:
    case FAULT_DUPLICATE:
    case FAULT_REORDER:
    case FAULT_OUTLIERS:
    case FAULT_BULK:
    case FAULT_EQUIVOCATE:
    case FAULT_WITHHOLD:
    case FAULT_SILENT:
    case FAULT_JUNK:
    case FAULT_DRIFT:
    case FAULT_OLD_COPY:
    case FAULT_ROT:
    case SIM_FAULTS:
        return; /* elsewhere */
    }
}

/* Faults that are single blows; the others are at work all the time. */
#define BLOWS                                                                                      \
    (1u << FAULT_PARTITION | 1u << FAULT_ONE_WAY | 1u << FAULT_SLOW_LINK | 1u << FAULT_SLOW_NODE | \
     1u << FAULT_LINKS | 1u << FAULT_CRASH | 1u << FAULT_POWER | 1u << FAULT_WIPE |                \
     1u << FAULT_DEAD | 1u << FAULT_CLOCK | 1u << FAULT_SLOW_DISK)

void faults_turn(struct world *world)
{
    struct faults *faults = &world->faults;
    uint32_t allowed = world->options.faults & BLOWS;

    if (world->healed) return;
    schedule(world);
    if (world->now_us >= faults->partition_until_us) unblock(world);
    reconnect(world);
    if (allowed == 0) return;
    for (uint64_t skip = random_below(&faults->random, (unsigned)__builtin_popcount(allowed));
         skip > 0; skip--)
        allowed &= allowed - 1;
    inject(world, (enum sim_fault)__builtin_ctz(allowed));
}

/* ---- stores ---------------------------------------------------------------------------------- */

/* A member whose store may be struck; NULL when the one drawn may not. */
static struct sim_node *pick_store(struct world *world)
{
    authority_t i = (authority_t)random_below(&world->faults.store_random, world->options.nodes);
    struct sim_node *node = &world->nodes[i];

    return node->byzantine || node->dead || !faults_fit(world, node) ? NULL : node;
}

static void strike_with_old_copy(struct world *world, struct sim_node *node)
{
    struct random *random = &world->faults.store_random;

    if (!node->old_copy.taken || random_chance(random, 300000)) {
        old_copy_take(node);
        return;
    }
    old_copy_put_back(node);
    restart_after(world, node, random_between(random, 1, 500000));
}

void faults_turn_stores(struct world *world)
{
    struct random *random = &world->faults.store_random;
    bool copies = sim_options_has(&world->options, FAULT_OLD_COPY);
    bool rots = sim_options_has(&world->options, FAULT_ROT);

    if (world->healed) return;
    schedule_stores(world);
    struct sim_node *node = pick_store(world);
    bool rot = !copies || (rots && random_chance(random, 500000));
    if (node == NULL) return;
    if (rot)
        rot_strike(node);
    else
        strike_with_old_copy(world, node);
}

void faults_heal(struct world *world)
{
    network_heal(world);
    for (authority_t i = 0; i < world->options.nodes; i++) {
        struct sim_node *node = &world->nodes[i];
        node->slow_disk = 1;
        node->wall_skew_ms /= 10;
        if (!node->byzantine && !node->dead && !node->up) restart_later(world, node, 1000000);
    }
}
