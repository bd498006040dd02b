/* The reads thread: one request after the other, in the order of submission. */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>

#include "consensus/node/storage_internal.h"

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

/* ---- batches --------------------------------------------------------------------------------- */

static enum status read_batch(struct storage *storage, struct storage_request *request)
{
    const struct digest digest = request->record.digest;
    struct buffer *shared = NULL;

    const enum status status = batch_log_read(storage->log, &shared, &request->record, &digest);
    if (status != OK) {
        request->record =
            (struct batch_record){.digest = digest}; /* what is rotten says anything */
        return status;
    }
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
    const struct bytes key = {digest.bytes, sizeof digest.bytes};
    uint8_t *value = NULL;
    size_t len = 0;

    const enum status found = batch_log_find(storage->log, &request->record, &digest);
    if (found != OK) return found;
    const enum status status = store_get(storage->store, &value, &len, TABLE_EXECUTED, key);
    free(value);
    request->executed = status == OK;
    return status == ERR_NOT_FOUND ? OK : status;
}

/* ---- rows ------------------------------------------------------------------------------------ */

/* Rows that an answer gathers; `used` bytes of its memory are filled. */
struct gathering {
    struct storage_request *request;
    size_t used;
};

static struct gathering rows_begin(struct storage_request *request, uint32_t rows_max)
{
    request->rows = calloc(rows_max == 0 ? 1 : rows_max, sizeof *request->rows);
    request->rows_memory = malloc(request->bytes_max == 0 ? 1 : request->bytes_max);
    CHECK(request->rows != NULL);
    CHECK(request->rows_memory != NULL);
    return (struct gathering){request, 0};
}

/* False when it does not fit any more. */
static bool rows_add(struct gathering *gathering, struct bytes key, struct bytes value)
{
    struct storage_request *request = gathering->request;
    uint8_t *at = request->rows_memory + gathering->used;

    if (key.len > request->bytes_max - gathering->used) return false;
    if (value.len > request->bytes_max - gathering->used - key.len) return false;
    memcpy(at, key.data, key.len);
    if (value.len > 0) memcpy(at + key.len, value.data, value.len);
    request->rows[request->rows_count++] =
        (struct storage_row){.key = {at, key.len}, .value = {at + key.len, value.len}};
    gathering->used += key.len + value.len;
    return true;
}

static enum status read_rows(struct storage *storage, struct storage_request *request)
{
    struct gathering gathering = rows_begin(request, request->keys_count);

    for (uint32_t i = 0; i < request->keys_count; i++) {
        const struct bytes key = {request->keys[i].bytes, request->keys[i].len};
        uint8_t *value = NULL;
        size_t len = 0;
        const enum status status = store_get(storage->store, &value, &len, request->table, key);
        if (status == ERR_NOT_FOUND) continue;
        if (status != OK) return status;
        const bool fits = rows_add(&gathering, key, (struct bytes){value, len});
        free(value);
        if (!fits) return OK;
    }
    request->rows_end = true;
    return OK;
}

static enum status scan_rows(struct storage *storage, struct storage_request *request)
{
    struct gathering gathering = rows_begin(request, request->rows_max);
    struct bytes key = {NULL, 0};
    struct bytes value = {NULL, 0};
    bool full = request->rows_max == 0;
    bool more = true;

    if (request->keys_count > 0) key = (struct bytes){request->keys[0].bytes, request->keys[0].len};
    struct store_cursor *cursor = store_cursor_open(storage->store, request->table, key);
    while (!full && more) {
        more = store_cursor_next(cursor, &key, &value);
        if (more) full = !rows_add(&gathering, key, value);
        full = full || request->rows_count == request->rows_max;
    }
    request->rows_end = !more;
    return store_cursor_close(cursor);
}

