/* The kernel's own C code as a native program, so that sanitizers, coverage and fuzzers see it: the same files that
 * are compiled to wasm32, with libsodium in place of the kernel's crypto, and the host functions of the host
 * library behind them. */
#ifndef TESTS_KERNEL_NATIVE_H
#define TESTS_KERNEL_NATIVE_H

#include "rollup-kernel/host/pvm.h"

/* What rigs run instead of the compiled kernel; NULL: the compiled kernel (rig_wasm.c). */
extern engine_entry *const rig_entry;

/* Makes a machine run `entry` as long as its kernel does not change. */
void native_attach(struct pvm *pvm, engine_entry *entry);

/* Replaces external messages of the level just begun: those whose `internals` have bytes, by these with their own
 * kind byte. */
void native_replace(struct pvm *pvm, const struct bytes *internals, size_t count);

/* Puts a machine that is between levels on another tree, which it takes. */
void pvm_reset(struct pvm *pvm, struct durable *durable);

#endif
