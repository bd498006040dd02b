#include "tests/sim/perform.h"

#include <stdio.h>

#include "consensus/core/records.h"
#include "consensus/core/wire.h"
#include "tests/sim/rot.h"
#include "tests/sim/world.h"

static uint8_t answer_memory[WIRE_ANSWER_BYTES_MAX];
static uint8_t header_memory[HEADER_BYTES_MAX + 65];
static uint8_t record_memory[WIRE_RECORD_BYTES_MAX];

/* ---- control --------------------------------------------------------------------------------- */

static void send_packet(struct sim_node *node, authority_t peer, struct packet *packet)
{
    network_send(node->world, node->index, peer, packet, false);
}

/* Everything that leaves passes here once, whoever it is for. */
static void note_sent(struct sim_node *node, struct packet *packet)
{
    struct world *world = node->world;

    world_note(world, packet->fingerprint);
    check_signing_message(node, packet);
    check_rot_message(node, packet);
    adversary_see(world, packet, registry_note(world, packet));
}

static void send_bytes(struct sim_node *node, authority_t peer, struct bytes body)
{
    struct packet *packet = packet_new(body.data, body.len);

    note_sent(node, packet);
    send_packet(node, peer, packet);
    packet_unref(packet);
}

static void send_message(struct sim_node *node,
                         const struct core_action *action,
                         struct packet *held)
{
    struct packet *packet =
        held != NULL ? packet_ref(held) : packet_new(action->message.data, action->message.len);

    note_sent(node, packet);
    if (action->kind == CORE_ACTION_SEND) {
        send_packet(node, action->peer, packet);
    } else {
        for (authority_t peer = 0; peer < node->world->options.nodes; peer++)
            if (peer != node->index) send_packet(node, peer, packet);
    }
    packet_unref(packet);
}

void node_post_stop(struct sim_node *node, bool for_good)
{
    queue_push(&node->world->queue, (struct sim_event){.time_us = node->world->now_us,
                                                       .kind = SIM_STOP,
                                                       .node = (uint8_t)node->index,
                                                       .flag = for_good,
                                                       .life = node->life});
}

/* A certificate to serve. False when its row has rotted: the checksum shows it, and the node stops. */
static bool read_certificate(struct sim_node *node, struct bytes *ret_value, size_t position)
{
    const struct table *records = &node->disk.tables[TABLE_CERTIFICATES];

    if (table_is_rotten(records, position) && node->world->options.bug != BUG_ROT) {
        node_post_stop(node, false);
        return false;
    }
    *ret_value = table_value(records, position);
    return true;
}

/* One answer frame, as the real driver sends it: what does not fit is asked for again by the peer,
 * which learns from `last` = 0 that there is more. */
static void serve_certificates(struct sim_node *node, const struct core_action *action)
{
    const struct table *records = &node->disk.tables[TABLE_CERTIFICATES];
    struct wire_answer answer;
    uint8_t key[CORE_KEY_BYTES_MAX];
    bool fits = true;

    wire_answer_begin(&answer, answer_memory, &node->world->committee);
    for (size_t i = 0; i < action->refs_count && fits; i++) {
        size_t len = key_of_slot(key, action->refs[i].round, action->refs[i].author);
        size_t position = table_find(records, (struct bytes){key, len});
        struct bytes value;

        if (position == records->count) continue;
        if (!read_certificate(node, &value, position)) return;
        fits = wire_answer_append(&answer, value);
    }
    send_bytes(node, action->peer, wire_answer_finish(&answer, fits));
}

