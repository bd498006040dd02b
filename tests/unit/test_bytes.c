/* Goal: the cursors of common/bytes.h and common/bcs.h fail once and stay failed, and accept
 * minimal forms only. Method: hand-made inputs and exhaustive short ones. */
#include "tests/unit/unit.h"

#include "common/bcs.h"

static void reader_reads_both_byte_orders(void **state)
{
    (void)state;
    const uint8_t data[] = {1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11, 12, 13, 14,
                            15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27};
    struct reader reader = reader_make(data, sizeof data);

    assert_int_equal(reader_u8(&reader), 1);
    assert_int_equal(reader_u16(&reader), 0x0302);
    assert_int_equal(reader_u32(&reader), 0x07060504);
    assert_int_equal(reader_u64(&reader), 0x0f0e0d0c0b0a0908u);
    assert_int_equal(reader_u32_be(&reader), 0x10111213);
    assert_int_equal(reader_u64_be(&reader), 0x1415161718191a1bu);
    assert_true(reader_done(&reader));
}

static void reader_stays_failed_after_a_short_read(void **state)
{
    (void)state;
    const uint8_t data[] = {1, 2, 3};
    struct reader reader = reader_make(data, sizeof data);

    assert_int_equal(reader_u32(&reader), 0);
    assert_true(reader.failed);
    assert_int_equal(reader_u8(&reader), 0);
    assert_null(reader_view(&reader, 1).data);
    assert_false(reader_done(&reader));

    uint8_t copy[2] = {9, 9};
    reader_copy(&reader, copy, sizeof copy);
    assert_int_equal(copy[0] | copy[1], 0);
}

static void reader_with_a_rest_is_not_done(void **state)
{
    (void)state;
    const uint8_t data[] = {1, 2};
    struct reader reader = reader_make(data, sizeof data);
    reader_u8(&reader);
    assert_false(reader.failed);
    assert_false(reader_done(&reader));
}

static void writer_stays_failed_and_never_overruns(void **state)
{
    (void)state;
    uint8_t data[5] = {0, 0, 0, 0, 0xee};
    struct writer writer = writer_make(data, 4);

    writer_u16(&writer, 0x0201);
    writer_u32(&writer, 0xffffffff);
    assert_true(writer.failed);
    writer_u8(&writer, 3);
    assert_int_equal(writer_view(&writer).len, 2);
    assert_memory_equal(data, ((uint8_t[]){1, 2, 0, 0, 0xee}), 5);
}

static void writer_writes_what_reader_reads(void **state)
{
    (void)state;
    uint8_t data[27];
    struct writer writer = writer_make(data, sizeof data);
    writer_u8(&writer, 0xab);
    writer_u16(&writer, 0xabcd);
    writer_u32(&writer, 0x89abcdef);
    writer_u64(&writer, 0x0123456789abcdef);
    writer_u32_be(&writer, 0x89abcdef);
    writer_u64_be(&writer, 0x0123456789abcdef);
    assert_false(writer.failed);
    assert_int_equal(data[15], 0x89);

    struct reader reader = reader_make(data, writer.len);
    assert_int_equal(reader_u8(&reader), 0xab);
    assert_int_equal(reader_u16(&reader), 0xabcd);
    assert_int_equal(reader_u32(&reader), 0x89abcdef);
    assert_int_equal(reader_u64(&reader), 0x0123456789abcdef);
    assert_int_equal(reader_u32_be(&reader), 0x89abcdef);
    assert_int_equal(reader_u64_be(&reader), 0x0123456789abcdef);
    assert_true(reader_done(&reader));
}

static void hex_goes_there_and_back(void **state)
{
    (void)state;
    const uint8_t data[] = {0x00, 0x1f, 0xa0, 0xff};
    char text[9];
    uint8_t back[4];

    hex_encode(text, data, sizeof data);
    assert_string_equal(text, "001fa0ff");
    assert_true(hex_decode(back, 4, text, 8));
    assert_memory_equal(back, data, 4);
    assert_true(hex_decode(back, 4, "001FA0fF", 8));
    assert_memory_equal(back, data, 4);
}

