#include "rollup-kernel/host/durable.h"

#include <stdlib.h>

#include "common/crypto.h"

struct value {
    size_t refs;
    size_t len;
    size_t capacity;
    bool hashed;
    struct digest hash;
    uint8_t *data;
};

struct name {
    size_t refs;
    size_t len;
    uint8_t text[DURABLE_PATH_BYTES_MAX];
};

struct node;
struct child {
    struct name *name;
    struct node *node;
};

/* Invariants: children sorted by name, names distinct, no child without value and children. */
struct node {
    size_t refs;
    struct value *value;
    struct child *children;
    size_t count;
    size_t capacity;
    bool hashed;
    struct digest hash;
};

struct durable {
    struct node *root; /* never NULL */
};

/* Memory: storage is bounded by what the kernel writes, and a rollup node that runs out stops. */
static void *allocate(void *old, size_t size)
{
    void *memory = realloc(old, size);

    CHECK(memory != NULL);
    return memory;
}

static struct value *value_new(size_t capacity)
{
    struct value *value = allocate(NULL, sizeof *value);

    *value = (struct value){.refs = 1, .capacity = capacity};
    value->data = allocate(NULL, capacity > 0 ? capacity : 1);
    return value;
}

static void value_unref(struct value *value)
{
    if (value == NULL || --value->refs > 0) return;
    free(value->data);
    free(value);
}

static struct name *name_new(struct bytes step)
{
    struct name *name = allocate(NULL, offsetof(struct name, text) + step.len);

    name->refs = 1;
    name->len = step.len;
    memcpy(name->text, step.data, step.len);
    return name;
}

static void name_unref(struct name *name)
{
    if (--name->refs == 0) free(name);
}

static struct node *node_new(void)
{
    struct node *node = allocate(NULL, sizeof *node);

    *node = (struct node){.refs = 1};
    return node;
}

/* Depth of the recursion is the depth of paths, at most 120 steps. */
static void node_unref(struct node *node)
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

/* The node in `slot`, for writing: a copy when others hold it too. Its hash is no longer known. */
static struct node *node_own(struct node **slot)
{
    struct node *node = *slot;

