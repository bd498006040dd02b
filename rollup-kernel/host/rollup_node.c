#include "rollup-kernel/host/rollup_node.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/crypto.h"
#include "rollup-kernel/host/base58.h"
#include "rollup-kernel/host/pack.h"
#include "rollup-kernel/host/pvm.h"

#define PROTOCOL "u025_025"

/* A kernel file: what an upgrade may bring, far above what can be originated. */
#define KERNEL_BYTES_MAX (64u * 1024u * 1024u)

/* Invariants: blocks are of consecutive levels, oldest first, at least one once open; the machine's
 * tree is the head's when no level is open; finalized <= head, and it never falls. */
struct rollup_node {
    struct rollup_identity identity;
    struct engine *engine;
    struct pvm *pvm;
    struct batcher *batcher;
    struct preimages *preimages;
    struct rollup_store *store;
    FILE *debug_log;
    struct rollup_block *blocks[ROLLUP_BLOCKS_KEPT];
    size_t count;
    bool in_level;
    int64_t timestamp; /* of the level at hand */
    int32_t finalized;
    int32_t floor; /* no reorg goes below: finalized, and what was there at the start */
    struct faults faults;
    /* Head before the last reorg, until a block is made: part of its hash, so that no block comes
     * back. */
    struct digest undone;
    bool failed; /* the store, in a reorg: `failure` */
    struct error_line failure;
};

static size_t reveal(void *context, uint8_t *ret_page, const struct digest *digest)
{
    struct rollup_node *node = context;

    return preimages_get(node->preimages, ret_page, digest);
}

static void debug(void *context, struct bytes text)
{
    struct rollup_node *node = context;

    if (node->debug_log == NULL) return;
    fwrite(text.data, 1, text.len, node->debug_log);
    fflush(node->debug_log);
}

static void blocks_push(struct rollup_node *node, struct rollup_block *block)
{
    if (node->count == ROLLUP_BLOCKS_KEPT) {
        rollup_block_close(node->blocks[0]);
        node->count--;
        memmove(node->blocks, node->blocks + 1, node->count * sizeof node->blocks[0]);
    }
    node->blocks[node->count++] = block;
}

static void take_stored(void *context, struct rollup_block *block)
{
    blocks_push(context, block);
}

static enum status read_kernel(struct bytes *ret_kernel, const char *path, struct error_line *error)
{
    FILE *file = fopen(path, "rb");

    if (file == NULL) return error_line_set(error, ERR_CONFIG, "%s: %s", path, strerror(errno));
    uint8_t *data = malloc(KERNEL_BYTES_MAX);
    CHECK(data != NULL);
    size_t len = fread(data, 1, KERNEL_BYTES_MAX, file);
    bool failed = ferror(file) != 0;
    fclose(file);
    static struct config config;
    enum status status = pack_read_config(&config, (struct bytes){data, len});
    bool other = status == ERR_NOT_FOUND && len != engine_builtin_wasm().len;
    if (failed || len == 0 || (status != OK && !other)) {
        free(data);
        return error_line_set(error, ERR_CONFIG, "%s: %s", path,
                              failed ? "cannot be read"
                              : status == ERR_NOT_FOUND
                                  ? "not packed: no config section (dsn pack-kernel)"
                                  : status_text(status));
    }
    *ret_kernel = (struct bytes){data, len};
    return OK;
}

/* A hash of the parts, for what L1 would make: addresses and block hashes. */
static void hash_of(struct digest *ret, const char *what, const void *data, size_t len)
{
    struct bytes parts[2] = {{(const uint8_t *)what, strlen(what)}, {data, len}};

    crypto_hash(ret, parts, 2);
}

static enum status originate(struct rollup_node *node,
                             const struct rollup_node_options *options,
                             struct error_line *error)
{
    struct bytes kernel;
    struct digest digest;

