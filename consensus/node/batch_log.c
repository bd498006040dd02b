#include "consensus/node/batch_log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/hash_pages.h"
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
    if (segment->fd >= 0) log->open_count++;
    return &log->segments[log->segments_count++];
}

enum status batch_log_use_segment(struct batch_log *log, struct segment *segment)
{
    if (segment->fd >= 0) return OK;
    for (size_t i = 0; i + 1 < log->segments_count && log->open_count >= OPEN_SEGMENTS_MAX; i++) {
        if (log->segments[i].fd < 0) continue;
        segment_close(&log->segments[i]);
        log->open_count--;
    }
    const enum status status = segment_reopen(segment, log->directory);
    if (status == OK) log->open_count++;
    return status;
}

static struct segment *segment_of(struct batch_log *log, struct batch_place place)
{
    CHECK(log->segments_count > 0);
    CHECK(place.segment >= log->segments[0].number);
    const size_t at = place.segment - log->segments[0].number;
    CHECK(at < log->segments_count);
    return &log->segments[at];
}

/* ---- reading --------------------------------------------------------------------------------- */

static void batch_log_forget(struct batch_log *log,
                             const struct digest *digest,
                             struct batch_place place)
{
    struct segment *segment = segment_of(log, place);
    const size_t before = batch_index_count(log->index);

    batch_index_remove(log->index, digest, place);
    CHECK(segment->batches >= before - batch_index_count(log->index));
    segment->batches -= before - batch_index_count(log->index);
}

/* The bytes of the file, from the disk or, `ahead`, from what was read ahead. */
static enum status batch_log_read_pages(struct batch_log *log,
                                        uint8_t *data,
                                        struct segment *segment,
                                        uint64_t offset,
                                        size_t len,
                                        bool ahead)
{
    size_t got = 0;
    enum status status = batch_log_use_segment(log, segment);

    if (status != OK) return status;
    if (ahead) return batch_ahead_read(&log->ahead, data, segment, offset, len);
    log->stats.disk_reads++;
    status = segment_read(segment, data, &got, offset, len);
    if (status == OK && got != len) status = ERR_CORRUPT;
    return status;
}

/* Reads the first `pages` pages of the record at `place` into `data` and decodes its log header. */
static enum status batch_log_read_record(struct batch_log *log,
                                         uint8_t *data,
                                         struct batch_record *ret_record,
                                         struct batch_place place,
                                         uint32_t pages,
                                         bool ahead)
{
    struct segment *segment = segment_of(log, place);
    const uint64_t offset = (uint64_t)place.page * SEGMENT_PAGE;
    const size_t len = (size_t)pages * SEGMENT_PAGE;
    uint64_t synced = 0;

    const enum status status = batch_log_read_pages(log, data, segment, offset, len, ahead);
    if (status != OK) return status;
    if (!segment_record_decode(ret_record, &synced, segment, offset, data)) return ERR_CORRUPT;
    return segment_record_bytes(ret_record->bytes) == (uint64_t)place.pages * SEGMENT_PAGE
               ? OK
               : ERR_CORRUPT;
}

enum status batch_log_locate(struct batch_log *log,
                             struct batch_place *ret_place,
                             struct batch_record *ret_record,
                             const struct digest *digest)
{
    enum status result = ERR_NOT_FOUND;
    struct batch_record record;
    struct batch_place place;
    uint64_t cursor = 0;
    uint8_t *page = NULL;

    while (batch_index_next(log->index, &place, &cursor, digest)) {
        const struct ring_entry *entry = batch_ring_find(&log->ring, place);
        enum status status = OK;
        if (entry != NULL) {
            record = entry->record;
        } else {
            if (page == NULL)
                CHECK(posix_memalign((void **)&page, SEGMENT_PAGE, SEGMENT_PAGE) == 0);
            status = batch_log_read_record(log, page, &record, place, 1, false);
        }
        if (status == OK && !digest_equal(&record.digest, digest)) continue;
        if (status == ERR_CORRUPT) batch_log_forget(log, digest, place);
        result = status;
        if (status != OK) continue;
        *ret_place = place;
        *ret_record = record;
        break;
    }
    free(page);
    return result;
}

enum status batch_log_find(struct batch_log *log,
                           struct batch_record *ret_record,
                           const struct digest *digest)
{
    struct batch_place place;
    const enum status status = batch_log_locate(log, &place, ret_record, digest);

    if (status == OK) {
        struct segment *segment = segment_of(log, place);
        if (segment->used_round != ROUND_UNKNOWN) segment->used_round = log->newest_round;
    }
    return status;
}

