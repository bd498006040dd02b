/* The parts of the local rollup node that need no kernel: addresses, the batcher's limits and states, packing,
 * and the block store through crashes. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/bytes.h"
#include "rollup-kernel/host/base58.h"
#include "rollup-kernel/host/batcher.h"
#include "rollup-kernel/host/engine.h"
#include "rollup-kernel/host/pack.h"
#include "rollup-kernel/host/rollup_store.h"
#include "tests/kernel/chain.h"

static void addresses_read_and_write_as_tezos_has_them(void **state)
{
    static const struct {
        enum base58_kind kind;
        const char *text;
        const char *hex;
    } vectors[] = {
        {BASE58_ROLLUP, "sr163Lv22CdE8QagCwf48PWDTquk6isQwv57",
         "0000000000000000000000000000000000000000"},
        {BASE58_ROLLUP, "sr1RYurGZtN8KNSpkMcCt9CgWeUaNkzsAfXf",
         "d601f22256d2ad1faec0c64374e527c6e62f2e5a"},
        {BASE58_ROLLUP, "sr1Ghq66tYK9y3r8CC1Tf8i8m5nxh8nTvZEf",
         "74f8952e7a287d78e8dceec67547bd00a278abbf"},
        {BASE58_CONTRACT, "KT1ThEdxfUcWUwqsdergy3QnbCWGHSUHeHJq",
         "d1a37c088a1221b636bb5fccb35e05181038ba7c"},
        {BASE58_CONTRACT, "KT18amZmM5W7qDWVt2pH6uj7sCEd3kbzLrHT",
         "0000000000000000000000000000000000000000"},
    };
    char text[BASE58_TEXT_MAX];
    uint8_t payload[32], decoded[32];

    (void)state;
    for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++) {
        assert_true(hex_decode(payload, 20, vectors[i].hex, 40));
        base58_encode(text, vectors[i].kind, payload);
        assert_string_equal(text, vectors[i].text);
        assert_int_equal(base58_decode(decoded, vectors[i].kind, text), OK);
        assert_memory_equal(decoded, payload, 20);
        for (size_t at = 0; at < strlen(vectors[i].text); at++) {
            snprintf(text, sizeof text, "%s", vectors[i].text);
            text[at] = text[at] == '2' ? '3' : '2';
            assert_int_equal(base58_decode(decoded, vectors[i].kind, text), ERR_MALFORMED);
        }
    }
    memset(payload, 0xff, sizeof payload);
    base58_encode(text, BASE58_MESSAGE, payload);
    assert_int_equal(strncmp(text, "scmsg", 5), 0);
    assert_int_equal(strlen(text), 55);
    assert_int_equal(base58_decode(decoded, BASE58_BLOCK, text), ERR_MALFORMED);
}

static struct digest add(struct batcher *batcher,
                         const char *fill,
                         size_t len,
                         int64_t order,
                         bool drop)
{
    static uint8_t content[INBOX_MESSAGE_BYTES_MAX];
    struct batcher_submission submission = {
        .content = {content, len}, .has_order = order >= 0, .order = order, .drop_duplicate = drop};
    struct digest id;

    memset(content, 0, sizeof content);
    snprintf((char *)content, sizeof content, "%s", fill);
    assert_int_equal(batcher_add(&id, batcher, &submission), OK);
    return id;
}

static void a_block_takes_one_operation_per_key(void **state)
{
    struct batcher *batcher = batcher_new(2, NULL);
    const struct bytes *messages;
    char name[16];

    (void)state;
    for (int i = 0; i < 30; i++) {
        snprintf(name, sizeof name, "%d", i);
        add(batcher, name, 4095, -1, true);
    }
    /* 32,607 / 4,099 = 7 messages in an operation; two keys; the rest waits. */
    assert_int_equal(batcher_make_operations(batcher, true), 2);
    assert_int_equal(batcher_make_operations(batcher, true), 0);
    assert_int_equal(batcher_next_block(&messages, batcher), 14);
    assert_string_equal((const char *)messages[0].data, "0");
    assert_string_equal((const char *)messages[13].data, "13");
    batcher_included(batcher, 5);
    assert_int_equal(batcher_next_block(&messages, batcher), 0);
    assert_int_equal(batcher_make_operations(batcher, true), 2);
    assert_int_equal(batcher_next_block(&messages, batcher), 14);
    batcher_included(batcher, 6);
    assert_int_equal(batcher_make_operations(batcher, true), 1);
    assert_int_equal(batcher_next_block(&messages, batcher), 2);
    batcher_close(batcher);
}

