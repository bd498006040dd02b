/* The worked examples and tables of docs/protocol.md: `protocol_examples NAME` prints one block of the page, made
 * by the code that the programs run. scripts/docs_blocks.py compares each block with the page, so the
 * page cannot go stale.
 *
 * The world of the examples: four members of stake 1. The signing seed of member i is 32 times the
 * byte 01 + i, its network seed 32 times the byte 81 + i. Ed25519 is deterministic, so every
 * signature is too. */
#include <stdio.h>
#include <string.h>

#include "common/batch.h"
#include "common/buffer.h"
#include "common/codec.h"
#include "common/crypto.h"
#include "common/envelope.h"
#include "common/page.h"
#include "common/preblock.h"
#include "consensus/core/attestor.h"
#include "consensus/core/certifier.h"
#include "consensus/core/checkpoint.h"
#include "consensus/core/ordering_record.h"
#include "consensus/core/records.h"
#include "consensus/core/schedule.h"
#include "consensus/core/wire.h"
#include "consensus/node/api.h"
#include "consensus/node/mesh_hello.h"
#include "consensus/node/mesh_queue.h"

#define MEMBERS    4u
#define CREATED_MS 1700000000000u
#define COLUMNS    48u

struct world {
    struct committee committee;
    struct secret_key keys[MEMBERS];
    uint8_t batch[64];
    size_t batch_len;
    struct digest batch_digest;
    struct header header; /* of member 0, round 1 */
    struct digest header_digest;
    struct signature author_signature;
    struct quorum quorum; /* of members 0, 1, 2 over the header */
    struct preblock preblock;
    struct digest preblock_digest;
};

/* ---- printing -------------------------------------------------------------------------------- */

static void print_hex(const char *label, const void *data, size_t len)
{
    char hex[2 * COLUMNS + 1];

    printf("%s\n", label);
    for (size_t at = 0; at < len; at += COLUMNS) {
        size_t part = len - at < COLUMNS ? len - at : COLUMNS;
        hex_encode(hex, (const uint8_t *)data + at, part);
        printf("  %s\n", hex);
    }
}

static void print_digest(const char *label, const struct digest *digest)
{
    print_hex(label, digest->bytes, sizeof digest->bytes);
}

static void print_written(const char *label, const struct writer *writer)
{
    CHECK(!writer->failed);
    print_hex(label, writer->data, writer->len);
}

/* A frame: length prefix and body. */
static void print_frame(const char *label, const struct writer *body)
{
    struct buffer *frame = buffer_frame(writer_view(body));

    CHECK(!body->failed);
    print_hex(label, frame->data + frame->begin, frame->len);
    buffer_unref(frame);
}

/* The length prefix and the first bytes of a long frame. */
static void print_frame_head(const char *label, const struct writer *body)
{
    struct buffer *frame = buffer_frame(writer_view(body));
    char text[160];

    CHECK(!body->failed);
    CHECK(frame->len > COLUMNS);
    snprintf(text, sizeof text, "%s (%zu bytes, the first %u)", label, frame->len, COLUMNS);
    print_hex(text, frame->data + frame->begin, COLUMNS);
    buffer_unref(frame);
}

/* ---- the world ------------------------------------------------------------------------------- */

static void make_committee(struct world *world)
{
    struct committee *committee = &world->committee;

    for (uint32_t i = 0; i < sizeof committee->network; i++)
        committee->network[i] = (uint8_t)i;
    committee->count = MEMBERS;
    for (uint32_t i = 0; i < MEMBERS; i++) {
        struct member *member = &committee->members[i];
        struct secret_key unused;
        uint8_t seed[32];

        memset(seed, (int)(0x01 + i), sizeof seed);
        crypto_key_pair(&member->key, &world->keys[i], seed);
        memset(seed, (int)(0x81 + i), sizeof seed);
        crypto_key_pair(&member->network_key, &unused, seed);
        member->stake = 1;
    }
    CHECK(committee_finish(committee) == OK);
}

