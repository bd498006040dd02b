#include "tests/fuzz/fuzz.h"

#include "common/codec.h"

static struct vote value;

static void decode(struct reader *reader)
{
    vote_decode(&value, reader);
}

static void encode(struct writer *writer)
{
    vote_encode(writer, &value);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_round_trip(data, size, VOTE_BYTES, decode, encode);
    return 0;
}
