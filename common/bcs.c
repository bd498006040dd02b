#include "common/bcs.h"

uint32_t bcs_read_length(struct reader *reader, uint32_t max)
{
    uint64_t value = 0;

    for (unsigned shift = 0; shift < 35; shift += 7) {
        uint8_t byte = reader_u8(reader);
        value |= (uint64_t)(byte & 0x7f) << shift;
        if ((byte & 0x80) != 0) continue;

        /* A last byte of 0 adds nothing: the same value has a shorter form. */
        if ((byte == 0 && shift > 0) || value > max) break;
        return reader->failed ? 0 : (uint32_t)value;
    }
    reader_fail(reader);
    return 0;
}

void bcs_write_length(struct writer *writer, uint32_t length)
{
    while (length >= 0x80) {
        writer_u8(writer, (uint8_t)(length | 0x80));
        length >>= 7;
    }
    writer_u8(writer, (uint8_t)length);
}