static void make_batch(struct world *world)
{
    struct writer writer = writer_make(world->batch, sizeof world->batch);

    batch_append(&writer, (const uint8_t *)"hello", 5);
    batch_append(&writer, (const uint8_t *)"world!", 6);
    CHECK(!writer.failed);
    world->batch_len = writer.len;
    page_tree(&world->batch_digest, world->batch, world->batch_len, NULL, NULL);
}

static void make_header(struct world *world)
{
    struct header *header = &world->header;

    header->author = 0;
    header->round = 1;
    header->epoch = 0;
    header->created_at = CREATED_MS;
    header->payload_count = 1;
    header->payload[0] =
        (struct batch_info){.digest = world->batch_digest, .created_at = CREATED_MS - 5};
    for (authority_t a = 0; a < MEMBERS; a++) {
        struct digest genesis;
        uint32_t at = header->parents_count++;

        committee_genesis(&genesis, &world->committee, a);
        for (; at > 0 && memcmp(header->parents[at - 1].bytes, genesis.bytes, 32) > 0; at--)
            header->parents[at] = header->parents[at - 1];
        header->parents[at] = genesis;
    }
    header_digest(&world->header_digest, header);
    crypto_sign(&world->author_signature, SCOPE_HEADER, &world->header_digest, &world->keys[0]);
}

static void sign_quorum(struct quorum *ret_quorum,
                        const struct world *world,
                        enum crypto_scope scope,
                        const struct digest *digest)
{
    ret_quorum->count = 3;
    for (uint8_t i = 0; i < ret_quorum->count; i++) {
        ret_quorum->signers[i] = i;
        crypto_sign(&ret_quorum->signatures[i], scope, digest, &world->keys[i]);
    }
    CHECK(committee_verify_quorum(&world->committee, (int)scope, digest, ret_quorum) == OK);
}

static void make_preblock(struct world *world)
{
    struct preblock *preblock = &world->preblock;

    preblock->index = 1;
    preblock->previous = world->committee.digest;
    preblock->leader = world->header_digest;
    preblock->round = 1;
    preblock->timestamp = CREATED_MS;
    preblock_manifest(&preblock->payload, &world->batch_digest, 1);
    preblock->batches = 1;
    preblock->transactions = 2;
    preblock->bytes = world->batch_len;
    preblock_digest(&world->preblock_digest, preblock);
}

/* ---- the blocks ------------------------------------------------------------------------------ */

static void show_keys(const struct world *world)
{
    for (uint32_t i = 0; i < MEMBERS; i++) {
        char label[64];

        snprintf(label, sizeof label, "member %u: key | network key", i);
        print_hex(label, &world->committee.members[i],
                  sizeof(struct public_key) + sizeof(struct public_key));
    }
}

static void show_committee(const struct world *world)
{
    uint8_t memory[COMMITTEE_RECORD_BYTES_MAX];
    struct writer writer = writer_make(memory, sizeof memory);

    committee_encode(&writer, &world->committee);
    print_written("record: network | epoch | 04 | 4 x (key | network key | stake)", &writer);
    print_digest("committee digest", &world->committee.digest);
    printf("N = %llu, F = %llu, Q = %llu, V = %llu\n", (unsigned long long)world->committee.total,
           (unsigned long long)(world->committee.validity - 1),
           (unsigned long long)world->committee.quorum,
           (unsigned long long)world->committee.validity);
    for (authority_t a = 0; a < MEMBERS; a++) {
        struct digest genesis;
        char label[64];

        committee_genesis(&genesis, &world->committee, a);
        snprintf(label, sizeof label, "genesis digest of member %u", a);
        print_digest(label, &genesis);
    }
}