    if (options->kernel == NULL) {
        return error_line_set(error, ERR_CONFIG, "--kernel: required, as %s is new",
                              options->data_directory);
    }
    enum status status = read_kernel(&kernel, options->kernel, error);
    if (status != OK) return status;
    hash_of(&digest, "rollup", kernel.data, kernel.len);
    memcpy(node->identity.address, digest.bytes, sizeof node->identity.address);
    if (options->rollup_address != NULL &&
        base58_decode(node->identity.address, BASE58_ROLLUP, options->rollup_address) != OK) {
        status = error_line_set(error, ERR_CONFIG, "--rollup-address: not an sr1 address");
    }
    const char *reason;
    engine_entry *entry;
    if (status == OK && engine_find(&entry, &reason, node->engine, kernel) != OK) {
        status = error_line_set(error, ERR_CONFIG, "%s: %s", options->kernel, reason);
    }
    if (status == OK) {
        node->identity.origination_level = ROLLUP_ORIGINATION_LEVEL;
        struct rollup_block *block = calloc(1, sizeof *block);
        CHECK(block != NULL);
        block->level = ROLLUP_ORIGINATION_LEVEL;
        block->state = pvm_originate(kernel);
        hash_of(&block->hash, "block", digest.bytes, sizeof digest.bytes);
        blocks_push(node, block);
        status = rollup_store_begin(node->store, &node->identity, node->blocks, node->count, error);
    }
    free((uint8_t *)(uintptr_t)kernel.data);
    return status;
}

static enum status check_identity(const struct rollup_node *node,
                                  const struct rollup_node_options *options,
                                  struct error_line *error)
{
    uint8_t address[20];

    if (options->rollup_address != NULL) {
        if (base58_decode(address, BASE58_ROLLUP, options->rollup_address) != OK) {
            return error_line_set(error, ERR_CONFIG, "--rollup-address: not an sr1 address");
        }
        if (memcmp(address, node->identity.address, sizeof address) != 0) {
            return error_line_set(error, ERR_CONFIG,
                                  "%s: holds another rollup than --rollup-address",
                                  options->data_directory);
        }
    }
    if (options->kernel == NULL) return OK;

    /* The kernel may have been upgraded since; the address tells what was originated. */
    struct bytes kernel;
    struct digest digest;
    enum status status = read_kernel(&kernel, options->kernel, error);
    if (status != OK) return status;
    hash_of(&digest, "rollup", kernel.data, kernel.len);
    free((uint8_t *)(uintptr_t)kernel.data);
    if (options->rollup_address == NULL &&
        memcmp(digest.bytes, node->identity.address, sizeof node->identity.address) != 0) {
        return error_line_set(error, ERR_CONFIG, "%s: was originated with another kernel than %s",
                              options->data_directory, options->kernel);
    }
    return OK;
}

/* A machine over the head's state. */
static void make_machine(struct rollup_node *node)
{
    struct pvm_options machine = {.origination_level = node->identity.origination_level,
                                  .reveal = reveal,
                                  .debug = debug,
                                  .context = node};

    memcpy(machine.address, node->identity.address, sizeof machine.address);
    pvm_close(node->pvm);
    node->pvm = pvm_new(&machine, node->engine, durable_snapshot(rollup_node_head(node)->state));
    node->in_level = false;
}

static enum status open_parts(struct rollup_node *node,
                              const struct rollup_node_options *options,
                              struct error_line *error)
{
    char path[4096];
    bool found;

    enum status status = rollup_store_open(&node->store, &found, &node->identity,
                                           options->data_directory, take_stored, node, error);
    if (status != OK) return status;
    snprintf(path, sizeof path, "%s/kernels", options->data_directory);
    node->engine = engine_new(path);
    status = found ? check_identity(node, options, error) : originate(node, options, error);
    if (status != OK) return status;
    snprintf(path, sizeof path, "%s/preimages", options->data_directory);
    status =
        preimages_open(&node->preimages, options->preimages != NULL ? options->preimages : path,
                       options->preimages_endpoint, error);
    if (status != OK) return status;
    if (options->kernel_debug_log != NULL) {
        node->debug_log = fopen(options->kernel_debug_log, "ae");
        if (node->debug_log == NULL) {
            return error_line_set(error, ERR_CONFIG, "%s: %s", options->kernel_debug_log,
                                  strerror(errno));
        }
    }
    make_machine(node);
    /* What was final before is not stored: nothing that is there now is undone. */
    const int32_t head = rollup_node_head(node)->level;
    node->finalized = head - ROLLUP_FINALITY;
    node->floor = head;
    return OK;
}

