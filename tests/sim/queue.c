#include "tests/sim/queue.h"

#include <stdlib.h>

#define CHILDREN 4u

static bool before(const struct sim_event *a, const struct sim_event *b)
{
    if (a->time_us != b->time_us) return a->time_us < b->time_us;
    return a->sequence < b->sequence;
}

void queue_push(struct queue *queue, struct sim_event event)
{
    if (queue->count == queue->capacity) {
        queue->capacity = queue->capacity == 0 ? 1024 : queue->capacity * 2;
        queue->items = realloc(queue->items, queue->capacity * sizeof *queue->items);
        CHECK(queue->items != NULL);
    }
    event.sequence = queue->sequence++;
    size_t i = queue->count++;
    while (i > 0) {
        size_t parent = (i - 1) / CHILDREN;
        if (!before(&event, &queue->items[parent])) break;
        queue->items[i] = queue->items[parent];
        i = parent;
    }
    queue->items[i] = event;
}

bool queue_pop(struct sim_event *ret_event, struct queue *queue)
{
    if (queue->count == 0) return false;
    *ret_event = queue->items[0];
    struct sim_event last = queue->items[--queue->count];
    size_t i = 0;
    for (;;) {
        size_t first = i * CHILDREN + 1, least = first;
        if (first >= queue->count) break;
        for (size_t c = first + 1; c < first + CHILDREN && c < queue->count; c++)
            if (before(&queue->items[c], &queue->items[least])) least = c;
        if (!before(&queue->items[least], &last)) break;
        queue->items[i] = queue->items[least];
        i = least;
    }
    if (queue->count > 0) queue->items[i] = last;
    return true;
}

void queue_close(struct queue *queue)
{
    for (size_t i = 0; i < queue->count; i++)
        packet_unref(queue->items[i].packet);
    free(queue->items);
    *queue = (struct queue){0};
}

struct packet *packet_new(const uint8_t *data, size_t len)
{
    struct packet *packet = malloc(sizeof *packet + len);
    uint64_t fingerprint = 0xcbf29ce484222325ull ^ len;

    CHECK(packet != NULL);
    packet->references = 1;
    packet->len = (uint32_t)len;
    packet->batch = UINT64_MAX;
    if (len > 0) memcpy(packet->data, data, len);
    for (size_t i = 0; i < len; i += 8) {
        uint64_t word = 0;
        memcpy(&word, data + i, len - i < 8 ? len - i : 8);
        fingerprint = (fingerprint ^ word) * 0x9fb21c651e98df25ull;
        fingerprint ^= fingerprint >> 32;
    }
    packet->fingerprint = fingerprint;
    return packet;
}

struct packet *packet_ref(struct packet *packet)
{
    packet->references++;
    return packet;
}

void packet_unref(struct packet *packet)
{
    if (packet == NULL) return;
    CHECK(packet->references > 0);
    if (--packet->references == 0) free(packet);
}
