#include "tests/kernel/model.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint32_t read_u32(const uint8_t *data)
{
    return data[0] | (uint32_t)data[1] << 8 | (uint32_t)data[2] << 16 | (uint32_t)data[3] << 24;
}

static uint64_t header_index(const uint8_t *header)
{
    return read_u32(header + 9) | (uint64_t)read_u32(header + 13) << 32;
}

void model_open(struct model *ret_model,
                const struct chain *chain,
                const uint8_t *application,
                size_t len)
{
    memset(ret_model, 0, sizeof *ret_model);
    ret_model->chain = chain;
    ret_model->application = application[0] == MODEL_LOG ? MODEL_LOG : MODEL_COUNTER;
    memcpy(ret_model->application_bytes, application, len);
    ret_model->application_len = len;
    ret_model->keep = len >= 5 ? read_u32(application + 1) : 1000;
    for (uint32_t i = 0; i < CHAIN_PREBLOCKS_MAX; i++) {
        ret_model->stored[i] = calloc(4096, sizeof(bool));
    }
}

void model_close(struct model *model)
{
    for (uint32_t i = 0; i < CHAIN_PREBLOCKS_MAX; i++) {
        free(model->stored[i]);
    }
}

void model_copy(struct model *ret_copy, const struct model *model)
{
    *ret_copy = *model;
    for (uint32_t i = 0; i < CHAIN_PREBLOCKS_MAX; i++) {
        ret_copy->stored[i] = calloc(4096, sizeof(bool));
        memcpy(ret_copy->stored[i], model->stored[i], 4096 * sizeof(bool));
    }
}

/* The kernel can tell a fork from an old segment where it still knows its own digest: of the last accepted
 * pre-block, of those that wait to be applied, and of the one that comes next. */
static void see_fork(struct model *model, const uint8_t *header)
{
    uint64_t index = header_index(header);

    if (index <= model->applied && index != model->accepted) return;
    if (model->fork == NULL) model->fork = header;
}

/* In inbox order, again and again until none connects any more. Each connects once. */
static void accept_segments(struct model *model, const struct model_message *messages, size_t count)
{
    bool *done = calloc(count + 1, sizeof *done);
    bool again = true;

    while (again) {
        again = false;
        for (size_t i = 0; i < count; i++) {
            const struct model_message *message = &messages[i];
            if (done[i] || (message->kind != MODEL_SEGMENT && message->kind != MODEL_FORK))
                continue;
            uint64_t first =
                message->kind == MODEL_FORK ? header_index(message->fork) : message->first;
            if (first > model->accepted + 1) continue;
            done[i] = true;
            if (message->kind == MODEL_FORK) {
                see_fork(model, message->fork);
            } else if (message->last > model->accepted) {
                model->accepted = message->last;
                again = true;
            }
        }
    }
    free(done);
}

/* A page is stored when its parent is, or comes in the same level, and so on up to the header. */
static void store_pages(struct model *model, const struct model_message *messages, size_t count)
{
    bool again = true;

    while (again) {
        again = false;
        for (size_t i = 0; i < count; i++) {
            const struct model_message *message = &messages[i];
            if (message->kind != MODEL_PAGE) continue;
            if (message->first <= model->applied || message->first > model->accepted) continue;
            bool *stored = model->stored[message->first - 1];
            int parent = model->chain->preblocks[message->first - 1].pages[message->last].parent;
            if (stored[message->last] || (parent >= 0 && !stored[parent])) continue;
            stored[message->last] = true;
            again = true;
        }
    }
    /* Two pages of equal bytes are one page in storage. */
    for (uint64_t index = model->applied + 1; index <= model->accepted; index++) {
        const struct chain_preblock *preblock = &model->chain->preblocks[index - 1];
        bool *stored = model->stored[index - 1];
        for (int a = 0; a < preblock->pages_count; a++) {
            for (int b = 0; stored[a] && b < preblock->pages_count; b++) {
                if (memcmp(preblock->pages[a].digest, preblock->pages[b].digest, 32) == 0) {
                    stored[b] = true;
                }
            }
        }
    }
}

static bool is_below(const struct chain_preblock *preblock, int page, int root)
{
    while (page >= 0 && page != root) {
        page = preblock->pages[page].parent;
    }
    return page == root && root >= 0;
}

