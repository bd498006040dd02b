/* narwhal.Transactions and dsn.Transactions. Four methods, two shapes: one message and an answer
 * when its batch reached a level, or a stream of messages and an answer when all batches they went
 * into did. */
#include "consensus/node/api_submit.h"

#include <stdlib.h>

#include "proto/receipt.h"

/* A batch that a stream waits for. */
struct wait {
    struct intake_waiter waiter;
    struct link link; /* in the stream's waits */
    struct submit *submit;
};

static bool is_unary(const struct submit *submit)
{
    return submit->kind == SUBMIT_UNARY || submit->kind == SUBMIT_WAIT;
}

/* ---- answers --------------------------------------------------------------------------------- */

static void fail(struct submit *submit, grpc_status_code code, const char *text)
{
    struct api_counters *counters = &submit->call->api->counters;
    if (code == GRPC_STATUS_INVALID_ARGUMENT) counters->refused_invalid++;
    if (code == GRPC_STATUS_RESOURCE_EXHAUSTED) counters->refused_exhausted++;
    if (code == GRPC_STATUS_UNAVAILABLE) counters->refused_unavailable++;
    call_finish(submit->call, code, text, NULL);
}

static void refuse(struct submit *submit, const struct refusal *refusal)
{
    if (refusal->is_access) submit->call->api->counters.refused_access[refusal->reason]++;
    submit->call->retry_ms = refusal->retry_ms;
    fail(submit, refusal->code, refusal->text);
}

/* Code OK with the message written; frees nothing but the call's state. */
static void answer(struct submit *submit, const struct writer *writer)
{
    CHECK(!writer->failed);
    grpc_slice slice = grpc_slice_from_copied_buffer((const char *)writer->data, writer->len);
    call_finish(submit->call, GRPC_STATUS_OK, "", &slice);
    grpc_slice_unref(slice);
}

static void answer_unary(struct intake_waiter *waiter, const struct intake_result *result)
{
    struct submit *submit = LINK_ITEM(waiter, struct submit, waiter);
    if (result->failed != NULL) {
        fail(submit, GRPC_STATUS_UNAVAILABLE, result->failed);
        return;
    }
    uint8_t memory[RECEIPT_BYTES_MAX];
    struct writer writer = writer_make(memory, sizeof memory);
    if (submit->kind == SUBMIT_WAIT) {
        bool committed = result->level == API_LEVEL_COMMITTED;
        const struct receipt receipt = {
            .digest = result->digest,
            .index = committed ? result->index : 0,
            .position = committed ? result->position + submit->offset : 0,
            .level = (uint32_t)result->level + 1,
            .offset = submit->offset,
        };
        receipt_write(&writer, &receipt);
    }
    answer(submit, &writer);
}

/* A stream is answered when the client has closed it and no batch is waited for. */
static void answer_stream(struct submit *submit)
{
    if (!submit->closed || !link_is_alone(&submit->waits)) return;
    uint8_t memory[SUMMARY_BYTES_MAX];
    struct writer writer = writer_make(memory, sizeof memory);
    if (submit->kind == SUBMIT_BATCHES)
        summary_write(&writer, &(struct summary){submit->accepted, submit->bytes});
    answer(submit, &writer);
}

static void tell_stream(struct intake_waiter *waiter, const struct intake_result *result)
{
    struct wait *wait = LINK_ITEM(waiter, struct wait, waiter);
    struct submit *submit = wait->submit;
    link_remove(&wait->link);
    free(wait);
    if (result->failed != NULL) {
        fail(submit, GRPC_STATUS_UNAVAILABLE, result->failed);
    } else {
        answer_stream(submit);
    }
}

void submit_wait_for(struct submit *submit, const struct intake_place *place)
{
    struct api *api = submit->call->api;
    if (is_unary(submit)) {
        submit->offset = place->offset;
        submit->waiter.tell = answer_unary;
        intake_wait(api->intake, &submit->waiter, place->ticket, submit->level);
        return;
    }
    submit->accepted += place->transactions;
    submit->bytes += place->bytes;
    if (submit->last_ticket == place->ticket) return;
    submit->last_ticket = place->ticket;
    struct wait *wait = calloc(1, sizeof *wait);
    CHECK(wait != NULL);
    wait->submit = submit;
    wait->waiter.tell = tell_stream;
    link_init(&wait->link);
    link_append(&submit->waits, &wait->link);
    intake_wait(api->intake, &wait->waiter, place->ticket, submit->level);
}

