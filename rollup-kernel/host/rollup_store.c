#include "rollup-kernel/host/rollup_store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "rollup-kernel/host/rollup_record.h"

/* Changes below this are never compacted: reading them back takes a fraction of a second. */
#define COMPACT_BYTES_MIN (8u * 1024u * 1024u)

struct rollup_store {
    char *directory;
    int lock; /* DATA/lock, held while open */
    int fd;
    uint64_t begin_bytes; /* of the file when it was written or opened */
    uint64_t bytes;
};

static bool write_all(int fd, const uint8_t *data, size_t len)
{
    while (len > 0) {
        ssize_t written = write(fd, data, len);
        if (written < 0 && errno == EINTR) continue;
        if (written <= 0) return false;
        data += written;
        len -= (size_t)written;
    }
    return true;
}

static void log_path(char *ret, size_t len, const struct rollup_store *store, const char *suffix)
{
    snprintf(ret, len, "%s/rollup.log%s", store->directory, suffix);
}

static bool sync_directory(const char *directory)
{
    int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool synced = fd >= 0 && fsync(fd) == 0;

    if (fd >= 0) close(fd);
    return synced;
}

enum status rollup_store_begin(struct rollup_store *store,
                               const struct rollup_identity *identity,
                               struct rollup_block *const *blocks,
                               size_t count,
                               struct error_line *error)
{
    struct record_buffer buffer = {0};
    char path[4096], part[4096];

    record_add_base(&buffer, identity, blocks[0]);
    for (size_t i = 1; i < count; i++) {
        record_add_block(&buffer, blocks[i], blocks[i - 1]->state);
    }

    log_path(path, sizeof path, store, "");
    log_path(part, sizeof part, store, ".new");
    int fd = open(part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    bool written = fd >= 0 && write_all(fd, buffer.data, buffer.len) && fsync(fd) == 0 &&
                   rename(part, path) == 0 && sync_directory(store->directory);
    free(buffer.data);
    if (!written) {
        int reason = errno;
        if (fd >= 0) close(fd);
        return error_line_set(error, ERR_IO, "%s: %s", path, strerror(reason));
    }
    if (store->fd >= 0) close(store->fd);
    store->fd = fd;
    store->begin_bytes = buffer.len;
    store->bytes = buffer.len;
    return OK;
}

enum status rollup_store_append(struct rollup_store *store,
                                const struct rollup_block *block,
                                const struct durable *before,
                                struct error_line *error)
{
    struct record_buffer buffer = {0};

    record_add_block(&buffer, block, before);
    bool written = write_all(store->fd, buffer.data, buffer.len) && fdatasync(store->fd) == 0;
    int reason = errno;
    free(buffer.data);
    if (!written) {
        return error_line_set(error, ERR_IO, "%s/rollup.log: %s", store->directory,
                              strerror(reason));
    }
    store->bytes += buffer.len;
    return OK;
}

bool rollup_store_is_long(const struct rollup_store *store)
{
    /* The last hundred blocks may be most of a new file: it must double before it is written again, so that
     * writing anew costs no more than appending did. */
    return store->bytes > 2 * store->begin_bytes + COMPACT_BYTES_MIN;
}

static bool read_file(struct bytes *ret_file, int fd)
{
    struct stat stat;
    size_t len = 0;

    if (fstat(fd, &stat) != 0) return false;
    uint8_t *data = malloc((size_t)stat.st_size + 1);
    CHECK(data != NULL);
    while (len < (size_t)stat.st_size) {
        ssize_t got = read(fd, data + len, (size_t)stat.st_size - len);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) break;
        len += (size_t)got;
    }
    *ret_file = (struct bytes){data, len};
    if (len == (size_t)stat.st_size) return true;
    free(data);
    return false;
}

static enum status take_lock(struct rollup_store *store, struct error_line *error)
{
    char path[4096];

    if (mkdir(store->directory, 0755) != 0 && errno != EEXIST) {
        return error_line_set(error, ERR_IO, "%s: %s", store->directory, strerror(errno));
    }
    snprintf(path, sizeof path, "%s/lock", store->directory);
    store->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (store->lock < 0) return error_line_set(error, ERR_IO, "%s: %s", path, strerror(errno));
    if (flock(store->lock, LOCK_EX | LOCK_NB) != 0) {
        return error_line_set(error, ERR_IO, "%s: in use by another process", store->directory);
    }
    return OK;
}

static enum status open_log(struct rollup_store *store,
                            bool *ret_found,
                            struct rollup_identity *ret_identity,
                            void (*take)(void *context, struct rollup_block *block),
                            void *context,
                            struct error_line *error)
{
    char path[4096];
    struct bytes file;
    size_t good = 0;

    log_path(path, sizeof path, store, "");
    store->fd = open(path, O_RDWR | O_CLOEXEC);
    *ret_found = store->fd >= 0;
    if (store->fd < 0) {
        return errno == ENOENT ? OK
                               : error_line_set(error, ERR_IO, "%s: %s", path, strerror(errno));
    }
    if (!read_file(&file, store->fd)) {
        return error_line_set(error, ERR_IO, "%s: cannot be read", path);
    }
    enum status status = record_read_all(ret_identity, &good, file, take, context);
    store->begin_bytes = good;
    store->bytes = good;
    free((uint8_t *)(uintptr_t)file.data);
    if (status != OK) return error_line_set(error, status, "%s: %s", path, status_text(status));
    if (ftruncate(store->fd, (off_t)good) != 0 || lseek(store->fd, 0, SEEK_END) < 0) {
        return error_line_set(error, ERR_IO, "%s: %s", path, strerror(errno));
    }
    return OK;
}

enum status rollup_store_open(struct rollup_store **ret_store,
                              bool *ret_found,
                              struct rollup_identity *ret_identity,
                              const char *directory,
                              void (*take)(void *context, struct rollup_block *block),
                              void *context,
                              struct error_line *error)
{
    struct rollup_store *store = calloc(1, sizeof *store);

    CHECK(store != NULL);
    store->lock = -1;
    store->fd = -1;
    store->directory = strdup(directory);
    CHECK(store->directory != NULL);
    enum status status = take_lock(store, error);
    if (status == OK) status = open_log(store, ret_found, ret_identity, take, context, error);
    if (status != OK) {
        rollup_store_close(store);
        return status;
    }
    *ret_store = store;
    return OK;
}

void rollup_store_close(struct rollup_store *store)
{
    if (store == NULL) return;
    if (store->fd >= 0) close(store->fd);
    if (store->lock >= 0) close(store->lock);
    free(store->directory);
    free(store);
}
