/* The durable tree against a plain list of paths and values: random operations on several snapshots that share,
 * every one compared after each step; then the rules of paths and offsets, one by one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "rollup-kernel/host/durable.h"
#include "tests/kernel/chain.h"

#define ENTRIES_MAX 512
#define TREES       4

/* The plain form: paths in no order. */
struct entry {
    char path[64];
    struct blob value;
};
struct plain {
    struct entry entries[ENTRIES_MAX];
    int count;
};

static struct plain plains[TREES];
static struct durable *trees[TREES];

static bool is_below(const char *path, const char *top)
{
    size_t len = strlen(top);

    return strncmp(path, top, len) == 0 && (path[len] == '\0' || path[len] == '/');
}

static void plain_remove(struct plain *plain, int at)
{
    blob_free(&plain->entries[at].value);
    plain->entries[at] = plain->entries[--plain->count];
}

static struct entry *plain_find(struct plain *plain, const char *path, bool make)
{
    for (int i = 0; i < plain->count; i++) {
        if (strcmp(plain->entries[i].path, path) == 0) return &plain->entries[i];
    }
    if (!make) return NULL;
    assert_true(plain->count < ENTRIES_MAX);
    struct entry *entry = &plain->entries[plain->count++];
    memset(entry, 0, sizeof *entry);
    snprintf(entry->path, sizeof entry->path, "%s", path);
    return entry;
}

static void plain_delete(struct plain *plain, const char *path)
{
    for (int i = plain->count; i-- > 0;) {
        if (is_below(plain->entries[i].path, path)) plain_remove(plain, i);
    }
}

static bool plain_place(struct plain *plain, const char *from, const char *to, bool move)
{
    static struct plain taken;
    size_t len = strlen(from);

    taken.count = 0;
    for (int i = 0; i < plain->count; i++) {
        if (!is_below(plain->entries[i].path, from)) continue;
        struct entry *entry = &taken.entries[taken.count++];
        memset(entry, 0, sizeof *entry);
        if (snprintf(entry->path, sizeof entry->path, "%s%s", to, plain->entries[i].path + len) >=
            (int)sizeof entry->path) {
            fail_msg("path too long");
        }
        blob_add(&entry->value, plain->entries[i].value.data, plain->entries[i].value.len);
    }
    if (taken.count == 0) return false;
    if (move) plain_delete(plain, from);
    plain_delete(plain, to);
    for (int i = 0; i < taken.count; i++) {
        assert_true(plain->count < ENTRIES_MAX);
        plain->entries[plain->count++] = taken.entries[i];
    }
    return true;
}

static void plain_copy_from(struct plain *to, const struct plain *from)
{
    while (to->count > 0) {
        plain_remove(to, to->count - 1);
    }
    for (int i = 0; i < from->count; i++) {
        to->entries[i] = from->entries[i];
        memset(&to->entries[i].value, 0, sizeof to->entries[i].value);
        blob_add(&to->entries[i].value, from->entries[i].value.data, from->entries[i].value.len);
    }
    to->count = from->count;
}

struct seen {
    const struct plain *plain;
    int count;
};

static void see(void *context, struct bytes path, struct bytes value)
{
    struct seen *seen = context;
    char text[300];

    snprintf(text, sizeof text, "%.*s", (int)path.len, (const char *)path.data);
    struct entry *entry = plain_find((struct plain *)(uintptr_t)seen->plain, text, false);
    assert_non_null(entry);
    assert_int_equal(entry->value.len, value.len);
    if (value.len > 0) assert_memory_equal(entry->value.data, value.data, value.len);
    seen->count++;
}

static void never(void *context, struct bytes path)
{
    (void)context;
    fail_msg("%.*s", (int)path.len, (const char *)path.data);
}

static void assert_same(const struct durable *tree, const struct plain *plain)
{
    struct seen seen = {plain, 0};
    struct durable_diff diff = {see, never, never, &seen};

    durable_compare(NULL, tree, &diff);
    assert_int_equal(seen.count, plain->count);
}

