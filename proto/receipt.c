#include "proto/receipt.h"

#include "proto/pb.h"

enum {
    RECEIPT_DIGEST = 1,
    RECEIPT_INDEX = 2,
    RECEIPT_POSITION = 3,
    RECEIPT_LEVEL = 4,
    RECEIPT_OFFSET = 5,
    SUMMARY_ACCEPTED = 1,
    SUMMARY_BYTES = 2,
};

void receipt_write(struct writer *writer, const struct receipt *receipt)
{
    pb_write_bytes(writer, RECEIPT_DIGEST,
                   (struct bytes){receipt->digest.bytes, sizeof receipt->digest.bytes});
    pb_write_uint(writer, RECEIPT_INDEX, receipt->index);
    pb_write_uint(writer, RECEIPT_POSITION, receipt->position);
    pb_write_uint(writer, RECEIPT_LEVEL, receipt->level);
    pb_write_uint(writer, RECEIPT_OFFSET, receipt->offset);
}

/* A number of 32 bits; larger ones fail the reader. */
static uint32_t narrow(struct reader *reader, uint64_t value)
{
    if (value > UINT32_MAX) reader_fail(reader);
    return (uint32_t)value;
}

enum status receipt_read(struct receipt *ret_receipt, struct bytes bytes)
{
    struct reader reader = reader_make(bytes.data, bytes.len);
    struct receipt receipt = {.index = 0};
    struct pb_field field;

    while (pb_next(&field, &reader)) {
        if (field.kind == PB_BYTES && field.number == RECEIPT_DIGEST) {
            if (field.bytes.len != sizeof receipt.digest.bytes) return ERR_MALFORMED;
            memcpy(receipt.digest.bytes, field.bytes.data, field.bytes.len);
        }
        if (field.kind != PB_VARINT) continue;
        if (field.number == RECEIPT_INDEX) receipt.index = field.value;
        if (field.number == RECEIPT_POSITION) receipt.position = narrow(&reader, field.value);
        if (field.number == RECEIPT_LEVEL) receipt.level = narrow(&reader, field.value);
        if (field.number == RECEIPT_OFFSET) receipt.offset = narrow(&reader, field.value);
    }
    if (!reader_done(&reader)) return ERR_MALFORMED;
    *ret_receipt = receipt;
    return OK;
}

void summary_write(struct writer *writer, const struct summary *summary)
{
    pb_write_uint(writer, SUMMARY_ACCEPTED, summary->accepted);
    pb_write_uint(writer, SUMMARY_BYTES, summary->bytes);
}

enum status summary_read(struct summary *ret_summary, struct bytes bytes)
{
    struct reader reader = reader_make(bytes.data, bytes.len);
    struct summary summary = {0, 0};
    struct pb_field field;

    while (pb_next(&field, &reader)) {
        if (field.kind != PB_VARINT) continue;
        if (field.number == SUMMARY_ACCEPTED) summary.accepted = field.value;
        if (field.number == SUMMARY_BYTES) summary.bytes = field.value;
    }
    if (!reader_done(&reader)) return ERR_MALFORMED;
    *ret_summary = summary;
    return OK;
}
