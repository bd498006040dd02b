#include "tests/kernel/rig.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/kernel/native.h"

static void must(bool condition, const char *what)
{
    if (condition) return;
    fprintf(stderr, "rig: %s\n", what);
    abort();
}

void rig_kernel_load(struct rig_kernel *ret_kernel, const char *wasm, const char *library)
{
    FILE *file = fopen(wasm, "rb");
    uint8_t part[4096];
    size_t len;

    memset(ret_kernel, 0, sizeof *ret_kernel);
    must(file != NULL, wasm);
    while ((len = fread(part, 1, sizeof part, file)) > 0) {
        blob_add(&ret_kernel->wasm, part, len);
    }
    fclose(file);
    void *handle = dlopen(library, RTLD_NOW | RTLD_LOCAL); /* until the process ends */
    must(handle != NULL, dlerror());
    void *symbol = dlsym(handle, ENGINE_ENTRY_SYMBOL);
    must(symbol != NULL, library);
    memcpy(&ret_kernel->entry, &symbol, sizeof symbol);
}

static size_t reveal(void *context, uint8_t *ret_page, const struct digest *digest)
{
    struct rig *rig = context;

    rig->reveals++;
    if (rig->reveals_refused) return 0;
    for (uint32_t i = 0; i < rig->chain->count; i++) {
        const struct chain_preblock *preblock = &rig->chain->preblocks[i];
        for (int p = 0; p < preblock->pages_count; p++) {
            if (memcmp(preblock->pages[p].digest, digest->bytes, 32) != 0) continue;
            memcpy(ret_page, preblock->pages[p].bytes.data, preblock->pages[p].bytes.len);
            return preblock->pages[p].bytes.len;
        }
    }
    return 0;
}

static void debug(void *context, struct bytes text)
{
    (void)context;
    if (getenv("KERNEL_DEBUG") != NULL) fwrite(text.data, 1, text.len, stderr);
}

/* The section is written here by hand: the packing code is under test elsewhere. */
static void pack(struct blob *ret_packed, struct bytes wasm, const struct blob *body)
{
    memset(ret_packed, 0, sizeof *ret_packed);
    blob_add(ret_packed, wasm.data, wasm.len);
    blob_u8(ret_packed, 0);
    blob_length(ret_packed, (uint32_t)(7 + body->len + 4));
    blob_u8(ret_packed, 6);
    blob_add(ret_packed, "config", 6);
    blob_add(ret_packed, body->data, body->len);
    blob_little(ret_packed, body->len, 4);
}

static void rig_open_with(struct rig *rig,
                          struct chain *chain,
                          const uint8_t *application,
                          size_t application_len,
                          unsigned mode,
                          const struct rig_kernel *kernel)
{
    struct bytes code = engine_builtin_wasm();
    struct blob body, packed;
    const char *error;

    memset(rig, 0, sizeof *rig);
    rig->chain = chain;
    rig->level = 100;
    model_open(&rig->model, chain, application, application_len);
    rig->model.reveal = mode == 1;
    if (kernel != NULL) code = (struct bytes){kernel->wasm.data, kernel->wasm.len};
    chain_config(&body, chain, mode, application, application_len);
    pack(&packed, code, &body);

    rig->engine = engine_new(NULL);
    struct pvm_options options = {
        .origination_level = 100, .reveal = reveal, .debug = debug, .context = rig};
    memcpy(options.address, chain->address, sizeof options.address);
    rig->pvm =
        pvm_new(&options, rig->engine, pvm_originate((struct bytes){packed.data, packed.len}));
    if (kernel != NULL) {
        rig->entry = kernel->entry;
        native_attach(rig->pvm, rig->entry);
    } else if (rig_entry != NULL) {
        rig->entry = rig_entry;
        native_attach(rig->pvm, rig->entry);
    } else { /* as the machine will find it */
        must(engine_find(&rig->entry, &error, rig->engine, code) == OK, "no kernel");
    }
    blob_free(&body);
    blob_free(&packed);
}

void rig_open(struct rig *rig,
              struct chain *chain,
              enum model_application application,
              unsigned mode,
              const struct rig_kernel *kernel)
{
    uint8_t byte = (uint8_t)application;

    rig_open_with(rig, chain, &byte, 1, mode, kernel);
}