static void serve_range(struct sim_node *node, const struct core_action *action)
{
    const struct table *records = &node->disk.tables[TABLE_CERTIFICATES];
    struct wire_answer answer;
    uint8_t key[CORE_KEY_BYTES_MAX];
    size_t len = key_of_slot(key, action->round + 1, 0);
    size_t position = table_seek(records, (struct bytes){key, len});
    bool fits = true;

    wire_answer_begin(&answer, answer_memory, &node->world->committee);
    for (size_t sent = 0; fits && position < records->count; position++, sent++) {
        struct bytes value;

        if (sent == WIRE_ANSWER_CERTIFICATES_MAX) {
            fits = false;
            continue;
        }
        if (!read_certificate(node, &value, position)) return;
        fits = wire_answer_append(&answer, value);
    }
    send_bytes(node, action->peer, wire_answer_finish(&answer, fits));
}

static void serve_header(struct sim_node *node, const struct core_action *action)
{
    uint8_t key[CORE_KEY_BYTES_MAX];
    const struct vertex_ref *ref = &action->refs[0];
    bool own = ref->author == node->index;
    size_t len = own ? key_of_number(key, ref->round) : key_of_vertex(key, ref);
    struct bytes value = table_get(&node->disk.tables[own ? TABLE_OWN_HEADERS : TABLE_HEADERS],
                                   (struct bytes){key, len});

    CHECK(action->refs_count == 1);
    if (value.len > 0) send_bytes(node, action->peer, wire_header_body(header_memory, value));
}

/* The run of records downward from the one asked for, as the real driver sends it. */
static void serve_records(struct sim_node *node, const struct core_action *action)
{
    const struct table *records = &node->disk.tables[TABLE_ORDERING];
    struct bytes value = {NULL, 0};
    struct bytes next;
    struct bytes body;
    uint8_t key[CORE_KEY_BYTES_MAX];
    bool more = true;

    next = table_get(records, (struct bytes){key, key_of_number(key, action->index)});
    for (uint32_t i = 0; i < WIRE_RECORDS_MAX && more; i++) {
        uint64_t sequence = action->index - i;

        value = next;
        next = (struct bytes){NULL, 0};
        if (i + 1 < WIRE_RECORDS_MAX && sequence > 1)
            next = table_get(records, (struct bytes){key, key_of_number(key, sequence - 1)});
        more = wire_record_body(&body, record_memory, sequence, i == 0 ? action->offset : 0, value,
                                next.len > 0);
        send_bytes(node, action->peer, body);
    }
}

/* ---- batches --------------------------------------------------------------------------------- */

void node_post_batch(struct sim_node *node, uint64_t batch, authority_t author, bool streamed)
{
    queue_push(&node->world->queue, (struct sim_event){.time_us = node->world->now_us,
                                                       .kind = SIM_STEP,
                                                       .node = (uint8_t)node->index,
                                                       .peer = (uint8_t)author,
                                                       .flag = streamed,
                                                       .life = node->life,
                                                       .value = batch});
}

static void store_batch(struct sim_node *node, uint64_t batch, authority_t author, bool streamed)
{
    struct world *world = node->world;
    uint64_t delay = world->options.steady
                         ? 0
                         : world->options.sync_us_mean / 2 +
                               random_exponential(&world->random, world->options.sync_us_mean);

    queue_push(&world->queue, (struct sim_event){.time_us = world->now_us + delay * node->slow_disk,
                                                 .kind = SIM_BATCH_SYNC,
                                                 .node = (uint8_t)node->index,
                                                 .peer = (uint8_t)author,
                                                 .flag = streamed,
                                                 .life = node->life,
                                                 .value = batch});
    if (world->options.bug == BUG_LOG) node_post_batch(node, batch, author, streamed);
}

static void send_bulk(struct sim_node *node,
                      authority_t peer,
                      enum wire_kind kind,
                      const struct digest *digest,
                      bool fetched,
                      uint64_t batch)
{
    uint8_t body[34] = {(uint8_t)kind, fetched};

    if (kind == WIRE_BATCH) check_rot_batch(node, batch);
    memcpy(body + 2, digest->bytes, 32);
    struct packet *packet = packet_new(body, sizeof body);
    packet->batch = batch;
    network_send(node->world, node->index, peer, packet, true);
    packet_unref(packet);
}

