/* The parts of the simulator that everything else in it trusts: the disk loses what it must lose
 * and keeps what it must keep, also of a copy and of what rots, tables are in key order, events in time order, and the fast hash
 * does not depend on how its input is cut. Method: plain calls against small models. */
#include "tests/unit/unit.h"

#include "common/crypto.h"
#include "tests/sim/disk.h"
#include "tests/sim/queue.h"

static struct bytes key_of(uint8_t *memory, uint8_t number)
{
    *memory = number;
    return (struct bytes){memory, 1};
}

static void put(struct disk *disk, uint8_t key)
{
    uint8_t memory;
    struct bytes bytes = key_of(&memory, key);

    disk_write(disk, DISK_PUT, TABLE_META, bytes, bytes);
}

/* Ten steps of two writes each; the first four are synced. After a crash the table must hold a
 * prefix of whole steps, at least four of them; and over many crashes every length must occur. */
static void crash_keeps_a_prefix_of_whole_steps(void **state)
{
    uint32_t lengths_seen = 0;

    (void)state;
    for (uint64_t seed = 1; seed <= 200; seed++) {
        struct random random = random_make(seed, 0);
        struct disk disk;
        disk_open(&disk);
        for (uint8_t step = 0; step < 10; step++) {
            put(&disk, (uint8_t)(2 * step));
            put(&disk, (uint8_t)(2 * step + 1));
            disk_commit(&disk);
            if (step == 3) disk_finish_sync(&disk, disk_begin_sync(&disk));
        }
        assert_false(disk_is_clean(&disk));
        disk_crash(&disk, &random);
        assert_true(disk_is_clean(&disk));
        const struct table *table = &disk.tables[TABLE_META];
        assert_int_equal(table->count % 2, 0);
        assert_in_range(table->count, 8, 20);
        for (size_t i = 0; i < table->count; i++)
            assert_int_equal(table_key(table, i).data[0], i);
        lengths_seen |= 1u << table->count / 2;
        disk_close(&disk);
    }
    assert_int_equal(lengths_seen, 0x7f0);
}

static void sync_covers_only_what_was_there_when_it_began(void **state)
{
    struct disk disk;

    (void)state;
    disk_open(&disk);
    put(&disk, 1);
    disk_commit(&disk);
    uint64_t unit = disk_begin_sync(&disk);
    assert_int_equal(disk_begin_sync(&disk), 0);
    put(&disk, 2);
    disk_commit(&disk);
    uint64_t later = disk_last_unit(&disk);
    disk_finish_sync(&disk, unit);
    assert_int_equal(disk.tables[TABLE_META].count, 1);
    assert_true(disk.durable < later);
    disk_finish_sync(&disk, disk_begin_sync(&disk));
    assert_int_equal(disk.tables[TABLE_META].count, 2);
    assert_true(disk.durable >= later);
    disk_close(&disk);
}

/* What is durable when the copy is made is in it, whatever happens to the disk afterwards, and nothing else. */
static void copy_has_what_was_durable_and_goes_its_own_way(void **state)
{
    struct random random = random_make(5, 0);
    struct disk disk, copy;

    (void)state;
    disk_open(&disk);
    disk.dropped_tables = 1u << TABLE_VOTES;
    put(&disk, 1);
    disk_commit(&disk);
    disk_finish_sync(&disk, disk_begin_sync(&disk));
    put(&disk, 2);
    disk_commit(&disk);
    disk_put_batch(&disk, 7, 3, 0);
    disk_copy(&copy, &disk);
    disk_crash(&disk, &random);
    disk_wipe(&disk);
    assert_int_equal(disk.tables[TABLE_META].count, 0);
    assert_int_equal(copy.tables[TABLE_META].count, 1);
    assert_int_equal(table_key(&copy.tables[TABLE_META], 0).data[0], 1);
    assert_true(disk_is_clean(&copy));
    assert_true(disk_has_batch(&copy, 7));
    assert_false(disk_has_batch(&copy, 6));
    assert_int_equal(disk_batch_author(&copy, 7), 3);
    assert_int_equal(copy.dropped_tables, 1u << TABLE_VOTES);
    put(&copy, 3);
    disk_commit(&copy);
    assert_false(disk_is_clean(&copy));
    disk_finish_sync(&copy, disk_begin_sync(&copy));
    assert_int_equal(copy.tables[TABLE_META].count, 2);
    disk_close(&disk);
    disk_close(&copy);
}

static void rotten_batch_is_held_until_it_is_read_and_again_after_a_start(void **state)
{
    struct random random = random_make(6, 0);
    struct disk disk, copy;

    (void)state;
    disk_open(&disk);
    disk_put_batch(&disk, 2, 4, 0);
    disk_rot_batch(&disk, 2);
    assert_true(disk_has_batch(&disk, 2));
    disk_put_batch(&disk, 2, 5, 0); /* listed as held: not written */
    assert_true(disk_batch_is_rotten(&disk, 2));
    disk_lose_batch(&disk, 2);
    assert_false(disk_has_batch(&disk, 2));
    assert_false(disk_batch_is_rotten(&disk, 2));
    assert_true(disk_batch_is_lost(&disk, 2));
    disk_copy(&copy, &disk);
    disk_crash(&disk, &random);
    for (struct disk *each = &disk;; each = &copy) {
        assert_true(disk_has_batch(each, 2));
        assert_true(disk_batch_is_rotten(each, 2));
        assert_int_equal(disk_batch_author(each, 2), 4);
        if (each == &copy) break;
    }
    disk_lose_batch(&disk, 2);
    disk_put_batch(&disk, 2, 5, 0);
    assert_true(disk_has_batch(&disk, 2));
    assert_false(disk_batch_is_rotten(&disk, 2));
    assert_false(disk_batch_is_lost(&disk, 2));
    disk_drop_batch(&copy, 2);
    assert_false(disk_has_batch(&copy, 2));
    disk_close(&disk);
    disk_close(&copy);
}

