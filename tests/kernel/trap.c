#include "tests/kernel/trap.h"

#include "common/bytes.h"
#include "rollup-kernel/host/pvm_state.h"
#include "tests/kernel/native.h"

static engine_entry *inner;
static struct trap_log done;

/* What is still to come. */
static uint32_t runs_to_pass;
static uint64_t gaps[TRAPS_MAX];
static size_t gaps_count;
static uint64_t left;

/* The run at hand. */
static bool may_redo;
static bool must_redo;
static bool stepped;
static bool in_step;
static bool inbox;
static bool first;
static struct model_skip began;
static bool was_marked;

static struct model_skip cursor_of(struct engine_call *call)
{
    const struct pvm *pvm = call->context;
    struct model_skip cursor = {0};
    struct bytes value;

    if (!durable_value(&value, pvm->durable, durable_path("/state/cursor"))) return cursor;
    struct reader reader = reader_make(value.data, value.len);
    cursor.index = reader_u64_be(&reader) + 1;
    cursor.batch = reader_u32_be(&reader);
    cursor.transaction = reader_u32_be(&reader);
    return cursor;
}

static bool is_marked(struct engine_call *call)
{
    const struct pvm *pvm = call->context;
    struct bytes mark;

    return durable_value(&mark, pvm->durable, durable_path("/run")) && mark.data[0] == 1;
}

static bool is(struct engine_call *call, uint32_t at, uint32_t len, const char *path)
{
    return len == strlen(path) && memcmp(call->memory + at, path, len) == 0;
}

static bool is_under(struct engine_call *call, uint32_t at, uint32_t len, const char *path)
{
    return len >= strlen(path) && memcmp(call->memory + at, path, strlen(path)) == 0;
}

static void record(struct engine_call *call, bool in_app)
{
    struct trap *trap = &done.traps[done.count++];

    *trap = (struct trap){
        .run = done.runs - 1, .inbox = inbox, .first = first, .in_step = in_step, .in_app = in_app};
    trap->cursor = cursor_of(call);
    const bool there = trap->cursor.index == began.index && trap->cursor.batch == began.batch;
    trap->may_redo = may_redo && there;
    trap->must_redo = must_redo && there;
    trap->marked = is_marked(call);
    trap->was_marked = was_marked && there && trap->cursor.transaction == began.transaction;
}

/* One point; true when it is to trap. */
static bool point(struct engine_call *call, bool in_app)
{
    done.points++;
    bool now = done.runs > runs_to_pass && done.count < gaps_count && left-- == 0;
    if (now) {
        record(call, in_app);
        if (done.count < gaps_count) left = gaps[done.count];
    }
    first = false;
    return now;
}

static void before(struct engine_call *call, bool in_app)
{
    if (point(call, in_app)) longjmp(call->end, ENGINE_TRAPPED);
}

/* What applications write: below /stage/app, and the values of their own outside of it. */
static bool is_app(struct engine_call *call, uint32_t at, uint32_t len)
{
    return in_step && (is_under(call, at, len, "/stage/app") ||
                       is_under(call, at, len, "/blocks/") || is(call, at, len, "/counter"));
}

static uint32_t watch_read_input(struct engine_call *call, uint32_t info, uint32_t to, uint32_t max)
{
    before(call, false);
    return host_calls.read_input(call, info, to, max);
}

static void watch_write_debug(struct engine_call *call, uint32_t from, uint32_t len)
{
    before(call, false);
    host_calls.write_debug(call, from, len);
}

static uint32_t watch_store_has(struct engine_call *call, uint32_t path, uint32_t len)
{
    before(call, is_app(call, path, len));
    return host_calls.store_has(call, path, len);
}

static uint32_t watch_store_delete(struct engine_call *call, uint32_t path, uint32_t len)
{
    before(call, is_app(call, path, len));
    return host_calls.store_delete(call, path, len);
}

