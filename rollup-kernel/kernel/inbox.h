/* The first run of a level: reads the whole inbox, accepts segments, stores pages.
 *
 * Own messages are external messages in the Targetted frame of this rollup:
 *
 *   01 | 00 | rollup address 20 | tag u8 | body
 *   tag 01 segment: verify.h        tag 02 page: index u64 | attempt u8 | raw page
 *
 * Everything else is skipped. Order inside the level does not matter: messages stay in memory until
 * the inbox is empty, then segments are taken until none connects, then pages are stored. Should a
 * level ever hold more than the arena, it is worked off in parts. ROLLUP 1. */
#ifndef KERNEL_INBOX_H
#define KERNEL_INBOX_H

#include "common/base.h"

/* L1 fits 512 KiB of operations in a level; an entry adds 16 bytes to its message. A batch, in the
 * later runs, is smaller. */
#define INBOX_ARENA_BYTES (640u * 1024u)

/* True when there was anything to read: the run is then over. */
bool inbox_run(uint8_t *arena);

#endif