static void messages_with_an_order_go_first(void **state)
{
    struct batcher *batcher = batcher_new(1, NULL);
    const struct bytes *messages;

    (void)state;
    add(batcher, "none", 10, -1, true);
    add(batcher, "seven", 10, 7, true);
    add(batcher, "three", 10, 3, true);
    add(batcher, "seven again", 12, 7, true);
    assert_int_equal(batcher_make_operations(batcher, false), 0); /* too few to go without a head */
    assert_int_equal(batcher_make_operations(batcher, true), 1);
    assert_int_equal(batcher_next_block(&messages, batcher), 4);
    assert_string_equal((const char *)messages[0].data, "three");
    assert_string_equal((const char *)messages[1].data, "seven");
    assert_string_equal((const char *)messages[2].data, "seven again");
    assert_string_equal((const char *)messages[3].data, "none");
    batcher_close(batcher);
}

static void ids_and_states_of_messages(void **state)
{
    struct batcher *batcher = batcher_new(1, NULL);
    const struct bytes *messages;
    struct batched_message *const *queue;

    (void)state;
    struct digest a = add(batcher, "a", 5, -1, true);
    struct digest again = add(batcher, "a", 5, -1, true);
    struct digest once_more = add(batcher, "a", 5, -1, false);
    assert_true(digest_equal(&a, &again));
    assert_false(digest_equal(&a, &once_more));
    assert_int_equal(batcher_queue(&queue, batcher), 2);
    assert_int_equal(batcher_find(batcher, &a)->state, BATCHED_PENDING);
    batcher_make_operations(batcher, true);
    assert_int_equal(batcher_find(batcher, &a)->state, BATCHED_INJECTED);
    again = add(batcher, "a", 5, -1, true); /* known: not queued again */
    assert_true(digest_equal(&a, &again));
    assert_int_equal(batcher_queue(&queue, batcher), 0);
    batcher_next_block(&messages, batcher);
    batcher_included(batcher, 10);
    assert_int_equal(batcher_find(batcher, &a)->state, BATCHED_INCLUDED);
    assert_int_equal(batcher_find(batcher, &a)->level, 10);
    batcher_next_block(&messages, batcher);
    batcher_included(batcher, 10 + BATCHER_REMEMBER_LEVELS + 1);
    assert_null(batcher_find(batcher, &a));
    batcher_close(batcher);
}

static void messages_over_the_limit_are_refused(void **state)
{
    static uint8_t content[INBOX_MESSAGE_BYTES_MAX + 1];
    struct batcher *batcher = batcher_new(1, NULL);
    struct batcher_submission submission = {.content = {content, sizeof content}};
    struct digest id;

    (void)state;
    assert_int_equal(batcher_add(&id, batcher, &submission), ERR_TOO_LARGE);
    submission.content.len = 0;
    assert_int_equal(batcher_add(&id, batcher, &submission), ERR_TOO_LARGE);
    submission.content.len = sizeof content - 1;
    assert_int_equal(batcher_add(&id, batcher, &submission), OK);
    batcher_close(batcher);
}

static void packing_writes_what_reading_finds(void **state)
{
    static struct config config, read;
    struct chain chain;
    struct blob body;
    uint8_t *packed;
    size_t len;
    uint8_t application[5] = {CONFIG_APPLICATION_LOG, 10, 0, 0, 0};

    (void)state;
    chain_open(&chain, 3, 7);
    chain_config(&body, &chain, 1, application, sizeof application);
    struct blob copy = {0};
    blob_add(&copy, body.data, body.len);
    assert_int_equal(config_decode(&config, copy.data, copy.len), OK);
    assert_memory_equal(config.committee.digest.bytes, chain.genesis, 32);
    assert_int_equal(pack_kernel(&packed, &len, engine_builtin_wasm(), &config), OK);
    assert_true(len <= PACK_BYTES_MAX);
    assert_memory_equal(packed + len - 4 - body.len, body.data, body.len);
    assert_int_equal(pack_read_config(&read, (struct bytes){packed, len}), OK);
    assert_memory_equal(read.committee.digest.bytes, chain.genesis, 32);
    assert_int_equal(read.mode, CONFIG_MODE_REVEAL);
    assert_int_equal(read.application_len, sizeof application);

    uint8_t *twice;
    assert_int_equal(pack_kernel(&twice, &len, (struct bytes){packed, len}, &config), ERR_CONFLICT);
    assert_int_equal(pack_kernel(&twice, &len, (struct bytes){packed, 20}, &config), ERR_MALFORMED);
    config.application[0] = 9;
    assert_int_equal(pack_kernel(&twice, &len, engine_builtin_wasm(), &config), ERR_CONFIG);
    assert_int_equal(pack_read_config(&read, engine_builtin_wasm()), ERR_NOT_FOUND);
    /* Every truncation of the body is refused. */
    for (size_t cut = 0; cut < body.len; cut++) {
        struct blob part = {0};
        blob_add(&part, body.data, cut);
        assert_int_not_equal(config_decode(&read, part.data, part.len), OK);
        blob_free(&part);
    }
    free(packed);
    blob_free(&copy);
    blob_free(&body);
    chain_close(&chain);
}

