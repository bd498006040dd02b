/* Nodes and values of the durable tree, counted and copied on write. Inside of durable.[ch]. */
#ifndef HOST_DURABLE_NODE_H
#define HOST_DURABLE_NODE_H

#include "rollup-kernel/host/durable.h"

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

/* Memory: storage is bounded by what the kernel writes, and a rollup node that runs out stops. Never NULL. */
void *node_allocate(void *old, size_t size);

struct node *node_new(void);
void node_unref(struct node *node);    /* NULL is fine */
void value_unref(struct value *value); /* NULL is fine */

/* The node in `slot`, for writing: a copy when others hold it too. Its hash is no longer known. */
struct node *node_own(struct node **slot);

/* The node's value for writing, with room for `len` bytes. The node is owned. */
struct value *node_own_value(struct node *node, size_t len);

/* Position of `step` among the children, or where it would go. */
size_t child_position(const struct node *node, struct bytes step, bool *ret_found);
void child_insert(struct node *node, size_t position, struct bytes step, struct node *child);
void child_remove(struct node *node, size_t position);

/* Remembered in the nodes until they change. */
const struct digest *node_hash(struct node *node);

/* How `to` differs from `from` (NULL: nothing), skipping what they share. */
void node_compare(const struct node *from, const struct node *to, const struct durable_diff *diff);

#endif