static void show_batch(const struct world *world)
{
    uint8_t page[64] = {0};
    struct writer writer = writer_make(page, sizeof page);

    writer_u8(&writer, PAGE_CONTENT);
    writer_u32_be(&writer, (uint32_t)world->batch_len);
    writer_copy(&writer, world->batch, world->batch_len);
    print_hex("batch of \"hello\" and \"world!\": 0a | length | bytes, twice", world->batch,
              world->batch_len);
    print_written("its only page: 00 | size u32 BE | content", &writer);
    print_digest("batch digest: BLAKE2b-256 of that page", &world->batch_digest);
}

static void show_page(void *context,
                      enum page_kind kind,
                      const struct digest *digest,
                      const uint8_t *page,
                      size_t page_len)
{
    uint32_t *number = context;
    char label[96];

    snprintf(label, sizeof label, "page %u, %s, %zu bytes%s", ++*number,
             kind == PAGE_CONTENT ? "content" : "hashes", page_len,
             kind == PAGE_CONTENT ? ", the first 16:" : ":");
    print_hex(label, page, kind == PAGE_CONTENT ? 16 : page_len);
    print_digest("its digest", digest);
}

static void show_pages(void)
{
    static uint8_t content[5000];
    struct digest root;
    uint32_t number = 0;

    for (size_t i = 0; i < sizeof content; i++)
        content[i] = (uint8_t)i;
    printf("5,000 bytes, byte i is i mod 256\n");
    page_tree(&root, content, sizeof content, show_page, &number);
    print_digest("root", &root);
}

static void show_header(const struct world *world)
{
    uint8_t memory[HEADER_BYTES_MAX];
    struct writer writer = writer_make(memory, sizeof memory);

    header_encode(&writer, &world->header);
    print_written("header of member 0, round 1, with the batch above", &writer);
    print_digest("header digest", &world->header_digest);
    memory[0] = SCOPE_HEADER;
    memory[1] = 0;
    memory[2] = 1;
    memcpy(memory + 3, world->header_digest.bytes, 32);
    print_hex("what is signed: 06 00 01 | header digest", memory, INTENT_BYTES + 32);
    print_hex("the author's signature", world->author_signature.bytes, 64);
}

static void make_vote(struct vote *ret_vote, const struct world *world)
{
    *ret_vote = (struct vote){.header = world->header_digest, .round = 1, .author = 0, .voter = 1};
    ret_vote->signature = world->quorum.signatures[1];
}

static void show_vote(const struct world *world)
{
    uint8_t memory[VOTE_BYTES];
    struct writer writer = writer_make(memory, sizeof memory);
    struct vote vote;

    make_vote(&vote, world);
    vote_encode(&writer, &vote);
    print_written("vote of member 1: header digest | round | author | voter | signature", &writer);
}

static void show_certificate(const struct world *world)
{
    uint8_t memory[CERTIFICATE_BYTES_MAX];
    struct writer writer = writer_make(memory, sizeof memory);

    quorum_encode(&writer, &world->quorum);
    print_written("quorum of members 0, 1, 2: 03 | 00 01 02 | 03 | 3 x signature", &writer);
    writer = writer_make(memory, sizeof memory);
    header_encode(&writer, &world->header);
    printf("certificate: the header above (%zu bytes) | this quorum\n", writer.len);
}

static void show_leaders(const struct world *world)
{
    static struct schedule schedule;

    schedule_init(&schedule, &world->committee, SCHEDULE_WINDOW);
    printf("leaders of rounds 1 to 16, nobody excluded:");
    for (round_t round = 1; round <= 16; round++)
        printf(" %u", schedule_leader(&schedule, round));
    printf("\n");
}

static void show_preblock(const struct world *world)
{
    uint8_t memory[QUORUM_BYTES_MAX];
    struct writer writer = writer_make(memory, sizeof memory);
    struct quorum quorum;

    print_digest("manifest root: page tree over the batch digest", &world->preblock.payload);
    preblock_encode(&writer, &world->preblock);
    print_written("pre-block 1", &writer);
    print_digest("its digest", &world->preblock_digest);
    sign_quorum(&quorum, world, SCOPE_PREBLOCK, &world->preblock_digest);
    writer = writer_make(memory, sizeof memory);
    quorum_encode(&writer, &quorum);
    print_written("its certificate, signed over 0a 00 01 | digest", &writer);
}

