#include "consensus/node/batch_segment.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/uio.h>
#include <unistd.h>

#include "common/bytes.h"
#include "common/crypto.h"

#define SEGMENT_MAGIC         0x474f4c4854414244u /* "DBATHLOG" */
#define SEGMENT_VERSION       1u
#define SEGMENT_HEADER_BYTES  (8u + 4u + 4u + 8u + SEGMENT_SALT_BYTES)
#define RECORD_MAGIC          0x54414244u /* "DBAT" */
#define RECORD_VERSION        1u
#define RECORD_FLAG_OWN       1u
#define RECORD_CHECKSUM_BYTES 8u

uint64_t segment_record_bytes(uint32_t batch_bytes)
{
    return ((uint64_t)BUFFER_BATCH + batch_bytes + SEGMENT_PAGE - 1) / SEGMENT_PAGE * SEGMENT_PAGE;
}

char *segment_path(const char *directory, uint32_t number)
{
    char *path = NULL;
    CHECK(asprintf(&path, "%s/%08u.log", directory, number) > 0);
    return path;
}

/* ---- reading and writing --------------------------------------------------------------------- */

enum status segment_read(struct segment *segment,
                         uint8_t *ret_data,
                         size_t *ret_got,
                         uint64_t offset,
                         size_t len)
{
    size_t got = 0;

    while (got < len) {
        const ssize_t count = pread(segment->fd, ret_data + got, len - got, (off_t)(offset + got));
        if (count < 0 && errno == EINTR) continue;
        if (count < 0) return errno == EIO ? ERR_CORRUPT : ERR_IO;
        got += (size_t)count;
        /* A short read that is not whole pages is the end of the file. */
        if (count == 0 || (size_t)count % SEGMENT_PAGE != 0) break;
    }
    *ret_got = got;
    return OK;
}

static bool segment_set_cached(struct segment *segment, bool cached)
{
    if (!segment->direct || segment->cached == cached) return true;
    const int flags = fcntl(segment->fd, F_GETFL);
    segment->cached = cached;
    return flags >= 0 &&
           fcntl(segment->fd, F_SETFL, cached ? flags & ~O_DIRECT : flags | O_DIRECT) == 0;
}

/* Leaves O_DIRECT behind when the file system takes the flag but not the writes. */
static bool segment_fall_back(struct segment *segment)
{
    if (!segment->direct || !segment_set_cached(segment, true)) return false;
    segment->direct = false;
    return true;
}

/* Drops the first `done` bytes of the parts. */
static void parts_advance(struct iovec **parts, int *count, size_t done)
{
    while (*count > 0 && done >= (*parts)->iov_len) {
        done -= (*parts)->iov_len;
        (*parts)++;
        (*count)--;
    }
    if (*count == 0) return;
    (*parts)->iov_base = (uint8_t *)(*parts)->iov_base + done;
    (*parts)->iov_len -= done;
}

enum status segment_write(struct segment *segment,
                          struct iovec *parts,
                          int count,
                          uint64_t offset,
                          bool cached)
{
    if (!segment_set_cached(segment, cached)) return ERR_IO;
    while (count > 0) {
        const ssize_t written = pwritev(segment->fd, parts, count, (off_t)offset);
        if (written < 0 && errno == EINTR) continue;
        if (written < 0 && errno == EINVAL && segment_fall_back(segment)) continue;
        if (written <= 0) return ERR_IO;
        /* A short write goes on from the last whole page, as O_DIRECT wants it. */
        const size_t done = (size_t)written / SEGMENT_PAGE * SEGMENT_PAGE;
        if (done == 0) return ERR_IO;
        parts_advance(&parts, &count, done);
        offset += done;
    }
    return OK;
}

enum status segment_sync(struct segment *segment)
{
    if (fdatasync(segment->fd) != 0) return ERR_IO;
    segment->synced = segment->bytes;
    return OK;
}

/* ---- segment header -------------------------------------------------------------------------- */

