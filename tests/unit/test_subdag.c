/* Goal: exporter.SubDag as we write it is byte for byte what protobuf writes, and what we read is
 * what was written. Method: the same values go through our writer and through protobuf-c's
 * generated code; random values from a fixed seed, and edge values (zeros are left out by proto3).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "exporter.pb-c.h"
#include "proto/pb.h"
#include "proto/subdag.h"

static uint64_t state = 0x9e3779b97f4a7c15u;

static uint64_t random_u64(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

static void random_fill(void *data, size_t len)
{
    for (size_t i = 0; i < len; i++)
        ((uint8_t *)data)[i] = (uint8_t)random_u64();
}

/* Numbers of every varint length, zero included. */
static uint64_t random_number(void)
{
    return random_u64() >> (random_u64() % 65 == 64 ? 63 : random_u64() % 64);
}

static void random_certificate(struct certificate *certificate)
{
    memset(certificate, 0, sizeof *certificate);
    struct header *header = &certificate->header;
    header->author = (authority_t)(random_u64() % AUTHORITIES_MAX);
    header->round = random_number();
    header->epoch = random_u64() % 2;
    header->created_at = random_number();
    header->payload_count = (uint32_t)(random_u64() % (HEADER_BATCHES_MAX + 1));
    header->parents_count = (uint32_t)(random_u64() % (AUTHORITIES_MAX + 1));
    for (uint32_t i = 0; i < header->payload_count; i++) {
        random_fill(&header->payload[i].digest, 32);
        header->payload[i].worker = (uint32_t)(random_u64() % 3);
        header->payload[i].created_at = random_number();
    }
    random_fill(header->parents, header->parents_count * sizeof header->parents[0]);
    certificate->quorum.count = (uint32_t)(random_u64() % (AUTHORITIES_MAX + 1));
    random_fill(certificate->quorum.signers, certificate->quorum.count);
    random_fill(certificate->quorum.signatures,
                certificate->quorum.count * sizeof(struct signature));
}

struct pb_certificate {
    Exporter__Certificate certificate;
    Exporter__Header header;
    Exporter__BatchInfo infos[HEADER_BATCHES_MAX];
    Exporter__BatchInfo *info_pointers[HEADER_BATCHES_MAX];
    ProtobufCBinaryData parents[AUTHORITIES_MAX];
};

/* The same certificate as protobuf-c's object; views into `from`. */
static void make_pb_certificate(struct pb_certificate *to, struct certificate *from)
{
    exporter__certificate__init(&to->certificate);
    exporter__header__init(&to->header);
    to->certificate.header = &to->header;
    to->certificate.signature.data = (uint8_t *)from->quorum.signatures;
    to->certificate.signature.len = from->quorum.count * sizeof(struct signature);
    to->certificate.signers.data = from->quorum.signers;
    to->certificate.signers.len = from->quorum.count;
    to->header.author = from->header.author;
    to->header.round = from->header.round;
    to->header.epoch = from->header.epoch;
    to->header.created_at = from->header.created_at;
    to->header.n_payload_info = from->header.payload_count;
    to->header.payload_info = to->info_pointers;
    for (uint32_t i = 0; i < from->header.payload_count; i++) {
        exporter__batch_info__init(&to->infos[i]);
        to->infos[i].digest.data = from->header.payload[i].digest.bytes;
        to->infos[i].digest.len = 32;
        to->infos[i].worker_id = from->header.payload[i].worker;
        to->infos[i].created_at = from->header.payload[i].created_at;
        to->info_pointers[i] = &to->infos[i];
    }
    to->header.n_parents = from->header.parents_count;
    to->header.parents = to->parents;
    for (uint32_t i = 0; i < from->header.parents_count; i++) {
        to->parents[i].data = from->header.parents[i].bytes;
        to->parents[i].len = 32;
    }
}

#define VERTICES 5u
#define BATCHES  3u /* of each vertex with an even index */

