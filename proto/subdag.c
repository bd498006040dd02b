#include "proto/subdag.h"

#include "common/codec.h"
#include "proto/pb.h"

/* Field numbers of exporter.proto. */
enum {
    SUBDAG_ID = 1,
    SUBDAG_LEADER = 2,
    SUBDAG_CERTIFICATES = 3,
    SUBDAG_PAYLOADS = 4,
    SUBDAG_PREBLOCK_HEADER = 5,
    SUBDAG_PREBLOCK_CERTIFICATE = 6,
    CERTIFICATE_HEADER = 1,
    CERTIFICATE_SIGNATURE = 2,
    CERTIFICATE_SIGNERS = 3,
    HEADER_AUTHOR = 1,
    HEADER_ROUND = 2,
    HEADER_EPOCH = 3,
    HEADER_CREATED_AT = 4,
    HEADER_PAYLOAD_INFO = 5,
    HEADER_SYSTEM_MESSAGES = 6,
    HEADER_PARENTS = 7,
    INFO_DIGEST = 1,
    INFO_WORKER = 2,
    INFO_CREATED_AT = 3,
    PAYLOAD_BATCHES = 1,
};

/* ---- writing --------------------------------------------------------------------------------- */

static size_t info_bytes(const struct batch_info *info)
{
    return pb_bytes_bytes(sizeof info->digest) + pb_uint_bytes(info->worker) +
           pb_uint_bytes(info->created_at);
}

static size_t header_bytes(const struct header *header)
{
    size_t bytes = pb_uint_bytes(header->author) + pb_uint_bytes(header->round) +
                   pb_uint_bytes(header->epoch) + pb_uint_bytes(header->created_at) +
                   header->parents_count * pb_bytes_bytes(sizeof(struct digest));
    for (uint32_t i = 0; i < header->payload_count; i++)
        bytes += pb_bytes_bytes(info_bytes(&header->payload[i]));
    return bytes;
}

/* A bytes field that is not repeated: proto3 leaves it out when it is empty. */
static size_t optional_bytes(size_t len)
{
    return len == 0 ? 0 : pb_bytes_bytes(len);
}

static size_t certificate_bytes(const struct certificate *certificate)
{
    size_t signers = certificate->quorum.count;
    return pb_bytes_bytes(header_bytes(&certificate->header)) +
           optional_bytes(signers * sizeof(struct signature)) + optional_bytes(signers);
}

size_t subdag_certificate_bytes(const struct certificate *certificate)
{
    return pb_bytes_bytes(certificate_bytes(certificate));
}

size_t subdag_bytes_max(uint32_t vertices, uint32_t batches, uint64_t bytes)
{
    /* id, header and its certificate; 6 bytes of key and length per payload and batch. */
    return 11 + (2 + PREBLOCK_HEADER_BYTES) + (4 + QUORUM_BYTES_MAX) +
           6 * ((size_t)vertices + batches) + (size_t)bytes;
}

static void write_header(struct writer *writer, const struct header *header)
{
    pb_write_uint(writer, HEADER_AUTHOR, header->author);
    pb_write_uint(writer, HEADER_ROUND, header->round);
    pb_write_uint(writer, HEADER_EPOCH, header->epoch);
    pb_write_uint(writer, HEADER_CREATED_AT, header->created_at);
    for (uint32_t i = 0; i < header->payload_count; i++) {
        const struct batch_info *info = &header->payload[i];
        pb_write_head(writer, HEADER_PAYLOAD_INFO, info_bytes(info));
        pb_write_bytes(writer, INFO_DIGEST, (struct bytes){info->digest.bytes, 32});
        pb_write_uint(writer, INFO_WORKER, info->worker);
        pb_write_uint(writer, INFO_CREATED_AT, info->created_at);
    }
    for (uint32_t i = 0; i < header->parents_count; i++)
        pb_write_bytes(writer, HEADER_PARENTS, (struct bytes){header->parents[i].bytes, 32});
}

