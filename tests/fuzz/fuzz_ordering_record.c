#include "tests/fuzz/fuzz.h"

#include <stdlib.h>

#include "consensus/core/ordering_record.h"

/* An accepted record is what the encoder makes of what is in it. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ordering_record record;
    if (ordering_record_open(&record, (struct bytes){data, size}) != OK) return 0;

    struct commit_slot *skipped = calloc(record.skipped_count + 1, sizeof *skipped);
    uint8_t *again = malloc(size);
    struct ordering_encoder encoder;
    for (uint32_t i = 0; i < record.skipped_count; i++) {
        skipped[i] = ordering_record_skipped(&record, i);
    }
    ordering_encoder_begin(&encoder, again, size, &record, skipped);

    struct ordering_cursor cursor = ordering_record_begin(&record);
    struct ordering_vertex vertex;
    struct ordering_batch batches[HEADER_BATCHES_MAX];
    uint32_t vertices = 0;
    while (ordering_record_next(&cursor, &vertex)) {
        CHECK(vertex.batches <= HEADER_BATCHES_MAX);
        for (uint32_t i = 0; i < vertex.batches; i++) {
            CHECK(ordering_record_next_batch(&cursor, &batches[i]));
        }
        ordering_encoder_vertex(&encoder, &vertex.ref, batches, vertex.batches);
        vertices++;
    }
    CHECK(vertices == record.vertices_count);
    struct bytes bytes = ordering_encoder_finish(&encoder);
    CHECK(!encoder.writer.failed);
    CHECK(bytes.len == size);
    CHECK(memcmp(bytes.data, data, size) == 0);
    free(skipped);
    free(again);
    return 0;
}