static enum status answer(struct storage *storage, struct storage_request *request)
{
    if (storage->failed) return ERR_IO;
    switch (request->kind) {
    case STORAGE_FIND_BATCH:
        return find_batch(storage, request);
    case STORAGE_READ_BATCH:
        return read_batch(storage, request);
    case STORAGE_READ_ROWS:
        return read_rows(storage, request);
    case STORAGE_SCAN_ROWS:
        return scan_rows(storage, request);
    case STORAGE_EXPORT:
    case STORAGE_APPEND:
    case STORAGE_COMMIT:
    case STORAGE_RETAIN:
    case STORAGE_KINDS:
        break;
    }
    CHECK(false);
    return ERR_IO;
}

/* ---- exports --------------------------------------------------------------------------------- */

static void export_finish(struct storage *storage, enum status status)
{
    struct storage_request *request = request_queue_pop(&storage->exports);

    history_end(storage->history);
    storage->history = NULL;
    storage_publish_reads(storage);
    storage_complete(storage, request, status);
}

/* From the cache; or begins to assemble it. With its certificate when one is asked for and stored: of
 * the two forms that may be in the cache, the bare one serves only who does not ask. */
static enum status export_begin(struct storage *storage, struct storage_request *request)
{
    const struct cache_entry *entry = cache_find(storage, request->index, request->certified);

    storage->now.exports++;
    if (entry == NULL) {
        return history_begin(&storage->history, storage->store, storage->log, storage->committee,
                             request->index, request->certified);
    }
    storage->now.export_cache_hits++;
    request->buffer = buffer_ref(entry->buffer);
    return OK;
}

/* One step of the first export, of bounded work. */
static void export_step(struct storage *storage)
{
    struct storage_request *request = storage->exports.first;
    enum status status = storage->failed ? ERR_IO : OK;
    bool done = false;

    if (status == OK && storage->history == NULL) status = export_begin(storage, request);
    if (status == OK && storage->history != NULL) {
        status = history_step(storage->history, &done);
        if (status == OK && !done) return;
        request->lacks_batch =
            status == ERR_MISSING &&
            history_lacks(storage->history, &request->record.digest, &request->record.worker);
    }
    if (status == OK && done) {
        request->buffer = history_take(storage->history, &request->certified);
        cache_add(storage, request->buffer, request->index, request->certified);
    }
    export_finish(storage, status);
}

/* ---- the thread ------------------------------------------------------------------------------ */

/* The queues hold no more than all clients may have in flight. */
static void gather(struct storage *storage)
{
    struct storage_request *request;

    while ((request = mailbox_take(storage->reads.mailbox)) != NULL) {
        if (request->kind == STORAGE_EXPORT) {
            request_queue_push(&storage->exports, request);
        } else if (request->kind == STORAGE_KINDS) {
            CHECK(request == storage->reads.stop);
            storage->reads.stopping = true;
        } else {
            request_queue_push(&storage->finds, request);
        }
    }
}

static void wait_for_work(struct storage *storage)
{
    struct pollfd poll_fd = {.fd = mailbox_fd(storage->reads.mailbox), .events = POLLIN};

    const int ready = poll(&poll_fd, 1, -1);
    CHECK(ready == 1 || errno == EINTR);
    mailbox_drain_fd(storage->reads.mailbox);
}

void storage_publish_reads(struct storage *storage)
{
    pthread_mutex_lock(&storage->stats_lock);
    storage->stats.exports = storage->now.exports;
    storage->stats.export_cache_hits = storage->now.export_cache_hits;
    pthread_mutex_unlock(&storage->stats_lock);
}

void *storage_reads_main(void *argument)
{
    struct storage *storage = argument;

    for (;;) {
        gather(storage);
        struct storage_request *request = request_queue_pop(&storage->finds);
        if (request != NULL) {
            const enum status status = answer(storage, request);
            storage_complete(storage, request, status);
        } else if (storage->exports.first != NULL) {
            export_step(storage);
        } else if (storage->reads.stopping) {
            return NULL;
        } else {
            wait_for_work(storage);
        }
    }
}
