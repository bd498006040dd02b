#include <stdio.h>
#include <stdlib.h>

#include "common/bcs.h"
#include "common/crypto.h"
#include "rollup-kernel/host/base58.h"
#include "rollup-kernel/host/pack.h"
#include "rollup-kernel/host/rollup_record.h"
#include "sequencer/mock_record.h"
#include "tests/fuzz/corpus_file.h"

static uint8_t memory[20000];

/* ---- operators' files ------------------------------------------------------------------------ */

static void save_files(void)
{
    corpus_save_text(
        "config", "file",
        "{\"flag\": true, \"small\": 12, \"large\": 5, \"size\": \"64KiB\", \"delay\": \"250ms\",\n"
        " \"text\": \"abc\", \"address\": \"127.0.0.1:5\", \"choice\": \"three\",\n"
        " \"list\": [\"a\", \"b,c\"], \"log_level\": \"warn\"}");
    corpus_save_text("config", "numbers", "{\"size\": 18446744073709551615, \"large\": -1}");
    corpus_save_text("config", "unknown", "{\"smal\": 1}");
    corpus_save_text("config", "words",
                     "--small=3\n--no-flag\n-d\n1h\n--list=a,b\n--list\nc\n--\nfirst\nsecond");
    corpus_save_text("config", "address", "--address=[::1%eth0]:65535\n--size=1GiB\nthird");
    corpus_save_text("key_file", "key",
                     "0001020304050607080900010203040506070809AABBCCDDEEFF00112233aabb\n");
    corpus_save_text("key_file", "short", "0102");
    corpus_save_text("address", "url", "https://node-1.example:443/");
    corpus_save_text("address", "ip6_url", "http://[fe80::1%25]:80");
    corpus_save_text("address", "peer", "ipv4:127.0.0.1:5000");
    corpus_save_text("address", "ip6_peer", "ipv6:%5B::1%5D:5000");
    corpus_save_text("address", "unix_peer", "unix:/tmp/x");
}

/* ---- HTTP ------------------------------------------------------------------------------------ */

