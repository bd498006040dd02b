/* What RocksDB makes of damage in its write-ahead logs, and what we make of it.
 *
 * RocksDB forgives a log that ends in the middle of a record. A power loss can leave more: the file has its new
 * size, and some sectors of its last write never came to the disk. RocksDB calls that corrupt, as it
 * would rot anywhere in the file, and all members may have lost power together. Every write is synced
 * before the next one begins (SYNC_ALWAYS), so only the last record can be torn, and nothing rested on
 * it yet. A log that RocksDB refused is mended, by a cut where the broken record begins, when
 *
 *     no record begins at any byte behind the first broken place   else that was synced, and this is rot
 *     a sector of the record, or what of it lies in the log, is zeros   else it was written, and this is rot
 *
 * A sector of the very last record that is lost later looks the same: such a member has forgotten one commit, and
 * counts among the F. The manifest is never mended: when its last edit is gone, so is a log.
 *
 * The other way round, RocksDB takes a piece whose header is zeros for the end of its block, and a length beyond the
 * end of the log for a torn record, and says nothing of the records behind, votes among them. So every
 * log is looked through before it is opened: damage with a record behind it is a corrupt store.
 *
 * Format: blocks of 32,768 bytes; in them pieces of records
 *
 *     checksum u32 | length u16 | type u8 | bytes      masked CRC-32C over type and bytes
 *     type: 1 whole, 2 first, 3 middle, 4 last piece of one; a block ends in zeros where none fits
 *
 * (RocksDB wiki, "Write Ahead Log File Format"). Logs are not recycled: that has other types. */
#ifndef CONSENSUS_NODE_STORE_TAIL_H
#define CONSENSUS_NODE_STORE_TAIL_H

#include "common/base.h"

/* Cuts the torn end of the newest write-ahead log of the database in this directory off, durably, logged. True when
 * anything was cut: opening is worth another try. */
bool store_tail_mend(const char *path);

/* True when no write-ahead log of the database in this directory is damaged before its last record. Else `ret_name`
 * (STORE_TAIL_NAME_BYTES) is the name of one that is. Changes nothing. */
#define STORE_TAIL_NAME_BYTES 64u
bool store_tail_check(const char *path, char *ret_name);

/* A log in memory: true when its end is torn, as above, and then where that begins. */
bool store_tail_torn(const uint8_t *data, size_t len, size_t *ret_end);

#endif
