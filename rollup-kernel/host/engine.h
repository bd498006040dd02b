/* Which native code runs a kernel. The kernel of this build is linked in; any other is compiled
 * once with kernel_compile into a cache directory and loaded. A packed kernel is the same code with
 * a custom section behind it, so it is recognised whatever its configuration. */
#ifndef HOST_ENGINE_H
#define HOST_ENGINE_H

#include "common/base.h"
#include "rollup-kernel/host/engine_abi.h"

struct engine;

/* `cache` is the directory of compiled kernels, made when missing; NULL: only the linked kernel
 * runs. */
struct engine *engine_new(const char *cache);
void engine_close(struct engine *engine); /* NULL is fine */

/* The entry for `wasm`, from memory, the cache or the compiler. On failure a line in `ret_error`,
 * alive until the next call. ERR_MALFORMED (not a kernel that runs) or ERR_IO. */
enum status engine_find(engine_entry **ret_entry,
                        const char **ret_error,
                        struct engine *engine,
                        struct bytes wasm);

/* The kernel.wasm of this build, not packed. */
struct bytes engine_builtin_wasm(void);

#endif
