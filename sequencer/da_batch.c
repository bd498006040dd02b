#include "sequencer/da_batch.h"

#include <stdlib.h>

#include "common/bcs.h"
#include "common/codec.h"
#include "common/digest_index.h"
#include "common/limits.h"

enum da_tag { DA_TAG_SEGMENT = 1, DA_TAG_PAGE = 2 };

/* Collects the pages of one tree after another. */
struct builder {
    struct da_preblock *preblock;
    struct digest_index *seen;
    size_t memory_capacity;
    uint32_t pages_capacity;
    bool manifest;
};

static uint8_t seen_marker;

static void grow(struct builder *builder, size_t bytes)
{
    struct da_preblock *preblock = builder->preblock;

    if (preblock->memory_len + bytes > builder->memory_capacity) {
        builder->memory_capacity = 2 * builder->memory_capacity + bytes;
        preblock->memory = realloc(preblock->memory, builder->memory_capacity);
        CHECK(preblock->memory != NULL);
    }
    if (preblock->pages_count == builder->pages_capacity) {
        builder->pages_capacity = 2 * builder->pages_capacity + 16;
        preblock->pages =
            realloc(preblock->pages, builder->pages_capacity * sizeof *preblock->pages);
        CHECK(preblock->pages != NULL);
    }
}

static void add_page(void *context,
                     enum page_kind kind,
                     const struct digest *digest,
                     const uint8_t *page,
                     size_t len)
{
    struct builder *builder = context;
    struct da_preblock *preblock = builder->preblock;

    if (digest_index_get(builder->seen, digest) != NULL) return;
    digest_index_add(builder->seen, digest, &seen_marker);
    grow(builder, len);
    memcpy(preblock->memory + preblock->memory_len, page, len);
    preblock->pages[preblock->pages_count++] = (struct da_page){
        .digest = *digest,
        .kind = kind,
        .manifest = builder->manifest,
        .offset = (uint32_t)preblock->memory_len,
        .len = (uint32_t)len,
    };
    preblock->memory_len += len;
}

/* page_tree gives children before parents; posting wants the root first, so that a kernel that reads a level
 * from the start can keep what follows. */
static void reverse(struct da_page *pages, uint32_t count)
{
    for (uint32_t i = 0; i < count / 2; i++) {
        struct da_page page = pages[i];
        pages[i] = pages[count - 1 - i];
        pages[count - 1 - i] = page;
    }
}

static void add_tree(struct builder *builder,
                     struct digest *ret_root,
                     const uint8_t *data,
                     size_t len)
{
    uint32_t first = builder->preblock->pages_count;
    page_tree(ret_root, data, len, add_page, builder);
    reverse(builder->preblock->pages + first, builder->preblock->pages_count - first);
}

static enum status build(struct builder *builder, const struct bytes *batches, uint32_t count)
{
    struct digest *manifest = calloc(count, sizeof *manifest);
    struct digest root;

    CHECK(manifest != NULL);
    for (uint32_t i = 0; i < count; i++)
        page_tree(&manifest[i], batches[i].data, batches[i].len, NULL, NULL);
    builder->manifest = true;
    add_tree(builder, &root, manifest[0].bytes, count * sizeof *manifest);
    free(manifest);
    if (!digest_equal(&root, &builder->preblock->header.payload)) return ERR_CONFLICT;
    builder->manifest = false;
    for (uint32_t i = 0; i < count; i++)
        add_tree(builder, &root, batches[i].data, batches[i].len);
    return OK;
}

enum status da_preblock_make(struct da_preblock **ret_preblock,
                             const struct preblock *header,
                             const struct quorum *quorum,
                             const struct bytes *batches,
                             uint32_t batches_count)
{
    struct da_preblock *preblock = calloc(1, sizeof *preblock);
    struct builder builder = {.preblock = preblock};
    enum status status;

    CHECK(preblock != NULL);
    CHECK(batches_count >= 1);
    preblock->header = *header;
    preblock->quorum = *quorum;
    preblock_digest(&preblock->digest, header);
    builder.seen = digest_index_new();
    status = build(&builder, batches, batches_count);
    digest_index_free(builder.seen);
    if (status != OK) {
        da_preblock_free(preblock);
        return status;
    }
    *ret_preblock = preblock;
    return OK;
}

void da_preblock_free(struct da_preblock *preblock)
{
    if (preblock == NULL) return;
    free(preblock->pages);
    free(preblock->memory);
    free(preblock);
}

