#include "tests/fuzz/fuzz.h"

#include "common/committee.h"
#include "consensus/core/records.h"
#include "consensus/core/wire.h"

/* The bodies that a node sends and forwards: those with a reader of their own come back as they were, and the
 * answers that are built from rows of the store hold those rows. */
static struct wire_attestation attestation;
static struct wire_position position;
static struct vertex_ref ref;

static void read_attestation(struct reader *reader)
{
    if (reader_u8(reader) != WIRE_ATTESTATION) reader_fail(reader);
    wire_read_attestation(&attestation, reader);
}

static void write_attestation(struct writer *writer)
{
    wire_write_attestation(writer, &attestation);
}

static void read_position(struct reader *reader)
{
    if (reader_u8(reader) != WIRE_POSITION) reader_fail(reader);
    wire_read_position(&position, reader);
}

static void write_position(struct writer *writer)
{
    wire_write_position(writer, &position);
}

static void read_want_header(struct reader *reader)
{
    if (reader_u8(reader) != WIRE_WANT_HEADER) reader_fail(reader);
    vertex_decode(&ref, reader);
}

static void write_want_header(struct writer *writer)
{
    wire_write_want_header(writer, &ref);
}

/* A row of the store as the answer to a peer. */
static void check_answers(const uint8_t *data, size_t size)
{
    static uint8_t memory[WIRE_ANSWER_BYTES_MAX];
    static struct header header;
    static struct certificate certificate;
    static struct committee nobody; /* no signature is checked of a certificate that was */
    struct signature signature;
    struct bytes value = {data, size};
    bool verified;

    if (header_row_read(&header, &signature, value) == OK) {
        struct bytes body = wire_header_body(memory, value);
        struct reader reader = reader_make(body.data, body.len);
        struct header again;
        CHECK(reader_u8(&reader) == WIRE_HEADER);
        header_decode(&again, &reader);
        CHECK(reader.left == sizeof signature.bytes);
        CHECK(memcmp(reader.next, signature.bytes, sizeof signature.bytes) == 0);
    }
    if (certificate_row_read(&certificate, &verified, value) == OK && verified) {
        struct wire_answer answer;
        wire_answer_begin(&answer, memory, &nobody);
        CHECK(wire_answer_append(&answer, value));
        struct bytes body = wire_answer_finish(&answer, true);
        CHECK(body.len > size - 1);
        CHECK(memcmp(body.data + body.len - (size - 1), data + 1, size - 1) == 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_round_trip(data, size, 256, read_attestation, write_attestation);
    fuzz_round_trip(data, size, 256, read_position, write_position);
    fuzz_round_trip(data, size, 256, read_want_header, write_want_header);
    check_answers(data, size);
    return 0;
}
