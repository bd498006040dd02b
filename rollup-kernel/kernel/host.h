/* The host functions of the rollup's virtual machine, module `smart_rollup_core`, as far as the
 * kernel uses them. All return a count or 0 on success and a negative code on failure; lengths are
 * bytes. Source: Tezos, wasm_2_0_0 host functions (revision 0 only, so every deployed version has
 * them). */
#ifndef KERNEL_HOST_H
#define KERNEL_HOST_H

#include "common/base.h"

#ifdef __wasm__
#define HOST_IMPORT(name) __attribute__((import_module("smart_rollup_core"), import_name(#name)))
#define HOST_EXPORT(name) __attribute__((export_name(#name)))
#else
#define HOST_IMPORT(name)
#define HOST_EXPORT(name)
#endif

/* Bytes that one store_read or store_write moves at the most. */
#define HOST_STORE_BYTES_MAX 2048u

/* Bytes of one inbox message with its kind byte. */
#define HOST_MESSAGE_BYTES_MAX 4096u

#define HOST_ADDRESS_BYTES     20u

/* Level and position of a message. The kernel must not let a transaction see either. */
struct host_message_info {
    int32_t level;
    int32_t id;
};

/* The next message of the level into `ret_message`; its length, or 0 when the inbox is empty. */
HOST_IMPORT(read_input)
int32_t read_input(struct host_message_info *ret_info, void *ret_message, uint32_t capacity);

/* Text for the node's debug log. */
HOST_IMPORT(write_debug) void write_debug(const char *text, uint32_t len);

/* 0: nothing there, 1: a value, 2: a subtree, 3: both. */
HOST_IMPORT(store_has) int32_t store_has(const char *path, uint32_t len);

/* Removes value and subtree; nothing there is fine. */
HOST_IMPORT(store_delete) int32_t store_delete(const char *path, uint32_t len);

/* Whole subtrees; what was at the target is gone. */
HOST_IMPORT(store_copy)
int32_t store_copy(const char *from, uint32_t from_len, const char *to, uint32_t to_len);
HOST_IMPORT(store_move)
int32_t store_move(const char *from, uint32_t from_len, const char *to, uint32_t to_len);

HOST_IMPORT(store_value_size) int32_t store_value_size(const char *path, uint32_t len);
HOST_IMPORT(store_read)
int32_t store_read(const char *path,
                   uint32_t len,
                   uint32_t offset,
                   void *ret_data,
                   uint32_t capacity);
HOST_IMPORT(store_write)
int32_t store_write(const char *path,
                    uint32_t len,
                    uint32_t offset,
                    const void *data,
                    uint32_t data_len);

/* The page named by `hash` (00 | digest); the host has checked that it hashes to it. */
HOST_IMPORT(reveal_preimage)
int32_t reveal_preimage(const void *hash, uint32_t hash_len, void *ret_page, uint32_t capacity);

/* 20 bytes of the rollup's address and its origination level. */
HOST_IMPORT(reveal_metadata) int32_t reveal_metadata(void *ret_metadata, uint32_t capacity);

/* Entry point. */
HOST_EXPORT(kernel_run) void kernel_run(void);

#endif
