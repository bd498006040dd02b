#include "tests/fuzz/fuzz.h"

#include <stdlib.h>

#include "consensus/core/records.h"

static void check_again(const struct writer *writer, const uint8_t *data, size_t size)
{
    CHECK(!writer->failed);
    CHECK(writer->len == size);
    CHECK(memcmp(writer->data, data, size) == 0);
}

static void check_preblock_record(const uint8_t *data, size_t size, uint8_t *again)
{
    struct preblock_record record;
    struct writer writer = writer_make(again, size);

    if (preblock_record_open(&record, (struct bytes){data, size}) != OK) return;
    preblock_record_write_begin(&writer, &record.header, &record.anchor, record.vertices_count);
    for (uint32_t i = 0; i < record.vertices_count; i++) {
        struct preblock_vertex vertex = preblock_record_vertex(&record, i);
        preblock_record_write_vertex(&writer, &vertex.ref, vertex.batches);
    }
    preblock_record_write_batches_count(&writer, record.batches_count);
    for (uint32_t i = 0; i < record.batches_count; i++) {
        struct preblock_batch batch = preblock_record_batch(&record, i);
        preblock_record_write_batch(&writer, &batch);
    }
    check_again(&writer, data, size);
}

/* The same bytes as each kind of row that the store holds. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct header header;
    static struct certificate certificate;
    struct signature signature;
    struct bytes value = {data, size};
    bool verified;
    uint8_t *again = malloc(size + 1);
    struct writer writer = writer_make(again, size);

    check_preblock_record(data, size, again);
    if (header_row_read(&header, &signature, value) == OK) {
        header_row_write(&writer, &header, &signature);
        check_again(&writer, data, size);
    }
    writer = writer_make(again, size);
    if (certificate_row_read(&certificate, &verified, value) == OK) {
        certificate_row_write(&writer, &certificate, verified);
        check_again(&writer, data, size);
    }
    free(again);
    return 0;
}
