#include "proto/pb.h"

static uint64_t read_varint(struct reader *reader)
{
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        uint8_t byte = reader_u8(reader);
        if (shift == 63 && byte > 1) reader_fail(reader);
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) return value;
    }
    reader_fail(reader);
    return 0;
}

bool pb_next(struct pb_field *ret_field, struct reader *reader)
{
    if (reader->failed || reader->left == 0) return false;
    uint64_t key = read_varint(reader);
    if (key >> 3 == 0 || key >> 32 != 0) reader_fail(reader);
    struct pb_field field = {.number = (uint32_t)(key >> 3)};
    switch (key & 7) {
    case PB_VARINT:
        field.kind = PB_VARINT;
        field.value = read_varint(reader);
        break;
    case PB_FIXED64:
        field.kind = PB_FIXED64;
        field.value = reader_u64(reader);
        break;
    case PB_BYTES: {
        field.kind = PB_BYTES;
        uint64_t len = read_varint(reader);
        if (len > reader->left) reader_fail(reader);
        if (!reader->failed) field.bytes = reader_view(reader, (size_t)len);
        break;
    }
    case PB_FIXED32:
        field.kind = PB_FIXED32;
        field.value = reader_u32(reader);
        break;
    default: /* groups, and what is not a wire type: not an enum */
        reader_fail(reader);
    }
    if (reader->failed) return false;
    *ret_field = field;
    return true;
}

size_t pb_varint_bytes(uint64_t value)
{
    size_t bytes = 1;
    while (value >= 0x80) {
        value >>= 7;
        bytes++;
    }
    return bytes;
}

size_t pb_uint_bytes(uint64_t value)
{
    return value == 0 ? 0 : 1 + pb_varint_bytes(value);
}

size_t pb_bytes_bytes(size_t len)
{
    return 1 + pb_varint_bytes(len) + len;
}

void pb_write_varint(struct writer *writer, uint64_t value)
{
    while (value >= 0x80) {
        writer_u8(writer, (uint8_t)(value | 0x80));
        value >>= 7;
    }
    writer_u8(writer, (uint8_t)value);
}

static void write_key(struct writer *writer, uint32_t number, enum pb_kind kind)
{
    CHECK(number >= 1);
    CHECK(number <= 15);
    writer_u8(writer, (uint8_t)(number << 3 | (uint32_t)kind));
}

void pb_write_uint(struct writer *writer, uint32_t number, uint64_t value)
{
    if (value == 0) return;
    write_key(writer, number, PB_VARINT);
    pb_write_varint(writer, value);
}

void pb_write_head(struct writer *writer, uint32_t number, size_t len)
{
    write_key(writer, number, PB_BYTES);
    pb_write_varint(writer, len);
}

void pb_write_bytes(struct writer *writer, uint32_t number, struct bytes bytes)
{
    pb_write_head(writer, number, bytes.len);
    if (bytes.len > 0) writer_copy(writer, bytes.data, bytes.len);
}
