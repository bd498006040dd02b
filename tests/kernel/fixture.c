/* kernel_fixture DIRECTORY: a packed kernel and the levels of a scenario, for the checks that run
 * outside of C: node's WebAssembly (run_kernel.mjs) and the RPC of dsn-rollup (rpc.mjs).
 *
 *   DIRECTORY/kernel.wasm      packed, log application, committee of 7
 *   DIRECTORY/reveal.wasm      the same in mode reveal
 *   DIRECTORY/reveal.json      { segments: [hex, ...], pages: {66 hex digits: hex} }: all of the chain
 *   DIRECTORY/cost.json        { address, levels: [{name, count, payloads: [hex, ...]}, ...] }: what kernel-cost
 *                              measures, each level after the ones before it
 *   DIRECTORY/scenario.json    { address, levels: [[hex payload, ...], ...], applied, state: {path:
 * hex} } */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#include "tests/kernel/rig.h"
#include "tests/kernel/scenario.h"

struct output {
    FILE *file;
    bool first;
};

static void print_hex(FILE *file, const uint8_t *data, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        fprintf(file, "%02x", data[i]);
    }
}

static void print_value(void *context, struct bytes path, struct bytes value)
{
    struct output *output = context;

    if (path.len >= 7 && memcmp(path.data, "/kernel", 7) == 0) return;
    if (path.len >= 9 && memcmp(path.data, "/readonly", 9) == 0) return;
    fprintf(output->file, "%s\n\"%.*s\":\"", output->first ? "" : ",", (int)path.len,
            (const char *)path.data);
    print_hex(output->file, value.data, value.len);
    fprintf(output->file, "\"");
    output->first = false;
}

static void ignore(void *context, struct bytes path)
{
    (void)context;
    (void)path;
}

static FILE *create(const char *directory, const char *name)
{
    char path[4096];

    snprintf(path, sizeof path, "%s/%s", directory, name);
    FILE *file = fopen(path, "wb");
    if (file == NULL) {
        fprintf(stderr, "kernel_fixture: cannot write %s\n", path);
        exit(1);
    }
    return file;
}

static void print_level(FILE *file, const struct rig *rig, bool first)
{
    fprintf(file, "%s\n[", first ? "" : ",");
    for (size_t i = 0; i < rig->count; i++) {
        fprintf(file, "%s\"", i == 0 ? "" : ",");
        print_hex(file, rig->blobs[i].data, rig->blobs[i].len);
        fprintf(file, "\"");
    }
    fprintf(file, "]");
}

/* Levels whose instructions are worth knowing. */
#define COST_TRANSACTION_BYTES 512
#define COST_TRANSACTIONS      900
#define COST_FORGED            100

static void cost_chain(struct chain *chain)
{
    uint8_t transaction[COST_TRANSACTION_BYTES];

    chain_open(chain, 5, 7);
    for (int i = 0; i < 26; i++) {
        struct chain_batch batch = {0};
        for (int t = 0; t < (i == 0 ? COST_TRANSACTIONS : 1); t++) {
            memset(transaction, t, sizeof transaction);
            batch_add(&batch, transaction, sizeof transaction);
        }
        chain_append(chain, &batch, 1, 0);
    }
}

static void print_cost_level(FILE *file, struct rig *rig, const char *name, uint32_t count)
{
    fprintf(file, "%s{\"name\":\"%s\",\"count\":%u,\"payloads\":", ftell(file) > 70 ? "," : "",
            name, count);
    print_level(file, rig, true);
    fprintf(file, "}");
    if (!rig_level(rig)) exit(1);
}

static void add_forged(struct rig *rig, bool first)
{
    for (int i = 0; i < COST_FORGED; i++) {
        struct blob blob;
        message_segment_quorum(&blob, rig->chain, 26, 26);
        size_t signature = blob.len - (first ? 5 * 64 : 64);
        blob.data[signature + (size_t)i % 32] ^= 1;
        rig_junk(rig, &blob);
    }
}