static enum status segment_write_header(struct segment *segment)
{
    uint8_t *page = NULL;
    CHECK(posix_memalign((void **)&page, SEGMENT_PAGE, SEGMENT_PAGE) == 0);
    memset(page, 0, SEGMENT_PAGE);

    struct writer writer = writer_make(page, SEGMENT_PAGE);
    writer_u64(&writer, SEGMENT_MAGIC);
    writer_u32(&writer, SEGMENT_VERSION);
    writer_u32(&writer, segment->number);
    writer_u64(&writer, segment->previous_bytes);
    writer_copy(&writer, segment->salt, sizeof segment->salt);
    CHECK(writer.len == SEGMENT_HEADER_BYTES);
    struct digest checksum;
    crypto_hash_one(&checksum, page, writer.len);
    writer_copy(&writer, checksum.bytes, sizeof checksum.bytes);
    CHECK(!writer.failed);

    struct iovec part = {page, SEGMENT_PAGE};
    const enum status status = segment_write(segment, &part, 1, 0, false);
    free(page);
    return status;
}

static bool segment_read_header(struct segment *segment, const uint8_t *page)
{
    struct reader reader = reader_make(page, SEGMENT_HEADER_BYTES + sizeof(struct digest));
    struct digest expected;
    struct digest checksum;

    const bool magic = reader_u64(&reader) == SEGMENT_MAGIC;
    const bool version = reader_u32(&reader) == SEGMENT_VERSION;
    const bool number = reader_u32(&reader) == segment->number;
    segment->previous_bytes = reader_u64(&reader);
    reader_copy(&reader, segment->salt, sizeof segment->salt);
    reader_copy(&reader, checksum.bytes, sizeof checksum.bytes);
    crypto_hash_one(&expected, page, SEGMENT_HEADER_BYTES);
    return reader_done(&reader) && magic && version && number && digest_equal(&checksum, &expected);
}

static int segment_open_file(const char *directory, uint32_t number, int flags, bool *direct)
{
    char *path = segment_path(directory, number);
    int fd = open(path, flags | O_RDWR | O_CLOEXEC | (*direct ? O_DIRECT : 0), 0600);

    if (fd < 0 && errno == EINVAL && *direct) {
        *direct = false;
        fd = open(path, (flags & ~O_EXCL) | O_RDWR | O_CLOEXEC, 0600);
    }
    free(path);
    return fd;
}

static enum status directory_sync(const char *directory)
{
    const int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    const bool done = fd >= 0 && fsync(fd) == 0;

    if (fd >= 0) (void)close(fd);
    return done ? OK : ERR_IO;
}

enum status segment_create(struct segment *ret_segment,
                           const char *directory,
                           uint32_t number,
                           uint64_t previous_bytes,
                           bool direct,
                           bool sync)
{
    struct segment segment = {.number = number,
                              .direct = direct,
                              .bytes = SEGMENT_PAGE,
                              .previous_bytes = previous_bytes};

    if (getrandom(segment.salt, sizeof segment.salt, 0) != (ssize_t)sizeof segment.salt)
        return ERR_IO;
    segment.fd = segment_open_file(directory, number, O_CREAT | O_EXCL, &segment.direct);
    if (segment.fd < 0) return ERR_IO;

    enum status status = segment_write_header(&segment);
    if (status == OK && sync) status = segment_sync(&segment);
    if (status == OK && sync) status = directory_sync(directory);
    if (status != OK) {
        (void)close(segment.fd);
        return status;
    }
    *ret_segment = segment;
    return OK;
}

enum status segment_open(struct segment *ret_segment,
                         const char *directory,
                         uint32_t number,
                         bool direct)
{
    struct segment segment = {.number = number, .direct = direct};
    uint8_t *page = NULL;
    size_t got = 0;

    segment.fd = segment_open_file(directory, number, 0, &segment.direct);
    if (segment.fd < 0) return ERR_IO;
    CHECK(posix_memalign((void **)&page, SEGMENT_PAGE, SEGMENT_PAGE) == 0);
    enum status status = segment_read(&segment, page, &got, 0, SEGMENT_PAGE);
    if (status == OK && (got != SEGMENT_PAGE || !segment_read_header(&segment, page))) {
        status = ERR_CORRUPT;
    }
    free(page);
    const off_t size = lseek(segment.fd, 0, SEEK_END);
    if (status == OK && size < 0) status = ERR_IO;
    if (status != OK) {
        (void)close(segment.fd);
        return status;
    }
    segment.bytes = (uint64_t)size;
    *ret_segment = segment;
    return OK;
}