    if (node->refs > 1) {
        struct node *copy = node_new();
        *copy = *node;
        copy->refs = 1;
        copy->capacity = node->count;
        copy->children = NULL;
        if (node->count > 0) {
            copy->children = allocate(NULL, node->count * sizeof *copy->children);
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

/* Position of `step` among the children, or where it would go. */
static size_t child_position(const struct node *node, struct bytes step, bool *ret_found)
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

static void child_insert(struct node *node, size_t position, struct bytes step, struct node *child)
{
    if (node->count == node->capacity) {
        node->capacity = node->capacity < 4 ? 4 : 2 * node->capacity;
        node->children = allocate(node->children, node->capacity * sizeof *node->children);
    }
    memmove(node->children + position + 1, node->children + position,
            (node->count - position) * sizeof *node->children);
    node->children[position] = (struct child){name_new(step), child};
    node->count++;
}

static void child_remove(struct node *node, size_t position)
{
    name_unref(node->children[position].name);
    node_unref(node->children[position].node);
    node->count--;
    memmove(node->children + position, node->children + position + 1,
            (node->count - position) * sizeof *node->children);
}

/* Takes the first step off a path; false at its end. */
static bool path_next(struct bytes *ret_step, struct bytes *path)
{
    size_t len = 1;

    if (path->len == 0) return false;
    while (len < path->len && path->data[len] != '/') {
        len++;
    }
    *ret_step = (struct bytes){path->data + 1, len - 1};
    *path = (struct bytes){path->data + len, path->len - len};
    return true;
}

static const struct node *find(const struct durable *durable, struct bytes path)
{
    const struct node *node = durable->root;
    struct bytes step;

    while (path_next(&step, &path)) {
        bool found;
        size_t position = child_position(node, step, &found);
        if (!found) return NULL;
        node = node->children[position].node;
    }
    return node;
}

/* The slot of the node at `path`, all above it owned; made when missing. */
static struct node **find_slot(struct durable *durable, struct bytes path)
{
    struct node **slot = &durable->root;
    struct bytes step;

    while (path_next(&step, &path)) {
        struct node *node = node_own(slot);
        bool found;
        size_t position = child_position(node, step, &found);
        if (!found) child_insert(node, position, step, node_new());
        slot = &node->children[position].node;
    }
    return slot;
}

/* Removes the node at `path`, or only its value, and every node that is left without content. */
static void prune(struct node **slot, struct bytes path, bool value_only)
{
    struct bytes step;
    bool found;

    if (!path_next(&step, &path)) {
        struct node *node = node_own(slot);
        value_unref(node->value);
        node->value = NULL;
        while (!value_only && node->count > 0) {
            child_remove(node, node->count - 1);
        }
        return;
    }
    struct node *node = node_own(slot);
    size_t position = child_position(node, step, &found);
    CHECK(found);
    prune(&node->children[position].node, path, value_only);
    const struct node *child = node->children[position].node;
    if (child->value == NULL && child->count == 0) child_remove(node, position);
}

struct durable *durable_new(void)
{
    struct durable *durable = allocate(NULL, sizeof *durable);

    durable->root = node_new();
    return durable;
}

void durable_close(struct durable *durable)
{
    if (durable == NULL) return;
    node_unref(durable->root);
    free(durable);
}

struct durable *durable_snapshot(const struct durable *durable)
{
    struct durable *copy = allocate(NULL, sizeof *copy);

    copy->root = durable->root;
    copy->root->refs++;
    return copy;
}

static bool is_step_byte(uint8_t byte)
{
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
           (byte >= '0' && byte <= '9') || byte == '.' || byte == '_' || byte == '-';
}

int32_t durable_check_path(struct bytes path)
{
    if (path.len > DURABLE_PATH_BYTES_MAX) return DURABLE_KEY_TOO_LARGE;
    if (path.len < 2 || path.data[0] != '/' || path.data[path.len - 1] == '/') {
        return DURABLE_INVALID_KEY;
    }
    for (size_t i = 1; i < path.len; i++) {
        bool separator = path.data[i] == '/' && path.data[i - 1] != '/';
        if (!separator && !is_step_byte(path.data[i])) return DURABLE_INVALID_KEY;
    }
    return 0;
}

int32_t durable_check_writable(struct bytes path)
{
    static const char readonly[] = "/readonly";
    const size_t len = sizeof readonly - 1;
    int32_t code = durable_check_path(path);

    if (code != 0) return code;
    bool inside = path.len >= len && memcmp(path.data, readonly, len) == 0 &&
                  (path.len == len || path.data[len] == '/');
    return inside ? DURABLE_READONLY : 0;
}

int32_t durable_has(const struct durable *durable, struct bytes path)
{
    const struct node *node = find(durable, path);

    if (node == NULL) return 0;
    return (node->value != NULL ? 1 : 0) + (node->count > 0 ? 2 : 0);
}

bool durable_value(struct bytes *ret_value, const struct durable *durable, struct bytes path)
{
    const struct node *node = find(durable, path);

    if (node == NULL || node->value == NULL) {
        *ret_value = (struct bytes){NULL, 0};
        return false;
    }
    *ret_value = (struct bytes){node->value->data, node->value->len};
    return true;
}

/* The node's value for writing, with room for `len` bytes. */
static struct value *value_own(struct node *node, size_t len)
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
        value->data = allocate(value->data, value->capacity);
    }
    value->hashed = false;
    return value;
}

int32_t durable_write(struct durable *durable, struct bytes path, size_t offset, struct bytes data)
{
    const struct node *node = find(durable, path);
    size_t len = node == NULL || node->value == NULL ? 0 : node->value->len;

    if (offset > len) return DURABLE_INVALID_ACCESS;
    if (data.len > DURABLE_VALUE_BYTES_MAX - offset) return DURABLE_VALUE_TOO_LARGE;
    if (offset + data.len > len) len = offset + data.len;
    struct value *value = value_own(node_own(find_slot(durable, path)), len);
    if (data.len > 0) memcpy(value->data + offset, data.data, data.len);
    value->len = len;
    return 0;
}

void durable_set(struct durable *durable, struct bytes path, struct bytes data)
{
    struct value *value = value_own(node_own(find_slot(durable, path)), data.len);

    if (data.len > 0) memcpy(value->data, data.data, data.len);
    value->len = data.len;
}

void durable_delete(struct durable *durable, struct bytes path)
{
    if (find(durable, path) != NULL) prune(&durable->root, path, false);
}

void durable_delete_value(struct durable *durable, struct bytes path)
{
    const struct node *node = find(durable, path);

    if (node != NULL && node->value != NULL) prune(&durable->root, path, true);
}

static int32_t place(struct durable *durable, struct bytes from, struct bytes to, bool move)
{
    const struct node *found = find(durable, from);

    if (found == NULL) return DURABLE_NOT_A_NODE;
    struct node *node =
        *find_slot(durable, from); /* the same, its parents ours: it can be shared */
    node->refs++;
    if (move) durable_delete(durable, from);
    struct node **slot = find_slot(durable, to);
    node_unref(*slot);
    *slot = node;
    return 0;
}

int32_t durable_copy(struct durable *durable, struct bytes from, struct bytes to)
{
    return place(durable, from, to, false);
}

int32_t durable_move(struct durable *durable, struct bytes from, struct bytes to)
{
    return place(durable, from, to, true);
}

size_t durable_list_size(const struct durable *durable, struct bytes path)
{
    const struct node *node = find(durable, path);

    return node == NULL ? 0 : node->count + (node->value != NULL);
}

bool durable_nth_key(struct bytes *ret_name,
                     const struct durable *durable,
                     struct bytes path,
                     size_t n)
{
    const struct node *node = find(durable, path);

    if (node == NULL || n >= node->count + (node->value != NULL)) return false;
    if (node->value != NULL && n == 0) {
        *ret_name = (struct bytes){NULL, 0};
        return true;
    }
    const struct name *name = node->children[n - (node->value != NULL)].name;
    *ret_name = (struct bytes){name->text, name->len};
    return true;
}

static const struct digest *value_hash(struct value *value)
{
    if (!value->hashed) crypto_hash_one(&value->hash, value->data, value->len);
    value->hashed = true;
    return &value->hash;
}

static const struct digest *node_hash(struct node *node)
{
    if (node->hashed) return &node->hash;

    /* Three parts for each child and two for the value. */
    size_t count = 0;
    struct bytes *parts = allocate(NULL, (2 + 3 * node->count) * sizeof *parts);
    uint8_t *lengths = allocate(NULL, 1 + node->count);
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

void durable_hash(struct digest *ret_digest, const struct durable *durable, struct bytes path)
{
    const struct node *found = find(durable, path);

    memset(ret_digest, 0, sizeof *ret_digest);
    if (found == NULL) return;
    /* Hashes are remembered in the nodes, which changes nothing that anyone can see. */
    struct node *node = (struct node *)(uintptr_t)found;
    *ret_digest = *node_hash(node);
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

void durable_compare(const struct durable *from,
                     const struct durable *to,
                     const struct durable_diff *diff)
{
    struct trail trail = {.len = 0};

    compare(from == NULL ? NULL : from->root, to->root, &trail, diff);
}

struct bytes durable_path(const char *text)
{
    return (struct bytes){(const uint8_t *)text, strlen(text)};
}