/* Reads one whole record and checks it: ERR_NOT_FOUND when it is of another digest. */
static enum status batch_log_read_whole(struct batch_log *log,
                                        struct buffer **ret_buffer,
                                        struct batch_record *ret_record,
                                        const struct digest *digest,
                                        struct batch_place place,
                                        bool ahead)
{
    struct buffer *buffer = buffer_new((size_t)place.pages * SEGMENT_PAGE);
    struct digest root;
    enum status status =
        batch_log_read_record(log, buffer->data, ret_record, place, place.pages, ahead);

    if (status == OK && !digest_equal(&ret_record->digest, digest)) status = ERR_NOT_FOUND;
    if (status == OK) {
        hash_pages_root(&root, buffer->data + BUFFER_BATCH, ret_record->bytes);
        if (!digest_equal(&root, digest)) status = ERR_CORRUPT;
    }
    if (status != OK) {
        buffer_unref(buffer);
        return status;
    }
    buffer->begin = BUFFER_BATCH;
    buffer->len = ret_record->bytes;
    *ret_buffer = buffer;
    return OK;
}

static enum status batch_log_read_by(struct batch_log *log,
                                     struct buffer **ret_buffer,
                                     struct batch_record *ret_record,
                                     const struct digest *digest,
                                     bool ahead)
{
    enum status result = ERR_NOT_FOUND;
    struct batch_place place;
    uint64_t cursor = 0;

    while (batch_index_next(log->index, &place, &cursor, digest)) {
        const struct ring_entry *entry = batch_ring_find(&log->ring, place);
        if (entry != NULL) {
            if (!digest_equal(&entry->record.digest, digest)) continue;
            log->stats.ring_hits++;
            *ret_record = entry->record;
            *ret_buffer = buffer_ref(entry->buffer);
            return OK;
        }
        const enum status status =
            batch_log_read_whole(log, ret_buffer, ret_record, digest, place, ahead);
        if (status == OK) return OK;
        if (status == ERR_CORRUPT) batch_log_forget(log, digest, place);
        if (status != ERR_NOT_FOUND) result = status;
    }
    return result;
}

enum status batch_log_read(struct batch_log *log,
                           struct buffer **ret_buffer,
                           struct batch_record *ret_record,
                           const struct digest *digest)
{
    return batch_log_read_by(log, ret_buffer, ret_record, digest, false);
}

enum status batch_log_read_ahead(struct batch_log *log,
                                 struct buffer **ret_buffer,
                                 struct batch_record *ret_record,
                                 const struct digest *digest)
{
    return batch_log_read_by(log, ret_buffer, ret_record, digest, true);
}

/* ---- retention ------------------------------------------------------------------------------- */

void batch_log_note_executed(struct batch_log *log,
                             const struct digest *digest,
                             uint64_t index,
                             round_t round)
{
    struct batch_place place;
    uint64_t cursor = 0;

    /* All candidates, without looking which is the one: keeping a segment too long does no harm. */
    while (batch_index_next(log->index, &place, &cursor, digest)) {
        struct segment *segment = segment_of(log, place);
        segment->executed_index = u64_max(segment->executed_index, index);
    }
    log->newest_round = u64_max(log->newest_round, round);
}

enum status batch_log_retain(struct batch_log *log,
                             bool *ret_deleted,
                             uint64_t oldest_index,
                             round_t oldest_round)
{
    *ret_deleted = false;
    for (size_t i = 0; i < log->segments_count; i++) {
        if (log->segments[i].used_round == ROUND_UNKNOWN) {
            log->segments[i].used_round = log->newest_round;
        }
    }
    if (log->segments_count < 2) return OK;

    struct segment *oldest = &log->segments[0];
    if (oldest->executed_index >= oldest_index) return OK;
    if (oldest->used_round + RETAIN_ROUNDS >= oldest_round) return OK;

    char *path = segment_path(log->directory, oldest->number);
    const bool deleted = unlink(path) == 0;
    free(path);
    if (!deleted) return ERR_IO;
    if (oldest->fd >= 0) log->open_count--;
    segment_close(oldest);
    batch_ring_drop_segment(&log->ring, oldest->number);
    batch_ahead_drop_segment(&log->ahead, oldest->number);
    batch_index_drop_below(log->index, oldest->number + 1, oldest->batches);
    log->segments_count--;
    memmove(log->segments, log->segments + 1, log->segments_count * sizeof *log->segments);
    *ret_deleted = true;
    return OK;
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
    (void)getrandom(&key, sizeof key, 0);
    log->index = batch_index_new(BATCH_LOG_ENTRIES_MAX, key);

    enum status status = batch_log_prepare(log, ret_error, options->create);
    if (status == OK) status = batch_log_recover(log, ret_error, options);
    if (status == OK && log->segments_count == 0 && batch_log_roll(log) != OK) {
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
    for (size_t i = 0; i < log->segments_count; i++)
        segment_close(&log->segments[i]);
    batch_index_free(log->index);
    free(log->segments);
    free(log->directory);
    free(log);
}

void batch_log_get_stats(const struct batch_log *log, struct batch_log_stats *ret_stats)
{
    *ret_stats = log->stats;
    ret_stats->disk_reads += log->ahead.reads;
    ret_stats->segments = log->segments_count;
    ret_stats->batches = batch_index_count(log->index);
    ret_stats->direct = log->direct;
    ret_stats->bytes = 0;
    for (size_t i = 0; i < log->segments_count; i++)
        ret_stats->bytes += log->segments[i].bytes;
}
