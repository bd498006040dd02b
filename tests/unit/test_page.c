/* Goal: page trees are those of the format, whatever the size. Method: small vectors made by hand
 * from the format's words, then an independent, recursive construction over lengths around every
 * edge; and strictness of page_parse. */
#include "tests/unit/unit.h"

#include <stdlib.h>

#include "common/bytes.h"
#include "common/crypto.h"
#include "common/page.h"

/* The tree straight from its definition: all hashes of a level in memory, level by level. */
static struct digest plain_root(const uint8_t *data, size_t len, size_t *ret_pages)
{
    size_t count = (len + 3999) / 4000;
    struct digest *hashes = calloc(count, sizeof *hashes);
    uint8_t page[4005];

    *ret_pages = count;
    for (size_t i = 0; i < count; i++) {
        size_t part = i + 1 < count ? 4000 : len - 4000 * i;
        const uint8_t head[5] = {0, 0, 0, (uint8_t)(part >> 8), (uint8_t)part};
        memcpy(page, head, 5);
        memcpy(page + 5, data + 4000 * i, part);
        crypto_hash_one(&hashes[i], page, 5 + part);
    }
    while (count > 1) {
        size_t groups = (count + 120) / 121;
        for (size_t g = 0; g < groups; g++) {
            size_t members = g + 1 < groups ? 121 : count - 121 * g;
            size_t size = 33 * members;
            const uint8_t head[5] = {1, 0, 0, (uint8_t)(size >> 8), (uint8_t)size};
            memcpy(page, head, 5);
            for (size_t m = 0; m < members; m++) {
                page[5 + 33 * m] = 0;
                memcpy(page + 5 + 33 * m + 1, hashes[121 * g + m].bytes, 32);
            }
            crypto_hash_one(&hashes[g], page, 5 + size);
        }
        *ret_pages += groups;
        count = groups;
    }
    struct digest root = hashes[0];
    free(hashes);
    return root;
}

static void the_smallest_trees_are_as_written_by_hand(void **state)
{
    (void)state;
    static const uint8_t one_page[] = {0, 0, 0, 0, 3, 'a', 'b', 'c'};
    struct digest expected;
    struct digest root;

    crypto_hash_one(&expected, one_page, sizeof one_page);
    page_tree(&root, (const uint8_t *)"abc", 3, NULL, NULL);
    assert_memory_equal(&root, &expected, sizeof root);

    /* 4001 zero bytes: pages of 4000 and of 1, and a hash page of 66 bytes. */
    static uint8_t zeros[4001];
    static uint8_t first[4005] = {0, 0, 0, 0x0f, 0xa0};
    static const uint8_t second[6] = {0, 0, 0, 0, 1, 0};
    uint8_t top[5 + 66] = {1, 0, 0, 0, 66};
    crypto_hash_one(&expected, first, sizeof first);
    memcpy(top + 6, expected.bytes, 32);
    crypto_hash_one(&expected, second, sizeof second);
    memcpy(top + 39, expected.bytes, 32);
    crypto_hash_one(&expected, top, sizeof top);
    page_tree(&root, zeros, sizeof zeros, NULL, NULL);
    assert_memory_equal(&root, &expected, sizeof root);
}

/* Puts a tree back together from its pages alone, the way a kernel does. */
struct collected {
    struct digest digest;
    size_t len;
    uint8_t page[PAGE_BYTES_MAX];
};
struct collector {
    struct collected *pages;
    size_t count;
};

static void collect(void *context,
                    enum page_kind kind,
                    const struct digest *digest,
                    const uint8_t *page,
                    size_t len)
{
    struct collector *collector = context;
    struct collected *to = &collector->pages[collector->count++];
    struct digest again;

    assert_true(len <= PAGE_BYTES_MAX);
    assert_int_equal(page[0], kind);
    crypto_hash_one(&again, page, len);
    assert_memory_equal(&again, digest, sizeof again);
    to->digest = *digest;
    to->len = len;
    memcpy(to->page, page, len);
}

