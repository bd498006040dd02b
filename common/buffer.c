#include "common/buffer.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "common/bytes.h"

/* Capacities are powers of two times BUFFER_ALIGN, up to 2 MiB (the largest frame, 1 MiB, with its
 * places in front of it, rounds up to that). Larger buffers are not pooled. */
#define POOL_CLASSES 10u

/* Unused memory that the pool keeps, bytes: two groups of the largest batches. A bound, so that a
 * burst does not stay resident for ever. */
#define POOL_BYTES_MAX ((size_t)16 * 1024 * 1024)

/* Where the length prefix of a frame goes. */
#define FRAME_BEGIN (BUFFER_BODY - 4)

struct block {
    struct buffer buffer; /* first, so that a pointer to it is a pointer to the block */
    atomic_uint count;
    uint32_t class;
    struct block *next; /* in the pool */
};

static struct {
    pthread_mutex_t lock;
    size_t bytes; /* sum of the capacities in `free` */
    struct block *free[POOL_CLASSES];
} pool = {.lock = PTHREAD_MUTEX_INITIALIZER};

static struct block *pool_take(uint32_t class)
{
    pthread_mutex_lock(&pool.lock);
    struct block *block = pool.free[class];
    if (block != NULL) {
        pool.free[class] = block->next;
        pool.bytes -= block->buffer.capacity;
    }
    pthread_mutex_unlock(&pool.lock);
    return block;
}

/* False when the pool is full. */
static bool pool_give(struct block *block)
{
    pthread_mutex_lock(&pool.lock);
    bool room = pool.bytes + block->buffer.capacity <= POOL_BYTES_MAX;
    if (room) {
        block->next = pool.free[block->class];
        pool.free[block->class] = block;
        pool.bytes += block->buffer.capacity;
    }
    pthread_mutex_unlock(&pool.lock);
    return room;
}

static struct block *block_allocate(uint32_t class, size_t capacity)
{
    struct block *block = malloc(sizeof *block);
    CHECK(block != NULL);
    block->class = class;
    block->buffer.capacity = capacity;
    block->buffer.data = aligned_alloc(BUFFER_ALIGN, capacity);
    CHECK(block->buffer.data != NULL);
    return block;
}

struct buffer *buffer_new(size_t capacity)
{
    uint32_t class = 0;
    while (class < POOL_CLASSES && ((size_t)BUFFER_ALIGN << class) < capacity) {
        class ++;
    }

    struct block *block;
    if (class < POOL_CLASSES) {
        block = pool_take(class);
        if (block == NULL) block = block_allocate(class, (size_t)BUFFER_ALIGN << class);
    } else {
        CHECK(capacity <= SIZE_MAX - BUFFER_ALIGN);
        block = block_allocate(class, (capacity + BUFFER_ALIGN - 1) / BUFFER_ALIGN * BUFFER_ALIGN);
    }
    block->buffer.begin = 0;
    block->buffer.len = 0;
    atomic_init(&block->count, 1);
    return &block->buffer;
}

struct buffer *buffer_ref(struct buffer *buffer)
{
    struct block *block = (struct block *)buffer;
    CHECK(atomic_fetch_add_explicit(&block->count, 1, memory_order_relaxed) >= 1);
    return buffer;
}

void buffer_unref(struct buffer *buffer)
{
    if (buffer == NULL) return;

    struct block *block = (struct block *)buffer;
    /* Release: what this thread did to the data comes before; acquire: the last one sees all of it.
     */
    unsigned before = atomic_fetch_sub_explicit(&block->count, 1, memory_order_acq_rel);
    CHECK(before >= 1);
    if (before > 1) return;

    if (block->class < POOL_CLASSES && pool_give(block)) return;
    free(block->buffer.data);
    free(block);
}

struct buffer *buffer_frame(struct bytes body)
{
    CHECK(body.len <= UINT32_MAX);

    struct buffer *buffer = buffer_new(FRAME_BEGIN + 4 + body.len);
    struct writer writer = writer_make(buffer->data + FRAME_BEGIN, 4 + body.len);
    writer_u32(&writer, (uint32_t)body.len);
    writer_copy(&writer, body.data, body.len);
    CHECK(!writer.failed);
    buffer->begin = FRAME_BEGIN;
    buffer->len = writer.len;
    return buffer;
}
