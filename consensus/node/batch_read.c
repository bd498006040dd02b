/* Looking up and reading batches. The lock is never held while the disk is read. */
#include <stdlib.h>

#include "common/hash_pages.h"
#include "consensus/node/batch_log_internal.h"

/* Batches with equal first 8 bytes of their digests that are looked at: to make that many takes
 * 2^60 hashes. */
#define CANDIDATES_MAX 16u

/* A place where a digest may be, as it was under the lock. */
struct candidate {
    struct batch_place place;
    struct segment segment; /* its fd is not ours to use */
    struct batch_record record;
    struct buffer *buffer; /* from the ring, counted; NULL: read the disk, `record` is not set */
};

struct candidates {
    struct candidate items[CANDIDATES_MAX];
    size_t count;
};

static void find_candidates(struct batch_log *log,
                            struct candidates *ret,
                            const struct digest *digest)
{
    uint64_t cursor = 0;

    ret->count = 0;
    pthread_mutex_lock(&log->lock);
    while (ret->count < CANDIDATES_MAX) {
        struct candidate *candidate = &ret->items[ret->count];
        if (!batch_index_next(log->index, &candidate->place, &cursor, digest)) break;
        const struct ring_entry *entry = batch_ring_find(&log->ring, candidate->place);
        candidate->segment = *batch_log_segment(log, candidate->place);
        candidate->buffer = entry == NULL ? NULL : buffer_ref(entry->buffer);
        if (entry != NULL) candidate->record = entry->record;
        ret->count++;
    }
    pthread_mutex_unlock(&log->lock);
}

static void free_candidates(struct candidates *candidates)
{
    for (size_t i = 0; i < candidates->count; i++)
        buffer_unref(candidates->items[i].buffer);
}

/* The record at this place has rotted: the batch is not here any more. */
static void forget(struct batch_log *log, const struct digest *digest, struct batch_place place)
{
    pthread_mutex_lock(&log->lock);
    batch_log_remove(log, digest, place);
    pthread_mutex_unlock(&log->lock);
}

/* ---- the disk -------------------------------------------------------------------------------- */

/* The bytes of the file, from the disk or, with `ahead`, from what was read ahead. */
static enum status read_pages(struct batch_files *files,
                              struct batch_ahead *ahead,
                              uint8_t *data,
                              const struct segment *known,
                              uint64_t offset,
                              size_t len)
{
    struct segment *segment = NULL;
    size_t got = 0;
    enum status status = batch_files_get(files, &segment, known);

    if (status != OK) return status;
    /* What was read ahead may lack a sector that this record does not need. */
    if (ahead != NULL) status = batch_ahead_read(ahead, data, segment, offset, len);
    if (ahead != NULL && status != ERR_CORRUPT) return status;
    status = segment_read(segment, data, &got, offset, len);
    if (status == OK && got != len) status = ERR_CORRUPT;
    return status;
}

/* Reads the first `pages` pages of the candidate's record into `data` and decodes its log header. */
static enum status read_record(struct batch_files *files,
                               struct batch_ahead *ahead,
                               uint8_t *data,
                               struct batch_record *ret_record,
                               const struct candidate *candidate,
                               uint32_t pages)
{
    const struct batch_place place = candidate->place;
    const uint64_t offset = (uint64_t)place.page * SEGMENT_PAGE;
    uint64_t synced = 0;

    const enum status status =
        read_pages(files, ahead, data, &candidate->segment, offset, (size_t)pages * SEGMENT_PAGE);
    if (status != OK) return status;
    if (!segment_record_decode(ret_record, &synced, &candidate->segment, offset, data))
        return ERR_CORRUPT;
    return segment_record_bytes(ret_record->bytes) == (uint64_t)place.pages * SEGMENT_PAGE
               ? OK
               : ERR_CORRUPT;
}

