#include "tests/fuzz/fuzz.h"

#include <event2/event.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "common/crypto.h"
#include "common/http_server.h"
#include "rollup-kernel/host/engine.h"
#include "rollup-kernel/host/pack.h"
#include "rollup-kernel/host/rpc.h"
#include "tests/fuzz/http_rig.h"

/* Requests to a local rollup node of one block: targets of every GET, and bodies and options of an injection. Every
 * reply is JSON, and what was injected can be asked for.
 *
 *   input = kind u8 | rest     kind % 2: 0 the target of a GET, 1 query of an injection, line end, its body */
static struct event_base *base;
static struct rollup_node *node;
static struct rpc *rpc;

/* A kernel of one member, packed, in a file of the folder. */
static void write_kernel(const char *path)
{
    static struct config config;
    struct secret_key secret;
    uint8_t seed[32] = {1};
    uint8_t *packed;
    size_t len;

    config.committee.count = 1;
    config.committee.members[0].stake = 1;
    crypto_key_pair(&config.committee.members[0].key, &secret, seed);
    seed[0] = 2;
    crypto_key_pair(&config.committee.members[0].network_key, &secret, seed);
    CHECK(committee_finish(&config.committee) == OK);
    config.application[0] = CONFIG_APPLICATION_COUNTER;
    config.application_len = 1;
    CHECK(pack_kernel(&packed, &len, engine_builtin_wasm(), &config) == OK);
    FILE *file = fopen(path, "wb");
    CHECK(file != NULL);
    CHECK(fwrite(packed, 1, len, file) == len);
    CHECK(fclose(file) == 0);
    free(packed);
}

/* Removes the folder when the program ends. */
static char folder[64];

static void remove_folder(void)
{
    static const char *const names[] = {"kernel.wasm", "rollup.log", "preimages", "kernels", ""};
    char path[128];

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        (void)snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        (void)remove(path);
    }
}

static void open_node(void)
{
    const char *parent = getenv("TMPDIR");
    char kernel[128];
    struct address any = {"127.0.0.1", 0};
    struct error_line error;

    (void)snprintf(folder, sizeof folder, "%.40s/fuzz-XXXXXX", parent == NULL ? "/tmp" : parent);
    CHECK(mkdtemp(folder) != NULL);
    (void)atexit(remove_folder);
    (void)snprintf(kernel, sizeof kernel, "%s/kernel.wasm", folder);
    write_kernel(kernel);
    const struct rollup_node_options options = {
        .data_directory = folder, .kernel = kernel, .batching_keys = 1};
    base = event_base_new();
    CHECK(base != NULL);
    CHECK(rollup_node_open(&node, &options, &error) == OK);
    CHECK(rpc_open(&rpc, base, &any, node, &error) == OK);
}

/* A block takes what waits, so that the queue never fills. */
static void make_block(void)
{
    struct error_line error;
    enum rollup_step step = ROLLUP_AGAIN;

    rollup_node_tick(node, 1);
    while (step != ROLLUP_BLOCK) {
        step = rollup_node_step(node, &error);
        CHECK(step == ROLLUP_AGAIN || step == ROLLUP_BLOCK);
    }
    rpc_new_block(rpc);
}

static int ask(json_t **ret_json, const char *request, size_t len)
{
    struct bytes body;
    int code;

    (void)http_rig_ask(base, rpc_port(rpc), request, len, &code, &body);
    *ret_json = json_loadb((const char *)body.data, body.len, JSON_DECODE_ANY, NULL);
    return code;
}

static void check_injected(const json_t *ids)
{
    char request[256];
    json_t *message;
    size_t at;
    const json_t *id;

    json_array_foreach(ids, at, id)
    {
        if (at == 2) break;
        int len = snprintf(request, sizeof request,
                           "GET /local/batcher/queue/%s HTTP/1.1\r\nConnection: close\r\n\r\n",
                           json_string_value(id));
        CHECK(ask(&message, request, (size_t)len) == 200);
        CHECK(json_string_value(json_object_get(message, "content")) != NULL);
        json_decref(message);
    }
}

static void inject(const uint8_t *data, size_t size)
{
    static char request[80000];
    const uint8_t *end = memchr(data, '\n', size);
    size_t query = end == NULL ? 0 : (size_t)(end - data);
    size_t body = end == NULL ? size : size - query - 1;
    json_t *json;

    int head = snprintf(request, sizeof request,
                        "POST /local/batcher/injection?%.*s HTTP/1.1\r\nConnection: close\r\n"
                        "Content-Length: %zu\r\n\r\n",
                        (int)query, (const char *)data, body);
    CHECK(head > 0);
    if (strlen(request) != (size_t)head || (size_t)head + body > sizeof request) return;
    memcpy(request + head, data + size - body, body);
    int code = ask(&json, request, (size_t)head + body);
    CHECK(code != 200 || json_is_array(json));
    if (code == 200) check_injected(json);
    json_decref(json);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char tail[] = " HTTP/1.1\r\nConnection: close\r\n\r\n";
    static char request[80000];
    static uint32_t runs;
    json_t *json;

    if (size < 1 || size > 70000) return 0;
    if (base == NULL) open_node();
    if (data[0] % 2 == 1) {
        inject(data + 1, size - 1);
        if (++runs % 64 == 0) make_block();
        return 0;
    }
    memcpy(request, "GET ", 4);
    memcpy(request + 4, data + 1, size - 1);
    memcpy(request + 3 + size, tail, sizeof tail - 1);
    int code = ask(&json, request, 3 + size + sizeof tail - 1);
    CHECK(code != 200 || json != NULL);
    json_decref(json);
    return 0;
}
