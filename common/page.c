#include "common/page.h"

#include "common/bytes.h"
#include "common/crypto.h"

/* A hash page that is being filled. */
struct hash_page {
    uint32_t count;
    uint8_t bytes[PAGE_HEADER_BYTES + PAGE_HASHES_MAX * PAGE_HASH_BYTES];
};

/* Two levels of hash pages carry any size we accept, so the tree needs no recursion: a full page of
 * level 0 is closed and its hash goes to level 1. */
struct tree {
    struct hash_page levels[PAGE_DEPTH_MAX - 1];
    page_emit *emit;
    void *context;
};

static void page_header(uint8_t *page, enum page_kind kind, size_t size)
{
    struct writer writer = writer_make(page, PAGE_HEADER_BYTES);
    writer_u8(&writer, (uint8_t)kind);
    writer_u32_be(&writer, (uint32_t)size);
}

static void page_add(struct hash_page *page, const struct digest *digest)
{
    CHECK(page->count < PAGE_HASHES_MAX);
    uint8_t *entry = page->bytes + PAGE_HEADER_BYTES + page->count * PAGE_HASH_BYTES;
    entry[0] = 0;
    memcpy(entry + 1, digest->bytes, sizeof digest->bytes);
    page->count++;
}

/* Closes the page of a level and leaves it empty: `ret_digest` names it. */
static void tree_close_page(struct tree *tree, uint32_t level, struct digest *ret_digest)
{
    struct hash_page *page = &tree->levels[level];
    size_t size = page->count * PAGE_HASH_BYTES;

    CHECK(page->count >= 1);
    page_header(page->bytes, PAGE_HASHES, size);
    crypto_hash_one(ret_digest, page->bytes, PAGE_HEADER_BYTES + size);
    if (tree->emit != NULL) {
        tree->emit(tree->context, PAGE_HASHES, ret_digest, page->bytes, PAGE_HEADER_BYTES + size);
    }
    page->count = 0;
}

static void tree_add(struct tree *tree, const struct digest *digest)
{
    struct hash_page *page = &tree->levels[0];

    if (page->count == PAGE_HASHES_MAX) {
        struct digest full;
        tree_close_page(tree, 0, &full);
        page_add(&tree->levels[1], &full);
    }
    page_add(page, digest);
}

static void tree_root(struct tree *tree, struct digest *ret_root)
{
    struct hash_page *bottom = &tree->levels[0];
    struct hash_page *top = &tree->levels[1];

    if (top->count == 0 && bottom->count == 1) {
        memcpy(ret_root->bytes, bottom->bytes + PAGE_HEADER_BYTES + 1, sizeof ret_root->bytes);
        return;
    }
    tree_close_page(tree, 0, ret_root);
    if (top->count > 0) {
        page_add(top, ret_root);
        tree_close_page(tree, 1, ret_root);
    }
}

static void content_page(struct digest *ret_digest,
                         const uint8_t *data,
                         size_t len,
                         page_emit *emit,
                         void *context)
{
    uint8_t page[PAGE_BYTES_MAX];

    page_header(page, PAGE_CONTENT, len);
    memcpy(page + PAGE_HEADER_BYTES, data, len);
    crypto_hash_one(ret_digest, page, PAGE_HEADER_BYTES + len);
    if (emit != NULL) emit(context, PAGE_CONTENT, ret_digest, page, PAGE_HEADER_BYTES + len);
}

void page_tree(struct digest *ret_root,
               const uint8_t *data,
               size_t len,
               page_emit *emit,
               void *context)
{
    CHECK(len >= 1);
    CHECK(len <= (size_t)PAGE_CONTENT_BYTES_MAX * PAGE_HASHES_MAX * PAGE_HASHES_MAX);

    struct tree tree;
    tree.levels[0].count = 0;
    tree.levels[1].count = 0;
    tree.emit = emit;
    tree.context = context;

    while (len > 0) {
        size_t part = len < PAGE_CONTENT_BYTES_MAX ? len : PAGE_CONTENT_BYTES_MAX;
        struct digest digest;
        content_page(&digest, data, part, emit, context);
        tree_add(&tree, &digest);
        data += part;
        len -= part;
    }
    tree_root(&tree, ret_root);
}

enum status page_parse(enum page_kind *ret_kind,
                       struct bytes *ret_payload,
                       const uint8_t *page,
                       size_t page_len)
{
    struct reader reader = reader_make(page, page_len);
    uint8_t tag = reader_u8(&reader);
    uint32_t size = reader_u32_be(&reader);
    struct bytes payload = reader_view(&reader, size);

    if (!reader_done(&reader) || tag > PAGE_HASHES) return ERR_MALFORMED;
    if (size == 0 || size > PAGE_CONTENT_BYTES_MAX) return ERR_MALFORMED;
    if (tag == PAGE_HASHES) {
        if (size % PAGE_HASH_BYTES != 0) return ERR_MALFORMED;
        for (size_t i = 0; i < size; i += PAGE_HASH_BYTES) {
            if (payload.data[i] != 0) return ERR_MALFORMED;
        }
    }
    *ret_kind = (enum page_kind)tag;
    *ret_payload = payload;
    return OK;
}
