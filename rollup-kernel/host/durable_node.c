#include "rollup-kernel/host/durable_node.h"

#include <stdlib.h>

#include "common/crypto.h"

void *node_allocate(void *old, size_t size)
{
    void *memory = realloc(old, size);

    CHECK(memory != NULL);
    return memory;
}

static struct value *value_new(size_t capacity)
{
    struct value *value = node_allocate(NULL, sizeof *value);

    *value = (struct value){.refs = 1, .capacity = capacity};
    value->data = node_allocate(NULL, capacity > 0 ? capacity : 1);
    return value;
}

void value_unref(struct value *value)
{
    if (value == NULL || --value->refs > 0) return;
    free(value->data);
    free(value);
}

static struct name *name_new(struct bytes step)
{
    struct name *name = node_allocate(NULL, offsetof(struct name, text) + step.len);

    name->refs = 1;
    name->len = step.len;
    memcpy(name->text, step.data, step.len);
    return name;
}

static void name_unref(struct name *name)
{
    if (--name->refs == 0) free(name);
}

struct node *node_new(void)
{
    struct node *node = node_allocate(NULL, sizeof *node);

    *node = (struct node){.refs = 1};
    return node;
}

/* Depth of the recursion is the depth of paths, at most 120 steps. */
void node_unref(struct node *node)
{
    if (node == NULL || --node->refs > 0) return;
    value_unref(node->value);
    for (size_t i = 0; i < node->count; i++) {
        name_unref(node->children[i].name);
        node_unref(node->children[i].node);
    }
    free(node->children);
    free(node);
}

struct node *node_own(struct node **slot)
{
    struct node *node = *slot;

    if (node->refs > 1) {
        struct node *copy = node_new();
        *copy = *node;
        copy->refs = 1;
        copy->capacity = node->count;
        copy->children = NULL;
        if (node->count > 0) {
            copy->children = node_allocate(NULL, node->count * sizeof *copy->children);
            memcpy(copy->children, node->children, node->count * sizeof *copy->children);
        }
        for (size_t i = 0; i < copy->count; i++) {
            copy->children[i].name->refs++;
            copy->children[i].node->refs++;
        }
        if (copy->value != NULL) copy->value->refs++;
        node->refs--;
        *slot = node = copy;
    }
    node->hashed = false;
    return node;
}

static int name_compare(const struct name *name, struct bytes step)
{
    size_t len = name->len < step.len ? name->len : step.len;
    int order = memcmp(name->text, step.data, len);

    if (order != 0) return order;
    return name->len < step.len ? -1 : name->len > step.len;
}

