/* Records of the rollup store, in memory: bytes from blocks and blocks from bytes. rollup_store.h has the format. */
#ifndef HOST_ROLLUP_RECORD_H
#define HOST_ROLLUP_RECORD_H

#include "rollup-kernel/host/rollup_store.h"

/* Records under construction. `data` is from malloc. */
struct record_buffer {
    uint8_t *data;
    size_t len;
    size_t capacity;
};

/* The beginning of a file: magic and base. */
void record_add_base(struct record_buffer *buffer,
                     const struct rollup_identity *identity,
                     const struct rollup_block *block);

/* A block whose state is `before` with changes. */
void record_add_block(struct record_buffer *buffer,
                      const struct rollup_block *block,
                      const struct durable *before);

/* Reads a file's records until the end; `*ret_good` is where the last whole one ends. `take` owns the blocks.
 * ERR_VERSION or ERR_CORRUPT. */
enum status record_read_all(struct rollup_identity *ret_identity,
                            size_t *ret_good,
                            struct bytes file,
                            void (*take)(void *context, struct rollup_block *block),
                            void *context);

#endif
