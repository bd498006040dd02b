/* Goal: header, vote, quorum, certificate and pre-block have exactly one encoding each. Method:
 * decode-encode identity on random values, every truncation, every extension, changed bytes (which
 * must fail or come back unchanged), and one hand-made case per rule. */
#include "tests/unit/unit.h"

#include <stdlib.h>

#include "common/codec.h"
#include "common/crypto.h"
#include "common/preblock.h"

static int compare_digests(const void *a, const void *b)
{
    return memcmp(a, b, 32);
}

static void random_header(uint64_t *seed, struct header *header)
{
    memset(header, 0, sizeof *header);
    header->author = (authority_t)unit_random_below(seed, AUTHORITIES_MAX);
    header->round = unit_random(seed);
    header->epoch = unit_random(seed);
    header->created_at = unit_random(seed);
    header->payload_count = (uint32_t)unit_random_below(seed, HEADER_BATCHES_MAX + 1);
    header->parents_count = (uint32_t)unit_random_below(seed, AUTHORITIES_MAX + 1);
    for (uint32_t i = 0; i < header->payload_count; i++) {
        unit_random_bytes(seed, &header->payload[i].digest, 32);
        header->payload[i].worker = (uint32_t)unit_random(seed);
        header->payload[i].created_at = unit_random(seed);
    }
    unit_random_bytes(seed, header->parents, 32 * header->parents_count);
    qsort(header->parents, header->parents_count, 32, compare_digests);
}

static void random_quorum(uint64_t *seed, struct quorum *quorum)
{
    memset(quorum, 0, sizeof *quorum);
    for (uint8_t i = 0; i < AUTHORITIES_MAX; i++) {
        if (unit_random_below(seed, 3) == 0) quorum->signers[quorum->count++] = i;
    }
    unit_random_bytes(seed, quorum->signatures, 64 * quorum->count);
}

/* What the five formats have in common. */
union value {
    struct certificate certificate;
    struct vote vote;
    struct preblock preblock;
};
struct format {
    void (*fill)(uint64_t *seed, union value *value);
    void (*encode)(struct writer *writer, const union value *value);
    void (*decode)(union value *value, struct reader *reader);
    size_t bytes_max;
};

static void fill_header(uint64_t *seed, union value *value)
{
    random_header(seed, &value->certificate.header);
}
static void put_header(struct writer *writer, const union value *value)
{
    header_encode(writer, &value->certificate.header);
}
static void get_header(union value *value, struct reader *reader)
{
    header_decode(&value->certificate.header, reader);
}
static void fill_quorum(uint64_t *seed, union value *value)
{
    random_quorum(seed, &value->certificate.quorum);
}
static void put_quorum(struct writer *writer, const union value *value)
{
    quorum_encode(writer, &value->certificate.quorum);
}
static void get_quorum(union value *value, struct reader *reader)
{
    quorum_decode(&value->certificate.quorum, reader);
}
static void fill_certificate(uint64_t *seed, union value *value)
{
    fill_header(seed, value);
    fill_quorum(seed, value);
}
static void put_certificate(struct writer *writer, const union value *value)
{
    certificate_encode(writer, &value->certificate);
}
static void get_certificate(union value *value, struct reader *reader)
{
    certificate_decode(&value->certificate, reader);
}
static void fill_vote(uint64_t *seed, union value *value)
{
    unit_random_bytes(seed, &value->vote, sizeof value->vote);
    value->vote.author = (authority_t)unit_random_below(seed, AUTHORITIES_MAX);
    value->vote.voter = (authority_t)unit_random_below(seed, AUTHORITIES_MAX);
}
static void put_vote(struct writer *writer, const union value *value)
{
    vote_encode(writer, &value->vote);
}
static void get_vote(union value *value, struct reader *reader)
{
    vote_decode(&value->vote, reader);
}
static void fill_preblock(uint64_t *seed, union value *value)
{
    unit_random_bytes(seed, &value->preblock, sizeof value->preblock);
}
static void put_preblock(struct writer *writer, const union value *value)
{
    preblock_encode(writer, &value->preblock);
}
static void get_preblock(union value *value, struct reader *reader)
{
    preblock_decode(&value->preblock, reader);
}

static const struct format formats[] = {
    {fill_header, put_header, get_header, HEADER_BYTES_MAX},
    {fill_quorum, put_quorum, get_quorum, QUORUM_BYTES_MAX},
    {fill_certificate, put_certificate, get_certificate, CERTIFICATE_BYTES_MAX},
    {fill_vote, put_vote, get_vote, VOTE_BYTES},
    {fill_preblock, put_preblock, get_preblock, PREBLOCK_HEADER_BYTES},
};
#define FORMATS (sizeof formats / sizeof formats[0])

static union value value;
static union value back;
static uint8_t data[CERTIFICATE_BYTES_MAX + 1];
static uint8_t again[CERTIFICATE_BYTES_MAX];

/* Encodes a random value into `data`. */
static size_t encode_random(uint64_t *seed, const struct format *format)
{
    struct writer writer = writer_make(data, format->bytes_max);
    format->fill(seed, &value);
    format->encode(&writer, &value);
    assert_false(writer.failed);
    return writer.len;
}

