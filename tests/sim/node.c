#include "tests/sim/node.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "consensus/core/wire.h"
#include "tests/sim/perform.h"
#include "tests/sim/restore.h"
#include "tests/sim/rot.h"
#include "tests/sim/world.h"

/* Steps of a node at one instant of simulated time; more means that it spins. */
#define STEPS_AT_ONCE_MAX 200000u

/* Simulated time as a clock that drifts counts it. */
static uint64_t drifted_us(const struct sim_node *node)
{
    uint64_t now_us = node->world->now_us;

    return (uint64_t)((int64_t)now_us + (int64_t)now_us * node->drift_ppm / 1000000);
}

uint64_t node_wall_ms(const struct sim_node *node)
{
    int64_t now = (int64_t)(WORLD_WALL_MS + drifted_us(node) / 1000) + node->wall_skew_ms;

    return (uint64_t)now;
}

static uint64_t node_now_us(const struct sim_node *node)
{
    return drifted_us(node) + node->clock_us;
}

/* The first instant of simulated time at which node_now_us is this or later. */
static uint64_t instant_of(const struct sim_node *node, uint64_t clock_us)
{
    uint64_t drifted = u64_minus(clock_us, node->clock_us);
    uint64_t rate = (uint64_t)(1000000 + (int64_t)node->drift_ppm);

    return (drifted * 1000000 + rate - 1) / rate + (node->drift_ppm != 0);
}

static void on_trace(void *context, const struct core_trace *trace)
{
    struct sim_node *node = context;
    char text[256];

    world_note(node->world, (uint64_t)trace->kind << 56 ^ trace->round << 16 ^ trace->value);
    if (!(node->world->options.trace_nodes >> node->index & 1)) return;
    struct core_trace shown = *trace;
    shown.now_us = node->world->now_us;
    core_trace_text(text, sizeof text, &shown);
    printf("node %u: %s\n", node->index, text);
}

void node_note_life(const struct sim_node *node, const char *what)
{
    uint64_t now_us = node->world->now_us;

    if (!(node->world->options.trace_nodes >> node->index & 1)) return;
    printf("node %u: %llu.%03llu ---- %s, life %u\n", node->index,
           (unsigned long long)(now_us / 1000), (unsigned long long)(now_us % 1000), what,
           node->life);
}

/* ---- held actions ---------------------------------------------------------------------------- */

static void *copy_of(const void *data, size_t len)
{
    void *copy = malloc(len + 1);

    CHECK(copy != NULL);
    if (len > 0) memcpy(copy, data, len);
    return copy;
}

static void release_action(struct held_action *held)
{
    packet_unref(held->packet);
    free((void *)(uintptr_t)held->action.refs);
    free((void *)(uintptr_t)held->action.record.data);
    free((void *)(uintptr_t)held->action.message.data);
    free(held);
}

static void hold_action(struct sim_node *node, const struct core_action *action, uint64_t unit)
{
    struct held_action *held = calloc(1, sizeof *held);
    bool is_sent = action->kind == CORE_ACTION_SEND || action->kind == CORE_ACTION_BROADCAST;

    CHECK(held != NULL);
    held->action = *action;
    held->unit = unit;
    held->action.key = held->action.value = (struct bytes){NULL, 0};
    held->action.preblock = NULL;
    if (is_sent) held->packet = packet_new(action->message.data, action->message.len);
    held->action.refs = copy_of(action->refs, action->refs_count * sizeof *action->refs);
    held->action.record.data = copy_of(action->record.data, action->record.len);
    held->action.message.data = is_sent ? NULL : copy_of(action->message.data, action->message.len);
    if (node->held_last == NULL)
        node->held_first = held;
    else
        node->held_last->next = held;
    node->held_last = held;
    node->held_count++;
}

static void drop_held(struct sim_node *node)
{
    while (node->held_first != NULL) {
        struct held_action *held = node->held_first;
        node->held_first = held->next;
        release_action(held);
    }
    node->held_last = NULL;
    node->held_count = 0;
}

static void release_durable(struct sim_node *node)
{
    uint32_t life = node->life;

    while (node->held_first != NULL && node->held_first->unit <= node->disk.durable) {
        struct held_action *held = node->held_first;
        node->held_first = held->next;
        if (node->held_first == NULL) node->held_last = NULL;
        node->held_count--;
        node_perform(node, &held->action, held->packet);
        release_action(held);
        CHECK(node->life == life);
    }
}

