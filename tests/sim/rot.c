#include "tests/sim/rot.h"

#include "tests/sim/perform.h"
#include "tests/sim/world.h"

/* Half of the strikes hit something this young: what others may still ask for. */
#define YOUNG_BATCHES   40u
#define YOUNG_ROUNDS    20u

#define REPAIR_EVERY_US 300000u
#define REPAIR_CIRCLES  3u /* after which the core hears of it; the asking goes on */
#define ASKED_SHIFT     48 /* how often, above the batch's number in the event */
#define REJOIN_US_MAX   1000000u

/* ---- strikes --------------------------------------------------------------------------------- */

/* How far below the top of `count` things the strike hits. */
static size_t draw_depth(struct sim_node *node, size_t count, size_t young)
{
    struct random *random = &node->world->faults.store_random;
    bool any = random_chance(random, 500000);

    return (size_t)random_below(random, any || young > count ? count : young);
}

static void rot_batch(struct sim_node *node)
{
    struct registry *registry = &node->world->registry;
    size_t held = 0;

    for (uint64_t number = 0; number < registry->batches_count; number++)
        held += disk_has_batch(&node->disk, number);
    if (held == 0) return;
    size_t depth = draw_depth(node, held, YOUNG_BATCHES);
    uint64_t number = registry->batches_count - 1;
    for (;; number--) {
        if (!disk_has_batch(&node->disk, number)) continue;
        if (depth-- == 0) break;
    }
    disk_rot_batch(&node->disk, number);
    node->rotten = true;
    node->world->faults.rotten_batches++;
    /* If nobody else has it, it is lost. */
    struct sim_batch *batch = registry_batch(registry, number);
    if (batch->author == node->index && !batch->certified) batch->accepted = false;
}

static void rot_row(struct sim_node *node)
{
    struct table *rows = &node->disk.tables[TABLE_CERTIFICATES];
    struct random *random = &node->world->faults.store_random;

    if (rows->count == 0) return;
    size_t depth = draw_depth(node, rows->count, YOUNG_ROUNDS * node->world->options.nodes);
    size_t position = rows->count - 1 - depth;
    size_t len = table_value(rows, position).len;
    table_rot(rows, position, random_below(random, len), (uint8_t)(1u << random_below(random, 8)));
    node->rotten = true;
    node->world->faults.rotten_rows++;
}

void rot_strike(struct sim_node *node)
{
    if (random_chance(&node->world->faults.store_random, 700000))
        rot_batch(node);
    else
        rot_row(node);
}

/* ---- batches --------------------------------------------------------------------------------- */

/* `after` had its turn before. */
static void ask_later(struct sim_node *node,
                      uint64_t batch,
                      uint64_t asked,
                      authority_t after,
                      uint64_t delay_us)
{
    uint32_t count = node->world->options.nodes;
    authority_t peer = (authority_t)((after + 1u) % count);

    if (peer == node->index) peer = (authority_t)((peer + 1u) % count);
    queue_push(&node->world->queue, (struct sim_event){.time_us = node->world->now_us + delay_us,
                                                       .kind = SIM_REPAIR,
                                                       .node = (uint8_t)node->index,
                                                       .peer = (uint8_t)peer,
                                                       .life = node->life,
                                                       .value = asked << ASKED_SHIFT | batch});
}

void rot_notice(struct sim_node *node, uint64_t batch)
{
    disk_lose_batch(&node->disk, batch);
    node->world->faults.noticed++;
    ask_later(node, batch, 0, node->index, 0);
}

void rot_repair(struct sim_node *node, const struct sim_event *event)
{
    const uint64_t number = event->value & ((UINT64_C(1) << ASKED_SHIFT) - 1);
    const uint64_t asked = event->value >> ASKED_SHIFT;
    const struct sim_batch *batch = registry_batch(&node->world->registry, number);

    if (!disk_batch_is_lost(&node->disk, number)) return;
    if (asked == REPAIR_CIRCLES * (node->world->options.nodes - 1u))
        node_lose_batch(node, &batch->digest);
    node_want_batch(node, event->peer, &batch->digest);
    ask_later(node, number, asked + 1, event->peer, REPAIR_EVERY_US);
}

/* ---- rows ------------------------------------------------------------------------------------ */

void rot_give_up_store(struct sim_node *node)
{
    struct world *world = node->world;

    node_wipe(node);
    world->faults.stores_given_up++;
    queue_push(
        &world->queue,
        (struct sim_event){.time_us = world->now_us +
                                      random_between(&world->faults.store_random, 1, REJOIN_US_MAX),
                           .kind = SIM_RESTART,
                           .node = (uint8_t)node->index,
                           .life = node->life});
}