/* True when `len` bytes decode whole; then they must encode to themselves. */
static bool decodes_to_itself(const struct format *format, size_t len)
{
    struct reader reader = reader_make(data, len);
    format->decode(&back, &reader);
    if (!reader_done(&reader)) return false;
    struct writer writer = writer_make(again, format->bytes_max);
    format->encode(&writer, &back);
    assert_false(writer.failed);
    assert_int_equal(writer.len, len);
    assert_memory_equal(again, data, len);
    return true;
}

static void every_value_comes_back(void **state)
{
    (void)state;
    uint64_t seed = 21;
    for (size_t f = 0; f < FORMATS; f++) {
        for (int lap = 0; lap < 300; lap++) {
            size_t len = encode_random(&seed, &formats[f]);
            assert_true(decodes_to_itself(&formats[f], len));
        }
    }
}

static void every_truncation_and_extension_fails(void **state)
{
    (void)state;
    uint64_t seed = 22;
    for (size_t f = 0; f < FORMATS; f++) {
        for (int lap = 0; lap < 5; lap++) {
            size_t len = encode_random(&seed, &formats[f]);
            for (size_t part = 0; part < len; part++) {
                struct reader reader = reader_make(data, part);
                formats[f].decode(&back, &reader);
                assert_true(reader.failed);
            }
            data[len] = 0;
            assert_false(decodes_to_itself(&formats[f], len + 1));
        }
    }
}

static void changed_bytes_fail_or_stay_changed(void **state)
{
    (void)state;
    uint64_t seed = 23;
    for (size_t f = 0; f < FORMATS; f++) {
        for (int lap = 0; lap < 4000; lap++) {
            size_t len = encode_random(&seed, &formats[f]);
            for (uint64_t k = 1 + unit_random_below(&seed, 3); k > 0; k--) {
                data[unit_random_below(&seed, len)] = (uint8_t)unit_random(&seed);
            }
            (void)decodes_to_itself(&formats[f], len);
        }
    }
}

/* Decodes a header of hand-made bytes: no payload, `tail` from the payload count on. */
static bool header_tail_is_good(const char *tail, size_t len)
{
    memset(data, 0, 26);
    memcpy(data + 26, tail, len);
    return decodes_to_itself(&formats[0], 26 + len);
}

static void each_rule_of_a_header_holds(void **state)
{
    (void)state;
    char tail[3 + 64] = {0};
    assert_true(header_tail_is_good("\0\0\0", 3));
    assert_false(header_tail_is_good("\0\1\0\0", 4));   /* a system message */
    assert_false(header_tail_is_good("\x80\0\0\0", 4)); /* lengths that are not minimal */
    assert_false(header_tail_is_good("\0\x80\0\0", 4));
    assert_false(header_tail_is_good("\0\0\x80\0", 4));

    tail[2] = 2; /* two parents */
    tail[3 + 31] = 1;
    tail[3 + 32 + 31] = 2;
    assert_true(header_tail_is_good(tail, sizeof tail));
    tail[3 + 32 + 31] = 1; /* equal */
    assert_false(header_tail_is_good(tail, sizeof tail));
    tail[3 + 32 + 31] = 0; /* descending */
    assert_false(header_tail_is_good(tail, sizeof tail));

    memset(data, 0, sizeof data); /* an author no committee has */
    data[0] = AUTHORITIES_MAX;
    assert_false(decodes_to_itself(&formats[0], 29));
    data[0] = AUTHORITIES_MAX - 1;
    assert_true(decodes_to_itself(&formats[0], 29));

    memset(data, 0, sizeof data); /* one payload or parent over the limit */
    data[26] = HEADER_BATCHES_MAX + 1;
    assert_false(decodes_to_itself(&formats[0], 26 + 1 + 44 * (HEADER_BATCHES_MAX + 1) + 2));
    data[26] = HEADER_BATCHES_MAX;
    assert_true(decodes_to_itself(&formats[0], 26 + 1 + 44 * HEADER_BATCHES_MAX + 2));
}

