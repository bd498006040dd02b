#include "tests/fuzz/fuzz.h"

#include "common/envelope.h"

static struct envelope value;

static void decode(struct reader *reader)
{
    envelope_decode(&value, reader);
}

static void encode(struct writer *writer)
{
    envelope_encode(writer, &value);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_round_trip(data, size, ENVELOPE_BYTES_MAX, decode, encode);
    struct reader reader = reader_make(data, size);
    envelope_decode(&value, &reader);
    /* Nobody can sign by chance; and asking does no harm. */
    if (reader_done(&reader)) (void)envelope_verify(&value);
    return 0;
}
