/* Frames that wait for their link: a bounded first-in first-out ring of references.
 *
 * Bounded twice. By bytes, because a slow peer must not hold this node's memory; and by count,
 * because each small frame sits in a buffer of at least one page. Who meets either bound is cut,
 * not waited for. With the delay option every entry has the time it may leave; delays are equal
 * within a queue, so the order never changes.
 *
 * Invariants (mesh_queue_check): bytes is the sum of the entries' lengths and at most bytes_max;
 * count is at most MESH_QUEUE_FRAMES_MAX and at most the capacity, which is 0 or a power of two. */
#ifndef CONSENSUS_NODE_MESH_QUEUE_H
#define CONSENSUS_NODE_MESH_QUEUE_H

#include "common/buffer.h"

/* Two seconds of what a member of a committee of 100 sends at 30 rounds a second (a vote for each
 * header), and, at a page each, at most as much memory as the queue of bulk. */
#define MESH_QUEUE_FRAMES_MAX 8192u

struct mesh_queue_entry {
    struct buffer *frame; /* one reference is the queue's */
    uint64_t due_us;      /* monotonic clock; 0: at once */
};

struct mesh_queue {
    struct mesh_queue_entry *entries;
    size_t head;
    size_t count;
    size_t capacity;
    size_t bytes;
    size_t bytes_max;
};

/* An empty queue; allocates nothing until the first push. */
void mesh_queue_init(struct mesh_queue *queue, size_t bytes_max);

/* Takes an own reference. False, and nothing taken, when a bound is met. */
bool mesh_queue_push(struct mesh_queue *queue, struct buffer *frame, uint64_t due_us);

/* The frame at the head, still the queue's, if it is due at `now_us`; else NULL. */
struct buffer *mesh_queue_peek(const struct mesh_queue *queue, uint64_t now_us);

/* When the head may leave; UINT64_MAX when the queue is empty. */
uint64_t mesh_queue_due(const struct mesh_queue *queue);

/* Drops the head and its reference. The queue must not be empty. */
void mesh_queue_pop(struct mesh_queue *queue);

void mesh_queue_check(const struct mesh_queue *queue);

/* Drops everything; the queue is then as after init. */
void mesh_queue_clear(struct mesh_queue *queue);

#endif
