#include "rollup-kernel/host/rollup_store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/bcs.h"
#include "common/crypto.h"

#define MAGIC               "DSNROLL1"
#define MAGIC_BYTES         8u
#define RECORD_HEADER_BYTES 12u

/* Changes below this are never compacted: reading them back takes a fraction of a second. */
#define COMPACT_BYTES_MIN (8u * 1024u * 1024u)

enum record_kind { RECORD_BASE = 1, RECORD_BLOCK = 2 };
enum operation_kind { OPERATION_SET = 1, OPERATION_DELETE_VALUE = 2, OPERATION_DELETE = 3 };

struct rollup_store {
    char *directory;
    int lock; /* DATA/lock, held while open */
    int fd;
    uint64_t base_bytes;
    uint64_t bytes;
};

/* A record under construction. */
struct buffer {
    uint8_t *data;
    size_t len;
    size_t capacity;
};

static void add(struct buffer *buffer, const void *data, size_t len)
{
    if (len > buffer->capacity - buffer->len) {
        buffer->capacity = 2 * (buffer->len + len) + 256;
        buffer->data = realloc(buffer->data, buffer->capacity);
        CHECK(buffer->data != NULL);
    }
    if (len > 0) memcpy(buffer->data + buffer->len, data, len);
    buffer->len += len;
}

/* Integers of the file, little-endian as every machine we run on. */
static void add_u8(struct buffer *buffer, uint8_t value)
{
    add(buffer, &value, sizeof value);
}

static void add_u32(struct buffer *buffer, uint32_t value)
{
    add(buffer, &value, sizeof value);
}

static void add_u64(struct buffer *buffer, uint64_t value)
{
    add(buffer, &value, sizeof value);
}

static void add_path(struct buffer *buffer, enum operation_kind kind, struct bytes path)
{
    uint16_t len = (uint16_t)path.len;

    add_u8(buffer, (uint8_t)kind);
    add(buffer, &len, sizeof len);
    add(buffer, path.data, path.len);
}

static void write_set(void *context, struct bytes path, struct bytes value)
{
    add_path(context, OPERATION_SET, path);
    add_u32(context, (uint32_t)value.len);
    add(context, value.data, value.len);
}

static void write_delete_value(void *context, struct bytes path)
{
    add_path(context, OPERATION_DELETE_VALUE, path);
}

static void write_delete(void *context, struct bytes path)
{
    add_path(context, OPERATION_DELETE, path);
}

static void add_block(struct buffer *buffer,
                      const struct rollup_block *block,
                      const struct durable *before)
{
    const struct durable_diff diff = {write_set, write_delete_value, write_delete, buffer};

    add_u32(buffer, (uint32_t)block->level);
    add(buffer, block->hash.bytes, sizeof block->hash.bytes);
    add_u64(buffer, (uint64_t)block->timestamp);
    add_u32(buffer, block->messages);
    add_u32(buffer, block->outbox.count);
    for (uint32_t i = 0; i < block->outbox.count; i++) {
        add_u32(buffer, (uint32_t)block->outbox.messages[i].len);
        add(buffer, block->outbox.messages[i].data, block->outbox.messages[i].len);
    }
    durable_compare(before, block->state, &diff);
}

static uint64_t check_of(const uint8_t *payload, size_t len)
{
    struct digest digest;
    uint64_t check;

    crypto_hash_one(&digest, payload, len);
    memcpy(&check, digest.bytes, sizeof check);
    return check;
}

/* Reserves the record's header; record_end fills it. */
static size_t record_begin(struct buffer *buffer, enum record_kind kind)
{
    static const uint8_t header[RECORD_HEADER_BYTES];
    size_t at = buffer->len;

    add(buffer, header, sizeof header);
    add_u8(buffer, (uint8_t)kind);
    return at;
}

static void record_end(struct buffer *buffer, size_t at)
{
    uint32_t len = (uint32_t)(buffer->len - at - RECORD_HEADER_BYTES);
    uint64_t check = check_of(buffer->data + at + RECORD_HEADER_BYTES, len);

    memcpy(buffer->data + at, &len, sizeof len);
    memcpy(buffer->data + at + sizeof len, &check, sizeof check);
}

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

void rollup_block_close(struct rollup_block *block)
{
    if (block == NULL) return;
    for (uint32_t i = 0; i < block->outbox.count; i++) {
        free((uint8_t *)(uintptr_t)block->outbox.messages[i].data);
    }
    free(block->outbox.messages);
    durable_close(block->state);
    free(block);
}

enum status rollup_store_begin(struct rollup_store *store,
                               const struct rollup_identity *identity,
                               struct rollup_block *const *blocks,
                               size_t count,
                               struct error_line *error)
{
    struct buffer buffer = {0};
    char path[4096], part[4096];

