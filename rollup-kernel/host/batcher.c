#include "rollup-kernel/host/batcher.h"

#include <stdlib.h>

#include "common/crypto.h"
#include "common/digest_index.h"

enum copy { COPY_NONE, COPY_SAME_BLOCK, COPY_NEXT_BLOCK };

struct operation {
    struct operation *next;
    struct digest hash;
    uint32_t wait;  /* blocks that pass it by */
    bool lost;      /* no block includes it */
    enum copy copy; /* where it is included once more */
    bool taken;     /* by the block at hand */
    int32_t level;  /* when done */
    uint32_t count;
    struct batched_message *messages[];
};

/* Operations, oldest first. */
struct operation_list {
    struct operation *first;
    struct operation *last;
};

/* Messages of a block's operations: all of its bytes in the shortest ones. */
#define BLOCK_MESSAGES_MAX (BATCHER_OPERATIONS_PER_BLOCK * INBOX_OPERATION_BYTES_MAX / 5u)

/* Invariants: the levels of `done` and `lost` do not fall; each message but the queue's is in one operation. */
struct batcher {
    uint32_t keys;
    struct faults *faults;
    uint64_t counter;
    struct digest_index *known;
    struct batched_message *queue[BATCHER_QUEUE_MAX];
    size_t queued;
    struct operation_list outstanding; /* at most one for each key, and what was undone */
    uint32_t outstanding_count;
    struct operation_list done; /* included */
    struct operation_list lost;
    struct bytes block[BLOCK_MESSAGES_MAX];
};

struct batcher *batcher_new(uint32_t keys, struct faults *faults)
{
    struct batcher *batcher = calloc(1, sizeof *batcher);

    CHECK(batcher != NULL);
    CHECK(keys >= 1);
    batcher->keys = keys;
    batcher->faults = faults;
    batcher->known = digest_index_new();
    return batcher;
}

static void list_add(struct operation_list *list, struct operation *operation)
{
    operation->next = NULL;
    if (list->last == NULL) {
        list->first = operation;
    } else {
        list->last->next = operation;
    }
    list->last = operation;
}

/* The first one, taken out; NULL when there is none. */
static struct operation *list_take(struct operation_list *list)
{
    struct operation *operation = list->first;

    if (operation == NULL) return NULL;
    list->first = operation->next;
    if (list->first == NULL) list->last = NULL;
    return operation;
}

static void free_message(void *context, void *value)
{
    (void)context;
    free(value);
}

