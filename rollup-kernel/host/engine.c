#include "rollup-kernel/host/engine.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/bytes.h"
#include "common/crypto.h"
#include "rollup-kernel/host/embedded.h"
#include "rollup-kernel/host/kernel_compile.h"

/* The linked kernel's entry: kernel_glue.c, compiled with this name. */
engine_entry engine_builtin_entry;

/* Kernels loaded in one process: upgrades are rare, and tests load a few. */
#define ENGINE_KERNELS_MAX 32u

#define CUSTOM_SECTION     0u

struct loaded {
    struct digest digest;
    void *library;
    engine_entry *entry;
};

struct engine {
    char *cache;
    struct loaded kernels[ENGINE_KERNELS_MAX];
    size_t count;
    char error[4096 + 128];
};

struct engine *engine_new(const char *cache)
{
    struct engine *engine = calloc(1, sizeof *engine);

    CHECK(engine != NULL);
    if (cache != NULL) {
        engine->cache = strdup(cache);
        CHECK(engine->cache != NULL);
    }
    return engine;
}

void engine_close(struct engine *engine)
{
    if (engine == NULL) return;
    for (size_t i = 0; i < engine->count; i++) {
        dlclose(engine->kernels[i].library);
    }
    free(engine->cache);
    free(engine);
}

struct bytes engine_builtin_wasm(void)
{
    return embedded_kernel_wasm();
}

static bool is_builtin(struct bytes wasm)
{
    struct bytes builtin = engine_builtin_wasm();

    if (wasm.len < builtin.len || memcmp(wasm.data, builtin.data, builtin.len) != 0) return false;
    return wasm.len == builtin.len || wasm.data[builtin.len] == CUSTOM_SECTION;
}

static enum status load(struct loaded *ret_loaded, struct engine *engine, const char *path)
{
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);

    if (library == NULL) {
        snprintf(engine->error, sizeof engine->error, "%s", dlerror());
        return ERR_IO;
    }
    void *symbol = dlsym(library, ENGINE_ENTRY_SYMBOL);
    if (symbol == NULL) {
        snprintf(engine->error, sizeof engine->error, "%s: no " ENGINE_ENTRY_SYMBOL, path);
        dlclose(library);
        return ERR_MALFORMED;
    }
    ret_loaded->library = library;
    memcpy(&ret_loaded->entry, &symbol, sizeof symbol);
    return OK;
}

static enum status compile_and_load(struct loaded *ret_loaded,
                                    struct engine *engine,
                                    struct bytes wasm)
{
    char path[4096];
    char hex[2 * sizeof(struct digest) + 1];

    if (engine->cache == NULL) {
        snprintf(engine->error, sizeof engine->error, "only the kernel of this build can run here");
        return ERR_MALFORMED;
    }
    if (mkdir(engine->cache, 0755) != 0 && errno != EEXIST) {
        snprintf(engine->error, sizeof engine->error, "cannot make %s", engine->cache);
        return ERR_IO;
    }
    hex_encode(hex, ret_loaded->digest.bytes, sizeof ret_loaded->digest.bytes);
    snprintf(path, sizeof path, "%s/%s.so", engine->cache, hex);
    if (access(path, R_OK) != 0) {
        enum status status = kernel_compile(path, wasm, engine->error, sizeof engine->error);
        if (status != OK) return status;
    }
    return load(ret_loaded, engine, path);
}

enum status engine_find(engine_entry **ret_entry,
                        const char **ret_error,
                        struct engine *engine,
                        struct bytes wasm)
{
    struct loaded kernel;

    *ret_error = engine->error;
    if (is_builtin(wasm)) {
        *ret_entry = engine_builtin_entry;
        return OK;
    }
    /* The glue is part of what is compiled: another build of it must not meet an old object. */
    const struct bytes parts[3] = {wasm, embedded_kernel_glue(), embedded_engine_abi()};
    crypto_hash(&kernel.digest, parts, 3);
    for (size_t i = 0; i < engine->count; i++) {
        if (digest_equal(&engine->kernels[i].digest, &kernel.digest)) {
            *ret_entry = engine->kernels[i].entry;
            return OK;
        }
    }
    if (engine->count == ENGINE_KERNELS_MAX) {
        snprintf(engine->error, sizeof engine->error, "more than %u kernels", ENGINE_KERNELS_MAX);
        return ERR_IO;
    }
    enum status status = compile_and_load(&kernel, engine, wasm);
    if (status != OK) return status;
    engine->kernels[engine->count++] = kernel;
    *ret_entry = kernel.entry;
    return OK;
}
