/* The records thread: all writes to the metadata store. */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>

#include "consensus/node/storage_internal.h"

/* Commits merged into one write at the most, so that the write stays a small one. */
#define COMMITS_MAX 256u

/* Estimates that cost something are refreshed this often; maxima are kept for this long. */
#define STATS_REFRESH_US 1000000u
#define STATS_WINDOW_US  10000000u

/* News that found the batches thread's mailbox full are posted again after this. */
#define NEWS_RETRY_MS 5

/* ---- news ------------------------------------------------------------------------------------ */

static void post_news(struct storage *storage)
{
    while (storage->news_first != NULL) {
        struct storage_news *news = storage->news_first;
        struct storage_news *next = news->next;

        if (!mailbox_post(storage->news, news)) return;
        storage->news_first = next;
        if (next == NULL) storage->news_last = NULL;
    }
}

void storage_tell(struct storage *storage, struct store_batch *batch)
{
    struct storage_news *news = malloc(sizeof *news);

    CHECK(news != NULL);
    *news = (struct storage_news){.batch = batch,
                                  .oldest_index = storage->now.oldest_index,
                                  .oldest_round = storage->oldest_round};
    if (storage->news_last == NULL) {
        storage->news_first = news;
    } else {
        storage->news_last->next = news;
    }
    storage->news_last = news;
}

/* ---- taking ---------------------------------------------------------------------------------- */

/* The queues hold no more than all clients may have in flight. */
static void gather(struct storage *storage)
{
    struct storage_request *request;

    while ((request = mailbox_take(storage->records.mailbox)) != NULL) {
        if (request->kind == STORAGE_COMMIT) {
            request_queue_push(&storage->commits, request);
        } else if (request->kind == STORAGE_RETAIN) {
            request_queue_push(&storage->retains, request);
        } else {
            CHECK(request == storage->records.stop);
            storage->records.stopping = true;
        }
    }
}

static bool is_idle(const struct storage *storage)
{
    return storage->commits.first == NULL && !storage_has_retain(storage);
}

static void wait_for_work(struct storage *storage)
{
    struct pollfd poll_fd = {.fd = mailbox_fd(storage->records.mailbox), .events = POLLIN};
    const bool unsent = storage->news_first != NULL;

    const int ready = poll(&poll_fd, 1, unsent ? NEWS_RETRY_MS : -1);
    CHECK(ready >= 0 || errno == EINTR);
    mailbox_drain_fd(storage->records.mailbox);
}

/* ---- writing --------------------------------------------------------------------------------- */

/* What a commit made is noted, and told to the batches thread. */
static void note_commit(struct storage *storage, struct storage_request *request)
{
    if (!storage_retain_note(storage, request->batch)) return;
    storage_tell(storage, request->batch);
    request->batch = NULL;
}

/* All commits that gathered, and what retention has to delete, as one write. */
static void do_commits(struct storage *storage)
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
        storage_note_latency(&storage->now.commit_us_max, requests[i], now_us);
        if (status == OK) note_commit(storage, requests[i]);
    }
    /* Whoever is answered finds it in the figures. */
    storage_publish_commits(storage);
    for (size_t i = 0; i < count; i++)
        storage_complete(storage, requests[i], status);
}

/* ---- figures --------------------------------------------------------------------------------- */

void storage_publish_commits(struct storage *storage)
{
    const uint64_t now_us = storage_now_us();
    struct storage_stats *now = &storage->now;
    struct storage_stats *stats = &storage->stats;

    if (now_us - storage->commits_refreshed_us >= STATS_REFRESH_US) {
        now->store_bytes = store_bytes(storage->store);
        storage->commits_refreshed_us = now_us;
    }
    pthread_mutex_lock(&storage->stats_lock);
    stats->commits = now->commits;
    stats->commits_merged = now->commits_merged;
    stats->commit_us_max = now->commit_us_max;
    stats->store_bytes = now->store_bytes;
    stats->oldest_index = now->oldest_index;
    stats->newest_index = now->newest_index;
    stats->failed = storage->failed;
    pthread_mutex_unlock(&storage->stats_lock);
    if (now_us - storage->commits_window_us >= STATS_WINDOW_US) {
        now->commit_us_max = 0;
        storage->commits_window_us = now_us;
    }
}

/* ---- the thread ------------------------------------------------------------------------------ */

void *storage_records_main(void *argument)
{
    struct storage *storage = argument;

    for (;;) {
        gather(storage);
        if (!is_idle(storage)) {
            const uint64_t begin_us = storage_now_us();
            storage_retain_slice(storage);
            do_commits(storage);
            storage_retain_committed(storage);
            storage_pause(begin_us);
        } else if (storage->records.stopping) {
            return NULL;
        } else {
            wait_for_work(storage);
        }
        post_news(storage);
    }
}
