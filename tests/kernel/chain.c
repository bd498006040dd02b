#include "tests/kernel/chain.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

static void must(bool condition)
{
    if (!condition) abort();
}

void blob_add(struct blob *blob, const void *data, size_t len)
{
    if (blob->len + len > blob->capacity) {
        blob->capacity = 2 * (blob->len + len) + 64;
        blob->data = realloc(blob->data, blob->capacity);
        must(blob->data != NULL);
    }
    if (len > 0) memcpy(blob->data + blob->len, data, len);
    blob->len += len;
}

void blob_u8(struct blob *blob, unsigned value)
{
    uint8_t byte = (uint8_t)value;

    blob_add(blob, &byte, 1);
}

void blob_little(struct blob *blob, uint64_t value, unsigned width)
{
    for (unsigned i = 0; i < width; i++) {
        blob_u8(blob, (unsigned)(value >> 8 * i) & 255);
    }
}

void blob_big(struct blob *blob, uint64_t value, unsigned width)
{
    for (unsigned i = width; i-- > 0;) {
        blob_u8(blob, (unsigned)(value >> 8 * i) & 255);
    }
}

void blob_length(struct blob *blob, uint32_t length)
{
    for (; length > 127; length >>= 7) {
        blob_u8(blob, 128 + length % 128);
    }
    blob_u8(blob, length);
}

void blob_free(struct blob *blob)
{
    free(blob->data);
    memset(blob, 0, sizeof *blob);
}

