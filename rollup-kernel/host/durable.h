/* The durable storage of the rollup's virtual machine: a tree of named nodes, each with an optional
 * value and children, addressed by paths like /a/b. It is the state a rollup commits to.
 *
 * The tree is persistent: nodes and values are counted references, and a writer copies only what is
 * shared. So a copy of any subtree, and a snapshot of the whole, cost nothing until one side
 * changes, and a node can keep the states of its last hundred blocks.
 *
 *      root of block 7 ----+          +---- root of block 8
 *                          v          v
 *                        [root]     [root']
 *                        /    \      /    \
 *                     [a]      [b] (shared)  [a'] ...
 *
 * Rules of paths, sizes and errors are those of the machine's host functions (Tezos, wasm_2_0_0):
 * (/[A-Za-z0-9._-]+)+ of at most 240 bytes, values of at most 2^31-1 bytes, and the codes below. A
 * node with neither value nor children does not exist. One thread at a time may touch trees that
 * share. */
#ifndef HOST_DURABLE_H
#define HOST_DURABLE_H

#include "common/base.h"

#define DURABLE_PATH_BYTES_MAX  240u
#define DURABLE_VALUE_BYTES_MAX 0x7fffffffu

/* Bytes of a read or write by the kernel, at the most. The host itself may move more. */
#define DURABLE_IO_BYTES_MAX 2048u

/* What the host functions return to the kernel. */
enum durable_code {
    DURABLE_KEY_TOO_LARGE = -1,
    DURABLE_INVALID_KEY = -2,
    DURABLE_NOT_A_VALUE = -3,
    DURABLE_INVALID_ACCESS = -4,
    DURABLE_VALUE_TOO_LARGE = -5,
    DURABLE_MEMORY_ACCESS = -6,
    DURABLE_IO_TOO_LARGE = -7,
    DURABLE_GENERIC = -8,
    DURABLE_READONLY = -9,
    DURABLE_NOT_A_NODE = -10,
    DURABLE_OUTBOX_FULL = -11,
    DURABLE_BAD_INDEX = -12,
    DURABLE_EXISTS = -13,
};

struct durable;

struct durable *durable_new(void);
void durable_close(struct durable *durable); /* NULL is fine */

/* A tree that begins equal to this one; either may change without the other. */
struct durable *durable_snapshot(const struct durable *durable);

/* 0 or the code that the path deserves. `durable_check_writable` also refuses /readonly. */
int32_t durable_check_path(struct bytes path);
int32_t durable_check_writable(struct bytes path);

/* Below, paths must be valid (checked); /readonly is not special. */

/* 0: nothing, 1: a value, 2: children, 3: both. */
int32_t durable_has(const struct durable *durable, struct bytes path);

/* The value, alive until the tree changes; {NULL, 0} and false when there is none. */
bool durable_value(struct bytes *ret_value, const struct durable *durable, struct bytes path);

/* Writes at `offset` <= length: 0, DURABLE_INVALID_ACCESS or DURABLE_VALUE_TOO_LARGE. */
int32_t durable_write(struct durable *durable, struct bytes path, size_t offset, struct bytes data);

/* Replaces the value. */
void durable_set(struct durable *durable, struct bytes path, struct bytes data);

/* Value and subtree, or only the value. Nothing there is fine. */
void durable_delete(struct durable *durable, struct bytes path);
void durable_delete_value(struct durable *durable, struct bytes path);

/* Subtree to `to`, replacing what was there: 0 or DURABLE_NOT_A_NODE. */
int32_t durable_copy(struct durable *durable, struct bytes from, struct bytes to);
int32_t durable_move(struct durable *durable, struct bytes from, struct bytes to);

/* Subkeys in order: a value at `path` itself counts first, with an empty name. `ret_name` is alive
 * until the tree changes. */
size_t durable_list_size(const struct durable *durable, struct bytes path);
bool durable_nth_key(struct bytes *ret_name,
                     const struct durable *durable,
                     struct bytes path,
                     size_t n);

/* Hash of the subtree (of nothing: zeros). Our own scheme, not that of the machine's proofs:
 * BLAKE2b-256 of u8 has value | hash of value if so | for each child: u8 name length | name | its
 * hash. */
void durable_hash(struct digest *ret_digest, const struct durable *durable, struct bytes path);

/* How `to` differs from `from` (NULL: from an empty tree), as calls that turn `from` into it. Costs
 * what differs, not what is shared. */
struct durable_diff {
    void (*set)(void *context, struct bytes path, struct bytes value);
    void (*delete_value)(void *context, struct bytes path);
    void (*delete)(void *context, struct bytes path);
    void *context;
};
void durable_compare(const struct durable *from,
                     const struct durable *to,
                     const struct durable_diff *diff);

/* A path out of a C string. */
struct bytes durable_path(const char *text);

#endif