/* ---- steps ----------------------------------------------------------------------------------- */

static void begin_sync(struct sim_node *node)
{
    struct world *world = node->world;
    uint64_t unit = disk_begin_sync(&node->disk);

    if (unit == 0) return;
    uint64_t delay =
        world->options.steady
            ? 0
            : world->options.sync_us_mean / 2 +
                  random_exponential(&world->random, world->options.sync_us_mean / 2 + 1);
    queue_push(&world->queue, (struct sim_event){.time_us = world->now_us + delay * node->slow_disk,
                                                 .kind = SIM_SYNC,
                                                 .node = (uint8_t)node->index,
                                                 .life = node->life,
                                                 .value = unit});
}

static void arm_timer(struct sim_node *node)
{
    uint64_t deadline = core_deadline_us(node->core);

    if (deadline == UINT64_MAX) return;
    uint64_t at_us = u64_max(instant_of(node, deadline), node->world->now_us);
    if (at_us >= node->timer_us) return;
    node->timer_us = at_us;
    queue_push(&node->world->queue, (struct sim_event){.time_us = at_us,
                                                       .kind = SIM_TIMER,
                                                       .node = (uint8_t)node->index,
                                                       .life = node->life});
}

/* One record towards the disk. The checkers see ordering records and pre-blocks when they are made.
 */
static void write_record(struct sim_node *node, const struct core_action *action)
{
    enum disk_operation_kind kind = action->kind == CORE_ACTION_PERSIST ? DISK_PUT
                                    : action->kind == CORE_ACTION_ERASE ? DISK_ERASE
                                                                        : DISK_ERASE_BELOW;
    CHECK(action->key.len <= CORE_KEY_BYTES_MAX);
    if (kind == DISK_PUT && action->table == TABLE_ORDERING)
        check_agreement_made(node, action->key, action->value);
    if (kind == DISK_PUT && node->restored) check_memory_record(node, action);
    disk_write(&node->disk, kind, action->table, action->key, action->value);
    if (kind == DISK_PUT && action->table == TABLE_CHECKPOINTS && node->world->options.prune > 0)
        node_prune(node, action->value);
}

static bool is_record(enum core_action_kind kind)
{
    return kind == CORE_ACTION_PERSIST || kind == CORE_ACTION_ERASE ||
           kind == CORE_ACTION_ERASE_BELOW;
}

static void take_actions(struct sim_node *node, struct core_actions actions)
{
    for (size_t i = 0; i < actions.count; i++)
        if (actions.items[i].kind == CORE_ACTION_ALARM) node->alarmed = true;
    for (size_t i = 0; i < actions.count; i++) {
        const struct core_action *action = &actions.items[i];
        world_note(node->world, (uint64_t)action->kind << 48 ^ action->round << 8 ^ action->index);
        if (is_record(action->kind)) {
            write_record(node, action);
            continue;
        }
        bool free_to_go = disk_is_clean(&node->disk) && node->held_first == NULL;
        if (free_to_go || node->world->options.bug == BUG_SYNC)
            node_perform(node, action, NULL);
        else
            hold_action(node, action, disk_last_unit(&node->disk));
    }
    disk_commit(&node->disk);
    begin_sync(node);
    release_durable(node);
}

static void count_step(struct sim_node *node)
{
    if (node->stuck_us != node->world->now_us) node->stuck_steps = 0;
    node->stuck_us = node->world->now_us;
    if (++node->stuck_steps > STEPS_AT_ONCE_MAX)
        world_fail(node->world, FAILURE_CRASH, "node %u spins: its deadline stays in the past",
                   node->index);
    node->steps++;
    node->world->steps++;
}

static void node_step(struct sim_node *node, struct core_event *event)
{
    uint32_t every = node->world->options.check_every;

    CHECK(node->up);
    count_step(node);
    event->now_us = node_now_us(node);
    event->wall_ms = node_wall_ms(node);
    take_actions(node, core_step(node->core, event));
    if (every > 0 && node->steps % every == 0) core_check(node->core);
    if (node->steps % 256 == 0) check_bounds_node(node);
    arm_timer(node);
}

/* ---- life ------------------------------------------------------------------------------------ */

