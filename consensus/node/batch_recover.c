/* Reading the segment files at start: which records there are, and where a torn tail is cut off. */
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/hash_pages.h"
#include "consensus/node/batch_log_internal.h"

/* Log headers are read through a window: a page when records are large, much more when they are
 * small, so that neither reads the whole log nor makes a system call for each 4 KB. */
#define WINDOW_BYTES       (256u * 1024u)
#define WINDOW_RECORD_MANY (64u * 1024u)

struct window {
    struct segment *segment;
    uint8_t *data; /* WINDOW_BYTES, aligned */
    uint64_t offset;
    size_t len;
};

static struct window window_make(struct segment *segment)
{
    struct window window = {.segment = segment};
    CHECK(posix_memalign((void **)&window.data, SEGMENT_PAGE, WINDOW_BYTES) == 0);
    return window;
}

/* A view of `len` bytes at `offset`, read ahead by `ahead` bytes when they are not in the window
 * yet; NULL in `ret_data` at the end of the file. */
static enum status window_get(struct window *window,
                              const uint8_t **ret_data,
                              uint64_t offset,
                              size_t len,
                              size_t ahead)
{
    *ret_data = NULL;
    if (offset < window->offset || offset + len > window->offset + window->len) {
        const enum status status =
            segment_read(window->segment, window->data, &window->len, offset, ahead);
        if (status != OK) return status;
        window->offset = offset;
    }
    if (offset + len <= window->offset + window->len) {
        *ret_data = window->data + (offset - window->offset);
    }
    return OK;
}

/* The next record of a segment in file order. */
struct walk {
    struct window window;
    uint64_t offset;     /* of the next record */
    uint64_t at;         /* of the one just returned */
    uint64_t mark;       /* greatest synced mark seen */
    uint64_t last_bytes; /* size of the record before: guesses the next one's */
    enum status status;  /* ERR_IO ends the walk too */
};

static struct walk walk_make(struct segment *segment, uint64_t offset)
{
    return (struct walk){.window = window_make(segment), .offset = offset};
}

static void walk_close(struct walk *walk)
{
    free(walk->window.data);
}

/* False at the end of the file, at anything that is not a whole record, or on an error. */
static bool walk_next(struct walk *walk, struct batch_record *ret_record)
{
    struct segment *segment = walk->window.segment;
    const size_t ahead = walk->last_bytes < WINDOW_RECORD_MANY ? WINDOW_BYTES : SEGMENT_PAGE;
    const uint8_t *data = NULL;
    uint64_t synced = 0;

    walk->status = window_get(&walk->window, &data, walk->offset, SEGMENT_PAGE, ahead);
    if (walk->status != OK || data == NULL) return false;
    if (!segment_record_decode(ret_record, &synced, segment, walk->offset, data)) return false;
    const uint64_t bytes = segment_record_bytes(ret_record->bytes);
    if (bytes > segment->bytes - walk->offset) return false;
    walk->mark = u64_max(walk->mark, synced);
    walk->last_bytes = bytes;
    walk->at = walk->offset;
    walk->offset += bytes;
    return true;
}

static enum status refuse_corrupt(char *ret_error,
                                  const struct batch_log *log,
                                  const struct segment *segment,
                                  uint64_t offset)
{
    return store_refuse(ret_error, ERR_CORRUPT,
                        "%s/%08u.log: corrupt at offset %" PRIu64 ", start with --rejoin",
                        log->directory, segment->number, offset);
}

static enum status refuse_io(char *ret_error,
                             const struct batch_log *log,
                             const struct segment *segment)
{
    return store_refuse(ret_error, ERR_IO, "%s/%08u.log: %s", log->directory, segment->number,
                        strerror(errno));
}

/* Is there a record beyond `offset` that was written when everything up to beyond `offset` was
 * synced? Then what is wrong at `offset` is not a torn tail. */
static enum status tail_is_synced(bool *ret_synced, struct segment *segment, uint64_t offset)
{
    struct window window = window_make(segment);
    enum status status = OK;

    *ret_synced = false;
    for (uint64_t at = offset; status == OK && at < segment->bytes && !*ret_synced;
         at += SEGMENT_PAGE) {
        struct batch_record record;
        const uint8_t *data = NULL;
        uint64_t synced = 0;
        status = window_get(&window, &data, at, SEGMENT_PAGE, WINDOW_BYTES);
        if (status != OK || data == NULL) break;
        if (segment_record_decode(&record, &synced, segment, at, data) && synced > offset) {
            *ret_synced = true;
        }
    }
    free(window.data);
    return status;
}