uint64_t random_next(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

uint32_t random_below(uint64_t *state, uint32_t bound)
{
    return (uint32_t)(random_next(state) % bound);
}

static void random_bytes(uint8_t *ret, size_t len, uint64_t *state)
{
    for (size_t i = 0; i < len; i++) {
        ret[i] = (uint8_t)random_next(state);
    }
}

static void hash(uint8_t ret[32], const void *data, size_t len)
{
    crypto_generichash_blake2b(ret, 32, data, len, NULL, 0);
}

void chain_open(struct chain *ret_chain, uint64_t seed, uint32_t members)
{
    must(sodium_init() >= 0 && members <= CHAIN_MEMBERS_MAX);
    memset(ret_chain, 0, sizeof *ret_chain);
    ret_chain->members = members;
    ret_chain->quorum = members - (members - 1) / 3;
    ret_chain->epoch = 7;
    random_bytes(ret_chain->network, 32, &seed);
    random_bytes(ret_chain->address, sizeof ret_chain->address, &seed);

    struct blob *record = &ret_chain->record;
    blob_add(record, ret_chain->network, 32);
    blob_little(record, ret_chain->epoch, 8);
    blob_length(record, members);
    for (uint32_t i = 0; i < members; i++) {
        uint8_t key_seed[32];
        random_bytes(key_seed, sizeof key_seed, &seed);
        crypto_sign_seed_keypair(ret_chain->public_keys[i], ret_chain->secret_keys[i], key_seed);
        random_bytes(ret_chain->network_keys[i], 32, &seed);
        blob_add(record, ret_chain->public_keys[i], 32);
        blob_add(record, ret_chain->network_keys[i], 32);
        blob_little(record, 1, 4);
    }
    hash(ret_chain->genesis, record->data, record->len);
    ret_chain->preblocks = calloc(CHAIN_PREBLOCKS_MAX, sizeof *ret_chain->preblocks);
    must(ret_chain->preblocks != NULL);
}

void chain_close(struct chain *chain)
{
    for (uint32_t i = 0; i < chain->count; i++) {
        struct chain_preblock *preblock = &chain->preblocks[i];
        for (uint32_t b = 0; b < preblock->batches_count; b++) {
            blob_free(&preblock->batches[b].bytes);
        }
        for (int p = 0; p < preblock->pages_count; p++) {
            blob_free(&preblock->pages[p].bytes);
        }
        free(preblock->pages);
    }
    free(chain->preblocks);
    blob_free(&chain->record);
}

void chain_config(struct blob *ret_body,
                  const struct chain *chain,
                  unsigned mode,
                  const void *application,
                  size_t len)
{
    memset(ret_body, 0, sizeof *ret_body);
    blob_u8(ret_body, 1);
    blob_add(ret_body, chain->network, 32);
    blob_u8(ret_body, mode);
    blob_add(ret_body, chain->record.data + 32, chain->record.len - 32);
    blob_u8(ret_body, 0);
    blob_u8(ret_body, 0);
    blob_length(ret_body, (uint32_t)len);
    blob_add(ret_body, application, len);
}

void batch_add(struct chain_batch *batch, const void *transaction, size_t len)
{
    blob_u8(&batch->bytes, 0x0a);
    blob_length(&batch->bytes, (uint32_t)len);
    blob_add(&batch->bytes, transaction, len);
    batch->transactions++;
}

void batch_random(struct chain_batch *ret_batch,
                  uint64_t *random,
                  uint32_t transactions,
                  uint32_t bytes_max)
{
    memset(ret_batch, 0, sizeof *ret_batch);
    for (uint32_t i = 0; i < transactions; i++) {
        uint8_t transaction[4096];
        uint32_t len = 1 + random_below(random, bytes_max);
        must(len <= sizeof transaction);
        random_bytes(transaction, len, random);
        batch_add(ret_batch, transaction, len);
    }
}

static int page_add(struct chain_preblock *preblock, unsigned tag, const void *data, size_t len)
{
    preblock->pages =
        realloc(preblock->pages, (size_t)(preblock->pages_count + 1) * sizeof *preblock->pages);
    must(preblock->pages != NULL);
    struct chain_page *page = &preblock->pages[preblock->pages_count];
    memset(page, 0, sizeof *page);
    blob_u8(&page->bytes, tag);
    blob_big(&page->bytes, len, 4);
    blob_add(&page->bytes, data, len);
    hash(page->digest, page->bytes.data, page->bytes.len);
    page->parent = -1;
    return preblock->pages_count++;
}

/* The page tree over `data`: groups of 121 until one page is left. Returns the root's page. */
static int page_tree_build(struct chain_preblock *preblock, const uint8_t *data, size_t len)
{
    int level[4096];
    int count = 0;

    for (size_t at = 0; at < len; at += 4000) {
        must(count < 4096);
        level[count++] = page_add(preblock, 0, data + at, len - at < 4000 ? len - at : 4000);
    }
    while (count > 1) {
        int above = 0;
        for (int first = 0; first < count; first += 121) {
            struct blob hashes = {0};
            int last = first + 121 < count ? first + 121 : count;
            for (int i = first; i < last; i++) {
                blob_u8(&hashes, 0);
                blob_add(&hashes, preblock->pages[level[i]].digest, 32);
            }
            int page = page_add(preblock, 1, hashes.data, hashes.len);
            for (int i = first; i < last; i++) {
                preblock->pages[level[i]].parent = page;
            }
            level[above++] = page;
            blob_free(&hashes);
        }
        count = above;
    }
    return level[0];
}

struct chain_preblock *chain_append(struct chain *chain,
                                    struct chain_batch *batches,
                                    uint32_t count,
                                    uint32_t claimed)
{
    must(chain->count < CHAIN_PREBLOCKS_MAX && count > 0 && count <= CHAIN_BATCHES_MAX);
    struct chain_preblock *preblock = &chain->preblocks[chain->count++];
    struct blob manifest = {0};
    uint32_t transactions = claimed;
    uint64_t bytes = 0;

    preblock->index = chain->count;
    preblock->batches_count = count;
    memcpy(preblock->batches, batches, count * sizeof *batches);
    for (uint32_t b = 0; b < count; b++) {
        struct chain_batch *batch = &preblock->batches[b];
        batch->root_page = page_tree_build(preblock, batch->bytes.data, batch->bytes.len);
        memcpy(batch->root, preblock->pages[batch->root_page].digest, 32);
        blob_add(&manifest, batch->root, 32);
        transactions += batch->transactions;
        bytes += batch->bytes.len;
    }
    int first = preblock->pages_count;
    int root = page_tree_build(preblock, manifest.data, manifest.len);
    for (uint32_t b = 0; b < count; b++) {
        preblock->pages[preblock->batches[b].root_page].parent = first + (int)b / 125;
    }

    struct blob header = {0};
    uint8_t leader[32];
    memset(leader, (int)chain->count, sizeof leader);
    blob_u8(&header, 1);
    blob_little(&header, chain->epoch, 8);
    blob_little(&header, preblock->index, 8);
    blob_add(&header, chain->count == 1 ? chain->genesis : preblock[-1].digest, 32);
    blob_add(&header, leader, 32);
    blob_little(&header, 3 * preblock->index, 8);
    blob_little(&header, 1700000000000 + preblock->index, 8);
    blob_add(&header, preblock->pages[root].digest, 32);
    blob_little(&header, count, 4);
    blob_little(&header, transactions, 4);
    blob_little(&header, bytes, 8);
    blob_little(&header, 0, 8);
    must(header.len == sizeof preblock->header);
    memcpy(preblock->header, header.data, header.len);
    hash(preblock->digest, header.data, header.len);
    blob_free(&header);
    blob_free(&manifest);
    return preblock;
}

void message_frame(struct blob *ret_message, const struct chain *chain, unsigned tag)
{
    memset(ret_message, 0, sizeof *ret_message);
    blob_u8(ret_message, 0);
    blob_add(ret_message, chain->address, sizeof chain->address);
    blob_u8(ret_message, tag);
}

void blob_quorum(struct blob *blob,
                 const struct chain *chain,
                 const uint8_t digest[32],
                 const uint8_t *signers,
                 uint32_t count)
{
    uint8_t message[35] = {10, 0, 1};
    uint8_t signature[64];

    memcpy(message + 3, digest, 32);
    blob_length(blob, count);
    blob_add(blob, signers, count);
    blob_length(blob, count);
    for (uint32_t i = 0; i < count; i++) {
        crypto_sign_detached(signature, NULL, message, sizeof message,
                             chain->secret_keys[signers[i] % chain->members]);
        blob_add(blob, signature, sizeof signature);
    }
}

void message_segment(struct blob *ret_message,
                     const struct chain *chain,
                     uint64_t first,
                     uint64_t last,
                     const uint8_t *signers,
                     uint32_t signers_count)
{
    must(first >= 1 && last <= chain->count && first <= last);
    message_frame(ret_message, chain, 1);
    blob_length(ret_message, (uint32_t)(last - first + 1));
    for (uint64_t index = first; index <= last; index++) {
        blob_add(ret_message, chain->preblocks[index - 1].header, 153);
    }
    blob_quorum(ret_message, chain, chain->preblocks[last - 1].digest, signers, signers_count);
}

void message_segment_quorum(struct blob *ret_message,
                            const struct chain *chain,
                            uint64_t first,
                            uint64_t last)
{
    uint8_t signers[CHAIN_MEMBERS_MAX];

    /* Not always the same members: the ones from `last` on, in ascending order. */
    uint32_t skipped = chain->members - chain->quorum;
    uint32_t count = 0;
    for (uint32_t i = 0; i < chain->members; i++) {
        bool skip =
            skipped > 0 && (i + last) % 2 == 0 && chain->members - i > chain->quorum - count;
        if (skip) {
            skipped--;
        } else if (count < chain->quorum) {
            signers[count++] = (uint8_t)i;
        }
    }
    must(count == chain->quorum);
    message_segment(ret_message, chain, first, last, signers, count);
}

void message_page(struct blob *ret_message,
                  const struct chain *chain,
                  uint64_t index,
                  unsigned attempt,
                  const struct blob *page)
{
    message_frame(ret_message, chain, 2);
    blob_little(ret_message, index, 8);
    blob_u8(ret_message, attempt);
    blob_add(ret_message, page->data, page->len);
}

void message_header(struct blob *ret_message, const struct chain *chain, const uint8_t header[153])
{
    uint8_t signers[CHAIN_MEMBERS_MAX];
    uint8_t digest[32];

    for (uint32_t i = 0; i < chain->quorum; i++) {
        signers[i] = (uint8_t)i;
    }
    hash(digest, header, 153);
    message_frame(ret_message, chain, 1);
    blob_length(ret_message, 1);
    blob_add(ret_message, header, 153);
    blob_quorum(ret_message, chain, digest, signers, chain->quorum);
}