/* All pages of the batch, or (batch == batches_count) of the manifest, are stored. */
static bool complete(const struct model *model,
                     const struct chain_preblock *preblock,
                     uint32_t batch)
{
    const bool *stored = model->stored[preblock->index - 1];

    if (model->reveal) return true;
    for (int p = 0; p < preblock->pages_count; p++) {
        bool mine = false;
        if (batch < preblock->batches_count) {
            mine = is_below(preblock, p, preblock->batches[batch].root_page);
        } else {
            mine = true;
            for (uint32_t b = 0; b < preblock->batches_count; b++) {
                mine = mine && !is_below(preblock, p, preblock->batches[b].root_page);
            }
        }
        if (mine && !stored[p]) return false;
    }
    return true;
}

/* Where a transaction stands. */
typedef struct model_skip position;

/* Calls `visit` for each transaction of the batch, in order, up to the first byte that does not
 * belong to one. False when there is such a byte. `visit` may be NULL. */
typedef void visit_transaction(void *context, position at, const uint8_t *data, uint32_t len);
static bool each_transaction(const struct chain_preblock *preblock,
                             uint32_t number,
                             visit_transaction *visit,
                             void *context)
{
    const struct chain_batch *batch = &preblock->batches[number];
    position here = {preblock->index, number, 0};
    size_t at = 0;

    while (at < batch->bytes.len) {
        uint32_t len = 0;
        unsigned shift = 0;
        if (batch->bytes.data[at++] != 0x0a) return false;
        do {
            len |= (uint32_t)(batch->bytes.data[at] & 127) << shift;
            shift += 7;
        } while (batch->bytes.data[at++] & 128);
        if (len > batch->bytes.len - at) return false;
        if (visit != NULL) visit(context, here, batch->bytes.data + at, len);
        here.transaction++;
        at += len;
    }
    return true;
}

/* Its number in `skips`; skips_count when it is not there. */
static uint32_t find_skip(const struct model *model, position at)
{
    uint32_t i = 0;

    for (; i < model->skips_count; i++) {
        const struct model_skip *skip = &model->skips[i];
        if (skip->index == at.index && skip->batch == at.batch &&
            skip->transaction == at.transaction) {
            break;
        }
    }
    return i;
}

static bool is_skipped(const struct model *model, position at)
{
    return find_skip(model, at) < model->skips_count;
}

static bool is_end_skipped(const struct model *model, const struct chain_preblock *preblock)
{
    return is_skipped(model, (position){preblock->index, preblock->batches_count, 0});
}

static bool traps(const struct model *model, position at, const uint8_t *data, uint32_t len)
{
    if (model->traps && len >= 4 && memcmp(data, MODEL_TRAP, 4) == 0) return true;
    return is_skipped(model, at);
}

static void count_trap(void *context, position at, const uint8_t *data, uint32_t len)
{
    struct model *model = context;

    model->skipped += traps(model, at, data, len);
}

/* From the start: what is done of the chain is known. */
static void count_skipped(struct model *model)
{
    model->skipped = 0;
    model->skipped_published = 0;
    for (uint64_t index = 1; index <= model->applied + 1 && index <= model->chain->count; index++) {
        const struct chain_preblock *preblock = &model->chain->preblocks[index - 1];
        bool whole = index <= model->applied;
        for (uint32_t b = 0; b < (whole ? preblock->batches_count : model->batch); b++) {
            each_transaction(preblock, b, count_trap, model);
        }
        if (!whole) return;
        model->skipped += is_end_skipped(model, preblock);
        model->skipped_published = model->skipped;
    }
}

void model_skip(struct model *model, struct model_skip skip)
{
    if (is_skipped(model, skip)) return;
    if (model->skips_count == MODEL_SKIPS_MAX) abort();
    model->skips[model->skips_count++] = skip;
    count_skipped(model);
}

void model_unskip(struct model *model, struct model_skip skip)
{
    uint32_t at = find_skip(model, skip);

    if (at == model->skips_count) return;
    model->skips[at] = model->skips[--model->skips_count];
    count_skipped(model);
}

static void apply(struct model *model)
{
    while (model->applied < model->accepted) {
        const struct chain_preblock *preblock = &model->chain->preblocks[model->applied];
        uint32_t transactions = 0;
        if (!complete(model, preblock, preblock->batches_count)) return;
        while (model->batch < preblock->batches_count) {
            if (!complete(model, preblock, model->batch)) return;
            bool whole = each_transaction(preblock, model->batch, NULL, NULL);
            model->faulty += !whole;
            model->batch++;
        }
        for (uint32_t b = 0; b < preblock->batches_count; b++) {
            transactions += preblock->batches[b].transactions;
        }
        model->faulty += read_u32(preblock->header + 133) != transactions;
        model->faulty_published = model->faulty;
        model->batch = 0;
        model->applied++;
    }
}