/* Checks the batches of the last group, from `mark` on, against their digests. `ret_end` is where
 * the first bad one begins, or `end`. */
static enum status tail_check(uint64_t *ret_end,
                              struct segment *segment,
                              uint64_t mark,
                              uint64_t end)
{
    struct walk walk = walk_make(segment, mark);
    struct batch_record record;
    enum status status = OK;

    *ret_end = end;
    while (status == OK && walk.offset < end && walk_next(&walk, &record)) {
        const size_t len = (size_t)segment_record_bytes(record.bytes);
        struct buffer *buffer = buffer_new(len);
        struct digest root;
        size_t got = 0;
        status = segment_read(segment, buffer->data, &got, walk.at, len);
        if (status == OK && got == len) {
            hash_pages_root(&root, buffer->data + BUFFER_BATCH, record.bytes);
        }
        const bool good = status == OK && got == len && digest_equal(&root, &record.digest);
        buffer_unref(buffer);
        if (!good) {
            *ret_end = walk.at;
            break;
        }
    }
    if (status == OK) status = walk.status;
    walk_close(&walk);
    return status;
}

/* Finds where the last segment really ends, cuts off what is torn, and makes the rest durable. */
static enum status recover_tail(struct batch_log *log, char *ret_error, struct segment *segment)
{
    struct walk walk = walk_make(segment, SEGMENT_PAGE);
    struct batch_record record;

    walk.mark = SEGMENT_PAGE;
    while (walk_next(&walk, &record))
        continue;
    uint64_t end = walk.offset;
    const uint64_t mark = walk.mark;
    enum status status = walk.status;
    walk_close(&walk);
    if (status != OK) return refuse_io(ret_error, log, segment);

    bool synced = mark > end;
    if (!synced && end < segment->bytes) status = tail_is_synced(&synced, segment, end);
    if (status != OK) return refuse_io(ret_error, log, segment);
    if (synced) return refuse_corrupt(ret_error, log, segment, end);
    status = tail_check(&end, segment, mark, end);
    if (status != OK) return refuse_io(ret_error, log, segment);
    if (end < segment->bytes) {
        if (ftruncate(segment->fd, (off_t)end) != 0) return refuse_io(ret_error, log, segment);
        segment->bytes = end;
        log->cut = true;
    }
    if (segment_sync(segment) != OK) return refuse_io(ret_error, log, segment);
    return OK;
}

/* Enters every record of a segment into the index. A batch that is there twice was appended again
 * because its first copy had rotted, or became our own: the later one counts. */
static enum status recover_index(struct batch_log *log,
                                 char *ret_error,
                                 struct segment *segment,
                                 const struct batch_log_options *options)
{
    struct walk walk = walk_make(segment, SEGMENT_PAGE);
    struct batch_record record;
    enum status status = OK;

    while (status == OK && walk_next(&walk, &record)) {
        const struct batch_place place = {.segment = segment->number,
                                          .page = (uint32_t)(walk.at / SEGMENT_PAGE) & 0xffffffu,
                                          .pages = (uint8_t)(walk.last_bytes / SEGMENT_PAGE)};
        struct batch_place earlier;
        struct batch_record other;
        if (batch_log_locate(log, &log->append_files, &earlier, &other, &record.digest) == OK) {
            batch_index_remove(log->index, &record.digest, earlier);
            log->segments[earlier.segment - log->segments[0].number].batches--;
        }
        if (!batch_index_add(log->index, &record.digest, place)) {
            status = store_refuse(ret_error, ERR_FULL, "%s: more than %u batches", log->directory,
                                  BATCH_LOG_ENTRIES_MAX);
            break;
        }
        segment->batches++;
        if (options->found != NULL) options->found(options->context, &record);
    }
    const enum status walk_status = walk.status;
    const uint64_t end = walk.offset;
    walk_close(&walk);
    if (status != OK) return status;
    if (walk_status != OK) return refuse_io(ret_error, log, segment);
    if (end != segment->bytes) return refuse_corrupt(ret_error, log, segment, end);
    return OK;
}