/* The store: blocks in, blocks out. */
static char directory[64];
static struct rollup_block *taken[200];
static size_t taken_count;

static void take(void *context, struct rollup_block *block)
{
    (void)context;
    assert_true(taken_count < 200);
    taken[taken_count++] = block;
}

static void forget_taken(void)
{
    while (taken_count > 0) {
        rollup_block_close(taken[--taken_count]);
    }
}

static struct rollup_block *block_after(const struct rollup_block *before, uint64_t *random)
{
    struct rollup_block *block = calloc(1, sizeof *block);
    char path[32];
    uint8_t value[64];

    assert_non_null(block);
    block->level = before == NULL ? 1 : before->level + 1;
    block->timestamp = 1000 + block->level;
    block->hash.bytes[0] = (uint8_t)block->level;
    block->state = before == NULL ? durable_new() : durable_snapshot(before->state);
    for (int i = 0; i < 5; i++) {
        snprintf(path, sizeof path, "/p%u/q%u", random_below(random, 6), random_below(random, 6));
        memset(value, (int)random_below(random, 256), sizeof value);
        durable_set(block->state, durable_path(path),
                    (struct bytes){value, random_below(random, 64)});
        snprintf(path, sizeof path, "/p%u", random_below(random, 20));
        durable_delete(block->state, durable_path(path));
    }
    block->outbox.count = 1;
    block->outbox.messages = calloc(1, sizeof *block->outbox.messages);
    block->outbox.messages[0] = (struct bytes){(const uint8_t *)strdup("out"), 3};
    return block;
}

static void assert_equal_blocks(const struct rollup_block *a, const struct rollup_block *b)
{
    struct digest x, y;

    assert_int_equal(a->level, b->level);
    assert_int_equal(a->timestamp, b->timestamp);
    assert_true(digest_equal(&a->hash, &b->hash));
    assert_int_equal(a->outbox.count, b->outbox.count);
    assert_memory_equal(a->outbox.messages[0].data, b->outbox.messages[0].data, 3);
    durable_hash(&x, a->state, durable_path(""));
    durable_hash(&y, b->state, durable_path(""));
    assert_true(digest_equal(&x, &y));
}

#define BLOCKS 40

static struct rollup_block *made[BLOCKS];

/* Writes BLOCKS blocks, in two openings, with a compaction in the middle. */
static void write_blocks(void)
{
    struct rollup_store *store;
    struct rollup_identity identity = {.address = {1, 2, 3}, .origination_level = 1};
    struct error_line error;
    uint64_t random = 4;
    bool found;

    assert_int_equal(rollup_store_open(&store, &found, &identity, directory, take, NULL, &error),
                     OK);
    assert_false(found);
    made[0] = block_after(NULL, &random);
    assert_int_equal(rollup_store_begin(store, &identity, made, 1, &error), OK);
    for (size_t i = 1; i < BLOCKS; i++) {
        made[i] = block_after(made[i - 1], &random);
        assert_int_equal(rollup_store_append(store, made[i], made[i - 1]->state, &error), OK);
        if (i == BLOCKS / 2) {
            assert_int_equal(rollup_store_begin(store, &identity, made + 5, i - 4, &error), OK);
        }
    }
    rollup_store_close(store);
}

static size_t read_blocks(enum status expected)
{
    struct rollup_store *store = NULL;
    struct rollup_identity identity = {.origination_level = 0};
    struct error_line error;
    bool found;

    enum status status =
        rollup_store_open(&store, &found, &identity, directory, take, NULL, &error);
    assert_int_equal(status, expected);
    if (status == OK) {
        assert_true(found);
        assert_int_equal(identity.address[2], 3);
        assert_int_equal(identity.origination_level, 1);
        for (size_t i = 0; i < taken_count; i++) {
            assert_equal_blocks(taken[i], made[5 + i]);
        }
    }
    rollup_store_close(store);
    size_t count = taken_count;
    forget_taken();
    return count;
}

