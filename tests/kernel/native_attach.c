#include "rollup-kernel/host/pvm_state.h"
#include "tests/kernel/native.h"

void native_attach(struct pvm *pvm, engine_entry *entry)
{
    durable_hash(&pvm->kernel_hash, pvm->durable, durable_path("/kernel/boot.wasm"));
    pvm->entry = entry;
}

void pvm_reset(struct pvm *pvm, struct durable *durable)
{
    CHECK(!pvm->in_level);
    durable_close(pvm->durable);
    pvm->durable = durable;
}
