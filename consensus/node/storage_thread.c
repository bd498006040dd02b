#include <errno.h>
#include <poll.h>
#include <stdlib.h>

#include "consensus/node/storage_internal.h"

/* Bytes of batches written in one turn: commits that come meanwhile wait for it, about 5 ms. */
#define GROUP_BYTES_MAX (8u * 1024u * 1024u)

/* Commits merged into one write at the most, so that the write stays a small one. */
#define COMMITS_MAX 256u

/* Reads that are waiting get at least this long in a turn. */
#define READ_US_MIN 1000u

/* Estimates that cost something are refreshed this often; maxima are kept for this long. */
#define STATS_REFRESH_US 1000000u
#define STATS_WINDOW_US  10000000u

void storage_complete(struct storage *storage, struct storage_request *request, enum status status)
{
    (void)storage;
    request->status = status;
    /* A client's mailbox has room for all that it may have in flight. */
    CHECK(mailbox_post(request->client->mailbox, request));
}

/* ---- taking ---------------------------------------------------------------------------------- */

static void storage_sort(struct storage *storage, struct storage_request *request)
{
    switch (request->kind) {
    case STORAGE_APPEND:
        request_queue_push(&storage->appends, request);
        return;
    case STORAGE_COMMIT:
        request_queue_push(&storage->commits, request);
        return;
    case STORAGE_FIND_BATCH:
    case STORAGE_READ_BATCH:
    case STORAGE_READ_ROWS:
    case STORAGE_SCAN_ROWS:
    case STORAGE_EXPORT:
        request_queue_push(&storage->reads, request);
        return;
    case STORAGE_RETAIN:
        request_queue_push(&storage->retains, request);
        return;
    case STORAGE_KINDS:
        storage->stopping = true;
        return;
    }
    CHECK(false);
}

/* The queues hold no more than all clients may have in flight. */
static void storage_gather(struct storage *storage)
{
    for (struct storage_request *request = mailbox_take(storage->mailbox); request != NULL;
         request = mailbox_take(storage->mailbox)) {
        storage_sort(storage, request);
    }
}

static bool storage_is_idle(const struct storage *storage)
{
    return storage->appends.first == NULL && storage->commits.first == NULL &&
           !storage_has_read(storage) && !storage_has_retain(storage);
}

static void storage_wait(struct storage *storage)
{
    struct pollfd poll_fd = {.fd = mailbox_fd(storage->mailbox), .events = POLLIN};

    const int ready = poll(&poll_fd, 1, -1);
    CHECK(ready == 1 || errno == EINTR);
    mailbox_drain_fd(storage->mailbox);
}

/* ---- writing --------------------------------------------------------------------------------- */

static void note_latency(uint64_t *max_us, const struct storage_request *request, uint64_t now_us)
{
    *max_us = u64_max(*max_us, u64_minus(now_us, request->submitted_us));
}

/* All commits that gathered, and what retention has to delete, as one write. */
static void storage_do_commits(struct storage *storage)
{
    struct storage_request *requests[COMMITS_MAX];
    struct store_batch *batches[COMMITS_MAX + 1];
    const bool retains = store_batch_count(storage->retain_batch) > 0;
    size_t count = 0;

    while (count < COMMITS_MAX && storage->commits.first != NULL) {
        requests[count] = request_queue_pop(&storage->commits);
        batches[count] = requests[count]->batch;
        count++;
    }
    if (count == 0 && !retains) return;
    if (retains) batches[count] = storage->retain_batch;

    enum status status = ERR_IO;
    if (!storage->failed) status = store_commit(storage->store, batches, count + retains);
    if (status != OK) storage->failed = true;
    store_batch_clear(storage->retain_batch);
    const uint64_t now_us = storage_now_us();
    storage->now.commits++;
    storage->now.commits_merged += count;
    for (size_t i = 0; i < count; i++) {
        note_latency(&storage->now.commit_us_max, requests[i], now_us);
        if (status == OK) storage_retain_note(storage, requests[i]->batch);
        storage_complete(storage, requests[i], status);
    }
}

/* The appends that gathered, up to a group's bound, as one write and one sync. */
static void storage_do_appends(struct storage *storage)
{
    struct storage_request *requests[BATCH_LOG_GROUP_MAX];
    struct batch_log_item items[BATCH_LOG_GROUP_MAX];
    size_t count = 0;
    size_t bytes = 0;

    while (count < BATCH_LOG_GROUP_MAX && bytes < GROUP_BYTES_MAX &&
           storage->appends.first != NULL) {
        requests[count] = request_queue_pop(&storage->appends);
        items[count] = (struct batch_log_item){requests[count]->buffer, requests[count]->record};
        bytes += requests[count]->record.bytes;
        count++;
    }
    if (count == 0) return;

    enum status status = ERR_IO;
    if (!storage->failed) status = batch_log_append(storage->log, items, count);
    if (status == ERR_IO) storage->failed = true;
    const uint64_t now_us = storage_now_us();
    for (size_t i = 0; i < count; i++) {
        note_latency(&storage->now.append_us_max, requests[i], now_us);
        storage_complete(storage, requests[i], status);
    }
}

/* ---- figures --------------------------------------------------------------------------------- */

void storage_publish_stats(struct storage *storage)
{
    const uint64_t now_us = storage_now_us();
    struct storage_stats *now = &storage->now;

    if (now_us - storage->stats_refreshed_us >= STATS_REFRESH_US) {
        now->store_bytes = store_bytes(storage->store);
        storage->stats_refreshed_us = now_us;
    }
    batch_log_get_stats(storage->log, &now->log);
    now->failed = storage->failed;
    pthread_mutex_lock(&storage->stats_lock);
    storage->stats = *now;
    pthread_mutex_unlock(&storage->stats_lock);
    if (now_us - storage->stats_window_us >= STATS_WINDOW_US) {
        now->commit_us_max = 0;
        now->append_us_max = 0;
        storage->stats_window_us = now_us;
    }
}

/* Commits first: votes and headers wait for them. Reads get as long as the writes took, so that under load
 * exports keep up with what is appended, and writes at least half of the time. */
static void storage_turn(struct storage *storage)
{
    const uint64_t begin_us = storage_now_us();

    if (storage_has_retain(storage)) storage_retain_slice(storage);
    storage_do_commits(storage);
    storage_retain_committed(storage);
    storage_do_appends(storage);
    if (storage_has_read(storage)) {
        const uint64_t now_us = storage_now_us();
        storage_read_until(storage, now_us + u64_max(READ_US_MIN, now_us - begin_us));
    }
    storage_publish_stats(storage);
}

void *storage_thread_main(void *argument)
{
    struct storage *storage = argument;

    for (;;) {
        storage_gather(storage);
        if (!storage_is_idle(storage)) {
            storage_turn(storage);
        } else if (storage->stopping) {
            return NULL;
        } else {
            storage_wait(storage);
        }
    }
}
