#include "common/key_file.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium/randombytes.h>
#include <sodium/utils.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/bytes.h"

#define KEY_DIGITS (2 * KEY_SEED_BYTES)

void key_seed_random(uint8_t ret_seed[KEY_SEED_BYTES])
{
    randombytes_buf(ret_seed, KEY_SEED_BYTES);
}

enum status key_file_create(const char *path,
                            const uint8_t seed[KEY_SEED_BYTES],
                            struct error_line *error)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0) {
        enum status status = errno == EEXIST ? ERR_CONFLICT : ERR_IO;
        const char *why =
            errno == EEXIST ? "exists, a key file is never overwritten" : strerror(errno);
        return error_line_set(error, status, "%s: %s", path, why);
    }

    char line[KEY_DIGITS + 1];
    hex_encode(line, seed, KEY_SEED_BYTES);
    line[KEY_DIGITS] = '\n';
    bool written = write(fd, line, sizeof line) == (ssize_t)sizeof line && fsync(fd) == 0;
    int why = errno;
    sodium_memzero(line, sizeof line);
    close(fd);
    if (written) return OK;

    unlink(path);
    return error_line_set(error, ERR_IO, "%s: cannot write: %s", path, strerror(why));
}

/* Reads at most `capacity` bytes; -1 with errno on failure. */
static ssize_t read_all(int fd, char *ret, size_t capacity)
{
    size_t len = 0;
    while (len < capacity) {
        ssize_t part = read(fd, ret + len, capacity - len);
        if (part < 0 && errno == EINTR) continue;
        if (part < 0) return -1;
        if (part == 0) break;
        len += (size_t)part;
    }
    return (ssize_t)len;
}

static enum status read_open_file(uint8_t *ret_seed,
                                  int fd,
                                  const char *path,
                                  struct error_line *error)
{
    struct stat stat;
    char line[KEY_DIGITS + 2]; /* one more than a good file has */

    if (fstat(fd, &stat) != 0) {
        return error_line_set(error, ERR_IO, "%s: %s", path, strerror(errno));
    }
    if (!S_ISREG(stat.st_mode)) {
        return error_line_set(error, ERR_CONFIG, "%s: not a regular file", path);
    }
    if ((stat.st_mode & 077) != 0) {
        return error_line_set(error, ERR_CONFIG,
                              "%s: mode %03o lets others read the key; make it 600", path,
                              (unsigned)(stat.st_mode & 0777));
    }
    ssize_t len = read_all(fd, line, sizeof line);
    if (len < 0) return error_line_set(error, ERR_IO, "%s: %s", path, strerror(errno));

    size_t digits = (size_t)len;
    if (digits == KEY_DIGITS + 1 && line[KEY_DIGITS] == '\n') digits--;
    uint8_t seed[KEY_SEED_BYTES];
    bool good = hex_decode(seed, sizeof seed, line, digits);
    if (good) memcpy(ret_seed, seed, sizeof seed);
    sodium_memzero(seed, sizeof seed);
    sodium_memzero(line, sizeof line);
    if (good) return OK;
    return error_line_set(error, ERR_MALFORMED, "%s: expected one line of 64 hex digits", path);
}

enum status key_file_read(uint8_t ret_seed[KEY_SEED_BYTES],
                          const char *path,
                          struct error_line *error)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return error_line_set(error, ERR_IO, "%s: %s", path, strerror(errno));

    enum status status = read_open_file(ret_seed, fd, path, error);
    close(fd);
    return status;
}
