/* Sticky-failure cursors over memory. A reader or writer that once runs past its end stays failed,
 * so code reads straight down and asks once at the end. Integers are little-endian unless named
 * _be. */
#ifndef COMMON_BYTES_H
#define COMMON_BYTES_H

#include "common/base.h"

struct reader {
    const uint8_t *next;
    size_t left;
    bool failed;
};

struct reader reader_make(const void *data, size_t len);
uint8_t reader_u8(struct reader *reader);
uint16_t reader_u16(struct reader *reader);
uint32_t reader_u32(struct reader *reader);
uint64_t reader_u64(struct reader *reader);
uint32_t reader_u32_be(struct reader *reader);
uint64_t reader_u64_be(struct reader *reader);

/* Copies `len` bytes out; on failure zero-fills `ret`. */
void reader_copy(struct reader *reader, void *ret, size_t len);

/* A view of the next `len` bytes; {NULL, 0} on failure. Alive as long as the memory read from. */
struct bytes reader_view(struct reader *reader, size_t len);

/* Marks the reader failed: for values that decode but are not allowed. */
void reader_fail(struct reader *reader);

/* True when nothing failed and nothing is left over. The one question to ask at the end. */
bool reader_done(const struct reader *reader);

/* Writes into caller memory of fixed capacity. */
struct writer {
    uint8_t *data;
    size_t len;
    size_t capacity;
    bool failed;
};

struct writer writer_make(void *data, size_t capacity);
void writer_u8(struct writer *writer, uint8_t value);
void writer_u16(struct writer *writer, uint16_t value);
void writer_u32(struct writer *writer, uint32_t value);
void writer_u64(struct writer *writer, uint64_t value);
void writer_u32_be(struct writer *writer, uint32_t value);
void writer_u64_be(struct writer *writer, uint64_t value);
void writer_copy(struct writer *writer, const void *data, size_t len);

/* What was written so far. */
struct bytes writer_view(const struct writer *writer);

/* Lower-case hex. `ret` takes 2 * len + 1 bytes, zero-terminated. */
void hex_encode(char *ret, const void *data, size_t len);

/* Decodes exactly `len` bytes from 2 * len hex digits of either case; false when `text_len` or a
 * digit is wrong, and then `ret` is unspecified. */
bool hex_decode(void *ret, size_t len, const char *text, size_t text_len);

#endif
