#include "tests/fuzz/fuzz.h"

#include "common/codec.h"

static struct certificate value;

static void decode(struct reader *reader)
{
    certificate_decode(&value, reader);
}

static void encode(struct writer *writer)
{
    certificate_encode(writer, &value);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_round_trip(data, size, CERTIFICATE_BYTES_MAX, decode, encode);
    return 0;
}
