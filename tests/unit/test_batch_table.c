/* The batch table: an entry is in one list at a time, and every way from stored to forgotten works. */
#include "consensus/core/batch_table.h"

#include <stdlib.h>

#include "common/crypto.h"
#include "tests/unit/unit.h"

struct fixture {
    struct committee committee;
    struct batch_table table;
    void *memory;
};

static void fixture_open(struct fixture *fixture, uint32_t count)
{
    struct region region = region_make(NULL, 0);

    memset(fixture, 0, sizeof *fixture);
    fixture->committee.count = count;
    for (uint32_t i = 0; i < count; i++) {
        uint8_t seed[32] = {(uint8_t)(i + 1)};
        struct secret_key secret;

        crypto_key_pair(&fixture->committee.members[i].key, &secret, seed);
        seed[1] = 1;
        crypto_key_pair(&fixture->committee.members[i].network_key, &secret, seed);
        fixture->committee.members[i].stake = 1;
    }
    assert_int_equal(committee_finish(&fixture->committee), OK);
    batch_table_place(&fixture->table, &region, &fixture->committee, 0, 7);
    fixture->memory = calloc(1, region.used + 64);
    assert_non_null(fixture->memory);
    region = region_make((void *)(((uintptr_t)fixture->memory + 63) / 64 * 64), region.used);
    batch_table_place(&fixture->table, &region, &fixture->committee, 0, 7);
}

static void fixture_close(struct fixture *fixture)
{
    batch_table_check(&fixture->table);
    free(fixture->memory);
}

static struct batch_stored stored_make(uint64_t number, authority_t author, uint32_t bytes)
{
    struct batch_stored stored = {.author = author,
                                  .bytes = bytes,
                                  .transactions = 1,
                                  .created_at = number,
                                  .streamed = author != 0};

    crypto_hash_one(&stored.digest, &number, sizeof number);
    return stored;
}

static uint32_t store(struct fixture *fixture, const struct batch_stored *stored, round_t round)
{
    uint32_t entry;

    assert_int_equal(batch_table_store(&fixture->table, &entry, stored, round, 1000), OK);
    return entry;
}

static uint32_t name(struct fixture *fixture,
                     const struct batch_stored *stored,
                     authority_t author,
                     round_t round)
{
    struct batch_info info = {.digest = stored->digest, .created_at = stored->created_at};
    uint32_t entry;

    assert_int_equal(batch_table_name(&fixture->table, &entry, &info, author, round, 5000), OK);
    return entry;
}

static void own_batch_waits_to_be_named(void **state)
{
    struct fixture fixture;
    struct batch_stored stored = stored_make(1, 0, 100);
    uint32_t entry;

    (void)state;
    fixture_open(&fixture, 4);
    entry = store(&fixture, &stored, 3);
    assert_int_equal(batch_table_entry(&fixture.table, entry)->list, BATCH_LIST_NAMEABLE);
    assert_int_equal(fixture.table.unnamed_bytes[0], BATCH_CHARGE_BYTES_MIN);
    assert_int_equal(fixture.table.lag_bytes[2], 100);
    assert_int_equal(name(&fixture, &stored, 0, 4), entry);
    assert_int_equal(batch_table_entry(&fixture.table, entry)->list, BATCH_LIST_NAMED);
    assert_int_equal(fixture.table.unnamed_bytes[0], 0);
    batch_table_pin(&fixture.table, entry);
    assert_int_equal(batch_table_entry(&fixture.table, entry)->list, BATCH_LIST_PINNED);
    batch_table_unpin(&fixture.table, entry);
    assert_int_equal(batch_table_find(&fixture.table, &stored.digest), BATCH_NONE);
    assert_int_equal(fixture.table.lag_bytes[2], 0);
    fixture_close(&fixture);
}

static void held_means_durable_under_the_stated_worker(void **state)
{
    struct fixture fixture;
    struct batch_stored stored = stored_make(1, 2, 100);
    struct batch_info info = {.digest = stored.digest, .worker = 0, .created_at = 1};

    (void)state;
    fixture_open(&fixture, 4);
    assert_false(batch_table_holds(&fixture.table, &info));
    (void)name(&fixture, &stored, 2, 3);
    assert_false(batch_table_holds(&fixture.table, &info));
    (void)store(&fixture, &stored, 3);
    assert_true(batch_table_holds(&fixture.table, &info));
    info.worker = 1;
    assert_false(batch_table_holds(&fixture.table, &info));
    fixture_close(&fixture);
}

