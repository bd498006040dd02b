#include "tests/fuzz/fuzz.h"

#include "common/preblock.h"

static struct preblock value;

static void decode(struct reader *reader)
{
    preblock_decode(&value, reader);
}

static void encode(struct writer *writer)
{
    preblock_encode(writer, &value);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_round_trip(data, size, PREBLOCK_HEADER_BYTES, decode, encode);
    return 0;
}
