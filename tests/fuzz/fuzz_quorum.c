#include "tests/fuzz/fuzz.h"

#include "common/codec.h"

static struct quorum value;

static void decode(struct reader *reader)
{
    quorum_decode(&value, reader);
}

static void encode(struct writer *writer)
{
    quorum_encode(writer, &value);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_round_trip(data, size, QUORUM_BYTES_MAX, decode, encode);
    return 0;
}
