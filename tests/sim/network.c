#include "tests/sim/network.h"

#include "tests/sim/world.h"

/* Bulk streams carry this many bytes a second on top of the link's delay. */
#define BULK_BYTES_PER_MS 100000u

static struct link *pair(struct world *world, authority_t a, authority_t b)
{
    return &world->network.links[a < b ? a : b][a < b ? b : a];
}

static void post_news(struct world *world, authority_t node, authority_t peer, uint64_t at_us)
{
    struct link *link = &world->network.links[node][peer];
    const struct link *both = pair(world, node, peer);

    link->news_us = u64_max(link->news_us, at_us);
    queue_push(&world->queue, (struct sim_event){.time_us = link->news_us,
                                                 .kind = SIM_LINK,
                                                 .node = (uint8_t)node,
                                                 .peer = (uint8_t)peer,
                                                 .flag = both->up,
                                                 .life = world->nodes[node].life,
                                                 .value = both->number});
}

static bool is_alive(const struct world *world, authority_t node)
{
    return world->nodes[node].byzantine || world->nodes[node].up;
}

void network_set_up(struct world *world, authority_t a, authority_t b, uint64_t after_us)
{
    struct link *both = pair(world, a, b);

    if (both->up || !is_alive(world, a) || !is_alive(world, b)) return;
    both->up = true;
    both->number++;
    uint64_t at_us =
        u64_max(world->network.links[a][b].news_us, world->network.links[b][a].news_us);
    at_us = u64_max(at_us, world->now_us + after_us);
    post_news(world, a, b, at_us);
    post_news(world, b, a, at_us);
}

void network_set_down(struct world *world, authority_t a, authority_t b, uint64_t after_us)
{
    struct link *both = pair(world, a, b);

    if (!both->up) return;
    both->up = false;
    both->number++;
    post_news(world, a, b, world->now_us + after_us);
    post_news(world, b, a, world->now_us + after_us * random_between(&world->random, 1, 10));
}

void network_open(struct world *world)
{
    for (authority_t a = 0; a < world->options.nodes; a++)
        for (authority_t b = 0; b < world->options.nodes; b++)
            world->network.links[a][b].slow = 1;
}

void network_node_down(struct world *world, authority_t node)
{
    for (authority_t peer = 0; peer < world->options.nodes; peer++) {
        if (peer == node) continue;
        network_set_down(world, node, peer, random_between(&world->random, 1000, 50000));
        world->network.links[node][peer].seen_up = false;
    }
}

void network_node_up(struct world *world, authority_t node)
{
    for (authority_t peer = 0; peer < world->options.nodes; peer++) {
        if (peer == node) continue;
        uint64_t after = world->options.steady
                             ? 1
                             : random_between(&world->random, 1, 3 * world->options.delay_us_mean);
        world->network.links[node][peer].news_us = world->now_us;
        network_set_up(world, node, peer, after);
    }
}

void network_heal(struct world *world)
{
    for (authority_t a = 0; a < world->options.nodes; a++)
        for (authority_t b = 0; b < world->options.nodes; b++) {
            world->network.links[a][b].blocked = false;
            world->network.links[a][b].slow = 1;
            if (a < b) network_set_up(world, a, b, random_between(&world->random, 1000, 100000));
        }
}

bool network_accepts(const struct world *world, const struct sim_event *event)
{
    const struct link *link = &world->network.links[event->node][event->peer];

    return link->seen_up && link->seen == event->value &&
           (world->nodes[event->node].byzantine || world->nodes[event->node].up);
}

static uint64_t draw_delay(struct world *world, const struct link *link)
{
    const struct sim_options *options = &world->options;

    if (options->steady) return options->delay_us_min;
    uint64_t spread = options->delay_us_mean - options->delay_us_min;
    uint64_t delay = options->delay_us_min;
    if (spread > 0) delay += random_exponential(&world->random, spread);
    if (world->healed) return delay;
    if (sim_options_has(options, FAULT_OUTLIERS) && random_chance(&world->random, 10000))
        delay *= random_between(&world->random, 5, 25);
    return delay * link->slow;
}

/* Puts one copy on its way. */
static void launch(struct world *world,
                   authority_t from,
                   authority_t to,
                   struct packet *packet,
                   bool bulk,
                   uint64_t delay)
{
    struct link *link = &world->network.links[to][from];
    bool ordered = bulk || !sim_options_has(&world->options, FAULT_REORDER) || world->healed;
    uint64_t at_us = world->now_us + delay;

    if (ordered) {
        at_us = u64_max(at_us, link->last_us[bulk]);
        link->last_us[bulk] = at_us;
    }
    queue_push(&world->queue, (struct sim_event){.time_us = at_us,
                                                 .kind = bulk ? SIM_BULK : SIM_CONTROL,
                                                 .node = (uint8_t)to,
                                                 .peer = (uint8_t)from,
                                                 .life = world->nodes[to].life,
                                                 .value = world->network.links[from][to].seen,
                                                 .packet = packet_ref(packet)});
}

static bool is_lost(struct world *world, const struct link *link, bool bulk)
{
    if (link->blocked) return true;
    if (world->healed || world->options.steady) return false;
    enum sim_fault fault = bulk ? FAULT_BULK : FAULT_LOSS;
    return sim_options_has(&world->options, fault) && random_chance(&world->random, 20000);
}

void network_send(struct world *world,
                  authority_t from,
                  authority_t to,
                  struct packet *packet,
                  bool bulk)
{
    struct link *link = &world->network.links[to][from];
    uint64_t delay = ROUTE_USUAL;

    CHECK(from != to);
    CHECK(to < world->options.nodes);
    world->network.sent++;
    if (!world->network.links[from][to].seen_up) return;
    if (world->route != NULL && !bulk) delay = world->route(world, from, to, packet);
    if (delay == ROUTE_DROP || (delay == ROUTE_USUAL && is_lost(world, link, bulk))) {
        world->network.lost++;
        return;
    }
    if (delay == ROUTE_USUAL) delay = draw_delay(world, link);
    if (bulk && packet->batch != UINT64_MAX && !world->options.steady)
        delay += registry_batch(&world->registry, packet->batch)->bytes / BULK_BYTES_PER_MS * 1000;
    launch(world, from, to, packet, bulk, delay);
    if (!bulk && !world->healed && sim_options_has(&world->options, FAULT_DUPLICATE) &&
        random_chance(&world->random, 20000))
        launch(world, from, to, packet, bulk, draw_delay(world, link));
}