enum status rollup_node_open(struct rollup_node **ret_node,
                             const struct rollup_node_options *options,
                             struct error_line *error)
{
    struct rollup_node *node = calloc(1, sizeof *node);

    CHECK(node != NULL);
    if (options->faults != NULL) faults_set(&node->faults, options->faults);
    node->batcher = batcher_new(options->batching_keys, &node->faults);
    enum status status = open_parts(node, options, error);
    if (status != OK) {
        rollup_node_close(node);
        return status;
    }
    *ret_node = node;
    return OK;
}

void rollup_node_close(struct rollup_node *node)
{
    if (node == NULL) return;
    pvm_close(node->pvm);
    engine_close(node->engine);
    batcher_close(node->batcher);
    preimages_close(node->preimages);
    for (size_t i = 0; i < node->count; i++) {
        rollup_block_close(node->blocks[i]);
    }
    rollup_store_close(node->store);
    if (node->debug_log != NULL) fclose(node->debug_log);
    free(node);
}

enum status rollup_node_reorg(struct rollup_node *node, uint32_t levels, struct error_line *error)
{
    const struct rollup_block *head = rollup_node_head(node);
    uint64_t most = u64_min(FAULTS_REORG_MAX, (uint64_t)(head->level - node->floor));

    if (levels < 1 || levels > FAULTS_REORG_MAX)
        return error_line_set(error, ERR_CONFIG, "levels: expected 1 to %u: older blocks are final",
                              FAULTS_REORG_MAX);
    if (levels > most)
        return error_line_set(error, ERR_CONFIG,
                              "levels: %u, but only %u blocks on top are not final", levels,
                              (uint32_t)most);
    node->undone = head->hash;
    for (uint32_t i = 0; i < levels; i++)
        rollup_block_close(node->blocks[--node->count]);
    make_machine(node);
    batcher_undo(node->batcher, rollup_node_head(node)->level);
    node->faults.counts[FAULTS_REORGS]++;
    node->faults.counts[FAULTS_UNDONE] += levels;
    if (rollup_store_begin(node->store, &node->identity, node->blocks, node->count,
                           &node->failure) != OK)
        node->failed = true;
    return OK;
}

/* A reorg before the level at hand, when the faults say so and there is something to undo. */
static void maybe_reorg(struct rollup_node *node)
{
    uint64_t random = faults_decide(&node->faults, FAULT_REORG);
    struct error_line error;

    if (random == 0) return;
    uint32_t levels = 1 + (uint32_t)(random % node->faults.spec.amount[FAULT_REORG]);
    while (levels > 0 && rollup_node_reorg(node, levels, &error) != OK)
        levels--;
}

void rollup_node_tick(struct rollup_node *node, int64_t now)
{
    const struct bytes *messages;

    if (node->in_level) return;
    maybe_reorg(node);
    const struct rollup_block *head = rollup_node_head(node);
    size_t count = batcher_next_block(&messages, node->batcher);
    struct pvm_level level = {.level = head->level + 1, .predecessor_timestamp = head->timestamp};
    memcpy(level.predecessor, head->hash.bytes, sizeof level.predecessor);
    if (head->level == ROLLUP_ORIGINATION_LEVEL) level.migration = PROTOCOL;
    pvm_begin(node->pvm, &level, messages, count);
    node->timestamp = now;
    node->in_level = true;
}

static void copy_outbox(struct outbox *ret_outbox, const struct pvm *pvm)
{
    const struct bytes *messages;
    size_t count = pvm_outbox(&messages, pvm);

    ret_outbox->messages = calloc(count > 0 ? count : 1, sizeof *ret_outbox->messages);
    CHECK(ret_outbox->messages != NULL);
    for (size_t i = 0; i < count; i++) {
        uint8_t *data = malloc(messages[i].len + 1);
        CHECK(data != NULL);
        memcpy(data, messages[i].data, messages[i].len);
        ret_outbox->messages[i] = (struct bytes){data, messages[i].len};
    }
    ret_outbox->count = (uint32_t)count;
}

/* The level is done: its block is stored, then it is the head. */
static enum rollup_step make_block(struct rollup_node *node, struct error_line *error)
{
    const struct rollup_block *head = rollup_node_head(node);
    struct rollup_block *block = calloc(1, sizeof *block);
    const struct bytes *messages;
    struct digest state;

