#include "rollup-kernel/kernel/apply.h"

#include "common/batch.h"
#include "common/crypto.h"
#include "common/limits.h"
#include "rollup-kernel/kernel/apps/application.h"
#include "rollup-kernel/kernel/config.h"
#include "rollup-kernel/kernel/pages.h"
#include "rollup-kernel/kernel/storage.h"

#define CURSOR_BYTES 60u

struct cursor {
    uint64_t index;
    uint32_t batch;
    uint32_t transaction;
    uint32_t count;
    uint32_t skipped; /* transactions and ends of pre-blocks that trapped, since the start */
    uint32_t
        faulty; /* pre-blocks and batches that were not what their header says, since the start */
    struct digest digest;
};

enum run_marker { RUN_NORMAL = 0, RUN_ALONE = 1 };

/* One run. */
struct applier {
    struct cursor cursor;
    const struct application *application;
    uint8_t *batch; /* memory for one batch */
    bool reveal;
    bool careful;
    bool skip; /* the transaction at the cursor trapped alone */

    /* The pre-block after cursor.index, once loaded. */
    struct preblock preblock;
    struct digest digest;
    uint32_t batches;
    bool manifest_broken;
    struct digest manifest[PREBLOCK_BATCHES_MAX];
};

static void cursor_write(const char *text, const struct cursor *cursor)
{
    uint8_t bytes[CURSOR_BYTES];
    struct writer writer = writer_make(bytes, sizeof bytes);

    writer_u64_be(&writer, cursor->index);
    writer_u32_be(&writer, cursor->batch);
    writer_u32_be(&writer, cursor->transaction);
    writer_u32_be(&writer, cursor->count);
    writer_u32_be(&writer, cursor->skipped);
    writer_u32_be(&writer, cursor->faulty);
    writer_copy(&writer, cursor->digest.bytes, sizeof cursor->digest.bytes);
    storage_write(text, bytes, sizeof bytes);
}

static void cursor_read(struct cursor *ret_cursor)
{
    uint8_t bytes[CURSOR_BYTES];
    struct reader reader = reader_make(bytes, storage_read("/state/cursor", bytes, sizeof bytes));

    ret_cursor->index = reader_u64_be(&reader);
    ret_cursor->batch = reader_u32_be(&reader);
    ret_cursor->transaction = reader_u32_be(&reader);
    ret_cursor->count = reader_u32_be(&reader);
    ret_cursor->skipped = reader_u32_be(&reader);
    ret_cursor->faulty = reader_u32_be(&reader);
    reader_copy(&reader, ret_cursor->digest.bytes, sizeof ret_cursor->digest.bytes);
    CHECK(reader_done(&reader));
}

/* What readers of the state look at: copies of the cursor. */
static void publish(const struct cursor *cursor)
{
    storage_write_u64("/index", cursor->index);
    storage_write("/digest", cursor->digest.bytes, sizeof cursor->digest.bytes);
    storage_write_u32("/head", (uint32_t)cursor->index);
    storage_write_u32("/fault/skipped", cursor->skipped);
    storage_write_u32("/fault/faulty", cursor->faulty);
}

void apply_install(const struct digest *genesis)
{
    struct cursor cursor = {.digest = *genesis};

    cursor_write("/state/cursor", &cursor);
    publish(&cursor);
}

uint64_t apply_index(void)
{
    struct cursor cursor;

    cursor_read(&cursor);
    return cursor.index;
}

bool apply_wanted(void)
{
    struct path path;

    path_set(&path, "/run");
    return apply_index() < storage_read_u64("/accepted") || storage_has(&path);
}

static void run_mark(enum run_marker marker)
{
    uint8_t byte = (uint8_t)marker;

    storage_write("/run", &byte, sizeof byte);
}

static void step_begin(void)
{
    storage_copy("/state", "/stage");
}

/* From here to the end of the step, a trap is the fault of the transaction at the cursor. */
static void step_alone(const struct applier *applier)
{
    if (applier->careful) run_mark(RUN_ALONE);
}

static void step_commit(const struct applier *applier)
{
    struct path path;

    applier->application->save();
    cursor_write("/stage/cursor", &applier->cursor);
    if (applier->careful) run_mark(RUN_NORMAL);
    path_set(&path, "/state");
    storage_move("/stage", &path);
}

/* Header and manifest of the next pre-block. False when pages of the manifest are missing. */
static bool load_preblock(struct applier *applier)
{
    uint8_t header[PREBLOCK_HEADER_BYTES];
    struct path path;
    uint32_t len;

    path_set(&path, "/pending");
    path_add_number(&path, applier->cursor.index + 1);
    struct reader reader = reader_make(header, storage_read_at(&path, 0, header, sizeof header));
    preblock_decode(&applier->preblock, &reader);
    CHECK(reader_done(&reader));
    crypto_hash_one(&applier->digest, header, sizeof header);

    enum tree_result result = tree_read(applier->manifest[0].bytes, &len, sizeof applier->manifest,
                                        applier->preblock.index, &applier->preblock.payload,
                                        MANIFEST_DEPTH, applier->reveal);
    applier->batches = len / sizeof(struct digest);
    applier->manifest_broken = result == TREE_BROKEN;
    return result != TREE_MISSING;
}

