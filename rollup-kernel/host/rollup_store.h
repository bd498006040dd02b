/* The blocks of the local rollup node on disk, so that a restart goes on where it stopped.
 *
 * One file, DATA/rollup.log: the state at one block (a base), then for each later block what
 * changed in durable storage. Each block is appended and synced before anyone hears of it, so the
 * cost of a block is the cost of its changes. When the changes outgrow the base, a new file is
 * written from the oldest block still kept and renamed over the old one.
 *
 *   file      "DSNROLL1" | record*
 *   record    length u32 | check u64 | payload         check: first 8 bytes of the payload's
 * BLAKE2b-256 payload   kind u8 (1 base, 2 block) | [base: address 20 | origination level i32] |
 * block | operation* block     level i32 | hash 32 | timestamp i64 | messages u32 | vec<outbox
 * message vec<u8>> operation 1 set: path u16+bytes, value u32+bytes; 2 delete value: path; 3
 * delete: path
 *
 * Little-endian. A record cut short at the end is a crash while writing and is dropped; any other
 * damage is a corrupt store. */
#ifndef HOST_ROLLUP_STORE_H
#define HOST_ROLLUP_STORE_H

#include "common/error_line.h"
#include "rollup-kernel/host/durable.h"

/* Blocks whose state is kept. `finalized` is two behind the head; an indexer may be much slower. */
#define ROLLUP_BLOCKS_KEPT 100u

struct outbox {
    uint32_t count;
    struct bytes *messages; /* owned, as is what they view */
};

struct rollup_block {
    int32_t level;
    struct digest hash;
    int64_t timestamp; /* seconds */
    uint32_t messages; /* of the inbox, with the protocol's own */
    struct outbox outbox;
    struct durable *state;
};

void rollup_block_close(struct rollup_block *block);

struct rollup_store;

/* What the store knows of the rollup itself. */
struct rollup_identity {
    uint8_t address[20];
    int32_t origination_level;
};

/* Opens DATA/rollup.log, for this process only. `*ret_found` is false when there is none: begin
 * with rollup_store_begin. Otherwise `take` is called for each block kept, oldest first, and owns
 * it. ERR_IO, ERR_CORRUPT or ERR_VERSION with a line. */
enum status rollup_store_open(struct rollup_store **ret_store,
                              bool *ret_found,
                              struct rollup_identity *ret_identity,
                              const char *directory,
                              void (*take)(void *context, struct rollup_block *block),
                              void *context,
                              struct error_line *error);
void rollup_store_close(struct rollup_store *store); /* NULL is fine */

/* Writes a new file with these blocks, oldest first: at the beginning, and to compact. */
enum status rollup_store_begin(struct rollup_store *store,
                               const struct rollup_identity *identity,
                               struct rollup_block *const *blocks,
                               size_t count,
                               struct error_line *error);

/* Appends and syncs a block; `before` is the state of the one before it. */
enum status rollup_store_append(struct rollup_store *store,
                                const struct rollup_block *block,
                                const struct durable *before,
                                struct error_line *error);

/* True when the file has more than doubled since it was begun: time for rollup_store_begin. */
bool rollup_store_is_long(const struct rollup_store *store);

#endif