void model_level(struct model *model, const struct model_message *messages, size_t count)
{
    accept_segments(model, messages, count);
    store_pages(model, messages, count);
    apply(model);
    count_skipped(model);
}

static void put(struct durable *tree, const char *path, const void *data, size_t len)
{
    durable_set(tree, durable_path(path), (struct bytes){data, len});
}

static void put_number(struct durable *tree, const char *path, uint64_t value, unsigned width)
{
    struct blob bytes = {0};

    blob_big(&bytes, value, width);
    put(tree, path, bytes.data, bytes.len);
    blob_free(&bytes);
}

/* The applications' results, folded from the start. */
struct fold {
    const struct model *model;
    struct durable *tree;
    struct blob list;
    uint32_t transactions;
    uint32_t blocks; /* ended */
    uint8_t root[32];
    uint64_t counter;
};

static void fold_transaction(void *context, position at, const uint8_t *data, uint32_t len)
{
    struct fold *fold = context;
    uint8_t digest[32];

    fold->transactions++;
    if (traps(fold->model, at, data, len)) return;
    crypto_generichash_blake2b(digest, sizeof digest, data, len, NULL, 0);
    blob_add(&fold->list, digest, sizeof digest);
    if (len == 9 && data[0] == 1) {
        fold->counter += read_u32(data + 1) | (uint64_t)read_u32(data + 5) << 32;
    } else {
        fold->counter++;
    }
}

static void fold_block(struct fold *fold, uint64_t index)
{
    const struct model *model = fold->model;
    struct blob value = {0};
    struct blob hashed = {0};
    char path[64];

    blob_length(&value, (uint32_t)(fold->list.len / 32));
    blob_add(&value, fold->list.data, fold->list.len);
    blob_add(&hashed, fold->root, sizeof fold->root);
    blob_add(&hashed, value.data, value.len);
    crypto_generichash_blake2b(fold->root, sizeof fold->root, hashed.data, hashed.len, NULL, 0);
    snprintf(path, sizeof path, "/blocks/%llu", (unsigned long long)index);
    if (model->application == MODEL_LOG &&
        (model->keep == 0 || index + model->keep > model->applied)) {
        put(fold->tree, path, value.data, value.len);
    }
    if (model->application == MODEL_COUNTER) put_number(fold->tree, "/counter", fold->counter, 8);
    fold->blocks++;
    blob_free(&value);
    blob_free(&hashed);
    blob_free(&fold->list);
}

static void put_application(const struct model *model, struct durable *tree, uint32_t *ret_count)
{
    struct fold fold = {.model = model, .tree = tree};

    for (uint64_t index = 1; index <= model->applied + 1 && index <= model->chain->count; index++) {
        const struct chain_preblock *preblock = &model->chain->preblocks[index - 1];
        bool whole = index <= model->applied;
        uint32_t batches = whole ? preblock->batches_count : model->batch;
        fold.transactions = 0;
        for (uint32_t b = 0; b < batches; b++) {
            each_transaction(preblock, b, fold_transaction, &fold);
        }
        if (whole && !is_end_skipped(model, preblock)) fold_block(&fold, index);
        *ret_count = whole ? 0 : fold.transactions;
    }
    bool any = model->applied > 0 || model->batch > 0;
    if (model->application == MODEL_COUNTER && any) {
        put_number(tree, "/state/app/counter", fold.counter, 8);
    }
    if (model->application == MODEL_LOG) {
        if (fold.blocks > 0) put(tree, "/state/app/root", fold.root, sizeof fold.root);
        if (fold.list.len > 0) put(tree, "/state/app/list", fold.list.data, fold.list.len);
    }
    blob_free(&fold.list);
}

static void put_pending(const struct model *model, struct durable *tree)
{
    char path[160];
    char hex[65];

    for (uint64_t index = model->applied + 1; index <= model->accepted; index++) {
        const struct chain_preblock *preblock = &model->chain->preblocks[index - 1];
        snprintf(path, sizeof path, "/pending/%llu", (unsigned long long)index);
        put(tree, path, preblock->header, sizeof preblock->header);
        for (int p = 0; p < preblock->pages_count; p++) {
            if (!model->stored[index - 1][p]) continue;
            const struct chain_page *page = &preblock->pages[p];
            sodium_bin2hex(hex, sizeof hex, page->digest, sizeof page->digest);
            snprintf(path, sizeof path, "/pages/%llu/%s", (unsigned long long)index, hex);
            put(tree, path, page->bytes.data, page->bytes.len);
        }
    }
}

