/* kernel_fixture DIRECTORY: a packed kernel and the levels of a scenario, for the checks that run
 * outside of C: node's WebAssembly (run_kernel.mjs) and the RPC of dsn-rollup (rpc.mjs).
 *
 *   DIRECTORY/kernel.wasm      packed, log application, committee of 7
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
    chain_close(&chain);
    return 0;
}
