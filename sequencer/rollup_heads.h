/* The stream of new heads (global/monitor_blocks): JSON objects one behind the other, in pieces that end anywhere.
 * Pure. What is no head is skipped; what does not fit the buffer is dropped, and reading goes on with what follows. */
#ifndef SEQUENCER_ROLLUP_HEADS_H
#define SEQUENCER_ROLLUP_HEADS_H

#include "sequencer/rollup_answer.h"

/* A block of the stream; longer ones are no block headers. */
#define ROLLUP_HEADS_BYTES_MAX (64u * 1024u)

/* All zero: at the beginning of a stream. */
struct rollup_heads {
    char text[ROLLUP_HEADS_BYTES_MAX];
    size_t len;
};

/* A head of the stream, perhaps one that was there before. */
typedef void rollup_heads_take(void *context, int32_t level, const char *hash);

/* The next piece; `take` is called for each head that it completes. */
void rollup_heads_add(struct rollup_heads *heads,
                      const uint8_t *data,
                      size_t len,
                      rollup_heads_take *take,
                      void *context);

#endif
