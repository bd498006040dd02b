/* The time stamp that the spammer puts in front of each transaction and the listener reads back:
 * unix time in milliseconds as a 16-byte big-endian integer, as the predecessor's tools have it.
 * Latencies across machines need clocks that agree. */
#ifndef CONSENSUS_TOOLS_STAMP_H
#define CONSENSUS_TOOLS_STAMP_H

#include "common/base.h"

#define STAMP_BYTES 16u

uint64_t stamp_now_ms(void);

/* Writes STAMP_BYTES. */
void stamp_write(uint8_t *ret, uint64_t unix_ms);

/* False when the transaction is too short, or its stamp is not within a day of `now_ms`: then
 * somebody else made it. */
bool stamp_read(uint64_t *ret_unix_ms, struct bytes transaction, uint64_t now_ms);

#endif
