#include <stdlib.h>

#include "consensus/node/storage_internal.h"

/* Rows looked at in one slice: some hundred microseconds. */
#define SLICE_KEYS 32u
#define SLICE_ROWS 256u

/* ---- the cache of assembled sub-DAGs --------------------------------------------------------- */

static struct cache_entry *cache_find(struct storage *storage, uint64_t index, bool certified)
{
    for (size_t i = 0; i < CACHE_ENTRIES_MAX; i++) {
        struct cache_entry *entry = &storage->cache[i];
        if (entry->buffer == NULL || entry->index != index || entry->certified != certified)
            continue;
        entry->used = ++storage->cache_clock;
        return entry;
    }
    return NULL;
}

static void cache_drop(struct storage *storage, struct cache_entry *entry)
{
    storage->cache_bytes -= entry->buffer->capacity;
    buffer_unref(entry->buffer);
    *entry = (struct cache_entry){.buffer = NULL};
}

/* A free entry, made by dropping the longest unused ones until there is one and `bytes` fit. */
static struct cache_entry *cache_make_room(struct storage *storage, size_t bytes)
{
    for (;;) {
        struct cache_entry *oldest = NULL;
        struct cache_entry *free_entry = NULL;
        for (size_t i = 0; i < CACHE_ENTRIES_MAX; i++) {
            struct cache_entry *entry = &storage->cache[i];
            if (entry->buffer == NULL) {
                free_entry = entry;
            } else if (oldest == NULL || entry->used < oldest->used) {
                oldest = entry;
            }
        }
        if (free_entry != NULL && storage->cache_bytes + bytes <= storage->cache_bytes_max) {
            return free_entry;
        }
        if (oldest == NULL) return NULL;
        cache_drop(storage, oldest);
    }
}

static void cache_add(struct storage *storage,
                      struct buffer *buffer,
                      uint64_t index,
                      bool certified)
{
    if (buffer->capacity > storage->cache_bytes_max) return;
    struct cache_entry *entry = cache_make_room(storage, buffer->capacity);
    CHECK(entry != NULL);
    *entry = (struct cache_entry){.buffer = buffer_ref(buffer),
                                  .index = index,
                                  .certified = certified,
                                  .used = ++storage->cache_clock};
    storage->cache_bytes += buffer->capacity;
}

/* ---- finishing ------------------------------------------------------------------------------- */

static void read_finish(struct storage *storage, enum status status)
{
    struct storage_request *request = storage->read;

    history_end(storage->read_history);
    storage->read_history = NULL;
    if (storage->read_cursor != NULL) {
        const enum status cursor_status = store_cursor_close(storage->read_cursor);
        if (status == OK) status = cursor_status;
    }
    storage->read_cursor = NULL;
    storage->read_key = 0;
    storage->read_used = 0;
    storage->read = NULL;
    storage_complete(storage, request, status);
}

/* ---- batches --------------------------------------------------------------------------------- */

static enum status read_batch(struct storage *storage, struct storage_request *request)
{
    const struct digest digest = request->record.digest;
    struct buffer *shared = NULL;

    const enum status status = batch_log_read(storage->log, &shared, &request->record, &digest);
    if (status != OK) return status;
    struct buffer *copy = buffer_new((size_t)BUFFER_BATCH + request->record.bytes);
    memcpy(copy->data + BUFFER_BATCH, shared->data + BUFFER_BATCH, request->record.bytes);
    copy->begin = BUFFER_BATCH;
    copy->len = request->record.bytes;
    buffer_unref(shared);
    request->buffer = copy;
    return OK;
}

static enum status find_batch(struct storage *storage, struct storage_request *request)
{
    const struct digest digest = request->record.digest;

    return batch_log_find(storage->log, &request->record, &digest);
}

/* ---- rows ------------------------------------------------------------------------------------ */

static void rows_prepare(struct storage_request *request, uint32_t rows_max)
{
    request->rows = calloc(rows_max == 0 ? 1 : rows_max, sizeof *request->rows);
    request->rows_memory = malloc(request->bytes_max == 0 ? 1 : request->bytes_max);
    CHECK(request->rows != NULL);
    CHECK(request->rows_memory != NULL);
}

/* False when it does not fit any more. */
static bool rows_add(struct storage *storage,
                     struct storage_request *request,
                     struct bytes key,
                     struct bytes value)
{
    uint8_t *at = request->rows_memory + storage->read_used;

