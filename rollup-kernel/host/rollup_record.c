#include "rollup-kernel/host/rollup_record.h"

#include <stdlib.h>

#include "common/bytes.h"
#include "common/crypto.h"

#define MAGIC               "DSNROLL1"
#define MAGIC_BYTES         8u
#define RECORD_HEADER_BYTES 12u

enum record_kind { RECORD_BASE = 1, RECORD_BLOCK = 2 };
enum operation_kind { OPERATION_SET = 1, OPERATION_DELETE_VALUE = 2, OPERATION_DELETE = 3 };

static void add(struct record_buffer *buffer, const void *data, size_t len)
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
static void add_u8(struct record_buffer *buffer, uint8_t value)
{
    add(buffer, &value, sizeof value);
}

static void add_u32(struct record_buffer *buffer, uint32_t value)
{
    add(buffer, &value, sizeof value);
}

static void add_u64(struct record_buffer *buffer, uint64_t value)
{
    add(buffer, &value, sizeof value);
}

static void add_path(struct record_buffer *buffer, enum operation_kind kind, struct bytes path)
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

static void add_block(struct record_buffer *buffer,
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
static size_t record_begin(struct record_buffer *buffer, enum record_kind kind)
{
    static const uint8_t header[RECORD_HEADER_BYTES];
    size_t at = buffer->len;

    add(buffer, header, sizeof header);
    add_u8(buffer, (uint8_t)kind);
    return at;
}

static void record_end(struct record_buffer *buffer, size_t at)
{
    uint32_t len = (uint32_t)(buffer->len - at - RECORD_HEADER_BYTES);
    uint64_t check = check_of(buffer->data + at + RECORD_HEADER_BYTES, len);

    memcpy(buffer->data + at, &len, sizeof len);
    memcpy(buffer->data + at + sizeof len, &check, sizeof check);
}

void record_add_base(struct record_buffer *buffer,
                     const struct rollup_identity *identity,
                     const struct rollup_block *block)
{
    add(buffer, MAGIC, MAGIC_BYTES);
    size_t at = record_begin(buffer, RECORD_BASE);
    add(buffer, identity->address, sizeof identity->address);
    add_u32(buffer, (uint32_t)identity->origination_level);
    add_block(buffer, block, NULL);
    record_end(buffer, at);
}

void record_add_block(struct record_buffer *buffer,
                      const struct rollup_block *block,
                      const struct durable *before)
{
    size_t at = record_begin(buffer, RECORD_BLOCK);

    add_block(buffer, block, before);
    record_end(buffer, at);
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
enum status record_read_all(struct rollup_identity *ret_identity,
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
        *ret_good = at;
    }
    durable_close(before);
    return *ret_good == MAGIC_BYTES ? ERR_CORRUPT : OK;
}
