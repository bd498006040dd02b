#include "rollup-kernel/host/pvm.h"

#include <stdlib.h>

#include "common/bytes.h"
#include "rollup-kernel/host/pvm_state.h"

#define KERNEL_PATH           "/kernel/boot.wasm"
#define REBOOT_PATH           "/kernel/env/reboot"
#define FALLBACK_PATH         "/readonly/kernel/boot.wasm"
#define STUCK_PATH            "/readonly/kernel/env/stuck"
#define UPGRADE_ERROR_PATH    "/readonly/kernel/env/upgrade_error"
#define REBOOT_COUNTER_PATH   "/readonly/kernel/env/reboot_counter"
#define TOO_MANY_REBOOTS_PATH "/readonly/kernel/env/too_many_reboot"
#define VERSION_PATH          "/readonly/wasm_version"
#define VERSION               "2.0.0-r6"

/* First two bytes of internal messages. */
static const uint8_t message_start[2] = {0, 1};
static const uint8_t message_info[2] = {0, 3};
static const uint8_t message_migration[2] = {0, 4};
static const uint8_t message_end[2] = {0, 2};
static const uint8_t message_external[1] = {1};

static const struct bytes nothing = {(const uint8_t *)"", 0};

void message_list_add(struct message_list *list, struct bytes first, struct bytes second)
{
    if (list->count == list->capacity) {
        list->capacity = list->capacity < 64 ? 64 : 2 * list->capacity;
        list->items = realloc(list->items, list->capacity * sizeof *list->items);
        CHECK(list->items != NULL);
    }
    uint8_t *data = malloc(first.len + second.len + 1);
    CHECK(data != NULL);
    memcpy(data, first.data, first.len);
    if (second.len > 0) memcpy(data + first.len, second.data, second.len);
    list->items[list->count++] = (struct bytes){data, first.len + second.len};
}

void message_list_truncate(struct message_list *list, size_t count)
{
    while (list->count > count) {
        list->count--;
        free((uint8_t *)(uintptr_t)list->items[list->count].data);
    }
}

void message_list_close(struct message_list *list)
{
    message_list_truncate(list, 0);
    free(list->items);
}

struct pvm *pvm_new(const struct pvm_options *options,
                    struct engine *engine,
                    struct durable *durable)
{
    struct pvm *pvm = calloc(1, sizeof *pvm);

    CHECK(pvm != NULL);
    pvm->options = *options;
    pvm->engine = engine;
    pvm->durable = durable;
    return pvm;
}

void pvm_close(struct pvm *pvm)
{
    if (pvm == NULL) return;
    message_list_close(&pvm->inbox);
    message_list_close(&pvm->outbox);
    durable_close(pvm->durable);
    free(pvm);
}

struct durable *pvm_originate(struct bytes kernel)
{
    struct durable *durable = durable_new();

    durable_set(durable, durable_path(KERNEL_PATH), kernel);
    durable_set(durable, durable_path(REBOOT_PATH), nothing);
    durable_set(durable, durable_path(VERSION_PATH), durable_path(VERSION));
    return durable;
}

static void add_info(struct pvm *pvm, const struct pvm_level *level)
{
    uint8_t body[40];
    struct writer writer = writer_make(body, sizeof body);

    writer_u64_be(&writer, (uint64_t)level->predecessor_timestamp);
    writer_copy(&writer, level->predecessor, sizeof level->predecessor);
    message_list_add(&pvm->inbox, (struct bytes){message_info, sizeof message_info},
                     writer_view(&writer));
}

static void add_migration(struct pvm *pvm, const char *protocol)
{
    uint8_t body[68];
    struct writer writer = writer_make(body, sizeof body);
    struct bytes name = durable_path(protocol);

    writer_u32_be(&writer, (uint32_t)name.len);
    writer_copy(&writer, name.data, name.len);
    CHECK(!writer.failed);
    message_list_add(&pvm->inbox, (struct bytes){message_migration, sizeof message_migration},
                     writer_view(&writer));
}

void pvm_begin(struct pvm *pvm,
               const struct pvm_level *level,
               const struct bytes *externals,
               size_t count)
{
    CHECK(!pvm->in_level);
    pvm->in_level = true;
    pvm->level = level->level;
    pvm->reboots_left = PVM_REBOOTS_MAX;
    pvm->next = 0;
    message_list_truncate(&pvm->inbox, 0);
    message_list_truncate(&pvm->outbox, 0);

    message_list_add(&pvm->inbox, (struct bytes){message_start, sizeof message_start}, nothing);
    add_info(pvm, level);
    if (level->migration != NULL) add_migration(pvm, level->migration);
    for (size_t i = 0; i < count; i++) {
        CHECK(externals[i].len <= PVM_EXTERNAL_BYTES_MAX);
        message_list_add(&pvm->inbox, (struct bytes){message_external, 1}, externals[i]);
    }
    message_list_add(&pvm->inbox, (struct bytes){message_end, sizeof message_end}, nothing);
}

/* Finds the code of /kernel/boot.wasm when that changed. A kernel that cannot run is replaced by
 * the last one that did. */
static enum pvm_result prepare_kernel(struct pvm *pvm)
{
    struct digest hash;
    struct bytes wasm;