static void write_cost(const char *directory)
{
    static struct rig rig;
    struct chain chain;

    cost_chain(&chain);
    rig_open(&rig, &chain, MODEL_LOG, 0, NULL);
    struct bytes kernel;
    durable_value(&kernel, pvm_durable(rig.pvm), durable_path("/kernel/boot.wasm"));
    FILE *file = create(directory, "kernel_cost.wasm");
    fwrite(kernel.data, 1, kernel.len, file);
    fclose(file);
    file = create(directory, "cost.json");
    fprintf(file, "{\"address\":\"");
    print_hex(file, chain.address, sizeof chain.address);
    fprintf(file, "\",\"levels\":[");
    print_cost_level(file, &rig, "first level of all: the configuration is stored", 1);
    print_cost_level(file, &rig, "level without own messages", 1);
    rig_segment(&rig, 1, 1);
    print_cost_level(file, &rig, "segment of 1 header", 1);
    rig_segment(&rig, 2, 25);
    print_cost_level(file, &rig, "segment of 24 headers", 1);
    const struct chain_preblock *preblock = &chain.preblocks[0];
    /* The manifest and the hash page first: then the level with the content pages is only those, but one. */
    rig_page(&rig, 1, preblock->pages_count - 1, 0);
    rig_page(&rig, 1, preblock->batches[0].root_page, 0);
    for (int page = 1; page < preblock->batches[0].root_page; page++) {
        rig_page(&rig, 1, page, 0);
    }
    print_cost_level(file, &rig, "4 KB page hashed and stored", (uint32_t)rig.count);
    rig_page(&rig, 1, 0, 0);
    print_cost_level(file, &rig, "transaction of 512 bytes applied in log, its pages read",
                     COST_TRANSACTIONS);
    add_forged(&rig, true);
    print_cost_level(file, &rig, "100 forged segments, first signature bad", 1);
    add_forged(&rig, false);
    print_cost_level(file, &rig, "100 forged segments, last signature bad", 1);
    fprintf(file, "]}\n");
    fclose(file);
    rig_close(&rig);
    chain_close(&chain);
}

static void write_reveal(const char *directory, struct chain *chain)
{
    static struct rig rig;
    struct bytes kernel;
    struct blob message;

    rig_open(&rig, chain, MODEL_LOG, 1, NULL);
    durable_value(&kernel, pvm_durable(rig.pvm), durable_path("/kernel/boot.wasm"));
    FILE *file = create(directory, "reveal.wasm");
    fwrite(kernel.data, 1, kernel.len, file);
    fclose(file);
    rig_close(&rig);

    file = create(directory, "reveal.json");
    fprintf(file, "{\"segments\":[");
    for (uint64_t index = 1; index <= chain->count; index++) {
        message_segment_quorum(&message, chain, index, index);
        fprintf(file, "%s\"", index == 1 ? "" : ",");
        print_hex(file, message.data, message.len);
        fprintf(file, "\"");
        blob_free(&message);
    }
    fprintf(file, "],\"pages\":{");
    for (uint32_t i = 0; i < chain->count; i++) {
        for (int p = 0; p < chain->preblocks[i].pages_count; p++) {
            const struct chain_page *page = &chain->preblocks[i].pages[p];
            fprintf(file, "%s\n\"00", i == 0 && p == 0 ? "" : ",");
            print_hex(file, page->digest, sizeof page->digest);
            fprintf(file, "\":\"");
            print_hex(file, page->bytes.data, page->bytes.len);
            fprintf(file, "\"");
        }
    }
    fprintf(file, "}}\n");
    fclose(file);
}

int main(int argc, char **argv)
{
    static struct rig rig;
    struct chain chain;
    struct bytes kernel;

    if (argc != 2) {
        fprintf(stderr, "usage: kernel_fixture DIRECTORY\n");
        return 2;
    }
    scenario_chain(&chain, 7, 7);
    rig_open(&rig, &chain, MODEL_LOG, 0, NULL);
    durable_value(&kernel, pvm_durable(rig.pvm), durable_path("/kernel/boot.wasm"));
    FILE *file = create(argv[1], "kernel.wasm");
    fwrite(kernel.data, 1, kernel.len, file);
    fclose(file);

    file = create(argv[1], "scenario.json");
    fprintf(file, "{\"address\":\"");
    print_hex(file, chain.address, sizeof chain.address);
    fprintf(file, "\",\"levels\":[");
    uint64_t random = 11;
    for (int level = 0; scenario_level(&rig, level, &random); level++) {
        print_level(file, &rig, level == 0);
        if (!rig_level(&rig)) return 1;
    }
    fprintf(file, "],\"applied\":%llu,\"state\":{", (unsigned long long)rig.model.applied);
    struct output output = {file, true};
    struct durable_diff diff = {print_value, ignore, ignore, &output};
    durable_compare(NULL, pvm_durable(rig.pvm), &diff);
    fprintf(file, "}}\n");
    fclose(file);
    rig_close(&rig);
    write_reveal(argv[1], &chain);
    chain_close(&chain);
    write_cost(argv[1]);
    return 0;
}