    add(&buffer, MAGIC, MAGIC_BYTES);
    size_t at = record_begin(&buffer, RECORD_BASE);
    add(&buffer, identity->address, sizeof identity->address);
    add_u32(&buffer, (uint32_t)identity->origination_level);
    add_block(&buffer, blocks[0], NULL);
    record_end(&buffer, at);
    uint64_t base = buffer.len;
    for (size_t i = 1; i < count; i++) {
        at = record_begin(&buffer, RECORD_BLOCK);
        add_block(&buffer, blocks[i], blocks[i - 1]->state);
        record_end(&buffer, at);
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
    store->base_bytes = base;
    store->bytes = buffer.len;
    return OK;
}

enum status rollup_store_append(struct rollup_store *store,
                                const struct rollup_block *block,
                                const struct durable *before,
                                struct error_line *error)
{
    struct buffer buffer = {0};
    size_t at = record_begin(&buffer, RECORD_BLOCK);

    add_block(&buffer, block, before);
    record_end(&buffer, at);
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
    uint64_t changes = store->bytes - store->base_bytes;

    return changes > COMPACT_BYTES_MIN && changes > 2 * store->base_bytes;
}

/* Applies one operation; false when it is not one. */
static bool read_operation(struct durable *state, struct reader *reader)
{
    uint8_t kind = reader_u8(reader);
    struct bytes path = reader_view(reader, reader_u16(reader));

    if (reader->failed || durable_check_path(path) != 0) return false;
    if (kind == OPERATION_SET) {
        struct bytes value = reader_view(reader, reader_u32(reader));
        if (reader->failed) return false;
        durable_set(state, path, value);
        return true;
    }
    if (kind == OPERATION_DELETE_VALUE) {
        durable_delete_value(state, path);
        return true;
    }
    if (kind == OPERATION_DELETE) {
        durable_delete(state, path);
        return true;
    }
    return false;
}

static bool read_outbox(struct outbox *ret_outbox, struct reader *reader)
{
    uint32_t count = reader_u32(reader);

    if (count > 1000) return false;
    ret_outbox->messages = calloc(count > 0 ? count : 1, sizeof *ret_outbox->messages);
    CHECK(ret_outbox->messages != NULL);
    for (uint32_t i = 0; i < count; i++) {
        struct bytes message = reader_view(reader, reader_u32(reader));
        if (reader->failed) return false;
        uint8_t *data = malloc(message.len + 1);
        CHECK(data != NULL);
        memcpy(data, message.data, message.len);
        ret_outbox->messages[i] = (struct bytes){data, message.len};
        ret_outbox->count = i + 1;
    }
    return true;
}

/* A block whose state is `before` (NULL: empty) with the record's changes. NULL when malformed. */
static struct rollup_block *read_block(struct reader *reader, const struct durable *before)
{
    struct rollup_block *block = calloc(1, sizeof *block);

    CHECK(block != NULL);
    block->state = before == NULL ? durable_new() : durable_snapshot(before);
    block->level = (int32_t)reader_u32(reader);
    reader_copy(reader, block->hash.bytes, sizeof block->hash.bytes);
    block->timestamp = (int64_t)reader_u64(reader);
    block->messages = reader_u32(reader);
    bool good = read_outbox(&block->outbox, reader);
    while (good && reader->left > 0) {
        good = read_operation(block->state, reader);
    }
    if (good && reader_done(reader)) return block;
    rollup_block_close(block);
    return NULL;
}

/* Reads records until the end; `*ret_good` is where the last whole one ends. */
static enum status read_records(struct rollup_store *store,
                                struct rollup_identity *ret_identity,
                                size_t *ret_good,
                                struct bytes file,
                                void (*take)(void *context, struct rollup_block *block),
                                void *context)
{
    struct durable *before = NULL;
    size_t at = MAGIC_BYTES;

    if (file.len < MAGIC_BYTES || memcmp(file.data, MAGIC, MAGIC_BYTES) != 0) return ERR_VERSION;
    *ret_good = at;
    while (file.len - at >= RECORD_HEADER_BYTES) {
        struct reader header = reader_make(file.data + at, RECORD_HEADER_BYTES);
        uint32_t len = reader_u32(&header);
        uint64_t check = reader_u64(&header);
        const uint8_t *payload = file.data + at + RECORD_HEADER_BYTES;
        size_t rest = file.len - at - RECORD_HEADER_BYTES;
        if (len > rest) break; /* cut short */
        if (check_of(payload, len) != check) {
            if (len == rest) break; /* cut short: its blocks did not all reach the disk */
            durable_close(before);
            return ERR_CORRUPT;
        }
        struct reader reader = reader_make(payload, len);
        uint8_t kind = reader_u8(&reader);
        bool first = at == MAGIC_BYTES;
        if (kind == RECORD_BASE && first) {
            reader_copy(&reader, ret_identity->address, sizeof ret_identity->address);
            ret_identity->origination_level = (int32_t)reader_u32(&reader);
        }
        struct rollup_block *block = read_block(&reader, before);
        durable_close(before);
        before = NULL;
        if (block == NULL || kind != (first ? RECORD_BASE : RECORD_BLOCK)) {
            rollup_block_close(block);
            return ERR_CORRUPT;
        }
        before = durable_snapshot(block->state);
        take(context, block);
        at += RECORD_HEADER_BYTES + len;
        if (first) store->base_bytes = at;
        *ret_good = at;
    }
    durable_close(before);
    return *ret_good == MAGIC_BYTES ? ERR_CORRUPT : OK;
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
    enum status status = read_records(store, ret_identity, &good, file, take, context);
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