static void save_http(void)
{
    corpus_save_text("http_answer", "counted", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");
    corpus_save_text("http_answer", "chunked",
                     "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                     "5\r\nhello\r\nA;x=y\r\n0123456789\r\n0\r\nTrailer: x\r\n\r\n");
    corpus_save_text("http_answer", "to_the_end", "HTTP/1.0 404 No\r\nServer: x\r\n\r\nrest");
    corpus_save_text("http_answer", "continue",
                     "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n");
    corpus_save_text("http_answer", "chunk_too_large",
                     "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n");
    corpus_save_text(
        "http_answer", "chunk_with_prefix",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0x3\r\nabc\r\n0\r\n\r\n");

    corpus_save_text("http_server", "get", "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    corpus_save_text(
        "http_server", "pipelined",
        "POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nabcGET /of/x%20y?q=1 HTTP/1.1\r\n\r\n"
        "GET /all/a/b HTTP/1.0\r\nConnection: keep-alive\r\n\r\nHEAD / HTTP/1.1\r\n\r\n");
    corpus_save_text("http_server", "json",
                     "POST /json HTTP/1.1\r\nContent-Length: 13\r\nConnection: close\r\n\r\n"
                     "{\"a\": [1, 2]}");
    corpus_save_text("http_server", "not_json",
                     "POST /json HTTP/1.1\r\nContent-Length: 8\r\n\r\n{\"a\xc3\xa9\": ");
    corpus_save_text("http_server", "stream",
                     "GET /stream HTTP/1.1\r\n\r\nGET /stream HTTP/1.0\r\n\r\n");
    corpus_save_text("http_server", "expect",
                     "POST / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\nabcd");
    corpus_save_text("http_server", "head", "HEAD /of/abc HTTP/1.1\r\n\r\n");
    corpus_save_text("http_server", "preflight", "OPTIONS /json HTTP/1.1\r\nOrigin: x\r\n\r\n");
    corpus_save_text("http_server", "half", "POST / HTTP/1.1\r\nContent-Length: 400\r\n\r\nabc");
    corpus_save("http_server", "tls", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 11);
}

/* Kind 0 is POST /, 1 and 2 the other posts, 3 a target. */
static void save_kind(const char *driver, const char *name, uint8_t kind, const char *text)
{
    struct writer writer = writer_make(memory, sizeof memory);

    writer_u8(&writer, kind);
    writer_copy(&writer, text, strlen(text));
    corpus_save_writer(driver, name, &writer);
}

static void save_apis(void)
{
    save_kind(
        "sequencer_http", "append", 0,
        "{\"jsonrpc\":\"2.0\",\"method\":\"sequencer_append\",\"params\":[\"00ff\"],\"id\":1}");
    save_kind("sequencer_http", "batch", 0,
              "[{\"jsonrpc\":\"2.0\",\"method\":\"sequencer_info\",\"id\":\"a\"},"
              "{\"jsonrpc\":\"2.0\",\"method\":\"sequencer_get\",\"params\":{\"from\":1,\"to\":2},"
              "\"id\":null},"
              "{\"jsonrpc\":\"2.0\",\"method\":\"no\"}, 7, {\"id\": []}]");
    save_kind(
        "sequencer_http", "notification", 0,
        "{\"jsonrpc\":\"2.0\",\"method\":\"sequencer_append\",\"params\":{\"data\":\"0011\"}}");
    save_kind("sequencer_http", "empty_transactions", 0,
              "[{\"jsonrpc\":\"2.0\",\"method\":\"sequencer_append\",\"params\":[\"\"],\"id\":1},"
              "{\"jsonrpc\":\"2.0\",\"method\":\"sequencer_append\",\"params\":{\"data\":\"\"},"
              "\"id\":2}]");
    save_kind("sequencer_http", "empty_broadcast", 1, "{\"data\":\"\"}");
    save_kind("sequencer_http", "broadcast", 1, "{\"data\":\"00112233\"}");
    save_kind("sequencer_http", "operations", 2, "{\"data\":\"0\"}");
    save_kind("sequencer_http", "block", 3, "/blocks/18446744073709551616");
    save_kind("sequencer_http", "value", 3, "/state/value?path=/a/b");
    save_kind("sequencer_http", "metrics", 3, "/metrics");

    save_kind("rollup_rpc", "block", 0, "/global/block/head");
    save_kind("rollup_rpc", "value", 0,
              "/global/block/1/durable/wasm_2_0_0/value?key=/kernel/boot.wasm");
    save_kind("rollup_rpc", "subkeys", 0,
              "/global/block/finalized/durable/wasm_2_0_0/subkeys?key=/");
    save_kind("rollup_rpc", "outbox", 0, "/global/block/1/outbox/7/messages");
    /* Each of these once ended the program. */
    save_kind("rollup_rpc", "outbox_of_no_block", 0, "/global/block/9/outbox/7/messages");
    save_kind("rollup_rpc", "id_not_utf8", 0, "/local/batcher/queue/%ff");
    save_kind("rollup_rpc", "message", 0, "/local/batcher/queue/scmsg%20");
    save_kind("rollup_rpc", "monitor", 0, "/global/monitor_blocks");
    save_kind("rollup_rpc", "injection", 1, "order=3&drop_duplicate=true\n[\"00ff\", \"01\"]");
    save_kind("rollup_rpc", "injection_refused", 1, "order=x\n[]");
}

/* ---- between sequencer and rollup ------------------------------------------------------------ */

static void save_rollup_answers(void)
{
    uint8_t digest[32] = {1, 2, 3};
    char text[BASE58_TEXT_MAX];
    char json[256];

    base58_encode(text, BASE58_MESSAGE, digest);
    snprintf(json, sizeof json, "[\"%s\"]", text);
    corpus_save_text("rollup_answer", "ids", json);
    base58_encode(text, BASE58_ROLLUP, digest);
    snprintf(json, sizeof json, "\"%s\"", text);
    corpus_save_text("rollup_answer", "address", json);
    base58_encode(text, BASE58_BLOCK, digest);
    snprintf(json, sizeof json, "\"%s\"", text);
    corpus_save_text("rollup_answer", "hash", json);
    corpus_save_text("rollup_answer", "hex", "\"00fF10\"");
    corpus_save_text("rollup_answer", "level", "2147483647");
    corpus_save_text("rollup_answer", "status",
                     "{\"status\": \"included\", \"layer1\": {\"level\": 7}}");
    corpus_save_text(
        "rollup_answer", "names",
        "[\"\", \"0102030400000000000000000000000000000000000000000000000000000000\", 7]");

    snprintf(json, sizeof json, "{\"level\": 7, \"block_hash\": \"%s\"}\n{\"level\":8}", text);
    corpus_save_text("rollup_heads", "head", json);
    snprintf(json, sizeof json,
             " [] {\"block_hash\": \"B\\u0031/\", \"level\": 1}{\"level\":9,\"block_hash\":\"B\"");
    corpus_save_text("rollup_heads", "half", json);
    /* Zero bytes were blanks when they came in one piece with the value before, and else the end of the stream. */
    const char zeros[] = " []\0\0\0{\"level\": 7, \"block_hash\": \"Bk5\"} []!";
    corpus_save("rollup_heads", "zero_bytes", zeros, sizeof zeros);

    corpus_save_text("rollup_state", "state",
                     "\"0000000000000009\"\n"
                     "\"0102030400000000000000000000000000000000000000000000000000000000\"\n"
                     "\"0000000000000008\"\nnull\n\"0000000000000007\"\n\"00000005\"\n\"01\"\n"
                     "\"0000000000000008000000010000000200000003000000040000000506"
                     "00000000000000000000000000000000000000000000000000000000000000\"");
    corpus_save_text(
        "rollup_state", "copy",
        "null\n[\"\", \"a\"]\n\"00\"\n[\"boot.wasm\"]\n[]\n[\"1\", \"2\", \"3\"]\n\"0a0b\"\nnull");
    corpus_save_text("rollup_state", "bad_path", "[\"a/../b\", \"\\u00e9\"]\n[\"x\"]\n7");

    struct writer writer = writer_make(memory, sizeof memory);
    bcs_write_length(&writer, 2);
    writer_copy(&writer, digest, sizeof digest);
    writer_copy(&writer, digest, sizeof digest);
    corpus_save_writer("rollup_block", "two", &writer);
    corpus_save("rollup_block", "empty", "\x00", 1);
    corpus_save("rollup_block", "count_too_large", "\xff\xff\xff\x0f", 4);
}

static void save_base58(void)
{
    static const uint8_t changes[] = {0, 0, '1', 2, 7, 'z', 1, 3, 0};
    struct writer writer;
    char text[BASE58_TEXT_MAX];
    uint8_t payload[32] = {0, 0, 255, 1};

    for (uint8_t kind = 0; kind < 6; kind++) {
        char name[16];
        base58_encode(text, (enum base58_kind)kind, payload);
        snprintf(name, sizeof name, "text_%u", kind);
        save_kind("base58", name, kind, text);
    }
    writer = writer_make(memory, sizeof memory);
    writer_u8(&writer, BASE58_ROLLUP);
    writer_copy(&writer, payload, 20);
    writer_copy(&writer, changes, sizeof changes);
    corpus_save_writer("base58", "changed", &writer);
}

/* A module without code, packed. */
static void save_kernels(void)
{
    static const uint8_t module[] = {0, 'a', 's', 'm', 1, 0, 0, 0, 0, 4, 3, 'a', 'b', 'c'};
    static struct config config = {.mode = CONFIG_MODE_REVEAL, .application_len = 2};
    struct writer writer = writer_make(memory, sizeof memory);
    struct secret_key secret;
    uint8_t *packed;
    size_t len;

    config.committee.count = 4;
    config.application[0] = CONFIG_APPLICATION_LOG;
    for (uint8_t i = 0; i < 4; i++) {
        uint8_t seed[32] = {i, 1};
        crypto_key_pair(&config.committee.members[i].key, &secret, seed);
        seed[1] = 2;
        crypto_key_pair(&config.committee.members[i].network_key, &secret, seed);
        config.committee.members[i].stake = 1;
    }
    CHECK(committee_finish(&config.committee) == OK);
    config_encode(&writer, &config);
    corpus_save_writer("kernel_config", "body", &writer);
    CHECK(pack_kernel(&packed, &len, (struct bytes){module, sizeof module}, &config) == OK);
    corpus_save("kernel_config", "packed", packed, len);
    corpus_save("kernel_config", "module", module, sizeof module);
    free(packed);
    config.has_governance = true;
    writer = writer_make(memory, sizeof memory);
    config_encode(&writer, &config);
    corpus_save_writer("kernel_config", "governance", &writer);
    config.committee.count = 1;
    CHECK(committee_finish(&config.committee) == OK);
    config.application_len = CONFIG_APPLICATION_BYTES_MAX;
    writer = writer_make(memory, sizeof memory);
    config_encode(&writer, &config);
    corpus_save_writer("kernel_config", "largest_application", &writer);
    memory[writer.len - 1 - CONFIG_APPLICATION_BYTES_MAX]++; /* its length, one byte */
    writer_u8(&writer, 0);
    corpus_save_writer("kernel_config", "application_too_large", &writer);
}

static void save_rollup_records(void)
{
    const struct rollup_identity identity = {{1, 2}, 1};
    struct bytes message = {(const uint8_t *)"out", 3};
    struct rollup_block first = {.level = 1, .messages = 3, .state = durable_new()};
    struct rollup_block second = {.level = 2, .timestamp = 9, .outbox = {1, &message}};
    struct record_buffer buffer = {NULL, 0, 0};
    struct writer writer = writer_make(memory, sizeof memory);

    durable_set(first.state, durable_path("/a/b"), message);
    durable_set(first.state, durable_path("/a"), message);
    second.state = durable_snapshot(first.state);
    durable_delete_value(second.state, durable_path("/a"));
    durable_set(second.state, durable_path("/c"), message);
    record_add_base(&buffer, &identity, &first);
    record_add_block(&buffer, &second, first.state);
    writer_u8(&writer, 0);
    writer_copy(&writer, buffer.data, buffer.len);
    corpus_save_writer("rollup_record", "two_blocks", &writer);
    memory[0] = 1;
    corpus_save("rollup_record", "cut", memory, writer.len - 2);
    free(buffer.data);
    durable_close(first.state);
    durable_close(second.state);
}

/* A pre-block of the mock, with two batches. */
static void save_mock_records(void)
{
    const struct bytes batches[] = {{(const uint8_t *)"\x0a\x01x", 3},
                                    {(const uint8_t *)"\x0a\x02yz\x0a\x01u", 7}};
    const struct preblock header = {.index = 1, .round = 2, .batches = 2};
    const struct quorum quorum = {.count = 3, .signers = {0, 1, 3}};
    struct writer writer = writer_make(memory, sizeof memory);

    writer_u8(&writer, 0);
    mock_record_write(&writer, &header, &quorum, batches, 2);
    corpus_save_writer("mock_record", "two_batches", &writer);
    memory[0] = 1;
    corpus_save_writer("mock_record", "other_payload", &writer);
    writer = writer_make(memory, sizeof memory);
    writer_u8(&writer, 0);
    mock_record_write(&writer, &header, &quorum, &(struct bytes){NULL, 0}, 1);
    corpus_save_writer("mock_record", "empty_batch", &writer);
}

static void save_preimages(void)
{
    static const char head[] = "HTTP/1.0 200 OK\r\n\r\n";
    const size_t head_len = sizeof head - 1;

    memset(memory, 'p', head_len + 4097);
    memcpy(memory, head, head_len);
    corpus_save("preimage", "largest_page", memory, head_len + 4096);
    corpus_save("preimage", "page_too_large", memory, head_len + 4097);
    corpus_save_text("preimage", "page", "HTTP/1.0 200 OK\r\nServer: x\r\n\r\nabc");
    corpus_save_text("preimage", "missing", "HTTP/1.0 404 Not Found\r\n\r\nabc");
    corpus_save_text("preimage", "status_in_the_body", "HTTP\r\n\r\n 200 abc");
    corpus_save_text("preimage", "no_body", "HTTP/1.0 200 OK\r\n\r\n");
}

void make_corpus_hosts(void)
{
    save_files();
    save_http();
    save_apis();
    save_rollup_answers();
    save_base58();
    save_kernels();
    save_rollup_records();
    save_mock_records();
    save_preimages();
}
