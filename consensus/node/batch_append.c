/* Writing groups of records. */
#include <sys/uio.h>

#include "consensus/node/batch_log_internal.h"

enum status batch_log_roll(struct batch_log *log)
{
    struct segment segment;
    uint32_t number = 1;
    uint64_t previous_bytes = 0;
    enum status status = OK;

    if (log->segments_count > 0) {
        struct segment *last = &log->segments[log->segments_count - 1];
        number = last->number + 1;
        previous_bytes = last->bytes;
        if (log->sync == SYNC_ALWAYS) status = segment_sync(last);
    }
    if (status == OK) {
        status = segment_create(&segment, log->directory, number, previous_bytes, log->direct,
                                log->sync == SYNC_ALWAYS);
    }
    if (status != OK) return status;
    log->direct = segment.direct;
    segment.synced = segment.bytes;
    segment.used_round = log->newest_round;
    (void)batch_log_add_segment(log, &segment);
    return OK;
}

/* Records of one group that go to the segment now written, as parts of one write. */
struct run {
    struct iovec parts[BATCH_LOG_GROUP_MAX];
    int count;
    uint64_t bytes;
};

static enum status batch_log_flush_run(struct batch_log *log, struct run *run)
{
    struct segment *segment = &log->segments[log->segments_count - 1];

    if (run->count == 0) return OK;
    const enum status status = segment_write(segment, run->parts, run->count, segment->bytes);
    if (status != OK) return status;
    segment->bytes += run->bytes;
    log->stats.appended += run->bytes;
    log->direct = segment->direct;
    run->count = 0;
    run->bytes = 0;
    return OK;
}

/* Places one batch at the end of the run: fills in its log header and padding, and enters it in the
 * index. */
static void batch_log_place(struct batch_log *log,
                            struct run *run,
                            const struct batch_log_item *item)
{
    struct segment *segment = &log->segments[log->segments_count - 1];
    const uint64_t bytes = segment_record_bytes(item->record.bytes);
    const uint64_t offset = segment->bytes + run->bytes;
    const size_t end = (size_t)BUFFER_BATCH + item->record.bytes;
    const struct batch_place place = {.segment = segment->number,
                                      .page = (uint32_t)(offset / SEGMENT_PAGE) & 0xffffffu,
                                      .pages = (uint8_t)(bytes / SEGMENT_PAGE)};

    CHECK(item->buffer->capacity >= bytes);
    CHECK(offset % SEGMENT_PAGE == 0);
    segment_record_encode(item->buffer->data, segment, offset, &item->record);
    memset(item->buffer->data + end, 0, (size_t)bytes - end);
    run->parts[run->count++] = (struct iovec){item->buffer->data, (size_t)bytes};
    run->bytes += bytes;
    CHECK(batch_index_add(log->index, &item->record.digest, place));
    segment->batches++;
    segment->used_round = log->newest_round;
    batch_ring_add(&log->ring, place, item);
}

static enum status batch_log_write_group(struct batch_log *log,
                                         const struct batch_log_item *items,
                                         size_t count)
{
    struct run run = {.count = 0};
    struct batch_record record;
    struct batch_place place;
    enum status status = OK;

    for (size_t i = 0; status == OK && i < count; i++) {
        CHECK(items[i].record.bytes > 0);
        CHECK(items[i].record.bytes <= BATCH_BYTES_MAX);
        /* A candidate may be a record of this very group: then it has to be in the file to be
         * looked at. */
        uint64_t cursor = 0;
        if (batch_index_next(log->index, &place, &cursor, &items[i].record.digest)) {
            status = batch_log_flush_run(log, &run);
            if (status != OK) break;
            if (batch_log_locate(log, &place, &record, &items[i].record.digest) == OK) continue;
        }
        const struct segment *last = &log->segments[log->segments_count - 1];
        if (last->bytes + run.bytes + segment_record_bytes(items[i].record.bytes) >
                log->segment_bytes &&
            last->bytes + run.bytes > SEGMENT_PAGE) {
            status = batch_log_flush_run(log, &run);
            if (status == OK) status = batch_log_roll(log);
        }
        if (status == OK) batch_log_place(log, &run, &items[i]);
    }
    if (status == OK) status = batch_log_flush_run(log, &run);
    struct segment *last = &log->segments[log->segments_count - 1];
    if (status == OK && log->sync == SYNC_ALWAYS && last->synced != last->bytes) {
        status = segment_sync(last);
    }
    /* With SYNC_PROCESS a finished write is as durable as it gets. */
    if (status == OK) last->synced = last->bytes;
    return status;
}

enum status batch_log_append(struct batch_log *log,
                             const struct batch_log_item *items,
                             size_t count)
{
    CHECK(count <= BATCH_LOG_GROUP_MAX);
    if (log->failed) return ERR_IO;
    if (batch_index_count(log->index) + count > BATCH_LOG_ENTRIES_MAX) return ERR_FULL;

    const enum status status = batch_log_write_group(log, items, count);
    if (status != OK) {
        log->failed = true;
        return ERR_IO;
    }
    log->stats.groups++;
    return OK;
}
