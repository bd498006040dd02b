#include "consensus/node/storage.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "consensus/node/storage_internal.h"

/* Least time from one group to the next: what comes meanwhile shares a write and a sync. On a disk that
 * is slower than this it changes nothing. */
#define GROUP_US_MIN 3000u

uint64_t storage_now_us(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000u + (uint64_t)now.tv_nsec / 1000u;
}

void request_queue_push(struct request_queue *queue, struct storage_request *request)
{
    request->next = NULL;
    if (queue->last == NULL) {
        queue->first = request;
    } else {
        queue->last->next = request;
    }
    queue->last = request;
}

struct storage_request *request_queue_pop(struct request_queue *queue)
{
    struct storage_request *request = queue->first;

    if (request == NULL) return NULL;
    queue->first = request->next;
    if (queue->first == NULL) queue->last = NULL;
    request->next = NULL;
    return request;
}

void storage_complete(struct storage *storage, struct storage_request *request, enum status status)
{
    (void)storage;
    request->status = status;
    /* A client's mailbox has room for all that it may have in flight. */
    CHECK(mailbox_post(request->client->mailbox, request));
}

void storage_pause(uint64_t begin_us)
{
    const uint64_t left_us = u64_minus(begin_us + GROUP_US_MIN, storage_now_us());
    const struct timespec pause = {.tv_nsec = (long)left_us * 1000};

    if (left_us > 0) (void)nanosleep(&pause, NULL);
}

void storage_note_latency(uint64_t *max_us, const struct storage_request *request, uint64_t now_us)
{
    *max_us = u64_max(*max_us, u64_minus(now_us, request->submitted_us));
}

/* ---- requests -------------------------------------------------------------------------------- */

struct storage_request *storage_request_new(enum storage_kind kind)
{
    struct storage_request *request = calloc(1, sizeof *request);

    CHECK(request != NULL);
    request->kind = kind;
    return request;
}

void storage_request_free(struct storage_request *request)
{
    if (request == NULL) return;
    buffer_unref(request->buffer);
    store_batch_free(request->batch);
    free(request->keys);
    free(request->rows);
    free(request->rows_memory);
    free(request);
}

bool storage_request_add_key(struct storage_request *request, struct bytes key)
{
    CHECK(key.len >= 1);
    CHECK(key.len <= CORE_KEY_BYTES_MAX);
    if (request->keys_count == STORAGE_KEYS_MAX) return false;
    /* Grown at the powers of two. */
    if ((request->keys_count & (request->keys_count - 1)) == 0) {
        const size_t capacity = request->keys_count == 0 ? 1 : (size_t)request->keys_count * 2;
        request->keys = realloc(request->keys, capacity * sizeof *request->keys);
        CHECK(request->keys != NULL);
    }
    struct storage_key *at = &request->keys[request->keys_count++];
    at->len = (uint8_t)key.len;
    memcpy(at->bytes, key.data, key.len);
    return true;
}

static struct storage_lane *lane_of(struct storage *storage, enum storage_kind kind)
{
    if (kind == STORAGE_COMMIT || kind == STORAGE_RETAIN) return &storage->records;
    return kind == STORAGE_APPEND ? &storage->batches : &storage->reads;
}

bool storage_submit(struct storage_client *client, struct storage_request *request)
{
    CHECK(request->kind < STORAGE_KINDS);
    CHECK(request->kind != STORAGE_APPEND || request->buffer != NULL);
    CHECK(request->kind != STORAGE_COMMIT || request->batch != NULL);
    CHECK(request->bytes_max <= STORAGE_ROWS_BYTES_MAX);
    CHECK(request->rows_max <= STORAGE_ROWS_MAX);
    if (client->in_flight == client->requests_max) return false;
    request->client = client;
    request->submitted_us = storage_now_us();
    if (!mailbox_post(lane_of(client->storage, request->kind)->mailbox, request)) return false;
    client->in_flight++;
    return true;
}

bool storage_submit_append(struct storage_client *client,
                           struct buffer *buffer,
                           const struct batch_record *record,
                           void *context)
{
    struct storage_request *request = storage_request_new(STORAGE_APPEND);

    request->buffer = buffer_ref(buffer);
    request->record = *record;
    request->context = context;
    if (storage_submit(client, request)) return true;
    storage_request_free(request);
    return false;
}

