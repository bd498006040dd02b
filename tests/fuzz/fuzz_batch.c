#include "tests/fuzz/fuzz.h"

#include <stdlib.h>

#include "common/batch.h"
#include "common/limits.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint32_t count = 0;
    enum status status = batch_validate(&count, data, size);
    if (status != OK) return 0;

    /* What is valid is exactly what appending its transactions makes. */
    uint8_t *again = malloc(size);
    struct writer writer = writer_make(again, size);
    struct reader reader = reader_make(data, size);
    struct bytes transaction;
    uint32_t taken = 0;
    while (batch_next(&transaction, &reader)) {
        CHECK(transaction.len >= 1);
        CHECK(transaction.len <= TRANSACTION_BYTES_MAX);
        batch_append(&writer, transaction.data, transaction.len);
        taken++;
    }
    CHECK(reader_done(&reader));
    CHECK(taken == count);
    CHECK(count >= 1);
    CHECK(!writer.failed);
    CHECK(writer.len == size);
    CHECK(memcmp(again, data, size) == 0);
    free(again);
    return 0;
}
