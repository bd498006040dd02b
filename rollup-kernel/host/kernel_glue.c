/* The kernel's side of engine_abi.h: a runtime for the code that wasm2c generates (bounds-checked
 * memory, counted call depth, no signals), the imports, and the entry. Compiled once per kernel,
 * next to its generated kernel.h. The runtime that ships with wabt keeps 8 GiB of address space per
 * instance and leaks it, and its trap target is one global; this one is a fresh allocation each
 * run. */
#include "engine_abi.h"

#include <stdarg.h>
#include <stdlib.h>

#include "kernel.h"

#ifndef KERNEL_ENTRY
#define KERNEL_ENTRY dsn_kernel_entry
#endif

/* Function types that a module may register: the table of distinct ones. */
#define FUNCTION_TYPES_MAX       1024u
#define FUNCTION_TYPE_VALUES_MAX 64u

#define PAGE_BYTES               65536u

struct function_type {
    uint32_t params;
    uint32_t results;
    uint8_t values[FUNCTION_TYPE_VALUES_MAX];
};

static struct function_type types[FUNCTION_TYPES_MAX];
static uint32_t types_count;

static struct engine_call *active;
static wasm_rt_memory_t *active_memory;
static void *active_table;

uint32_t wasm_rt_call_stack_depth;

void wasm_rt_trap(wasm_rt_trap_t code)
{
    active->trap = (uint32_t)code;
    longjmp(active->end, ENGINE_TRAPPED);
}

uint32_t wasm_rt_register_func_type(uint32_t params, uint32_t results, ...)
{
    struct function_type type = {params, results, {0}};
    va_list values;

    if (params + results > FUNCTION_TYPE_VALUES_MAX) abort();
    va_start(values, results);
    for (uint32_t i = 0; i < params + results; i++) {
        type.values[i] = (uint8_t)va_arg(values, int);
    }
    va_end(values);
    for (uint32_t i = 0; i < types_count; i++) {
        if (memcmp(&types[i], &type, sizeof type) == 0) return i + 1;
    }
    if (types_count == FUNCTION_TYPES_MAX) abort();
    types[types_count] = type;
    return ++types_count;
}

void wasm_rt_allocate_memory(wasm_rt_memory_t *memory, uint32_t pages, uint32_t max_pages)
{
    memory->pages = pages;
    memory->max_pages = max_pages;
    memory->size = pages * PAGE_BYTES;
    memory->data = calloc(pages > 0 ? pages : 1, PAGE_BYTES);
    active_memory = memory;
    if (memory->data == NULL) wasm_rt_trap(WASM_RT_TRAP_OOB);
}

uint32_t wasm_rt_grow_memory(wasm_rt_memory_t *memory, uint32_t pages)
{
    uint32_t before = memory->pages;
    uint64_t after = (uint64_t)before + pages;

    /* The size is 32 bits in this version of wasm2c, so 65,535 pages are the end. */
    if (after > memory->max_pages || after >= PAGE_BYTES) return UINT32_MAX;
    uint8_t *data = realloc(memory->data, (size_t)after * PAGE_BYTES);
    if (data == NULL) return UINT32_MAX;
    memset(data + memory->size, 0, (size_t)pages * PAGE_BYTES);
    memory->data = data;
    memory->pages = (uint32_t)after;
    memory->size = (uint32_t)after * PAGE_BYTES;
    return before;
}

void wasm_rt_free_memory(wasm_rt_memory_t *memory)
{
    free(memory->data);
    memory->data = NULL;
}

void wasm_rt_allocate_funcref_table(wasm_rt_funcref_table_t *table, uint32_t elements, uint32_t max)
{
    table->size = elements;
    table->max_size = max;
    table->data = calloc(elements > 0 ? elements : 1, sizeof *table->data);
    active_table = table->data;
    if (table->data == NULL) wasm_rt_trap(WASM_RT_TRAP_OOB);
}

void wasm_rt_free_funcref_table(wasm_rt_funcref_table_t *table)
{
    free(table->data);
    table->data = NULL;
}

/* wasm2c asks whether the embedder initialised the runtime; there is nothing to initialise. */
bool wasm_rt_is_initialized(void)
{
    return true;
}

/* The imports. wasm2c names them Z_<module>Z_<function>. */
struct Z_smart_rollup_core_instance_t {
    struct engine_call *call;
};
typedef struct Z_smart_rollup_core_instance_t core;

static struct engine_call *enter(core *instance)
{
    struct engine_call *call = instance->call;

