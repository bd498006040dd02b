#include "consensus/node/batch_log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "consensus/node/batch_log_internal.h"

/* A batch that nobody ordered within this many rounds after it was last stored or asked for can not
 * be ordered any more: once to be named, once to be ordered, and both again for a second naming. */
#define RETAIN_ROUNDS (4u * GC_DEPTH)

/* ---- segments -------------------------------------------------------------------------------- */

struct segment *batch_log_add_segment(struct batch_log *log, const struct segment *segment)
{
    if (log->segments_count == log->segments_capacity) {
        log->segments_capacity = log->segments_capacity == 0 ? 16 : log->segments_capacity * 2;
        log->segments = realloc(log->segments, log->segments_capacity * sizeof *log->segments);
        CHECK(log->segments != NULL);
    }
    log->segments[log->segments_count] = *segment;
    return &log->segments[log->segments_count++];
}

struct segment *batch_log_segment(struct batch_log *log, struct batch_place place)
{
    CHECK(log->segments_count > 0);
    if (place.segment < log->segments[0].number) return NULL;
    const size_t at = place.segment - log->segments[0].number;
    CHECK(at < log->segments_count);
    return &log->segments[at];
}

void batch_log_remove(struct batch_log *log, const struct digest *digest, struct batch_place place)
{
    const size_t before = batch_index_count(log->index);

    batch_index_remove(log->index, digest, place);
    if (batch_index_count(log->index) == before) return;
    struct segment *segment = batch_log_segment(log, place);
    CHECK(segment != NULL);
    CHECK(segment->batches >= 1);
    segment->batches--;
}

/* ---- retention ------------------------------------------------------------------------------- */

void batch_log_note_executed(struct batch_log *log,
                             const struct digest *digest,
                             uint64_t index,
                             round_t round)
{
    struct batch_place place;
    uint64_t cursor = 0;

    pthread_mutex_lock(&log->lock);
    /* All candidates, without looking which is the one: keeping a segment too long does no harm. */
    while (batch_index_next(log->index, &place, &cursor, digest)) {
        struct segment *segment = batch_log_segment(log, place);
        segment->executed_index = u64_max(segment->executed_index, index);
    }
    log->newest_round = u64_max(log->newest_round, round);
    pthread_mutex_unlock(&log->lock);
}

/* True when the oldest segment may be deleted (under the lock). */
static bool oldest_is_spent(struct batch_log *log, uint64_t oldest_index, round_t oldest_round)
{
    for (size_t i = 0; i < log->segments_count; i++) {
        if (log->segments[i].used_round == ROUND_UNKNOWN)
            log->segments[i].used_round = log->newest_round;
    }
    const struct segment *oldest = &log->segments[0];
    return log->segments_count >= 2 && oldest->executed_index < oldest_index &&
           oldest->used_round + RETAIN_ROUNDS < oldest_round;
}

/* Takes the oldest segment out of everything (under the lock). */
static void drop_oldest(struct batch_log *log)
{
    struct segment *oldest = &log->segments[0];

    segment_close(oldest);
    batch_ring_drop_segment(&log->ring, oldest->number);
    batch_index_drop_below(log->index, oldest->number + 1, oldest->batches);
    log->segments_count--;
    memmove(log->segments, log->segments + 1, log->segments_count * sizeof *log->segments);
}

enum status batch_log_retain(struct batch_log *log,
                             bool *ret_deleted,
                             uint64_t oldest_index,
                             round_t oldest_round)
{
    *ret_deleted = false;
    pthread_mutex_lock(&log->lock);
    const uint32_t number = log->segments[0].number;
    const bool spent = oldest_is_spent(log, oldest_index, oldest_round);
    if (spent) drop_oldest(log);
    pthread_mutex_unlock(&log->lock);
    if (!spent) return OK;

    char *path = segment_path(log->directory, number);
    *ret_deleted = unlink(path) == 0;
    free(path);
    return *ret_deleted ? OK : ERR_IO;
}

/* ---- life ------------------------------------------------------------------------------------ */

static enum status batch_log_prepare(struct batch_log *log, char *ret_error, bool create)
{
    if (create && mkdir(log->directory, 0700) != 0 && errno != EEXIST) {
        return store_refuse(ret_error, ERR_IO, "%s: %s", log->directory, strerror(errno));
    }
    if (access(log->directory, F_OK) != 0) {
        return store_refuse(ret_error, ERR_NOT_FOUND, "%s: missing, start with --rejoin",
                            log->directory);
    }
    return OK;
}

enum status batch_log_open(struct batch_log **ret_log,
                           char *ret_error,
                           const struct batch_log_options *options)
{
    struct batch_log *log = calloc(1, sizeof *log);
    uint64_t key = 0;

    CHECK(log != NULL);
    log->directory = strdup(options->directory);
    log->sync = options->sync;
    log->segment_bytes =
        options->segment_bytes == 0 ? BATCH_LOG_SEGMENT_BYTES : options->segment_bytes;
    CHECK(log->segment_bytes <= SEGMENT_BYTES_MAX);
    log->direct = !options->buffered;
    batch_ring_init(&log->ring, options->ring_bytes);
    CHECK(log->directory != NULL);
    CHECK(pthread_mutex_init(&log->lock, NULL) == 0);
    batch_files_init(&log->append_files, log->directory);
    batch_files_init(&log->read_files, log->directory);
    (void)getrandom(&key, sizeof key, 0);
    log->index = batch_index_new(BATCH_LOG_ENTRIES_MAX, key);

    enum status status = batch_log_prepare(log, ret_error, options->create);
    if (status == OK) status = batch_log_recover(log, ret_error, options);
    /* A tail that was cut off took along what it said of the records before it: that they are synced. A segment that
     * is not the last one needs no such word. */
    if (status == OK && (log->segments_count == 0 || log->cut) && batch_log_roll(log) != OK) {
        status = store_refuse(ret_error, ERR_IO, "%s: can not be written: %s", log->directory,
                              strerror(errno));
    }
    if (status != OK) {
        log->failed = true;
        batch_log_close(log);
        return status;
    }
    *ret_log = log;
    return OK;
}

void batch_log_close(struct batch_log *log)
{
    if (log == NULL) return;
    if (log->sync == SYNC_PROCESS && !log->failed && log->segments_count > 0) {
        (void)syncfs(log->segments[log->segments_count - 1].fd);
    }
    batch_ring_close(&log->ring);
    batch_ahead_close(&log->ahead);
    batch_files_close(&log->append_files);
    batch_files_close(&log->read_files);
    for (size_t i = 0; i < log->segments_count; i++)
        segment_close(&log->segments[i]);
    batch_index_free(log->index);
    (void)pthread_mutex_destroy(&log->lock);
    free(log->segments);
    free(log->directory);
    free(log);
}

void batch_log_get_stats(struct batch_log *log, struct batch_log_stats *ret_stats)
{
    pthread_mutex_lock(&log->lock);
    *ret_stats = log->stats;
    ret_stats->segments = log->segments_count;
    ret_stats->batches = batch_index_count(log->index);
    ret_stats->direct = log->direct;
    ret_stats->bytes = 0;
    for (size_t i = 0; i < log->segments_count; i++)
        ret_stats->bytes += log->segments[i].bytes;
    pthread_mutex_unlock(&log->lock);
}
