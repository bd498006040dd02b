/* Writing groups of records. */
#include <sys/uio.h>

#include "consensus/node/batch_log_internal.h"

/* Runs that nobody waits to see on the disk go through the page cache up to this size: a write costs
 * microseconds there, and on the device a round trip. Of larger ones the copy would cost more. */
#define CACHED_RUN_BYTES_MAX (64u * 1024u)

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
        segment_close(last);
    }
    if (status == OK) {
        status = segment_create(&segment, log->directory, number, previous_bytes, log->direct,
                                log->sync == SYNC_ALWAYS);
    }
    if (status != OK) return status;
    segment.synced = segment.bytes;
    pthread_mutex_lock(&log->lock);
    log->direct = segment.direct;
    segment.used_round = log->newest_round;
    (void)batch_log_add_segment(log, &segment);
    pthread_mutex_unlock(&log->lock);
    return OK;
}

/* One group on its way: what is in the run goes to the segment now written, as parts of one write; what is
 * placed enters index and ring when all of it is durable. */
struct group {
    const struct batch_log_item *items;
    struct iovec parts[BATCH_LOG_GROUP_MAX];
    int parts_count;
    uint64_t run_bytes;
    size_t placed[BATCH_LOG_GROUP_MAX]; /* items */
    struct batch_place places[BATCH_LOG_GROUP_MAX];
    struct batch_place replaced[BATCH_LOG_GROUP_MAX]; /* earlier record of it; segment 0: none */
    size_t placed_count;
};

static struct segment *last_segment(struct batch_log *log)
{
    return &log->segments[log->segments_count - 1];
}

static enum status flush_run(struct batch_log *log, struct group *group)
{
    struct segment *segment = last_segment(log);

    if (group->parts_count == 0) return OK;
    const bool cached = log->sync == SYNC_PROCESS && group->run_bytes <= CACHED_RUN_BYTES_MAX;
    const enum status status =
        segment_write(segment, group->parts, group->parts_count, segment->bytes, cached);
    if (status != OK) return status;
    pthread_mutex_lock(&log->lock);
    segment->bytes += group->run_bytes;
    log->stats.appended += group->run_bytes;
    log->direct = segment->direct;
    pthread_mutex_unlock(&log->lock);
    group->parts_count = 0;
    group->run_bytes = 0;
    return OK;
}

/* Places one batch at the end of the run: fills in its log header and padding. */
static void place_item(struct batch_log *log,
                       struct group *group,
                       size_t number,
                       struct batch_place replaced)
{
    const struct batch_log_item *item = &group->items[number];
    const struct segment *segment = last_segment(log);
    const uint64_t bytes = segment_record_bytes(item->record.bytes);
    const uint64_t offset = segment->bytes + group->run_bytes;
    const size_t end = (size_t)BUFFER_BATCH + item->record.bytes;

    CHECK(item->buffer->capacity >= bytes);
    CHECK(offset % SEGMENT_PAGE == 0);
    segment_record_encode(item->buffer->data, segment, offset, &item->record);
    memset(item->buffer->data + end, 0, (size_t)bytes - end);
    group->parts[group->parts_count++] = (struct iovec){item->buffer->data, (size_t)bytes};
    group->run_bytes += bytes;
    group->placed[group->placed_count] = number;
    group->replaced[group->placed_count] = replaced;
    group->places[group->placed_count++] =
        (struct batch_place){.segment = segment->number,
                             .page = (uint32_t)(offset / SEGMENT_PAGE) & 0xffffffu,
                             .pages = (uint8_t)(bytes / SEGMENT_PAGE)};
}

/* The record that holds the item's digest, durable or placed in this group: `ret_place` and whether it says
 * that the batch is our own. False: there is none. */
static bool find_held(struct batch_log *log,
                      struct batch_place *ret_place,
                      bool *ret_own,
                      const struct group *group,
                      size_t number)
{
    const struct digest *digest = &group->items[number].record.digest;
    struct batch_record record;

    for (size_t i = group->placed_count; i > 0; i--) {
        const struct batch_record *placed = &group->items[group->placed[i - 1]].record;
        if (!digest_equal(&placed->digest, digest)) continue;
        *ret_place = group->places[i - 1];
        *ret_own = placed->own;
        return true;
    }
    if (batch_log_locate(log, &log->append_files, ret_place, &record, digest) != OK) return false;
    *ret_own = record.own;
    return true;
}

/* The run ends where the segment is full, and the next segment begins. */
static enum status roll_when_full(struct batch_log *log, struct group *group, uint32_t bytes)
{
    const uint64_t end = last_segment(log)->bytes + group->run_bytes;

    if (end + segment_record_bytes(bytes) <= log->segment_bytes || end <= SEGMENT_PAGE) return OK;
    const enum status status = flush_run(log, group);
    return status == OK ? batch_log_roll(log) : status;
}

static enum status write_group(struct batch_log *log, struct group *group, size_t count)
{
    enum status status = OK;

    for (size_t i = 0; status == OK && i < count; i++) {
        const uint32_t bytes = group->items[i].record.bytes;
        CHECK(bytes > 0);
        CHECK(bytes <= BATCH_BYTES_MAX);
        struct batch_place held = {.segment = 0};
        bool own = false;
        /* One that a peer sent first and a client of ours gave then is written again: only the record says
         * after a restart that we owe it. */
        if (find_held(log, &held, &own, group, i) && (own || !group->items[i].record.own)) continue;
        status = roll_when_full(log, group, bytes);
        if (status == OK) place_item(log, group, i, held);
    }
    if (status == OK) status = flush_run(log, group);
    struct segment *last = last_segment(log);
    if (status == OK && log->sync == SYNC_ALWAYS && last->synced != last->bytes)
        status = segment_sync(last);
    /* With SYNC_PROCESS a finished write is as durable as it gets. */
    if (status == OK) last->synced = last->bytes;
    return status;
}

static void publish_group(struct batch_log *log, const struct group *group)
{
    pthread_mutex_lock(&log->lock);
    for (size_t i = 0; i < group->placed_count; i++) {
        const struct batch_log_item *item = &group->items[group->placed[i]];
        struct segment *segment = batch_log_segment(log, group->places[i]);
        CHECK(segment != NULL);
        if (group->replaced[i].segment != 0)
            batch_log_remove(log, &item->record.digest, group->replaced[i]);
        CHECK(batch_index_add(log->index, &item->record.digest, group->places[i]));
        segment->batches++;
        segment->used_round = log->newest_round;
        batch_ring_add(&log->ring, group->places[i], item);
    }
    log->stats.groups++;
    pthread_mutex_unlock(&log->lock);
}

enum status batch_log_append(struct batch_log *log,
                             const struct batch_log_item *items,
                             size_t count)
{
    struct group group = {.items = items};

    CHECK(count <= BATCH_LOG_GROUP_MAX);
    if (log->failed) return ERR_IO;
    pthread_mutex_lock(&log->lock);
    const bool full = batch_index_count(log->index) + count > BATCH_LOG_ENTRIES_MAX;
    pthread_mutex_unlock(&log->lock);
    if (full) return ERR_FULL;

    if (write_group(log, &group, count) != OK) {
        log->failed = true;
        return ERR_IO;
    }
    publish_group(log, &group);
    return OK;
}
