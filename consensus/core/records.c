#include "consensus/core/records.h"

#include "common/bcs.h"
#include "common/codec.h"
#include "consensus/core/wire.h"

size_t key_of_number(uint8_t *ret, uint64_t number)
{
    struct writer writer = writer_make(ret, CORE_KEY_BYTES_MAX);

    writer_u64_be(&writer, number);
    CHECK(!writer.failed);
    return writer.len;
}

size_t key_of_slot(uint8_t *ret, round_t round, authority_t author)
{
    size_t len = key_of_number(ret, round);

    ret[len] = (uint8_t)(author >> 8);
    ret[len + 1] = (uint8_t)author;
    return len + 2;
}

size_t key_of_vertex(uint8_t *ret, const struct vertex_ref *ref)
{
    size_t len = key_of_slot(ret, ref->round, ref->author);

    memcpy(ret + len, ref->digest.bytes, sizeof ref->digest.bytes);
    CHECK(len + sizeof ref->digest.bytes <= CORE_KEY_BYTES_MAX);
    return len + sizeof ref->digest.bytes;
}

enum status number_of_key(uint64_t *ret_number, struct bytes key)
{
    struct reader reader = reader_make(key.data, key.len);
    uint64_t number = reader_u64_be(&reader);

    if (!reader_done(&reader)) return ERR_CORRUPT;
    *ret_number = number;
    return OK;
}

enum status slot_of_key(round_t *ret_round, authority_t *ret_author, struct bytes key)
{
    struct reader reader = reader_make(key.data, key.len);
    round_t round = reader_u64_be(&reader);
    unsigned high = reader_u8(&reader);
    unsigned low = reader_u8(&reader);

    if (reader.failed) return ERR_CORRUPT;
    *ret_round = round;
    *ret_author = (authority_t)(high << 8 | low);
    return OK;
}

/* ---- pre-block records ----------------------------------------------------------------------- */

enum status preblock_record_open(struct preblock_record *ret_record, struct bytes bytes)
{
    struct reader reader = reader_make(bytes.data, bytes.len);
    struct preblock_record record;

    preblock_decode(&record.header, &reader);
    vertex_decode(&record.anchor, &reader);
    record.vertices_count = bcs_read_length(&reader, PREBLOCK_VERTICES_MAX);
    record.vertices =
        reader_view(&reader, (size_t)record.vertices_count * PREBLOCK_RECORD_VERTEX_BYTES);
    record.batches_count = bcs_read_length(&reader, PREBLOCK_BATCHES_MAX + HEADER_BATCHES_MAX);
    record.batches =
        reader_view(&reader, (size_t)record.batches_count * PREBLOCK_RECORD_BATCH_BYTES);
    if (!reader_done(&reader)) return ERR_CORRUPT;
    if (record.batches_count != record.header.batches) return ERR_CORRUPT;
    *ret_record = record;
    return OK;
}

struct preblock_vertex preblock_record_vertex(const struct preblock_record *record, uint32_t index)
{
    struct preblock_vertex vertex;
    struct reader reader =
        reader_make(record->vertices.data + (size_t)index * PREBLOCK_RECORD_VERTEX_BYTES,
                    PREBLOCK_RECORD_VERTEX_BYTES);

    CHECK(index < record->vertices_count);
    vertex_decode(&vertex.ref, &reader);
    vertex.batches = reader_u32(&reader);
    CHECK(reader_done(&reader));
    return vertex;
}

struct preblock_batch preblock_record_batch(const struct preblock_record *record, uint32_t index)
{
    struct preblock_batch batch;
    struct reader reader =
        reader_make(record->batches.data + (size_t)index * PREBLOCK_RECORD_BATCH_BYTES,
                    PREBLOCK_RECORD_BATCH_BYTES);

    CHECK(index < record->batches_count);
    reader_copy(&reader, batch.digest.bytes, sizeof batch.digest.bytes);
    batch.worker = reader_u32(&reader);
    batch.bytes = reader_u32(&reader);
    batch.transactions = reader_u32(&reader);
    CHECK(reader_done(&reader));
    return batch;
}

void preblock_record_write_begin(struct writer *writer,
                                 const struct preblock *header,
                                 const struct vertex_ref *anchor,
                                 uint32_t vertices_count)
{
    preblock_encode(writer, header);
    vertex_encode(writer, anchor);
    bcs_write_length(writer, vertices_count);
}

void preblock_record_write_vertex(struct writer *writer,
                                  const struct vertex_ref *ref,
                                  uint32_t batches)
{
    vertex_encode(writer, ref);
    writer_u32(writer, batches);
}

void preblock_record_write_batches_count(struct writer *writer, uint32_t batches_count)
{
    bcs_write_length(writer, batches_count);
}

void preblock_record_write_batch(struct writer *writer, const struct preblock_batch *batch)
{
    writer_copy(writer, batch->digest.bytes, sizeof batch->digest.bytes);
    writer_u32(writer, batch->worker);
    writer_u32(writer, batch->bytes);
    writer_u32(writer, batch->transactions);
}

/* ---- rows ------------------------------------------------------------------------------------ */

void header_row_write(struct writer *writer,
                      const struct header *header,
                      const struct signature *signature)
{
    header_encode(writer, header);
    writer_copy(writer, signature->bytes, sizeof signature->bytes);
}

enum status header_row_read(struct header *ret_header,
                            struct signature *ret_signature,
                            struct bytes value)
{
    struct reader reader = reader_make(value.data, value.len);

    header_decode(ret_header, &reader);
    reader_copy(&reader, ret_signature->bytes, sizeof ret_signature->bytes);
    return reader_done(&reader) ? OK : ERR_CORRUPT;
}

void certificate_row_write(struct writer *writer,
                           const struct certificate *certificate,
                           bool verified)
{
    writer_u8(writer, verified ? 1 : 0);
    certificate_encode(writer, certificate);
}

enum status certificate_row_read(struct certificate *ret_certificate,
                                 bool *ret_verified,
                                 struct bytes value)
{
    struct reader reader = reader_make(value.data, value.len);
    uint8_t flag = reader_u8(&reader);

    certificate_decode(ret_certificate, &reader);
    if (!reader_done(&reader) || flag > 1) return ERR_CORRUPT;
    *ret_verified = flag == 1;
    return OK;
}
