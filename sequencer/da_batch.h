/* Pre-blocks as inbox messages: what a poster puts into L1 so that the kernel can take and apply them.
 *
 *   segment   frame | 01 | vec<pre-block header> | quorum       as many headers as fit one message
 *   page      frame | 02 | index u64 | attempt u8 | raw page    each page of the manifest's and the batches' trees
 *
 * frame = 00 | 20-byte rollup address. Cutting is deterministic: every sequencer makes the same messages from
 * the same pre-blocks, so overlap between sequencers costs fees and nothing else. Pure; no I/O.
 * docs/rollup.md, messages; ROLLUP 1 and 4. */
#ifndef SEQUENCER_DA_BATCH_H
#define SEQUENCER_DA_BATCH_H

#include "common/bytes.h"
#include "common/page.h"
#include "common/preblock.h"
#include "common/types.h"

#define DA_ADDRESS_BYTES 20u

/* One page of a pre-block, in posting order. */
struct da_page {
    struct digest digest;
    enum page_kind kind;
    bool manifest;   /* of the manifest's tree: posted with the headers, as hash pages are */
    uint32_t offset; /* of its bytes in `memory` */
    uint32_t len;
};

/* A pre-block with everything that has to be posted for it. Owns its memory. */
struct da_preblock {
    struct preblock header;
    struct digest digest;
    struct quorum quorum; /* of this pre-block, not of a later one */
    struct da_page *pages;
    uint32_t pages_count;
    uint8_t *memory;
    size_t memory_len;
};

/* Builds the pages of a pre-block from its batches, in execution order. Pages that occur twice (batches may
 * share pages) are kept once. The manifest must have the header's payload root: ERR_CONFLICT otherwise, or when
 * a batch's root is not `digests[i]`. Order of pages: manifest (root first), then for each batch its hash page
 * and its content pages. Never NULL on OK; close with da_preblock_free. */
enum status da_preblock_make(struct da_preblock **ret_preblock,
                             const struct preblock *header,
                             const struct quorum *quorum,
                             const struct bytes *batches,
                             uint32_t batches_count);
void da_preblock_free(struct da_preblock *preblock); /* NULL is fine */

struct bytes da_page_bytes(const struct da_preblock *preblock, const struct da_page *page);

/* Reads the content of the page tree under `root` (header.payload, or a batch digest of the manifest) into
 * `ret_data`. ERR_MISSING when a page is not among the pre-block's, ERR_MALFORMED when one does not parse or the tree is
 * deeper than PAGE_DEPTH_MAX, ERR_TOO_LARGE when the content exceeds `capacity`. */
enum status da_tree_read(uint8_t *ret_data,
                         size_t *ret_len,
                         size_t capacity,
                         const struct da_preblock *preblock,
                         const struct digest *root);

/* Headers that fit one segment whose certificate has `signers` signers; at least 1. */
uint32_t da_segment_headers_max(uint32_t signers);

/* Writes the segment of `count` consecutive headers ending with `preblocks[count - 1]`, whose quorum it
 * carries. `ret` takes INBOX_MESSAGE_BYTES_MAX bytes. Returns the length. */
size_t da_segment_message(uint8_t *ret,
                          const uint8_t address[DA_ADDRESS_BYTES],
                          const struct da_preblock *const *preblocks,
                          uint32_t count);

/* Writes a page message; same buffer size. Returns the length. */
size_t da_page_message(uint8_t *ret,
                       const uint8_t address[DA_ADDRESS_BYTES],
                       const struct da_preblock *preblock,
                       const struct da_page *page,
                       uint8_t attempt);

#endif