/* ---- the calls ------------------------------------------------------------------------------- */

static void block(struct submit *submit)
{
    link_append(&submit->call->api->blocked, &submit->blocked);
    if (is_unary(submit)) submit->call->api->waiting_calls++;
}

static void unblock(struct submit *submit)
{
    if (link_is_alone(&submit->blocked)) return;
    link_remove(&submit->blocked);
    if (!is_unary(submit)) return;
    CHECK(submit->call->api->waiting_calls >= 1);
    submit->call->api->waiting_calls--;
}

/* Room, and nobody who came earlier waits for it. */
static bool may_go_on(const struct api *api)
{
    return intake_has_room(api->intake) && link_is_alone(&api->blocked);
}

/* True when submissions are taken; else the call is finished. */
static bool is_open(struct submit *submit)
{
    struct api *api = submit->call->api;
    if (api->stopping) {
        fail(submit, GRPC_STATUS_UNAVAILABLE, "the node is stopping");
    } else if (!api->ready) {
        fail(submit, GRPC_STATUS_UNAVAILABLE, "the node is not ready");
    } else {
        return true;
    }
    return false;
}

static void take_unary(struct submit *submit, grpc_byte_buffer *message)
{
    struct refusal refusal;
    bool good = submit_take_message(submit, &refusal, message);
    grpc_byte_buffer_destroy(message);
    if (!good) refuse(submit, &refusal);
}

static void on_unary_message(struct call *call, grpc_byte_buffer *message)
{
    struct submit *submit = call->state;
    if (message == NULL) {
        fail(submit, GRPC_STATUS_INVALID_ARGUMENT, "the call carries no message");
        return;
    }
    if (!is_open(submit)) {
        grpc_byte_buffer_destroy(message);
    } else if (may_go_on(call->api)) {
        take_unary(submit, message);
    } else if (call->api->waiting_calls < API_WAITING_CALLS_MAX) {
        submit->held = message;
        block(submit);
    } else {
        grpc_byte_buffer_destroy(message);
        fail(submit, GRPC_STATUS_RESOURCE_EXHAUSTED, "too much is in flight, try again later");
    }
}

static void read_on(struct submit *submit)
{
    if (may_go_on(submit->call->api)) {
        call_receive(submit->call);
    } else {
        block(submit);
    }
}

/* A stream's message over a limit waits for its time instead of ending the stream, if there is
 * room. True when it is kept. */
static bool slow_down(struct submit *submit,
                      const struct refusal *refusal,
                      grpc_byte_buffer *message)
{
    struct api *api = submit->call->api;
    size_t len = grpc_byte_buffer_length(message);
    if (refusal->retry_ms == 0 || len > API_HELD_BYTES_MAX - api->held_bytes) return false;
    api->held_bytes += len;
    api->counters.slowed++;
    submit->held = message;
    submit->resume_us = api->now_us + (uint64_t)refusal->retry_ms * 1000u;
    link_append(&api->slowed, &submit->slowed);
    return true;
}

static void leave_slowed(struct submit *submit)
{
    struct api *api = submit->call->api;
    if (link_is_alone(&submit->slowed)) return;
    link_remove(&submit->slowed);
    CHECK(api->held_bytes >= grpc_byte_buffer_length(submit->held));
    api->held_bytes -= grpc_byte_buffer_length(submit->held);
}

static void take_of_stream(struct submit *submit, grpc_byte_buffer *message)
{
    struct refusal refusal;
    bool good = is_open(submit);
    if (good) {
        good = submit_take_message(submit, &refusal, message);
        if (!good && slow_down(submit, &refusal, message)) return;
        if (!good) refuse(submit, &refusal);
    }
    grpc_byte_buffer_destroy(message);
    if (good) read_on(submit);
}

static void on_stream_message(struct call *call, grpc_byte_buffer *message)
{
    struct submit *submit = call->state;
    if (message != NULL) {
        take_of_stream(submit, message);
        return;
    }
    submit->closed = true;
    answer_stream(submit);
}

