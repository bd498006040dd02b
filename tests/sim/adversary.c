#include "tests/sim/adversary.h"

#include "common/codec.h"
#include "common/crypto.h"
#include "consensus/core/wire.h"
#include "tests/sim/junk.h"
#include "tests/sim/world.h"

#define BYZANTINE_FAULTS \
    (1u << FAULT_EQUIVOCATE | 1u << FAULT_WITHHOLD | 1u << FAULT_SILENT | 1u << FAULT_JUNK)

/* The mind does not name batches of others when ordering lags so far that they might be executed
 * long before the header is: the dedup window is a promise to honest authors only. */
#define NAMING_LAG_MAX 30u

/* ---- choosing -------------------------------------------------------------------------------- */

void adversary_choose(struct world *world)
{
    struct adversary *adversary = &world->adversary;
    struct authority_set faulty = {0};

    adversary->random = random_make(world->options.seed, 5);
    for (authority_t i = 0; i < world->options.nodes; i++) {
        if (!(world->options.byzantine >> i & 1)) continue;
        world->nodes[i].byzantine = true;
        adversary->members[adversary->count++] = i;
        adversary->passive = true;
    }
    if (adversary->passive) return;
    if (!(world->options.faults & BYZANTINE_FAULTS)) return;
    uint64_t wanted = random_between(&adversary->random, 1, world->options.nodes / 3 + 1);
    for (uint64_t attempt = 0; attempt < 4 * wanted && adversary->count < wanted; attempt++) {
        authority_t i = (authority_t)random_below(&adversary->random, world->options.nodes);
        struct authority_set with = faulty;
        authority_set_add(&with, i);
        if (world->nodes[i].byzantine ||
            committee_stake(&world->committee, &with) > world_fault_budget(world))
            continue;
        faulty = with;
        world->nodes[i].byzantine = true;
        adversary->members[adversary->count++] = i;
    }
}

static void schedule(struct world *world)
{
    queue_push(&world->queue,
               (struct sim_event){.time_us = world->now_us + 1000 + world->options.delay_us_min / 2,
                                  .kind = SIM_ADVERSARY});
}

void adversary_start(struct world *world)
{
    struct adversary *adversary = &world->adversary;

    if (adversary->count == 0) return;
    for (uint32_t i = 0; i < adversary->count; i++) {
        authority_t member = adversary->members[i];
        adversary->victims[member] = (uint32_t)random_u64(&adversary->random);
        for (authority_t peer = 0; peer < world->options.nodes; peer++)
            network_set_up(world, member, peer == member ? adversary->members[0] : peer, 1000);
    }
    if (!adversary->passive) schedule(world);
}

void adversary_close(struct world *world)
{
    for (size_t i = 0; i < ADVERSARY_REPLAYS; i++)
        packet_unref(world->adversary.replays[i]);
}

/* ---- sending --------------------------------------------------------------------------------- */

static bool has(const struct world *world, enum sim_fault fault)
{
    return sim_options_has(&world->options, fault);
}

/* Sends to the nodes of the set, without those the member withholds from. */
static void send_to(struct world *world, authority_t member, uint32_t nodes, struct packet *packet)
{
    uint32_t victims = has(world, FAULT_WITHHOLD) ? world->adversary.victims[member] : 0;

    if (world->adversary.silent_until_us[member] > world->now_us) return;
    for (authority_t peer = 0; peer < world->options.nodes; peer++)
        if (peer != member && (nodes & ~victims) >> peer & 1)
            network_send(world, member, peer, packet, false);
}

void adversary_vote(struct world *world,
                    authority_t voter,
                    const struct known_header *header,
                    uint32_t nodes)
{
    uint8_t body[1 + VOTE_BYTES] = {WIRE_VOTE};
    struct vote vote = {
        .header = header->digest, .round = header->round, .author = header->author, .voter = voter};
    struct writer writer = writer_make(body + 1, VOTE_BYTES);

    crypto_sign(&vote.signature, SCOPE_HEADER, &vote.header, &world->keys[voter]);
    vote_encode(&writer, &vote);
    CHECK(!writer.failed);
    struct packet *packet = packet_new(body, sizeof body);
    registry_note(world, packet);
    send_to(world, voter, nodes, packet);
    packet_unref(packet);
}

static void schedule_votes(struct world *world, const struct known_header *header)
{
    struct adversary *adversary = &world->adversary;

    for (uint32_t i = 0; i < adversary->count; i++) {
        if (adversary->members[i] == header->author) continue;
        uint64_t delay = random_below(&adversary->random, 2 * world->options.delay_us_mean) + 1;
        queue_push(&world->queue, (struct sim_event){.time_us = world->now_us + delay,
                                                     .kind = SIM_ADVERSARY,
                                                     .node = (uint8_t)adversary->members[i],
                                                     .flag = true,
                                                     .packet = packet_ref(header->packet)});
    }
}

