/* Writes the starting corpora into FOLDER/<driver>/: small, valid and nearly valid inputs, the same
 * each time. Not here: corpus/inbox (tests/kernel/inbox_corpus.c), and the certificates of corpus/tls_files, which
 * openssl made.
 *
 *     make_corpus FOLDER */
#include <stdio.h>
#include <stdlib.h>

#include "common/batch.h"
#include "common/codec.h"
#include "common/committee_file.h"
#include "common/crypto.h"
#include "common/envelope.h"
#include "common/page.h"
#include "common/preblock.h"
#include "consensus/core/ordering_record.h"
#include "consensus/core/records.h"
#include "consensus/core/wire.h"
#include "consensus/node/mesh_hello.h"
#include "proto/subdag.h"
#include "tests/fuzz/corpus_file.h"

static uint8_t memory[CERTIFICATE_BYTES_MAX + 10000];

static int compare_digests(const void *a, const void *b)
{
    return memcmp(a, b, sizeof(struct digest));
}

static struct header make_header(uint32_t payload, uint32_t parents)
{
    struct header header;
    memset(&header, 0, sizeof header);
    header.author = 3;
    header.round = 17;
    header.created_at = 1767323045678;
    header.payload_count = payload;
    header.parents_count = parents;
    for (uint32_t i = 0; i < payload; i++) {
        memset(header.payload[i].digest.bytes, (int)i + 1, 32);
        header.payload[i].created_at = 1767323045000 + i;
    }
    for (uint32_t i = 0; i < parents; i++) {
        memset(header.parents[i].bytes, (int)(2 * i + 1), 32);
    }
    return header;
}

static struct quorum make_quorum(uint32_t count)
{
    struct quorum quorum;
    memset(&quorum, 0, sizeof quorum);
    quorum.count = count;
    for (uint32_t i = 0; i < count; i++) {
        quorum.signers[i] = (uint8_t)(i + i / 3);
        memset(quorum.signatures[i].bytes, (int)i, 64);
    }
    return quorum;
}

static void save_headers(void)
{
    const struct {
        const char *name;
        uint32_t payload;
        uint32_t parents;
        uint32_t signers;
    } cases[] = {{"bare", 0, 0, 0}, {"small", 1, 1, 1}, {"usual", 2, 5, 5}, {"full", 64, 100, 67}};

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct certificate certificate;
        certificate.header = make_header(cases[i].payload, cases[i].parents);
        certificate.quorum = make_quorum(cases[i].signers);
        struct writer writer = writer_make(memory, sizeof memory);
        header_encode(&writer, &certificate.header);
        corpus_save_writer("header", cases[i].name, &writer);
        writer = writer_make(memory, sizeof memory);
        quorum_encode(&writer, &certificate.quorum);
        corpus_save_writer("quorum", cases[i].name, &writer);
        writer = writer_make(memory, sizeof memory);
        certificate_encode(&writer, &certificate);
        corpus_save_writer("certificate", cases[i].name, &writer);
    }
    corpus_save("header", "empty", "", 0);
    corpus_save("quorum", "not_minimal", "\x81\x00\x05", 3);
}

static void save_fixed(void)
{
    struct vote vote;
    struct preblock preblock;
    memset(&vote, 0x21, sizeof vote);
    vote.author = 1;
    vote.voter = 2;
    struct writer writer = writer_make(memory, sizeof memory);
    vote_encode(&writer, &vote);
    corpus_save_writer("vote", "usual", &writer);
    memory[41] = 1; /* author 257 */
    corpus_save_writer("vote", "author_too_large", &writer);

    memset(&preblock, 0x42, sizeof preblock);
    writer = writer_make(memory, sizeof memory);
    preblock_encode(&writer, &preblock);
    corpus_save_writer("preblock", "usual", &writer);
    memory[0] = 2;
    corpus_save_writer("preblock", "version_2", &writer);
}

static void save_batches_and_pages(void)
{
    static uint8_t content[9000];
    struct writer writer = writer_make(memory, sizeof memory);
    batch_append(&writer, content, 1);
    corpus_save_writer("batch", "one_byte", &writer);
    batch_append(&writer, content, 127);
    batch_append(&writer, content, 128);
    corpus_save_writer("batch", "three", &writer);
    corpus_save("batch", "not_minimal", "\x0a\x81\x00x", 4);
    corpus_save("batch", "empty_transaction", "\x0a\x00", 2);

    const uint8_t page[] = {0, 0, 0, 0, 3, 'a', 'b', 'c'};
    uint8_t hashes[5 + 66] = {1, 0, 0, 0, 66};
    corpus_save("page", "content", page, sizeof page);
    corpus_save("page", "hashes", hashes, sizeof hashes);
    hashes[5 + 33] = 1;
    corpus_save("page", "bad_hash", hashes, sizeof hashes);
    for (size_t i = 0; i < sizeof content; i++) {
        content[i] = (uint8_t)(i * 7);
    }
    corpus_save("page", "three_pages", content, sizeof content);
}