    if (key.len > request->bytes_max - storage->read_used) return false;
    if (value.len > request->bytes_max - storage->read_used - key.len) return false;
    memcpy(at, key.data, key.len);
    if (value.len > 0) memcpy(at + key.len, value.data, value.len);
    request->rows[request->rows_count++] =
        (struct storage_row){.key = {at, key.len}, .value = {at + key.len, value.len}};
    storage->read_used += key.len + value.len;
    return true;
}

static void read_rows_slice(struct storage *storage, struct storage_request *request)
{
    if (request->rows == NULL) rows_prepare(request, request->keys_count);
    request->rows_end = false;
    for (uint32_t i = 0; i < SLICE_KEYS && storage->read_key < request->keys_count; i++) {
        const struct storage_key *key = &request->keys[storage->read_key++];
        const struct bytes key_bytes = {key->bytes, key->len};
        uint8_t *value = NULL;
        size_t len = 0;
        const enum status status =
            store_get(storage->store, &value, &len, request->table, key_bytes);
        if (status == ERR_NOT_FOUND) continue;
        if (status != OK) {
            read_finish(storage, status);
            return;
        }
        const bool fits = rows_add(storage, request, key_bytes, (struct bytes){value, len});
        free(value);
        if (!fits) {
            read_finish(storage, OK);
            return;
        }
    }
    if (storage->read_key < request->keys_count) return;
    request->rows_end = true;
    read_finish(storage, OK);
}

static void scan_rows_slice(struct storage *storage, struct storage_request *request)
{
    struct bytes key = {NULL, 0};
    struct bytes value = {NULL, 0};
    bool full = request->rows_max == 0;

    if (storage->read_cursor == NULL) {
        if (request->keys_count > 0)
            key = (struct bytes){request->keys[0].bytes, request->keys[0].len};
        rows_prepare(request, request->rows_max);
        storage->read_cursor = store_cursor_open(storage->store, request->table, key);
    }
    bool more = true;
    for (uint32_t i = 0; i < SLICE_ROWS && !full && more; i++) {
        more = store_cursor_next(storage->read_cursor, &key, &value);
        if (more) full = !rows_add(storage, request, key, value);
        full = full || request->rows_count == request->rows_max;
    }
    if (more && !full) return;
    request->rows_end = !more;
    read_finish(storage, OK);
}

/* ---- exports --------------------------------------------------------------------------------- */

/* With its certificate when one is asked for and stored: of the two forms that may be in the cache,
 * the bare one serves only who does not ask. */
static void export_slice(struct storage *storage, struct storage_request *request)
{
    bool done = false;
    enum status status = OK;

    if (storage->read_history == NULL) {
        const struct cache_entry *entry = cache_find(storage, request->index, request->certified);
        storage->now.exports++;
        if (entry != NULL) {
            storage->now.export_cache_hits++;
            request->buffer = buffer_ref(entry->buffer);
            read_finish(storage, OK);
            return;
        }
        status = history_begin(&storage->read_history, storage->store, storage->log,
                               storage->committee, request->index, request->certified);
    }
    if (status == OK) status = history_step(storage->read_history, &done);
    if (status == OK && !done) return;
    if (status == OK) {
        request->buffer = history_take(storage->read_history, &request->certified);
        cache_add(storage, request->buffer, request->index, request->certified);
    }
    read_finish(storage, status);
}

/* ---- steps ---------------------------------------------------------------------------------- */

bool storage_has_read(const struct storage *storage)
{
    return storage->read != NULL || storage->reads.first != NULL;
}

/* One step of the read under way. */
static void storage_read_step(struct storage *storage)
{
    struct storage_request *request = storage->read;

    if (storage->failed) {
        read_finish(storage, ERR_IO);
        return;
    }
    switch (request->kind) {
    case STORAGE_FIND_BATCH:
        read_finish(storage, find_batch(storage, request));
        return;
    case STORAGE_READ_BATCH:
        read_finish(storage, read_batch(storage, request));
        return;
    case STORAGE_READ_ROWS:
        read_rows_slice(storage, request);
        return;
    case STORAGE_SCAN_ROWS:
        scan_rows_slice(storage, request);
        return;
    case STORAGE_EXPORT:
        export_slice(storage, request);
        return;
    case STORAGE_APPEND:
    case STORAGE_COMMIT:
    case STORAGE_RETAIN:
    case STORAGE_KINDS:
        break;
    }
    CHECK(false);
}

void storage_read_until(struct storage *storage, uint64_t deadline_us)
{
    while (storage_has_read(storage)) {
        if (storage->read == NULL) storage->read = request_queue_pop(&storage->reads);
        storage_read_step(storage);
        if (storage_now_us() >= deadline_us) return;
    }
}
