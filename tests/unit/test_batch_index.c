/* Goal: the index answers every candidate place of a digest and no place it was told to forget, through growth,
 * shared tags and deleted segments. Method: random adds, removes and drops against a plain list. */
#include <stdlib.h>

#include "consensus/node/batch_index.h"
#include "tests/unit/unit.h"

#define ENTRIES 20000u

/* One entry of the list the index is compared with. */
struct entry {
    struct digest digest;
    struct batch_place place;
    bool live;
};

static bool place_equal(struct batch_place a, struct batch_place b)
{
    return a.segment == b.segment && a.page == b.page && a.pages == b.pages;
}

/* Is this place among the candidates of the digest? */
static bool index_has(const struct batch_index *index, const struct entry *entry)
{
    struct batch_place place;
    uint64_t cursor = 0;

    while (batch_index_next(index, &place, &cursor, &entry->digest)) {
        if (place_equal(place, entry->place)) return true;
    }
    return false;
}

static void check_all(const struct batch_index *index, const struct entry *entries, size_t count)
{
    size_t live = 0;

    batch_index_check(index);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(index_has(index, &entries[i]), entries[i].live);
        live += entries[i].live;
    }
    assert_int_equal(batch_index_count(index), live);
}

/* `spread` different tags: with few of them, every look-up walks through many candidates. */
static void run_against_list(uint64_t seed, uint64_t spread, size_t count)
{
    struct entry *entries = calloc(count, sizeof *entries);
    struct batch_index *index = batch_index_new(count, unit_random(&seed));
    uint32_t oldest = 1;

    assert_non_null(entries);
    for (size_t i = 0; i < count; i++) {
        struct entry *entry = &entries[i];
        const uint64_t tag = unit_random_below(&seed, spread);
        unit_random_bytes(&seed, entry->digest.bytes, sizeof entry->digest.bytes);
        memcpy(entry->digest.bytes, &tag, sizeof tag);
        entry->place = (struct batch_place){.segment = (uint32_t)(1 + i / 500),
                                            .page = (uint32_t)(1 + i % 500) & 0xffffffu,
                                            .pages = (uint8_t)(1 + i % 118)};
        entry->live = true;
        assert_true(batch_index_add(index, &entry->digest, entry->place));
        if (unit_random_below(&seed, 10) == 0) {
            struct entry *victim = &entries[unit_random_below(&seed, i + 1)];
            batch_index_remove(index, &victim->digest, victim->place);
            victim->live = false;
        }
        if (i % 2500 == 2499) {
            size_t dropped = 0;
            oldest += (uint32_t)unit_random_below(&seed, 4);
            for (size_t j = 0; j <= i; j++) {
                if (entries[j].place.segment >= oldest || !entries[j].live) continue;
                entries[j].live = false;
                dropped++;
            }
            batch_index_drop_below(index, oldest, dropped);
            check_all(index, entries, i + 1);
        }
    }
    check_all(index, entries, count);
    batch_index_free(index);
    free(entries);
}

static void agrees_with_a_plain_list(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 5; seed++)
        run_against_list(seed, UINT64_MAX, ENTRIES);
}

static void batches_that_share_tags_are_all_candidates(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 5; seed++)
        run_against_list(seed, 50, 3000);
    run_against_list(6, 1, 3000);
}

static void a_full_index_refuses_and_takes_more_after_a_drop(void **state)
{
    (void)state;
    struct batch_index *index = batch_index_new(100, 1);
    struct digest digest = {{0}};

    for (uint8_t i = 0; i < 100; i++) {
        digest.bytes[0] = i;
        const struct batch_place place = {.segment = 1u + i / 50u, .page = 1u + i, .pages = 1};
        assert_true(batch_index_add(index, &digest, place));
    }
    digest.bytes[0] = 200;
    const struct batch_place place = {.segment = 3, .page = 1, .pages = 1};
    assert_false(batch_index_add(index, &digest, place));
    batch_index_drop_below(index, 2, 50);
    assert_int_equal(batch_index_count(index), 50);
    assert_true(batch_index_add(index, &digest, place));
    batch_index_check(index);
    batch_index_free(index);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(agrees_with_a_plain_list),
        cmocka_unit_test(batches_that_share_tags_are_all_candidates),
        cmocka_unit_test(a_full_index_refuses_and_takes_more_after_a_drop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
