#include "consensus/node/batch_ring.h"

#include <stdlib.h>

void batch_ring_init(struct batch_ring *ring, size_t bytes_max)
{
    *ring = (struct batch_ring){.bytes_max = bytes_max};
    ring->entries = calloc(RING_ENTRIES_MAX, sizeof *ring->entries);
    CHECK(ring->entries != NULL);
}

static void batch_ring_drop_oldest(struct batch_ring *ring)
{
    struct ring_entry *entry = &ring->entries[ring->begin];

    CHECK(ring->count > 0);
    CHECK(ring->bytes >= entry->buffer->capacity);
    ring->bytes -= entry->buffer->capacity;
    buffer_unref(entry->buffer);
    entry->buffer = NULL;
    ring->begin = (ring->begin + 1) % RING_ENTRIES_MAX;
    ring->count--;
}

void batch_ring_close(struct batch_ring *ring)
{
    while (ring->count > 0)
        batch_ring_drop_oldest(ring);
    free(ring->entries);
    ring->entries = NULL;
}

void batch_ring_add(struct batch_ring *ring,
                    struct batch_place place,
                    const struct batch_log_item *item)
{
    const size_t end = (size_t)BUFFER_BATCH + item->record.bytes;
    const bool copy = item->buffer->capacity / 2 > end;

    if (end > ring->bytes_max) return;
    struct buffer *buffer = copy ? buffer_new(end) : buffer_ref(item->buffer);
    if (copy) {
        memcpy(buffer->data + BUFFER_BATCH, item->buffer->data + BUFFER_BATCH, item->record.bytes);
    }
    while (ring->count > 0 &&
           (ring->count == RING_ENTRIES_MAX || ring->bytes + buffer->capacity > ring->bytes_max)) {
        batch_ring_drop_oldest(ring);
    }
    if (buffer->capacity > ring->bytes_max) {
        buffer_unref(buffer);
        return;
    }
    ring->entries[(ring->begin + ring->count) % RING_ENTRIES_MAX] =
        (struct ring_entry){.place = place, .record = item->record, .buffer = buffer};
    ring->count++;
    ring->bytes += buffer->capacity;
}

/* Newest first: what was appended last is read most. */
const struct ring_entry *batch_ring_find(const struct batch_ring *ring, struct batch_place place)
{
    for (size_t i = ring->count; i > 0; i--) {
        const struct ring_entry *entry = &ring->entries[(ring->begin + i - 1) % RING_ENTRIES_MAX];
        if (entry->place.page == place.page && entry->place.segment == place.segment) return entry;
    }
    return NULL;
}

void batch_ring_drop_segment(struct batch_ring *ring, uint32_t segment)
{
    while (ring->count > 0 && ring->entries[ring->begin].place.segment <= segment) {
        batch_ring_drop_oldest(ring);
    }
}