/* False when a row that is read has rotted. */
static bool recover_table(struct sim_node *node, enum core_table table)
{
    uint8_t key[CORE_KEY_BYTES_MAX];
    const struct table *records = &node->disk.tables[table];
    size_t len = core_recover_first(node->core, table, key);

    if (len == SIZE_MAX) return true;
    CHECK(len <= sizeof key);
    size_t position = len == 0 ? 0 : table_seek(records, (struct bytes){key, len});
    for (; position < records->count; position++) {
        if (table_is_rotten(records, position)) return false;
        enum status status = core_recover(node->core, table, table_key(records, position),
                                          table_value(records, position));
        if (status != OK)
            world_fail(node->world, FAILURE_SAFETY,
                       "node %u cannot recover record %zu of table %d: %s", node->index, position,
                       (int)table, status_text(status));
    }
    return true;
}

/* What a driver reads for its clients at start: pre-blocks that became durable just before a crash.
 */
static void read_delivered(struct sim_node *node)
{
    const struct table *records = &node->disk.tables[TABLE_PREBLOCKS];

    for (size_t i = 0; i < records->count; i++) {
        struct reader reader = reader_make(table_key(records, i).data, table_key(records, i).len);
        uint64_t index = reader_u64_be(&reader);
        if (index > node->delivered) check_agreement_preblock(node, index, table_value(records, i));
    }
}

static bool is_executed(const struct sim_node *node, const struct digest *digest)
{
    struct bytes key = {digest->bytes, sizeof digest->bytes};

    return table_get(&node->disk.tables[TABLE_EXECUTED], key).len > 0;
}

/* The batch log names what it holds; own batches that no pre-block has executed are offered to the
 * core again, in order. */
static void offer_own_batches(struct sim_node *node)
{
    for (uint64_t number = 0; number < node->disk.batches_capacity; number++) {
        if (!disk_has_batch(&node->disk, number)) continue;
        const struct sim_batch *batch = registry_batch(&node->world->registry, number);
        bool executed = is_executed(node, &batch->digest);
        bool own = disk_batch_author(&node->disk, number) == node->index;
        if (number < node->given_up) continue;
        if (own && !executed) node_post_batch(node, number, node->index, false);
    }
}

/* Fresh zeroed pages for every life, so that a start costs what it uses. */
static void map_memory(struct sim_node *node, size_t len)
{
    if (node->memory != NULL) munmap(node->memory, node->memory_len);
    node->memory = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(node->memory != MAP_FAILED);
    node->memory_len = len;
}

void node_start(struct sim_node *node)
{
    struct world *world = node->world;
    struct core_options options = {.committee = &world->committee,
                                   .self = node->index,
                                   .key = world->keys[node->index],
                                   .parameters = node->parameters,
                                   .rejoin = node->wiped,
                                   .tracer = on_trace,
                                   .tracer_context = node};

    CHECK(!node->byzantine);
    CHECK(!node->up);
    map_memory(node, core_bytes(&options));
    if (core_init(&node->core, node->memory, &options) != OK)
        world_fail(world, FAILURE_CRASH, "node %u: core_init refused", node->index);
    node->life++;
    node->up = true;
    node_note_life(node, node->wiped ? "starts to rejoin" : "starts");
    node->timer_us = UINT64_MAX;
    node->clock_us = 1000000 + world->now_us / 7 * node->life;
    for (int table = 0; table < CORE_TABLES; table++)
        if (!recover_table(node, (enum core_table)table)) {
            rot_give_up_store(node);
            return;
        }
    read_delivered(node);
    node->alarmed = false;
    if (node->restored) check_memory_start(node);
    struct core_event event = {.kind = CORE_EVENT_START, .peer = node->index};
    node_step(node, &event);
    offer_own_batches(node);
    network_node_up(world, node->index);
}

void node_crash(struct sim_node *node)
{
    CHECK(node->up);
    node_note_life(node, "crashes");
    node->up = false;
    node->life++;
    drop_held(node);
    disk_crash(&node->disk, &node->world->random);
    check_agreement_durable(node);
    network_node_down(node->world, node->index);
}

void node_wipe(struct sim_node *node)
{
    if (node->up) node_crash(node);
    disk_wipe(&node->disk);
    node->ordered = 0;
    node->wiped = true;
    node->read_again = true;
}