static void missing_batch_is_asked_for_in_time(void **state)
{
    struct fixture fixture;
    struct batch_stored missing = stored_make(10, 2, 100);
    struct batch_stored later = stored_make(11, 2, 100);
    uint64_t deadline;
    uint32_t entry;

    (void)state;
    fixture_open(&fixture, 4);
    entry = name(&fixture, &missing, 2, 3);
    assert_int_equal(batch_table_fetch_due(&fixture.table, &deadline, 4999), BATCH_NONE);
    assert_int_equal(deadline, 5000);
    /* The author's stream passed it: no need to wait. */
    (void)store(&fixture, &later, 3);
    assert_int_equal(batch_table_fetch_due(&fixture.table, &deadline, 100), entry);
    assert_int_equal(batch_table_fetch_peer(&fixture.table, entry), 2);
    for (uint32_t i = 1; i < 6; i++) {
        assert_int_not_equal(batch_table_fetch_peer(&fixture.table, entry), 0);
    }
    assert_int_equal(batch_table_fetch_due(&fixture.table, &deadline, 101), BATCH_NONE);
    assert_int_equal(deadline, 100 + BATCH_FETCH_RETRY_US);
    assert_int_equal(batch_table_fetch_due(&fixture.table, &deadline, deadline), entry);
    (void)store(&fixture, &missing, 3);
    assert_int_equal(batch_table_fetch_due(&fixture.table, &deadline, UINT64_MAX - 1), BATCH_NONE);
    fixture_close(&fixture);
}

/* A stream that moves will bring it: the table waits for that, but not for ever. */
static void missing_batch_waits_while_its_author_streams(void **state)
{
    struct fixture fixture;
    uint64_t deadline;

    (void)state;
    fixture_open(&fixture, 4);
    struct batch_stored missing = stored_make(1000, 2, 100);
    const uint32_t entry = name(&fixture, &missing, 2, 3);
    for (uint64_t due = 5000; due < 5000 + BATCH_PATIENCE_US; due += 900000) {
        struct batch_stored older = stored_make(due / 900000, 2, 100);
        uint32_t arrived;

        assert_int_equal(batch_table_store(&fixture.table, &arrived, &older, 3, due + 900000), OK);
        assert_int_equal(batch_table_fetch_due(&fixture.table, &deadline, due), BATCH_NONE);
    }
    assert_int_equal(deadline, 5000 + BATCH_PATIENCE_US);
    assert_int_equal(batch_table_fetch_due(&fixture.table, &deadline, deadline - 1), BATCH_NONE);
    assert_int_equal(batch_table_fetch_due(&fixture.table, &deadline, deadline), entry);

    /* Another's stream says nothing about it. */
    struct batch_stored other = stored_make(2000, 1, 100);
    struct batch_stored of_other = stored_make(5000, 3, 100);
    const uint32_t second = name(&fixture, &other, 1, 3);
    uint32_t arrived;

    assert_int_equal(batch_table_store(&fixture.table, &arrived, &of_other, 3, 9000), OK);
    assert_int_equal(batch_table_fetch_due(&fixture.table, &deadline, 4999), BATCH_NONE);
    assert_int_equal(batch_table_fetch_due(&fixture.table, &deadline, 5000), second);
    fixture_close(&fixture);
}

/* One peer, another after 200 ms, two after 400 and 800, and then every 1.6 s: first those that signed for
 * holding it. */
static void missing_batch_is_asked_of_few(void **state)
{
    static const uint32_t waits[] = {200000, 400000, 800000, 1600000, 1600000, 1600000};
    struct fixture fixture;
    struct batch_stored missing = stored_make(10, 2, 100);
    uint64_t now = 5000;
    uint64_t deadline;

    (void)state;
    fixture_open(&fixture, 10);
    const uint32_t entry = name(&fixture, &missing, 2, 3);
    batch_table_pin(&fixture.table, entry);
    authority_set_add(&batch_table_entry(&fixture.table, entry)->holders, 5);
    authority_set_add(&batch_table_entry(&fixture.table, entry)->holders, 8);
    for (uint32_t turn = 0; turn < 6; turn++) {
        assert_int_equal(batch_table_fetch_due(&fixture.table, &deadline, now), entry);
        assert_int_equal(batch_table_fetch_peers(&fixture.table, entry), turn < 2 ? 1 : 2);
        for (uint32_t i = 0; i < batch_table_fetch_peers(&fixture.table, entry); i++) {
            const authority_t peer = batch_table_fetch_peer(&fixture.table, entry);

            if (turn < BATCH_ASKED_HOLDERS) assert_true(peer == 5 || peer == 8);
        }
        assert_int_equal(batch_table_fetch_due(&fixture.table, &deadline, now), BATCH_NONE);
        assert_int_equal(deadline, now + waits[turn]);
        now = deadline;
    }
    fixture_close(&fixture);
}

