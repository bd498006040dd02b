#include "tests/fuzz/fuzz.h"

#include <stdlib.h>
#include <sys/mman.h>

#include "common/crypto.h"
#include "consensus/core/core.h"
#include "tests/unit/core_world.h"
#include "tests/unit/core_world_store.h"

/* A node that starts from a store whose rows were changed: it refuses them, or raises the alarm, or goes on with every
 * invariant kept. The rows are those of a node of four that was stopped in the middle of its work.
 *
 *   input = changes: what u8 | row u16 | where u16 | with u8
 *     what % 6   0 drop the row   1 flip bits of its value   2 cut its value   3 longer value   4 flip bits of its key
 *                5 the value of another row */
#define ROWS_MAX    4096u
#define CHANGES_MAX 16u
#define VALUE_MAX   16384u

struct source {
    enum core_table table;
    struct bytes key;
    struct bytes value;
};

static struct {
    struct table tables[CORE_TABLES];
    struct source rows[ROWS_MAX];
    size_t count;
    struct committee committee;
    struct secret_key key;
    uint64_t now_us;
    uint64_t wall_ms;
} before;

/* Node 0's store, as it writes it. */
static void keep(void *context, uint32_t node, const struct core_action *action)
{
    struct table *table = &before.tables[action->table < CORE_TABLES ? action->table : 0];

    (void)context;
    if (node != 0) return;
    if (action->kind == CORE_ACTION_PERSIST) world_table_put(table, action->key, action->value);
    if (action->kind == CORE_ACTION_ERASE) world_table_erase_key(table, action->key);
    if (action->kind == CORE_ACTION_ERASE_BELOW)
        world_table_erase(table, 0, world_table_lower(table, action->key));
}

static void make_store(void)
{
    struct world_options options = world_options_default(4);
    struct world *world = world_open(&options);

    world_watch(world, keep, NULL);
    world_start_all(world);
    for (uint32_t i = 0; i < 40; i++) {
        (void)world_submit(world, i % 4, 100 + i);
        world_run(world, 73000);
    }
    before.committee = *world_committee(world);
    before.key = *world_key(world, 0);
    before.now_us = world_now(world);
    before.wall_ms = world_wall_ms(world);
    world_close(world);
    for (int t = 0; t < CORE_TABLES; t++) {
        for (size_t i = 0; i < before.tables[t].count; i++) {
            const struct row *row = &before.tables[t].rows[i];
            CHECK(before.count < ROWS_MAX);
            CHECK(row->value_len <= VALUE_MAX);
            before.rows[before.count++] = (struct source){
                (enum core_table)t, {row->key, row->key_len}, {row->value, row->value_len}};
        }
    }
    CHECK(before.count > 100);
}

/* The rows that this run starts from; what was changed has memory of its own. */
struct changed {
    struct source rows[ROWS_MAX];
    uint8_t *memory[2 * CHANGES_MAX];
    size_t memory_count;
};

static uint8_t *copy(struct changed *changed, struct bytes bytes, size_t longer)
{
    uint8_t *memory = calloc(1, bytes.len + longer + 1);

    CHECK(memory != NULL);
    memcpy(memory, bytes.data, bytes.len);
    changed->memory[changed->memory_count++] = memory;
    return memory;
}

static void change(struct changed *changed, struct reader *script)
{
    uint8_t what = reader_u8(script);
    struct source *row = &changed->rows[reader_u16(script) % before.count];
    uint16_t where = reader_u16(script);
    uint8_t with = reader_u8(script);
    struct bytes *part = what % 6 == 4 ? &row->key : &row->value;
    size_t longer = what % 6 == 3 ? where % 64u : 0;

    if (what % 6 == 0) row->key.len = 0; /* no row has an empty key */
    if (what % 6 == 5) row->value = before.rows[where % before.count].value;
    if (what % 6 == 2 && part->len > 0) part->len = where % part->len;
    if (what % 6 == 0 || what % 6 == 5 || what % 6 == 2) return;
    uint8_t *memory = copy(changed, *part, longer);
    if (longer > 0) memset(memory + part->len, with, longer);
    if (longer == 0 && part->len > 0) memory[where % part->len] ^= with;
    *part = (struct bytes){memory, part->len + longer};
}

/* As a store has them: by table, then by key. */
static int compare(const void *left, const void *right)
{
    const struct source *a = left;
    const struct source *b = right;

    if (a->table != b->table) return a->table < b->table ? -1 : 1;
    size_t len = a->key.len < b->key.len ? a->key.len : b->key.len;
    int order = memcmp(a->key.data, b->key.data, len);
    if (order != 0) return order;
    return a->key.len < b->key.len ? -1 : a->key.len > b->key.len;
}

static bool equal(const struct source *a, const struct source *b)
{
    return a->table == b->table && a->key.len == b->key.len &&
           memcmp(a->key.data, b->key.data, a->key.len) == 0;
}

static bool recover(struct core *core, const struct changed *changed)
{
    for (int t = 0; t < CORE_TABLES; t++) {
        uint8_t memory[CORE_KEY_BYTES_MAX];
        size_t len = core_recover_first(core, (enum core_table)t, memory);
        const struct source first = {(enum core_table)t, {memory, len}, {NULL, 0}};
        if (len == SIZE_MAX) continue;
        for (size_t i = 0; i < before.count; i++) {
            const struct source *row = &changed->rows[i];
            if (row->table != (enum core_table)t || row->key.len == 0) continue;
            if (i > 0 && equal(row, row - 1)) continue;
            if (compare(row, &first) < 0) continue;
            if (core_recover(core, row->table, row->key, row->value) != OK) return false;
        }
    }
    return true;
}

static void run(struct core *core)
{
    struct core_event event = {
        .kind = CORE_EVENT_START, .now_us = before.now_us, .wall_ms = before.wall_ms};

    for (authority_t peer = 0; peer < 8; peer++) {
        struct core_actions actions = core_step(core, &event);
        for (size_t i = 0; i < actions.count; i++)
            if (actions.items[i].kind == CORE_ACTION_ALARM) return;
        core_check(core);
        event.kind = peer < 3 ? CORE_EVENT_PEER_UP : CORE_EVENT_TIMER;
        event.peer = peer < 3 ? (authority_t)(peer + 1) : 0;
        event.now_us += 200000;
        event.wall_ms += 200;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct changed changed;
    struct reader script = reader_make(data, size);
    struct core *core;

    if (before.count == 0) make_store();
    memcpy(changed.rows, before.rows, before.count * sizeof before.rows[0]);
    for (size_t i = 0; i < CHANGES_MAX && script.left >= 6; i++)
        change(&changed, &script);
    qsort(changed.rows, before.count, sizeof changed.rows[0], compare);

    const struct core_options options = {.committee = &before.committee,
                                         .self = 0,
                                         .key = before.key,
                                         .parameters = core_parameters_default()};
    size_t bytes = core_bytes(&options);
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    CHECK(memory != MAP_FAILED);
    CHECK(core_init(&core, memory, &options) == OK);
    if (recover(core, &changed)) run(core);
    CHECK(munmap(memory, bytes) == 0);
    while (changed.memory_count > 0)
        free(changed.memory[--changed.memory_count]);
    return 0;
}
