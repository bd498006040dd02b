#include "tests/fuzz/fuzz.h"

#include "common/limits.h"
#include "common/page.h"
#include "sequencer/subdag_preblock.h"
#include "tests/unit/verify_world.h"

/* The exported stream of a node that may be anything, as the sequencer takes it: each item is verified, made into a
 * pre-block and cut into the messages that L1 gets. Nobody else has the committee's keys, so whatever passes is one
 * of the pre-blocks that they signed; and the pages that are posted hold what the pre-block names.
 *
 *   input = items: kind u8 | len u16 | bytes
 *           kind % 8 of 1 .. 6: the honest item of that number, with changes: (where u16 | xor u8)*
 *           else: the bytes themselves */
#define ITEMS_MAX      12u
#define ITEM_BYTES_MAX 65536u
#define TREE_BYTES_MAX (256u * 1024u)

static void check_messages(struct da_preblock *preblock)
{
    static uint8_t message[INBOX_MESSAGE_BYTES_MAX];
    static const uint8_t address[DA_ADDRESS_BYTES] = {1, 2, 3};
    const struct da_preblock *one[] = {preblock};

    CHECK(da_segment_message(message, address, one, 1) <= sizeof message);
    for (uint32_t i = 0; i < preblock->pages_count; i++)
        CHECK(da_page_message(message, address, preblock, &preblock->pages[i], 0) <=
              sizeof message);
}

static void check_preblock(const struct verify_item *item, struct bytes subdag)
{
    static uint8_t manifest[PREBLOCK_BATCHES_MAX * sizeof(struct digest)];
    static uint8_t batch[TREE_BYTES_MAX];
    const struct world_item *honest = verify_world_item((uint32_t)item->preblock.index);
    struct da_preblock *preblock;
    struct digest root;
    size_t len = 0;
    size_t batch_len = 0;

    CHECK(memcmp(&honest->preblock, &item->preblock, sizeof item->preblock) == 0);
    CHECK(subdag_preblock_make(&preblock, item, subdag) == OK);
    CHECK(digest_equal(&preblock->digest, &item->digest));
    CHECK(preblock->header.batches * sizeof(struct digest) <= sizeof manifest);
    CHECK(da_tree_read(manifest, &len, sizeof manifest, preblock, &preblock->header.payload) == OK);
    CHECK(len == preblock->header.batches * sizeof(struct digest));
    for (size_t at = 0; at < len; at += sizeof(struct digest)) {
        struct digest digest;
        memcpy(digest.bytes, manifest + at, sizeof digest.bytes);
        CHECK(da_tree_read(batch, &batch_len, sizeof batch, preblock, &digest) == OK);
        page_tree(&root, batch, batch_len, NULL, NULL);
        CHECK(digest_equal(&root, &digest));
    }
    if (item->certified) check_messages(preblock);
    da_preblock_free(preblock);
}

/* The honest item, as encoded once. */
static struct bytes honest_item(uint32_t number)
{
    static uint8_t memory[WORLD_ITEMS + 1][ITEM_BYTES_MAX];
    static struct bytes items[WORLD_ITEMS + 1];

    if (items[number].len == 0) {
        struct bytes encoded = verify_world_encode(verify_world_item(number));
        CHECK(encoded.len <= ITEM_BYTES_MAX);
        memcpy(memory[number], encoded.data, encoded.len);
        items[number] = (struct bytes){memory[number], encoded.len};
    }
    return items[number];
}

static struct bytes make_item(uint8_t kind, struct bytes bytes)
{
    static uint8_t changed[ITEM_BYTES_MAX];

    if (kind % 8 < 1 || kind % 8 > WORLD_ITEMS) return bytes;
    struct bytes honest = honest_item(kind % 8);
    memcpy(changed, honest.data, honest.len);
    struct reader changes = reader_make(bytes.data, bytes.len);
    while (changes.left >= 3) {
        uint16_t where = reader_u16(&changes);
        changed[where % honest.len] ^= reader_u8(&changes);
    }
    return (struct bytes){changed, honest.len};
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct reader reader = reader_make(data, size);
    struct verify *verify = verify_open(verify_world_committee());
    struct verify_item item;
    char text[VERIFY_TEXT_BYTES];

    for (uint32_t i = 0; i < ITEMS_MAX && reader.left >= 3; i++) {
        uint8_t kind = reader_u8(&reader);
        uint16_t len = reader_u16(&reader);
        struct bytes subdag =
            make_item(kind, reader_view(&reader, len < reader.left ? len : reader.left));
        text[0] = '\0';
        if (verify_next(verify, &item, text, subdag, kind >= 128) == OK)
            check_preblock(&item, subdag);
        else
            CHECK(text[0] != '\0' && strchr(text, '\n') == NULL);
    }
    verify_close(verify);
    return 0;
}
