#include "rollup-kernel/host/batcher.h"

#include <stdlib.h>

#include "common/crypto.h"
#include "common/digest_index.h"

struct operation {
    struct batched_message *first;
    struct batched_message *last;
    struct operation *next;
    struct digest hash;
};

/* Messages of a block's operations: all of its bytes in the shortest ones. */
#define BLOCK_MESSAGES_MAX (BATCHER_OPERATIONS_PER_BLOCK * INBOX_OPERATION_BYTES_MAX / 5u)

struct batcher {
    uint32_t keys;
    uint64_t counter;
    struct digest_index *known;
    struct batched_message *queue[BATCHER_QUEUE_MAX];
    size_t queued;
    struct operation *operations; /* outstanding, oldest first; at most one for each key */
    uint32_t operations_count;
    uint32_t taken; /* operations of the block at hand */
    struct bytes block[BLOCK_MESSAGES_MAX];
    struct batched_message *included_first; /* oldest first */
    struct batched_message *included_last;
};

struct batcher *batcher_new(uint32_t keys)
{
    struct batcher *batcher = calloc(1, sizeof *batcher);

    CHECK(batcher != NULL);
    CHECK(keys >= 1);
    batcher->keys = keys;
    batcher->known = digest_index_new();
    return batcher;
}

static void free_message(void *context, void *value)
{
    (void)context;
    free(value);
}

void batcher_close(struct batcher *batcher)
{
    if (batcher == NULL) return;
    while (batcher->operations != NULL) {
        struct operation *operation = batcher->operations;
        batcher->operations = operation->next;
        free(operation);
    }
    digest_index_each(batcher->known, free_message, NULL);
    digest_index_free(batcher->known);
    free(batcher);
}

static bool goes_before(const struct batched_message *a, const struct batched_message *b)
{
    if (a->has_order != b->has_order) return a->has_order;
    if (a->has_order && a->order != b->order) return a->order < b->order;
    return a->counter < b->counter;
}

static void queue_insert(struct batcher *batcher, struct batched_message *message)
{
    size_t low = 0;
    size_t high = batcher->queued;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (goes_before(batcher->queue[middle], message)) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    memmove(batcher->queue + low + 1, batcher->queue + low,
            (batcher->queued - low) * sizeof batcher->queue[0]);
    batcher->queue[low] = message;
    batcher->queued++;
}

static void message_id(struct digest *ret_id, struct bytes content, const uint64_t *counter)
{
    struct bytes parts[2] = {content, {(const uint8_t *)counter, sizeof *counter}};

    crypto_hash(ret_id, parts, counter == NULL ? 1 : 2);
}

enum status batcher_add(struct digest *ret_id,
                        struct batcher *batcher,
                        const struct batcher_submission *submission)
{
    struct bytes content = submission->content;
    struct digest id;

    if (content.len == 0 || content.len > INBOX_MESSAGE_BYTES_MAX) return ERR_TOO_LARGE;
    batcher->counter++;
    message_id(&id, content, submission->drop_duplicate ? NULL : &batcher->counter);
    if (digest_index_get(batcher->known, &id) != NULL) {
        *ret_id = id;
        return OK;
    }
    if (batcher->queued == BATCHER_QUEUE_MAX) return ERR_FULL;

    struct batched_message *message = malloc(sizeof *message + content.len);
    CHECK(message != NULL);
    *message = (struct batched_message){
        .id = id,
        .has_order = submission->has_order,
        .order = submission->order,
        .counter = batcher->counter,
        .len = (uint32_t)content.len,
    };
    memcpy(message->content, content.data, content.len);
    digest_index_add(batcher->known, &id, message);
    queue_insert(batcher, message);
    *ret_id = id;
    return OK;
}

/* One operation out of the head of the queue; `*used` messages are taken. */
static struct operation *make_operation(struct batcher *batcher, size_t *used)
{
    struct operation *operation = calloc(1, sizeof *operation);
    size_t bytes = 0;
    uint32_t index = 0;

    CHECK(operation != NULL);
    message_id(&operation->hash, (struct bytes){batcher->queue[*used]->id.bytes, 32},
               &batcher->counter);
    while (*used < batcher->queued) {
        struct batched_message *message = batcher->queue[*used];
        if (bytes + 4 + message->len > INBOX_OPERATION_BYTES_MAX) break;
        bytes += 4 + message->len;
        message->state = BATCHED_INJECTED;
        message->operation = operation->hash;
        message->operation_index = index++;
        if (operation->last == NULL) {
            operation->first = message;
        } else {
            operation->last->next = message;
        }
        operation->last = message;
        ++*used;
    }
    CHECK(operation->first != NULL);
    return operation;
}

uint32_t batcher_make_operations(struct batcher *batcher, bool new_head)
{
    struct operation **end = &batcher->operations;
    uint32_t made = 0;
    size_t used = 0;

    while (*end != NULL) {
        end = &(*end)->next;
    }
    while (batcher->operations_count < batcher->keys && used < batcher->queued) {
        if (!new_head && batcher->queued - used < BATCHER_EARLY_COUNT) break;
        *end = make_operation(batcher, &used);
        end = &(*end)->next;
        batcher->operations_count++;
        made++;
    }
    batcher->queued -= used;
    memmove(batcher->queue, batcher->queue + used, batcher->queued * sizeof batcher->queue[0]);
    return made;
}

size_t batcher_next_block(const struct bytes **ret_messages, struct batcher *batcher)
{
    size_t count = 0;

    batcher->taken = 0;
    for (const struct operation *operation = batcher->operations;
         operation != NULL && batcher->taken < BATCHER_OPERATIONS_PER_BLOCK;
         operation = operation->next) {
        const struct batched_message *message = operation->first;
        for (; message != NULL; message = message->next) {
            CHECK(count < BLOCK_MESSAGES_MAX);
            batcher->block[count++] = (struct bytes){message->content, message->len};
        }
        batcher->taken++;
    }
    *ret_messages = batcher->block;
    return count;
}

static void forget_old(struct batcher *batcher, int32_t level)
{
    while (batcher->included_first != NULL &&
           batcher->included_first->level + BATCHER_REMEMBER_LEVELS < level) {
        struct batched_message *message = batcher->included_first;
        batcher->included_first = message->next;
        if (batcher->included_first == NULL) batcher->included_last = NULL;
        digest_index_remove(batcher->known, &message->id);
        free(message);
    }
}

void batcher_included(struct batcher *batcher, int32_t level)
{
    for (; batcher->taken > 0; batcher->taken--) {
        struct operation *operation = batcher->operations;
        for (struct batched_message *message = operation->first; message != NULL;
             message = message->next) {
            message->state = BATCHED_INCLUDED;
            message->level = level;
        }
        if (batcher->included_last == NULL) {
            batcher->included_first = operation->first;
        } else {
            batcher->included_last->next = operation->first;
        }
        batcher->included_last = operation->last;
        batcher->operations = operation->next;
        batcher->operations_count--;
        free(operation);
    }
    forget_old(batcher, level);
}

const struct batched_message *batcher_find(const struct batcher *batcher, const struct digest *id)
{
    return digest_index_get(batcher->known, id);
}

size_t batcher_queue(struct batched_message *const **ret_messages, const struct batcher *batcher)
{
    *ret_messages = batcher->queue;
    return batcher->queued;
}