/* Short names, so that paths meet: /a/b, /b/a/c, ... */
static void random_path(char ret[32], uint64_t *random)
{
    uint32_t depth = 1 + random_below(random, 3);
    size_t len = 0;

    for (uint32_t i = 0; i < depth; i++) {
        ret[len++] = '/';
        ret[len++] = (char)('a' + random_below(random, 4));
        if (random_below(random, 3) == 0) ret[len++] = (char)('0' + random_below(random, 3));
    }
    ret[len] = '\0';
}

static void step(int at, uint64_t *random)
{
    char path[32], other[32];
    uint8_t bytes[40];
    struct plain *plain = &plains[at];
    struct durable *tree = trees[at];
    uint32_t len = random_below(random, sizeof bytes);

    random_path(path, random);
    random_path(other, random);
    memset(bytes, (int)random_below(random, 256), sizeof bytes);
    switch (random_below(random, 8)) {
    case 0:
    case 1: { /* append or overwrite */
        struct entry *entry = plain_find(plain, path, false);
        size_t size = entry == NULL ? 0 : entry->value.len;
        size_t offset = random_below(random, (uint32_t)size + 2);
        int32_t code = durable_write(tree, durable_path(path), offset, (struct bytes){bytes, len});
        if (offset > size) {
            assert_int_equal(code, DURABLE_INVALID_ACCESS);
            break;
        }
        assert_int_equal(code, 0);
        entry = plain_find(plain, path, true);
        if (offset + len > size) blob_add(&entry->value, bytes, offset + len - size);
        if (len > 0) memcpy(entry->value.data + offset, bytes, len);
        break;
    }
    case 2: {
        struct entry *entry = plain_find(plain, path, true);
        durable_set(tree, durable_path(path), (struct bytes){bytes, len});
        blob_free(&entry->value);
        blob_add(&entry->value, bytes, len);
        break;
    }
    case 3:
        durable_delete(tree, durable_path(path));
        plain_delete(plain, path);
        break;
    case 4: {
        struct entry *entry = plain_find(plain, path, false);
        durable_delete_value(tree, durable_path(path));
        if (entry != NULL) plain_remove(plain, (int)(entry - plain->entries));
        break;
    }
    case 5:
    case 6: {
        bool move = random_below(random, 2) == 0;
        if (plain->count > ENTRIES_MAX / 3) break;
        if (strlen(path) + strlen(other) > 20 && is_below(other, path))
            break; /* paths would grow */
        int32_t code = move ? durable_move(tree, durable_path(path), durable_path(other))
                            : durable_copy(tree, durable_path(path), durable_path(other));
        bool found = plain_place(plain, path, other, move);
        assert_int_equal(code, found ? 0 : DURABLE_NOT_A_NODE);
        break;
    }
    default: { /* another tree becomes a snapshot of this one */
        int to = (int)random_below(random, TREES);
        if (to == at || random_below(random, 4) != 0) break;
        durable_close(trees[to]);
        trees[to] = durable_snapshot(tree);
        plain_copy_from(&plains[to], plain);
        break;
    }
    }
}

static void random_operations_on_shared_trees(void **state)
{
    uint64_t random = 7;

    (void)state;
    for (int i = 0; i < TREES; i++) {
        trees[i] = durable_new();
    }
    for (int i = 0; i < 20000; i++) {
        step((int)random_below(&random, TREES), &random);
        for (int t = 0; t < TREES && i % 7 == 0; t++) {
            assert_same(trees[t], &plains[t]);
        }
        /* Keep it from growing: empty one now and then. */
        int empty = (int)random_below(&random, TREES);
        if (i % 500 == 0 || plains[empty].count > ENTRIES_MAX / 3) {
            durable_delete(trees[empty], durable_path(""));
            plain_copy_from(&plains[empty], &(struct plain){.count = 0});
        }
    }
    for (int i = 0; i < TREES; i++) {
        durable_close(trees[i]);
        plain_copy_from(&plains[i], &(struct plain){.count = 0});
    }
}

/* A diff turns the one tree into the other. */
static void apply_set(void *context, struct bytes path, struct bytes value)
{
    durable_set(context, path, value);
}