static void blocks_survive_restarts_and_torn_writes(void **state)
{
    char path[128];
    struct stat whole;

    (void)state;
    snprintf(directory, sizeof directory, "/tmp/dsn-test-XXXXXX");
    assert_non_null(mkdtemp(directory));
    write_blocks();
    assert_int_equal(read_blocks(OK), BLOCKS - 5);

    snprintf(path, sizeof path, "%s/rollup.log", directory);
    assert_int_equal(stat(path, &whole), 0);
    /* Cut anywhere in the last records: the whole ones stay, and what was cut is gone for good. */
    size_t blocks = BLOCKS - 5;
    for (off_t cut = whole.st_size - 1; blocks > BLOCKS - 10; cut -= 13) {
        assert_int_equal(truncate(path, cut), 0);
        size_t left = read_blocks(OK);
        assert_true(left == blocks || left == blocks - 1);
        blocks = left;
        struct stat now;
        assert_int_equal(stat(path, &now), 0);
        assert_true(now.st_size <= cut);
        cut = now.st_size;
    }
    /* A flipped byte in the middle is not a torn write. */
    int fd = open(path, O_RDWR);
    assert_true(fd >= 0);
    uint8_t byte;
    assert_int_equal(pread(fd, &byte, 1, 200), 1);
    byte ^= 1;
    assert_int_equal(pwrite(fd, &byte, 1, 200), 1);
    close(fd);
    read_blocks(ERR_CORRUPT);

    for (size_t i = 0; i < BLOCKS; i++) {
        rollup_block_close(made[i]);
    }
    unlink(path);
    snprintf(path, sizeof path, "%s/lock", directory);
    unlink(path);
    rmdir(directory);
}

/* Writing the file anew must stay rare when blocks are large: the cost of a block is bounded on average. */
static void the_store_is_written_anew_only_when_it_has_doubled(void **state)
{
    static uint8_t value[512 * 1024];
    struct rollup_store *store;
    struct rollup_identity identity = {.origination_level = 1};
    struct rollup_block *blocks[ROLLUP_BLOCKS_KEPT];
    struct error_line error;
    uint64_t random = 6;
    size_t count = 0;
    int anew = 0;
    bool found;
    char path[128];

    (void)state;
    snprintf(directory, sizeof directory, "/tmp/dsn-test-XXXXXX");
    assert_non_null(mkdtemp(directory));
    assert_int_equal(rollup_store_open(&store, &found, &identity, directory, take, NULL, &error),
                     OK);
    blocks[count++] = block_after(NULL, &random);
    assert_int_equal(rollup_store_begin(store, &identity, blocks, 1, &error), OK);
    for (int i = 0; i < 150; i++) {
        struct rollup_block *block = block_after(blocks[count - 1], &random);
        memset(value, i, sizeof value);
        durable_set(block->state, durable_path("/large"), (struct bytes){value, sizeof value});
        assert_int_equal(rollup_store_append(store, block, blocks[count - 1]->state, &error), OK);
        if (count == 20) { /* the test keeps fewer, to be quick */
            rollup_block_close(blocks[0]);
            memmove(blocks, blocks + 1, --count * sizeof blocks[0]);
        }
        blocks[count++] = block;
        if (rollup_store_is_long(store)) {
            assert_int_equal(rollup_store_begin(store, &identity, blocks, count, &error), OK);
            assert_false(rollup_store_is_long(store));
            anew++;
        }
    }
    assert_true(anew >= 2 && anew <= 6);
    while (count > 0) {
        rollup_block_close(blocks[--count]);
    }
    rollup_store_close(store);
    snprintf(path, sizeof path, "%s/rollup.log", directory);
    unlink(path);
    snprintf(path, sizeof path, "%s/lock", directory);
    unlink(path);
    rmdir(directory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_read_and_write_as_tezos_has_them),
        cmocka_unit_test(a_block_takes_one_operation_per_key),
        cmocka_unit_test(messages_with_an_order_go_first),
        cmocka_unit_test(ids_and_states_of_messages),
        cmocka_unit_test(messages_over_the_limit_are_refused),
        cmocka_unit_test(packing_writes_what_reading_finds),
        cmocka_unit_test(blocks_survive_restarts_and_torn_writes),
        cmocka_unit_test(the_store_is_written_anew_only_when_it_has_doubled),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
