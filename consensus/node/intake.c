#include "consensus/node/intake.h"

#include <stdlib.h>
#include <time.h>

#include "common/batch.h"
#include "consensus/core/batch_maker.h"

/* Reached by nothing yet. */
#define LEVEL_NONE (-1)

struct ticket {
    uint64_t number; /* 0: the slot is free */
    bool sealed;
    bool in_flight;
    int level; /* reached, or LEVEL_NONE */
    size_t bytes;
    struct intake_result result;
    struct link waiters;
};

/* Invariants: tickets number oldest .. next - 1 lie in slots number % API_TICKETS_MAX, ended ones
 * are free; `open` is NULL or holds entries of ticket next - 1, which is not sealed; the counters
 * in flight are sums over tickets with in_flight. */
struct intake {
    struct batch_maker maker;
    intake_post *post;
    void *context;
    struct buffer *open;
    uint32_t open_transactions;
    size_t reserved;     /* by intake_reserve, for intake_commit */
    uint64_t next;       /* ticket to be given */
    uint64_t oldest;     /* no ticket below it is used */
    uint64_t created_at; /* of the last sealed batch, ms */
    size_t bytes_in_flight;
    uint32_t batches_in_flight;
    bool pressed;
    struct intake_counters counters;
    struct ticket tickets[API_TICKETS_MAX];
};

enum status intake_open(struct intake **ret_intake,
                        const struct api_options *options,
                        intake_post *post,
                        void *context)
{
    struct batch_maker maker;
    enum status status = batch_maker_init(&maker, options->batch_bytes, options->batch_delay_us_min,
                                          options->batch_delay_us_max);
    if (status != OK) return status;
    struct intake *intake = calloc(1, sizeof *intake);
    CHECK(intake != NULL);
    intake->maker = maker;
    intake->post = post;
    intake->context = context;
    intake->next = 1;
    intake->oldest = 1;
    *ret_intake = intake;
    return OK;
}

void intake_close(struct intake *intake)
{
    if (intake == NULL) return;
    buffer_unref(intake->open);
    free(intake);
}

/* ---- taking in ------------------------------------------------------------------------------- */

bool intake_has_room(const struct intake *intake)
{
    size_t bytes_max = intake->pressed ? API_PRESSED_BYTES_MAX : API_BYTES_IN_FLIGHT_MAX;
    /* A message is cut into at most API_MESSAGE_BATCHES_MAX batches. */
    return intake->bytes_in_flight < bytes_max &&
           intake->batches_in_flight < API_BATCHES_IN_FLIGHT_MAX &&
           intake->next - intake->oldest + API_MESSAGE_BATCHES_MAX <= API_TICKETS_MAX;
}

static struct ticket *ticket_slot(struct intake *intake, uint64_t number)
{
    return &intake->tickets[number % API_TICKETS_MAX];
}