static void each_rule_of_a_quorum_holds(void **state)
{
    (void)state;
    const struct {
        const char *signers; /* after their count */
        uint8_t signers_count;
        uint8_t signatures_count;
        bool good;
    } cases[] = {
        {"", 0, 0, true},          {"\x05", 1, 1, true},  {"\x01\x02", 2, 2, true},
        {"\x01\x02", 2, 1, false}, {"\x01", 1, 2, false}, {"\x02\x01", 2, 2, false},
        {"\x02\x02", 2, 2, false}, {"\x64", 1, 1, false}, {"\x63", 1, 1, true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        size_t at = 1u + cases[i].signers_count;
        memset(data, 0, 400);
        data[0] = cases[i].signers_count;
        memcpy(data + 1, cases[i].signers, cases[i].signers_count);
        data[at] = cases[i].signatures_count;
        assert_int_equal(decodes_to_itself(&formats[1], at + 1 + 64u * cases[i].signatures_count),
                         cases[i].good);
    }
}

static void votes_and_preblocks_have_their_own_rules(void **state)
{
    (void)state;
    memset(data, 0, sizeof data);
    assert_true(decodes_to_itself(&formats[3], VOTE_BYTES));
    data[40] = AUTHORITIES_MAX;
    assert_false(decodes_to_itself(&formats[3], VOTE_BYTES));
    data[40] = 0;
    data[43] = 1; /* voter 256 */
    assert_false(decodes_to_itself(&formats[3], VOTE_BYTES));

    memset(data, 0, sizeof data);
    assert_false(decodes_to_itself(&formats[4], PREBLOCK_HEADER_BYTES)); /* version 0 */
    data[0] = 1;
    assert_true(decodes_to_itself(&formats[4], PREBLOCK_HEADER_BYTES));
    data[0] = 2;
    assert_false(decodes_to_itself(&formats[4], PREBLOCK_HEADER_BYTES));
    data[0] = 1;
    data[PREBLOCK_HEADER_BYTES - 8] = 1; /* delayed */
    assert_false(decodes_to_itself(&formats[4], PREBLOCK_HEADER_BYTES));
}

static void the_header_bytes_are_as_documented(void **state)
{
    (void)state;
    struct header header;
    struct digest digest;
    struct digest expected;
    memset(&header, 0, sizeof header);
    header.author = 0x0001;
    header.round = 2;
    header.epoch = 3;
    header.created_at = 0x0102030405060708;
    header.payload_count = 1;
    header.payload[0].digest.bytes[0] = 0xaa;
    header.payload[0].worker = 4;
    header.payload[0].created_at = 5;
    header.parents_count = 1;
    header.parents[0].bytes[31] = 0xbb;

    uint8_t bytes[26 + 1 + 44 + 1 + 1 + 32] = {1, 0, 2, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0,
                                               0, 0, 0, 0, 8, 7, 6, 5, 4, 3, 2, 1, 1, 0xaa};
    bytes[27 + 32] = 4;
    bytes[27 + 36] = 5;
    bytes[27 + 44 + 1] = 1;
    bytes[sizeof bytes - 1] = 0xbb;

    struct writer writer = writer_make(data, sizeof data);
    header_encode(&writer, &header);
    assert_int_equal(writer.len, sizeof bytes);
    assert_memory_equal(data, bytes, sizeof bytes);
    header_digest(&digest, &header);
    crypto_hash_one(&expected, bytes, sizeof bytes);
    assert_memory_equal(&digest, &expected, sizeof digest);
}

static void validation_names_the_reason(void **state)
{
    (void)state;
    struct committee committee;
    struct header header;
    memset(&committee, 0, sizeof committee);
    memset(&header, 0, sizeof header);
    committee.count = 4;
    committee.epoch = 3;
    header.author = 3;
    header.epoch = 3;
    header.round = 1;
    header.parents_count = 4;
    header.payload_count = 3;
    header.payload[1].digest.bytes[0] = 1;
    header.payload[2].digest.bytes[0] = 2;
    assert_int_equal(header_validate(&header, &committee), OK);

    header.author = 4;
    assert_int_equal(header_validate(&header, &committee), ERR_UNKNOWN_AUTHORITY);
    header.author = 3;
    header.epoch = 2;
    assert_int_equal(header_validate(&header, &committee), ERR_EPOCH);
    header.epoch = 3;
    header.round = 0;
    assert_int_equal(header_validate(&header, &committee), ERR_STALE);
    header.round = 1;
    header.parents_count = 5;
    assert_int_equal(header_validate(&header, &committee), ERR_MALFORMED);
    header.parents_count = 4;
    header.payload[2].worker = WORKERS;
    assert_int_equal(header_validate(&header, &committee), ERR_MALFORMED);
    header.payload[2].worker = 0;
    header.payload[2].digest = header.payload[0].digest;
    assert_int_equal(header_validate(&header, &committee), ERR_MALFORMED);
}

static void the_manifest_is_the_page_tree_of_the_digests(void **state)
{
    (void)state;
    struct digest batches[2] = {{{1}}, {{2}}};
    struct digest root;
    struct digest expected;
    uint8_t page[5 + 64] = {0, 0, 0, 0, 64, 1};
    page[5 + 32] = 2;
    crypto_hash_one(&expected, page, sizeof page);
    preblock_manifest(&root, batches, 2);
    assert_memory_equal(&root, &expected, sizeof root);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_value_comes_back),
        cmocka_unit_test(every_truncation_and_extension_fails),
        cmocka_unit_test(changed_bytes_fail_or_stay_changed),
        cmocka_unit_test(each_rule_of_a_header_holds),
        cmocka_unit_test(each_rule_of_a_quorum_holds),
        cmocka_unit_test(votes_and_preblocks_have_their_own_rules),
        cmocka_unit_test(the_header_bytes_are_as_documented),
        cmocka_unit_test(validation_names_the_reason),
        cmocka_unit_test(the_manifest_is_the_page_tree_of_the_digests),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
