#include "common/batch.h"

#include "common/bcs.h"
#include "common/limits.h"

/* Protobuf key of field 1, wire type 2 (length-delimited). */
#define BATCH_ENTRY_KEY 0x0au

bool batch_next(struct bytes *ret_transaction, struct reader *reader)
{
    if (reader->failed || reader->left == 0) return false;

    if (reader_u8(reader) != BATCH_ENTRY_KEY) {
        reader_fail(reader);
        return false;
    }
    /* A minimal protobuf varint of at most 32 bits is a BCS length. */
    uint32_t len = bcs_read_length(reader, TRANSACTION_BYTES_MAX);
    if (len == 0) reader_fail(reader);

    struct bytes transaction = reader_view(reader, len);
    if (reader->failed) return false;
    *ret_transaction = transaction;
    return true;
}

enum status batch_validate(uint32_t *ret_transactions, const uint8_t *data, size_t len)
{
    if (len > BATCH_BYTES_MAX) return ERR_TOO_LARGE;

    struct reader reader = reader_make(data, len);
    struct bytes transaction;
    uint32_t count = 0;
    while (batch_next(&transaction, &reader)) {
        count++;
    }
    if (reader.failed || count == 0) return ERR_MALFORMED;
    *ret_transactions = count;
    return OK;
}

size_t batch_entry_bytes(size_t len)
{
    size_t bytes = 2 + len;
    for (size_t rest = len >> 7; rest > 0; rest >>= 7) {
        bytes++;
    }
    return bytes;
}

void batch_append(struct writer *writer, const uint8_t *transaction, size_t len)
{
    CHECK(len >= 1);
    CHECK(len <= TRANSACTION_BYTES_MAX);
    writer_u8(writer, BATCH_ENTRY_KEY);
    bcs_write_length(writer, (uint32_t)len);
    writer_copy(writer, transaction, len);
}