static struct durable *predict(const struct model *model)
{
    const struct chain *chain = model->chain;
    struct durable *tree = durable_new();
    uint8_t mode = model->reveal;
    struct blob cursor = {0};
    uint32_t count = 0;
    char path[64];

    const uint8_t *accepted =
        model->accepted == 0 ? chain->genesis : chain->preblocks[model->accepted - 1].digest;
    const uint8_t *applied =
        model->applied == 0 ? chain->genesis : chain->preblocks[model->applied - 1].digest;
    put_number(tree, "/accepted", model->accepted, 8);
    put(tree, "/accepted/digest", accepted, 32);
    put_number(tree, "/index", model->applied, 8);
    put(tree, "/digest", applied, 32);
    put_number(tree, "/head", model->applied, 4);
    put_number(tree, "/epoch", chain->epoch, 8);
    put(tree, "/mode", &mode, 1);
    put(tree, "/application", model->application_bytes, model->application_len);
    snprintf(path, sizeof path, "/authorities/%llu", (unsigned long long)chain->epoch);
    put(tree, path, chain->record.data, chain->record.len);
    put_application(model, tree, &count);
    put_pending(model, tree);

    /* /fault is written when a pre-block ends. */
    uint32_t skipped = model->skipped;
    put_number(tree, "/fault/faulty", model->faulty_published, 4);
    put_number(tree, "/fault/skipped", model->skipped_published, 4);
    if (model->fork != NULL) put(tree, "/fault/fork", model->fork, 153);

    blob_big(&cursor, model->applied, 8);
    blob_big(&cursor, model->batch, 4);
    blob_big(&cursor, 0, 4);
    blob_big(&cursor, count, 4);
    blob_big(&cursor, skipped, 4);
    blob_big(&cursor, model->faulty, 4);
    blob_add(&cursor, applied, 32);
    put(tree, "/state/cursor", cursor.data, cursor.len);
    blob_free(&cursor);
    return tree;
}

struct differences {
    const struct model *model;
    int count;
};

static bool is_below_path(struct bytes path, const char *top)
{
    const size_t len = strlen(top);

    return path.len >= len && memcmp(path.data, top, len) == 0 &&
           (path.len == len || path.data[len] == '/');
}

/* An end of pre-block that trapped twice has left behind what it wrote outside of /state until then. */
static bool is_left_by_skipped_end(const struct model *model, struct bytes path)
{
    char text[64];

    for (uint32_t i = 0; i < model->skips_count; i++) {
        const struct model_skip *skip = &model->skips[i];
        if (skip->batch != model->chain->preblocks[skip->index - 1].batches_count) continue;
        if (skip->index == model->applied && is_below_path(path, "/counter")) return true;
        for (int old = 0; old < 2; old++) {
            uint64_t block = skip->index - (old ? model->keep : 0);
            snprintf(text, sizeof text, "/blocks/%llu", (unsigned long long)block);
            if (is_below_path(path, text)) return true;
        }
    }
    return false;
}

static bool is_ours(const struct model *model, struct bytes path)
{
    return !is_below_path(path, "/kernel") && !is_below_path(path, "/readonly") &&
           !is_left_by_skipped_end(model, path);
}

static void report(void *context, const char *what, struct bytes path)
{
    struct differences *differences = context;

    if (!is_ours(differences->model, path)) return;
    if (differences->count++ < 20)
        fprintf(stderr, "  %s %.*s\n", what, (int)path.len, (const char *)path.data);
}

static void report_set(void *context, struct bytes path, struct bytes value)
{
    const struct differences *differences = context;
    char hex[129];

    sodium_bin2hex(hex, sizeof hex, value.data, value.len < 64 ? value.len : 64);
    report(context, "differs or is too much:", path);
    if (differences->count <= 20 && is_ours(differences->model, path)) {
        fprintf(stderr, "    kernel has %zu bytes %s\n", value.len, hex);
    }
}

static void report_delete_value(void *context, struct bytes path)
{
    report(context, "value is missing:", path);
}

static void report_delete(void *context, struct bytes path)
{
    report(context, "is missing:", path);
}

bool model_agrees(const struct model *model, const struct durable *durable)
{
    struct differences differences = {.model = model};
    struct durable_diff diff = {report_set, report_delete_value, report_delete, &differences};
    struct durable *expected = predict(model);

    durable_compare(expected, durable, &diff);
    durable_close(expected);
    return differences.count == 0;
}
