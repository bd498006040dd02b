#include <stdlib.h>

#include "common/batch.h"
#include "common/crypto.h"
#include "common/envelope.h"
#include "consensus/core/checkpoint.h"
#include "consensus/core/wire.h"
#include "proto/pb.h"
#include "proto/receipt.h"
#include "tests/fuzz/corpus_file.h"
#include "tests/unit/verify_world.h"

static uint8_t memory[20000];

/* ---- frames ---------------------------------------------------------------------------------- */

static void save_frames(void)
{
    const uint8_t pieces[] = {3, 255};
    struct writer writer = writer_make(memory, sizeof memory);

    writer_copy(&writer, pieces, sizeof pieces);
    for (uint32_t len = 1; len < 200; len = 3 * len) {
        writer_u32(&writer, len);
        for (uint32_t i = 0; i < len; i++)
            writer_u8(&writer, (uint8_t)(len + i));
    }
    corpus_save_writer("mesh_frame", "pieces", &writer);
    memory[0] = 0;
    corpus_save_writer("mesh_frame", "whole", &writer);
    corpus_save("mesh_frame", "empty_frame", "\x05\x00\x00\x00\x00\x00x", 7);
    corpus_save("mesh_frame", "too_long", "\x05\xff\x00\x01\x00\x00xyz", 9);

    const struct digest digest = {{7, 7, 7}};
    writer = writer_make(memory, sizeof memory);
    writer_u8(&writer, WIRE_BATCH);
    writer_u32(&writer, 0);
    writer_u64(&writer, 1767323045678);
    writer_u8(&writer, 1);
    batch_append(&writer, (const uint8_t *)"abc", 3);
    batch_append(&writer, (const uint8_t *)"defghi", 6);
    corpus_save_writer("worker_frame", "batch", &writer);
    memory[13] = 2;
    corpus_save_writer("worker_frame", "fetched_2", &writer);
    writer = writer_make(memory, sizeof memory);
    writer_u8(&writer, WIRE_WANT_BATCH);
    writer_copy(&writer, digest.bytes, sizeof digest.bytes);
    writer_u32(&writer, 0);
    corpus_save_writer("worker_frame", "want", &writer);
}

static void save_checkpoints(void)
{
    static struct checkpoint_proof proof;
    struct writer writer = writer_make(memory, sizeof memory);
    struct bytes body;

    proof.checkpoint = (struct checkpoint){
        .epoch = 1, .sequence = 200, .round = 230, .preblock = {.epoch = 1, .index = 9}};
    checkpoint_row_write(&writer, &proof);
    corpus_save_writer("checkpoint", "signed", &writer);
    proof.checkpoint.preblock = (struct preblock){0};
    proof.quorum.count = 3;
    for (uint8_t i = 0; i < 3; i++)
        proof.quorum.signers[i] = i;
    writer = writer_make(memory, sizeof memory);
    checkpoint_row_write(&writer, &proof);
    corpus_save_writer("checkpoint", "final", &writer);
    memory[9] ^= 1; /* no multiple of the interval */
    corpus_save_writer("checkpoint", "wrong_sequence", &writer);
    static uint8_t part[WIRE_RECORD_BYTES_MAX];
    (void)wire_record_body(&body, part, 200, 4, (struct bytes){memory, 40}, false);
    corpus_save("checkpoint", "part", body.data, body.len);
    (void)wire_record_body(&body, part, 200, 0, (struct bytes){NULL, 0}, false);
    corpus_save("checkpoint", "not_held", body.data, body.len);
}

static void save_wire(void)
{
    const struct wire_attestation attestation = {.index = 9, .authority = 3};
    const struct wire_position position = {7, 5, 9, true};
    const struct vertex_ref ref = {.round = 8, .author = 1};
    struct writer writer = writer_make(memory, sizeof memory);

    wire_write_attestation(&writer, &attestation);
    corpus_save_writer("wire", "attestation", &writer);
    writer = writer_make(memory, sizeof memory);
    wire_write_position(&writer, &position);
    corpus_save_writer("wire", "position", &writer);
    memory[writer.len - 1] = 2;
    corpus_save_writer("wire", "rejoining_2", &writer);
    writer = writer_make(memory, sizeof memory);
    wire_write_want_header(&writer, &ref);
    corpus_save_writer("wire", "want_header", &writer);
}

/* ---- calls ----------------------------------------------------------------------------------- */