enum status segment_reopen(struct segment *segment, const char *directory)
{
    CHECK(segment->fd < 0);
    segment->cached = false;
    segment->fd = segment_open_file(directory, segment->number, 0, &segment->direct);
    return segment->fd < 0 ? ERR_IO : OK;
}

void segment_close(struct segment *segment)
{
    if (segment->fd >= 0) (void)close(segment->fd);
    segment->fd = -1;
}

/* ---- log header ------------------------------------------------------------------------------ */

static void record_checksum(uint8_t *ret,
                            const struct segment *segment,
                            uint64_t offset,
                            const uint8_t *data)
{
    uint8_t place[12];
    struct writer writer = writer_make(place, sizeof place);
    writer_u32(&writer, segment->number);
    writer_u64(&writer, offset);

    const struct bytes parts[] = {{segment->salt, sizeof segment->salt},
                                  writer_view(&writer),
                                  {data, SEGMENT_RECORD_BYTES - RECORD_CHECKSUM_BYTES}};
    struct digest digest;
    crypto_hash(&digest, parts, sizeof parts / sizeof parts[0]);
    memcpy(ret, digest.bytes, RECORD_CHECKSUM_BYTES);
}

void segment_record_encode(uint8_t *ret,
                           const struct segment *segment,
                           uint64_t offset,
                           const struct batch_record *record)
{
    struct writer writer = writer_make(ret, SEGMENT_RECORD_BYTES);

    writer_u32(&writer, RECORD_MAGIC);
    writer_u16(&writer, RECORD_VERSION);
    writer_u16(&writer, record->author);
    writer_u32(&writer, record->bytes);
    writer_u32(&writer, record->transactions);
    writer_u64(&writer, record->created_at);
    writer_u32(&writer, record->worker);
    writer_u32(&writer, record->own ? RECORD_FLAG_OWN : 0);
    writer_u64(&writer, segment->synced);
    writer_copy(&writer, record->digest.bytes, sizeof record->digest.bytes);
    CHECK(writer.len == SEGMENT_RECORD_BYTES - RECORD_CHECKSUM_BYTES);
    record_checksum(ret + writer.len, segment, offset, ret);
}

bool segment_record_decode(struct batch_record *ret_record,
                           uint64_t *ret_synced,
                           const struct segment *segment,
                           uint64_t offset,
                           const uint8_t *data)
{
    struct reader reader = reader_make(data, SEGMENT_RECORD_BYTES - RECORD_CHECKSUM_BYTES);
    struct batch_record record = {0};
    uint8_t checksum[RECORD_CHECKSUM_BYTES];

    /* The magic first: scanning for records looks at many pages that are none. */
    if (reader_u32(&reader) != RECORD_MAGIC || reader_u16(&reader) != RECORD_VERSION) return false;
    record.author = reader_u16(&reader);
    record.bytes = reader_u32(&reader);
    record.transactions = reader_u32(&reader);
    record.created_at = reader_u64(&reader);
    record.worker = reader_u32(&reader);
    record.own = reader_u32(&reader) == RECORD_FLAG_OWN;
    const uint64_t synced = reader_u64(&reader);
    reader_copy(&reader, record.digest.bytes, sizeof record.digest.bytes);
    CHECK(reader_done(&reader));
    record_checksum(checksum, segment, offset, data);
    if (memcmp(checksum, data + SEGMENT_RECORD_BYTES - sizeof checksum, sizeof checksum) != 0) {
        return false;
    }
    if (record.bytes == 0 || record.bytes > BATCH_BYTES_MAX) return false;
    *ret_record = record;
    *ret_synced = synced;
    return true;
}
