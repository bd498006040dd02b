#include "rollup-kernel/kernel/pages.h"

#include "common/crypto.h"
#include "common/page.h"
#include "rollup-kernel/kernel/host.h"
#include "rollup-kernel/kernel/storage.h"

/* A level of 512 KiB holds 130 full pages; 1,024 buckets keep 14,000 tiny ones findable too. */
#define BUCKETS 1024u

static uint8_t *pages_arena;
static uint64_t pages_applied;
static uint32_t pages_buckets[BUCKETS]; /* arena offsets; 0: empty */

/* One bit for each pre-block after `pages_applied`: set when the table has pages for it. */
static uint8_t pages_wanting[PAGES_AHEAD_MAX / 8];

/* One page per level of the deepest path, manifest over batch. The host writes whole messages into
 * a page when it reveals, hence their size. */
static uint8_t pages_buffers[MANIFEST_DEPTH + BATCH_DEPTH][HOST_MESSAGE_BYTES_MAX];

static struct page_entry *entry_at(uint32_t offset)
{
    return (struct page_entry *)(void *)(pages_arena + offset);
}

static uint32_t *bucket_of(const struct digest *digest)
{
    return &pages_buckets[(digest->bytes[0] + 256u * digest->bytes[1]) % BUCKETS];
}

static const struct page_entry *find(uint64_t index, const struct digest *digest)
{
    uint32_t offset = *bucket_of(digest);

    while (offset != 0) {
        const struct page_entry *entry = entry_at(offset);
        if (entry->index == index && digest_equal(&entry->digest, digest)) return entry;
        offset = entry->next;
    }
    return NULL;
}

void pages_reset(uint8_t *arena, uint64_t applied)
{
    pages_arena = arena;
    pages_applied = applied;
    memset(pages_buckets, 0, sizeof pages_buckets);
}

bool pages_add(uint32_t offset)
{
    struct page_entry *entry = entry_at(offset);
    uint64_t ahead = entry->index - pages_applied - 1; /* wraps around for those applied */

    if (ahead >= PAGES_AHEAD_MAX) return false;
    crypto_hash_one(&entry->digest, entry->page, entry->len);
    if (find(entry->index, &entry->digest) != NULL) return false;
    uint32_t *bucket = bucket_of(&entry->digest);
    entry->next = *bucket;
    *bucket = offset;
    pages_wanting[ahead / 8] |= (uint8_t)(1u << ahead % 8);
    return true;
}

static void page_path(struct path *ret_path, uint64_t index, const struct digest *digest)
{
    path_set(ret_path, "/pages");
    path_add_number(ret_path, index);
    path_add_digest(ret_path, digest);
}

static void child_digest(struct digest *ret_digest, struct bytes hashes, size_t at)
{
    memcpy(ret_digest->bytes, hashes.data + at + 1, sizeof ret_digest->bytes);
}

/* Depth-first from the page `digest`, which has `depth` levels including its own. `below` is the
 * depth of the trees that content of this tree names (manifest), 0 when its content is payload. */
static void store_tree(uint64_t index, const struct digest *digest, uint32_t depth, uint32_t below)
{
    uint8_t *buffer = pages_buffers[depth + below - 1];
    const uint8_t *page = buffer;
    uint32_t len = 0;
    struct path path;

    page_path(&path, index, digest);
    if (storage_has(&path)) {
        if (depth + below > 1) len = storage_read_at(&path, 0, buffer, PAGE_BYTES_MAX);
    } else {
        const struct page_entry *entry = find(index, digest);
        if (entry == NULL) return;
        storage_write("/incoming", entry->page, entry->len);
        storage_move("/incoming", &path);
        page = entry->page;
        len = entry->len;
    }

    enum page_kind kind;
    struct bytes payload;
    struct digest child;
    if (depth + below == 1 || page_parse(&kind, &payload, page, len) != OK) return;
    if (kind == PAGE_HASHES && depth > 1) {
        for (size_t at = 0; at < payload.len; at += PAGE_HASH_BYTES) {
            child_digest(&child, payload, at);
            store_tree(index, &child, depth - 1, below);
        }
    }
    if (kind == PAGE_CONTENT && below > 0) {
        for (size_t at = 0; at + sizeof child.bytes <= payload.len; at += sizeof child.bytes) {
            memcpy(child.bytes, payload.data + at, sizeof child.bytes);
            store_tree(index, &child, below, 0);
        }
    }
}

