/* Between the host library and a compiled kernel: what is linked in, or loaded from a shared object
 * made by kernel_compile. Plain C so that it can be compiled anywhere with the code that wasm2c
 * generates.
 *
 * A kernel has one entry, `engine_entry`: it makes a fresh instance (memory and globals as the
 * module says), calls kernel_run and drops the instance. Host functions reach it through a table.
 */
#ifndef HOST_ENGINE_ABI_H
#define HOST_ENGINE_ABI_H

#include <setjmp.h>
#include <stdint.h>

/* Deepest chain of calls in a kernel. A stack frame of generated code is below 1 KiB, so this stays
 * far from the end of an 8 MiB stack; our own kernel needs less than 30. */
#define ENGINE_CALLS_MAX 2000u

struct engine_call;

/* The functions of module smart_rollup_core; pointers are offsets into the kernel's memory. */
struct engine_host {
    uint32_t (*read_input)(struct engine_call *, uint32_t info, uint32_t to, uint32_t max);
    uint32_t (*write_output)(struct engine_call *, uint32_t from, uint32_t len);
    void (*write_debug)(struct engine_call *, uint32_t from, uint32_t len);
    uint32_t (*store_has)(struct engine_call *, uint32_t path, uint32_t len);
    uint32_t (*store_exists)(struct engine_call *, uint32_t path, uint32_t len);
    uint32_t (*store_delete)(struct engine_call *, uint32_t path, uint32_t len);
    uint32_t (*store_delete_value)(struct engine_call *, uint32_t path, uint32_t len);
    uint32_t (
        *store_copy)(struct engine_call *, uint32_t from, uint32_t fl, uint32_t to, uint32_t tl);
    uint32_t (
        *store_move)(struct engine_call *, uint32_t from, uint32_t fl, uint32_t to, uint32_t tl);
    uint32_t (*store_value_size)(struct engine_call *, uint32_t path, uint32_t len);
    uint64_t (*store_list_size)(struct engine_call *, uint32_t path, uint32_t len);
    uint32_t (*store_get_nth_key)(struct engine_call *,
                                  uint32_t path,
                                  uint32_t len,
                                  uint64_t n,
                                  uint32_t to,
                                  uint32_t max);
    uint32_t (*store_read)(struct engine_call *,
                           uint32_t path,
                           uint32_t len,
                           uint32_t at,
                           uint32_t to,
                           uint32_t max);
    uint32_t (*store_write)(struct engine_call *,
                            uint32_t path,
                            uint32_t len,
                            uint32_t at,
                            uint32_t from,
                            uint32_t n);
    uint32_t (*store_create)(struct engine_call *, uint32_t path, uint32_t len, uint32_t size);
    uint32_t (*store_get_hash)(struct engine_call *,
                               uint32_t path,
                               uint32_t len,
                               uint32_t to,
                               uint32_t max);
    uint32_t (*reveal_preimage)(struct engine_call *,
                                uint32_t hash,
                                uint32_t len,
                                uint32_t to,
                                uint32_t max);
    uint32_t (*reveal_metadata)(struct engine_call *, uint32_t to, uint32_t max);
    uint32_t (
        *reveal)(struct engine_call *, uint32_t payload, uint32_t len, uint32_t to, uint32_t max);
};

/* How a run ended. A host function ends one with longjmp(call->end, ENGINE_SUSPENDED). */
enum engine_end {
    ENGINE_RETURNED = 0,
    ENGINE_TRAPPED = 1,
    ENGINE_SUSPENDED = 2, /* a host function cannot answer now: the run is to be redone later */
};

/* One run. The kernel's side fills memory and its size before each host function. */
struct engine_call {
    const struct engine_host *host;
    void *context;
    uint8_t *memory;
    uint64_t memory_bytes;
    uint32_t trap; /* code of wasm-rt.h when the run trapped */
    jmp_buf end;
};

/* Runs kernel_run once. One run at a time per kernel and process. */
typedef int engine_entry(struct engine_call *call);

/* Name of the entry in a shared object. */
#define ENGINE_ENTRY_SYMBOL "dsn_kernel_entry"

#endif