void node_want_batch(struct sim_node *node, authority_t peer, const struct digest *digest)
{
    send_bulk(node, peer, WIRE_WANT_BATCH, digest, true, UINT64_MAX);
}

/* What has rotted is not here: reading it shows that. */
static void serve_batch(struct sim_node *node, authority_t peer, const struct digest *digest)
{
    uint64_t batch = registry_find_batch(&node->world->registry, digest);
    bool held = batch != UINT64_MAX && disk_has_batch(&node->disk, batch);

    if (held && disk_batch_is_rotten(&node->disk, batch) && node->world->options.bug != BUG_ROT) {
        rot_notice(node, batch);
        held = false;
    }
    send_bulk(node, peer, held ? WIRE_BATCH : WIRE_NO_BATCH, digest, true,
              held ? batch : UINT64_MAX);
}

void node_batch_synced(struct sim_node *node, const struct sim_event *event)
{
    struct world *world = node->world;

    world->faults.repaired += disk_batch_is_lost(&node->disk, event->value);
    disk_put_batch(&node->disk, event->value, event->peer, node->index);
    if (event->peer == node->index) registry_batch(&world->registry, event->value)->accepted = true;
    if (world->options.bug != BUG_LOG)
        node_post_batch(node, event->value, event->peer, event->flag);
}

/* An own batch may leave before it is durable: only naming it in a header rests on that. */
void node_submit(struct sim_node *node, uint64_t batch)
{
    const struct sim_batch *content = registry_batch(&node->world->registry, batch);

    if (disk_has_batch(&node->disk, batch)) return;
    store_batch(node, batch, node->index, true);
    for (authority_t peer = 0; peer < node->world->options.nodes; peer++)
        if (peer != node->index) send_bulk(node, peer, WIRE_BATCH, &content->digest, false, batch);
}

void node_take_bulk(struct sim_node *node, const struct sim_event *event)
{
    const struct packet *packet = event->packet;
    struct digest digest;

    CHECK(packet->len == 34);
    memcpy(digest.bytes, packet->data + 2, 32);
    if (packet->data[0] == WIRE_BATCH) {
        bool fetched = packet->data[1] != 0;
        if (disk_has_batch(&node->disk, packet->batch))
            node_post_batch(node, packet->batch, event->peer, !fetched);
        else
            store_batch(node, packet->batch, event->peer, !fetched);
    } else if (packet->data[0] == WIRE_WANT_BATCH) {
        serve_batch(node, event->peer, &digest);
    }
}

static void look_up_batch(struct sim_node *node, const struct digest *digest)
{
    uint64_t batch = registry_find_batch(&node->world->registry, digest);

    if (batch != UINT64_MAX && disk_has_batch(&node->disk, batch))
        node_post_batch(node, batch, disk_batch_author(&node->disk, batch), false);
}

static void acknowledge_batch(struct sim_node *node, const struct core_action *action)
{
    uint8_t body[33] = {WIRE_BATCH_ACK};
    uint64_t batch = registry_find_batch(&node->world->registry, &action->digest);

    if (batch == UINT64_MAX ||
        (!disk_has_batch(&node->disk, batch) && !disk_batch_is_lost(&node->disk, batch)))
        world_fail(node->world, FAILURE_SAFETY,
                   "node %u acknowledges a batch that is not durable here", node->index);
    memcpy(body + 1, action->digest.bytes, 32);
    send_bytes(node, action->peer, (struct bytes){body, sizeof body});
}

static void batch_certified(struct sim_node *node, const struct core_action *action)
{
    struct world *world = node->world;
    uint64_t number = registry_find_batch(&world->registry, &action->digest);

    if (number == UINT64_MAX)
        world_fail(world, FAILURE_SAFETY, "node %u: a batch nobody sealed is certified",
                   node->index);
    struct sim_batch *batch = registry_batch(&world->registry, number);
    if (!batch->certified) world->clients.certified++;
    batch->certified = true;
}

