#include "consensus/core/wire.h"

#include "common/bcs.h"
#include "common/crypto.h"
#include "consensus/core/records.h"

/* Room for the fields around the certificates of an answer: kind, last, and a count of up to 5
 * bytes. The count is written in its fixed place at the end, so certificates are appended behind
 * the widest one and the front is moved up to meet them. */
#define ANSWER_PREFIX_BYTES 7u

void wire_answer_begin(struct wire_answer *answer,
                       uint8_t *memory,
                       const struct committee *committee)
{
    static const uint8_t prefix[ANSWER_PREFIX_BYTES];

    CHECK(memory != NULL);
    CHECK(committee != NULL);
    answer->writer = writer_make(memory, WIRE_ANSWER_BYTES_MAX);
    answer->committee = committee;
    answer->count = 0;
    answer->checks = 0;
    writer_copy(&answer->writer, prefix, sizeof prefix);
    CHECK(!answer->writer.failed);
}

static bool row_is_good(const struct wire_answer *answer, struct bytes value)
{
    struct certificate certificate;
    struct digest digest;
    bool verified;

    if (certificate_row_read(&certificate, &verified, value) != OK) return false;
    header_digest(&digest, &certificate.header);
    return committee_verify_quorum(answer->committee, SCOPE_HEADER, &digest, &certificate.quorum) ==
           OK;
}

bool wire_answer_append(struct wire_answer *answer, struct bytes value)
{
    CHECK(value.len > 1);
    if (value.data[0] != 1) { /* never serve what was not verified here */
        if (answer->checks == WIRE_ANSWER_CHECKS_MAX) return false;
        answer->checks++;
        if (!row_is_good(answer, value)) return true;
    }
    if (answer->count >= WIRE_ANSWER_CERTIFICATES_MAX) return false;
    if (value.len - 1 > answer->writer.capacity - answer->writer.len) return false;
    writer_copy(&answer->writer, value.data + 1, value.len - 1);
    CHECK(!answer->writer.failed);
    answer->count++;
    return true;
}

struct bytes wire_answer_finish(struct wire_answer *answer, bool last)
{
    uint8_t prefix[ANSWER_PREFIX_BYTES];
    struct writer front = writer_make(prefix, sizeof prefix);
    uint8_t *begin;

    CHECK(answer->writer.len >= ANSWER_PREFIX_BYTES);
    writer_u8(&front, WIRE_CERTIFICATES);
    writer_u8(&front, last ? 1 : 0);
    bcs_write_length(&front, answer->count);
    CHECK(!front.failed);
    begin = answer->writer.data + (ANSWER_PREFIX_BYTES - front.len);
    memcpy(begin, prefix, front.len);
    return (struct bytes){begin, answer->writer.len - (ANSWER_PREFIX_BYTES - front.len)};
}

struct bytes wire_header_body(uint8_t *memory, struct bytes value)
{
    CHECK(memory != NULL);
    CHECK(value.len <= HEADER_BYTES_MAX + 64);
    memory[0] = WIRE_HEADER;
    memcpy(memory + 1, value.data, value.len);
    return (struct bytes){memory, value.len + 1};
}

bool wire_record_body(struct bytes *ret_body,
                      uint8_t *memory,
                      uint64_t sequence,
                      uint32_t offset,
                      struct bytes value,
                      bool more)
{
    struct writer writer = writer_make(memory, WIRE_RECORD_BYTES_MAX);
    size_t at = offset < value.len ? offset : value.len;
    size_t part = value.len - at;
    bool last;

    CHECK(value.len <= UINT32_MAX);
    if (part > WIRE_RECORD_PART_MAX) part = WIRE_RECORD_PART_MAX;
    last = !more || at + part < value.len;
    writer_u8(&writer, WIRE_RECORD);
    writer_u64(&writer, sequence);
    writer_u32(&writer, (uint32_t)at);
    writer_u32(&writer, (uint32_t)value.len);
    writer_u8(&writer, last ? 1 : 0);
    if (part > 0) writer_copy(&writer, value.data + at, part);
    CHECK(!writer.failed);
    *ret_body = writer_view(&writer);
    return !last;
}

void vertex_encode(struct writer *writer, const struct vertex_ref *ref)
{
    writer_u64(writer, ref->round);
    writer_u16(writer, ref->author);
    writer_copy(writer, ref->digest.bytes, sizeof ref->digest.bytes);
}

void vertex_decode(struct vertex_ref *ret_ref, struct reader *reader)
{
    ret_ref->round = reader_u64(reader);
    ret_ref->author = reader_u16(reader);
    reader_copy(reader, ret_ref->digest.bytes, sizeof ret_ref->digest.bytes);
}

void wire_write_header(struct writer *writer,
                       const struct header *header,
                       const struct signature *signature)
{
    writer_u8(writer, WIRE_HEADER);
    header_encode(writer, header);
    writer_copy(writer, signature->bytes, sizeof signature->bytes);
}

void wire_write_vote(struct writer *writer, const struct vote *vote)
{
    writer_u8(writer, WIRE_VOTE);
    vote_encode(writer, vote);
}

