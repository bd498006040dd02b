/* Goal: one batch has one encoding, and nothing else is a batch. Method: round trips of random
 * batches, then truncations, long varints, zero and oversized transactions, and foreign fields. */
#include "tests/unit/unit.h"

#include <stdlib.h>

#include "common/batch.h"
#include "common/limits.h"

static uint8_t data[BATCH_BYTES_MAX + 100];
static uint8_t again[BATCH_BYTES_MAX + 100];
static uint8_t transaction[TRANSACTION_BYTES_MAX + 1];

static void random_batches_round_trip(void **state)
{
    (void)state;
    uint64_t seed = 5;
    for (int lap = 0; lap < 200; lap++) {
        struct writer writer = writer_make(data, BATCH_BYTES_MAX);
        uint32_t count = 1 + (uint32_t)unit_random_below(&seed, 20);
        size_t expected = 0;
        for (uint32_t i = 0; i < count; i++) {
            size_t len = 1 + (size_t)unit_random_below(&seed, 1u << unit_random_below(&seed, 15));
            unit_random_bytes(&seed, transaction, len);
            batch_append(&writer, transaction, len);
            expected += batch_entry_bytes(len);
        }
        assert_false(writer.failed);
        assert_int_equal(writer.len, expected);

        uint32_t found;
        assert_int_equal(batch_validate(&found, data, writer.len), OK);
        assert_int_equal(found, count);

        struct writer copy = writer_make(again, BATCH_BYTES_MAX);
        struct reader reader = reader_make(data, writer.len);
        struct bytes view;
        while (batch_next(&view, &reader)) {
            batch_append(&copy, view.data, view.len);
        }
        assert_true(reader_done(&reader));
        assert_int_equal(copy.len, writer.len);
        assert_memory_equal(again, data, copy.len);
    }
}

static void entry_sizes_are_known_at_every_varint_edge(void **state)
{
    (void)state;
    const size_t lengths[] = {1, 127, 128, 16383, 16384, TRANSACTION_BYTES_MAX};
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        struct writer writer = writer_make(data, sizeof data);
        batch_append(&writer, transaction, lengths[i]);
        assert_int_equal(writer.len, batch_entry_bytes(lengths[i]));
        uint32_t count;
        assert_int_equal(batch_validate(&count, data, writer.len), OK);
        assert_int_equal(batch_validate(&count, data, writer.len - 1), ERR_MALFORMED);
    }
}

static enum status validate(const char *bytes, size_t len)
{
    uint32_t count;
    return batch_validate(&count, (const uint8_t *)bytes, len);
}

static void other_encodings_are_refused(void **state)
{
    (void)state;
    assert_int_equal(validate("\x0a\x01x\x0a\x02yz", 7), OK);
    for (size_t len = 0; len < 7; len++) { /* only the whole first transaction is a batch, too */
        assert_int_equal(validate("\x0a\x01x\x0a\x02yz", len), len == 3 ? OK : ERR_MALFORMED);
    }
    assert_int_equal(validate("\x0a\x81\x00x", 4), ERR_MALFORMED); /* varint not minimal */
    assert_int_equal(validate("\x0a\x00", 2), ERR_MALFORMED);      /* empty transaction */
    assert_int_equal(validate("\x12\x01x", 3), ERR_MALFORMED);     /* field 2 */
    assert_int_equal(validate("\x08\x01", 2), ERR_MALFORMED);      /* field 1 as a varint */
    assert_int_equal(validate("\x8a\x00\x01x", 4), ERR_MALFORMED); /* key not minimal */
    assert_int_equal(validate("\x0a\x01xx", 4), ERR_MALFORMED);    /* a rest */
    assert_int_equal(validate("\x0a\xff\xff\xff\xff\x0fx", 7), ERR_MALFORMED);
    assert_int_equal(validate("\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 11), ERR_MALFORMED);
}

static void limits_hold_to_the_byte(void **state)
{
    (void)state;
    struct writer writer = writer_make(data, sizeof data);
    uint32_t count;

    writer_u8(&writer, 0x0a); /* a transaction one byte too long */
    writer_u8(&writer, 0x81);
    writer_u8(&writer, 0x80);
    writer_u8(&writer, 0x10);
    writer_copy(&writer, transaction, TRANSACTION_BYTES_MAX + 1);
    assert_int_equal(batch_validate(&count, data, writer.len), ERR_MALFORMED);

    writer = writer_make(data, sizeof data);
    batch_append(&writer, transaction, 240000 - 4);
    batch_append(&writer, transaction, 240000 - 4);
    assert_int_equal(writer.len, BATCH_BYTES_MAX);
    assert_int_equal(batch_validate(&count, data, writer.len), OK);
    writer = writer_make(data, sizeof data);
    batch_append(&writer, transaction, 240000 - 4);
    batch_append(&writer, transaction, 240000 - 3);
    assert_int_equal(writer.len, BATCH_BYTES_MAX + 1);
    assert_int_equal(batch_validate(&count, data, writer.len), ERR_TOO_LARGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_batches_round_trip),
        cmocka_unit_test(entry_sizes_are_known_at_every_varint_edge),
        cmocka_unit_test(other_encodings_are_refused),
        cmocka_unit_test(limits_hold_to_the_byte),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