/* ---- the directory --------------------------------------------------------------------------- */

static int compare_numbers(const void *a, const void *b)
{
    const uint32_t left = *(const uint32_t *)a;
    const uint32_t right = *(const uint32_t *)b;
    return left < right ? -1 : left > right;
}

/* Numbers of the segment files, ascending, malloc'ed. */
static enum status list_segments(uint32_t **ret_numbers, size_t *ret_count, const char *directory)
{
    DIR *stream = opendir(directory);
    uint32_t *numbers = NULL;
    size_t count = 0;

    if (stream == NULL) return ERR_IO;
    for (const struct dirent *entry = readdir(stream); entry != NULL; entry = readdir(stream)) {
        unsigned number = 0;
        int used = 0;
        if (sscanf(entry->d_name, "%8u.log%n", &number, &used) != 1) continue;
        if (used != 12 || entry->d_name[12] != '\0' || number == 0) continue;
        if ((count & (count - 1)) == 0) {
            numbers = realloc(numbers, (count == 0 ? 1 : count * 2) * sizeof *numbers);
            CHECK(numbers != NULL);
        }
        numbers[count++] = number;
    }
    (void)closedir(stream);
    if (count > 0) qsort(numbers, count, sizeof *numbers, compare_numbers);
    *ret_numbers = numbers;
    *ret_count = count;
    return OK;
}

/* The newest file may have been begun and not finished: it holds no record then, and goes. */
static bool segment_is_unfinished(const char *directory, uint32_t number)
{
    char *path = segment_path(directory, number);
    FILE *file = fopen(path, "rb");
    long size = -1;

    if (file != NULL && fseek(file, 0, SEEK_END) == 0) size = ftell(file);
    if (file != NULL) (void)fclose(file);
    const bool unfinished = size >= 0 && size <= (long)SEGMENT_PAGE;
    if (unfinished) (void)unlink(path);
    free(path);
    return unfinished;
}

static enum status recover_segment(struct batch_log *log,
                                   char *ret_error,
                                   const struct batch_log_options *options,
                                   uint32_t number,
                                   bool last)
{
    struct segment opened;
    enum status status = segment_open(&opened, log->directory, number, log->direct);

    if (status == ERR_CORRUPT && last && segment_is_unfinished(log->directory, number)) return OK;
    if (status == ERR_CORRUPT) {
        return store_refuse(ret_error, ERR_CORRUPT,
                            "%s/%08u.log: corrupt at offset 0, start with --rejoin", log->directory,
                            number);
    }
    if (status != OK) {
        return store_refuse(ret_error, ERR_IO, "%s/%08u.log: %s", log->directory, number,
                            strerror(errno));
    }
    log->direct = opened.direct;
    opened.used_round = ROUND_UNKNOWN;
    opened.synced = opened.bytes;
    if (log->segments_count > 0) {
        const struct segment *before = &log->segments[log->segments_count - 1];
        if (before->bytes != opened.previous_bytes || before->number + 1 != number) {
            (void)close(opened.fd);
            return refuse_corrupt(ret_error, log, before,
                                  u64_min(before->bytes, opened.previous_bytes));
        }
    }
    struct segment *segment = batch_log_add_segment(log, &opened);
    if (last) status = recover_tail(log, ret_error, segment);
    if (status == OK) status = recover_index(log, ret_error, segment, options);
    if (!last) segment_close(segment);
    return status;
}

enum status batch_log_recover(struct batch_log *log,
                              char *ret_error,
                              const struct batch_log_options *options)
{
    uint32_t *numbers = NULL;
    size_t count = 0;

    if (list_segments(&numbers, &count, log->directory) != OK) {
        return store_refuse(ret_error, ERR_IO, "%s: %s", log->directory, strerror(errno));
    }
    enum status status = OK;
    for (size_t i = 0; status == OK && i < count; i++) {
        status = recover_segment(log, ret_error, options, numbers[i], i + 1 == count);
    }
    free(numbers);
    /* Without its last, unfinished file the log ends with the one before: that is written to again.
     */
    if (status == OK && log->segments_count > 0) {
        struct segment *end = &log->segments[log->segments_count - 1];
        if (end->fd < 0 && segment_reopen(end, log->directory) != OK)
            status = refuse_io(ret_error, log, end);
    }
    return status;
}