/* Who says that it is not there brings the next one's turn at once, but nobody can make the node ask for ever. */
static void absence_brings_the_next_turn_at_once(void **state)
{
    struct fixture fixture;
    struct batch_stored missing = stored_make(10, 2, 100);
    struct authority_set asked = {{0, 0}};
    uint64_t deadline;
    uint32_t turns = 0;

    (void)state;
    fixture_open(&fixture, 7);
    const uint32_t entry = name(&fixture, &missing, 2, 3);
    batch_table_pin(&fixture.table, entry);
    authority_set_add(&batch_table_entry(&fixture.table, entry)->holders, 5);
    batch_table_note_absent(&fixture.table, entry, 4, 5000); /* nobody was asked */
    assert_true(authority_set_has(&batch_table_entry(&fixture.table, entry)->holders, 5));
    for (; batch_table_fetch_due(&fixture.table, &deadline, 5000) == entry; turns++) {
        authority_t peer = 0;

        for (uint32_t i = 0; i < batch_table_fetch_peers(&fixture.table, entry); i++) {
            peer = batch_table_fetch_peer(&fixture.table, entry);
            authority_set_add(&asked, peer);
        }
        assert_int_equal(batch_table_fetch_due(&fixture.table, &deadline, 5000), BATCH_NONE);
        if (turns == 0) assert_int_equal(peer, 5);
        batch_table_note_absent(&fixture.table, entry, peer, 5000);
        assert_false(authority_set_has(&batch_table_entry(&fixture.table, entry)->holders, peer));
    }
    assert_int_equal(turns, 8); /* one of each member, and the last that the timer still owes */
    assert_int_equal(asked.words[0], 0x7e);
    assert_in_range(deadline, 5001,
                    5000 + ((uint64_t)BATCH_FETCH_RETRY_US << BATCH_FETCH_DOUBLINGS));
    fixture_close(&fixture);
}

/* Whoever is said to hold it, and wherever the digest begins: once the holders were asked in vain, all
 * others are. */
static void everybody_is_asked_for_a_missing_batch_in_the_end(void **state)
{
    struct fixture fixture;
    uint64_t deadline = 0;
    uint64_t now = 5000;

    (void)state;
    fixture_open(&fixture, 7);
    for (uint64_t number = 0; number < 300; number++) {
        struct batch_stored missing = stored_make(number, (authority_t)(1 + number % 6), 100);
        struct authority_set asked = {{0, 0}};
        uint32_t entry = name(&fixture, &missing, missing.author, 3);

        for (authority_t a = 1; a < 7; a++) {
            if (missing.digest.bytes[1] >> a & 1)
                authority_set_add(&batch_table_entry(&fixture.table, entry)->holders, a);
        }
        batch_table_pin(&fixture.table, entry);
        for (uint32_t turn = 0; turn < BATCH_ASKED_HOLDERS + 3; turn++) {
            assert_int_equal(batch_table_fetch_due(&fixture.table, &deadline, now), entry);
            const uint32_t peers = batch_table_fetch_peers(&fixture.table, entry);
            for (uint32_t i = 0; i < peers; i++)
                authority_set_add(&asked, batch_table_fetch_peer(&fixture.table, entry));
            assert_int_equal(batch_table_fetch_due(&fixture.table, &deadline, now), BATCH_NONE);
            now = deadline;
        }
        assert_int_equal(asked.words[0], 0x7e);
        (void)store(&fixture, &missing, 3);
    }
    fixture_close(&fixture);
}

/* Names what is not there: `count` batches of the author. */
static void lie(struct fixture *fixture, authority_t author, uint64_t count)
{
    for (uint64_t i = 0; i < count; i++) {
        struct batch_stored lie = stored_make(1000000u * author + i, author, 100);

        (void)name(fixture, &lie, author, 3);
    }
}

