#include "consensus/node/mesh_queue.h"

#include <stdlib.h>

#define FIRST_CAPACITY 64u

void mesh_queue_init(struct mesh_queue *queue, size_t bytes_max)
{
    CHECK(bytes_max > 0);
    *queue = (struct mesh_queue){.bytes_max = bytes_max};
}

/* Doubles the ring and straightens it. */
static void grow(struct mesh_queue *queue)
{
    size_t capacity = queue->capacity == 0 ? FIRST_CAPACITY : queue->capacity * 2;
    struct mesh_queue_entry *entries = calloc(capacity, sizeof *entries);

    CHECK(entries != NULL);
    for (size_t i = 0; i < queue->count; i++) {
        entries[i] = queue->entries[(queue->head + i) & (queue->capacity - 1)];
    }
    free(queue->entries);
    queue->entries = entries;
    queue->capacity = capacity;
    queue->head = 0;
}

bool mesh_queue_push(struct mesh_queue *queue, struct buffer *frame, uint64_t due_us)
{
    CHECK(frame->len > 0);
    if (queue->count >= MESH_QUEUE_FRAMES_MAX) return false;
    if (frame->len > queue->bytes_max - queue->bytes) return false;

    if (queue->count == queue->capacity) grow(queue);
    queue->entries[(queue->head + queue->count) & (queue->capacity - 1)] =
        (struct mesh_queue_entry){.frame = buffer_ref(frame), .due_us = due_us};
    queue->count++;
    queue->bytes += frame->len;
    CHECK(queue->bytes <= queue->bytes_max);
    return true;
}

struct buffer *mesh_queue_peek(const struct mesh_queue *queue, uint64_t now_us)
{
    if (queue->count == 0) return NULL;
    if (queue->entries[queue->head].due_us > now_us) return NULL;
    return queue->entries[queue->head].frame;
}

uint64_t mesh_queue_due(const struct mesh_queue *queue)
{
    return queue->count == 0 ? UINT64_MAX : queue->entries[queue->head].due_us;
}

void mesh_queue_pop(struct mesh_queue *queue)
{
    struct buffer *frame = NULL;

    CHECK(queue->count > 0);
    frame = queue->entries[queue->head].frame;
    CHECK(queue->bytes >= frame->len);
    queue->bytes -= frame->len;
    queue->head = (queue->head + 1) & (queue->capacity - 1);
    queue->count--;
    buffer_unref(frame);
}

void mesh_queue_check(const struct mesh_queue *queue)
{
    size_t bytes = 0;

    CHECK(queue->count <= MESH_QUEUE_FRAMES_MAX);
    CHECK(queue->count <= queue->capacity);
    CHECK((queue->capacity & (queue->capacity - 1)) == 0);
    for (size_t i = 0; i < queue->count; i++) {
        bytes += queue->entries[(queue->head + i) & (queue->capacity - 1)].frame->len;
    }
    CHECK(bytes == queue->bytes);
    CHECK(bytes <= queue->bytes_max);
}

void mesh_queue_clear(struct mesh_queue *queue)
{
    while (queue->count > 0) {
        mesh_queue_pop(queue);
    }
    free(queue->entries);
    mesh_queue_init(queue, queue->bytes_max);
}