void adversary_see(struct world *world, struct packet *packet, struct known_header *header)
{
    struct adversary *adversary = &world->adversary;

    if (adversary->count == 0 || adversary->passive) return;
    if (header != NULL) schedule_votes(world, header);
    if (!has(world, FAULT_JUNK) || !random_chance(&adversary->random, 50000)) return;
    struct packet **slot = &adversary->replays[adversary->replays_count++ % ADVERSARY_REPLAYS];
    packet_unref(*slot);
    *slot = packet_ref(packet);
}

/* ---- headers --------------------------------------------------------------------------------- */

static void fill_parents(struct world *world,
                         struct header *header,
                         struct known_header *const *parents,
                         uint32_t count)
{
    struct digest digests[AUTHORITIES_MAX];

    if (header->round == 1) count = world->committee.count;
    for (uint32_t i = 0; i < count; i++) {
        struct digest digest;
        if (header->round == 1)
            committee_genesis(&digest, &world->committee, (authority_t)i);
        else
            digest = parents[i]->digest;
        uint32_t at = i; /* sorted insertion */
        for (; at > 0 && memcmp(digests[at - 1].bytes, digest.bytes, 32) > 0; at--)
            digests[at] = digests[at - 1];
        digests[at] = digest;
    }
    header->parents_count = count;
    memcpy(header->parents, digests, count * sizeof digests[0]);
    for (uint32_t i = 0; header->round > 1 && i < count; i++)
        header->created_at = u64_max(header->created_at, parents[i]->created_at);
}

struct packet *adversary_header(struct world *world,
                                authority_t author,
                                round_t round,
                                struct known_header *const *parents,
                                uint32_t parents_count,
                                uint64_t batch,
                                struct known_header **ret_header)
{
    static uint8_t body[1 + HEADER_BYTES_MAX + 64];
    static struct header header;
    struct digest digest;
    struct signature signature;

    header = (struct header){.author = author, .round = round, .epoch = world->committee.epoch};
    header.created_at = WORLD_WALL_MS + world->now_us / 1000;
    fill_parents(world, &header, parents, parents_count);
    if (batch != UINT64_MAX) {
        const struct sim_batch *content = registry_batch(&world->registry, batch);
        header.payload[header.payload_count++] =
            (struct batch_info){content->digest, 0, content->created_at};
    }
    struct writer writer = writer_make(body, sizeof body);
    writer_u8(&writer, WIRE_HEADER);
    header_encode(&writer, &header);
    header_digest(&digest, &header);
    crypto_sign(&signature, SCOPE_HEADER, &digest, &world->keys[author]);
    writer_copy(&writer, signature.bytes, sizeof signature.bytes);
    CHECK(!writer.failed);
    struct packet *packet = packet_new(body, writer.len);
    struct known_header *known = registry_note(world, packet);
    if (known == NULL) known = registry_find(&world->registry, &digest);
    CHECK(known != NULL);
    *ret_header = known;
    return packet;
}

/* A batch for the member's header: a new one of its own sent to most, one of somebody else's that
 * is not executed yet, or none. */
static uint64_t choose_batch(struct world *world, authority_t member)
{
    struct adversary *adversary = &world->adversary;
    uint64_t choice = random_below(&adversary->random, 4);
    uint64_t count = world->registry.batches_count;

    if (choice == 0 && count > 0 &&
        world->registry.top_round < world->checkers.made_round + NAMING_LAG_MAX) {
        uint64_t number = count - 1 - random_below(&adversary->random, u64_min(count, 10));
        if (registry_batch(&world->registry, number)->executed == 0) return number;
    }
    if (choice != 1) return UINT64_MAX;
    uint64_t number = clients_seal(world, member);
    uint8_t body[34] = {WIRE_BATCH, 0};
    memcpy(body + 2, registry_batch(&world->registry, number)->digest.bytes, 32);
    struct packet *packet = packet_new(body, sizeof body);
    packet->batch = number;
    for (authority_t peer = 0; peer < world->options.nodes; peer++)
        if (peer != member &&
            !(has(world, FAULT_WITHHOLD) && random_chance(&adversary->random, 300000)))
            network_send(world, member, peer, packet, true);
    packet_unref(packet);
    return number;
}