void batcher_close(struct batcher *batcher)
{
    if (batcher == NULL) return;
    for (struct operation *each; (each = list_take(&batcher->outstanding)) != NULL;)
        free(each);
    for (struct operation *each; (each = list_take(&batcher->done)) != NULL;)
        free(each);
    for (struct operation *each; (each = list_take(&batcher->lost)) != NULL;)
        free(each);
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

static void tally(const struct batcher *batcher, enum faults_count what, uint64_t more)
{
    if (batcher->faults != NULL) batcher->faults->counts[what] += more;
}

static uint64_t decide(const struct batcher *batcher, enum fault fault)
{
    return batcher->faults == NULL ? 0 : faults_decide(batcher->faults, fault);
}

/* What will become of an operation that was just made. */
static void draw_fate(const struct batcher *batcher, struct operation *operation)
{
    tally(batcher, FAULTS_OPERATIONS, 1);
    if (decide(batcher, FAULT_DROP) != 0) {
        operation->lost = true;
        tally(batcher, FAULTS_DROPPED, 1);
        tally(batcher, FAULTS_MESSAGES_DROPPED, operation->count);
    }
    if (decide(batcher, FAULT_DELAY) != 0) {
        operation->wait = batcher->faults->spec.amount[FAULT_DELAY];
        tally(batcher, FAULTS_DELAYED, 1);
    }
    uint64_t twice = decide(batcher, FAULT_DUPLICATE);
    if (twice != 0 && !operation->lost) {
        operation->copy = twice % 2 == 0 ? COPY_SAME_BLOCK : COPY_NEXT_BLOCK;
        tally(batcher, FAULTS_DUPLICATED, 1);
        tally(batcher, FAULTS_MESSAGES_DUPLICATED, operation->count);
    }
}

/* One operation out of the head of the queue; `*used` messages are taken. */
static struct operation *make_operation(struct batcher *batcher, size_t *used)
{
    struct batched_message *const *first = batcher->queue + *used;
    size_t rest = batcher->queued - *used;
    size_t bytes = 0;
    uint32_t taken = 0;

    while (taken < rest && bytes + 4 + first[taken]->len <= INBOX_OPERATION_BYTES_MAX)
        bytes += 4 + first[taken++]->len;
    CHECK(taken >= 1);
    struct operation *operation = calloc(1, sizeof *operation + taken * sizeof *first);
    CHECK(operation != NULL);
    message_id(&operation->hash, (struct bytes){first[0]->id.bytes, 32}, &batcher->counter);
    operation->count = taken;
    for (uint32_t i = 0; i < taken; i++) {
        operation->messages[i] = first[i];
        first[i]->state = BATCHED_INJECTED;
        first[i]->operation = operation->hash;
        first[i]->operation_index = i;
    }
    *used += taken;
    return operation;
}

uint32_t batcher_make_operations(struct batcher *batcher, bool new_head)
{
    uint32_t made = 0;
    size_t used = 0;

    while (batcher->outstanding_count < batcher->keys && used < batcher->queued) {
        if (!new_head && batcher->queued - used < BATCHER_EARLY_COUNT) break;
        struct operation *operation = make_operation(batcher, &used);
        draw_fate(batcher, operation);
        list_add(&batcher->outstanding, operation);
        batcher->outstanding_count++;
        made++;
    }
    batcher->queued -= used;
    memmove(batcher->queue, batcher->queue + used, batcher->queued * sizeof batcher->queue[0]);
    return made;
}

/* ---- blocks ---------------------------------------------------------------------------------- */

/* The operations of the next block, with copies, and how many. */
static uint32_t take_operations(struct batcher *batcher,
                                const struct operation *ret[BATCHER_OPERATIONS_PER_BLOCK])
{
    const uint32_t max = BATCHER_OPERATIONS_PER_BLOCK;
    uint32_t count = 0, keys = 0;

    for (struct operation *each = batcher->outstanding.first; each != NULL; each = each->next) {
        each->taken = each->wait == 0 && count < max && keys < batcher->keys;
        if (!each->taken) continue;
        keys++;
        if (each->lost) continue;
        ret[count++] = each;
        if (each->copy == COPY_SAME_BLOCK && count < max) ret[count++] = each;
    }
    for (const struct operation *each = batcher->done.first; each != NULL; each = each->next) {
        if (each->copy == COPY_NEXT_BLOCK && count < max) ret[count++] = each;
    }
    return count;
}

static void shuffle(const struct operation **operations, uint32_t count, uint64_t random)
{
    for (uint32_t left = count; left > 1; left--) {
        uint32_t at = (uint32_t)(faults_next(&random) % left);
        const struct operation *other = operations[at];
        operations[at] = operations[left - 1];
        operations[left - 1] = other;
    }
}

size_t batcher_next_block(const struct bytes **ret_messages, struct batcher *batcher)
{
    const struct operation *operations[BATCHER_OPERATIONS_PER_BLOCK];
    uint32_t taken = take_operations(batcher, operations);
    size_t messages = 0;

    tally(batcher, FAULTS_BLOCKS, 1);
    uint64_t random = taken > 1 ? decide(batcher, FAULT_REORDER) : 0;
    if (random != 0) {
        shuffle(operations, taken, random);
        tally(batcher, FAULTS_SHUFFLED, 1);
    }
    for (uint32_t i = 0; i < taken; i++) {
        for (uint32_t m = 0; m < operations[i]->count; m++) {
            const struct batched_message *message = operations[i]->messages[m];
            CHECK(messages < BLOCK_MESSAGES_MAX);
            batcher->block[messages++] = (struct bytes){message->content, message->len};
        }
    }
    *ret_messages = batcher->block;
    return messages;
}

/* Forgets the operations of a list that were done before `level`. */
static void forget_old(struct batcher *batcher, struct operation_list *list, int32_t level)
{
    while (list->first != NULL && list->first->level < level) {
        struct operation *operation = list_take(list);
        for (uint32_t i = 0; i < operation->count; i++) {
            digest_index_remove(batcher->known, &operation->messages[i]->id);
            free(operation->messages[i]);
        }
        free(operation);
    }
}

static void finish(struct batcher *batcher, struct operation *operation, int32_t level)
{
    operation->level = level;
    for (uint32_t i = 0; i < operation->count && !operation->lost; i++) {
        operation->messages[i]->state = BATCHED_INCLUDED;
        operation->messages[i]->level = level;
    }
    list_add(operation->lost ? &batcher->lost : &batcher->done, operation);
}

void batcher_included(struct batcher *batcher, int32_t level)
{
    struct operation_list before = batcher->outstanding;

    for (struct operation *each = batcher->done.first; each != NULL; each = each->next)
        if (each->copy == COPY_NEXT_BLOCK) each->copy = COPY_NONE;
    batcher->outstanding = (struct operation_list){NULL, NULL};
    for (struct operation *each; (each = list_take(&before)) != NULL;) {
        if (each->taken) {
            finish(batcher, each, level);
            batcher->outstanding_count--;
        } else {
            if (each->wait > 0) each->wait--;
            list_add(&batcher->outstanding, each);
        }
    }
    forget_old(batcher, &batcher->done, level - BATCHER_REMEMBER_LEVELS);
    forget_old(batcher, &batcher->lost, level - BATCHER_LOST_LEVELS);
}

void batcher_undo(struct batcher *batcher, int32_t level)
{
    struct operation_list done = batcher->done;
    struct operation_list waiting = batcher->outstanding;

    CHECK(batcher->faults != NULL);
    batcher->done = (struct operation_list){NULL, NULL};
    batcher->outstanding = (struct operation_list){NULL, NULL};
    for (struct operation *each = batcher->lost.first; each != NULL; each = each->next)
        if (each->level > level) each->level = level;
    for (struct operation *each; (each = list_take(&done)) != NULL;) {
        if (each->level <= level) {
            list_add(&batcher->done, each);
            continue;
        }
        each->level = level;
        each->lost = faults_lose(batcher->faults);
        each->copy = COPY_NONE;
        tally(batcher, each->lost ? FAULTS_UNDONE_LOST : FAULTS_UNDONE_RETURNED, 1);
        for (uint32_t i = 0; i < each->count; i++)
            each->messages[i]->state = BATCHED_INJECTED;
        list_add(each->lost ? &batcher->lost : &batcher->outstanding, each);
        if (!each->lost) batcher->outstanding_count++;
    }
    for (struct operation *each; (each = list_take(&waiting)) != NULL;)
        list_add(&batcher->outstanding, each);
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