static void show_ordering(const struct world *world)
{
    static uint8_t memory[1024];
    struct vertex_ref anchor = {.round = 1, .author = 0, .digest = world->header_digest};
    struct ordering_batch batch = {.digest = world->batch_digest, .worker = 0};
    struct ordering_record head = {.sequence = 1,
                                   .previous = world->committee.digest,
                                   .anchor = anchor,
                                   .created_at = CREATED_MS,
                                   .vertices_count = 1};
    struct ordering_encoder encoder;
    struct ordering_record record;
    struct digest digest;
    struct bytes bytes;

    ordering_encoder_begin(&encoder, memory, sizeof memory, &head, NULL);
    ordering_encoder_vertex(&encoder, &anchor, &batch, 1);
    bytes = ordering_encoder_finish(&encoder);
    CHECK(ordering_record_open(&record, bytes) == OK);
    print_hex("ordering record 1: the header above alone, as anchor", bytes.data, bytes.len);
    ordering_record_digest(&digest, &record);
    print_digest("its digest, `previous` of record 2", &digest);
}

static void show_record(const struct world *world)
{
    uint8_t memory[512];
    struct writer writer = writer_make(memory, sizeof memory);
    struct vertex_ref anchor = {.round = 1, .author = 0, .digest = world->header_digest};
    struct preblock_batch batch = {
        .digest = world->batch_digest, .bytes = (uint32_t)world->batch_len, .transactions = 2};

    preblock_record_write_begin(&writer, &world->preblock, &anchor, 1);
    preblock_record_write_vertex(&writer, &anchor, 1);
    preblock_record_write_batches_count(&writer, 1);
    preblock_record_write_batch(&writer, &batch);
    print_written("pre-block record 1", &writer);
}

static void show_hello(const struct world *world)
{
    struct mesh_hello hello = {.version = MESH_VERSION,
                               .committee = world->committee.digest,
                               .index = 2,
                               .link = MESH_CONTROL,
                               .nonce = 0x1122334455667788u};
    struct buffer *frame = mesh_hello_frame(&hello);

    print_hex("HELLO of member 2 on its control link, nonce 1122334455667788",
              frame->data + frame->begin, frame->len);
    buffer_unref(frame);
    frame = mesh_hello_ack_frame(hello.nonce);
    print_hex("HELLO_ACK, the answer", frame->data + frame->begin, frame->len);
    buffer_unref(frame);
}

/* Frames that carry whole headers or certificates. */
static void show_long_frames(const struct world *world)
{
    static uint8_t memory[WIRE_ANSWER_BYTES_MAX];
    static uint8_t row[CERTIFICATE_BYTES_MAX + 1];
    struct writer writer = writer_make(memory, sizeof memory);
    struct writer value = writer_make(row, sizeof row);
    static struct certificate certificate;
    struct wire_answer answer;
    struct quorum quorum;
    struct bytes body;

    certificate.header = world->header;
    certificate.quorum = world->quorum;
    wire_write_header(&writer, &world->header, &world->author_signature);
    print_frame_head("HEADER", &writer);
    certificate_row_write(&value, &certificate, true);
    wire_answer_begin(&answer, memory, &world->committee);
    CHECK(wire_answer_append(&answer, writer_view(&value)));
    body = wire_answer_finish(&answer, true);
    memmove(memory, body.data, body.len);
    writer = (struct writer){.data = memory, .len = body.len, .capacity = sizeof memory};
    print_frame_head("CERTIFICATES, one, complete", &writer);
    sign_quorum(&quorum, world, SCOPE_PREBLOCK, &world->preblock_digest);
    writer = writer_make(memory, sizeof memory);
    wire_write_preblock_certificate(&writer, &world->preblock, &quorum);
    print_frame_head("PREBLOCK_CERTIFICATE", &writer);
    writer = writer_make(memory, sizeof memory);
    wire_write_rejoin_answer(&writer, 0x1122334455667788u, &certificate);
    print_frame_head("REJOIN_ANSWER to nonce 1122334455667788", &writer);
}