/* A committee as `dsn committee new` makes one, from fixed seeds. */
static void save_committees(void)
{
    static struct committee_file file;
    struct committee *committee = &file.committee;

    memset(committee->network, 0x5a, sizeof committee->network);
    for (uint32_t count = 1; count <= 7; count += 3) {
        committee->count = count;
        for (uint32_t i = 0; i < count; i++) {
            struct secret_key secret;
            struct authority_entry *entry = &file.entries[i];
            uint8_t seed[32] = {(uint8_t)i, 1};
            crypto_key_pair(&committee->members[i].key, &secret, seed);
            seed[1] = 2;
            crypto_key_pair(&committee->members[i].network_key, &secret, seed);
            committee->members[i].stake = 1 + i;
            snprintf(entry->name, sizeof entry->name, "node-%u", i + 1);
            struct address *addresses[] = {&entry->primary, &entry->exporter, &entry->transactions,
                                           &entry->worker, &entry->http};
            for (uint32_t k = 0; k < 5; k++) {
                struct address address = {"127.0.0.1", (uint16_t)(64000 + 10 * (i + 1) + k)};
                *addresses[k] = address;
            }
        }
        CHECK(committee_finish(committee) == OK);
        char name[16];
        snprintf(name, sizeof name, "members_%u", count);
        struct writer writer = writer_make(memory, sizeof memory);
        committee_encode(&writer, committee);
        corpus_save_writer("committee", name, &writer);
        char *text = committee_file_text(&file);
        corpus_save_text("committee_json", name, text);
        free(text);
    }
    corpus_save_text("committee_json", "empty", "{}");
    corpus_save_text("committee_json", "not_json", "{\"network\":");
}

static void save_texts(void)
{
    corpus_save_text("text", "hex", "00112233445566778899aAbBcCdDeEfF");
    corpus_save_text("text", "odd", "001");
    corpus_save_text("text", "address", "127.0.0.1:64010");
    corpus_save_text("text", "url", "http://node-1.example:80/");
    corpus_save_text("text", "ip6", "[fe80::1%eth0]:65535");
    corpus_save_text("text", "ip6_without_colon", "[%]:5");
    corpus_save_text("text", "control", "a\nb\x1b[2J\xc2\x9b");

    corpus_save_text("http_head", "get", "GET / HTTP/1.1\r\nHost: a\r\nConnection: close");
    corpus_save_text("http_head", "parameters",
                     "GET /block/a%2Fb/durable/c/d?key=1+2%263&x HTTP/1.1\r\nAccept:  */* ");
    corpus_save_text(
        "http_head", "post",
        "POST http://h/block/1/2 HTTP/1.0\r\nContent-Length: 12\r\nConnection: x, keep-alive\r\n"
        "Expect: 100-continue");
    corpus_save_text("http_head", "chunked",
                     "POST /block/1/2 HTTP/1.1\r\nTransfer-Encoding: chunked");
    corpus_save_text("http_head", "wrong_method", "DELETE /block/1/2 HTTP/1.1");
    corpus_save_text("http_head", "bad_percent", "GET /%4 HTTP/1.1");
}