struct bytes da_page_bytes(const struct da_preblock *preblock, const struct da_page *page)
{
    return (struct bytes){preblock->memory + page->offset, page->len};
}

static const struct da_page *find_page(const struct da_preblock *preblock, const uint8_t *digest)
{
    for (uint32_t i = 0; i < preblock->pages_count; i++) {
        if (memcmp(preblock->pages[i].digest.bytes, digest, sizeof(struct digest)) == 0)
            return &preblock->pages[i];
    }
    return NULL;
}

/* One node of the walk: a page, and for a hash page what is left of its hashes. */
static enum status tree_enter(struct reader *ret_hashes,
                              struct writer *content,
                              const struct da_preblock *preblock,
                              const uint8_t *digest)
{
    const struct da_page *page = find_page(preblock, digest);
    enum page_kind kind;
    struct bytes payload;

    *ret_hashes = reader_make(NULL, 0);
    if (page == NULL) return ERR_MISSING;
    if (page_parse(&kind, &payload, preblock->memory + page->offset, page->len) != OK)
        return ERR_MALFORMED;
    if (kind == PAGE_CONTENT) {
        writer_copy(content, payload.data, payload.len);
        return content->failed ? ERR_TOO_LARGE : OK;
    }
    *ret_hashes = reader_make(payload.data, payload.len);
    return OK;
}

enum status da_tree_read(uint8_t *ret_data,
                         size_t *ret_len,
                         size_t capacity,
                         const struct da_preblock *preblock,
                         const struct digest *root)
{
    struct writer content = writer_make(ret_data, capacity);
    struct reader levels[PAGE_DEPTH_MAX];
    uint32_t depth = 1;
    enum status status = tree_enter(&levels[0], &content, preblock, root->bytes);

    while (status == OK && depth > 0) {
        struct reader *level = &levels[depth - 1];
        if (level->left == 0) {
            depth--;
            continue;
        }
        struct bytes hash = reader_view(level, PAGE_HASH_BYTES);
        if (level->failed || depth == PAGE_DEPTH_MAX) return ERR_MALFORMED;
        status = tree_enter(&levels[depth++], &content, preblock, hash.data + 1);
    }
    if (status == OK) *ret_len = content.len;
    return status;
}

uint32_t da_segment_headers_max(uint32_t signers)
{
    /* Counts are one byte each: at most 26 headers and AUTHORITIES_MAX signers. */
    uint32_t fixed = INBOX_FRAME_BYTES + 1u + 1u + 1u + signers + 1u + 64u * signers;
    uint32_t count = fixed < INBOX_MESSAGE_BYTES_MAX
                         ? (INBOX_MESSAGE_BYTES_MAX - fixed) / PREBLOCK_HEADER_BYTES
                         : 0;
    return count > 0 ? count : 1;
}

static void write_frame(struct writer *writer, const uint8_t *address, enum da_tag tag)
{
    writer_u8(writer, 0);
    writer_copy(writer, address, DA_ADDRESS_BYTES);
    writer_u8(writer, (uint8_t)tag);
}

size_t da_segment_message(uint8_t *ret,
                          const uint8_t address[DA_ADDRESS_BYTES],
                          const struct da_preblock *const *preblocks,
                          uint32_t count)
{
    struct writer writer = writer_make(ret, INBOX_MESSAGE_BYTES_MAX);

    CHECK(count >= 1);
    write_frame(&writer, address, DA_TAG_SEGMENT);
    bcs_write_length(&writer, count);
    for (uint32_t i = 0; i < count; i++)
        preblock_encode(&writer, &preblocks[i]->header);
    quorum_encode(&writer, &preblocks[count - 1]->quorum);
    CHECK(!writer.failed);
    return writer.len;
}

size_t da_page_message(uint8_t *ret,
                       const uint8_t address[DA_ADDRESS_BYTES],
                       const struct da_preblock *preblock,
                       const struct da_page *page,
                       uint8_t attempt)
{
    struct writer writer = writer_make(ret, INBOX_MESSAGE_BYTES_MAX);

    write_frame(&writer, address, DA_TAG_PAGE);
    writer_u64(&writer, preblock->header.index);
    writer_u8(&writer, attempt);
    writer_copy(&writer, preblock->memory + page->offset, page->len);
    CHECK(!writer.failed);
    return writer.len;
}