    call->memory = active_memory->data;
    call->memory_bytes = active_memory->size;
    return call;
}

#define FORWARD(name) instance->call->host->name
u32 Z_smart_rollup_coreZ_read_input(core *instance, u32 info, u32 to, u32 max)
{
    return FORWARD(read_input)(enter(instance), info, to, max);
}

u32 Z_smart_rollup_coreZ_write_output(core *instance, u32 from, u32 len);
u32 Z_smart_rollup_coreZ_write_output(core *instance, u32 from, u32 len)
{
    return FORWARD(write_output)(enter(instance), from, len);
}

void Z_smart_rollup_coreZ_write_debug(core *instance, u32 from, u32 len)
{
    FORWARD(write_debug)(enter(instance), from, len);
}

#define FORWARD_PATH(name)                                              \
    u32 Z_smart_rollup_coreZ_##name(core *instance, u32 path, u32 len); \
    u32 Z_smart_rollup_coreZ_##name(core *instance, u32 path, u32 len)  \
    {                                                                   \
        return FORWARD(name)(enter(instance), path, len);               \
    }
FORWARD_PATH(store_has)
FORWARD_PATH(store_exists)
FORWARD_PATH(store_delete)
FORWARD_PATH(store_delete_value)
FORWARD_PATH(store_value_size)
FORWARD_PATH(reveal_metadata)

#define FORWARD_FOUR(name, target)                                               \
    u32 Z_smart_rollup_coreZ_##name(core *instance, u32 a, u32 b, u32 c, u32 d); \
    u32 Z_smart_rollup_coreZ_##name(core *instance, u32 a, u32 b, u32 c, u32 d)  \
    {                                                                            \
        return FORWARD(target)(enter(instance), a, b, c, d);                     \
    }
FORWARD_FOUR(store_copy, store_copy)
FORWARD_FOUR(store_move, store_move)
FORWARD_FOUR(reveal_preimage, reveal_preimage)
FORWARD_FOUR(reveal, reveal)
FORWARD_FOUR(__internal_store_get_hash, store_get_hash)

u64 Z_smart_rollup_coreZ_store_list_size(core *instance, u32 path, u32 len);
u64 Z_smart_rollup_coreZ_store_list_size(core *instance, u32 path, u32 len)
{
    return FORWARD(store_list_size)(enter(instance), path, len);
}

u32 Z_smart_rollup_coreZ_store_get_nth_key(core *instance,
                                           u32 path,
                                           u32 len,
                                           u64 n,
                                           u32 to,
                                           u32 max);
u32 Z_smart_rollup_coreZ_store_get_nth_key(core *instance,
                                           u32 path,
                                           u32 len,
                                           u64 n,
                                           u32 to,
                                           u32 max)
{
    return FORWARD(store_get_nth_key)(enter(instance), path, len, n, to, max);
}

u32 Z_smart_rollup_coreZ_store_read(core *instance, u32 path, u32 len, u32 at, u32 to, u32 max)
{
    return FORWARD(store_read)(enter(instance), path, len, at, to, max);
}

u32 Z_smart_rollup_coreZ_store_write(core *instance, u32 path, u32 len, u32 at, u32 from, u32 n)
{
    return FORWARD(store_write)(enter(instance), path, len, at, from, n);
}

u32 Z_smart_rollup_coreZ_store_create(core *instance, u32 path, u32 len, u32 size);
u32 Z_smart_rollup_coreZ_store_create(core *instance, u32 path, u32 len, u32 size)
{
    return FORWARD(store_create)(enter(instance), path, len, size);
}

#ifdef __GNUC__
__attribute__((visibility("default")))
#endif
engine_entry KERNEL_ENTRY;

int KERNEL_ENTRY(struct engine_call *call)
{
    static bool initialised;
    /* Static: what is written between setjmp and longjmp must still be there afterwards. */
    static Z_kernel_instance_t instance;
    static core imports;

    active = call;
    active_memory = NULL;
    active_table = NULL;
    wasm_rt_call_stack_depth = 0;
    imports.call = call;
    memset(&instance, 0, sizeof instance);
    if (!initialised) Z_kernel_init_module();
    initialised = true;

    int end = setjmp(call->end);
    if (end == ENGINE_RETURNED) {
        Z_kernel_instantiate(&instance, &imports);
        Z_kernelZ_kernel_run(&instance);
    }
    if (active_memory != NULL) free(active_memory->data);
    free(active_table);
    return end;
}
