#include "tests/fuzz/fuzz.h"

#include <stdlib.h>

void fuzz_round_trip(const uint8_t *data,
                     size_t size,
                     size_t bytes_max,
                     void (*decode)(struct reader *reader),
                     void (*encode)(struct writer *writer))
{
    struct reader reader = reader_make(data, size);
    decode(&reader);
    if (!reader_done(&reader)) return;

    CHECK(size <= bytes_max);
    uint8_t *again = malloc(bytes_max);
    struct writer writer = writer_make(again, bytes_max);
    encode(&writer);
    CHECK(!writer.failed);
    CHECK(writer.len == size);
    CHECK(memcmp(again, data, size) == 0);
    free(again);
}