struct sample {
    struct certificate certificates[VERTICES];
    struct preblock preblock;
    struct quorum quorum;
    bool has_quorum;
    uint64_t id;
    uint8_t transactions[VERTICES][BATCHES][300];
    size_t transaction_len[VERTICES][BATCHES];
};

static void random_sample(struct sample *sample)
{
    for (uint32_t i = 0; i < VERTICES; i++)
        random_certificate(&sample->certificates[i]);
    random_fill(&sample->preblock, sizeof sample->preblock);
    struct certificate other;
    random_certificate(&other);
    sample->quorum = other.quorum;
    for (uint32_t i = 0; i < sample->quorum.count; i++)
        sample->quorum.signers[i] = (uint8_t)i;
    sample->has_quorum = random_u64() % 2 == 0;
    sample->id = 1 + random_number();
    for (uint32_t i = 0; i < VERTICES; i++) {
        for (uint32_t j = 0; j < BATCHES; j++) {
            sample->transaction_len[i][j] = 1 + random_u64() % 300;
            random_fill(sample->transactions[i][j], 300);
        }
    }
}

static uint32_t batches_of(uint32_t vertex)
{
    return vertex % 2 == 0 ? BATCHES : 0;
}

/* Through our writer. Returns malloc'd bytes. */
static struct bytes write_ours(const struct sample *sample)
{
    const struct certificate *leader = &sample->certificates[VERTICES - 1];
    size_t capacity = subdag_bytes_max(VERTICES, VERTICES * BATCHES, VERTICES * BATCHES * 304) +
                      subdag_certificate_bytes(leader);
    for (uint32_t i = 0; i < VERTICES; i++) {
        assert_true(subdag_certificate_bytes(&sample->certificates[i]) <=
                    SUBDAG_CERTIFICATE_BYTES_MAX);
        capacity += subdag_certificate_bytes(&sample->certificates[i]);
    }
    struct writer writer = writer_make(malloc(capacity), capacity);
    subdag_write_start(&writer, sample->id, leader);
    for (uint32_t i = 0; i < VERTICES; i++)
        subdag_write_certificate(&writer, &sample->certificates[i]);
    for (uint32_t i = 0; i < VERTICES; i++) {
        uint8_t memory[BATCHES][304];
        struct bytes batches[BATCHES];
        uint32_t sizes[BATCHES];
        for (uint32_t j = 0; j < batches_of(i); j++) {
            struct writer batch = writer_make(memory[j], sizeof memory[j]);
            pb_write_bytes(
                &batch, 1,
                (struct bytes){sample->transactions[i][j], sample->transaction_len[i][j]});
            assert_false(batch.failed);
            batches[j] = writer_view(&batch);
            sizes[j] = (uint32_t)batches[j].len;
        }
        subdag_write_payload(&writer, sizes, batches_of(i));
        for (uint32_t j = 0; j < batches_of(i); j++) {
            if (j % 2 == 0) {
                subdag_write_batch(&writer, batches[j]);
            } else {
                uint8_t *room = subdag_reserve_batch(&writer, sizes[j]);
                assert_non_null(room);
                memcpy(room, batches[j].data, sizes[j]);
            }
        }
    }
    subdag_write_end(&writer, &sample->preblock, sample->has_quorum ? &sample->quorum : NULL);
    assert_false(writer.failed);
    return writer_view(&writer);
}

