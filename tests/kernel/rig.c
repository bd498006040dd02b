#include "tests/kernel/rig.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/kernel/native.h"

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
                          const struct blob *wasm)
{
    struct bytes code = engine_builtin_wasm();
    struct blob body, packed;
    char cache[512];

    memset(rig, 0, sizeof *rig);
    rig->chain = chain;
    rig->level = 100;
    model_open(&rig->model, chain, application, application_len);
    rig->model.reveal = mode == 1;
    if (wasm != NULL) code = (struct bytes){wasm->data, wasm->len};
    chain_config(&body, chain, mode, application, application_len);
    pack(&packed, code, &body);

    const char *temporary = getenv("TMPDIR");
    snprintf(cache, sizeof cache, "%s/dsn-test-kernels", temporary != NULL ? temporary : "/tmp");
    rig->engine = engine_new(cache);
    struct pvm_options options = {
        .origination_level = 100, .reveal = reveal, .debug = debug, .context = rig};
    memcpy(options.address, chain->address, sizeof options.address);
    rig->pvm =
        pvm_new(&options, rig->engine, pvm_originate((struct bytes){packed.data, packed.len}));
    if (wasm == NULL && rig_entry != NULL) native_attach(rig->pvm, rig_entry);
    blob_free(&body);
    blob_free(&packed);
}

void rig_open(struct rig *rig,
              struct chain *chain,
              enum model_application application,
              unsigned mode,
              const struct blob *wasm)
{
    uint8_t byte = (uint8_t)application;

    rig_open_with(rig, chain, &byte, 1, mode, wasm);
}

void rig_open_log(struct rig *rig, struct chain *chain, uint32_t keep)
{
    const uint8_t bytes[5] = {MODEL_LOG, (uint8_t)keep, (uint8_t)(keep >> 8), (uint8_t)(keep >> 16),
                              (uint8_t)(keep >> 24)};

    rig_open_with(rig, chain, bytes, sizeof bytes, 0, NULL);
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
    if (rig->count == RIG_MESSAGES_MAX) abort();
    rig->blobs[rig->count] = *blob;
    rig->messages[rig->count] = meaning;
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

void rig_shuffle(struct rig *rig, uint64_t *random)
{
    for (size_t i = rig->count; i > 1; i--) {
        size_t j = random_below(random, (uint32_t)i);
        struct blob blob = rig->blobs[i - 1];
        struct model_message message = rig->messages[i - 1];
        rig->blobs[i - 1] = rig->blobs[j];
        rig->messages[i - 1] = rig->messages[j];
        rig->blobs[j] = blob;
        rig->messages[j] = message;
    }
}

bool rig_level(struct rig *rig)
{
    struct pvm_level level = {.level = rig->level++, .predecessor_timestamp = 1700000000};
    static struct bytes externals[RIG_MESSAGES_MAX];

    for (size_t i = 0; i < rig->count; i++) {
        externals[i] = (struct bytes){rig->blobs[i].data, rig->blobs[i].len};
    }
    pvm_begin(rig->pvm, &level, externals, rig->count);
    enum pvm_result result = pvm_finish(rig->pvm);
    if (result == PVM_BROKEN) fprintf(stderr, "kernel: %s\n", pvm_error(rig->pvm));
    if (result != PVM_LEVEL_DONE) return false;

    model_level(&rig->model, rig->messages, rig->count);
    for (size_t i = 0; i < rig->count; i++) {
        blob_free(&rig->blobs[i]);
    }
    rig->count = 0;
    return model_agrees(&rig->model, pvm_durable(rig->pvm));
}