static void save_receipts(void)
{
    const struct receipt receipt = {{{5}}, 300, 2, 3, 1};
    const struct summary summary = {1000, UINT64_MAX};
    struct writer writer = writer_make(memory, sizeof memory);

    receipt_write(&writer, &receipt);
    corpus_save_writer("receipt", "receipt", &writer);
    writer = writer_make(memory, sizeof memory);
    summary_write(&writer, &summary);
    corpus_save_writer("receipt", "summary", &writer);
    corpus_save("receipt", "position_over_32_bits", "\x18\xff\xff\xff\xff\x7f", 6);
    corpus_save("receipt", "short_digest", "\x0a\x02\x01\x02", 4);
}

static void add_message(struct writer *script, const struct writer *message)
{
    CHECK(!message->failed);
    writer_u16(script, (uint16_t)message->len);
    writer_copy(script, message->data, message->len);
}

/* One call: method and slices, then messages. */
static struct writer begin_call(uint8_t method, uint8_t slices)
{
    struct writer script = writer_make(memory, sizeof memory);

    writer_u8(&script, method);
    writer_u8(&script, slices);
    return script;
}

static void write_envelope(struct writer *writer, uint64_t nonce)
{
    uint8_t bytes[1000];
    struct writer encoded = writer_make(bytes, sizeof bytes);
    struct envelope envelope = {.nonce = nonce, .expiry_ms = 4000000000000};
    struct secret_key secret;
    struct digest digest;
    uint8_t seed[32] = {1};

    memset(envelope.network.bytes, 0x11, sizeof envelope.network.bytes);
    crypto_key_pair(&envelope.key, &secret, seed);
    envelope.payload = (struct bytes){(const uint8_t *)"hello", 5};
    envelope_digest(&digest, &envelope);
    crypto_sign(&envelope.signature, SCOPE_ENVELOPE, &digest, &secret);
    envelope_encode(&encoded, &envelope);
    batch_append(writer, encoded.data, encoded.len);
}

static void save_calls(void)
{
    uint8_t bytes[2000] = {0};
    struct writer message = writer_make(bytes, sizeof bytes);
    struct writer script = begin_call(0, 5);

    batch_append(&message, (const uint8_t *)"transaction", 11);
    add_message(&script, &message);
    corpus_save_writer("grpc_message", "transaction", &script);
    memory[0] = 1;
    add_message(&script, &message);
    corpus_save_writer("grpc_message", "stream", &script);

    script = begin_call(2, 0);
    batch_append(&message, bytes, 900);
    batch_append(&message, bytes, 500);
    add_message(&script, &message);
    corpus_save_writer("grpc_message", "batches", &script);

    script = begin_call(3, 0);
    message = writer_make(bytes, sizeof bytes);
    pb_write_uint(&message, 2, 3);
    pb_write_bytes(&message, 1, (struct bytes){(const uint8_t *)"x", 1});
    add_message(&script, &message);
    corpus_save_writer("grpc_message", "and_wait", &script);

    script = begin_call(4, 1);
    message = writer_make(bytes, sizeof bytes);
    pb_write_uint(&message, 1, 7);
    pb_write_uint(&message, 2, 1);
    add_message(&script, &message);
    corpus_save_writer("grpc_message", "export", &script);

    script = begin_call(5, 0);
    message = writer_make(bytes, sizeof bytes);
    pb_write_bytes(&message, 1, (struct bytes){(const uint8_t *)"exporter.Exporter", 17});
    add_message(&script, &message);
    corpus_save_writer("grpc_message", "health", &script);

    script = begin_call(7, 0);
    message = writer_make(bytes, sizeof bytes);
    pb_write_bytes(&message, 4, (struct bytes){(const uint8_t *)"exporter.Exporter", 17});
    add_message(&script, &message);
    message = writer_make(bytes, sizeof bytes);
    pb_write_bytes(&message, 7, (struct bytes){NULL, 0});
    add_message(&script, &message);
    corpus_save_writer("grpc_message", "reflection", &script);

    script = begin_call(130, 9);
    message = writer_make(bytes, sizeof bytes);
    write_envelope(&message, 1);
    write_envelope(&message, 2);
    add_message(&script, &message);
    corpus_save_writer("grpc_message", "envelopes", &script);
}

/* ---- streams and stores ---------------------------------------------------------------------- */

static void save_streams(void)
{
    struct writer script = writer_make(memory, sizeof memory);

    for (uint8_t number = 1; number <= WORLD_ITEMS; number++) {
        writer_u8(&script, number);
        writer_u16(&script, 0);
    }
    corpus_save_writer("export", "honest", &script);
    script = writer_make(memory, sizeof memory);
    writer_copy(&script, "\x01\x00\x00\x02\x03\x00\x10\x00\x01\x02\x00\x00", 12);
    corpus_save_writer("export", "changed_then_honest", &script);
    script = writer_make(memory, sizeof memory);
    writer_copy(&script, "\x81\x00\x00\x82\x00\x00\x84\x00\x00\x07\x02\x00\x08\x01", 14);
    corpus_save_writer("export", "gap", &script);

    struct bytes item = verify_world_encode(verify_world_item(2));
    script = writer_make(memory, sizeof memory);
    writer_u32(&script, (uint32_t)item.len);
    writer_copy(&script, item.data, item.len);
    corpus_save_writer("saved", "item", &script);
    corpus_save("saved", "cut", memory, script.len - 1);
    corpus_save("saved", "too_long", "\xff\xff\xff\x7f", 4);
}