/* Through protobuf-c. Returns malloc'd bytes. */
static struct bytes write_theirs(struct sample *sample)
{
    static struct pb_certificate certificates[VERTICES];
    Exporter__Certificate *certificate_pointers[VERTICES];
    Exporter__Payload payloads[VERTICES];
    Exporter__Payload *payload_pointers[VERTICES];
    Exporter__Batch batches[VERTICES][BATCHES];
    Exporter__Batch *batch_pointers[VERTICES][BATCHES];
    ProtobufCBinaryData transactions[VERTICES][BATCHES];
    Exporter__SubDag subdag = EXPORTER__SUB_DAG__INIT;
    for (uint32_t i = 0; i < VERTICES; i++) {
        make_pb_certificate(&certificates[i], &sample->certificates[i]);
        certificate_pointers[i] = &certificates[i].certificate;
        exporter__payload__init(&payloads[i]);
        payload_pointers[i] = &payloads[i];
        payloads[i].n_batches = batches_of(i);
        payloads[i].batches = batch_pointers[i];
        for (uint32_t j = 0; j < batches_of(i); j++) {
            exporter__batch__init(&batches[i][j]);
            batch_pointers[i][j] = &batches[i][j];
            transactions[i][j].data = sample->transactions[i][j];
            transactions[i][j].len = sample->transaction_len[i][j];
            batches[i][j].n_transactions = 1;
            batches[i][j].transactions = &transactions[i][j];
        }
    }
    subdag.id = sample->id;
    subdag.leader = certificate_pointers[VERTICES - 1];
    subdag.n_certificates = VERTICES;
    subdag.certificates = certificate_pointers;
    subdag.n_payloads = VERTICES;
    subdag.payloads = payload_pointers;
    uint8_t header[PREBLOCK_HEADER_BYTES];
    struct writer header_writer = writer_make(header, sizeof header);
    preblock_encode(&header_writer, &sample->preblock);
    subdag.preblock_header.data = header;
    subdag.preblock_header.len = sizeof header;
    uint8_t quorum[QUORUM_BYTES_MAX];
    struct writer quorum_writer = writer_make(quorum, sizeof quorum);
    quorum_encode(&quorum_writer, &sample->quorum);
    subdag.preblock_certificate.data = quorum;
    subdag.preblock_certificate.len = sample->has_quorum ? quorum_writer.len : 0;
    uint8_t *out = malloc(exporter__sub_dag__get_packed_size(&subdag));
    size_t len = exporter__sub_dag__pack(&subdag, out);
    return (struct bytes){out, len};
}

static void subdag_is_what_protobuf_writes(void **unused)
{
    (void)unused;
    for (int round = 0; round < 200; round++) {
        struct sample *sample = calloc(1, sizeof *sample);
        random_sample(sample);
        struct bytes ours = write_ours(sample);
        struct bytes theirs = write_theirs(sample);
        assert_int_equal(ours.len, theirs.len);
        assert_memory_equal(ours.data, theirs.data, ours.len);
        free((void *)(uintptr_t)ours.data);
        free((void *)(uintptr_t)theirs.data);
        free(sample);
    }
}

static void subdag_reads_back_what_was_written(void **unused)
{
    (void)unused;
    struct sample *sample = calloc(1, sizeof *sample);
    random_sample(sample);
    sample->has_quorum = true;
    struct bytes bytes = write_ours(sample);
    struct subdag subdag;
    assert_int_equal(subdag_open(&subdag, bytes), OK);
    assert_int_equal(subdag.id, sample->id);
    assert_int_equal(subdag.certificates_count, VERTICES);
    assert_int_equal(subdag.payloads_count, VERTICES);
    assert_int_equal(subdag.preblock_header.len, PREBLOCK_HEADER_BYTES);
    struct reader quorum_reader =
        reader_make(subdag.preblock_certificate.data, subdag.preblock_certificate.len);
    struct quorum quorum;
    quorum_decode(&quorum, &quorum_reader);
    assert_true(reader_done(&quorum_reader));
    assert_int_equal(quorum.count, sample->quorum.count);

    struct certificate *certificate = calloc(1, sizeof *certificate);
    assert_int_equal(subdag_read_certificate(certificate, subdag.leader), OK);
    assert_memory_equal(certificate, &sample->certificates[VERTICES - 1], sizeof *certificate);
    struct reader cursor = reader_make(subdag.bytes.data, subdag.bytes.len);
    struct bytes item;
    for (uint32_t i = 0; i < VERTICES; i++) {
        assert_true(subdag_next_certificate(&item, &cursor));
        memset(certificate, 0, sizeof *certificate);
        assert_int_equal(subdag_read_certificate(certificate, item), OK);
        assert_memory_equal(certificate, &sample->certificates[i], sizeof *certificate);
    }
    assert_false(subdag_next_certificate(&item, &cursor));
    cursor = reader_make(subdag.bytes.data, subdag.bytes.len);
    for (uint32_t i = 0; i < VERTICES; i++) {
        struct bytes payload;
        assert_true(subdag_next_payload(&payload, &cursor));
        struct reader batches = reader_make(payload.data, payload.len);
        for (uint32_t j = 0; j < batches_of(i); j++) {
            assert_true(subdag_next_batch(&item, &batches));
            size_t len = sample->transaction_len[i][j];
            assert_memory_equal(item.data + item.len - len, sample->transactions[i][j], len);
        }
        assert_false(subdag_next_batch(&item, &batches));
        assert_true(reader_done(&batches));
    }
    free(certificate);
    free((void *)(uintptr_t)bytes.data);
    free(sample);
}

