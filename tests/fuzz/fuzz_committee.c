#include "tests/fuzz/fuzz.h"

#include "common/committee.h"

static struct committee value;
static enum status status;

static void decode(struct reader *reader)
{
    status = committee_decode(&value, reader);
    if (status != OK) reader_fail(reader);
}

static void encode(struct writer *writer)
{
    committee_encode(writer, &value);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_round_trip(data, size, COMMITTEE_RECORD_BYTES_MAX, decode, encode);
    if (status != OK) return 0;

    /* Two quorums always share more than F, so an honest member; everybody together is a quorum. */
    stake_t faulty = value.validity - 1;
    CHECK(3 * faulty < value.total);
    CHECK(2 * value.quorum > value.total + faulty);
    CHECK(value.quorum <= value.total);
    return 0;
}
