/* A rollup without a node: the local rollup node of rollup-kernel/host in this process, serving its RPC on a
 * loopback port of its own. The sequencer talks to it as to any other node. */
#ifndef SEQUENCER_MOCK_ROLLUP_H
#define SEQUENCER_MOCK_ROLLUP_H

#include "common/address.h"
#include "common/error_line.h"

struct event_base;
struct mock_rollup;

struct mock_rollup_options {
    const char *directory; /* of its blocks */
    const char *kernel;    /* packed kernel.wasm */
    uint64_t block_time_us;
    uint32_t batching_keys;
};

/* Begins to make levels; `ret_address` is where its RPC listens. ERR_CONFIG, ERR_IO or ERR_CORRUPT with a line. */
enum status mock_rollup_open(struct mock_rollup **ret_rollup,
                             struct address *ret_address,
                             struct event_base *base,
                             const struct mock_rollup_options *options,
                             struct error_line *error);
void mock_rollup_close(struct mock_rollup *rollup); /* NULL is fine */

#endif
