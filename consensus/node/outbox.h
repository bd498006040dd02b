/* Actions that wait for the disk.
 *
 * The core's actions come in the order in which they must happen: what follows a PERSIST may leave
 * the machine only when that record is durable. The loop thread never waits for the disk, so it
 * builds one store batch per loop turn, hands it to the storage thread with a token, and keeps
 * everything that came after in here, in order, until the token comes back.
 *
 *     PERSIST a | SEND 1 | PERSIST b | SEND 2         one turn: token 7 = {a, b}; 1 and 2 are held
 * for 7
 *
 * Holding 1 for b too costs nothing: both are in one synced write. Actions that came while nothing
 * is on its way to the disk are not held at all. The outbox owns copies of what it holds. */
#ifndef CONSENSUS_NODE_OUTBOX_H
#define CONSENSUS_NODE_OUTBOX_H

#include "common/buffer.h"
#include "consensus/core/core.h"

/* Held actions at the most. A node that is that far behind its own disk stops taking frames. */
#define OUTBOX_ACTIONS_MAX 65536u

/* A held action owns its memory: messages are frames already, refs and record are copies. */
struct outbox_item {
    struct core_action action; /* pointers below replace message, refs and record */
    struct buffer *frame;      /* SEND, BROADCAST */
    uint8_t *memory;           /* refs, record or quorum bytes, malloc'ed */
    struct preblock preblock;  /* DELIVER */
    uint64_t token;            /* performed when this commit is durable */
};

struct outbox;

/* Never NULL. */
struct outbox *outbox_open(void);
void outbox_close(struct outbox *outbox); /* NULL is fine */

/* Holds a copy of `action` for `token`; tokens never decrease. */
void outbox_hold(struct outbox *outbox, const struct core_action *action, uint64_t token);

size_t outbox_count(const struct outbox *outbox);
bool outbox_is_full(const struct outbox *outbox);

/* The oldest item, when its token is at most `durable`; else NULL. It is the caller's to perform
 * and then to give to outbox_free. */
struct outbox_item *outbox_take(struct outbox *outbox, uint64_t durable);
void outbox_free(struct outbox_item *item);

#endif