/* ---- events ---------------------------------------------------------------------------------- */

static void on_link(struct sim_node *node, const struct sim_event *event)
{
    struct link *link = &node->world->network.links[node->index][event->peer];
    struct core_event step = {.peer = event->peer};

    if (event->flag == link->seen_up && link->seen == event->value) return;
    if (link->seen_up) {
        step.kind = CORE_EVENT_PEER_DOWN;
        link->seen_up = false;
        node_step(node, &step);
    }
    link->seen = event->value;
    if (!event->flag) return;
    link->seen_up = true;
    step.kind = CORE_EVENT_PEER_UP;
    node_step(node, &step);
}

static void on_timer(struct sim_node *node)
{
    struct core_event step = {.kind = CORE_EVENT_TIMER, .peer = node->index};

    node->timer_us = UINT64_MAX;
    if (core_deadline_us(node->core) <= node_now_us(node))
        node_step(node, &step);
    else
        arm_timer(node);
}

static void on_batch_stored(struct sim_node *node, const struct sim_event *event)
{
    const struct sim_batch *batch = registry_batch(&node->world->registry, event->value);
    struct core_event step = {.kind = CORE_EVENT_BATCH_STORED, .peer = event->peer};

    step.batch.digest = batch->digest;
    step.batch.bytes = batch->bytes;
    step.batch.transactions = batch->transactions;
    step.batch.created_at = batch->created_at;
    step.batch.streamed = event->flag;
    step.batch.executed = !event->flag && is_executed(node, &step.batch.digest);
    node_step(node, &step);
}

void node_lose_batch(struct sim_node *node, const struct digest *digest)
{
    struct core_event step = {.kind = CORE_EVENT_BATCH_LOST, .batch.digest = *digest};

    node_step(node, &step);
}

/* The simulator's bulk packets have a flag before the digest. */
static void on_no_batch(struct sim_node *node, const struct sim_event *event)
{
    uint8_t body[33] = {WIRE_NO_BATCH};
    struct core_event step = {
        .kind = CORE_EVENT_MESSAGE, .peer = event->peer, .message = {body, sizeof body}};

    CHECK(event->packet->len == 34);
    memcpy(body + 1, event->packet->data + 2, 32);
    node_step(node, &step);
}

static void on_stop(struct sim_node *node, const struct sim_event *event)
{
    if (!event->flag) {
        rot_give_up_store(node);
        return;
    }
    node_crash(node);
    node->dead = true;
    node->world->faults.alarms++;
}

void node_handle(struct sim_node *node, const struct sim_event *event)
{
    if (!node->up || event->life != node->life) return;
    struct core_event step = {.peer = event->peer};

    switch (event->kind) {
    case SIM_CONTROL:
        if (!network_accepts(node->world, event)) return;
        node->world->network.delivered++;
        step.kind = CORE_EVENT_MESSAGE;
        step.message = (struct bytes){event->packet->data, event->packet->len};
        node_step(node, &step);
        return;
    case SIM_BULK:
        if (!network_accepts(node->world, event)) return;
        if (event->packet->data[0] == WIRE_NO_BATCH)
            on_no_batch(node, event);
        else
            node_take_bulk(node, event);
        return;
    case SIM_TIMER:
        if (event->time_us == node->timer_us) on_timer(node);
        return;
    case SIM_STEP:
        on_batch_stored(node, event);
        return;
    case SIM_SYNC:
        disk_finish_sync(&node->disk, event->value);
        release_durable(node);
        check_agreement_durable(node);
        begin_sync(node);
        return;
    case SIM_BATCH_SYNC:
        node_batch_synced(node, event);
        return;
    case SIM_LINK:
        on_link(node, event);
        return;
    case SIM_RESTORE:
        node_restore(node);
        return;
    case SIM_STOP:
        on_stop(node, event);
        return;
    case SIM_REPAIR:
        rot_repair(node, event);
        return;
    case SIM_CLIENT:
    case SIM_FAULT:
    case SIM_RESTART:
    case SIM_STORE_FAULT:
    case SIM_ADVERSARY:
        CHECK(false);
    }
}

void node_close(struct sim_node *node)
{
    drop_held(node);
    disk_close(&node->disk);
    disk_close(&node->old_copy.disk);
    if (node->memory != NULL) munmap(node->memory, node->memory_len);
}
