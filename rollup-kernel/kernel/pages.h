/* Pages: the payload of pre-blocks as it arrives in the inbox and as it lies in storage.
 *
 * Two lives. In the first run of a level, page messages are kept in memory by (pre-block index,
 * digest); when the level's segments are known, the tree of each pre-block that got a page is
 * walked from its manifest root, and the pages found are stored as /pages/<index>/<digest>. Nobody
 * else's bytes reach storage: every page in it is reached by hashes from a certified header.
 *
 *   header.payload -> manifest tree (<= 3 levels) -> batch digests -> batch trees (<= 2 levels)
 *
 * In the later runs, trees are read back in content order. A page that does not parse although it
 * was certified ends its content there, the same in every kernel. ROLLUP 1 and 2. */
#ifndef KERNEL_PAGES_H
#define KERNEL_PAGES_H

#include "common/limits.h"
#include "common/preblock.h"

/* Levels of pages over a manifest and over a batch. */
#define MANIFEST_DEPTH 3u
#define BATCH_DEPTH    2u

/* A page message in memory. It lies in the inbox arena: the message is read so that its 32 bytes
 * before the raw page (kind, frame, tag, index, attempt) fall on `digest`, which replaces them. */
struct page_entry {
    uint64_t index;
    uint32_t len;  /* of the raw page */
    uint32_t next; /* arena offset of the next entry in the bucket; 0: none */
    struct digest digest;
    uint8_t page[];
};

#define PAGE_MESSAGE_PREFIX_BYTES 32u
_Static_assert(offsetof(struct page_entry, page) - offsetof(struct page_entry, digest) ==
                   PAGE_MESSAGE_PREFIX_BYTES,
               "the message's prefix is where the digest goes");

/* How far ahead of the last applied pre-block pages are looked at. */
#define PAGES_AHEAD_MAX 65536u

/* Empties the table. `arena` holds all entries from now on; pages up to `applied` are not wanted.
 */
void pages_reset(uint8_t *arena, uint64_t applied);

/* Adds the entry at `offset` > 0 of the arena: hashes its page. False when its pre-block is applied
 * or too far ahead (then nothing is hashed), or when it is there already. */
bool pages_add(uint32_t offset);

/* Stores what the trees of pending pre-blocks, up to `accepted`, need and the table has. */
void pages_store(uint64_t accepted);

enum tree_result {
    TREE_MISSING, /* a page is not there yet */
    TREE_READ,
    TREE_BROKEN, /* read up to a page that does not parse, or up to `capacity` */
};

/* Reads the content of a tree of pre-block `index` into `ret_data`. With `reveal`, a page that is
 * not in storage is fetched from the host by its digest, which a checked certificate vouches for.
 */
enum tree_result tree_read(uint8_t *ret_data,
                           uint32_t *ret_len,
                           uint32_t capacity,
                           uint64_t index,
                           const struct digest *root,
                           uint32_t depth,
                           bool reveal);

#endif