static void hex_refuses_wrong_lengths_and_digits(void **state)
{
    (void)state;
    uint8_t back[4];
    assert_false(hex_decode(back, 4, "001fa0f", 7));
    assert_false(hex_decode(back, 4, "001fa0ff0", 9));
    assert_false(hex_decode(back, 4, "001fa0ff00", 10));
    for (unsigned c = 0; c < 256; c++) {
        char text[] = "00000000";
        text[5] = (char)c;
        bool digit = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
        assert_int_equal(hex_decode(back, 4, text, 8), digit);
    }
}

static void lengths_round_trip_at_every_width(void **state)
{
    (void)state;
    const uint32_t values[] = {0,       1,       127,       128,       16383,     16384,
                               2097151, 2097152, 268435455, 268435456, UINT32_MAX};
    const size_t widths[] = {1, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5};

    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        uint8_t data[8];
        struct writer writer = writer_make(data, sizeof data);
        bcs_write_length(&writer, values[i]);
        assert_int_equal(writer.len, widths[i]);

        struct reader reader = reader_make(data, writer.len);
        assert_int_equal(bcs_read_length(&reader, UINT32_MAX), values[i]);
        assert_true(reader_done(&reader));

        if (values[i] == 0) continue;
        reader = reader_make(data, writer.len);
        assert_int_equal(bcs_read_length(&reader, values[i] - 1), 0);
        assert_true(reader.failed);
    }
}

static void lengths_that_are_not_minimal_fail(void **state)
{
    (void)state;
    const struct bytes inputs[] = {
        {(const uint8_t *)"\x80\x00", 2},
        {(const uint8_t *)"\xff\x00", 2},
        {(const uint8_t *)"\x80\x80\x00", 3},
        {(const uint8_t *)"\x81\x80\x80\x80\x00", 5},
        {(const uint8_t *)"\xff\xff\xff\xff\x10", 5},         /* 2^32 and more */
        {(const uint8_t *)"\xff\xff\xff\xff\xff\x01", 6},     /* six bytes */
        {(const uint8_t *)"\x80\x80\x80\x80\x80\x80\x01", 7}, /* seven bytes */
        {(const uint8_t *)"\x80", 1},
        {(const uint8_t *)"", 0},
    };
    for (size_t i = 0; i < sizeof inputs / sizeof inputs[0]; i++) {
        struct reader reader = reader_make(inputs[i].data, inputs[i].len);
        assert_int_equal(bcs_read_length(&reader, UINT32_MAX), 0);
        assert_true(reader.failed);
    }
}

static void every_short_length_decodes_to_itself_or_fails(void **state)
{
    (void)state;
    uint32_t accepted = 0;
    for (uint32_t i = 0; i < 1u << 16; i++) {
        const uint8_t data[2] = {(uint8_t)i, (uint8_t)(i >> 8)};
        struct reader reader = reader_make(data, sizeof data);
        uint32_t value = bcs_read_length(&reader, UINT32_MAX);
        if (!reader_done(&reader)) continue;

        uint8_t again[5];
        struct writer writer = writer_make(again, sizeof again);
        bcs_write_length(&writer, value);
        assert_int_equal(writer.len, 2);
        assert_memory_equal(again, data, 2);
        accepted++;
    }
    assert_int_equal(accepted, 16384 - 128);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reader_reads_both_byte_orders),
        cmocka_unit_test(reader_stays_failed_after_a_short_read),
        cmocka_unit_test(reader_with_a_rest_is_not_done),
        cmocka_unit_test(writer_stays_failed_and_never_overruns),
        cmocka_unit_test(writer_writes_what_reader_reads),
        cmocka_unit_test(hex_goes_there_and_back),
        cmocka_unit_test(hex_refuses_wrong_lengths_and_digits),
        cmocka_unit_test(lengths_round_trip_at_every_width),
        cmocka_unit_test(lengths_that_are_not_minimal_fail),
        cmocka_unit_test(every_short_length_decodes_to_itself_or_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