/* One transaction in a step of its own, so that a trap costs only this one. */
static void apply_careful(struct applier *applier,
                          struct bytes transaction,
                          const struct application_context *context)
{
    struct cursor *cursor = &applier->cursor;

    step_begin();
    if (applier->skip) {
        cursor->skipped++;
        debug_number("skipped", applier->preblock.index);
    } else {
        step_alone(applier);
        applier->application->apply(transaction, context);
    }
    applier->skip = false;
    cursor->transaction++;
    cursor->count++;
    step_commit(applier);
}

/* The batch at the cursor, of `len` bytes; a malformed one ends at its first bad byte. */
static void apply_batch(struct applier *applier, uint32_t len, bool broken)
{
    struct cursor *cursor = &applier->cursor;
    struct application_context context = {&applier->preblock, cursor->batch, 0};
    struct reader reader = reader_make(applier->batch, len);
    struct bytes transaction;

    if (!applier->careful) step_begin();
    for (; batch_next(&transaction, &reader); context.transaction++) {
        if (context.transaction < cursor->transaction) continue;
        if (applier->careful) {
            apply_careful(applier, transaction, &context);
        } else {
            applier->application->apply(transaction, &context);
            cursor->count++;
        }
    }
    if (applier->careful) step_begin();
    cursor->batch++;
    cursor->transaction = 0;
    if (broken || reader.failed) cursor->faulty++;
    step_commit(applier);
}

/* What follows from a cursor behind a pre-block. */
static void settle(const struct cursor *cursor)
{
    struct path path;

    publish(cursor);
    path_set(&path, "/pages");
    path_add_number(&path, cursor->index);
    storage_delete(&path);
    path_set(&path, "/pending");
    path_add_number(&path, cursor->index);
    storage_delete(&path);
}

static void end_preblock(struct applier *applier)
{
    struct cursor *cursor = &applier->cursor;

    step_begin();
    if (applier->skip) {
        cursor->skipped++;
    } else {
        step_alone(applier);
        applier->application->end_block(&applier->preblock);
    }
    applier->skip = false;
    if (applier->manifest_broken || applier->batches != applier->preblock.batches ||
        cursor->count != applier->preblock.transactions) {
        cursor->faulty++;
    }
    cursor->index++;
    cursor->batch = 0;
    cursor->count = 0;
    cursor->digest = applier->digest;
    step_commit(applier);

    settle(cursor);
    debug_number("applied", cursor->index);
}

/* The step at the cursor. Returns its payload bytes, 0 when pages are missing. */
static uint32_t apply_step(struct applier *applier)
{
    uint32_t len = 1;

    if (applier->cursor.batch < applier->batches) {
        enum tree_result result =
            tree_read(applier->batch, &len, BATCH_BYTES_MAX, applier->preblock.index,
                      &applier->manifest[applier->cursor.batch], BATCH_DEPTH, applier->reveal);
        if (result == TREE_MISSING) return 0;
        apply_batch(applier, len, result == TREE_BROKEN);
        len++;
    } else {
        end_preblock(applier);
    }
    applier->careful = false;
    return len;
}

static void applier_open(struct applier *applier, uint8_t *arena)
{
    static uint8_t config[CONFIG_APPLICATION_BYTES_MAX];
    uint32_t config_len = storage_read("/application", config, sizeof config);
    uint8_t mode = CONFIG_MODE_INBOX;
    uint8_t marker;

    storage_read("/mode", &mode, sizeof mode);
    applier->reveal = mode == CONFIG_MODE_REVEAL;
    applier->batch = arena;
    applier->careful = storage_read("/run", &marker, sizeof marker) > 0;
    applier->skip = applier->careful && marker == RUN_ALONE;
    cursor_read(&applier->cursor);

    applier->application =
        config[0] == CONFIG_APPLICATION_LOG ? &application_log : &application_counter;
    applier->application->init((struct bytes){config + 1, config_len - 1});
    if (!applier->careful) {
        run_mark(RUN_NORMAL);
    } else if (applier->cursor.batch == 0 && applier->cursor.transaction == 0) {
        settle(&applier->cursor); /* inside a pre-block it was done before the block began */
    }
}

bool apply_run(uint8_t *arena)
{
    static struct applier applier;
    uint64_t accepted = storage_read_u64("/accepted");
    uint32_t budget = APPLY_BYTES_MAX;
    uint64_t loaded = 0;

    applier_open(&applier, arena);
    while (budget > 0 && applier.cursor.index < accepted) {
        uint64_t next = applier.cursor.index + 1;
        if (loaded != next && !load_preblock(&applier)) break;
        loaded = next;
        uint32_t used = apply_step(&applier);
        if (used == 0) break;
        budget -= used < budget ? used : budget;
    }
    storage_delete_at("/run");
    return budget == 0;
}
