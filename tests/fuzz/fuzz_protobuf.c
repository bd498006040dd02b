#include "tests/fuzz/fuzz.h"

#include <stdlib.h>

#include "narwhal.pb-c.h"
#include "proto/pb.h"

/* The field as it should be written: shortest varints. Numbers over 15 need a key of their own. */
static void write_field(struct writer *writer, const struct pb_field *field)
{
    pb_write_varint(writer, (uint64_t)field->number << 3 | (uint64_t)field->kind);
    switch (field->kind) {
    case PB_VARINT:
        pb_write_varint(writer, field->value);
        break;
    case PB_FIXED64:
        writer_u64(writer, field->value);
        break;
    case PB_FIXED32:
        writer_u32(writer, (uint32_t)field->value);
        break;
    case PB_BYTES:
        pb_write_varint(writer, field->bytes.len);
        writer_copy(writer, field->bytes.data, field->bytes.len);
        break;
    }
}

static bool equal(const struct pb_field *a, const struct pb_field *b)
{
    return a->number == b->number && a->kind == b->kind && a->value == b->value &&
           a->bytes.len == b->bytes.len &&
           (a->bytes.len == 0 || memcmp(a->bytes.data, b->bytes.data, a->bytes.len) == 0);
}

/* Rewrites the message; never longer, for canonical is the shortest. False when it is malformed. */
static bool rewrite(struct writer *writer, const uint8_t *data, size_t size)
{
    struct reader reader = reader_make(data, size);
    struct pb_field field;

    while (pb_next(&field, &reader)) {
        const uint8_t *end = field.bytes.data + field.bytes.len;
        CHECK(field.kind != PB_BYTES || (field.bytes.data >= data && end <= data + size));
        write_field(writer, &field);
    }
    return reader_done(&reader);
}

/* What was rewritten has the same fields, and stays as it is when rewritten again. */
static void check_same(const uint8_t *data, size_t size, struct bytes canonical)
{
    struct reader before = reader_make(data, size);
    struct reader after = reader_make(canonical.data, canonical.len);
    struct pb_field a, b;

    while (pb_next(&a, &before)) {
        CHECK(pb_next(&b, &after));
        CHECK(equal(&a, &b));
    }
    CHECK(reader_done(&after));
}

/* Where protobuf-c takes the message, too, it finds the same transaction: the last one. */
static void check_transaction(const uint8_t *data, size_t size)
{
    Narwhal__Transaction *theirs = narwhal__transaction__unpack(NULL, size, data);
    struct reader reader = reader_make(data, size);
    struct bytes ours = {NULL, 0};
    struct pb_field field;

    if (theirs == NULL) return;
    while (pb_next(&field, &reader))
        if (field.number == 1 && field.kind == PB_BYTES) ours = field.bytes;
    CHECK(theirs->transaction.len == ours.len);
    CHECK(ours.len == 0 || memcmp(theirs->transaction.data, ours.data, ours.len) == 0);
    narwhal__transaction__free_unpacked(theirs, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t *memory = malloc(size + 1);
    struct writer writer = writer_make(memory, size);

    CHECK(memory != NULL);
    if (rewrite(&writer, data, size)) {
        CHECK(!writer.failed);
        check_same(data, size, writer_view(&writer));
        check_transaction(data, size);
    }
    free(memory);
    return 0;
}
