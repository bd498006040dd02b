#include "tests/fuzz/fuzz.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/crypto.h"
#include "common/hash_pages.h"
#include "consensus/node/batch_log.h"
#include "consensus/node/batch_segment.h"

/* A segment file that may hold anything, at the start of a node. Headers that pass their checksum are not found by
 * chance, so the file is written from a script that can make good ones, and then be changed. It is opened or refused
 * with a line; what is found can be read, or, where it was synced, is refused when it is; and the log that was opened
 * opens again as it is.
 *
 *   input = items: kind u8 | value u16
 *     kind % 8   0, 1: a record of 1 + value % 5000 bytes, good      2: the same, its batch changed
 *                3: the same, its header changed                    4: a page of `value` bytes
 *                5: cut off value bytes    6: the next records say that everything before is synced
 *                7: change byte `value` pages and 80 bytes back */
#define FILE_BYTES_MAX (256u * 1024u)
#define RECORDS_MAX    64u
#define SEGMENT_HEADER 56u /* what its checksum is over */

static char folder[64];
static char path[96];
static char next_path[96]; /* begun behind a tail that was cut off */
static uint8_t file[FILE_BYTES_MAX];
static size_t file_len;
static struct segment segment; /* the salt, and how far the records say that it is synced */
static bool marked;            /* some record may say that more than the first page is */

static void remove_folder(void)
{
    (void)unlink(path);
    (void)unlink(next_path);
    (void)rmdir(folder);
}

static void make_folder(void)
{
    const char *parent = getenv("TMPDIR");

    if (parent == NULL) parent = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    (void)snprintf(folder, sizeof folder, "%.40s/fuzz-XXXXXX", parent);
    CHECK(mkdtemp(folder) != NULL);
    (void)snprintf(path, sizeof path, "%s/00000001.log", folder);
    (void)snprintf(next_path, sizeof next_path, "%s/00000002.log", folder);
    (void)atexit(remove_folder);
}

/* The first page, as docs/protocol.md has it. */
static void begin_file(void)
{
    struct writer writer = writer_make(file, SEGMENT_PAGE);
    struct digest checksum;

    memset(file, 0, SEGMENT_PAGE);
    writer_copy(&writer, "DBATHLOG", 8);
    writer_u32(&writer, 1);
    writer_u32(&writer, 1);
    writer_u64(&writer, 0);
    writer_copy(&writer, segment.salt, sizeof segment.salt);
    CHECK(writer.len == SEGMENT_HEADER);
    crypto_hash_one(&checksum, file, writer.len);
    writer_copy(&writer, checksum.bytes, sizeof checksum.bytes);
    file_len = SEGMENT_PAGE;
    segment.number = 1;
    segment.synced = SEGMENT_PAGE;
    marked = false;
}

static void add_record(uint16_t value)
{
    struct batch_record record = {
        .author = value % 4, .bytes = 1 + value % 5000u, .transactions = 1, .own = value % 2 == 1};
    size_t len = (size_t)segment_record_bytes(record.bytes);

    if (len > sizeof file - file_len) return;
    uint8_t *at = file + file_len;
    memset(at, 0, len);
    memset(at + BUFFER_BATCH, value & 0xff, record.bytes);
    hash_pages_root(&record.digest, at + BUFFER_BATCH, record.bytes);
    segment_record_encode(at, &segment, file_len, &record);
    file_len += len;
}

static void run_item(uint8_t kind, uint16_t value)
{
    size_t before = file_len;
    size_t back = (value / 80u) * SEGMENT_PAGE + value % 80u + 1;

    switch (kind % 8) {
    case 4:
        if (file_len + SEGMENT_PAGE > sizeof file) return;
        memset(file + file_len, value & 0xff, SEGMENT_PAGE);
        file_len += SEGMENT_PAGE;
        return;
    case 5:
        file_len -= value < file_len ? value : file_len;
        return;
    case 6:
        segment.synced = file_len + (value % 4) * SEGMENT_PAGE;
        marked = true;
        return;
    case 7:
        if (back <= file_len) file[file_len - back] ^= (uint8_t)(1 + kind / 8);
        return;
    default:
        add_record(value);
    }
    if (before == file_len) return;
    if (kind % 8 == 2) file[before + BUFFER_BATCH] ^= 1;
    if (kind % 8 == 3) file[before + value % SEGMENT_RECORD_BYTES] ^= 1;
}

static void write_file(void)
{
    (void)unlink(next_path);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    CHECK(fd >= 0);
    CHECK(write(fd, file, file_len) == (ssize_t)file_len);
    CHECK(close(fd) == 0);
}

static struct {
    struct batch_record items[RECORDS_MAX];
    size_t count;
} found;

static void note_found(void *context, const struct batch_record *record)
{
    (void)context;
    CHECK(record->bytes >= 1);
    CHECK(record->bytes <= BATCH_BYTES_MAX);
    CHECK(found.count < RECORDS_MAX);
    found.items[found.count++] = *record;
}

static struct batch_log *open_log(void)
{
    const struct batch_log_options options = {.directory = folder,
                                              .sync = SYNC_ALWAYS,
                                              .segment_bytes = 8u * 1024u * 1024u,
                                              .buffered = true,
                                              .found = note_found};
    char error[STORE_ERROR_BYTES] = "";
    struct batch_log *log = NULL;

    found.count = 0;
    enum status status = batch_log_open(&log, error, &options);
    CHECK((status == OK) == (error[0] == '\0'));
    CHECK(strchr(error, '\n') == NULL);
    CHECK(status == OK || status == ERR_CORRUPT);
    return log;
}

static void check_records(struct batch_log *log)
{
    for (size_t i = 0; i < found.count; i++) {
        const struct batch_record *expected = &found.items[i];
        struct batch_record record;
        struct buffer *buffer = NULL;
        struct digest root;
        enum status status = batch_log_read(log, &buffer, &record, &expected->digest);
        CHECK(status == OK || status == ERR_CORRUPT || status == ERR_NOT_FOUND);
        /* Nothing but the last group: it was checked against its digests, and cut. */
        CHECK(status == OK || marked);
        if (status != OK) continue;
        CHECK(digest_equal(&record.digest, &expected->digest));
        hash_pages_root(&root, buffer->data + BUFFER_BATCH, record.bytes);
        CHECK(digest_equal(&root, &record.digest));
        buffer_unref(buffer);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct reader reader = reader_make(data, size);

    if (folder[0] == '\0') make_folder();
    begin_file();
    for (size_t items = 0; reader.left >= 3 && items < RECORDS_MAX; items++) {
        uint8_t kind = reader_u8(&reader);
        run_item(kind, reader_u16(&reader));
    }
    write_file();
    struct batch_log *log = open_log();
    if (log == NULL) return 0;
    size_t count = found.count;
    batch_log_close(log);
    log = open_log();
    CHECK(log != NULL);
    CHECK(found.count == count);
    check_records(log);
    batch_log_close(log);
    return 0;
}