    CHECK(block != NULL);
    block->level = head->level + 1;
    block->timestamp = node->timestamp;
    block->messages = (uint32_t)pvm_messages(&messages, node->pvm);
    block->state = durable_snapshot(pvm_durable(node->pvm));
    copy_outbox(&block->outbox, node->pvm);

    durable_hash(&state, block->state, durable_path(""));
    struct bytes parts[5] = {{(const uint8_t *)"block", 5},
                             {head->hash.bytes, sizeof head->hash.bytes},
                             {(const uint8_t *)&block->timestamp, sizeof block->timestamp},
                             {state.bytes, sizeof state.bytes},
                             {node->undone.bytes, sizeof node->undone.bytes}};
    crypto_hash(&block->hash, parts, 5);
    if (rollup_store_append(node->store, block, head->state, error) != OK) {
        rollup_block_close(block);
        return ROLLUP_FAILED;
    }
    blocks_push(node, block);
    node->in_level = false;
    node->undone = (struct digest){{0}};
    if (node->finalized < block->level - ROLLUP_FINALITY)
        node->finalized = block->level - ROLLUP_FINALITY;
    if (node->floor < node->finalized) node->floor = node->finalized;
    batcher_included(node->batcher, block->level);
    batcher_make_operations(node->batcher, true);
    if (rollup_store_is_long(node->store) &&
        rollup_store_begin(node->store, &node->identity, node->blocks, node->count, error) != OK) {
        return ROLLUP_FAILED;
    }
    return ROLLUP_BLOCK;
}

enum rollup_step rollup_node_step(struct rollup_node *node, struct error_line *error)
{
    if (node->failed) {
        *error = node->failure;
        return ROLLUP_FAILED;
    }
    if (!node->in_level) return ROLLUP_IDLE;
    switch (pvm_step(node->pvm)) {
    case PVM_LEVEL_DONE:
        return make_block(node, error);
    case PVM_AGAIN:
        return ROLLUP_AGAIN;
    case PVM_WAITING:
        return ROLLUP_WAITING;
    case PVM_BROKEN:
        break;
    }
    error_line_set(error, ERR_IO, "no kernel that runs: %s", pvm_error(node->pvm));
    return ROLLUP_FAILED;
}

struct batcher *rollup_node_batcher(struct rollup_node *node)
{
    return node->batcher;
}

const struct rollup_identity *rollup_node_identity(const struct rollup_node *node)
{
    return &node->identity;
}

const struct rollup_block *rollup_node_head(const struct rollup_node *node)
{
    CHECK(node->count >= 1);
    return node->blocks[node->count - 1];
}

const struct rollup_block *rollup_node_level(const struct rollup_node *node, int32_t level)
{
    int64_t at = (int64_t)level - node->blocks[0]->level;

    return at >= 0 && at < (int64_t)node->count ? node->blocks[at] : NULL;
}

const struct rollup_block *rollup_node_block(const struct rollup_node *node, const char *id)
{
    const struct rollup_block *head = rollup_node_head(node);
    struct digest hash;
    char *end;

    if (strcmp(id, "head") == 0) return head;
    if (strcmp(id, "finalized") == 0) {
        const struct rollup_block *block = rollup_node_level(node, node->finalized);
        return block != NULL ? block : node->blocks[0];
    }
    if (base58_decode(hash.bytes, BASE58_BLOCK, id) == OK) {
        for (size_t i = node->count; i-- > 0;) {
            if (digest_equal(&node->blocks[i]->hash, &hash)) return node->blocks[i];
        }
        return NULL;
    }
    long level = strtol(id, &end, 10);
    if (end == id || *end != '\0' || level < 0 || level > INT32_MAX) return NULL;
    return rollup_node_level(node, (int32_t)level);
}

const struct digest *rollup_node_missing(const struct rollup_node *node)
{
    return pvm_missing(node->pvm);
}

int32_t rollup_node_finalized(const struct rollup_node *node)
{
    return node->finalized;
}

struct faults *rollup_node_faults(struct rollup_node *node)
{
    return &node->faults;
}