static uint64_t wall_ms(void)
{
    struct timespec now;
    CHECK(clock_gettime(CLOCK_REALTIME, &now) == 0);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void batch_open(struct intake *intake, size_t capacity)
{
    CHECK(intake->open == NULL);
    intake->open = buffer_new(BUFFER_BATCH + capacity);
    intake->open->begin = BUFFER_BATCH;
    intake->open->len = 0;
    intake->open_transactions = 0;
}

/* The ticket of the open batch, given with its first entry. */
static void ticket_open(struct intake *intake)
{
    CHECK(intake->next - intake->oldest < API_TICKETS_MAX);
    struct ticket *ticket = ticket_slot(intake, intake->next);
    CHECK(ticket->number == 0);
    *ticket = (struct ticket){.number = intake->next, .level = LEVEL_NONE};
    link_init(&ticket->waiters);
    intake->next++;
    intake->counters.tickets++;
}

static void batch_seal(struct intake *intake)
{
    struct buffer *buffer = intake->open;
    CHECK(buffer != NULL);
    CHECK(intake->open_transactions > 0);
    struct ticket *ticket = ticket_slot(intake, intake->next - 1);
    CHECK(!ticket->sealed);
    ticket->sealed = true;
    ticket->in_flight = true;
    ticket->bytes = buffer->len;
    intake->bytes_in_flight += buffer->len;
    intake->batches_in_flight++;
    intake->counters.batches++;
    intake->created_at = u64_max(wall_ms(), intake->created_at + 1);

    struct api_request *request = calloc(1, sizeof *request);
    CHECK(request != NULL);
    request->kind = API_REQUEST_BATCH;
    request->ticket = ticket->number;
    request->buffer = buffer;
    request->transactions = intake->open_transactions;
    request->created_at = intake->created_at;
    batch_maker_seal(&intake->maker);
    intake->open = NULL;
    intake->open_transactions = 0;
    intake->post(intake->context, request);
}

uint8_t *intake_reserve(struct intake *intake, size_t len)
{
    intake->reserved = 0;
    if (len == 0 || len > BATCH_BYTES_MAX) return NULL;
    if (intake->open_transactions > 0) {
        size_t left = intake->open->capacity - BUFFER_BATCH - intake->open->len;
        if (len > left || batch_maker_would_overflow(&intake->maker, len)) batch_seal(intake);
    }
    if (intake->open != NULL && len > intake->open->capacity - BUFFER_BATCH - intake->open->len) {
        buffer_unref(intake->open); /* reserved before, but nothing was taken */
        intake->open = NULL;
    }
    if (intake->open == NULL) {
        batch_open(intake, (size_t)u64_max(len, batch_maker_target(&intake->maker)));
    }
    intake->reserved = len;
    return intake->open->data + BUFFER_BATCH + intake->open->len;
}

/* The reserved bytes are good: they belong to the batch from here on. */
static void take_reserved(struct intake *intake,
                          struct intake_place *ret_place,
                          uint64_t now_us,
                          size_t len,
                          uint32_t transactions,
                          uint64_t bytes)
{
    if (intake->open_transactions == 0) ticket_open(intake);
    *ret_place = (struct intake_place){
        .ticket = intake->next - 1,
        .offset = intake->open_transactions,
        .transactions = transactions,
        .bytes = bytes,
    };
    intake->open->len += len;
    intake->open_transactions += transactions;
    intake->reserved = 0;
    intake->counters.transactions += transactions;
    intake->counters.transaction_bytes += bytes;
    batch_maker_add(&intake->maker, now_us, len);
    if (intake->open->len >= batch_maker_target(&intake->maker)) batch_seal(intake);
}

enum status intake_commit(struct intake *intake,
                          struct intake_place *ret_place,
                          uint64_t now_us,
                          size_t len,
                          uint32_t transactions_max)
{
    CHECK(len == intake->reserved);
    struct reader reader = reader_make(intake->open->data + BUFFER_BATCH + intake->open->len, len);
    struct bytes transaction;
    uint32_t transactions = 0;
    uint64_t bytes = 0;
    while (batch_next(&transaction, &reader)) {
        transactions++;
        bytes += transaction.len;
    }
    if (!reader_done(&reader) || transactions == 0 || transactions > transactions_max) {
        return ERR_MALFORMED;
    }
    take_reserved(intake, ret_place, now_us, len, transactions, bytes);
    return OK;
}

enum status intake_add(struct intake *intake,
                       struct intake_place *ret_place,
                       uint64_t now_us,
                       struct bytes transaction)
{
    if (transaction.len == 0) return ERR_MALFORMED;
    if (transaction.len > TRANSACTION_BYTES_MAX) return ERR_TOO_LARGE;
    size_t len = batch_entry_bytes(transaction.len);
    struct writer writer = writer_make(intake_reserve(intake, len), len);
    batch_append(&writer, transaction.data, transaction.len);
    CHECK(!writer.failed);
    CHECK(writer.len == len);
    take_reserved(intake, ret_place, now_us, len, 1, transaction.len);
    return OK;
}

uint64_t intake_deadline_us(const struct intake *intake)
{
    return batch_maker_deadline_us(&intake->maker);
}

void intake_tick(struct intake *intake, uint64_t now_us)
{
    if (batch_maker_is_due(&intake->maker, now_us)) batch_seal(intake);
}

void intake_flush(struct intake *intake)
{
    if (intake->open_transactions > 0) batch_seal(intake);
}

void intake_set_pressed(struct intake *intake, bool pressed)
{
    intake->pressed = pressed;
    batch_maker_set_pressed(&intake->maker, pressed);
}

/* ---- what became of it ----------------------------------------------------------------------- */

void intake_wait(struct intake *intake,
                 struct intake_waiter *waiter,
                 uint64_t ticket_number,
                 enum api_level level)
{
    struct ticket *ticket = ticket_slot(intake, ticket_number);
    CHECK(ticket->number == ticket_number);
    waiter->level = level;
    link_init(&waiter->link);
    if (ticket->level >= (int)level) {
        waiter->tell(waiter, &ticket->result);
    } else {
        link_append(&ticket->waiters, &waiter->link);
    }
}

void intake_unwait(struct intake_waiter *waiter)
{
    link_remove(&waiter->link);
}

static void leave_flight(struct intake *intake, struct ticket *ticket)
{
    if (!ticket->in_flight) return;
    ticket->in_flight = false;
    CHECK(intake->bytes_in_flight >= ticket->bytes);
    CHECK(intake->batches_in_flight >= 1);
    intake->bytes_in_flight -= ticket->bytes;
    intake->batches_in_flight--;
}

/* Tells those whose level is reached, or all of them when the batch failed. Waiters that are told
 * may take others back, so the ring is walked from its head: those that stay go to a ring of their
 * own. */
static void tell_waiters(struct ticket *ticket, const struct intake_result *result)
{
    struct link stay;
    link_init(&stay);
    while (!link_is_alone(&ticket->waiters)) {
        struct intake_waiter *waiter = LINK_ITEM(ticket->waiters.next, struct intake_waiter, link);
        link_remove(&waiter->link);
        if (result->failed != NULL || waiter->level <= result->level) {
            waiter->tell(waiter, result);
        } else {
            link_append(&stay, &waiter->link);
        }
    }
    while (!link_is_alone(&stay)) {
        struct link *link = stay.next;
        link_remove(link);
        link_append(&ticket->waiters, link);
    }
}

void intake_event(struct intake *intake, uint64_t ticket_number, const struct intake_result *result)
{
    CHECK(ticket_number < intake->next);
    struct ticket *ticket = ticket_slot(intake, ticket_number);
    if (ticket->number != ticket_number) return; /* it has ended */
    CHECK(ticket->sealed);
    bool failed = result->failed != NULL;
    if (!failed && (int)result->level <= ticket->level) return;

    if (failed || result->level >= API_LEVEL_CERTIFIED) leave_flight(intake, ticket);
    if (!failed) {
        ticket->level = (int)result->level;
        ticket->result = *result;
    }
    tell_waiters(ticket, result);
    if (!failed && result->level < API_LEVEL_COMMITTED) return;
    CHECK(link_is_alone(&ticket->waiters));
    ticket->number = 0;
    intake->counters.tickets--;
    while (intake->oldest < intake->next && ticket_slot(intake, intake->oldest)->number == 0) {
        intake->oldest++;
    }
}

struct intake_counters intake_get_counters(const struct intake *intake)
{
    struct intake_counters counters = intake->counters;
    counters.bytes_in_flight = intake->bytes_in_flight;
    return counters;
}