size_t child_position(const struct node *node, struct bytes step, bool *ret_found)
{
    size_t low = 0;
    size_t high = node->count;

    *ret_found = false;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = name_compare(node->children[middle].name, step);
        if (order == 0) {
            *ret_found = true;
            return middle;
        }
        if (order < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

void child_insert(struct node *node, size_t position, struct bytes step, struct node *child)
{
    if (node->count == node->capacity) {
        node->capacity = node->capacity < 4 ? 4 : 2 * node->capacity;
        node->children = node_allocate(node->children, node->capacity * sizeof *node->children);
    }
    memmove(node->children + position + 1, node->children + position,
            (node->count - position) * sizeof *node->children);
    node->children[position] = (struct child){name_new(step), child};
    node->count++;
}

void child_remove(struct node *node, size_t position)
{
    name_unref(node->children[position].name);
    node_unref(node->children[position].node);
    node->count--;
    memmove(node->children + position, node->children + position + 1,
            (node->count - position) * sizeof *node->children);
}

struct value *node_own_value(struct node *node, size_t len)
{
    struct value *value = node->value;

    if (value == NULL || value->refs > 1) {
        struct value *copy = value_new(len);
        if (value != NULL) {
            copy->len = value->len < len ? value->len : len;
            memcpy(copy->data, value->data, copy->len);
            value_unref(value);
        }
        node->value = value = copy;
    } else if (value->capacity < len) {
        value->capacity = len > 2 * value->capacity ? len : 2 * value->capacity;
        value->data = node_allocate(value->data, value->capacity);
    }
    value->hashed = false;
    return value;
}

static const struct digest *value_hash(struct value *value)
{
    if (!value->hashed) crypto_hash_one(&value->hash, value->data, value->len);
    value->hashed = true;
    return &value->hash;
}

const struct digest *node_hash(struct node *node)
{
    if (node->hashed) return &node->hash;

    /* Three parts for each child and two for the value. */
    size_t count = 0;
    struct bytes *parts = node_allocate(NULL, (2 + 3 * node->count) * sizeof *parts);
    uint8_t *lengths = node_allocate(NULL, 1 + node->count);
    lengths[0] = node->value != NULL;
    parts[count++] = (struct bytes){lengths, 1};
    if (node->value != NULL) {
        parts[count++] = (struct bytes){value_hash(node->value)->bytes, sizeof(struct digest)};
    }
    for (size_t i = 0; i < node->count; i++) {
        const struct child *child = &node->children[i];
        lengths[1 + i] = (uint8_t)child->name->len;
        parts[count++] = (struct bytes){lengths + 1 + i, 1};
        parts[count++] = (struct bytes){child->name->text, child->name->len};
        parts[count++] = (struct bytes){node_hash(child->node)->bytes, sizeof(struct digest)};
    }
    crypto_hash(&node->hash, parts, count);
    node->hashed = true;
    free(lengths);
    free(parts);
    return &node->hash;
}

/* A path under construction, for the comparison. */
struct trail {
    size_t len;
    uint8_t text[DURABLE_PATH_BYTES_MAX];
};

static struct bytes trail_view(const struct trail *trail)
{
    return (struct bytes){trail->text, trail->len};
}

static void trail_push(struct trail *trail, const struct name *name)
{
    CHECK(trail->len + 1 + name->len <= sizeof trail->text);
    trail->text[trail->len] = '/';
    memcpy(trail->text + trail->len + 1, name->text, name->len);
    trail->len += 1 + name->len;
}

static bool same_value(const struct value *a, const struct value *b)
{
    if (a == b) return true;
    return a != NULL && b != NULL && a->len == b->len && memcmp(a->data, b->data, a->len) == 0;
}

static void compare(const struct node *from,
                    const struct node *to,
                    struct trail *trail,
                    const struct durable_diff *diff);

/* The child of `to` at `i` against the one of the same name in `from`, if any. */
static void compare_child(const struct node *from,
                          const struct child *child,
                          struct trail *trail,
                          const struct durable_diff *diff)
{
    const size_t len = trail->len;
    const struct node *before = NULL;
    bool found = false;

    if (from != NULL) {
        size_t at =
            child_position(from, (struct bytes){child->name->text, child->name->len}, &found);
        if (found) before = from->children[at].node;
    }
    trail_push(trail, child->name);
    compare(before, child->node, trail, diff);
    trail->len = len;
}

static void compare(const struct node *from,
                    const struct node *to,
                    struct trail *trail,
                    const struct durable_diff *diff)
{
    if (from == to) return;

    const struct value *before = from == NULL ? NULL : from->value;
    if (!same_value(before, to->value)) {
        if (to->value == NULL) {
            diff->delete_value(diff->context, trail_view(trail));
        } else {
            diff->set(diff->context, trail_view(trail),
                      (struct bytes){to->value->data, to->value->len});
        }
    }
    for (size_t i = 0; from != NULL && i < from->count; i++) {
        const struct name *name = from->children[i].name;
        const size_t len = trail->len;
        bool found;
        child_position(to, (struct bytes){name->text, name->len}, &found);
        if (found) continue;
        trail_push(trail, name);
        diff->delete (diff->context, trail_view(trail));
        trail->len = len;
    }
    for (size_t i = 0; i < to->count; i++) {
        compare_child(from, &to->children[i], trail, diff);
    }
}

void node_compare(const struct node *from, const struct node *to, const struct durable_diff *diff)
{
    struct trail trail = {.len = 0};

    compare(from, to, &trail, diff);
}