static uint32_t watch_store_copy(struct engine_call *call,
                                 uint32_t from,
                                 uint32_t from_len,
                                 uint32_t to,
                                 uint32_t to_len)
{
    before(call, false);
    in_step = in_step || is(call, from, from_len, "/state");
    stepped = stepped || in_step;
    return host_calls.store_copy(call, from, from_len, to, to_len);
}

static uint32_t watch_store_move(struct engine_call *call,
                                 uint32_t from,
                                 uint32_t from_len,
                                 uint32_t to,
                                 uint32_t to_len)
{
    before(call, false);
    in_step = in_step && !is(call, to, to_len, "/state");
    return host_calls.store_move(call, from, from_len, to, to_len);
}

static uint32_t watch_store_value_size(struct engine_call *call, uint32_t path, uint32_t len)
{
    before(call, is_app(call, path, len));
    return host_calls.store_value_size(call, path, len);
}

static uint32_t watch_store_read(struct engine_call *call,
                                 uint32_t path,
                                 uint32_t len,
                                 uint32_t at,
                                 uint32_t to,
                                 uint32_t max)
{
    before(call, is_app(call, path, len));
    return host_calls.store_read(call, path, len, at, to, max);
}

static uint32_t watch_store_write(struct engine_call *call,
                                  uint32_t path,
                                  uint32_t len,
                                  uint32_t at,
                                  uint32_t from,
                                  uint32_t n)
{
    before(call, is_app(call, path, len));
    return host_calls.store_write(call, path, len, at, from, n);
}

static uint32_t watch_reveal_preimage(struct engine_call *call,
                                      uint32_t hash,
                                      uint32_t len,
                                      uint32_t to,
                                      uint32_t max)
{
    before(call, false);
    return host_calls.reveal_preimage(call, hash, len, to, max);
}

static uint32_t watch_reveal_metadata(struct engine_call *call, uint32_t to, uint32_t max)
{
    before(call, false);
    return host_calls.reveal_metadata(call, to, max);
}

/* What our kernel calls (kernel/host.h); another import of it would call nothing, and crash here. */
static const struct engine_host watch_calls = {
    .read_input = watch_read_input,
    .write_debug = watch_write_debug,
    .store_has = watch_store_has,
    .store_delete = watch_store_delete,
    .store_copy = watch_store_copy,
    .store_move = watch_store_move,
    .store_value_size = watch_store_value_size,
    .store_read = watch_store_read,
    .store_write = watch_store_write,
    .reveal_preimage = watch_reveal_preimage,
    .reveal_metadata = watch_reveal_metadata,
};

static int watched_entry(struct engine_call *call)
{
    const struct pvm *pvm = call->context;

    call->host = &watch_calls;
    done.runs++;
    inbox = pvm->next < pvm->inbox.count;
    first = true;
    in_step = false;
    stepped = false;
    began = cursor_of(call);
    was_marked = is_marked(call);
    int end = inner(call);
    if (end == ENGINE_RETURNED && point(call, false)) end = ENGINE_TRAPPED;
    if (!inbox) {
        may_redo = end == ENGINE_TRAPPED;
        must_redo = may_redo && (must_redo || stepped);
    }
    return end;
}

void trap_attach(struct pvm *pvm, engine_entry *entry)
{
    inner = entry;
    native_attach(pvm, watched_entry);
    trap_arm(0, NULL, 0);
}

void trap_arm(uint32_t runs, const uint64_t *wanted, size_t count)
{
    CHECK(count <= TRAPS_MAX);
    memset(&done, 0, sizeof done);
    may_redo = false;
    must_redo = false;
    runs_to_pass = runs;
    gaps_count = count;
    for (size_t i = 0; i < count; i++) {
        gaps[i] = wanted[i];
    }
    left = count > 0 ? gaps[0] : 0;
}

const struct trap_log *trap_done(void)
{
    return &done;
}
