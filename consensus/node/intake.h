/* The open batch, and what became of the sealed ones: the half of the gRPC server that knows
 * nothing of gRPC. Transactions are copied once, from the received message to the place in a buffer
 * from which the batch goes to disk and to six peers.
 *
 *     reserve room -> fill -> commit (validated in place)   ... until batch_maker says: seal
 *     sealed batch -> `post` with its ticket                 -> the loop
 *     events for a ticket (accepted, certified, committed, failed) -> its waiters
 *
 * A ticket is the number of a batch: given when it is opened, so that a waiter can hang on it
 * before it is sealed. Bounds: API_*_MAX in consensus/node/api.h; intake_has_room says whether to
 * read on. One message may go over them, by at most its own size.
 *
 * Owned by one thread. */
#ifndef CONSENSUS_NODE_INTAKE_H
#define CONSENSUS_NODE_INTAKE_H

#include "common/bytes.h"
#include "consensus/node/api.h"
#include "consensus/node/link.h"

struct intake;

/* What a waiter is told, once. */
struct intake_result {
    const char *failed;   /* NULL, or why the batch was given up; then nothing below is set */
    enum api_level level; /* reached: at least the one waited for */
    struct digest digest; /* of the batch */
    uint64_t index;       /* COMMITTED: of the pre-block */
    uint32_t position;    /* COMMITTED: of the batch's first transaction in it */
};

/* Owned by whoever waits; must stay where it is until it was told or taken back. */
struct intake_waiter {
    struct link link;
    enum api_level level;
    void (*tell)(struct intake_waiter *waiter, const struct intake_result *result);
};

/* Takes over the request. */
typedef void intake_post(void *context, struct api_request *request);

/* ERR_CONFIG: batch options out of range. */
enum status intake_open(struct intake **ret_intake,
                        const struct api_options *options,
                        intake_post *post,
                        void *context);

/* Waiters that are left are not told. NULL is fine. */
void intake_close(struct intake *intake);

/* ---- taking in ------------------------------------------------------------------------------- */

bool intake_has_room(const struct intake *intake);

/* Room for `len` bytes behind the open batch, to be filled before anything else is called; seals a
 * batch they would not fit. NULL when `len` is 0 or over BATCH_BYTES_MAX. */
uint8_t *intake_reserve(struct intake *intake, size_t len);

/* Where something was put. */
struct intake_place {
    uint64_t ticket;
    uint32_t offset; /* of the first transaction in its batch */
    uint32_t transactions;
    uint64_t bytes; /* of them, without framing */
};

/* Takes in the `len` bytes just reserved and filled if they are canonical entries of a batch, at
 * most `transactions_max` of them; else ERR_MALFORMED, and nothing was taken. */
enum status intake_commit(struct intake *intake,
                          struct intake_place *ret_place,
                          uint64_t now_us,
                          size_t len,
                          uint32_t transactions_max);

/* Takes in one transaction, copied. ERR_MALFORMED: empty; ERR_TOO_LARGE. */
enum status intake_add(struct intake *intake,
                       struct intake_place *ret_place,
                       uint64_t now_us,
                       struct bytes transaction);

/* When intake_tick must be called at the latest; UINT64_MAX: no batch is open. */
uint64_t intake_deadline_us(const struct intake *intake);

/* Seals the open batch when it is due. */
void intake_tick(struct intake *intake, uint64_t now_us);

/* Seals the open batch, if any. */
void intake_flush(struct intake *intake);

void intake_set_pressed(struct intake *intake, bool pressed);

/* ---- what became of it ----------------------------------------------------------------------- */

/* Hangs a waiter on a ticket that has not ended. It is told when the level is reached, at once when
 * it is already, or when the batch failed. */
void intake_wait(struct intake *intake,
                 struct intake_waiter *waiter,
                 uint64_t ticket,
                 enum api_level level);

/* Takes a waiter back: it will not be told. Harmless when it was told or never hung. */
void intake_unwait(struct intake_waiter *waiter);

/* An event from the loop. `failed` NULL: the level was reached; COMMITTED ends the ticket.
 * Otherwise the ticket ends. Events of tickets that ended are ignored; one for a ticket never
 * sealed is our bug. */
void intake_event(struct intake *intake, uint64_t ticket, const struct intake_result *result);

/* For the metrics. */
struct intake_counters {
    uint64_t transactions;
    uint64_t transaction_bytes;
    uint64_t batches;
    uint64_t bytes_in_flight; /* now */
    uint64_t tickets;         /* now */
};
struct intake_counters intake_get_counters(const struct intake *intake);

#endif
