/* kernel.wasm -> C (wasm2c) -> shared object, so that any kernel that keeps to the ABI runs
 * natively here. Needs the packages that build our own kernel: wabt and a C compiler ($CC, or cc).
 */
#ifndef HOST_KERNEL_COMPILE_H
#define HOST_KERNEL_COMPILE_H

#include "common/base.h"

/* Compiles `wasm` into the shared object `output`, which appears whole or not at all. Refuses what
 * the rollup's engines would refuse: no kernel_run, floats, features after the MVP beyond sign
 * extension, mutable globals and bulk memory, imports that are not host functions. ERR_MALFORMED or
 * ERR_IO, and one line about it in `ret_error`. */
enum status kernel_compile(const char *output,
                           struct bytes wasm,
                           char *ret_error,
                           size_t error_len);

#endif
