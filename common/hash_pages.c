#include "common/hash_pages.h"

#include "common/bytes.h"
#include "common/crypto.h"
#include "common/hash_lanes.h"

/* Below this a vector pass over one or two blocks costs more than libsodium. */
#define LANES_BYTES_MIN (PAGE_CONTENT_BYTES_MAX + 1u)

/* One hash page covers this much, so every batch; more goes through page_tree. */
#define LANES_BYTES_MAX (PAGE_HASHES_MAX * PAGE_CONTENT_BYTES_MAX)

enum hash_pages_way hash_pages_best(void)
{
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx512f")) return HASH_PAGES_AVX512;
    if (__builtin_cpu_supports("avx2")) return HASH_PAGES_AVX2;
#endif
    return HASH_PAGES_SCALAR;
}

/* Hashes one vector's worth of pages, or what is left. Returns the bytes taken. */
static size_t hash_group(enum hash_pages_way way,
                         struct digest *ret_digests,
                         const uint8_t *data,
                         size_t len)
{
#if defined(__x86_64__)
    /* Half-empty wide registers are slower than full narrow ones. */
    if (len <= HASH_LANES_AVX2 * PAGE_CONTENT_BYTES_MAX) way = HASH_PAGES_AVX2;
    size_t lanes = way == HASH_PAGES_AVX512 ? HASH_LANES_AVX512 : HASH_LANES_AVX2;
    size_t part = len < lanes * PAGE_CONTENT_BYTES_MAX ? len : lanes * PAGE_CONTENT_BYTES_MAX;
    if (way == HASH_PAGES_AVX512) {
        hash_lanes_avx512(ret_digests, data, part);
    } else {
        hash_lanes_avx2(ret_digests, data, part);
    }
    return part;
#else
    (void)way;
    (void)ret_digests;
    (void)data;
    return len;
#endif
}

/* The hash page over `count` content pages names them all. */
static void hash_top(struct digest *ret_root, const struct digest *digests, size_t count)
{
    uint8_t page[PAGE_BYTES_MAX];
    struct writer writer = writer_make(page, sizeof page);

    writer_u8(&writer, PAGE_HASHES);
    writer_u32_be(&writer, (uint32_t)(count * PAGE_HASH_BYTES));
    for (size_t i = 0; i < count; i++) {
        writer_u8(&writer, 0);
        writer_copy(&writer, digests[i].bytes, sizeof digests[i].bytes);
    }
    CHECK(!writer.failed);
    crypto_hash_one(ret_root, page, writer.len);
}

void hash_pages_root_by(enum hash_pages_way way,
                        struct digest *ret_root,
                        const uint8_t *data,
                        size_t len)
{
    CHECK(way <= hash_pages_best());
    if (way == HASH_PAGES_SCALAR || len < LANES_BYTES_MIN || len > LANES_BYTES_MAX) {
        page_tree(ret_root, data, len, NULL, NULL);
        return;
    }

    struct digest digests[PAGE_HASHES_MAX + HASH_LANES_AVX512];
    size_t count = (len + PAGE_CONTENT_BYTES_MAX - 1) / PAGE_CONTENT_BYTES_MAX;
    for (size_t at = 0; at < len;) {
        at += hash_group(way, digests + at / PAGE_CONTENT_BYTES_MAX, data + at, len - at);
    }
    hash_top(ret_root, digests, count);
}

void hash_pages_root(struct digest *ret_root, const uint8_t *data, size_t len)
{
    hash_pages_root_by(hash_pages_best(), ret_root, data, len);
}
