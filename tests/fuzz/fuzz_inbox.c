/* The kernel's inbox: a level whose messages are whatever the input says, behind a valid frame or not, on a rollup with
 * one pre-block applied and one accepted. Nothing may trap, and as nobody else holds the committee's keys, nothing may
 * be accepted that was not made below.
 *
 *   input = messages: length u16 LE | bytes; a message whose first byte is 1 or 2 is framed with that tag */
#include <stdlib.h>

#include "tests/fuzz/fuzz.h"
#include "tests/kernel/native.h"
#include "tests/kernel/rig.h"

#define ACCEPTED 2u

static struct rig rig;
static struct chain chain;
static struct durable *begin; /* the state that each input starts from */

static void must(bool condition)
{
    if (!condition) abort();
}

static void prepare(void)
{
    uint64_t random = 1;

    chain_open(&chain, 99, 4);
    for (int i = 0; i < 4; i++) {
        struct chain_batch batches[2];
        batch_random(&batches[0], &random, 3, 60);
        batch_random(&batches[1], &random, 40, 300);
        chain_append(&chain, batches, 2, 0);
    }
    rig_open(&rig, &chain, MODEL_LOG, 0, NULL);
    rig_segment(&rig, 1, ACCEPTED);
    rig_pages(&rig, 1);
    must(rig_level(&rig));
    begin = durable_snapshot(pvm_durable(rig.pvm));
}

static uint8_t value_byte(const char *path, size_t at)
{
    struct bytes value;

    must(durable_value(&value, pvm_durable(rig.pvm), durable_path(path)) && value.len > at);
    return value.data[at];
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct bytes externals[512];
    struct blob blobs[512];
    struct reader reader = reader_make(data, size);
    struct pvm_level level = {.level = 300};
    size_t count = 0;

    if (begin == NULL) prepare();
    while (reader.left >= 2 && count < 512) {
        uint16_t len = reader_u16(&reader) % 4074;
        struct bytes bytes = reader_view(&reader, len < reader.left ? len : reader.left);
        struct blob *blob = &blobs[count];
        *blob = (struct blob){0};
        if (bytes.len > 0 && (bytes.data[0] == 1 || bytes.data[0] == 2)) {
            message_frame(blob, &chain, bytes.data[0]);
            bytes = (struct bytes){bytes.data + 1, bytes.len - 1};
        }
        blob_add(blob, bytes.data, bytes.len);
        externals[count++] = (struct bytes){blob->data, blob->len};
    }

    struct pvm *pvm = rig.pvm;
    pvm_reset(pvm, durable_snapshot(begin));
    native_attach(pvm, rig_entry);
    pvm_begin(pvm, &level, externals, count);
    must(pvm_finish(pvm) == PVM_LEVEL_DONE);
    must(pvm_traps(pvm) == 0);
    /* Valid messages of the corpus may go on; what is accepted is still of the chain. */
    uint8_t accepted = value_byte("/accepted", 7);
    must(accepted >= ACCEPTED && accepted <= chain.count);
    must(value_byte("/index", 7) <= accepted);
    must(durable_has(pvm_durable(pvm), durable_path("/fault/fork")) == 0);
    struct bytes digest;
    must(durable_value(&digest, pvm_durable(pvm), durable_path("/accepted/digest")));
    must(memcmp(digest.data, chain.preblocks[accepted - 1].digest, 32) == 0);
    for (size_t i = 0; i < count; i++) {
        blob_free(&blobs[i]);
    }
    return 0;
}