void rig_open_log(struct rig *rig,
                  struct chain *chain,
                  uint32_t keep,
                  unsigned mode,
                  const struct rig_kernel *kernel)
{
    const uint8_t bytes[5] = {MODEL_LOG, (uint8_t)keep, (uint8_t)(keep >> 8), (uint8_t)(keep >> 16),
                              (uint8_t)(keep >> 24)};

    rig_open_with(rig, chain, bytes, sizeof bytes, mode, kernel);
}

void rig_set_budget(struct rig *rig, uint32_t bytes)
{
    struct blob value = {0};

    blob_big(&value, bytes, 8);
    durable_set(pvm_durable(rig->pvm), durable_path("/readonly/budget"),
                (struct bytes){value.data, value.len});
    blob_free(&value);
}

void rig_close(struct rig *rig)
{
    for (size_t i = 0; i < rig->count; i++) {
        blob_free(&rig->blobs[i]);
    }
    pvm_close(rig->pvm);
    engine_close(rig->engine);
    model_close(&rig->model);
}

void rig_add(struct rig *rig, struct blob *blob, struct model_message meaning)
{
    must(rig->count < RIG_MESSAGES_MAX, "too many messages");
    rig->blobs[rig->count] = *blob;
    rig->messages[rig->count] = meaning;
    rig->internal[rig->count] = false;
    rig->count++;
    memset(blob, 0, sizeof *blob);
}

void rig_segment(struct rig *rig, uint64_t first, uint64_t last)
{
    struct blob blob;

    message_segment_quorum(&blob, rig->chain, first, last);
    rig_add(rig, &blob, (struct model_message){MODEL_SEGMENT, first, last, NULL});
}

void rig_page(struct rig *rig, uint64_t index, int page, unsigned attempt)
{
    struct blob blob;

    message_page(&blob, rig->chain, index, attempt,
                 &rig->chain->preblocks[index - 1].pages[page].bytes);
    rig_add(rig, &blob, (struct model_message){MODEL_PAGE, index, (uint64_t)page, NULL});
}

void rig_pages(struct rig *rig, uint64_t index)
{
    for (int p = 0; p < rig->chain->preblocks[index - 1].pages_count; p++) {
        rig_page(rig, index, p, 0);
    }
}

void rig_junk(struct rig *rig, struct blob *blob)
{
    rig_add(rig, blob, (struct model_message){MODEL_NOTHING, 0, 0, NULL});
}

void rig_internal(struct rig *rig, struct blob *blob)
{
    rig_junk(rig, blob);
    rig->internal[rig->count - 1] = true;
}

void rig_shuffle(struct rig *rig, uint64_t *random)
{
    for (size_t i = rig->count; i > 1; i--) {
        size_t j = random_below(random, (uint32_t)i);
        struct blob blob = rig->blobs[i - 1];
        struct model_message message = rig->messages[i - 1];
        bool internal = rig->internal[i - 1];
        rig->blobs[i - 1] = rig->blobs[j];
        rig->messages[i - 1] = rig->messages[j];
        rig->internal[i - 1] = rig->internal[j];
        rig->blobs[j] = blob;
        rig->messages[j] = message;
        rig->internal[j] = internal;
    }
}

void rig_begin(struct rig *rig)
{
    struct pvm_level level = {
        .level = rig->level++, .predecessor_timestamp = 1700000000, .migration = rig->migration};
    static struct bytes messages[RIG_MESSAGES_MAX];
    static struct bytes internals[RIG_MESSAGES_MAX];

    /* Internal messages come where the external ones are: these get their kind byte from the machine. */
    for (size_t i = 0; i < rig->count; i++) {
        const struct bytes view = {rig->blobs[i].data, rig->blobs[i].len};
        messages[i] = rig->internal[i] ? (struct bytes){NULL, 0} : view;
        internals[i] = rig->internal[i] ? view : (struct bytes){NULL, 0};
    }
    pvm_begin(rig->pvm, &level, messages, rig->count);
    native_replace(rig->pvm, internals, rig->count);
    rig->migration = NULL;
}

bool rig_end(struct rig *rig)
{
    model_level(&rig->model, rig->messages, rig->count);
    for (size_t i = 0; i < rig->count; i++) {
        blob_free(&rig->blobs[i]);
    }
    rig->count = 0;
    return model_agrees(&rig->model, pvm_durable(rig->pvm));
}

bool rig_level(struct rig *rig)
{
    rig_begin(rig);
    enum pvm_result result = pvm_finish(rig->pvm);
    if (result == PVM_BROKEN) fprintf(stderr, "kernel: %s\n", pvm_error(rig->pvm));
    return result == PVM_LEVEL_DONE && rig_end(rig);
}