static void show_control_frames(const struct world *world)
{
    uint8_t memory[4096];
    struct writer writer = writer_make(memory, sizeof memory);
    struct vertex_ref ref = {.round = 1, .author = 0, .digest = world->header_digest};
    struct wire_position position = {.quorum_round = 9, .anchor_round = 7, .certified_index = 3};
    struct wire_attestation attestation = {.index = 1, .digest = world->preblock_digest};
    struct vote vote;

    make_vote(&vote, world);
    wire_write_vote(&writer, &vote);
    print_frame("VOTE", &writer);
    writer = writer_make(memory, sizeof memory);
    crypto_sign(&attestation.signature, SCOPE_PREBLOCK, &world->preblock_digest, &world->keys[0]);
    wire_write_attestation(&writer, &attestation);
    print_frame("ATTESTATION of member 0 for pre-block 1", &writer);
    writer = writer_make(memory, sizeof memory);
    wire_write_want(&writer, &ref, 1);
    print_frame("WANT, one certificate", &writer);
    writer = writer_make(memory, sizeof memory);
    wire_write_want_range(&writer, 8);
    print_frame("WANT_RANGE after round 8", &writer);
    writer = writer_make(memory, sizeof memory);
    wire_write_want_header(&writer, &ref);
    print_frame("WANT_HEADER", &writer);
    writer = writer_make(memory, sizeof memory);
    wire_write_position(&writer, &position);
    print_frame("POSITION: quorum round 9, anchor round 7, certified index 3", &writer);
    writer = writer_make(memory, sizeof memory);
    wire_write_want_preblock_certificate(&writer, 3);
    print_frame("WANT_PREBLOCK_CERTIFICATE above index 3", &writer);
    writer = writer_make(memory, sizeof memory);
    wire_write_rejoin_query(&writer, 0x1122334455667788u);
    print_frame("REJOIN_QUERY", &writer);
    show_long_frames(world);
    writer = writer_make(memory, sizeof memory);
    wire_write_batch_ack(&writer, &world->batch_digest);
    print_frame("BATCH_ACK", &writer);
}

static void show_bulk_frames(const struct world *world)
{
    uint8_t memory[256];
    struct writer writer = writer_make(memory, sizeof memory);

    writer_u8(&writer, WIRE_BATCH);
    writer_u32(&writer, 0);
    writer_u64(&writer, CREATED_MS - 5);
    writer_u8(&writer, 0);
    writer_copy(&writer, world->batch, world->batch_len);
    print_frame("BATCH, on its author's bulk stream", &writer);
    writer = writer_make(memory, sizeof memory);
    writer_u8(&writer, WIRE_WANT_BATCH);
    writer_copy(&writer, world->batch_digest.bytes, 32);
    writer_u32(&writer, 0);
    print_frame("WANT_BATCH", &writer);
}

/* ---- checkpoints ----------------------------------------------------------------------------- */

