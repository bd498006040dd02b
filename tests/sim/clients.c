#include "tests/sim/clients.h"

#include "common/crypto.h"
#include "tests/sim/world.h"

/* One batch in so many is also given to another member. */
#define SHARED_PPM 30000u

static void schedule(struct world *world, authority_t node)
{
    uint64_t mean_us = 60000000 / world->options.batches_per_minute;
    uint64_t delay =
        world->options.steady ? mean_us : random_exponential(&world->clients.random, mean_us) + 1;

    queue_push(&world->queue, (struct sim_event){.time_us = world->now_us + delay,
                                                 .kind = SIM_CLIENT,
                                                 .node = (uint8_t)node});
}

void clients_open(struct world *world)
{
    world->clients.random = random_make(world->options.seed, 3);
    for (authority_t node = 0; node < world->options.nodes; node++)
        if (world_is_honest(world, node)) schedule(world, node);
}

uint64_t clients_seal(struct world *world, authority_t node)
{
    struct clients *clients = &world->clients;
    uint64_t words[2] = {world->registry.batches_count, world->options.seed};
    uint64_t least = world->options.batch_bytes / 2 + 2;
    struct sim_batch batch = {.author = node, .sealed_us = world->now_us};

    crypto_hash_one(&batch.digest, words, sizeof words);
    batch.bytes =
        (uint32_t)u64_min(random_between(&clients->random, least, 3 * least), BATCH_BYTES_MAX);
    batch.transactions = (uint32_t)random_between(&clients->random, 1, 1 + batch.bytes / 100);
    batch.created_at =
        u64_max(node_wall_ms(&world->nodes[node]), clients->last_created_at[node] + 1);
    clients->last_created_at[node] = batch.created_at;
    return registry_add_batch(&world->registry, &batch);
}

void clients_turn(struct world *world, authority_t index)
{
    struct sim_node *node = &world->nodes[index];
    struct clients *clients = &world->clients;

    if (clients->stopped) return;
    schedule(world, index);
    if (!node->up || core_is_pressed(node->core)) return;
    uint64_t batch = clients_seal(world, index);
    clients->submitted++;
    node_submit(node, batch);
    if (!random_chance(&clients->random, SHARED_PPM) || world->options.steady) return;
    struct sim_node *other = &world->nodes[random_below(&clients->random, world->options.nodes)];
    if (!other->byzantine && other->up && other != node) node_submit(other, batch);
}