    durable_hash(&hash, pvm->durable, durable_path(KERNEL_PATH));
    if (pvm->entry != NULL && digest_equal(&hash, &pvm->kernel_hash)) return PVM_AGAIN;

    bool present = durable_value(&wasm, pvm->durable, durable_path(KERNEL_PATH));
    enum status status = ERR_MALFORMED;
    pvm->error = "there is no kernel";
    if (present) status = engine_find(&pvm->entry, &pvm->error, pvm->engine, wasm);
    if (status == OK) {
        pvm->kernel_hash = hash;
        durable_copy(pvm->durable, durable_path(KERNEL_PATH), durable_path(FALLBACK_PATH));
        durable_delete_value(pvm->durable, durable_path(UPGRADE_ERROR_PATH));
        return PVM_AGAIN;
    }
    /* A full disk or a missing compiler says nothing about the kernel: do not touch the state. */
    if (status != ERR_MALFORMED) return PVM_BROKEN;
    struct digest fallback;
    durable_hash(&fallback, pvm->durable, durable_path(FALLBACK_PATH));
    if (durable_has(pvm->durable, durable_path(FALLBACK_PATH)) == 0 ||
        digest_equal(&fallback, &hash)) {
        return PVM_BROKEN;
    }
    durable_copy(pvm->durable, durable_path(FALLBACK_PATH), durable_path(KERNEL_PATH));
    durable_set(pvm->durable, durable_path(UPGRADE_ERROR_PATH), durable_path(pvm->error));
    durable_hash(&hash, pvm->durable, durable_path(KERNEL_PATH));
    durable_value(&wasm, pvm->durable, durable_path(KERNEL_PATH));
    status = engine_find(&pvm->entry, &pvm->error, pvm->engine, wasm);
    if (status != OK) return PVM_BROKEN;
    pvm->kernel_hash = hash;
    return PVM_AGAIN;
}

static void write_reboot_counter(struct pvm *pvm)
{
    uint8_t bytes[4];
    struct writer writer = writer_make(bytes, sizeof bytes);

    writer_u32(&writer, pvm->reboots_left);
    durable_set(pvm->durable, durable_path(REBOOT_COUNTER_PATH), writer_view(&writer));
}

/* Ends the run: another one in this level, or the level's end. */
static enum pvm_result end_run(struct pvm *pvm, bool trapped)
{
    bool reboot = durable_has(pvm->durable, durable_path(REBOOT_PATH)) % 2 == 1;

    pvm->runs++;
    pvm->traps += trapped;
    if (trapped) {
        durable_set(pvm->durable, durable_path(STUCK_PATH), nothing);
    } else {
        durable_delete_value(pvm->durable, durable_path(STUCK_PATH));
    }
    durable_delete_value(pvm->durable, durable_path(REBOOT_PATH));
    if (reboot && pvm->reboots_left > 0) {
        pvm->reboots_left--;
        return PVM_AGAIN;
    }
    if (reboot) {
        durable_set(pvm->durable, durable_path(TOO_MANY_REBOOTS_PATH), nothing);
    } else {
        durable_delete_value(pvm->durable, durable_path(TOO_MANY_REBOOTS_PATH));
    }
    pvm->in_level = false;
    return PVM_LEVEL_DONE;
}

enum pvm_result pvm_step(struct pvm *pvm)
{
    CHECK(pvm->in_level);
    struct durable *before = durable_snapshot(pvm->durable);
    const size_t next = pvm->next;
    const size_t outbox = pvm->outbox.count;
    struct engine_call call = {.host = &host_calls, .context = pvm};
    int end = ENGINE_SUSPENDED;

    durable_delete_value(pvm->durable, durable_path(REBOOT_PATH));
    write_reboot_counter(pvm);
    enum pvm_result result = prepare_kernel(pvm);
    if (result == PVM_AGAIN) {
        end = pvm->entry(&call);
        result = end == ENGINE_SUSPENDED ? PVM_WAITING : end_run(pvm, end == ENGINE_TRAPPED);
    }
    if (result == PVM_WAITING || result == PVM_BROKEN) {
        durable_close(pvm->durable);
        pvm->durable = before;
        pvm->next = next;
        message_list_truncate(&pvm->outbox, outbox);
    } else {
        durable_close(before);
    }
    return result;
}

enum pvm_result pvm_finish(struct pvm *pvm)
{
    enum pvm_result result;

    do {
        result = pvm_step(pvm);
    } while (result == PVM_AGAIN);
    return result;
}

struct durable *pvm_durable(struct pvm *pvm)
{
    return pvm->durable;
}

size_t pvm_messages(const struct bytes **ret_messages, const struct pvm *pvm)
{
    *ret_messages = pvm->inbox.items;
    return pvm->inbox.count;
}

size_t pvm_outbox(const struct bytes **ret_messages, const struct pvm *pvm)
{
    *ret_messages = pvm->outbox.items;
    return pvm->outbox.count;
}

uint64_t pvm_runs(const struct pvm *pvm)
{
    return pvm->runs;
}

uint64_t pvm_traps(const struct pvm *pvm)
{
    return pvm->traps;
}

const struct digest *pvm_missing(const struct pvm *pvm)
{
    return &pvm->missing;
}

const char *pvm_error(const struct pvm *pvm)
{
    return pvm->error;
}
