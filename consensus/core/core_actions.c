#include "consensus/core/core_state.h"

bool core_has_room(const struct core *core)
{
    if (core->persists_max - core->persists_count < CORE_ROOM_ACTIONS) return false;
    if (core->others_max - core->others_count < CORE_ROOM_ACTIONS) return false;
    return core->arena_capacity - core->arena_used >= CORE_ROOM_BYTES;
}

void *core_take(struct core *core, size_t bytes)
{
    size_t size = (bytes + 7) / 8 * 8;
    void *memory = core->arena + core->arena_used;

    CHECK(size >= bytes);
    CHECK(size <= core->arena_capacity - core->arena_used);
    core->arena_used += size;
    return memory;
}

struct writer core_writer(struct core *core, size_t bytes_max)
{
    CHECK(bytes_max <= core->arena_capacity - core->arena_used);
    return writer_make(core->arena + core->arena_used, bytes_max);
}

struct bytes core_written(struct core *core, const struct writer *writer)
{
    CHECK(!writer->failed);
    CHECK(writer->data == core->arena + core->arena_used);
    (void)core_take(core, writer->len);
    return writer_view(writer);
}

static struct core_action *persist_act(struct core *core, enum core_action_kind kind)
{
    struct core_action *action;

    CHECK(core->persists_count < core->persists_max);
    action = &core->items[core->persists_count++];
    memset(action, 0, sizeof *action);
    action->kind = kind;
    return action;
}

void core_persist(struct core *core, enum core_table table, struct bytes key, struct bytes value)
{
    struct core_action *action = persist_act(core, CORE_ACTION_PERSIST);

    CHECK(key.len > 0);
    CHECK(key.len <= CORE_KEY_BYTES_MAX);
    action->table = table;
    action->key = key;
    action->value = value;
}

void core_persist_number(struct core *core, enum core_table table, uint64_t key, struct bytes value)
{
    uint8_t *memory = core_take(core, CORE_KEY_BYTES_MAX);

    core_persist(core, table, (struct bytes){memory, key_of_number(memory, key)}, value);
}

void core_persist_meta(struct core *core, struct bytes name, uint64_t value)
{
    struct writer writer = core_writer(core, 8);
    struct bytes encoded;

    writer_u64(&writer, value);
    encoded = core_written(core, &writer);
    core_persist(core, TABLE_META, name, encoded);
}

void core_erase_below(struct core *core, enum core_table table, round_t round)
{
    struct core_action *action = persist_act(core, CORE_ACTION_ERASE_BELOW);
    uint8_t *memory = core_take(core, CORE_KEY_BYTES_MAX);

    action->table = table;
    action->key = (struct bytes){memory, key_of_number(memory, round)};
}

struct core_action *core_act(struct core *core, enum core_action_kind kind)
{
    struct core_action *action;

    CHECK(core->others_count < core->others_max);
    action = &core->others[core->others_count++];
    memset(action, 0, sizeof *action);
    action->kind = kind;
    return action;
}

void core_send(struct core *core, authority_t peer, struct bytes message)
{
    struct core_action *action = core_act(core, CORE_ACTION_SEND);

    CHECK(peer < core->committee->count);
    CHECK(peer != core->self);
    CHECK(message.len > 0);
    action->peer = peer;
    action->message = message;
}

void core_broadcast(struct core *core, struct bytes message)
{
    CHECK(message.len > 0);
    if (core->committee->count == 1) return;
    core_act(core, CORE_ACTION_BROADCAST)->message = message;
}

void core_send_or_broadcast(struct core *core, authority_t peer, struct bytes message)
{
    if (peer == core->self) {
        core_broadcast(core, message);
    } else {
        core_send(core, peer, message);
    }
}

void core_alarm(struct core *core, const char *reason)
{
    if (core->halted) return;
    core->halted = true;
    core_act(core, CORE_ACTION_ALARM)->reason = reason;
    CHECK(core->halted);
}

void core_note(struct core *core,
               enum core_trace_kind kind,
               authority_t author,
               round_t round,
               uint64_t value,
               const struct digest *digest)
{
    struct core_trace trace = {
        .kind = kind, .now_us = core->now_us, .author = author, .round = round, .value = value};

    if (core->options.tracer == NULL) return;
    if (digest != NULL) trace.digest = *digest;
    core->options.tracer(core->options.tracer_context, &trace);
}

void core_refuse(struct core *core, enum core_refusal refusal, authority_t peer)
{
    CHECK((unsigned)refusal < CORE_REFUSALS);
    core->counts.refusals[refusal]++;
    core_note(core, TRACE_REFUSED, peer, 0, (uint64_t)refusal, NULL);
}