static void show_checkpoint(const struct world *world)
{
    static uint8_t memory[CHECKPOINT_ROW_BYTES_MAX];
    struct writer writer = writer_make(memory, sizeof memory);
    struct checkpoint checkpoint = {.epoch = world->committee.epoch,
                                    .sequence = CHECKPOINT_INTERVAL,
                                    .round = 120,
                                    .preblock = world->preblock};
    struct wire_attestation signature = {.index = CHECKPOINT_INTERVAL};
    struct bytes part = {(const uint8_t *)"record", 6};

    crypto_hash_one(&checkpoint.record, part.data, part.len);
    checkpoint_encode(&writer, &checkpoint);
    print_hex("checkpoint at ordering record 100, whose bytes are \"record\" here", memory,
              writer.len);
    checkpoint_digest(&signature.digest, &checkpoint);
    print_hex("its digest", signature.digest.bytes, 32);
    crypto_sign(&signature.signature, SCOPE_CHECKPOINT, &signature.digest, &world->keys[0]);
    writer = writer_make(memory, sizeof memory);
    wire_write_checkpoint_signature(&writer, &signature);
    print_frame("CHECKPOINT_SIGNATURE of member 0", &writer);
    writer = writer_make(memory, sizeof memory);
    wire_write_want_checkpoint(&writer, 7);
    print_frame("WANT_CHECKPOINT above ordering record 7", &writer);
    writer = writer_make(memory, sizeof memory);
    wire_write_want_records(&writer, 100, 0);
    print_frame("WANT_RECORDS from 100 downward", &writer);
    (void)wire_record_body(&part, memory, 100, 0, part, false);
    writer = (struct writer){.data = memory, .len = part.len, .capacity = sizeof memory};
    print_frame("RECORD 100, whole, the last of the answer", &writer);
}

/* ---- tables ---------------------------------------------------------------------------------- */

static void show_limits(const struct world *world)
{
    struct core_parameters core = core_parameters_default();

    (void)world;
    printf("| what | limit |\n|---|---|\n");
    printf("| members; signers of the smallest quorum | %u; %u |\n", AUTHORITIES_MAX,
           QUORUM_SIGNERS_MAX);
    printf("| transaction; batch, bytes | %u; %u |\n", TRANSACTION_BYTES_MAX, BATCH_BYTES_MAX);
    printf("| header: batches; bytes of them | %u; %u |\n", HEADER_BATCHES_MAX,
           HEADER_PAYLOAD_BYTES_MAX);
    printf("| pre-block: batches; bytes of them | %u; %u |\n", PREBLOCK_BATCHES_MAX,
           PREBLOCK_BYTES_MAX);
    printf("| gc_depth; dedup window, rounds | %u; %u |\n", GC_DEPTH, 2 * GC_DEPTH);
    printf("| schedule window, ordering records | %u |\n", SCHEDULE_WINDOW);
    printf("| ordered anchors from one checkpoint to the next; kept | %u; 2 |\n",
           CHECKPOINT_INTERVAL);
    printf("| rounds of the DAG above gc_round | %u |\n", DAG_ROUNDS);
    printf("| rounds whose headers and votes are kept | %u |\n", CERTIFIER_ROUNDS);
    printf("| suspended certificates | %u |\n", SUSPENDED_MAX);
    printf("| attestations above the last certified index | %u |\n", ATTESTOR_RING);
    printf("| own certified, unordered payload before naming stops, bytes | %u |\n",
           OWN_UNORDERED_BYTES_MAX);
    printf("| unnamed batches of one author, bytes | %u |\n", UNNAMED_BATCH_BYTES_MAX);
    printf("| clock tolerance for created_at, ms | %llu |\n",
           (unsigned long long)core.clock_tolerance_ms);
    printf("| frame; CERTIFICATES answer, bytes | %u; %u |\n", FRAME_BYTES_MAX,
           WIRE_ANSWER_BYTES_MAX);
    printf("| send queue of a link: control; bulk, bytes; frames | %u; %u; %u |\n",
           MESH_CONTROL_QUEUE_BYTES_MAX, MESH_BULK_QUEUE_BYTES_MAX, MESH_QUEUE_FRAMES_MAX);
    printf("| submissions not certified: batches; bytes | %u; %u |\n", API_BATCHES_IN_FLIGHT_MAX,
           API_BYTES_IN_FLIGHT_MAX);
    printf("| calls per port; waiting submissions; export streams | %u; %u; %u |\n", API_CALLS_MAX,
           API_WAITING_CALLS_MAX, API_EXPORTS_MAX);
    printf("| inbox: message; operation; level, bytes | %u; %u; %u |\n", INBOX_MESSAGE_BYTES_MAX,
           INBOX_OPERATION_BYTES_MAX, INBOX_LEVEL_BYTES_MAX);
}

