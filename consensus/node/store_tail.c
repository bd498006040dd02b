#include "consensus/node/store_tail.h"

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/log.h"

#define BLOCK_BYTES  32768u
#define HEADER_BYTES 7u
#define SECTOR_BYTES 512u

enum piece_type { PIECE_WHOLE = 1, PIECE_FIRST, PIECE_MIDDLE, PIECE_LAST };

struct tail_log {
    const uint8_t *data;
    size_t len;
};

/* ---- pieces ---------------------------------------------------------------------------------- */

static uint32_t crc_table[256];
static pthread_once_t crc_once = PTHREAD_ONCE_INIT;

static void make_crc_table(void)
{
    for (uint32_t i = 0; i < 256; i++) {
        crc_table[i] = i;
        for (int bit = 0; bit < 8; bit++)
            crc_table[i] = crc_table[i] >> 1 ^ (0x82f63b78u & (0u - (crc_table[i] & 1u)));
    }
}

/* CRC-32C (RFC 3720, appendix B.4). */
static uint32_t crc32c(const uint8_t *data, size_t len)
{
    uint32_t crc = ~UINT32_C(0);

    (void)pthread_once(&crc_once, make_crc_table);
    for (size_t i = 0; i < len; i++)
        crc = crc_table[(crc ^ data[i]) & 255] ^ crc >> 8;
    return ~crc;
}

static uint32_t masked(uint32_t crc)
{
    return (crc >> 15 | crc << 17) + 0xa282ead8u;
}

static size_t block_left(size_t at)
{
    return BLOCK_BYTES - at % BLOCK_BYTES;
}

/* Where the piece at `at` ends by its length; 0: nowhere. */
static size_t piece_end(const struct tail_log *log, size_t at)
{
    if (block_left(at) < HEADER_BYTES || at + HEADER_BYTES > log->len) return 0;
    const size_t bytes = log->data[at + 4] | (size_t)log->data[at + 5] << 8;
    if (HEADER_BYTES + bytes > block_left(at) || at + HEADER_BYTES + bytes > log->len) return 0;
    return at + HEADER_BYTES + bytes;
}

/* Its type when it is whole; else 0. */
static uint8_t piece_type(const struct tail_log *log, size_t at)
{
    const size_t end = piece_end(log, at);
    const uint8_t *header = log->data + at;

    if (end == 0 || header[6] < PIECE_WHOLE || header[6] > PIECE_LAST) return 0;
    const uint32_t stored = header[0] | (uint32_t)header[1] << 8 | (uint32_t)header[2] << 16 |
                            (uint32_t)header[3] << 24;
    return masked(crc32c(header + 6, end - at - 6)) == stored ? header[6] : 0;
}

/* ---- the broken place ------------------------------------------------------------------------ */

/* The first piece that is not whole, and the end of the last record that is; false when all are. */
static bool find_broken(const struct tail_log *log, size_t *ret_broken, size_t *ret_end)
{
    size_t at = 0;

    *ret_end = 0;
    while (at < log->len) {
        if (block_left(at) < HEADER_BYTES) {
            at += block_left(at);
            continue;
        }
        const uint8_t type = piece_type(log, at);
        *ret_broken = at;
        if (type == 0) return true;
        at = piece_end(log, at);
        if (type == PIECE_WHOLE || type == PIECE_LAST) *ret_end = at;
    }
    return false;
}

static bool is_beginning(uint8_t type)
{
    return type == PIECE_WHOLE || type == PIECE_FIRST;
}

/* True when a record begins anywhere behind the broken piece. Whole pieces follow each other; behind a broken one,
 * whose length may be wrong, one may begin at any byte, and one does with the next block. */
static bool record_begins_behind(const struct tail_log *log, size_t broken)
{
    size_t at = broken;

    while (at < log->len) {
        const size_t block_end = at + block_left(at);
        const uint8_t type = at == broken ? 0 : piece_type(log, at);

        if (is_beginning(type)) return true;
        if (type != 0) {
            at = piece_end(log, at);
        } else {
            while (++at < block_end)
                if (is_beginning(piece_type(log, at))) return true;
        }
        if (block_left(at) < HEADER_BYTES) at += block_left(at);
    }
    return false;
}

/* True when some sector behind `begin`, or what of it lies there, was never written. */
static bool has_hole(const struct tail_log *log, size_t begin)
{
    while (begin < log->len) {
        const size_t sector_end = begin + SECTOR_BYTES - begin % SECTOR_BYTES;
        const size_t end = sector_end < log->len ? sector_end : log->len;

        while (begin < end && log->data[begin] == 0)
            begin++;
        if (begin == end) return true;
        begin = end;
    }
    return false;
}

