#include "consensus/node/store_tail.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/log.h"

#define BLOCK_BYTES  32768u
#define HEADER_BYTES 7u

enum piece_type { PIECE_WHOLE = 1, PIECE_FIRST, PIECE_MIDDLE, PIECE_LAST };

struct tail_log {
    const uint8_t *data;
    size_t len;
};

/* ---- pieces ---------------------------------------------------------------------------------- */

/* CRC-32C (RFC 3720, appendix B.4), a bit at a time: only broken logs are ever read. */
static uint32_t crc32c(const uint8_t *data, size_t len)
{
    uint32_t crc = ~UINT32_C(0);

    for (size_t i = 0; i < len; i++) {
        crc ^= data[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (0x82f63b78u & (0u - (crc & 1u)));
    }
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

    if (end == 0 || header[6] == 0) return 0;
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
        if (type != PIECE_FIRST && type != PIECE_MIDDLE) *ret_end = at;
    }
    return false;
}

/* True when a record begins anywhere behind the broken piece. Its pieces follow each other by their
 * lengths, and at the latest with the next block. */
static bool record_begins_behind(const struct tail_log *log, size_t broken)
{
    size_t at = broken;

    while (at < log->len) {
        const uint8_t type = at == broken ? 0 : piece_type(log, at);
        const size_t end = piece_end(log, at);

        if (type != 0 && type != PIECE_MIDDLE && type != PIECE_LAST) return true;
        at = end > at + HEADER_BYTES ? end : at + block_left(at);
        if (block_left(at) < HEADER_BYTES) at += block_left(at);
    }
    return false;
}

bool store_tail_torn(const uint8_t *data, size_t len, size_t *ret_end)
{
    const struct tail_log log = {data, len};
    size_t broken;

    return find_broken(&log, &broken, ret_end) && !record_begins_behind(&log, broken);
}

/* ---- files ----------------------------------------------------------------------------------- */

/* Cuts the log where its torn record begins; `least`: it must have more than so many bytes left. */
static bool cut_torn(const char *path, size_t least)
{
    const int fd = open(path, O_RDWR | O_CLOEXEC);
    struct stat info;
    size_t len = 0;
    size_t end = 0;
    bool cut = false;

    if (fd >= 0 && fstat(fd, &info) == 0 && info.st_size > 0) {
        len = (size_t)info.st_size;
        void *data = mmap(NULL, len, PROT_READ, MAP_PRIVATE, fd, 0);
        if (data != MAP_FAILED) {
            const bool torn = store_tail_torn(data, len, &end) && end >= least;
            (void)munmap(data, len);
            cut = torn && ftruncate(fd, (off_t)end) == 0 && fsync(fd) == 0;
        }
    }
    if (fd >= 0) (void)close(fd);
    if (cut) log_warn("store: %s: a torn end of %zu bytes is cut off", path, len - end);
    return cut;
}

/* The number of the newest write-ahead log; false: there is none. */
static bool newest_log(const char *path, unsigned long long *ret_number)
{
    DIR *directory = opendir(path);
    struct dirent *entry;
    bool found = false;

    if (directory == NULL) return false;
    while ((entry = readdir(directory)) != NULL) {
        char *end = NULL;
        const unsigned long long number = strtoull(entry->d_name, &end, 10);
        if (end == entry->d_name || strcmp(end, ".log") != 0) continue;
        if (!found || number > *ret_number) *ret_number = number;
        found = true;
    }
    (void)closedir(directory);
    return found;
}

/* The name of the manifest, from the file CURRENT: one line. */
static bool read_current(const char *path, char *ret_name, size_t capacity)
{
    char *file_path = NULL;
    CHECK(asprintf(&file_path, "%s/CURRENT", path) > 0);
    FILE *file = fopen(file_path, "r");
    bool read = file != NULL && fgets(ret_name, (int)capacity, file) != NULL;

    if (file != NULL) (void)fclose(file);
    free(file_path);
    if (!read) return false;
    ret_name[strcspn(ret_name, "\n")] = '\0';
    return strncmp(ret_name, "MANIFEST-", 9) == 0 && strchr(ret_name, '/') == NULL;
}

bool store_tail_mend(const char *path)
{
    unsigned long long number = 0;
    char name[64];
    char *file = NULL;
    bool mended = false;

    if (newest_log(path, &number)) {
        CHECK(asprintf(&file, "%s/%06llu.log", path, number) > 0);
        mended = cut_torn(file, 0);
        free(file);
    }
    if (read_current(path, name, sizeof name)) {
        CHECK(asprintf(&file, "%s/%s", path, name) > 0);
        if (cut_torn(file, 1)) mended = true;
        free(file);
    }
    return mended;
}