static void row_rots_and_is_sound_when_it_is_put_again(void **state)
{
    struct table table = {0}, copy = {0};
    uint8_t memory[2] = {1, 2};

    (void)state;
    for (size_t i = 0; i < 2; i++)
        table_put(&table, (struct bytes){memory + i, 1}, (struct bytes){memory + i, 1});
    table_rot(&table, 1, 0, 0x10);
    assert_false(table_is_rotten(&table, 0));
    assert_true(table_is_rotten(&table, 1));
    assert_int_equal(table_value(&table, 1).data[0], 0x12);
    assert_int_equal(table_key(&table, 1).data[0], 2);
    table_copy(&copy, &table);
    table_put(&table, (struct bytes){memory + 1, 1}, (struct bytes){memory + 1, 1});
    assert_false(table_is_rotten(&table, 1));
    assert_false(table_is_rotten(&copy, 0));
    assert_true(table_is_rotten(&copy, 1));
    assert_int_equal(table_value(&copy, 1).data[0], 0x12);
    assert_int_equal(table_find(&copy, (struct bytes){memory + 1, 1}), 1);
    memory[1] = 9;
    assert_int_equal(table_find(&copy, (struct bytes){memory + 1, 1}), 2);
    table_close(&table);
    table_close(&copy);
}

/* Random puts and erases against an array of flags. */
static void table_agrees_with_a_model(void **state)
{
    struct random random = random_make(7, 0);
    struct table table = {0};
    bool model[256] = {false};

    (void)state;
    for (int i = 0; i < 20000; i++) {
        uint8_t number = (uint8_t)random_u64(&random), memory;
        struct bytes key = key_of(&memory, number);
        uint64_t choice = random_below(&random, 100);
        if (choice < 60) {
            table_put(&table, key, key);
            model[number] = true;
        } else if (choice < 98) {
            table_erase(&table, key);
            model[number] = false;
        } else {
            table_erase_below(&table, key);
            memset(model, 0, number);
        }
        size_t position = 0;
        for (int n = 0; n < 256; n++)
            if (model[n]) assert_int_equal(table_key(&table, position++).data[0], n);
        assert_int_equal(position, table.count);
    }
    table_close(&table);
}

static void events_come_in_order_of_time_then_creation(void **state)
{
    struct random random = random_make(3, 0);
    struct queue queue = {0};
    struct sim_event event, last = {0};

    (void)state;
    for (int i = 0; i < 5000; i++)
        queue_push(&queue, (struct sim_event){.time_us = random_below(&random, 100)});
    for (int i = 0; i < 5000; i++) {
        assert_true(queue_pop(&event, &queue));
        assert_true(event.time_us > last.time_us || event.sequence > last.sequence || i == 0);
        last = event;
    }
    assert_false(queue_pop(&event, &queue));
    queue_close(&queue);
}

static void fast_hash_does_not_depend_on_the_cut(void **state)
{
    uint8_t data[100];
    struct digest whole, parts;

    (void)state;
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (uint8_t)(i * 7);
    crypto_hash_one(&whole, data, sizeof data);
    for (size_t a = 0; a <= sizeof data; a++) {
        for (size_t b = a; b <= sizeof data; b++) {
            struct bytes cut[] = {{data, a}, {data + a, b - a}, {data + b, sizeof data - b}};
            crypto_hash(&parts, cut, 3);
            assert_memory_equal(&parts, &whole, sizeof whole);
        }
        crypto_hash_one(&parts, data, a);
        assert_true(a == sizeof data || !digest_equal(&parts, &whole));
    }
}

static void fast_signature_is_bound_to_key_scope_and_digest(void **state)
{
    uint8_t seed[32] = {1};
    struct public_key public, other;
    struct secret_key secret, unused;
    struct signature signature;
    struct digest digest = {{5}};

    (void)state;
    crypto_key_pair(&public, &secret, seed);
    seed[0] = 2;
    crypto_key_pair(&other, &unused, seed);
    crypto_sign(&signature, SCOPE_HEADER, &digest, &secret);
    assert_true(crypto_verify(SCOPE_HEADER, &digest, &public, &signature));
    assert_false(crypto_verify(SCOPE_PREBLOCK, &digest, &public, &signature));
    assert_false(crypto_verify(SCOPE_HEADER, &digest, &other, &signature));
    for (size_t i = 0; i < sizeof signature.bytes; i++) {
        signature.bytes[i] ^= 1;
        assert_false(crypto_verify(SCOPE_HEADER, &digest, &public, &signature));
        signature.bytes[i] ^= 1;
    }
    digest.bytes[31] ^= 1;
    assert_false(crypto_verify(SCOPE_HEADER, &digest, &public, &signature));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(crash_keeps_a_prefix_of_whole_steps),
        cmocka_unit_test(sync_covers_only_what_was_there_when_it_began),
        cmocka_unit_test(copy_has_what_was_durable_and_goes_its_own_way),
        cmocka_unit_test(rotten_batch_is_held_until_it_is_read_and_again_after_a_start),
        cmocka_unit_test(row_rots_and_is_sound_when_it_is_put_again),
        cmocka_unit_test(table_agrees_with_a_model),
        cmocka_unit_test(events_come_in_order_of_time_then_creation),
        cmocka_unit_test(fast_hash_does_not_depend_on_the_cut),
        cmocka_unit_test(fast_signature_is_bound_to_key_scope_and_digest),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
