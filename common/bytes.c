#include "common/bytes.h"

struct reader reader_make(const void *data, size_t len)
{
    return (struct reader){.next = data, .left = len, .failed = false};
}

/* The next `len` bytes, or NULL with the reader failed. */
static const uint8_t *reader_take(struct reader *reader, size_t len)
{
    if (reader->failed || len > reader->left) {
        reader_fail(reader);
        return NULL;
    }
    const uint8_t *data = reader->next;
    reader->next += len;
    reader->left -= len;
    return data;
}

static uint64_t read_little(struct reader *reader, size_t width)
{
    const uint8_t *data = reader_take(reader, width);
    if (data == NULL) return 0;

    uint64_t value = 0;
    for (size_t i = width; i > 0; i--) {
        value = value << 8 | data[i - 1];
    }
    return value;
}

static uint64_t read_big(struct reader *reader, size_t width)
{
    const uint8_t *data = reader_take(reader, width);
    if (data == NULL) return 0;

    uint64_t value = 0;
    for (size_t i = 0; i < width; i++) {
        value = value << 8 | data[i];
    }
    return value;
}

uint8_t reader_u8(struct reader *reader)
{
    return (uint8_t)read_little(reader, 1);
}

uint16_t reader_u16(struct reader *reader)
{
    return (uint16_t)read_little(reader, 2);
}

uint32_t reader_u32(struct reader *reader)
{
    return (uint32_t)read_little(reader, 4);
}

uint64_t reader_u64(struct reader *reader)
{
    return read_little(reader, 8);
}

uint32_t reader_u32_be(struct reader *reader)
{
    return (uint32_t)read_big(reader, 4);
}

uint64_t reader_u64_be(struct reader *reader)
{
    return read_big(reader, 8);
}

void reader_copy(struct reader *reader, void *ret, size_t len)
{
    if (len == 0) return;

    const uint8_t *data = reader_take(reader, len);
    if (data == NULL) {
        memset(ret, 0, len);
    } else {
        memcpy(ret, data, len);
    }
}

struct bytes reader_view(struct reader *reader, size_t len)
{
    const uint8_t *data = reader_take(reader, len);
    return (struct bytes){.data = data, .len = data == NULL ? 0 : len};
}

void reader_fail(struct reader *reader)
{
    reader->failed = true;
    reader->left = 0;
}

bool reader_done(const struct reader *reader)
{
    return !reader->failed && reader->left == 0;
}

struct writer writer_make(void *data, size_t capacity)
{
    return (struct writer){.data = data, .len = 0, .capacity = capacity, .failed = false};
}

/* Room for the next `len` bytes, or NULL with the writer failed. */
static uint8_t *writer_take(struct writer *writer, size_t len)
{
    if (writer->failed || len > writer->capacity - writer->len) {
        writer->failed = true;
        return NULL;
    }
    uint8_t *data = writer->data + writer->len;
    writer->len += len;
    return data;
}

static void write_little(struct writer *writer, uint64_t value, size_t width)
{
    uint8_t *data = writer_take(writer, width);
    if (data == NULL) return;

    for (size_t i = 0; i < width; i++) {
        data[i] = (uint8_t)(value >> (8 * i));
    }
}

static void write_big(struct writer *writer, uint64_t value, size_t width)
{
    uint8_t *data = writer_take(writer, width);
    if (data == NULL) return;

    for (size_t i = 0; i < width; i++) {
        data[i] = (uint8_t)(value >> (8 * (width - 1 - i)));
    }
}

void writer_u8(struct writer *writer, uint8_t value)
{
    write_little(writer, value, 1);
}

void writer_u16(struct writer *writer, uint16_t value)
{
    write_little(writer, value, 2);
}

void writer_u32(struct writer *writer, uint32_t value)
{
    write_little(writer, value, 4);
}

void writer_u64(struct writer *writer, uint64_t value)
{
    write_little(writer, value, 8);
}

void writer_u32_be(struct writer *writer, uint32_t value)
{
    write_big(writer, value, 4);
}

void writer_u64_be(struct writer *writer, uint64_t value)
{
    write_big(writer, value, 8);
}

void writer_copy(struct writer *writer, const void *data, size_t len)
{
    if (len == 0) return;

    uint8_t *room = writer_take(writer, len);
    if (room != NULL) memcpy(room, data, len);
}

struct bytes writer_view(const struct writer *writer)
{
    return (struct bytes){.data = writer->data, .len = writer->len};
}

void hex_encode(char *ret, const void *data, size_t len)
{
    static const char digits[] = "0123456789abcdef";
    const uint8_t *bytes = data;

    for (size_t i = 0; i < len; i++) {
        ret[2 * i] = digits[bytes[i] >> 4];
        ret[2 * i + 1] = digits[bytes[i] & 15];
    }
    ret[2 * len] = '\0';
}

/* Value of a hex digit, or 16 when it is none. */
static unsigned hex_value(char digit)
{
    if (digit >= '0' && digit <= '9') return (unsigned)(digit - '0');
    if (digit >= 'a' && digit <= 'f') return (unsigned)(digit - 'a') + 10;
    if (digit >= 'A' && digit <= 'F') return (unsigned)(digit - 'A') + 10;
    return 16;
}

bool hex_decode(void *ret, size_t len, const char *text, size_t text_len)
{
    uint8_t *bytes = ret;
    if (text_len / 2 != len || text_len % 2 != 0) return false;

    for (size_t i = 0; i < len; i++) {
        unsigned high = hex_value(text[2 * i]);
        unsigned low = hex_value(text[2 * i + 1]);
        if (high > 15 || low > 15) return false;
        bytes[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}
