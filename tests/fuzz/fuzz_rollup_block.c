#include "tests/fuzz/fuzz.h"

#include <stdlib.h>

#include "common/bcs.h"
#include "sequencer/rollup_answer.h"

/* The value of a block, from a rollup node that may be anything: a list of digests, or nothing. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    json_t *list = rollup_block_digests((struct bytes){data, size});
    if (list == NULL) return 0;

    uint8_t *again = malloc(size);
    struct writer writer = writer_make(again, size);
    size_t at;
    const json_t *item;
    bcs_write_length(&writer, (uint32_t)json_array_size(list));
    json_array_foreach(list, at, item)
    {
        uint8_t digest[32];
        CHECK(hex_decode(digest, 32, json_string_value(item), json_string_length(item)));
        writer_copy(&writer, digest, sizeof digest);
    }
    CHECK(!writer.failed);
    CHECK(writer.len == size);
    CHECK(memcmp(again, data, size) == 0);
    free(again);
    json_decref(list);
    return 0;
}