bool store_tail_torn(const uint8_t *data, size_t len, size_t *ret_end)
{
    const struct tail_log log = {data, len};
    size_t broken;

    if (!find_broken(&log, &broken, ret_end) || record_begins_behind(&log, broken)) return false;
    const bool filled = block_left(*ret_end) < HEADER_BYTES; /* with zeros that belong there */
    return has_hole(&log, filled ? *ret_end + block_left(*ret_end) : *ret_end);
}

/* ---- files ----------------------------------------------------------------------------------- */

/* The whole file, malloc'ed: a sector that cannot be read must not be a signal. data NULL: it cannot be read, or is
 * empty. */
static struct tail_log read_log(int fd)
{
    struct tail_log log = {NULL, 0};
    struct stat info;

    if (fd < 0 || fstat(fd, &info) != 0 || info.st_size == 0) return log;
    uint8_t *data = malloc((size_t)info.st_size);
    CHECK(data != NULL);
    while (log.len < (size_t)info.st_size) {
        const ssize_t got =
            pread(fd, data + log.len, (size_t)info.st_size - log.len, (off_t)log.len);
        if (got <= 0) break;
        log.len += (size_t)got;
    }
    if (log.len == (size_t)info.st_size)
        log.data = data;
    else
        free(data);
    return log;
}

/* Cuts the log where its torn record begins. */
static bool cut_torn(const char *path)
{
    const int fd = open(path, O_RDWR | O_CLOEXEC);
    const struct tail_log log = read_log(fd);
    size_t end = 0;
    const bool cut = log.data != NULL && store_tail_torn(log.data, log.len, &end) &&
                     ftruncate(fd, (off_t)end) == 0 && fsync(fd) == 0;

    free((void *)(uintptr_t)log.data);
    if (fd >= 0) (void)close(fd);
    if (cut) log_warn("store: %s: a torn end of %zu bytes is cut off", path, log.len - end);
    return cut;
}

/* What cannot be read is left to RocksDB, which says why. */
static bool is_damaged_within(const char *path)
{
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    const struct tail_log log = read_log(fd);
    size_t broken;
    size_t end;
    const bool damaged =
        log.data != NULL && find_broken(&log, &broken, &end) && record_begins_behind(&log, broken);

    free((void *)(uintptr_t)log.data);
    if (fd >= 0) (void)close(fd);
    return damaged;
}

/* The number of a write-ahead log, from the name of its file; false: it is another file. */
static bool log_number(const char *name, unsigned long long *ret_number)
{
    char *end = NULL;

    *ret_number = strtoull(name, &end, 10);
    return end != name && strcmp(end, ".log") == 0;
}

/* The number of the newest write-ahead log; false: there is none. */
static bool newest_log(const char *path, unsigned long long *ret_number)
{
    DIR *directory = opendir(path);
    struct dirent *entry;
    unsigned long long number;
    bool found = false;

    if (directory == NULL) return false;
    while ((entry = readdir(directory)) != NULL) {
        if (!log_number(entry->d_name, &number)) continue;
        if (!found || number > *ret_number) *ret_number = number;
        found = true;
    }
    (void)closedir(directory);
    return found;
}

static char *path_of(const char *path, const char *name)
{
    char *file = NULL;

    CHECK(asprintf(&file, "%s/%s", path, name) > 0);
    return file;
}

bool store_tail_mend(const char *path)
{
    unsigned long long number = 0;
    char name[STORE_TAIL_NAME_BYTES];

    if (!newest_log(path, &number)) return false;
    (void)snprintf(name, sizeof name, "%06llu.log", number);
    char *file = path_of(path, name);
    const bool mended = cut_torn(file);
    free(file);
    return mended;
}

bool store_tail_check(const char *path, char *ret_name)
{
    DIR *directory = opendir(path);
    struct dirent *entry;
    unsigned long long number;
    bool whole = true;

    while (directory != NULL && whole && (entry = readdir(directory)) != NULL) {
        if (!log_number(entry->d_name, &number)) continue;
        char *file = path_of(path, entry->d_name);
        whole = !is_damaged_within(file);
        free(file);
        if (!whole) (void)snprintf(ret_name, STORE_TAIL_NAME_BYTES, "%.60s", entry->d_name);
    }
    if (directory != NULL) (void)closedir(directory);
    return whole;
}
