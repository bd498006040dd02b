/* What RocksDB makes of damage in its logs, and what we make of it.
 *
 * RocksDB forgives a write-ahead log that ends in the middle of a record. A power loss can leave more: the file
 * has its new size, and some of the pages of its last write never came to the disk. RocksDB calls that corrupt,
 * as it would rot anywhere in the file, and all members may have lost power together.
 *
 * Every write is synced before the next one begins (SYNC_ALWAYS), so only the last record can be torn: what is
 * broken and has a later record behind it was synced, and is rot. A log is mended when no record
 * begins behind the first broken place: it is cut where the broken record began. Nothing rested on that record
 * yet, or its sync had ended. Rot within the last record of all looks the same; a store that lost that
 * one has forgotten a turn of the loop at most, and counts among the F.
 *
 * The other way round, RocksDB takes a piece whose header is all zeros for the end of its block, and goes on with the
 * next block: a lost sector that begins where a record does would cost the records behind it in silence,
 * votes among them. So every log is looked through before it is opened: damage with a record behind it
 * is a corrupt store.
 *
 * The same holds for the manifest. Format: blocks of 32,768 bytes; in them records
 *
 *     checksum u32 | length u16 | type u8 | bytes      masked CRC-32C over type and bytes
 *     type: 1 whole, 2 first, 3 middle, 4 last piece of one; a block ends in zeros where none fits
 *
 * (RocksDB wiki, "Write Ahead Log File Format"). */
#ifndef CONSENSUS_NODE_STORE_TAIL_H
#define CONSENSUS_NODE_STORE_TAIL_H

#include "common/base.h"

/* Looks at the newest write-ahead log and at the manifest of the database in this directory and cuts their
 * torn ends off, durably, logged. True when anything was cut: opening is worth another try. */
bool store_tail_mend(const char *path);

/* True when no write-ahead log of the database in this directory is damaged before its last record. Else `ret_name`
 * (STORE_TAIL_NAME_BYTES) is the name of one that is. Changes nothing. */
#define STORE_TAIL_NAME_BYTES 64u
bool store_tail_check(const char *path, char *ret_name);

/* The same of a log in memory: true when its end is torn, and then where that begins. */
bool store_tail_torn(const uint8_t *data, size_t len, size_t *ret_end);

#endif