bool storage_submit_commit(struct storage_client *client, struct store_batch *batch, uint64_t token)
{
    struct storage_request *request = storage_request_new(STORAGE_COMMIT);

    request->batch = batch;
    request->token = token;
    if (storage_submit(client, request)) return true;
    request->batch = NULL;
    storage_request_free(request);
    return false;
}

/* A request by digest without anything to hand back on refusal. */
static bool submit_digest(struct storage_client *client,
                          enum storage_kind kind,
                          const struct digest *digest,
                          void *context)
{
    struct storage_request *request = storage_request_new(kind);

    request->record.digest = *digest;
    request->context = context;
    if (storage_submit(client, request)) return true;
    storage_request_free(request);
    return false;
}

bool storage_submit_find(struct storage_client *client, const struct digest *digest, void *context)
{
    return submit_digest(client, STORAGE_FIND_BATCH, digest, context);
}

bool storage_submit_read(struct storage_client *client, const struct digest *digest, void *context)
{
    return submit_digest(client, STORAGE_READ_BATCH, digest, context);
}

bool storage_submit_export(struct storage_client *client,
                           uint64_t index,
                           bool certified,
                           void *context)
{
    struct storage_request *request = storage_request_new(STORAGE_EXPORT);

    request->index = index;
    request->certified = certified;
    request->context = context;
    if (storage_submit(client, request)) return true;
    storage_request_free(request);
    return false;
}

bool storage_submit_retain(struct storage_client *client, uint64_t index)
{
    struct storage_request *request = storage_request_new(STORAGE_RETAIN);

    request->index = index;
    if (storage_submit(client, request)) return true;
    storage_request_free(request);
    return false;
}

/* ---- clients --------------------------------------------------------------------------------- */

enum status storage_client_open(struct storage_client **ret_client,
                                struct storage *storage,
                                size_t requests_max)
{
    struct storage_client *client = calloc(1, sizeof *client);

    CHECK(client != NULL);
    CHECK(requests_max >= 1);
    client->storage = storage;
    client->requests_max = requests_max;
    const enum status status = mailbox_open(&client->mailbox, requests_max);
    if (status != OK) {
        free(client);
        return status;
    }
    *ret_client = client;
    return OK;
}

void storage_client_close(struct storage_client *client)
{
    if (client == NULL) return;
    for (struct storage_request *request = mailbox_take(client->mailbox); request != NULL;
         request = mailbox_take(client->mailbox)) {
        storage_request_free(request);
    }
    mailbox_close(client->mailbox);
    free(client);
}

int storage_client_fd(const struct storage_client *client)
{
    return mailbox_fd(client->mailbox);
}

void storage_client_drain_fd(struct storage_client *client)
{
    mailbox_drain_fd(client->mailbox);
}

struct storage_request *storage_client_take(struct storage_client *client)
{
    struct storage_request *request = mailbox_take(client->mailbox);

    if (request == NULL) return NULL;
    CHECK(client->in_flight > 0);
    client->in_flight--;
    return request;
}

/* ---- life ------------------------------------------------------------------------------------ */

struct store *storage_store(struct storage *storage)
{
    return storage->store;
}

void storage_get_stats(struct storage *storage, struct storage_stats *ret_stats)
{
    pthread_mutex_lock(&storage->stats_lock);
    *ret_stats = storage->stats;
    pthread_mutex_unlock(&storage->stats_lock);
}

static enum status storage_open_log(struct storage *storage,
                                    char *ret_error,
                                    const struct storage_options *options)
{
    char *directory = NULL;

    CHECK(asprintf(&directory, "%s/batches", options->store.directory) > 0);
    const struct batch_log_options log_options = {
        .directory = directory,
        /* A creation may have been interrupted between the two. */
        .create = options->store.mode != STORE_EXISTING || store_is_empty(storage->store),
        .sync = options->store.sync,
        .segment_bytes = options->segment_bytes,
        .ring_bytes = options->ring_bytes == 0 ? STORAGE_RING_BYTES : options->ring_bytes,
        .found = options->found,
        .context = options->context,
    };
    const enum status status = batch_log_open(&storage->log, ret_error, &log_options);
    free(directory);
    return status;
}

static void free_news(struct storage_news *news)
{
    store_batch_free(news->batch);
    free(news);
}

