#include "tests/fuzz/fuzz.h"

#include "consensus/core/checkpoint.h"

/* Checkpoints as rows and as a peer sends them, and parts of ordering records. */
static struct checkpoint_proof proof;
static struct wire_record record;

static void read_row(struct reader *reader)
{
    if (checkpoint_row_read(&proof, reader_view(reader, reader->left)) != OK) reader_fail(reader);
}

static void write_row(struct writer *writer)
{
    checkpoint_row_write(writer, &proof);
}

/* The maker of answers makes the part that was read, of a record of that length. */
static void check_part(const uint8_t *data, size_t size)
{
    static uint8_t memory[WIRE_RECORD_BYTES_MAX];
    static uint8_t whole[WIRE_RECORD_PART_MAX];
    struct reader reader = reader_make(data, size);
    uint8_t kind = reader_u8(&reader);
    struct bytes body;

    wire_read_record(&record, &reader);
    if (kind != WIRE_RECORD || !reader_done(&reader) || record.total > sizeof whole) return;
    CHECK(record.offset + record.part.len <= record.total);
    if (record.part.len > 0) memcpy(whole + record.offset, record.part.data, record.part.len);
    (void)wire_record_body(&body, memory, record.sequence, record.offset,
                           (struct bytes){whole, record.total}, !record.last);
    CHECK(body.len >= size); /* it sends all that follows the offset */
    CHECK(memcmp(body.data, data, 17) == 0);
    CHECK(memcmp(body.data + 18, data + 18, size - 18) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_round_trip(data, size, CHECKPOINT_ROW_BYTES_MAX, read_row, write_row);
    check_part(data, size);
    return 0;
}
