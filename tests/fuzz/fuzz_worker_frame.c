#include "tests/fuzz/fuzz.h"

#include "common/batch.h"
#include "consensus/node/mesh.h"
#include "consensus/node/worker_frame.h"

/* A peer's frames on the bulk link. What is taken for a batch is one, and has one form only: the frame that sends
 * it on has the same bytes. */
static void check_batch(const uint8_t *data, size_t size)
{
    struct batch_record record;
    struct bytes batch;
    bool fetched = false;
    uint32_t transactions = 0;

    if (worker_frame_read_batch(&record, &fetched, &batch, (struct bytes){data, size}) != NULL)
        return;
    CHECK(batch.data == data + WORKER_BATCH_FIELDS_BYTES);
    CHECK(batch.data + batch.len == data + size);
    CHECK(record.bytes == batch.len);
    CHECK(record.worker < WORKERS);
    CHECK(batch_validate(&transactions, batch.data, batch.len) == OK);
    CHECK(transactions == record.transactions);

    struct buffer *frame = buffer_new(BUFFER_BATCH + batch.len);
    memcpy(frame->data + BUFFER_BATCH, batch.data, batch.len);
    worker_frame_batch(frame, &record, fetched);
    CHECK(frame->len == MESH_PREFIX_BYTES + size);
    CHECK(memcmp(frame->data + frame->begin + MESH_PREFIX_BYTES, data, size) == 0);
    buffer_unref(frame);
}

static void check_want(const uint8_t *data, size_t size)
{
    uint8_t memory[64];
    struct digest digest;
    struct writer writer = writer_make(memory, sizeof memory);

    if (!worker_frame_read_want(&digest, (struct bytes){data, size})) return;
    worker_frame_write_digest(&writer, WIRE_WANT_BATCH, &digest, 0);
    CHECK(writer.len == size);
    CHECK(memcmp(memory, data, size - sizeof(uint32_t)) == 0); /* the worker is not looked at */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) return 0; /* no frame is empty (mesh_frame.h) */
    if (data[0] == WIRE_BATCH) check_batch(data, size);
    if (data[0] == WIRE_WANT_BATCH) check_want(data, size);
    return 0;
}
