#include "consensus/node/outbox.h"

#include <stdlib.h>

struct outbox {
    struct outbox_item **items; /* ring of OUTBOX_ACTIONS_MAX + slack for one step's actions */
    size_t first;
    size_t count;
    size_t capacity;
};

struct outbox *outbox_open(void)
{
    struct outbox *outbox = calloc(1, sizeof *outbox);
    CHECK(outbox != NULL);
    outbox->capacity = 1024;
    outbox->items = calloc(outbox->capacity, sizeof *outbox->items);
    CHECK(outbox->items != NULL);
    return outbox;
}

void outbox_free(struct outbox_item *item)
{
    if (item == NULL) return;
    buffer_unref(item->frame);
    free(item->memory);
    free(item);
}

void outbox_close(struct outbox *outbox)
{
    if (outbox == NULL) return;
    for (size_t i = 0; i < outbox->count; i++)
        outbox_free(outbox->items[(outbox->first + i) % outbox->capacity]);
    free(outbox->items);
    free(outbox);
}

static void outbox_grow(struct outbox *outbox)
{
    size_t capacity = outbox->capacity * 2;
    struct outbox_item **items = calloc(capacity, sizeof *items);
    CHECK(items != NULL);
    for (size_t i = 0; i < outbox->count; i++)
        items[i] = outbox->items[(outbox->first + i) % outbox->capacity];
    free(outbox->items);
    outbox->items = items;
    outbox->first = 0;
    outbox->capacity = capacity;
}

static uint8_t *copy_of(const void *data, size_t len)
{
    uint8_t *memory = malloc(len > 0 ? len : 1);
    CHECK(memory != NULL);
    if (len > 0) memcpy(memory, data, len);
    return memory;
}

/* Replaces every view of the core's memory by the item's own. */
static void item_own(struct outbox_item *item)
{
    struct core_action *action = &item->action;
    bool is_message = action->kind == CORE_ACTION_SEND || action->kind == CORE_ACTION_BROADCAST;

    if (is_message) {
        item->frame = buffer_frame(action->message);
        action->message = (struct bytes){NULL, 0};
    } else if (action->refs_count > 0) {
        item->memory = copy_of(action->refs, action->refs_count * sizeof *action->refs);
        action->refs = (const struct vertex_ref *)(const void *)item->memory;
    } else if (action->record.len > 0) {
        item->memory = copy_of(action->record.data, action->record.len);
        action->record.data = item->memory;
    } else if (action->message.len > 0) {
        item->memory = copy_of(action->message.data, action->message.len);
        action->message.data = item->memory;
    }
    if (action->preblock != NULL) {
        item->preblock = *action->preblock;
        action->preblock = &item->preblock;
    }
}

void outbox_hold(struct outbox *outbox, const struct core_action *action, uint64_t token)
{
    struct outbox_item *item = calloc(1, sizeof *item);
    CHECK(item != NULL);
    item->action = *action;
    item->token = token;
    item_own(item);
    if (outbox->count == outbox->capacity) outbox_grow(outbox);
    outbox->items[(outbox->first + outbox->count) % outbox->capacity] = item;
    outbox->count++;
}

size_t outbox_count(const struct outbox *outbox)
{
    return outbox->count;
}

bool outbox_is_full(const struct outbox *outbox)
{
    return outbox->count >= OUTBOX_ACTIONS_MAX;
}

struct outbox_item *outbox_take(struct outbox *outbox, uint64_t durable)
{
    struct outbox_item *item;

    if (outbox->count == 0) return NULL;
    item = outbox->items[outbox->first];
    if (item->token > durable) return NULL;
    outbox->first = (outbox->first + 1) % outbox->capacity;
    outbox->count--;
    return item;
}