/* An attestation and a checkpoint's signature have one shape. */
static void write_signed(struct writer *writer,
                         enum wire_kind kind,
                         const struct wire_attestation *attestation)
{
    writer_u8(writer, (uint8_t)kind);
    writer_u64(writer, attestation->index);
    writer_copy(writer, attestation->digest.bytes, sizeof attestation->digest.bytes);
    writer_u16(writer, attestation->authority);
    writer_copy(writer, attestation->signature.bytes, sizeof attestation->signature.bytes);
}

void wire_write_attestation(struct writer *writer, const struct wire_attestation *attestation)
{
    write_signed(writer, WIRE_ATTESTATION, attestation);
}

void wire_write_checkpoint_signature(struct writer *writer,
                                     const struct wire_attestation *signature)
{
    write_signed(writer, WIRE_CHECKPOINT_SIGNATURE, signature);
}

void wire_write_want_checkpoint(struct writer *writer, uint64_t sequence)
{
    writer_u8(writer, WIRE_WANT_CHECKPOINT);
    writer_u64(writer, sequence);
}

void wire_write_want_records(struct writer *writer, uint64_t sequence, uint32_t offset)
{
    writer_u8(writer, WIRE_WANT_RECORDS);
    writer_u64(writer, sequence);
    writer_u32(writer, offset);
}

void wire_write_want(struct writer *writer, const struct vertex_ref *refs, size_t count)
{
    CHECK(count >= 1);
    CHECK(count <= WIRE_WANT_REFS_MAX);
    writer_u8(writer, WIRE_WANT);
    bcs_write_length(writer, (uint32_t)count);
    for (size_t i = 0; i < count; i++)
        vertex_encode(writer, &refs[i]);
}

void wire_write_want_range(struct writer *writer, round_t after)
{
    writer_u8(writer, WIRE_WANT_RANGE);
    writer_u64(writer, after);
}

void wire_write_want_header(struct writer *writer, const struct vertex_ref *ref)
{
    writer_u8(writer, WIRE_WANT_HEADER);
    vertex_encode(writer, ref);
}

void wire_write_position(struct writer *writer, const struct wire_position *position)
{
    writer_u8(writer, WIRE_POSITION);
    writer_u64(writer, position->quorum_round);
    writer_u64(writer, position->anchor_round);
    writer_u64(writer, position->certified_index);
    writer_u8(writer, position->rejoining ? 1 : 0);
}

void wire_write_preblock_certificate(struct writer *writer,
                                     const struct preblock *header,
                                     const struct quorum *quorum)
{
    writer_u8(writer, WIRE_PREBLOCK_CERTIFICATE);
    preblock_encode(writer, header);
    quorum_encode(writer, quorum);
}

void wire_write_want_preblock_certificate(struct writer *writer, uint64_t index)
{
    writer_u8(writer, WIRE_WANT_PREBLOCK_CERTIFICATE);
    writer_u64(writer, index);
}

void wire_write_rejoin_query(struct writer *writer, uint64_t nonce)
{
    writer_u8(writer, WIRE_REJOIN_QUERY);
    writer_u64(writer, nonce);
}

void wire_write_rejoin_answer(struct writer *writer,
                              uint64_t nonce,
                              const struct certificate *proof)
{
    writer_u8(writer, WIRE_REJOIN_ANSWER);
    writer_u64(writer, nonce);
    bcs_write_length(writer, proof == NULL ? 0 : 1);
    if (proof != NULL) certificate_encode(writer, proof);
}

void wire_write_batch_ack(struct writer *writer, const struct digest *digest)
{
    writer_u8(writer, WIRE_BATCH_ACK);
    writer_copy(writer, digest->bytes, sizeof digest->bytes);
}

void wire_read_attestation(struct wire_attestation *ret_attestation, struct reader *reader)
{
    ret_attestation->index = reader_u64(reader);
    reader_copy(reader, ret_attestation->digest.bytes, sizeof ret_attestation->digest.bytes);
    ret_attestation->authority = reader_u16(reader);
    reader_copy(reader, ret_attestation->signature.bytes, sizeof ret_attestation->signature.bytes);
}

void wire_read_position(struct wire_position *ret_position, struct reader *reader)
{
    uint8_t rejoining;

    ret_position->quorum_round = reader_u64(reader);
    ret_position->anchor_round = reader_u64(reader);
    ret_position->certified_index = reader_u64(reader);
    rejoining = reader_u8(reader);
    if (rejoining > 1) reader_fail(reader);
    ret_position->rejoining = rejoining == 1;
}

void wire_read_record(struct wire_record *ret_record, struct reader *reader)
{
    uint8_t last;

    ret_record->sequence = reader_u64(reader);
    ret_record->offset = reader_u32(reader);
    ret_record->total = reader_u32(reader);
    last = reader_u8(reader);
    ret_record->last = last == 1;
    ret_record->part = reader_view(reader, reader->left);
    if (last > 1 || ret_record->part.len > WIRE_RECORD_PART_MAX) reader_fail(reader);
    if (ret_record->offset > ret_record->total ||
        ret_record->part.len > ret_record->total - ret_record->offset)
        reader_fail(reader);
}