/* Rows of the store, ordering records and exported sub-DAGs. */
static void save_records(void)
{
    struct certificate certificate = {make_header(2, 5), make_quorum(5)};
    struct vertex_ref refs[2] = {{.round = 8, .author = 1}, {.round = 9, .author = 2}};
    struct preblock_batch batches[2] = {{.bytes = 100, .transactions = 1}, {.bytes = 7}};
    struct preblock preblock = {.index = 1, .round = 9, .batches = 2};
    struct writer writer = writer_make(memory, sizeof memory);
    header_row_write(&writer, &certificate.header, &certificate.quorum.signatures[0]);
    corpus_save_writer("record", "header", &writer);
    corpus_save_writer("wire", "header_row", &writer);
    writer = writer_make(memory, sizeof memory);
    certificate_row_write(&writer, &certificate, true);
    corpus_save_writer("record", "certificate", &writer);
    corpus_save_writer("wire", "certificate_row", &writer);

    writer = writer_make(memory, sizeof memory);
    preblock_record_write_begin(&writer, &preblock, &refs[1], 2);
    preblock_record_write_vertex(&writer, &refs[0], 0);
    preblock_record_write_vertex(&writer, &refs[1], 2);
    preblock_record_write_batches_count(&writer, 2);
    preblock_record_write_batch(&writer, &batches[0]);
    preblock_record_write_batch(&writer, &batches[1]);
    corpus_save_writer("record", "preblock", &writer);

    const struct ordering_record head = {.sequence = 4,
                                         .previous_round = 6,
                                         .anchor = refs[1],
                                         .skipped_count = 1,
                                         .vertices_count = 2};
    const struct commit_slot skipped = {.round = 7, .author = 3};
    const struct ordering_batch batch = {.digest = {{1}}};
    struct ordering_encoder encoder;
    ordering_encoder_begin(&encoder, memory, sizeof memory, &head, &skipped);
    ordering_encoder_vertex(&encoder, &refs[0], &batch, 1);
    ordering_encoder_vertex(&encoder, &refs[1], NULL, 0);
    struct bytes record = ordering_encoder_finish(&encoder);
    corpus_save("ordering_record", "usual", record.data, record.len);

    const uint32_t batch_bytes[1] = {3};
    const struct bytes transaction = {(const uint8_t *)"\x0a\x01x", 3};
    writer = writer_make(memory, sizeof memory);
    subdag_write_start(&writer, 1, &certificate);
    subdag_write_certificate(&writer, &certificate);
    subdag_write_payload(&writer, batch_bytes, 1);
    subdag_write_batch(&writer, transaction);
    subdag_write_end(&writer, &preblock, &certificate.quorum);
    corpus_save_writer("subdag", "usual", &writer);
    corpus_save("subdag", "empty", "", 0);
}

static void save_hellos(void)
{
    const struct mesh_hello hello = {
        .version = MESH_VERSION, .index = 2, .link = MESH_BULK, .nonce = 7};
    struct buffer *frame = mesh_hello_frame(&hello);
    corpus_save("mesh_hello", "hello", frame->data + frame->begin + 4, frame->len - 4);
    buffer_unref(frame);
    frame = mesh_hello_ack_frame(7);
    corpus_save("mesh_hello", "ack", frame->data + frame->begin + 4, frame->len - 4);
    buffer_unref(frame);
}

/* One line of a script for fuzz_core: the frame in `frame` comes from `peer`. */
static void add_frame(struct writer *script, uint8_t peer, const struct writer *frame)
{
    CHECK(!frame->failed);
    writer_u8(script, peer);
    writer_u16(script, (uint16_t)frame->len);
    writer_copy(script, frame->data, frame->len);
}

/* Three peers with good signatures: each proposes for round 1 and votes for all three headers, so that round
 * 1 is complete; then they say where they are, ask for things and answer what nobody asked. */
