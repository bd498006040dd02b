#include "common/codec.h"

#include "common/bcs.h"
#include "common/crypto.h"

_Static_assert(HEADER_BATCHES_MAX < 128 && AUTHORITIES_MAX < 128,
               "the byte bounds count one byte for each length");

void header_encode(struct writer *writer, const struct header *header)
{
    CHECK(header->payload_count <= HEADER_BATCHES_MAX);
    CHECK(header->parents_count <= AUTHORITIES_MAX);

    writer_u16(writer, header->author);
    writer_u64(writer, header->round);
    writer_u64(writer, header->epoch);
    writer_u64(writer, header->created_at);
    bcs_write_length(writer, header->payload_count);
    for (uint32_t i = 0; i < header->payload_count; i++) {
        const struct batch_info *batch = &header->payload[i];
        writer_copy(writer, batch->digest.bytes, sizeof batch->digest.bytes);
        writer_u32(writer, batch->worker);
        writer_u64(writer, batch->created_at);
    }
    bcs_write_length(writer, 0); /* system_messages */
    bcs_write_length(writer, header->parents_count);
    writer_copy(writer, header->parents, header->parents_count * sizeof header->parents[0]);
}

void header_decode(struct header *ret_header, struct reader *reader)
{
    ret_header->author = reader_u16(reader);
    if (ret_header->author >= AUTHORITIES_MAX) reader_fail(reader);
    ret_header->round = reader_u64(reader);
    ret_header->epoch = reader_u64(reader);
    ret_header->created_at = reader_u64(reader);

    ret_header->payload_count = bcs_read_length(reader, HEADER_BATCHES_MAX);
    for (uint32_t i = 0; i < ret_header->payload_count; i++) {
        struct batch_info *batch = &ret_header->payload[i];
        reader_copy(reader, batch->digest.bytes, sizeof batch->digest.bytes);
        batch->worker = reader_u32(reader);
        batch->created_at = reader_u64(reader);
    }

    bcs_read_length(reader, 0); /* system_messages */
    ret_header->parents_count = bcs_read_length(reader, AUTHORITIES_MAX);
    reader_copy(reader, ret_header->parents,
                ret_header->parents_count * sizeof ret_header->parents[0]);
    for (uint32_t i = 1; i < ret_header->parents_count; i++) {
        const struct digest *parents = ret_header->parents;
        if (memcmp(parents[i - 1].bytes, parents[i].bytes, sizeof parents[i].bytes) >= 0) {
            reader_fail(reader);
        }
    }
}

void vote_encode(struct writer *writer, const struct vote *vote)
{
    writer_copy(writer, vote->header.bytes, sizeof vote->header.bytes);
    writer_u64(writer, vote->round);
    writer_u16(writer, vote->author);
    writer_u16(writer, vote->voter);
    writer_copy(writer, vote->signature.bytes, sizeof vote->signature.bytes);
}

void vote_decode(struct vote *ret_vote, struct reader *reader)
{
    reader_copy(reader, ret_vote->header.bytes, sizeof ret_vote->header.bytes);
    ret_vote->round = reader_u64(reader);
    ret_vote->author = reader_u16(reader);
    ret_vote->voter = reader_u16(reader);
    if (ret_vote->author >= AUTHORITIES_MAX || ret_vote->voter >= AUTHORITIES_MAX) {
        reader_fail(reader);
    }
    reader_copy(reader, ret_vote->signature.bytes, sizeof ret_vote->signature.bytes);
}

void quorum_encode(struct writer *writer, const struct quorum *quorum)
{
    CHECK(quorum->count <= AUTHORITIES_MAX);

    bcs_write_length(writer, quorum->count);
    writer_copy(writer, quorum->signers, quorum->count);
    bcs_write_length(writer, quorum->count);
    writer_copy(writer, quorum->signatures, quorum->count * sizeof quorum->signatures[0]);
}

void quorum_decode(struct quorum *ret_quorum, struct reader *reader)
{
    ret_quorum->count = bcs_read_length(reader, AUTHORITIES_MAX);
    reader_copy(reader, ret_quorum->signers, ret_quorum->count);
    for (uint32_t i = 0; i < ret_quorum->count; i++) {
        const uint8_t *signers = ret_quorum->signers;
        if (signers[i] >= AUTHORITIES_MAX) reader_fail(reader);
        if (i > 0 && signers[i - 1] >= signers[i]) reader_fail(reader);
    }
    if (bcs_read_length(reader, AUTHORITIES_MAX) != ret_quorum->count) reader_fail(reader);
    reader_copy(reader, ret_quorum->signatures,
                ret_quorum->count * sizeof ret_quorum->signatures[0]);
}

void certificate_encode(struct writer *writer, const struct certificate *certificate)
{
    header_encode(writer, &certificate->header);
    quorum_encode(writer, &certificate->quorum);
}

void certificate_decode(struct certificate *ret_certificate, struct reader *reader)
{
    header_decode(&ret_certificate->header, reader);
    quorum_decode(&ret_certificate->quorum, reader);
}

void header_digest(struct digest *ret_digest, const struct header *header)
{
    uint8_t bytes[HEADER_BYTES_MAX];
    struct writer writer = writer_make(bytes, sizeof bytes);

    header_encode(&writer, header);
    CHECK(!writer.failed);
    crypto_hash_one(ret_digest, bytes, writer.len);
}

/* At most 64 entries, so comparing every pair is cheaper than sorting a copy. */
static bool payload_is_distinct(const struct header *header)
{
    for (uint32_t i = 1; i < header->payload_count; i++) {
        for (uint32_t j = 0; j < i; j++) {
            if (digest_equal(&header->payload[i].digest, &header->payload[j].digest)) return false;
        }
    }
    return true;
}

enum status header_validate(const struct header *header, const struct committee *committee)
{
    if (header->author >= committee->count) return ERR_UNKNOWN_AUTHORITY;
    if (header->epoch != committee->epoch) return ERR_EPOCH;
    if (header->round == 0) return ERR_STALE;
    if (header->parents_count > committee->count) return ERR_MALFORMED;
    for (uint32_t i = 0; i < header->payload_count; i++) {
        if (header->payload[i].worker >= WORKERS) return ERR_MALFORMED;
    }
    return payload_is_distinct(header) ? OK : ERR_MALFORMED;
}
