/* Goal: the vector ways of hashing a batch give page_tree's root for every length. Method: every
 * length that ends near a page or block edge, and thousands of seeded random ones, at shifting
 * alignments, with memory that ends exactly where the batch ends (the sanitizer builds see an
 * overrun). With the argument `speed` it measures each way instead. */
#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "common/crypto.h"
#include "common/hash_pages.h"
#include "common/limits.h"
#include "common/page.h"

static void check_length(const uint8_t *data, size_t len)
{
    uint8_t *exact = malloc(len);
    struct digest expected;
    struct digest root;

    memcpy(exact, data, len);
    page_tree(&expected, exact, len, NULL, NULL);
    for (int way = HASH_PAGES_SCALAR; way <= (int)hash_pages_best(); way++) {
        memset(&root, 0, sizeof root);
        hash_pages_root_by((enum hash_pages_way)way, &root, exact, len);
        if (!digest_equal(&root, &expected)) fail_msg("way %d, %zu bytes", way, len);
    }
    hash_pages_root(&root, exact, len);
    assert_memory_equal(&root, &expected, sizeof root);
    free(exact);
}

static uint8_t *random_data(size_t len)
{
    uint64_t seed = 20260102;
    uint8_t *data = malloc(len);
    unit_random_bytes(&seed, data, len);
    return data;
}

static void lengths_at_edges_agree(void **state)
{
    (void)state;
    uint8_t *data = random_data(500000);
    for (size_t pages = 0; pages <= 9; pages++) {
        for (size_t rest = 1; rest <= 300; rest++) {
            check_length(data + rest % 13, pages * PAGE_CONTENT_BYTES_MAX + rest);
        }
        for (size_t short_of = 0; short_of <= 140; short_of++) {
            check_length(data, (pages + 1) * PAGE_CONTENT_BYTES_MAX - short_of);
        }
    }
    for (size_t len = 479990; len <= 480010; len++) {
        check_length(data, len);
    }
    for (size_t len = 483995; len <= 484005; len++) {
        check_length(data, len); /* where a second hash page begins */
    }
    free(data);
}

static void random_lengths_agree(void **state)
{
    (void)state;
    uint64_t seed = 42;
    uint8_t *data = random_data(BATCH_BYTES_MAX + 64);
    for (int i = 0; i < 3000; i++) {
        size_t limit = i % 3 == 0 ? BATCH_BYTES_MAX : 70000;
        check_length(data + i % 61, 1 + (size_t)unit_random_below(&seed, limit));
    }
    free(data);
}

static double now_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void measure(void)
{
    const size_t sizes[] = {1000, 4000, 16000, 51000, 64000, 200000, 480000};
    uint8_t *data = random_data(BATCH_BYTES_MAX);

    for (int way = HASH_PAGES_SCALAR; way <= (int)hash_pages_best(); way++) {
        for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
            struct digest root;
            double start = now_seconds();
            double bytes = 0;
            while (now_seconds() - start < 0.2) {
                for (int lap = 0; lap < 20; lap++) {
                    hash_pages_root_by((enum hash_pages_way)way, &root, data, sizes[i]);
                }
                bytes += 20.0 * (double)sizes[i];
            }
            printf("way %d, %6zu bytes: %.2f GB/s\n", way, sizes[i],
                   bytes / (now_seconds() - start) / 1e9);
        }
    }
    free(data);
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "speed") == 0) {
        measure();
        return 0;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lengths_at_edges_agree),
        cmocka_unit_test(random_lengths_agree),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