static void save_core_scripts(void)
{
    static uint8_t frame_memory[HEADER_BYTES_MAX + 100];
    static uint8_t script_memory[20000];
    struct committee committee = {.count = 4};
    struct secret_key secrets[4];
    struct secret_key unused;
    struct digest digests[4];
    struct vertex_ref refs[3];

    for (uint8_t i = 0; i < 4; i++) {
        uint8_t seed[32] = {i, 1};
        crypto_key_pair(&committee.members[i].key, &secrets[i], seed);
        seed[1] = 2;
        crypto_key_pair(&committee.members[i].network_key, &unused, seed);
        committee.members[i].stake = 1;
    }
    CHECK(committee_finish(&committee) == OK);

    struct writer script = writer_make(script_memory, sizeof script_memory);
    struct header header = {.round = 1, .parents_count = 4, .created_at = 1767323045600};
    for (authority_t i = 0; i < 4; i++) {
        committee_genesis(&header.parents[i], &committee, i);
    }
    qsort(header.parents, 4, sizeof header.parents[0], compare_digests);
    for (authority_t i = 1; i < 4; i++) {
        struct signature signature;
        struct writer frame = writer_make(frame_memory, sizeof frame_memory);
        header.author = i;
        header_digest(&digests[i], &header);
        refs[i - 1] = (struct vertex_ref){1, i, digests[i]};
        crypto_sign(&signature, SCOPE_HEADER, &digests[i], &secrets[i]);
        wire_write_header(&frame, &header, &signature);
        add_frame(&script, (uint8_t)i, &frame);
    }
    corpus_save_writer("core", "headers", &script);
    for (authority_t author = 1; author < 4; author++) {
        for (authority_t voter = 1; voter < 4; voter++) {
            struct vote vote = {digests[author], 1, author, voter, {{0}}};
            struct writer frame = writer_make(frame_memory, sizeof frame_memory);
            crypto_sign(&vote.signature, SCOPE_HEADER, &digests[author], &secrets[voter]);
            wire_write_vote(&frame, &vote);
            add_frame(&script, (uint8_t)voter, &frame);
        }
    }
    corpus_save_writer("core", "round_1", &script);

    struct writer frame = writer_make(frame_memory, sizeof frame_memory);
    struct wire_position position = {.quorum_round = 40, .anchor_round = 38, .certified_index = 9};
    wire_write_position(&frame, &position);
    add_frame(&script, 1, &frame);
    frame = writer_make(frame_memory, sizeof frame_memory);
    wire_write_want(&frame, refs, 3);
    add_frame(&script, 2, &frame);
    frame = writer_make(frame_memory, sizeof frame_memory);
    wire_write_want_header(&frame, &refs[0]);
    add_frame(&script, 3, &frame);
    writer_copy(&script, "\x00\x00\x04", 3); /* a second passes */
    corpus_save_writer("core", "questions", &script);
    writer_copy(&script, "\x04\x01\x00\x04\x05\x00", 6); /* peer 1 goes and comes */
    corpus_save_writer("core", "links", &script);
}

static void save_envelopes(void)
{
    static uint8_t payload[16384];
    struct secret_key secret;
    uint8_t seed[32] = {1};
    const size_t lengths[] = {1, 127, 128, sizeof payload};

    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        struct writer writer = writer_make(memory, sizeof memory);
        struct envelope envelope = {.nonce = i, .expiry_ms = 1767323045678};
        struct digest digest;
        char name[32];
        memset(envelope.network.bytes, 0x11, sizeof envelope.network.bytes);
        crypto_key_pair(&envelope.key, &secret, seed);
        envelope.payload = (struct bytes){payload, lengths[i]};
        envelope_digest(&digest, &envelope);
        crypto_sign(&envelope.signature, SCOPE_ENVELOPE, &digest, &secret);
        envelope_encode(&writer, &envelope);
        snprintf(name, sizeof name, "payload_%zu", lengths[i]);
        corpus_save_writer("envelope", name, &writer);
    }
}

static void save_messages(void)
{
    static const uint8_t all_kinds[] = {0x08, 0xac, 0x02, 0x11, 1,    2,    3,    4,    5,
                                        6,    7,    8,    0x1d, 1,    2,    3,    4,    0x0a,
                                        3,    'a',  'b',  'c',  0x82, 0x01, 0x80, 0x00, 0xfa,
                                        0xff, 0xff, 0xff, 0x0f, 0x01, 0xff};
    uint8_t transaction[300] = {0x0a, 0xa9, 0x02};

    memset(transaction + 3, 0x55, sizeof transaction - 3);
    corpus_save("protobuf", "all_kinds", all_kinds, sizeof all_kinds);
    corpus_save("protobuf", "transaction", transaction, sizeof transaction);
    corpus_save("protobuf", "two_transactions", "\x0a\x01x\x0a\x02yz", 7);
}

static void save_access_files(void)
{
    corpus_save_text(
        "access_files", "tokens",
        "# name token rights\nmonitor\tabcdefghijklmnop read\r\n"
        "wallet 0123456789-._~+/== submit read # both\n\nroot ABCDEFGHIJKLMNOPQ admin");
    corpus_save_text("access_files", "tokens_twice",
                     "a abcdefghijklmnop read\nb abcdefghijklmnop submit\n");
    corpus_save_text("access_files", "keys",
                     "first d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a\n"
                     "second 3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c "
                     "transactions=500 bytes=1000000\n");
    corpus_save_text("access_files", "keys_small_order",
                     "a 0100000000000000000000000000000000000000000000000000000000000000\n");
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: make_corpus FOLDER\n");
        return 2;
    }
    corpus_set_folder(argv[1]);
    save_headers();
    save_fixed();
    save_batches_and_pages();
    save_committees();
    save_texts();
    save_records();
    save_hellos();
    save_core_scripts();
    save_envelopes();
    save_access_files();
    save_messages();
    make_corpus_node();
    make_corpus_hosts();
    return 0;
}
