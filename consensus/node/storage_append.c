/* The batches thread: all writes to the batch log. */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>

#include "consensus/node/storage_internal.h"

/* Bytes of batches written in one turn: what comes meanwhile waits for it, a few milliseconds. */
#define GROUP_BYTES_MAX (2u * 1024u * 1024u)

/* Maxima are kept for this long. */
#define STATS_WINDOW_US 10000000u

/* ---- taking ---------------------------------------------------------------------------------- */

static void take_news(struct storage *storage)
{
    struct storage_news *news;

    while ((news = mailbox_take(storage->news)) != NULL) {
        if (news->batch != NULL) {
            storage_note_executed(storage->log, news->batch);
            store_batch_free(news->batch);
        } else {
            storage->retain_segments = true;
            storage->segments_index = news->oldest_index;
            storage->segments_round = news->oldest_round;
        }
        free(news);
    }
}

/* The queues hold no more than all clients may have in flight. */
static void gather(struct storage *storage)
{
    struct storage_request *request;

    while ((request = mailbox_take(storage->batches.mailbox)) != NULL) {
        if (request->kind == STORAGE_APPEND) {
            request_queue_push(&storage->appends, request);
        } else {
            CHECK(request == storage->batches.stop);
            storage->batches.stopping = true;
        }
    }
    take_news(storage);
}

static bool is_idle(const struct storage *storage)
{
    return storage->appends.first == NULL && !storage->retain_segments;
}

static void wait_for_work(struct storage *storage)
{
    struct pollfd poll_fds[] = {
        {.fd = mailbox_fd(storage->batches.mailbox), .events = POLLIN},
        {.fd = mailbox_fd(storage->news), .events = POLLIN},
    };

    const int ready = poll(poll_fds, 2, -1);
    CHECK(ready > 0 || errno == EINTR);
    mailbox_drain_fd(storage->batches.mailbox);
    mailbox_drain_fd(storage->news);
}

/* ---- writing --------------------------------------------------------------------------------- */

/* The appends that gathered, up to a group's bound, as one write and one sync. */
static void do_appends(struct storage *storage)
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
    for (size_t i = 0; i < count; i++)
        storage_note_latency(&storage->now.append_us_max, requests[i], now_us);
    storage_publish_appends(storage);
    for (size_t i = 0; i < count; i++)
        storage_complete(storage, requests[i], status);
}

/* Deletes at most one segment that nothing kept needs. */
static void retain_segments(struct storage *storage)
{
    bool deleted = false;

    if (!storage->retain_segments) return;
    if (!storage->failed && batch_log_retain(storage->log, &deleted, storage->segments_index,
                                             storage->segments_round) != OK) {
        storage->failed = true;
    }
    storage->retain_segments = deleted;
    storage_publish_appends(storage);
}

/* ---- figures --------------------------------------------------------------------------------- */

void storage_publish_appends(struct storage *storage)
{
    const uint64_t now_us = storage_now_us();
    struct storage_stats *now = &storage->now;
    struct storage_stats *stats = &storage->stats;

    pthread_mutex_lock(&storage->stats_lock);
    batch_log_get_stats(storage->log, &stats->log);
    stats->append_us_max = now->append_us_max;
    stats->failed = storage->failed;
    pthread_mutex_unlock(&storage->stats_lock);
    if (now_us - storage->appends_window_us >= STATS_WINDOW_US) {
        now->append_us_max = 0;
        storage->appends_window_us = now_us;
    }
}

/* ---- the thread ------------------------------------------------------------------------------ */

void *storage_batches_main(void *argument)
{
    struct storage *storage = argument;

    for (;;) {
        gather(storage);
        if (!is_idle(storage)) {
            const uint64_t begin_us = storage_now_us();
            do_appends(storage);
            retain_segments(storage);
            storage_pause(begin_us);
        } else if (storage->batches.stopping) {
            return NULL;
        } else {
            wait_for_work(storage);
        }
    }
}
