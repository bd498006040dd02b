#include "consensus/node/worker_frame.h"

#include "common/batch.h"
#include "common/bytes.h"
#include "consensus/node/mesh.h"

void worker_frame_batch(struct buffer *buffer, const struct batch_record *record, bool fetched)
{
    size_t begin = BUFFER_BATCH - WORKER_BATCH_FIELDS_BYTES - MESH_PREFIX_BYTES;
    struct writer writer = writer_make(buffer->data + begin, BUFFER_BATCH - begin);

    writer_u32(&writer, WORKER_BATCH_FIELDS_BYTES + record->bytes);
    writer_u8(&writer, WIRE_BATCH);
    writer_u32(&writer, record->worker);
    writer_u64(&writer, record->created_at);
    writer_u8(&writer, fetched);
    CHECK(!writer.failed);
    buffer->begin = begin;
    buffer->len = MESH_PREFIX_BYTES + WORKER_BATCH_FIELDS_BYTES + record->bytes;
}

const char *worker_frame_read_batch(struct batch_record *ret_record,
                                    bool *ret_fetched,
                                    struct bytes *ret_batch,
                                    struct bytes body)
{
    struct reader reader = reader_make(body.data, body.len);
    struct batch_record record = {.own = false};

    CHECK(reader_u8(&reader) == WIRE_BATCH);
    record.worker = reader_u32(&reader);
    record.created_at = reader_u64(&reader);
    const uint8_t fetched = reader_u8(&reader);
    if (reader.failed || fetched > 1 || record.worker >= WORKERS || reader.left > BATCH_BYTES_MAX)
        return "malformed fields";
    record.bytes = (uint32_t)reader.left;
    if (batch_validate(&record.transactions, reader.next, reader.left) != OK)
        return "not a canonical batch";
    *ret_record = record;
    *ret_fetched = fetched == 1;
    *ret_batch = (struct bytes){reader.next, reader.left};
    return NULL;
}

void worker_frame_write_digest(struct writer *writer,
                               enum wire_kind kind,
                               const struct digest *digest,
                               uint32_t worker)
{
    writer_u8(writer, (uint8_t)kind);
    writer_copy(writer, digest->bytes, sizeof digest->bytes);
    if (kind == WIRE_WANT_BATCH) writer_u32(writer, worker);
}

bool worker_frame_read_want(struct digest *ret_digest, struct bytes body)
{
    struct reader reader = reader_make(body.data, body.len);

    CHECK(reader_u8(&reader) == WIRE_WANT_BATCH);
    reader_copy(&reader, ret_digest->bytes, sizeof ret_digest->bytes);
    (void)reader_u32(&reader);
    return reader_done(&reader);
}