/* What the records thread had to say when the other had already ended: it is found again at the next
 * start. */
static void drop_news(struct storage *storage)
{
    struct storage_news *news;

    while ((news = storage->news_first) != NULL) {
        storage->news_first = news->next;
        free_news(news);
    }
    while (storage->news != NULL && (news = mailbox_take(storage->news)) != NULL)
        free_news(news);
}

/* Frees everything but the threads. The log before the store: the store's last act is to say that
 * all is synced. */
static void storage_free(struct storage *storage)
{
    for (size_t i = 0; i < CACHE_ENTRIES_MAX; i++)
        buffer_unref(storage->cache[i].buffer);
    drop_news(storage);
    batch_log_close(storage->log);
    store_close(storage->store);
    mailbox_close(storage->news);
    mailbox_close(storage->records.mailbox);
    mailbox_close(storage->batches.mailbox);
    mailbox_close(storage->reads.mailbox);
    store_batch_free(storage->retain_batch);
    storage_request_free(storage->records.stop);
    storage_request_free(storage->batches.stop);
    storage_request_free(storage->reads.stop);
    (void)pthread_mutex_destroy(&storage->stats_lock);
    free(storage);
}

static void lane_stop(struct storage_lane *lane)
{
    if (!lane->running) return;
    /* The mailbox may be full of requests that the thread is about to take. */
    while (!mailbox_post(lane->mailbox, lane->stop)) {
        const struct timespec pause = {.tv_nsec = 1000000};
        (void)nanosleep(&pause, NULL);
    }
    CHECK(pthread_join(lane->thread, NULL) == 0);
    lane->running = false;
}

/* What commits and appends lead to is read in the end: in this order. */
static void stop_all(struct storage *storage)
{
    lane_stop(&storage->records);
    lane_stop(&storage->batches);
    lane_stop(&storage->reads);
}

/* All lanes run, or none. */
static enum status storage_start(struct storage *storage, char *ret_error, const char *directory)
{
    const struct {
        struct storage_lane *lane;
        void *(*run)(void *argument);
    } lanes[] = {{&storage->records, storage_records_main},
                 {&storage->batches, storage_batches_main},
                 {&storage->reads, storage_reads_main}};
    bool good = mailbox_open(&storage->news, STORAGE_REQUESTS_MAX) == OK;

    for (size_t i = 0; i < 3 && good; i++)
        good = mailbox_open(&lanes[i].lane->mailbox, STORAGE_REQUESTS_MAX) == OK;
    if (!good) return store_refuse(ret_error, ERR_IO, "%s: no file descriptor left", directory);
    for (size_t i = 0; i < 3 && good; i++) {
        good = pthread_create(&lanes[i].lane->thread, NULL, lanes[i].run, storage) == 0;
        lanes[i].lane->running = good;
    }
    if (good) return OK;
    stop_all(storage);
    return store_refuse(ret_error, ERR_IO, "%s: no thread to be had", directory);
}

enum status storage_open(struct storage **ret_storage,
                         char *ret_error,
                         const struct storage_options *options)
{
    struct storage *storage = calloc(1, sizeof *storage);

    CHECK(storage != NULL);
    CHECK(pthread_mutex_init(&storage->stats_lock, NULL) == 0);
    storage->committee = options->store.committee;
    storage->cache_bytes_max =
        options->cache_bytes == 0 ? STORAGE_CACHE_BYTES : options->cache_bytes;
    storage->retain_batch = store_batch_new();
    storage->records.stop = storage_request_new(STORAGE_KINDS);
    storage->batches.stop = storage_request_new(STORAGE_KINDS);
    storage->reads.stop = storage_request_new(STORAGE_KINDS);

    enum status status = store_open(&storage->store, ret_error, &options->store);
    if (status == OK) status = storage_open_log(storage, ret_error, options);
    if (status == OK) status = storage_retain_start(storage, ret_error);
    if (status == OK) {
        storage_publish_commits(storage);
        storage_publish_appends(storage);
        status = storage_start(storage, ret_error, options->store.directory);
    }
    if (status != OK) {
        storage_free(storage);
        return status;
    }
    *ret_storage = storage;
    return OK;
}

void storage_close(struct storage *storage)
{
    if (storage == NULL) return;
    stop_all(storage);
    storage_free(storage);
}
