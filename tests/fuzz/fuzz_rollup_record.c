#include "tests/fuzz/fuzz.h"

#include <stdlib.h>

#include "common/crypto.h"
#include "rollup-kernel/host/rollup_record.h"

/* The file of the local rollup node's blocks. Few changes pass the checksums, so they are made good first, unless
 * the first byte says otherwise. Blocks that are read are written as the node writes them, and read again as the
 * same.
 *
 *   input = keep the checksums as they are u8 (odd) | file */
#define BLOCKS_MAX          32u
#define MAGIC_BYTES         8u
#define RECORD_HEADER_BYTES 12u

struct blocks {
    struct rollup_block *items[BLOCKS_MAX];
    size_t count;
};

static void take(void *context, struct rollup_block *block)
{
    struct blocks *blocks = context;

    if (blocks->count == BLOCKS_MAX)
        rollup_block_close(block);
    else
        blocks->items[blocks->count++] = block;
}

static void mend(uint8_t *file, size_t size)
{
    size_t at = MAGIC_BYTES;

    while (at < size && size - at >= RECORD_HEADER_BYTES) {
        struct digest digest;
        uint32_t len;
        memcpy(&len, file + at, sizeof len);
        if (len > size - at - RECORD_HEADER_BYTES) return;
        crypto_hash_one(&digest, file + at + RECORD_HEADER_BYTES, len);
        memcpy(file + at + sizeof len, digest.bytes, sizeof(uint64_t));
        at += RECORD_HEADER_BYTES + len;
    }
}

static void check_same(const struct rollup_block *a, const struct rollup_block *b)
{
    struct digest hash_a, hash_b;

    CHECK(a->level == b->level);
    CHECK(digest_equal(&a->hash, &b->hash));
    CHECK(a->timestamp == b->timestamp);
    CHECK(a->messages == b->messages);
    CHECK(a->outbox.count == b->outbox.count);
    for (uint32_t i = 0; i < a->outbox.count; i++) {
        const struct bytes *x = &a->outbox.messages[i];
        const struct bytes *y = &b->outbox.messages[i];
        CHECK(x->len == y->len);
        CHECK(memcmp(x->data, y->data, x->len) == 0);
    }
    durable_hash(&hash_a, a->state, durable_path(""));
    durable_hash(&hash_b, b->state, durable_path(""));
    CHECK(digest_equal(&hash_a, &hash_b));
}

static void check_path(void *context, struct bytes path, struct bytes value)
{
    (void)context;
    (void)value;
    CHECK(durable_check_path(path) == 0);
}

static void check_deleted(void *context, struct bytes path)
{
    (void)context;
    (void)path;
    CHECK(false); /* from an empty tree nothing is deleted */
}

static void check_again(const struct rollup_identity *identity, const struct blocks *blocks)
{
    struct record_buffer buffer = {NULL, 0, 0};
    struct rollup_identity identity_again;
    struct blocks again = {.count = 0};
    size_t good = 0;
    const struct durable_diff walk = {check_path, check_deleted, check_deleted, NULL};

    for (size_t i = 0; i < blocks->count; i++)
        durable_compare(NULL, blocks->items[i]->state, &walk);

    record_add_base(&buffer, identity, blocks->items[0]);
    for (size_t i = 1; i < blocks->count; i++)
        record_add_block(&buffer, blocks->items[i], blocks->items[i - 1]->state);
    CHECK(record_read_all(&identity_again, &good, (struct bytes){buffer.data, buffer.len}, take,
                          &again) == OK);
    CHECK(good == buffer.len);
    CHECK(again.count == blocks->count);
    CHECK(memcmp(&identity_again, identity, sizeof identity_again) == 0);
    for (size_t i = 0; i < again.count; i++) {
        check_same(again.items[i], blocks->items[i]);
        rollup_block_close(again.items[i]);
    }
    free(buffer.data);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct blocks blocks = {.count = 0};
    struct rollup_identity identity;
    size_t good = 0;

    if (size < 1) return 0;
    uint8_t *file = malloc(size);
    CHECK(file != NULL);
    memcpy(file, data + 1, size - 1);
    if (data[0] % 2 == 0) mend(file, size - 1);
    enum status status =
        record_read_all(&identity, &good, (struct bytes){file, size - 1}, take, &blocks);
    CHECK(status == OK || status == ERR_VERSION || status == ERR_CORRUPT);
    if (status == OK) {
        CHECK(good <= size - 1);
        CHECK(blocks.count >= 1);
        check_again(&identity, &blocks);
    }
    for (size_t i = 0; i < blocks.count; i++)
        rollup_block_close(blocks.items[i]);
    free(file);
    return 0;
}
