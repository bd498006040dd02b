#include "tests/fuzz/fuzz.h"

#include "common/crypto.h"
#include "common/hash_pages.h"
#include "common/page.h"

/* As a page: what is accepted has the form of the format. As content: its tree starts with that
 * page. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    enum page_kind kind;
    struct bytes payload;

    if (page_parse(&kind, &payload, data, size) == OK) {
        CHECK(size <= PAGE_BYTES_MAX);
        CHECK(payload.data == data + PAGE_HEADER_BYTES);
        CHECK(payload.len + PAGE_HEADER_BYTES == size);
        CHECK(payload.len >= 1);
        CHECK(kind == PAGE_CONTENT || payload.len % PAGE_HASH_BYTES == 0);
        if (kind == PAGE_CONTENT) {
            struct digest root;
            struct digest page;
            page_tree(&root, payload.data, payload.len, NULL, NULL);
            crypto_hash_one(&page, data, size);
            CHECK(digest_equal(&root, &page));
        }
    }
    if (size > 0) {
        struct digest plain;
        struct digest fast;
        page_tree(&plain, data, size, NULL, NULL);
        hash_pages_root(&fast, data, size);
        CHECK(digest_equal(&plain, &fast));
    }
    return 0;
}