/* True when the batch was asked for by `now`. */
static bool is_asked(struct fixture *fixture, const struct batch_stored *stored, uint64_t now)
{
    uint64_t deadline;
    bool asked = false;
    uint32_t entry;

    while ((entry = batch_table_fetch_due(&fixture->table, &deadline, now)) != BATCH_NONE) {
        asked = asked ||
                digest_equal(&batch_table_entry(&fixture->table, entry)->digest, &stored->digest);
        assert_true(fixture->table.lists[BATCH_LIST_FETCHING].count <=
                    batch_table_fetches(&fixture->table));
    }
    return asked;
}

/* However much one author names that never was, and before: others' batches are asked for at once. */
static void lies_of_one_author_hide_nobodys_batches(void **state)
{
    struct fixture fixture;
    struct batch_stored real = stored_make(1000, 3, 100);

    (void)state;
    fixture_open(&fixture, 4);
    lie(&fixture, 2, 2 * BATCH_SCAN_MAX);
    (void)name(&fixture, &real, 3, 3);
    bool asked = false;
    for (uint32_t i = 0; i < 3 && !asked; i++)
        asked = is_asked(&fixture, &real, 5000 + i);
    assert_true(asked);
    assert_int_equal(fixture.table.lists[BATCH_LIST_FETCHING].count, BATCH_FETCHES_MIN / 4 + 1);
    fixture_close(&fixture);
}

/* Small ones come in larger numbers, large ones in small numbers, and the mean follows what comes. */
static void the_window_follows_the_sizes(void **state)
{
    struct fixture fixture;
    uint64_t deadline;
    uint32_t entry;

    (void)state;
    fixture_open(&fixture, 4);
    assert_int_equal(batch_table_fetches(&fixture.table), BATCH_FETCHES_MIN);
    for (uint64_t i = 0; i < 200; i++) {
        struct batch_stored small = stored_make(2000 + i, 3, i < 100 ? 500 : BATCH_BYTES_MAX);

        (void)name(&fixture, &small, 3, 3);
        while (batch_table_fetch_due(&fixture.table, &deadline, 10000 + i) != BATCH_NONE)
            ;
        assert_int_equal(batch_table_store(&fixture.table, &entry, &small, 3, 10000 + i), OK);
        if (i == 99) assert_int_equal(batch_table_fetches(&fixture.table), BATCH_FETCHES_MAX);
    }
    assert_int_equal(batch_table_fetches(&fixture.table), BATCH_FETCHES_MIN);
    fixture_close(&fixture);
}

/* Ordered batches find room though all shares are taken by what never was; and that makes room in its turn. */
static void batches_that_never_were_make_room(void **state)
{
    struct fixture fixture;
    struct batch_stored ordered = stored_make(1000, 3, 100);
    struct batch_stored late = stored_make(1001, 3, 100);
    uint64_t now = 5000;

    (void)state;
    fixture_open(&fixture, 4);
    for (authority_t a = 1; a < 4; a++)
        lie(&fixture, a, BATCH_FETCHES_MIN);
    assert_false(is_asked(&fixture, &ordered, now));
    batch_table_pin(&fixture.table, name(&fixture, &ordered, 3, 3));
    assert_true(is_asked(&fixture, &ordered, now));
    (void)name(&fixture, &late, 3, 3);
    bool asked = false;
    for (uint32_t turn = 0; turn < 100 && !asked; turn++, now += BATCH_FETCH_RETRY_US)
        asked = is_asked(&fixture, &late, now);
    assert_true(asked);
    fixture_close(&fixture);
}

static void lag_is_that_of_the_slowest_in_the_fastest_quorum(void **state)
{
    struct fixture fixture;
    struct batch_stored first = stored_make(1, 0, 1000);
    struct batch_stored second = stored_make(2, 0, 500);
    uint32_t a;
    uint32_t b;

    (void)state;
    fixture_open(&fixture, 4);
    a = store(&fixture, &first, 1);
    b = store(&fixture, &second, 1);
    assert_int_equal(batch_table_quorum_lag(&fixture.table), 1500);
    assert_false(batch_table_acknowledge(&fixture.table, a, 1));
    assert_int_equal(batch_table_quorum_lag(&fixture.table), 1500);
    assert_true(batch_table_acknowledge(&fixture.table, a, 2));
    assert_int_equal(batch_table_quorum_lag(&fixture.table), 500);
    assert_int_equal(batch_table_take_acked(&fixture.table), 1000);
    assert_false(batch_table_acknowledge(&fixture.table, b, 1));
    assert_false(batch_table_acknowledge(&fixture.table, b, 1)); /* twice counts once */
    assert_int_equal(batch_table_quorum_lag(&fixture.table), 500);
    fixture_close(&fixture);
}

