/* Page trees: how bytes of any size become pages of at most 4005 bytes named by their hash, exactly
 * as Tezos smart rollups reveal preimages, but small enough for one inbox message each.
 *
 *   content page:  00 | size u32 BE | up to 4000 bytes
 *   hash page:     01 | size u32 BE | n x (00 || blake2b-256(page)), 1 <= n <= 121
 *
 * The content is cut into content pages; while more than one hash is left, hashes are grouped by
 * 121 into hash pages, which are hashed in turn. The last hash is the root. A batch digest, and a
 * manifest digest, is such a root (without the leading 00). Source: Tezos kernel SDK, preimage
 * pages. */
#ifndef COMMON_PAGE_H
#define COMMON_PAGE_H

#include "common/base.h"
#include "common/limits.h"

#define PAGE_HEADER_BYTES 5u
#define PAGE_HASH_BYTES   33u

enum page_kind { PAGE_CONTENT = 0, PAGE_HASHES = 1 };

/* Receives each page of a tree, children before parents, content pages in content order. `page` is
 * valid during the call only. */
typedef void page_emit(void *context,
                       enum page_kind kind,
                       const struct digest *digest,
                       const uint8_t *page,
                       size_t page_len);

/* Root of the page tree over `len` >= 1 bytes, and each of its pages to `emit` (may be NULL).
 * `len` is at most PAGE_CONTENT_BYTES_MAX * 121 * 121, checked. Uses about 12 KB of stack. */
void page_tree(struct digest *ret_root,
               const uint8_t *data,
               size_t len,
               page_emit *emit,
               void *context);

/* Splits one page into kind and payload (content bytes, or n x 33 bytes). ERR_MALFORMED when the
 * tag, the size field, or a hash entry's leading byte is wrong, or a hash page is empty or over
 * 121. */
enum status page_parse(enum page_kind *ret_kind,
                       struct bytes *ret_payload,
                       const uint8_t *page,
                       size_t page_len);

#endif