static void write_certificate(struct writer *writer,
                              uint32_t number,
                              const struct certificate *certificate)
{
    const struct quorum *quorum = &certificate->quorum;
    pb_write_head(writer, number, certificate_bytes(certificate));
    pb_write_head(writer, CERTIFICATE_HEADER, header_bytes(&certificate->header));
    write_header(writer, &certificate->header);
    if (quorum->count == 0) return;
    pb_write_head(writer, CERTIFICATE_SIGNATURE, quorum->count * sizeof(struct signature));
    writer_copy(writer, quorum->signatures, quorum->count * sizeof(struct signature));
    pb_write_bytes(writer, CERTIFICATE_SIGNERS, (struct bytes){quorum->signers, quorum->count});
}

void subdag_write_start(struct writer *writer, uint64_t id, const struct certificate *leader)
{
    pb_write_uint(writer, SUBDAG_ID, id);
    write_certificate(writer, SUBDAG_LEADER, leader);
}

void subdag_write_certificate(struct writer *writer, const struct certificate *certificate)
{
    write_certificate(writer, SUBDAG_CERTIFICATES, certificate);
}

void subdag_write_payload(struct writer *writer, const uint32_t *batch_bytes, uint32_t count)
{
    size_t bytes = 0;
    for (uint32_t i = 0; i < count; i++)
        bytes += pb_bytes_bytes(batch_bytes[i]);
    pb_write_head(writer, SUBDAG_PAYLOADS, bytes);
}

void subdag_write_batch(struct writer *writer, struct bytes batch)
{
    pb_write_bytes(writer, PAYLOAD_BATCHES, batch);
}

uint8_t *subdag_reserve_batch(struct writer *writer, uint32_t len)
{
    pb_write_head(writer, PAYLOAD_BATCHES, len);
    if (len > writer->capacity - writer->len) writer->failed = true;
    if (writer->failed) return NULL;
    uint8_t *room = writer->data + writer->len;
    writer->len += len;
    return room;
}

void subdag_write_end(struct writer *writer,
                      const struct preblock *preblock,
                      const struct quorum *quorum)
{
    pb_write_head(writer, SUBDAG_PREBLOCK_HEADER, PREBLOCK_HEADER_BYTES);
    preblock_encode(writer, preblock);
    if (quorum == NULL) return;
    uint8_t memory[QUORUM_BYTES_MAX];
    struct writer encoded = writer_make(memory, sizeof memory);
    quorum_encode(&encoded, quorum);
    CHECK(!encoded.failed);
    pb_write_bytes(writer, SUBDAG_PREBLOCK_CERTIFICATE, writer_view(&encoded));
}

/* ---- reading --------------------------------------------------------------------------------- */

enum status subdag_open(struct subdag *ret_subdag, struct bytes bytes)
{
    struct subdag subdag = {.bytes = bytes};
    struct reader reader = reader_make(bytes.data, bytes.len);
    struct pb_field field;
    while (pb_next(&field, &reader)) {
        bool is_bytes = field.kind == PB_BYTES;
        if (field.number == SUBDAG_ID && field.kind == PB_VARINT) subdag.id = field.value;
        if (!is_bytes) continue;
        if (field.number == SUBDAG_LEADER) subdag.leader = field.bytes;
        if (field.number == SUBDAG_CERTIFICATES) subdag.certificates_count++;
        if (field.number == SUBDAG_PAYLOADS) subdag.payloads_count++;
        if (field.number == SUBDAG_PREBLOCK_HEADER) subdag.preblock_header = field.bytes;
        if (field.number == SUBDAG_PREBLOCK_CERTIFICATE) subdag.preblock_certificate = field.bytes;
    }
    if (!reader_done(&reader)) return ERR_MALFORMED;
    *ret_subdag = subdag;
    return OK;
}

static bool next_bytes(struct bytes *ret, struct reader *cursor, uint32_t number)
{
    struct pb_field field;
    while (pb_next(&field, cursor)) {
        if (field.number != number || field.kind != PB_BYTES) continue;
        *ret = field.bytes;
        return true;
    }
    return false;
}

bool subdag_next_certificate(struct bytes *ret_certificate, struct reader *cursor)
{
    return next_bytes(ret_certificate, cursor, SUBDAG_CERTIFICATES);
}

bool subdag_next_payload(struct bytes *ret_payload, struct reader *cursor)
{
    return next_bytes(ret_payload, cursor, SUBDAG_PAYLOADS);
}

