/* The batcher: messages wait in a queue, are batched into L1 operations, and are included in a
 * block.
 *
 *   queue --(new head, or ten messages wait)--> operation, one per key --(next block)--> included
 *   pending_batch                               injected                                 included
 *
 * As on L1, a batching key has one operation outstanding, an operation carries at most 32,607 bytes
 * of 4 + len for each message, and a block at most 512 KiB of operations. Messages with an order go
 * first, lowest first, then those without, in the order of arrival. A message's id is the hash of
 * its content, or, when every submission is to count, of content and a counter.
 *
 * With faults (faults.h) an operation may be passed by, be included twice, or never; what is lost
 * stays injected for whoever asks. Blocks may be undone: what they held waits again, in its order,
 * or is lost. */
#ifndef HOST_BATCHER_H
#define HOST_BATCHER_H

#include "common/limits.h"
#include "rollup-kernel/host/faults.h"

/* Messages that wait at the most; more are refused. Octez, batcher. */
#define BATCHER_QUEUE_MAX 100000u

/* Messages that wait before a batch is made without waiting for a head. Octez, min_batch_elements.
 */
#define BATCHER_EARLY_COUNT 10u

/* Operations of full size that a block takes. */
#define BATCHER_OPERATIONS_PER_BLOCK (INBOX_LEVEL_BYTES_MAX / (32u * 1024u))

/* Levels for which an included message is still known, and one that is lost on purpose: L1 does not
 * say that something is lost, so that takes longer than anybody should wait. */
#define BATCHER_REMEMBER_LEVELS 200
#define BATCHER_LOST_LEVELS     2000

enum batched_state { BATCHED_PENDING, BATCHED_INJECTED, BATCHED_INCLUDED };

struct batched_message {
    struct digest id;
    enum batched_state state;
    bool has_order;
    int64_t order;
    uint64_t counter;
    struct digest operation; /* when injected */
    uint32_t operation_index;
    int32_t level; /* when included */
    uint32_t len;
    uint8_t content[];
};

struct batcher;

/* `faults` outlives the batcher; NULL: none. */
struct batcher *batcher_new(uint32_t keys, struct faults *faults);
void batcher_close(struct batcher *batcher); /* NULL is fine */

struct batcher_submission {
    struct bytes content; /* 1 .. INBOX_MESSAGE_BYTES_MAX bytes */
    bool has_order;
    int64_t order;
    bool drop_duplicate;
};

/* Queues a message. `*ret_id` names it, or the one with equal content that is known already.
 * ERR_TOO_LARGE (or empty) or ERR_FULL. */
enum status batcher_add(struct digest *ret_id,
                        struct batcher *batcher,
                        const struct batcher_submission *submission);

/* Fills the keys that have no operation outstanding: on a new head whatever waits, otherwise only
 * when enough waits. Returns the number of operations made. */
uint32_t batcher_make_operations(struct batcher *batcher, bool new_head);

/* The messages that the next block takes, in order, and how many: views until batcher_included. */
size_t batcher_next_block(const struct bytes **ret_messages, struct batcher *batcher);

/* The block of `level` took what batcher_next_block gave: its keys are free, and messages included
 * long ago are forgotten. */
void batcher_included(struct batcher *batcher, int32_t level);

/* The blocks above `level` are undone; of each of their operations faults_lose says whether it is
 * lost. A block that was begun with batcher_next_block is not made. Needs `faults`. */
void batcher_undo(struct batcher *batcher, int32_t level);

/* A message by id, NULL when it is not known (any more). */
const struct batched_message *batcher_find(const struct batcher *batcher, const struct digest *id);

/* Messages that wait, in the order they will be batched. */
size_t batcher_queue(struct batched_message *const **ret_messages, const struct batcher *batcher);

#endif
