/* Goal: the messages made of a pre-block are the ones that the kernel's tests write from the protocol's text
 * alone. Method: random chains of tests/kernel/chain.c; every page and every segment is compared byte by byte, trees
 * are read back, and wrong payloads are refused. */
#include "tests/unit/unit.h"

#include <stdlib.h>
#include <string.h>

#include "common/batch.h"
#include "common/codec.h"
#include "common/crypto.h"
#include "sequencer/da_batch.h"
#include "tests/kernel/chain.h"

#define PREBLOCKS 12u

static struct chain chain;
static struct da_preblock *preblocks[PREBLOCKS];
static uint8_t message[INBOX_MESSAGE_BYTES_MAX];

/* The quorum that the chain's own segment of `first` .. `last` carries, and that segment. */
static void chain_segment(struct blob *ret_segment,
                          struct quorum *ret_quorum,
                          uint64_t first,
                          uint64_t last)
{
    message_segment_quorum(ret_segment, &chain, first, last);
    size_t prefix = INBOX_FRAME_BYTES + 1 + 1 + PREBLOCK_HEADER_BYTES * (last - first + 1);
    struct reader reader = reader_make(ret_segment->data + prefix, ret_segment->len - prefix);
    quorum_decode(ret_quorum, &reader);
    assert_true(reader_done(&reader));
}

static enum status make(struct da_preblock **ret,
                        const struct chain_preblock *source,
                        uint64_t index)
{
    static struct bytes batches[CHAIN_BATCHES_MAX];
    struct reader reader = reader_make(source->header, sizeof source->header);
    struct preblock header;
    struct quorum quorum;
    struct blob segment;

    chain_segment(&segment, &quorum, index, index);
    blob_free(&segment);
    preblock_decode(&header, &reader);
    assert_true(reader_done(&reader));
    for (uint32_t b = 0; b < source->batches_count; b++)
        batches[b] = (struct bytes){source->batches[b].bytes.data, source->batches[b].bytes.len};
    return da_preblock_make(ret, &header, &quorum, batches, source->batches_count);
}

static int set_up(void **state)
{
    uint64_t random = 11;
    static struct chain_batch batches[CHAIN_BATCHES_MAX];

    (void)state;
    chain_open(&chain, 3, 7);
    for (uint64_t index = 1; index <= PREBLOCKS; index++) {
        /* One with so many batches that its manifest has two levels, some with batches of many pages. */
        uint32_t count = index == 5 ? CHAIN_BATCHES_MAX : 1 + random_below(&random, 4);
        memset(batches, 0, sizeof batches);
        for (uint32_t b = 0; b < count; b++)
            batch_random(&batches[b], &random, 1 + random_below(&random, index % 3 == 0 ? 40 : 3),
                         index == 5 ? 30 : 4000);
        if (index == 4) {
            /* Two batches of the same content, so the same pages. */
            for (uint32_t b = 1; b < count; b++)
                blob_free(&batches[b].bytes);
            memset(&batches[1], 0, sizeof batches[1]);
            blob_add(&batches[1].bytes, batches[0].bytes.data, batches[0].bytes.len);
            batches[1].transactions = batches[0].transactions;
            count = 2;
        }
        chain_append(&chain, batches, count, 0);
        assert_int_equal(make(&preblocks[index - 1], &chain.preblocks[index - 1], index), OK);
    }
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < PREBLOCKS; i++)
        da_preblock_free(preblocks[i]);
    chain_close(&chain);
    return 0;
}

static const struct chain_page *find(const struct chain_preblock *source,
                                     const struct digest *digest)
{
    for (int i = 0; i < source->pages_count; i++) {
        if (memcmp(source->pages[i].digest, digest->bytes, 32) == 0) return &source->pages[i];
    }
    return NULL;
}

static void every_page_is_there_once(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < PREBLOCKS; i++) {
        const struct da_preblock *preblock = preblocks[i];
        const struct chain_preblock *source = &chain.preblocks[i];
        struct blob expected;
        for (int s = 0; s < source->pages_count; s++) {
            uint32_t found = 0;
            for (uint32_t p = 0; p < preblock->pages_count; p++)
                found += memcmp(preblock->pages[p].digest.bytes, source->pages[s].digest, 32) == 0;
            assert_int_equal(found, 1);
        }
        for (uint32_t p = 0; p < preblock->pages_count; p++) {
            const struct chain_page *page = find(source, &preblock->pages[p].digest);
            assert_non_null(page);
            size_t len = da_page_message(message, chain.address, preblock, &preblock->pages[p], 9);
            message_page(&expected, &chain, i + 1, 9, &page->bytes);
            assert_int_equal(len, expected.len);
            assert_memory_equal(message, expected.data, len);
            assert_int_equal(preblock->pages[p].kind, page->bytes.data[0]);
            blob_free(&expected);
        }
    }
}

