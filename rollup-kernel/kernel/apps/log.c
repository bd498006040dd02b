#include "rollup-kernel/kernel/apps/application.h"

#include "common/bcs.h"
#include "common/crypto.h"
#include "rollup-kernel/kernel/blake2b.h"
#include "rollup-kernel/kernel/host.h"
#include "rollup-kernel/kernel/storage.h"

#define LOG_KEEP_DEFAULT 1000u

/* Digests of the pre-block in progress: the first `log_stored` are in .../list, the rest is in
 * memory. */
#define LOG_BUFFER (HOST_STORE_BYTES_MAX / sizeof(struct digest))

static uint64_t log_keep;
static uint32_t log_stored;
static uint32_t log_used;
static struct digest log_buffer[LOG_BUFFER];

static void log_init(struct bytes config)
{
    struct reader reader = reader_make(config.data, config.len);
    struct path path;

    log_keep = config.len < sizeof(uint32_t) ? LOG_KEEP_DEFAULT : reader_u32(&reader);
    path_set(&path, "/state/app/list");
    log_stored = storage_size(&path) / sizeof(struct digest);
    log_used = 0;
}

static void log_save(void)
{
    struct path path;

    if (log_used == 0) return;
    path_set(&path, "/stage/app/list");
    storage_write_at(&path, log_stored * sizeof(struct digest), log_buffer,
                     log_used * sizeof(struct digest));
    log_stored += log_used;
    log_used = 0;
}

static void log_apply(struct bytes transaction, const struct application_context *context)
{
    (void)context;
    crypto_hash_one(&log_buffer[log_used], transaction.data, transaction.len);
    if (++log_used == LOG_BUFFER) log_save();
}

/* Writes one slice of the block's value at `at`, and hashes it. */
static void log_write_slice(const struct path *block,
                            struct blake2b *hash,
                            uint32_t at,
                            const uint8_t *slice,
                            uint32_t len)
{
    storage_write_at(block, at, slice, len);
    blake2b_update(hash, slice, len);
}

/* The value of /blocks/N: the list behind its count. */
static void log_write_block(const struct path *block, struct blake2b *hash)
{
    uint8_t *slice = log_buffer[0].bytes; /* free after log_save */
    struct writer count = writer_make(slice, HOST_STORE_BYTES_MAX);
    struct path list;

    bcs_write_length(&count, log_stored);
    uint32_t start = (uint32_t)count.len;
    log_write_slice(block, hash, 0, slice, start);
    path_set(&list, "/stage/app/list");
    for (uint32_t at = 0;; at += HOST_STORE_BYTES_MAX) {
        uint32_t len = storage_read_at(&list, at, slice, HOST_STORE_BYTES_MAX);
        if (len == 0) break;
        log_write_slice(block, hash, start + at, slice, len);
    }
    storage_delete(&list);
    log_stored = 0;
}

static void log_end_block(const struct preblock *preblock)
{
    struct digest root = {{0}};
    struct blake2b hash;
    struct path path;

    log_save();
    storage_read("/stage/app/root", root.bytes, sizeof root.bytes);
    blake2b_init(&hash);
    blake2b_update(&hash, root.bytes, sizeof root.bytes);
    path_set(&path, "/blocks");
    path_add_number(&path, preblock->index);
    storage_delete(&path); /* of a step that trapped */
    log_write_block(&path, &hash);
    blake2b_final(&root, &hash);
    storage_write("/stage/app/root", root.bytes, sizeof root.bytes);

    if (log_keep == 0 || preblock->index <= log_keep) return;
    path_set(&path, "/blocks");
    path_add_number(&path, preblock->index - log_keep);
    storage_delete(&path);
}

const struct application application_log = {log_init, log_apply, log_end_block, log_save};
