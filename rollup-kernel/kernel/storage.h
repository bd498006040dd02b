/* Durable storage by path: values of any size over the host's 2048-byte slices, and the few paths
 * of the kernel. docs/rollup.md lists every path with its bytes.
 *
 * A trap between two host calls leaves what the first one wrote. So what must appear whole (a page of two slices, an
 * index with its digest) is written at /incoming and moved to its place, and what an application changes is written
 * at /stage: a move is one call. Both are rubbish at the start of a run.
 *
 * The host fails a call only for a bad path or a bad offset, which would be our bug: the functions
 * here check for it and trap. */
#ifndef KERNEL_STORAGE_H
#define KERNEL_STORAGE_H

#include "common/base.h"

/* The longest path is /pages/<20 digits>/<64 hex digits>. */
#define PATH_BYTES_MAX 120u

struct path {
    uint32_t len;
    char text[PATH_BYTES_MAX];
};

/* Zero-terminated text, appended; a number or a digest is one step: "/7" or "/<64 hex digits>". */
void path_set(struct path *ret_path, const char *text);
void path_add_number(struct path *path, uint64_t number);
void path_add_digest(struct path *path, const struct digest *digest);

bool storage_has(const struct path *path);

/* Bytes of the value, 0 when there is none. */
uint32_t storage_size(const struct path *path);

/* Reads from `offset` up to `capacity` bytes; returns the bytes read, 0 when there is no value or
 * it ends at or before `offset`. */
uint32_t storage_read_at(const struct path *path,
                         uint32_t offset,
                         void *ret_data,
                         uint32_t capacity);
uint32_t storage_read(const char *text, void *ret_data, uint32_t capacity);

/* Writes at `offset`, which is at most the value's length. A value never gets shorter by it. */
void storage_write_at(const struct path *path, uint32_t offset, const void *data, uint32_t len);
void storage_write(const char *text, const void *data, uint32_t len);

/* Value and subtree. */
void storage_delete(const struct path *path);
void storage_delete_at(const char *text);

void storage_copy(const char *from, const char *to);
void storage_move(const char *from, const struct path *to);

/* Big-endian integers, the byte order of every number that stands alone in storage. */
uint64_t storage_read_u64(const char *text);
void storage_write_u64(const char *text, uint64_t value);
void storage_write_u32(const char *text, uint32_t value);

/* "text number\n" into the debug log. */
void debug_number(const char *text, uint64_t number);

#endif