/* A batch that was accepted and never named is given up: nothing more was promised. */
static void batch_dropped(struct sim_node *node, const struct core_action *action)
{
    struct world *world = node->world;
    uint64_t number = registry_find_batch(&world->registry, &action->digest);

    if (number != UINT64_MAX) registry_batch(&world->registry, number)->accepted = false;
}

/* ---- all actions ----------------------------------------------------------------------------- */

/* A peer is cut for a bad signature of its own; an honest one never is. It connects again later. */
static void cut_peer(struct sim_node *node, authority_t peer)
{
    struct world *world = node->world;

    if (world_is_honest(world, peer))
        world_fail(world, FAILURE_SAFETY, "node %u cuts honest node %u", node->index, peer);
    network_set_down(world, node->index, peer, 0);
    queue_push(&world->queue, (struct sim_event){.time_us = world->now_us + 1000000,
                                                 .kind = SIM_FAULT,
                                                 .node = (uint8_t)node->index,
                                                 .peer = (uint8_t)peer,
                                                 .flag = true});
}

/* Only a member whose store was replaced by an old copy may meet a signature of its own that it does not know,
 * and nobody may see anything else that is impossible. */
static void take_alarm(struct sim_node *node, const char *reason)
{
    bool own = strstr(reason, "signed with our key") != NULL ||
               strstr(reason, "a signature of ours") != NULL;

    if (!own || !node->restored)
        world_fail(node->world, FAILURE_SAFETY, "node %u raises an alarm: %s", node->index, reason);
    node_note_life(node, reason);
    node_post_stop(node, true);
}

void node_perform(struct sim_node *node, const struct core_action *action, struct packet *packet)
{
    switch (action->kind) {
    case CORE_ACTION_PERSIST:
    case CORE_ACTION_ERASE:
    case CORE_ACTION_ERASE_BELOW:
        CHECK(false);
    case CORE_ACTION_SEND:
    case CORE_ACTION_BROADCAST:
        send_message(node, action, packet);
        return;
    case CORE_ACTION_SERVE_CERTIFICATES:
        serve_certificates(node, action);
        return;
    case CORE_ACTION_SERVE_RANGE:
        serve_range(node, action);
        return;
    case CORE_ACTION_SERVE_HEADER:
        serve_header(node, action);
        return;
    case CORE_ACTION_SERVE_RECORDS:
        serve_records(node, action);
        return;
    case CORE_ACTION_RESTART:
        queue_push(&node->world->queue, (struct sim_event){.time_us = node->world->now_us,
                                                           .kind = SIM_RESTORE,
                                                           .node = (uint8_t)node->index,
                                                           .life = node->life});
        return;
    case CORE_ACTION_LOOK_UP_BATCH:
        look_up_batch(node, &action->digest);
        return;
    case CORE_ACTION_FETCH_BATCH:
        node_want_batch(node, action->peer, &action->digest);
        return;
    case CORE_ACTION_ACKNOWLEDGE_BATCH:
        acknowledge_batch(node, action);
        return;
    case CORE_ACTION_BATCH_CERTIFIED:
        batch_certified(node, action);
        return;
    case CORE_ACTION_BATCH_DROPPED:
        batch_dropped(node, action);
        return;
    case CORE_ACTION_DELIVER:
        check_agreement_preblock(node, action->index, action->record);
        return;
    case CORE_ACTION_CERTIFY:
        check_agreement_certificate(node, action->index, action->message);
        return;
    case CORE_ACTION_READY:
        node->wiped = false;
        return;
    case CORE_ACTION_CUT_PEER:
        cut_peer(node, action->peer);
        return;
    case CORE_ACTION_ALARM:
        take_alarm(node, action->reason);
        return;
    }
}
