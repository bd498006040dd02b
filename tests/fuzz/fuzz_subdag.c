#include "tests/fuzz/fuzz.h"

#include "proto/pb.h"
#include "proto/subdag.h"

static struct certificate certificate;

static void read_payload(struct bytes payload)
{
    struct reader reader = reader_make(payload.data, payload.len);
    struct bytes batch;
    while (subdag_next_batch(&batch, &reader)) {
        CHECK(batch.data >= payload.data);
        CHECK(batch.data + batch.len <= payload.data + payload.len);
    }
}

/* A SubDag from a server that may be anything: every view stays inside, every item can be read. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct reader reader = reader_make(data, size);
    struct pb_field field;
    while (pb_next(&field, &reader)) {
        CHECK(field.number >= 1);
        if (field.kind != PB_BYTES) continue;
        CHECK(field.bytes.data >= data);
        CHECK(field.bytes.len <= (size_t)(data + size - field.bytes.data));
    }

    struct subdag subdag;
    struct bytes item;
    uint32_t count = 0;
    if (subdag_open(&subdag, (struct bytes){data, size}) != OK) return 0;

    (void)subdag_read_certificate(&certificate, subdag.leader);
    struct reader cursor = reader_make(subdag.bytes.data, subdag.bytes.len);
    while (subdag_next_certificate(&item, &cursor)) {
        if (subdag_read_certificate(&certificate, item) == OK) {
            CHECK(certificate.quorum.count <= AUTHORITIES_MAX);
            CHECK(certificate.header.parents_count <= AUTHORITIES_MAX);
            CHECK(certificate.header.payload_count <= HEADER_BATCHES_MAX);
        }
        count++;
    }
    CHECK(count == subdag.certificates_count);
    cursor = reader_make(subdag.bytes.data, subdag.bytes.len);
    for (count = 0; subdag_next_payload(&item, &cursor); count++) {
        read_payload(item);
    }
    CHECK(count == subdag.payloads_count);
    return 0;
}