static void save_stores(void)
{
    static const uint8_t good[] = {0, 10, 0, 6, 0, 0, 0, 200, 9, 1, 7, 1};
    static const uint8_t torn[] = {0, 10, 0, 0, 20, 0, 5, 100, 0, 4, 9, 0};
    static const uint8_t marked[] = {0, 1, 0, 6, 1, 0, 3, 9, 0, 6, 0, 0, 0, 3, 0};
    static const uint8_t changed[] = {1, 5, 1, 2, 6, 2, 1, 7, 3, 7, 60, 0};
    /* Once lost a synced record: see test_batch_recover.c. */
    static const uint8_t taken_along[] = {0, 1, 0, 6, 0, 0, 2, 2, 0, 0, 3, 0, 6, 0, 0, 2, 4, 0};
    static const uint8_t cut_before[] = {0,   0, 0, 1, 7, 0, 0,   0, 48, 145, 29,  0,
                                         0,   5, 0, 5, 0, 0, 0,   1, 0,  0,   255, 255,
                                         255, 0, 0, 0, 0, 0, 108, 0, 0,  90};
    /* Records of 100, 60,000 and 5,000 bytes; zeros in the last one, and in the second. */
    static const uint8_t whole_log[] = {2, 100, 0, 96, 234, 136, 19};
    static const uint8_t hole_in_last[] = {2, 100, 0, 96, 234, 136, 19, 0, 240, 0, 0, 3, 0};
    static const uint8_t hole_before[] = {2, 100, 0, 96, 234, 136, 19, 0, 144, 0, 0, 16, 0};
    /* Records of 0, 13,312 and 61,440 bytes, the beginnings of the first two damaged. */
    static const uint8_t of_nothing[] = {2, 0, 0, 0, 52, 0, 240, 0, 0, 0, 13, 0, 13};
    static const uint8_t rows[] = {1, 0,  0, 3, 0, 255, 0, 30,  0, 0, 0, 0, 2, 60,  0, 40, 0, 0,
                                   3, 90, 0, 9, 0, 1,   4, 100, 0, 7, 0, 1, 5, 110, 0, 20, 0, 0};

    corpus_save("batch_log", "good", good, sizeof good);
    corpus_save("batch_log", "torn", torn, sizeof torn);
    corpus_save("batch_log", "marked", marked, sizeof marked);
    corpus_save("batch_log", "changed", changed, sizeof changed);
    corpus_save("batch_log", "taken_along", taken_along, sizeof taken_along);
    uint8_t row[108] = {1, 0, 0, 0};
    row[70] = 1;
    memset(row + 72, '0', 36);
    corpus_save("store_row", "identity", row, sizeof row);
    row[0] = 2;
    corpus_save("store_row", "newer_schema", row, 6);
    row[0] = 1;
    row[71] = 2;
    corpus_save("store_row", "flag_2", row, sizeof row);
    corpus_save("store_row", "number", "\x00\x00\x00\x00\x00\x00\x01\x02", 8);
    corpus_save("store_row", "slot", "\x00\x00\x00\x00\x00\x00\x01\x02\x00\x03", 10);
    corpus_save("store_tail", "whole_log", whole_log, sizeof whole_log);
    corpus_save("store_tail", "hole_in_last", hole_in_last, sizeof hole_in_last);
    corpus_save("store_tail", "hole_before", hole_before, sizeof hole_before);
    corpus_save("store_tail", "length_of_nothing", of_nothing, sizeof of_nothing);
    corpus_save("recovery", "unchanged", "", 0);
    corpus_save("recovery", "one_of_each", rows, sizeof rows);
    corpus_save("recovery", "cut_before_ordering", cut_before, sizeof cut_before);
    corpus_save("recovery", "cut_beyond_ordering", "\x01\x01\x00\x00\x00\xfc", 6);
    corpus_save("recovery", "checkpoint_beyond_cut", "\x01\x01\x00\x00\x00\x0c\x18\xbf\x3c\x01",
                10);
}

void make_corpus_node(void)
{
    save_frames();
    save_wire();
    save_checkpoints();
    save_receipts();
    save_calls();
    save_streams();
    save_stores();
}