bool subdag_next_batch(struct bytes *ret_batch, struct reader *cursor)
{
    return next_bytes(ret_batch, cursor, PAYLOAD_BATCHES);
}

static bool read_digest(struct digest *ret_digest, struct bytes bytes)
{
    if (bytes.len != sizeof ret_digest->bytes) return false;
    memcpy(ret_digest->bytes, bytes.data, bytes.len);
    return true;
}

static bool read_info(struct batch_info *ret_info, struct bytes bytes)
{
    struct batch_info info = {0};
    bool has_digest = false;
    struct reader reader = reader_make(bytes.data, bytes.len);
    struct pb_field field;
    while (pb_next(&field, &reader)) {
        if (field.number == INFO_DIGEST && field.kind == PB_BYTES)
            has_digest = read_digest(&info.digest, field.bytes);
        if (field.number == INFO_WORKER && field.kind == PB_VARINT) {
            if (field.value > UINT32_MAX) return false;
            info.worker = (uint32_t)field.value;
        }
        if (field.number == INFO_CREATED_AT && field.kind == PB_VARINT)
            info.created_at = field.value;
    }
    *ret_info = info;
    return reader_done(&reader) && has_digest;
}

static bool read_header_number(struct header *header, const struct pb_field *field)
{
    if (field->number == HEADER_AUTHOR) {
        if (field->value >= AUTHORITIES_MAX) return false;
        header->author = (authority_t)field->value;
    }
    if (field->number == HEADER_ROUND) header->round = field->value;
    if (field->number == HEADER_EPOCH) header->epoch = field->value;
    if (field->number == HEADER_CREATED_AT) header->created_at = field->value;
    return true;
}

static bool read_header_bytes(struct header *header, const struct pb_field *field)
{
    if (field->number == HEADER_SYSTEM_MESSAGES) return false;
    if (field->number == HEADER_PAYLOAD_INFO) {
        if (header->payload_count == HEADER_BATCHES_MAX) return false;
        return read_info(&header->payload[header->payload_count++], field->bytes);
    }
    if (field->number == HEADER_PARENTS) {
        if (header->parents_count == AUTHORITIES_MAX) return false;
        return read_digest(&header->parents[header->parents_count++], field->bytes);
    }
    return true;
}

static bool read_header(struct header *ret_header, struct bytes bytes)
{
    *ret_header = (struct header){0};
    struct reader reader = reader_make(bytes.data, bytes.len);
    struct pb_field field;
    while (pb_next(&field, &reader)) {
        bool good = true;
        if (field.kind == PB_VARINT) good = read_header_number(ret_header, &field);
        if (field.kind == PB_BYTES) good = read_header_bytes(ret_header, &field);
        if (!good) return false;
    }
    return reader_done(&reader);
}

enum status subdag_read_certificate(struct certificate *ret_certificate, struct bytes bytes)
{
    struct bytes header = {NULL, 0};
    struct bytes signatures = {NULL, 0};
    struct bytes signers = {NULL, 0};
    struct reader reader = reader_make(bytes.data, bytes.len);
    struct pb_field field;
    while (pb_next(&field, &reader)) {
        if (field.kind != PB_BYTES) continue;
        if (field.number == CERTIFICATE_HEADER) header = field.bytes;
        if (field.number == CERTIFICATE_SIGNATURE) signatures = field.bytes;
        if (field.number == CERTIFICATE_SIGNERS) signers = field.bytes;
    }
    if (!reader_done(&reader) || header.len == 0) return ERR_MALFORMED;
    if (signers.len > AUTHORITIES_MAX) return ERR_MALFORMED;
    if (signatures.len != signers.len * sizeof(struct signature)) return ERR_MALFORMED;
    if (!read_header(&ret_certificate->header, header)) return ERR_MALFORMED;
    struct quorum *quorum = &ret_certificate->quorum;
    quorum->count = (uint32_t)signers.len;
    if (signers.len > 0) memcpy(quorum->signers, signers.data, signers.len);
    if (signatures.len > 0) memcpy(quorum->signatures, signatures.data, signatures.len);
    return OK;
}