static void on_end(struct call *call)
{
    struct submit *submit = call->state;
    unblock(submit);
    leave_slowed(submit);
    grpc_byte_buffer_destroy(submit->held);
    intake_unwait(&submit->waiter);
    while (!link_is_alone(&submit->waits)) {
        struct wait *wait = LINK_ITEM(submit->waits.next, struct wait, link);
        link_remove(&wait->link);
        intake_unwait(&wait->waiter);
        free(wait);
    }
    free(submit);
}

static struct submit *submit_start(struct call *call, enum submit_kind kind)
{
    struct submit *submit = calloc(1, sizeof *submit);
    CHECK(submit != NULL);
    submit->call = call;
    submit->kind = kind;
    submit->level = call->api->options.level;
    link_init(&submit->blocked);
    link_init(&submit->slowed);
    link_init(&submit->waiter.link);
    link_init(&submit->waits);
    call->state = submit;
    call->end = on_end;
    guard_submit(submit);
    call->received = is_unary(submit) ? on_unary_message : on_stream_message;
    return submit;
}

static void start_unary(struct call *call)
{
    struct submit *submit = submit_start(call, SUBMIT_UNARY);
    if (is_open(submit)) call_receive(call);
}

/* It may wait long for `committed`: notice a client that gave up. */
static void start_wait(struct call *call)
{
    struct submit *submit = submit_start(call, SUBMIT_WAIT);
    if (!is_open(submit)) return;
    call_watch(call);
    call_receive(call);
}

static void start_stream(struct call *call)
{
    struct submit *submit = submit_start(call, SUBMIT_STREAM);
    if (!is_open(submit)) return;
    call_watch(call);
    read_on(submit);
}

static void start_batches(struct call *call)
{
    struct submit *submit = submit_start(call, SUBMIT_BATCHES);
    if (!is_open(submit)) return;
    call_watch(call);
    read_on(submit);
}

void submit_resume(struct api *api)
{
    while (!link_is_alone(&api->blocked) && intake_has_room(api->intake)) {
        struct submit *submit = LINK_ITEM(api->blocked.next, struct submit, blocked);
        unblock(submit);
        if (!is_unary(submit)) {
            call_receive(submit->call);
            continue;
        }
        grpc_byte_buffer *message = submit->held;
        submit->held = NULL;
        take_unary(submit, message);
    }
}

void submit_tick(struct api *api)
{
    struct link *link = api->slowed.next;
    while (link != &api->slowed) {
        struct submit *submit = LINK_ITEM(link, struct submit, slowed);
        link = link->next;
        if (submit->resume_us > api->now_us) continue;
        leave_slowed(submit);
        grpc_byte_buffer *message = submit->held;
        submit->held = NULL;
        take_of_stream(submit, message);
    }
}

uint64_t submit_deadline_us(const struct api *api)
{
    uint64_t deadline_us = UINT64_MAX;
    for (struct link *link = api->slowed.next; link != &api->slowed; link = link->next)
        deadline_us = u64_min(deadline_us, LINK_ITEM(link, struct submit, slowed)->resume_us);
    return deadline_us;
}

void submit_stop(struct api *api)
{
    while (!link_is_alone(&api->slowed)) {
        struct submit *submit = LINK_ITEM(api->slowed.next, struct submit, slowed);
        fail(submit, GRPC_STATUS_UNAVAILABLE, "the node is stopping");
    }
    while (!link_is_alone(&api->blocked)) {
        struct submit *submit = LINK_ITEM(api->blocked.next, struct submit, blocked);
        fail(submit, GRPC_STATUS_UNAVAILABLE, "the node is stopping");
    }
}

const struct method transactions_methods[] = {
    {"/narwhal.Transactions/SubmitTransaction", start_unary, TOKEN_SUBMIT},
    {"/narwhal.Transactions/SubmitTransactionStream", start_stream, TOKEN_SUBMIT},
    {"/dsn.Transactions/SubmitBatch", start_batches, TOKEN_SUBMIT},
    {"/dsn.Transactions/SubmitAndWait", start_wait, TOKEN_SUBMIT},
    {NULL, NULL, TOKEN_ADMIN},
};