static void equal_pages_are_posted_once(void **state)
{
    (void)state;
    assert_true((int)preblocks[3]->pages_count < chain.preblocks[3].pages_count);
}

/* Parents come before their children: a kernel that reads a level in parts keeps what it reads. */
static void roots_come_first(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < PREBLOCKS; i++) {
        const struct da_preblock *preblock = preblocks[i];
        assert_true(digest_equal(&preblock->pages[0].digest, &preblock->header.payload));
        assert_true(preblock->pages[0].manifest);
        for (uint32_t p = 1; p < preblock->pages_count; p++) {
            bool named = false;
            for (uint32_t above = 0; above < p && !named; above++) {
                struct bytes page = da_page_bytes(preblock, &preblock->pages[above]);
                for (size_t at = 0; at + 32 <= page.len && !named; at++)
                    named = memcmp(page.data + at, preblock->pages[p].digest.bytes, 32) == 0;
            }
            assert_true(named);
        }
    }
}

static void segments_are_the_protocols(void **state)
{
    struct quorum quorum;
    struct blob expected;

    (void)state;
    for (uint64_t first = 1; first <= PREBLOCKS; first++) {
        for (uint64_t last = first; last <= PREBLOCKS; last++) {
            chain_segment(&expected, &quorum, first, last);
            struct quorum kept = preblocks[last - 1]->quorum;
            preblocks[last - 1]->quorum = quorum;
            size_t len = da_segment_message(
                message, chain.address, (const struct da_preblock *const *)&preblocks[first - 1],
                (uint32_t)(last - first + 1));
            preblocks[last - 1]->quorum = kept;
            assert_int_equal(len, expected.len);
            assert_memory_equal(message, expected.data, len);
            blob_free(&expected);
        }
    }
}

static void as_many_headers_as_fit(void **state)
{
    (void)state;
    assert_int_equal(da_segment_headers_max(5), 24);
    for (uint32_t signers = 1; signers <= QUORUM_SIGNERS_MAX; signers++) {
        uint32_t headers = da_segment_headers_max(signers);
        size_t fixed = INBOX_FRAME_BYTES + 1 + 1 + 1 + signers + 1 + 64 * signers;
        assert_true(headers >= 1);
        assert_true(fixed + headers * PREBLOCK_HEADER_BYTES <= INBOX_MESSAGE_BYTES_MAX);
        assert_true(fixed + (headers + 1) * PREBLOCK_HEADER_BYTES > INBOX_MESSAGE_BYTES_MAX);
    }
}

static void trees_read_back(void **state)
{
    static uint8_t manifest[32 * CHAIN_BATCHES_MAX];
    static uint8_t batch[BATCH_BYTES_MAX];
    size_t len;

    (void)state;
    for (uint32_t i = 0; i < PREBLOCKS; i++) {
        const struct chain_preblock *source = &chain.preblocks[i];
        assert_int_equal(da_tree_read(manifest, &len, sizeof manifest, preblocks[i],
                                      &preblocks[i]->header.payload),
                         OK);
        assert_int_equal(len, 32 * source->batches_count);
        for (uint32_t b = 0; b < source->batches_count; b++) {
            const struct chain_batch *expected = &source->batches[b];
            struct digest root;
            memcpy(root.bytes, manifest + 32 * b, 32);
            assert_int_equal(da_tree_read(batch, &len, sizeof batch, preblocks[i], &root), OK);
            assert_int_equal(len, expected->bytes.len);
            assert_memory_equal(batch, expected->bytes.data, len);
            assert_int_equal(
                da_tree_read(batch, &len, expected->bytes.len - 1, preblocks[i], &root),
                ERR_TOO_LARGE);
        }
    }
    struct digest nowhere = {{1}};
    assert_int_equal(da_tree_read(batch, &len, sizeof batch, preblocks[0], &nowhere), ERR_MISSING);
}

static void another_payload_is_refused(void **state)
{
    struct da_preblock *preblock;

    (void)state;
    for (uint64_t index = 1; index <= PREBLOCKS; index++) {
        struct chain_preblock *source = &chain.preblocks[index - 1];
        struct blob *bytes = &source->batches[source->batches_count - 1].bytes;
        bytes->data[bytes->len - 1] ^= 1;
        assert_int_equal(make(&preblock, source, index), ERR_CONFLICT);
        bytes->data[bytes->len - 1] ^= 1;
        assert_int_equal(make(&preblock, source, index), OK);
        da_preblock_free(preblock);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_page_is_there_once),   cmocka_unit_test(equal_pages_are_posted_once),
        cmocka_unit_test(roots_come_first),           cmocka_unit_test(segments_are_the_protocols),
        cmocka_unit_test(as_many_headers_as_fit),     cmocka_unit_test(trees_read_back),
        cmocka_unit_test(another_payload_is_refused),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
