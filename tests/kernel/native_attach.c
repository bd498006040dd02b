#include <stdlib.h>

#include "rollup-kernel/host/pvm_state.h"
#include "tests/kernel/native.h"

void native_attach(struct pvm *pvm, engine_entry *entry)
{
    durable_hash(&pvm->kernel_hash, pvm->durable, durable_path("/kernel/boot.wasm"));
    pvm->entry = entry;
}

void native_replace(struct pvm *pvm, const struct bytes *internals, size_t count)
{
    const size_t first = pvm->inbox.count - 1 - count; /* the last message is the level's end */

    for (size_t i = 0; i < count; i++) {
        if (internals[i].len == 0) continue;
        struct bytes *item = &pvm->inbox.items[first + i];
        uint8_t *data = malloc(internals[i].len);
        CHECK(data != NULL);
        memcpy(data, internals[i].data, internals[i].len);
        free((uint8_t *)(uintptr_t)item->data);
        *item = (struct bytes){data, internals[i].len};
    }
}

void pvm_reset(struct pvm *pvm, struct durable *durable)
{
    CHECK(!pvm->in_level);
    durable_close(pvm->durable);
    pvm->durable = durable;
}