/* Reads one whole record and checks it: ERR_NOT_FOUND when it is of another digest. */
static enum status read_whole(struct batch_log *log,
                              struct batch_ahead *ahead,
                              struct buffer **ret_buffer,
                              struct batch_record *ret_record,
                              const struct digest *digest,
                              const struct candidate *candidate)
{
    struct buffer *buffer = buffer_new((size_t)candidate->place.pages * SEGMENT_PAGE);
    struct digest root;
    enum status status = read_record(&log->read_files, ahead, buffer->data, ret_record, candidate,
                                     candidate->place.pages);

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

static void count_reads(struct batch_log *log, uint64_t memory, uint64_t disk)
{
    pthread_mutex_lock(&log->lock);
    log->stats.ring_hits += memory;
    log->stats.disk_reads += disk;
    pthread_mutex_unlock(&log->lock);
}

/* ---- looking up ------------------------------------------------------------------------------ */

enum status batch_log_locate(struct batch_log *log,
                             struct batch_files *files,
                             struct batch_place *ret_place,
                             struct batch_record *ret_record,
                             const struct digest *digest)
{
    enum status result = ERR_NOT_FOUND;
    struct candidates candidates;
    uint8_t *page = NULL;

    find_candidates(log, &candidates, digest);
    for (size_t i = 0; i < candidates.count; i++) {
        struct candidate *candidate = &candidates.items[i];
        enum status status = OK;
        if (candidate->buffer == NULL) {
            if (page == NULL)
                CHECK(posix_memalign((void **)&page, SEGMENT_PAGE, SEGMENT_PAGE) == 0);
            status = read_record(files, NULL, page, &candidate->record, candidate, 1);
            count_reads(log, 0, 1);
        }
        if (status == OK && !digest_equal(&candidate->record.digest, digest)) continue;
        if (status == ERR_CORRUPT) forget(log, digest, candidate->place);
        if (status != ERR_NOT_FOUND) result = status;
        if (status != OK) continue;
        *ret_place = candidate->place;
        *ret_record = candidate->record;
        break;
    }
    free(page);
    free_candidates(&candidates);
    return result;
}

enum status batch_log_find(struct batch_log *log,
                           struct batch_record *ret_record,
                           const struct digest *digest)
{
    struct batch_place place;
    const enum status status = batch_log_locate(log, &log->read_files, &place, ret_record, digest);

    if (status != OK) return status;
    pthread_mutex_lock(&log->lock);
    struct segment *segment = batch_log_segment(log, place);
    if (segment != NULL && segment->used_round != ROUND_UNKNOWN)
        segment->used_round = log->newest_round;
    pthread_mutex_unlock(&log->lock);
    return segment == NULL ? ERR_NOT_FOUND : OK;
}

/* ---- reading --------------------------------------------------------------------------------- */

static enum status read_candidates(struct batch_log *log,
                                   struct batch_ahead *ahead,
                                   struct buffer **ret_buffer,
                                   struct batch_record *ret_record,
                                   const struct digest *digest,
                                   const struct candidates *candidates)
{
    enum status result = ERR_NOT_FOUND;

    for (size_t i = 0; i < candidates->count; i++) {
        const struct candidate *candidate = &candidates->items[i];
        if (candidate->buffer != NULL) {
            if (!digest_equal(&candidate->record.digest, digest)) continue;
            count_reads(log, 1, 0);
            *ret_record = candidate->record;
            *ret_buffer = buffer_ref(candidate->buffer);
            return OK;
        }
        const uint64_t before = ahead == NULL ? 0 : ahead->reads;
        const enum status status =
            read_whole(log, ahead, ret_buffer, ret_record, digest, candidate);
        count_reads(log, 0, ahead == NULL ? 1 : ahead->reads - before);
        if (status == OK) return OK;
        if (status == ERR_CORRUPT) forget(log, digest, candidate->place);
        if (status != ERR_NOT_FOUND) result = status;
    }
    return result;
}

static enum status read_by(struct batch_log *log,
                           struct batch_ahead *ahead,
                           struct buffer **ret_buffer,
                           struct batch_record *ret_record,
                           const struct digest *digest)
{
    struct candidates candidates;

    find_candidates(log, &candidates, digest);
    const enum status status =
        read_candidates(log, ahead, ret_buffer, ret_record, digest, &candidates);
    free_candidates(&candidates);
    return status;
}

enum status batch_log_read(struct batch_log *log,
                           struct buffer **ret_buffer,
                           struct batch_record *ret_record,
                           const struct digest *digest)
{
    return read_by(log, NULL, ret_buffer, ret_record, digest);
}

enum status batch_log_read_ahead(struct batch_log *log,
                                 struct buffer **ret_buffer,
                                 struct batch_record *ret_record,
                                 const struct digest *digest)
{
    return read_by(log, &log->ahead, ret_buffer, ret_record, digest);
}
