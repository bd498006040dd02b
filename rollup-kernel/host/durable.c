#include "rollup-kernel/host/durable.h"

#include <stdlib.h>

#include "rollup-kernel/host/durable_node.h"

struct durable {
    struct node *root; /* never NULL */
};

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
    struct durable *durable = node_allocate(NULL, sizeof *durable);

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
    struct durable *copy = node_allocate(NULL, sizeof *copy);

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

int32_t durable_write(struct durable *durable, struct bytes path, size_t offset, struct bytes data)
{
    const struct node *node = find(durable, path);
    size_t len = node == NULL || node->value == NULL ? 0 : node->value->len;

    if (offset > len) return DURABLE_INVALID_ACCESS;
    if (data.len > DURABLE_VALUE_BYTES_MAX - offset) return DURABLE_VALUE_TOO_LARGE;
    if (offset + data.len > len) len = offset + data.len;
    struct value *value = node_own_value(node_own(find_slot(durable, path)), len);
    if (data.len > 0) memcpy(value->data + offset, data.data, data.len);
    value->len = len;
    return 0;
}

void durable_set(struct durable *durable, struct bytes path, struct bytes data)
{
    struct value *value = node_own_value(node_own(find_slot(durable, path)), data.len);

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

void durable_hash(struct digest *ret_digest, const struct durable *durable, struct bytes path)
{
    const struct node *found = find(durable, path);

    memset(ret_digest, 0, sizeof *ret_digest);
    if (found == NULL) return;
    /* Hashes are remembered in the nodes, which changes nothing that anyone can see. */
    struct node *node = (struct node *)(uintptr_t)found;
    *ret_digest = *node_hash(node);
}

void durable_compare(const struct durable *from,
                     const struct durable *to,
                     const struct durable_diff *diff)
{
    node_compare(from == NULL ? NULL : from->root, to->root, diff);
}

struct bytes durable_path(const char *text)
{
    return (struct bytes){(const uint8_t *)text, strlen(text)};
}
