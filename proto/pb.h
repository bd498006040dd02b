/* The wire format of Protocol Buffers over sticky cursors: enough to read messages in place and to
 * write them without an object per message. Bulk bytes (transactions, batches) are never copied by
 * a reader.
 *
 * Reading is lenient where the format is (any order of fields, unknown fields, non-minimal varints)
 * and strict where it must be: a field that runs past its message, group wire types, field number 0
 * and varints over 64 bits fail the reader. Source: Protocol Buffers, encoding. */
#ifndef PROTO_PB_H
#define PROTO_PB_H

#include "common/bytes.h"

enum pb_kind { PB_VARINT = 0, PB_FIXED64 = 1, PB_BYTES = 2, PB_FIXED32 = 5 };

struct pb_field {
    uint32_t number;
    enum pb_kind kind;
    uint64_t value;     /* VARINT, FIXED64, FIXED32 */
    struct bytes bytes; /* BYTES: a view into what is read */
};

/* Takes the next field. False at the end or when the reader failed; reader_done tells which. */
bool pb_next(struct pb_field *ret_field, struct reader *reader);

/* Bytes of a varint, 1 .. 10. */
size_t pb_varint_bytes(uint64_t value);

/* Bytes that a field takes with its key, as the writers below write it. Field numbers are 1 .. 15,
 * so a key is one byte. */
size_t pb_uint_bytes(uint64_t value);
size_t pb_bytes_bytes(size_t len);

void pb_write_varint(struct writer *writer, uint64_t value);

/* A number; nothing when it is 0, as proto3 has it. */
void pb_write_uint(struct writer *writer, uint32_t number, uint64_t value);

/* Key and length of a bytes field or message; its `len` bytes are to follow. */
void pb_write_head(struct writer *writer, uint32_t number, size_t len);

/* A bytes field, also when it is empty (as an element of a repeated field must be). */
void pb_write_bytes(struct writer *writer, uint32_t number, struct bytes bytes);

#endif