static size_t rebuild(const struct collector *collector, const uint8_t *digest, uint8_t *ret)
{
    for (size_t i = 0; i < collector->count; i++) {
        enum page_kind kind;
        struct bytes payload;
        if (memcmp(collector->pages[i].digest.bytes, digest, 32) != 0) continue;
        assert_int_equal(
            page_parse(&kind, &payload, collector->pages[i].page, collector->pages[i].len), OK);
        if (kind == PAGE_CONTENT) {
            memcpy(ret, payload.data, payload.len);
            return payload.len;
        }
        size_t len = 0;
        for (size_t at = 0; at < payload.len; at += PAGE_HASH_BYTES) {
            len += rebuild(collector, payload.data + at + 1, ret + len);
        }
        return len;
    }
    fail_msg("a page is missing");
    return 0;
}

static void trees_of_all_shapes_agree_and_rebuild(void **state)
{
    (void)state;
    const size_t lengths[] = {1,
                              3999,
                              4000,
                              4001,
                              8000,
                              120 * 4000,
                              480001,
                              121 * 4000,
                              484001,
                              2 * 484000,
                              2 * 484000 + 1,
                              3 * 1024 * 1024,
                              121 * 4000 * 3 - 1};
    uint64_t seed = 11;
    uint8_t *data = malloc(4000000);
    uint8_t *again = malloc(4000000);
    struct collector collector = {calloc(1100, sizeof *collector.pages), 0};
    unit_random_bytes(&seed, data, 4000000);

    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0] + 40; i++) {
        size_t known = sizeof lengths / sizeof lengths[0];
        size_t len = i < known ? lengths[i] : 1 + (size_t)unit_random_below(&seed, 1000000);
        struct digest root;
        size_t pages;
        struct digest expected = plain_root(data, len, &pages);
        collector.count = 0;
        page_tree(&root, data, len, collect, &collector);
        assert_memory_equal(&root, &expected, sizeof root);
        assert_int_equal(collector.count, pages);
        assert_memory_equal(&collector.pages[pages - 1].digest, &root, sizeof root);
        if (i >= known) continue;
        assert_int_equal(rebuild(&collector, root.bytes, again), len);
        assert_memory_equal(again, data, len);
    }
    free(collector.pages);
    free(again);
    free(data);
}

static enum status parse(const uint8_t *page, size_t len)
{
    enum page_kind kind;
    struct bytes payload;
    return page_parse(&kind, &payload, page, len);
}

static void pages_that_nothing_makes_are_refused(void **state)
{
    (void)state;
    uint8_t page[5000] = {0, 0, 0, 0, 3, 'a', 'b', 'c'};
    assert_int_equal(parse(page, 8), OK);
    for (size_t len = 0; len < 8; len++) {
        assert_int_equal(parse(page, len), ERR_MALFORMED);
    }
    assert_int_equal(parse(page, 9), ERR_MALFORMED);
    page[0] = 2;
    assert_int_equal(parse(page, 8), ERR_MALFORMED);
    page[0] = 1; /* three bytes are no hash */
    assert_int_equal(parse(page, 8), ERR_MALFORMED);
    page[0] = 0;
    page[4] = 0; /* empty */
    assert_int_equal(parse(page, 5), ERR_MALFORMED);

    page[3] = 4000 >> 8;
    page[4] = 4000 & 0xff;
    assert_int_equal(parse(page, 4005), OK);
    page[4]++;
    assert_int_equal(parse(page, 4006), ERR_MALFORMED);

    memset(page, 0, sizeof page);
    page[0] = 1;
    page[3] = (121 * 33) >> 8;
    page[4] = (121 * 33) & 0xff;
    assert_int_equal(parse(page, 5 + 121 * 33), OK);
    page[5 + 120 * 33] = 1;
    assert_int_equal(parse(page, 5 + 121 * 33), ERR_MALFORMED);
    page[5 + 120 * 33] = 0;
    page[3] = (122 * 33) >> 8;
    page[4] = (122 * 33) & 0xff;
    assert_int_equal(parse(page, 5 + 122 * 33), ERR_MALFORMED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_smallest_trees_are_as_written_by_hand),
        cmocka_unit_test(trees_of_all_shapes_agree_and_rebuild),
        cmocka_unit_test(pages_that_nothing_makes_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