/* Walks the tree of pre-block `index`, unless that is done already. */
static void store_preblock(uint64_t index)
{
    uint64_t ahead = index - pages_applied - 1;
    uint8_t bit = (uint8_t)(1u << ahead % 8);
    uint8_t header[PREBLOCK_HEADER_BYTES];
    struct preblock preblock;
    struct path path;

    if ((pages_wanting[ahead / 8] & bit) == 0) return;
    pages_wanting[ahead / 8] &= (uint8_t)~bit;
    path_set(&path, "/pending");
    path_add_number(&path, index);
    struct reader reader = reader_make(header, storage_read_at(&path, 0, header, sizeof header));
    preblock_decode(&preblock, &reader);
    CHECK(reader_done(&reader));
    store_tree(index, &preblock.payload, MANIFEST_DEPTH, BATCH_DEPTH);
}

void pages_store(uint64_t accepted)
{
    for (uint32_t i = 0; i < BUCKETS; i++) {
        for (uint32_t offset = pages_buckets[i]; offset != 0; offset = entry_at(offset)->next) {
            uint64_t index = entry_at(offset)->index;
            if (index <= accepted) store_preblock(index);
        }
    }
}

/* A tree being read. */
struct tree {
    uint8_t *data;
    uint32_t len;
    uint32_t capacity;
    uint64_t index;
    bool reveal;
};

static uint32_t fetch(const struct tree *tree, const struct digest *digest, uint8_t *ret_page)
{
    uint8_t hash[PAGE_HASH_BYTES] = {0};
    struct path path;

    page_path(&path, tree->index, digest);
    uint32_t len = storage_read_at(&path, 0, ret_page, PAGE_BYTES_MAX);
    if (len > 0 || !tree->reveal) return len;
    memcpy(hash + 1, digest->bytes, sizeof digest->bytes);
    int32_t got = reveal_preimage(hash, sizeof hash, ret_page, HOST_MESSAGE_BYTES_MAX);
    return got < 0 ? 0 : (uint32_t)got;
}

static enum tree_result read_tree(struct tree *tree, const struct digest *digest, uint32_t depth)
{
    uint8_t *page = pages_buffers[depth - 1];
    uint32_t len = fetch(tree, digest, page);
    enum page_kind kind;
    struct bytes payload;

    if (len == 0) return TREE_MISSING;
    if (page_parse(&kind, &payload, page, len) != OK) return TREE_BROKEN;
    if (kind == PAGE_CONTENT) {
        if (payload.len > tree->capacity - tree->len) return TREE_BROKEN;
        memcpy(tree->data + tree->len, payload.data, payload.len);
        tree->len += (uint32_t)payload.len;
        return TREE_READ;
    }
    if (depth == 1) return TREE_BROKEN;
    for (size_t at = 0; at < payload.len; at += PAGE_HASH_BYTES) {
        struct digest child;
        child_digest(&child, payload, at);
        enum tree_result result = read_tree(tree, &child, depth - 1);
        if (result != TREE_READ) return result;
    }
    return TREE_READ;
}

enum tree_result tree_read(uint8_t *ret_data,
                           uint32_t *ret_len,
                           uint32_t capacity,
                           uint64_t index,
                           const struct digest *root,
                           uint32_t depth,
                           bool reveal)
{
    struct tree tree = {ret_data, 0, capacity, index, reveal};
    enum tree_result result = read_tree(&tree, root, depth);

    *ret_len = tree.len;
    return result;
}