static void unnamed_share_of_an_author_is_bounded(void **state)
{
    struct fixture fixture;
    uint32_t stored_count = 0;
    uint32_t entry;

    (void)state;
    fixture_open(&fixture, 4);
    for (uint64_t i = 0; i < 20000; i++) {
        struct batch_stored stored = stored_make(i, 1, 1);
        enum status status = batch_table_store(&fixture.table, &entry, &stored, 1, 0);

        if (status == OK) stored_count++;
        assert_true(status == OK || status == ERR_FULL);
    }
    assert_int_equal(stored_count, UNNAMED_BATCH_BYTES_MAX / BATCH_CHARGE_BYTES_MIN);
    assert_true(batch_table_is_full(&fixture.table, 1));
    assert_false(batch_table_is_full(&fixture.table, 2));
    fixture_close(&fixture);
}

static void stale_batches_are_found_oldest_first(void **state)
{
    struct fixture fixture;
    struct batch_stored old = stored_make(1, 1, 10);
    struct batch_stored young = stored_make(2, 1, 10);
    struct batch_stored named = stored_make(3, 2, 10);
    uint32_t entry;

    (void)state;
    fixture_open(&fixture, 4);
    entry = store(&fixture, &old, 5);
    (void)store(&fixture, &young, 9);
    assert_int_equal(batch_table_stale_unnamed(&fixture.table, 4), BATCH_NONE);
    assert_int_equal(batch_table_stale_unnamed(&fixture.table, 5), entry);
    batch_table_forget(&fixture.table, entry);
    assert_int_equal(batch_table_stale_unnamed(&fixture.table, 5), BATCH_NONE);
    (void)store(&fixture, &named, 5);
    entry = name(&fixture, &named, 2, 7);
    assert_int_equal(batch_table_stale_named(&fixture.table, BATCH_LIST_NAMED, 6, 0), BATCH_NONE);
    assert_int_equal(batch_table_stale_named(&fixture.table, BATCH_LIST_NAMED, 7, 0), entry);
    (void)name(&fixture, &named, 3, 8); /* a later header names it again */
    assert_int_equal(batch_table_stale_named(&fixture.table, BATCH_LIST_NAMED, 7, 0), BATCH_NONE);
    fixture_close(&fixture);
}

static void pinned_missing_batches_are_counted_and_never_stale(void **state)
{
    struct fixture fixture;
    struct batch_stored stored = stored_make(1, 2, 10);
    uint32_t entry;

    (void)state;
    fixture_open(&fixture, 4);
    entry = name(&fixture, &stored, 2, 3);
    assert_int_equal(batch_table_missing(&fixture.table), 0);
    batch_table_pin(&fixture.table, entry);
    assert_int_equal(batch_table_missing(&fixture.table), 1);
    assert_int_equal(batch_table_stale_named(&fixture.table, BATCH_LIST_MISSING, 9, 0), BATCH_NONE);
    (void)store(&fixture, &stored, 3);
    assert_int_equal(batch_table_missing(&fixture.table), 0);
    assert_int_equal(batch_table_entry(&fixture.table, entry)->list, BATCH_LIST_PINNED);
    fixture_close(&fixture);
}

static void renamed_batches_wait_their_time(void **state)
{
    struct fixture fixture;
    struct batch_stored stored = stored_make(1, 2, 10);
    uint32_t entry;

    (void)state;
    fixture_open(&fixture, 4);
    (void)store(&fixture, &stored, 3);
    entry = name(&fixture, &stored, 2, 3);
    batch_table_rename_later(&fixture.table, entry, 9000);
    assert_int_equal(batch_table_rename_due(&fixture.table, 8999), 9000);
    assert_int_equal(batch_table_entry(&fixture.table, entry)->list, BATCH_LIST_RENAME);
    assert_int_equal(batch_table_rename_due(&fixture.table, 9000), UINT64_MAX);
    assert_int_equal(batch_table_entry(&fixture.table, entry)->list, BATCH_LIST_NAMEABLE);
    fixture_close(&fixture);
}

static uint32_t list_of(struct fixture *fixture, uint32_t entry)
{
    return batch_table_entry(&fixture->table, entry)->list;
}