static void apply_delete_value(void *context, struct bytes path)
{
    durable_delete_value(context, path);
}

static void apply_delete(void *context, struct bytes path)
{
    durable_delete(context, path);
}

static void comparing_gives_what_turns_one_into_the_other(void **state)
{
    uint64_t random = 9;

    (void)state;
    trees[0] = durable_new();
    for (int round = 0; round < 300; round++) {
        struct durable *before = durable_snapshot(trees[0]);
        struct durable *replayed = durable_snapshot(before);
        struct durable_diff diff = {apply_set, apply_delete_value, apply_delete, replayed};
        struct digest expected, got;
        for (int i = 0; i < 10; i++) {
            uint64_t fixed = random_next(&random);
            trees[1] = trees[2] = trees[3] = NULL;
            step(0, &fixed);
            for (int t = 1; t < TREES; t++) {
                durable_close(trees[t]);
                trees[t] = NULL;
            }
        }
        durable_compare(before, trees[0], &diff);
        durable_hash(&expected, trees[0], durable_path(""));
        durable_hash(&got, replayed, durable_path(""));
        assert_memory_equal(expected.bytes, got.bytes, sizeof got.bytes);
        durable_close(before);
        durable_close(replayed);
    }
    durable_close(trees[0]);
    for (int i = 0; i < TREES; i++) {
        plain_copy_from(&plains[i], &(struct plain){.count = 0});
    }
}

static void paths_follow_the_grammar(void **state)
{
    char path[300];

    (void)state;
    static const char *const good[] = {"/a", "/a/b", "/A-Z_0.9", "/a/b/c/d/e/f/g"};
    static const char *const bad[] = {"",    "/",     "a",    "a/b",  "/a/",
                                      "//a", "/a//b", "/a b", "/a\n", "/\xc3\xa9"};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        assert_int_equal(durable_check_writable(durable_path(good[i])), 0);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(durable_check_path(durable_path(bad[i])), DURABLE_INVALID_KEY);
    }
    memset(path, 'a', sizeof path);
    path[0] = '/';
    path[240] = '\0';
    assert_int_equal(durable_check_path(durable_path(path)), 0);
    path[240] = 'a';
    path[241] = '\0';
    assert_int_equal(durable_check_path(durable_path(path)), DURABLE_KEY_TOO_LARGE);
    assert_int_equal(durable_check_writable(durable_path("/readonly")), DURABLE_READONLY);
    assert_int_equal(durable_check_writable(durable_path("/readonly/x")), DURABLE_READONLY);
    assert_int_equal(durable_check_writable(durable_path("/readonlyx")), 0);
}

static void subkeys_come_in_order_with_the_value_first(void **state)
{
    struct durable *tree = durable_new();
    struct bytes name, data = {(const uint8_t *)"x", 1};

    (void)state;
    durable_set(tree, durable_path("/p/b"), data);
    durable_set(tree, durable_path("/p/a/deep"), data);
    durable_set(tree, durable_path("/p"), data);
    assert_int_equal(durable_has(tree, durable_path("/p")), 3);
    assert_int_equal(durable_has(tree, durable_path("/p/a")), 2);
    assert_int_equal(durable_has(tree, durable_path("/p/b")), 1);
    assert_int_equal(durable_list_size(tree, durable_path("/p")), 3);
    assert_true(durable_nth_key(&name, tree, durable_path("/p"), 0));
    assert_int_equal(name.len, 0);
    assert_true(durable_nth_key(&name, tree, durable_path("/p"), 1));
    assert_int_equal(name.data[0], 'a');
    assert_false(durable_nth_key(&name, tree, durable_path("/p"), 3));
    /* A node without content is gone, and so are its parents. */
    durable_delete(tree, durable_path("/p/a/deep"));
    assert_int_equal(durable_has(tree, durable_path("/p/a")), 0);
    durable_close(tree);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_operations_on_shared_trees),
        cmocka_unit_test(comparing_gives_what_turns_one_into_the_other),
        cmocka_unit_test(paths_follow_the_grammar),
        cmocka_unit_test(subkeys_come_in_order_with_the_value_first),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