/* Leaves out parents by chance as long as the rest keeps a quorum. */
static uint32_t thin_out(struct world *world, struct known_header **parents, uint32_t count)
{
    struct authority_set authors = {0};

    for (uint32_t i = 0; i < count; i++)
        authority_set_add(&authors, parents[i]->author);
    for (uint32_t i = 0; i < count;) {
        struct authority_set without = authors;
        authority_set_remove(&without, parents[i]->author);
        if (committee_stake(&world->committee, &without) < world->committee.quorum ||
            !random_chance(&world->adversary.random, 500000)) {
            i++;
            continue;
        }
        authors = without;
        parents[i] = parents[--count];
    }
    return count;
}

static void propose_one(struct world *world, authority_t member, round_t round, uint32_t nodes)
{
    struct known_header *parents[SIM_NODES_MAX], *header = NULL;
    uint32_t count = registry_certified(world, parents, round - 1);

    count = thin_out(world, parents, count);
    struct packet *packet = adversary_header(world, member, round, parents, count,
                                             choose_batch(world, member), &header);
    adversary_see(world, packet, header);
    send_to(world, member, nodes, packet);
    packet_unref(packet);
}

static void propose(struct world *world, authority_t member)
{
    struct adversary *adversary = &world->adversary;
    round_t round = world->registry.top_round;

    while (round > 0 && registry_certified_stake(world, round) < world->committee.quorum)
        round--;
    round++;
    if (round <= adversary->proposed[member]) return;
    if (random_chance(&adversary->random, 300000)) return; /* later, perhaps with more parents */
    adversary->proposed[member] = round;
    if (!has(world, FAULT_EQUIVOCATE)) {
        propose_one(world, member, round, UINT32_MAX);
        return;
    }
    uint32_t half = (uint32_t)random_u64(&adversary->random);
    propose_one(world, member, round, half);
    propose_one(world, member, round,
                random_chance(&adversary->random, 200000) ? UINT32_MAX : ~half);
    adversary->twins++;
}

/* ---- turns ----------------------------------------------------------------------------------- */

static void vote_now(struct world *world, const struct sim_event *event)
{
    struct digest digest;

    crypto_hash_one(&digest, event->packet->data + 1, event->packet->len - 1u - 64u);
    const struct known_header *header = registry_find(&world->registry, &digest);
    CHECK(header != NULL);
    adversary_vote(world, event->node, header, UINT32_MAX);
}

void adversary_turn(struct world *world, const struct sim_event *event)
{
    struct adversary *adversary = &world->adversary;

    if (event->flag) {
        vote_now(world, event);
        return;
    }
    schedule(world);
    for (uint32_t i = 0; i < adversary->count; i++) {
        authority_t member = adversary->members[i];
        if (has(world, FAULT_SILENT) && random_chance(&adversary->random, 5000))
            adversary->silent_until_us[member] =
                world->now_us + random_between(&adversary->random, 100000, 5000000);
        if (random_chance(&adversary->random, 5000))
            adversary->victims[member] = (uint32_t)random_u64(&adversary->random);
        propose(world, member);
        if (has(world, FAULT_JUNK) && random_chance(&adversary->random, 200000))
            junk_send(world, member);
    }
}

void adversary_control(struct world *world, const struct sim_event *event)
{
    const struct packet *packet = event->packet;

    if (world->adversary.passive || !has(world, FAULT_JUNK) || packet->len == 0) return;
    if (packet->data[0] == WIRE_WANT || packet->data[0] == WIRE_WANT_RANGE)
        junk_answer(world, event->node, event->peer);
    if (packet->data[0] == WIRE_WANT_CHECKPOINT) junk_checkpoint(world, event->node, event->peer);
    if (packet->data[0] == WIRE_WANT_RECORDS) junk_record(world, event->node, event);
}

void adversary_bulk(struct world *world, const struct sim_event *event)
{
    uint8_t body[34] = {WIRE_BATCH, 1};
    struct digest digest;

    if (event->packet->data[0] != WIRE_WANT_BATCH) return;
    if (has(world, FAULT_WITHHOLD) && random_chance(&world->adversary.random, 500000)) return;
    memcpy(digest.bytes, event->packet->data + 2, 32);
    memcpy(body + 2, digest.bytes, 32);
    uint64_t batch = registry_find_batch(&world->registry, &digest);
    if (has(world, FAULT_JUNK) && random_chance(&world->adversary.random, 300000)) {
        body[0] = WIRE_NO_BATCH;
        batch = UINT64_MAX;
    } else if (batch == UINT64_MAX) {
        return;
    }
    struct packet *packet = packet_new(body, sizeof body);
    packet->batch = batch;
    network_send(world, event->node, event->peer, packet, true);
    packet_unref(packet);
}