/* Whatever an entry is waiting for, or still to come: once it is known to be executed nobody names it. */
static void executed_batches_are_not_to_be_named(void **state)
{
    struct fixture fixture;
    struct batch_stored own = stored_make(1, 0, 500);
    struct batch_stored found = stored_make(2, 0, 500);
    struct batch_stored others = stored_make(3, 1, 500);
    struct batch_stored adopted = stored_make(4, 1, 500);
    uint32_t entry;

    (void)state;
    fixture_open(&fixture, 4);
    entry = store(&fixture, &own, 10);
    assert_int_equal(list_of(&fixture, entry), BATCH_LIST_NAMEABLE);
    batch_table_note_executed(&fixture.table, entry);
    assert_int_equal(list_of(&fixture, entry), BATCH_LIST_NAMED);
    assert_int_equal(batch_table_passed_by(&fixture.table, 100, 100), BATCH_NONE);
    /* Missing, named by another: found in the own log, and executed, the store says. */
    entry = name(&fixture, &found, 2, 10);
    found.executed = true;
    assert_int_equal(store(&fixture, &found, 10), entry);
    assert_int_equal(list_of(&fixture, entry), BATCH_LIST_NAMED);
    assert_int_equal(batch_table_passed_by(&fixture.table, 100, 100), BATCH_NONE);
    /* Another's, to be named again later. */
    entry = store(&fixture, &others, 10);
    (void)name(&fixture, &others, 1, 10);
    batch_table_rename_later(&fixture.table, entry, 1000);
    batch_table_note_executed(&fixture.table, entry);
    assert_int_equal(batch_table_rename_due(&fixture.table, 5000), UINT64_MAX);
    assert_int_equal(list_of(&fixture, entry), BATCH_LIST_NAMED);
    /* Another's, sealed here as well after it was executed. */
    entry = store(&fixture, &adopted, 10);
    adopted.author = 0;
    adopted.streamed = false;
    adopted.executed = true;
    assert_int_equal(store(&fixture, &adopted, 10), entry);
    assert_int_equal(list_of(&fixture, entry), BATCH_LIST_NAMED);
    fixture_close(&fixture);
}

static void digest_map_survives_many_removals(void **state)
{
    struct region region = region_make(NULL, 0);
    struct digest_map map;
    uint64_t random = 1;
    static bool present[512];
    void *memory;

    (void)state;
    digest_map_place(&map, &region, 256, 3);
    memory = calloc(1, region.used + 64);
    assert_non_null(memory);
    region = region_make((void *)(((uintptr_t)memory + 63) / 64 * 64), region.used);
    digest_map_place(&map, &region, 256, 3);
    for (uint32_t i = 0; i < 100000; i++) {
        uint64_t number = unit_random_below(&random, 512);
        struct digest digest;

        crypto_hash_one(&digest, &number, sizeof number);
        assert_int_equal(digest_map_get(&map, &digest) != DIGEST_MAP_NONE, present[number]);
        if (present[number]) {
            assert_int_equal(digest_map_get(&map, &digest), number);
            digest_map_remove(&map, &digest);
            present[number] = false;
        } else if (!digest_map_is_full(&map)) {
            digest_map_put(&map, &digest, (uint32_t)number);
            present[number] = true;
        }
        if (i % 1000 == 0) digest_map_check(&map);
    }
    free(memory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(own_batch_waits_to_be_named),
        cmocka_unit_test(held_means_durable_under_the_stated_worker),
        cmocka_unit_test(missing_batch_is_asked_for_in_time),
        cmocka_unit_test(missing_batch_waits_while_its_author_streams),
        cmocka_unit_test(missing_batch_is_asked_of_few),
        cmocka_unit_test(absence_brings_the_next_turn_at_once),
        cmocka_unit_test(everybody_is_asked_for_a_missing_batch_in_the_end),
        cmocka_unit_test(lies_of_one_author_hide_nobodys_batches),
        cmocka_unit_test(batches_that_never_were_make_room),
        cmocka_unit_test(the_window_follows_the_sizes),
        cmocka_unit_test(lag_is_that_of_the_slowest_in_the_fastest_quorum),
        cmocka_unit_test(unnamed_share_of_an_author_is_bounded),
        cmocka_unit_test(stale_batches_are_found_oldest_first),
        cmocka_unit_test(pinned_missing_batches_are_counted_and_never_stale),
        cmocka_unit_test(renamed_batches_wait_their_time),
        cmocka_unit_test(executed_batches_are_not_to_be_named),
        cmocka_unit_test(digest_map_survives_many_removals),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
