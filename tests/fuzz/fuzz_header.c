#include "tests/fuzz/fuzz.h"

#include "common/codec.h"

static struct header value;
static bool decoded;

static void decode(struct reader *reader)
{
    header_decode(&value, reader);
    decoded = !reader->failed;
}

static void encode(struct writer *writer)
{
    header_encode(writer, &value);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_round_trip(data, size, HEADER_BYTES_MAX, decode, encode);
    if (!decoded) return 0;

    /* Whatever decodes can be judged. */
    static struct committee committee;
    committee.count = 4;
    if (header_validate(&value, &committee) != OK) return 0;
    CHECK(value.author < 4);
    CHECK(value.parents_count <= 4);
    return 0;
}