static void show_timing(const struct world *world)
{
    struct core_parameters core = core_parameters_default();
    struct api_options api = api_options_default();

    (void)world;
    printf("| flag of dsn-node | default |\n|---|---|\n");
    printf("| `--header-delay-min` | %llu ms |\n",
           (unsigned long long)core.header_delay_us_min / 1000);
    printf("| `--header-delay-max` | %llu ms |\n",
           (unsigned long long)core.header_delay_us_max / 1000);
    printf("| `--anchor-wait-min` | %llu ms |\n",
           (unsigned long long)core.anchor_wait_us_min / 1000);
    printf("| `--idle-delay` | %llu ms |\n", (unsigned long long)core.idle_delay_us / 1000);
    printf("| `--retry-delay` | %llu ms |\n", (unsigned long long)core.retry_delay_us / 1000);
    printf("| `--batch-fetch` | %llu ms |\n", (unsigned long long)core.batch_fetch_us / 1000);
    printf("| `--batch-size` | %zu bytes |\n", api.batch_bytes);
    printf("| `--batch-delay-min` | %llu ms |\n",
           (unsigned long long)api.batch_delay_us_min / 1000);
    printf("| `--batch-delay-max` | %llu ms |\n",
           (unsigned long long)api.batch_delay_us_max / 1000);
}

/* ---- access ---------------------------------------------------------------------------------- */

/* Member 3's key serves as a submitter's: any key would. */
static void show_envelope(const struct world *world)
{
    uint8_t memory[ENVELOPE_OVERHEAD_BYTES_MAX + 5];
    struct writer writer = writer_make(memory, sizeof memory);
    struct digest digest;
    struct envelope envelope = {
        .network = world->committee.digest,
        .key = world->committee.members[3].key,
        .nonce = 7,
        .expiry_ms = CREATED_MS + 30000,
        .payload = {(const uint8_t *)"hello", 5},
    };

    envelope_digest(&digest, &envelope);
    crypto_sign(&envelope.signature, SCOPE_ENVELOPE, &digest, &world->keys[3]);
    envelope_encode(&writer, &envelope);
    CHECK(!writer.failed);
    print_hex("envelope of member 3's key, nonce 7, expiry 1700000030000, payload \"hello\"",
              memory, writer.len);
    print_digest("envelope digest", &digest);
}

/* ---- main ------------------------------------------------------------------------------------ */

static const struct {
    const char *name;
    void (*show)(const struct world *world);
} blocks[] = {
    {"keys", show_keys},
    {"committee", show_committee},
    {"batch", show_batch},
    {"header", show_header},
    {"vote", show_vote},
    {"certificate", show_certificate},
    {"leaders", show_leaders},
    {"preblock", show_preblock},
    {"ordering", show_ordering},
    {"checkpoint", show_checkpoint},
    {"record", show_record},
    {"hello", show_hello},
    {"control", show_control_frames},
    {"bulk", show_bulk_frames},
    {"limits", show_limits},
    {"timing", show_timing},
    {"envelope", show_envelope},
};

int main(int argc, char **argv)
{
    static struct world world;

    make_committee(&world);
    make_batch(&world);
    make_header(&world);
    sign_quorum(&world.quorum, &world, SCOPE_HEADER, &world.header_digest);
    make_preblock(&world);
    if (argc == 2 && strcmp(argv[1], "pages") == 0) {
        show_pages();
        return 0;
    }
    for (size_t i = 0; argc == 2 && i < sizeof blocks / sizeof *blocks; i++) {
        if (strcmp(argv[1], blocks[i].name) != 0) continue;
        blocks[i].show(&world);
        return 0;
    }
    fprintf(stderr, "usage: protocol_examples NAME, a block of docs/protocol.md\n");
    return 2;
}