/* Every truncation and many single-byte changes: readers return, and never read outside (ASan). */
static void subdag_survives_any_bytes(void **unused)
{
    (void)unused;
    struct sample *sample = calloc(1, sizeof *sample);
    random_sample(sample);
    struct bytes bytes = write_ours(sample);
    struct certificate *certificate = calloc(1, sizeof *certificate);
    for (int round = 0; round < 3000; round++) {
        size_t len = (size_t)(random_u64() % (bytes.len + 1));
        uint8_t *copy = malloc(len + 1);
        memcpy(copy, bytes.data, len);
        for (int i = 0; i < round % 8 && len > 0; i++)
            copy[random_u64() % (round % 2 ? len : (len < 64 ? len : 64))] = (uint8_t)random_u64();
        struct subdag subdag;
        if (subdag_open(&subdag, (struct bytes){copy, len}) == OK) {
            struct bytes item;
            struct reader cursor = reader_make(copy, len);
            while (subdag_next_certificate(&item, &cursor))
                (void)subdag_read_certificate(certificate, item);
            (void)subdag_read_certificate(certificate, subdag.leader);
        }
        free(copy);
    }
    free(certificate);
    free((void *)(uintptr_t)bytes.data);
    free(sample);
}

static void pb_refuses_what_is_not_a_message(void **unused)
{
    (void)unused;
    static const struct {
        uint8_t data[12];
        size_t len;
        bool good;
    } cases[] = {
        {{0x08, 0x01}, 2, true},
        {{0x08, 0x81, 0x00}, 3, true},             /* not minimal: allowed by the format */
        {{0x08}, 1, false},                        /* no value */
        {{0x0a, 0x02, 0x00}, 3, false},            /* runs past the end */
        {{0x0b, 0x0c}, 2, false},                  /* group */
        {{0x00, 0x01}, 2, false},                  /* field number 0 */
        {{0x0d, 1, 2, 3, 4}, 5, true},             /* fixed32 */
        {{0x09, 1, 2, 3, 4, 5, 6, 7, 8}, 9, true}, /* fixed64 */
        {{0x09, 1, 2, 3, 4, 5, 6, 7}, 8, false},   /* short fixed64 */
        {{0x08, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1}, 11, true},
        {{0x08, 255, 255, 255, 255, 255, 255, 255, 255, 255, 2}, 11, false}, /* 65 bits */
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct reader reader = reader_make(cases[i].data, cases[i].len);
        struct pb_field field;
        while (pb_next(&field, &reader))
            ;
        assert_int_equal(reader_done(&reader), cases[i].good);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(subdag_is_what_protobuf_writes),
        cmocka_unit_test(subdag_reads_back_what_was_written),
        cmocka_unit_test(subdag_survives_any_bytes),
        cmocka_unit_test(pb_refuses_what_is_not_a_message),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
