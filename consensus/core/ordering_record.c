#include "consensus/core/ordering_record.h"

#include "common/bcs.h"
#include "common/crypto.h"

/* ---- encoding -------------------------------------------------------------------------------- */

static void ordering_write_ref(struct writer *writer, const struct vertex_ref *ref)
{
    writer_u64(writer, ref->round);
    writer_u16(writer, ref->author);
    writer_copy(writer, ref->digest.bytes, sizeof ref->digest.bytes);
}

void ordering_encoder_begin(struct ordering_encoder *encoder,
                            void *memory,
                            size_t capacity,
                            const struct ordering_record *head,
                            const struct commit_slot *skipped)
{
    struct writer *writer = &encoder->writer;

    CHECK(head->sequence >= 1);
    CHECK(head->vertices_count >= 1);
    CHECK(head->skipped_count <= DAG_ROUNDS / 2);
    *writer = writer_make(memory, capacity);
    writer_u8(writer, ORDERING_RECORD_VERSION);
    writer_u64(writer, head->sequence);
    writer_copy(writer, head->previous.bytes, sizeof head->previous.bytes);
    writer_u64(writer, head->previous_round);
    ordering_write_ref(writer, &head->anchor);
    writer_u64(writer, head->created_at);
    writer_u64(writer, head->excluded.words[0]);
    writer_u64(writer, head->excluded.words[1]);
    bcs_write_length(writer, head->skipped_count);
    for (uint32_t i = 0; i < head->skipped_count; i++) {
        writer_u64(writer, skipped[i].round);
        writer_u16(writer, skipped[i].author);
    }
    encoder->batches = 0;
    encoder->batches_at = writer->len;
    writer_u32(writer, 0);
    bcs_write_length(writer, head->vertices_count);
    CHECK(!writer->failed);
}

void ordering_encoder_vertex(struct ordering_encoder *encoder,
                             const struct vertex_ref *ref,
                             const struct ordering_batch *batches,
                             uint32_t count)
{
    struct writer *writer = &encoder->writer;

    CHECK(count <= HEADER_BATCHES_MAX);
    ordering_write_ref(writer, ref);
    bcs_write_length(writer, count);
    for (uint32_t i = 0; i < count; i++) {
        writer_copy(writer, batches[i].digest.bytes, sizeof batches[i].digest.bytes);
        writer_u32(writer, batches[i].worker);
    }
    encoder->batches += count;
    CHECK(!writer->failed);
}

struct bytes ordering_encoder_finish(struct ordering_encoder *encoder)
{
    CHECK(!encoder->writer.failed);
    CHECK(encoder->batches_at + 4 <= encoder->writer.len);

    struct writer patch = writer_make(encoder->writer.data + encoder->batches_at, 4);
    writer_u32(&patch, encoder->batches);
    return writer_view(&encoder->writer);
}

/* ---- decoding -------------------------------------------------------------------------------- */

static void ordering_read_digest(struct reader *reader, struct digest *ret_digest)
{
    reader_copy(reader, ret_digest->bytes, sizeof ret_digest->bytes);
}

static struct vertex_ref ordering_read_ref(struct reader *reader)
{
    struct vertex_ref ref;

    ref.round = reader_u64(reader);
    ref.author = reader_u16(reader);
    ordering_read_digest(reader, &ref.digest);
    return ref;
}

static void ordering_read_head(struct ordering_record *record, struct reader *reader)
{
    if (reader_u8(reader) != ORDERING_RECORD_VERSION) reader_fail(reader);
    record->sequence = reader_u64(reader);
    ordering_read_digest(reader, &record->previous);
    record->previous_round = reader_u64(reader);
    record->anchor = ordering_read_ref(reader);
    record->created_at = reader_u64(reader);
    record->excluded.words[0] = reader_u64(reader);
    record->excluded.words[1] = reader_u64(reader);
    record->skipped_count = bcs_read_length(reader, DAG_ROUNDS / 2);
    record->skipped = reader_view(reader, (size_t)record->skipped_count * ORDERING_SLOT_BYTES);
    record->batches_count = reader_u32(reader);
    record->vertices_count = bcs_read_length(reader, DAG_ROUNDS * AUTHORITIES_MAX);
    if (record->sequence == 0 || record->vertices_count == 0) reader_fail(reader);
    if (record->anchor.round <= record->previous_round) reader_fail(reader);
}

/* Slots ascend between the previous anchor and this one. */
static bool ordering_slots_ascend(const struct ordering_record *record)
{
    round_t last = record->previous_round;

    for (uint32_t i = 0; i < record->skipped_count; i++) {
        struct commit_slot slot = ordering_record_skipped(record, i);
        if (slot.round <= last || slot.round >= record->anchor.round) return false;
        last = slot.round;
    }
    return true;
}

/* Vertices ascend by (round, author), the anchor is the last, and batches are as many as said. */
static bool ordering_vertices_ascend(const struct ordering_record *record)
{
    struct ordering_cursor cursor = ordering_record_begin(record);
    struct ordering_vertex vertex = {0};
    struct vertex_ref last = {0};
    uint64_t batches = 0;
    uint32_t vertices = 0;

    while (ordering_record_next(&cursor, &vertex)) {
        const struct vertex_ref *ref = &vertex.ref;
        if (ref->round < last.round) return false;
        if (ref->round == last.round && ref->author <= last.author) return false;
        last = *ref;
        batches += vertex.batches;
        vertices++;
    }
    return reader_done(&cursor.reader) && vertices == record->vertices_count &&
           batches == record->batches_count && last.round == record->anchor.round &&
           last.author == record->anchor.author &&
           digest_equal(&last.digest, &record->anchor.digest);
}

enum status ordering_record_open(struct ordering_record *ret_record, struct bytes bytes)
{
    struct ordering_record record = {.bytes = bytes};
    struct reader reader = reader_make(bytes.data, bytes.len);

    ordering_read_head(&record, &reader);
    if (reader.failed) return ERR_CORRUPT;
    record.vertices = reader_view(&reader, reader.left);
    if (!ordering_slots_ascend(&record)) return ERR_CORRUPT;
    if (!ordering_vertices_ascend(&record)) return ERR_CORRUPT;
    *ret_record = record;
    return OK;
}

void ordering_record_digest(struct digest *ret_digest, const struct ordering_record *record)
{
    crypto_hash_one(ret_digest, record->bytes.data, record->bytes.len);
}

struct commit_slot ordering_record_skipped(const struct ordering_record *record, uint32_t index)
{
    CHECK(index < record->skipped_count);

    const uint8_t *at = record->skipped.data + (size_t)index * ORDERING_SLOT_BYTES;
    struct reader reader = reader_make(at, ORDERING_SLOT_BYTES);
    struct commit_slot slot;
    slot.round = reader_u64(&reader);
    slot.author = reader_u16(&reader);
    return slot;
}

struct ordering_cursor ordering_record_begin(const struct ordering_record *record)
{
    struct ordering_cursor cursor = {
        .reader = reader_make(record->vertices.data, record->vertices.len),
        .vertices_left = record->vertices_count,
    };
    return cursor;
}

bool ordering_record_next(struct ordering_cursor *cursor, struct ordering_vertex *ret_vertex)
{
    (void)reader_view(&cursor->reader, (size_t)cursor->batches_left * ORDERING_BATCH_BYTES);
    cursor->batches_left = 0;
    if (cursor->vertices_left == 0) return false;

    struct ordering_vertex vertex;
    vertex.ref = ordering_read_ref(&cursor->reader);
    vertex.batches = bcs_read_length(&cursor->reader, HEADER_BATCHES_MAX);
    if (cursor->reader.failed) return false;
    cursor->vertices_left--;
    cursor->batches_left = vertex.batches;
    *ret_vertex = vertex;
    return true;
}

bool ordering_record_next_batch(struct ordering_cursor *cursor, struct ordering_batch *ret_batch)
{
    if (cursor->batches_left == 0) return false;

    struct ordering_batch batch;
    ordering_read_digest(&cursor->reader, &batch.digest);
    batch.worker = reader_u32(&cursor->reader);
    if (cursor->reader.failed) return false;
    cursor->batches_left--;
    *ret_batch = batch;
    return true;
}
