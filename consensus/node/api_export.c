/* exporter.Exporter: each subscriber walks the indexes one by one. It wants pre-blocks ahead of what it
 * sends, as far as the tip allows, so history flows without a gap into what is live. Subscribers at the
 * same place share one want and the bytes of its answer.
 *
 * How far ahead: a want takes its way through three threads, so small pre-blocks need many wants under way
 * to keep the reader busy, and large ones only few. The size of a pre-block is not known before it is
 * read: what is wanted is reckoned with as much as the largest answer lately (`expected_bytes`: the newest
 * answer, or the expectation before it less a sixteenth), and before the first answer only one is wanted.
 * A subscriber wants more while it is less than API_EXPORT_AHEAD_MAX ahead, has less than its share of
 * API_WANTS_MAX unanswered, and what it holds and expects fits in API_EXPORT_AHEAD_BYTES_MAX. Shares are
 * equal, among those that have not wanted all up to the tip: who waits for the tip to move has none.
 *
 * An expectation can be wrong, the bound is not: an answer that does not fit is dropped, unless it is the
 * very next to be sent, and wanted again later. So a stream never holds more than
 * API_EXPORT_AHEAD_BYTES_MAX and one pre-block, beside the one that gRPC has in hand; and no more than
 * API_WANTS_MAX pre-blocks are between disk and streams. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/handover.h"
#include "consensus/node/api_internal.h"
#include "proto/pb.h"

/* Field numbers of exporter.proto. */
enum { REQUEST_FROM_ID = 1, REQUEST_CERTIFIED = 2 };

/* Invariants: begin <= next_want <= begin + API_EXPORT_AHEAD_MAX, where begin is `next_send`, the
 * lowest index not given to gRPC; places of [next_send, next_want) are at index % AHEAD, NULL where the
 * want was not answered yet: `unanswered` of them. */
struct exported {
    struct call *call;
    struct link link; /* in api->exports */
    bool certified;
    bool opened; /* the request was read */
    uint64_t next_send;
    uint64_t next_want;
    uint32_t unanswered;
    size_t held_bytes;     /* in places */
    size_t expected_bytes; /* of the next answers, each; 0: nothing was answered yet */
    uint64_t sent_us;      /* when gRPC was given the message it has in hand */
    struct buffer *places[API_EXPORT_AHEAD_MAX];
};

static uint64_t tip_of(const struct api *api, bool certified)
{
    return certified ? api->certified : api->made;
}

/* ---- wants ----------------------------------------------------------------------------------- */

/* Asks the loop, unless it was asked already. False when the table is full, which wants may cause whose
 * subscribers left, or had larger shares then: it is made up for when an answer comes. */
static bool want(struct api *api, uint64_t index, bool certified)
{
    struct want *free_entry = NULL;
    for (size_t i = 0; i < API_WANTS_MAX; i++) {
        struct want *entry = &api->wants[i];
        if (entry->index == index && entry->certified == certified) return true;
        if (entry->index == 0) free_entry = entry;
    }
    if (free_entry == NULL) api->wants_missed = true;
    if (free_entry == NULL) return false;
    *free_entry = (struct want){index, certified};
    struct api_request *request = calloc(1, sizeof *request);
    CHECK(request != NULL);
    request->kind = API_REQUEST_WANT;
    request->index = index;
    request->certified = certified;
    api_request(api, request);
    return true;
}

static void want_answered(struct api *api, uint64_t index, bool certified)
{
    for (size_t i = 0; i < API_WANTS_MAX; i++) {
        struct want *entry = &api->wants[i];
        if (entry->index == index && entry->certified == certified) entry->index = 0;
    }
}

/* ---- one subscriber -------------------------------------------------------------------------- */

static struct buffer **place_of(struct exported *export, uint64_t index)
{
    return &export->places[index % API_EXPORT_AHEAD_MAX];
}

static void hold(struct exported *export, const struct buffer *subdag)
{
    export->held_bytes += subdag->len;
    export->call->api->counters.exports_held_bytes += subdag->len;
}

static void let_go(struct exported *export, const struct buffer *subdag)
{
    CHECK(export->held_bytes >= subdag->len);
    export->held_bytes -= subdag->len;
    export->call->api->counters.exports_held_bytes -= subdag->len;
}

/* False before the request was read, too: `next_want` is 0. */
static bool has_more_to_want(const struct exported *export)
{
    const struct api *api = export->call->api;
    return export->next_want >= api->oldest && export->next_want <= tip_of(api, export->certified);
}

/* Whether one more unanswered want is in its share. Sharers are counted anew, as a tip changes many at
 * once, and only as far as decides: not at all while every stream there is could have that much. */
static bool is_below_share(const struct exported *export)
{
    const struct api *api = export->call->api;
    const unsigned sharers_max = API_WANTS_MAX / (export->unanswered + 1);
    if (api->exports_count <= sharers_max) return true;
    unsigned sharers = 0;
    for (struct link *link = api->exports.next; link != &api->exports; link = link->next) {
        if (has_more_to_want(LINK_ITEM(link, struct exported, link))) sharers++;
        if (sharers > sharers_max) return false;
    }
    return true;
}

static bool has_room(const struct exported *export)
{
    const uint64_t ahead = export->next_want - export->next_send;
    const uint64_t unanswered = export->unanswered;
    if (ahead == 0) return true;
    if (ahead == API_EXPORT_AHEAD_MAX || export->expected_bytes == 0) return false;
    if (export->held_bytes + (unanswered + 1) * export->expected_bytes > API_EXPORT_AHEAD_BYTES_MAX)
        return false;
    return is_below_share(export);
}

static void refuse_below(struct exported *export)
{
    char text[TEXT_BYTES];
    (void)snprintf(text, sizeof text,
                   "pre-block %" PRIu64 " is not kept any more: the oldest id is %" PRIu64,
                   export->next_send, export->call->api->oldest);
    call_finish(export->call, GRPC_STATUS_OUT_OF_RANGE, text, NULL);
}

/* Wants what it may. */
static void want_more(struct exported *export)
{
    struct api *api = export->call->api;
    while (has_more_to_want(export) && has_room(export)) {
        if (!want(api, export->next_want, export->certified)) return;
        *place_of(export, export->next_want) = NULL;
        export->next_want++;
        export->unanswered++;
    }
}

/* Wants nothing from `index` on any more. */
static void give_back(struct exported *export, uint64_t index)
{
    for (uint64_t i = index; i < export->next_want; i++) {
        struct buffer **place = place_of(export, i);
        if (*place == NULL) export->unanswered--;
        if (*place != NULL) let_go(export, *place);
        buffer_unref(*place);
        *place = NULL;
    }
    export->next_want = index;
}

/* Takes an answer, unless that would be too much. */
static void take(struct exported *export, uint64_t index, struct buffer *subdag)
{
    const size_t faded = export->expected_bytes - export->expected_bytes / 16;
    export->expected_bytes = subdag->len > faded ? subdag->len : faded;
    if (index != export->next_send &&
        export->held_bytes + subdag->len > API_EXPORT_AHEAD_BYTES_MAX) {
        give_back(export, index);
        return;
    }
    *place_of(export, index) = buffer_ref(subdag);
    hold(export, subdag);
    export->unanswered--;
}

static void unref_subdag(void *subdag)
{
    HANDOVER_TAKE(subdag);
    buffer_unref(subdag);
}

static void send_subdag(struct exported *export, struct buffer **place)
{
    struct api *api = export->call->api;
    struct buffer *subdag = *place;
    *place = NULL;
    export->next_send++;
    let_go(export, subdag);
    export->sent_us = api->now_us;
    api->counters.exported++;
    api->counters.exported_bytes += subdag->len;
    HANDOVER_GIVE(subdag);
    grpc_slice slice = grpc_slice_new_with_user_data(subdag->data + subdag->begin, subdag->len,
                                                     unref_subdag, subdag);
    call_send(export->call, slice);
    grpc_slice_unref(slice);
}

/* Gives gRPC the next pre-block when it is there and gRPC is free; wants more. May end the call. */
static void send_next(struct exported *export)
{
    if (!export->opened) return;
    if (!export->call->sending) {
        struct buffer **place = place_of(export, export->next_send);
        if (export->next_send < export->next_want && *place != NULL) {
            send_subdag(export, place);
        } else if (export->next_send < export->call->api->oldest) {
            refuse_below(export);
            return;
        }
    }
    want_more(export);
}

static void on_sent(struct call *call)
{
    send_next(call->state);
}

static void on_request(struct call *call, grpc_byte_buffer *message)
{
    struct exported *export = call->state;
    if (message == NULL) {
        call_finish(call, GRPC_STATUS_INVALID_ARGUMENT, "the call carries no message", NULL);
        return;
    }
    uint8_t memory[256];
    struct reader reader = call_read_small(memory, sizeof memory, message);
    uint64_t from_id = 0;
    struct pb_field field;
    while (pb_next(&field, &reader)) {
        if (field.kind != PB_VARINT) continue;
        if (field.number == REQUEST_FROM_ID) from_id = field.value;
        if (field.number == REQUEST_CERTIFIED) export->certified = field.value != 0;
    }
    if (!reader_done(&reader) || from_id == UINT64_MAX) {
        call_finish(call, GRPC_STATUS_INVALID_ARGUMENT, "the request is malformed", NULL);
        return;
    }
    export->opened = true;
    export->next_send = from_id + 1;
    export->next_want = from_id + 1;
    if (export->next_send >= call->api->oldest) call_greet(call);
    send_next(export);
}

static void on_end(struct call *call)
{
    struct exported *export = call->state;
    give_back(export, export->next_send);
    CHECK(export->held_bytes == 0);
    CHECK(export->unanswered == 0);
    link_remove(&export->link);
    call->api->exports_count--;
    free(export);
}

static void start_export(struct call *call)
{
    struct api *api = call->api;
    if (api->exports_count >= API_EXPORTS_MAX) {
        api->counters.refused_exhausted++;
        call_finish(call, GRPC_STATUS_RESOURCE_EXHAUSTED, "too many export streams are open", NULL);
        return;
    }
    struct exported *export = calloc(1, sizeof *export);
    CHECK(export != NULL);
    export->call = call;
    link_init(&export->link);
    link_append(&api->exports, &export->link);
    api->exports_count++;
    call->state = export;
    call->end = on_end;
    call->received = on_request;
    call->sent = on_sent;
    call_watch(call);
    call_receive(call);
}

/* ---- all subscribers ------------------------------------------------------------------------- */

void exports_init(struct api *api)
{
    link_init(&api->exports);
    api->oldest = 1;
}

/* Runs for each subscriber; it may end its own call, and no other. */
static void for_each(struct api *api,
                     void (*run)(struct exported *export, const void *argument),
                     const void *argument)
{
    struct link *next;
    for (struct link *link = api->exports.next; link != &api->exports; link = next) {
        next = link->next;
        run(LINK_ITEM(link, struct exported, link), argument);
    }
}

static void wake(struct exported *export, const void *unused)
{
    (void)unused;
    send_next(export);
}

void exports_on_tip(struct api *api)
{
    for_each(api, wake, NULL);
}

struct answer {
    uint64_t index;
    bool certified;
    struct buffer *subdag; /* NULL: gone */
};

static void give(struct exported *export, const void *argument)
{
    const struct answer *answer = argument;
    if (export->certified != answer->certified) return;
    if (answer->index < export->next_send || answer->index >= export->next_want) return;
    if (*place_of(export, answer->index) != NULL) return;
    if (answer->subdag == NULL) {
        if (answer->index < export->call->api->oldest) return; /* send_next ends it in its turn */
        char text[TEXT_BYTES];
        (void)snprintf(text, sizeof text, "pre-block %" PRIu64 " cannot be read", answer->index);
        call_finish(export->call, GRPC_STATUS_INTERNAL, text, NULL);
        return;
    }
    take(export, answer->index, answer->subdag);
    send_next(export);
}

void exports_on_item(struct api *api, uint64_t index, bool certified, struct buffer *subdag)
{
    want_answered(api, index, certified);
    struct answer answer = {index, certified, subdag};
    for_each(api, give, &answer);
    if (!api->wants_missed) return;
    api->wants_missed = false;
    for_each(api, wake, NULL);
}

void exports_on_gone(struct api *api, uint64_t index, bool certified)
{
    want_answered(api, index, certified);
    struct answer answer = {index, certified, NULL};
    for_each(api, give, &answer);
    for_each(api, wake, NULL);
}

static void cut_stalled(struct exported *export, const void *unused)
{
    (void)unused;
    struct api *api = export->call->api;
    if (!export->call->sending) return;
    if (api->now_us < export->sent_us + api->options.export_stall_us) return;
    char text[TEXT_BYTES];
    (void)snprintf(text, sizeof text,
                   "the reader took nothing for %" PRIu64
                   " ms and was cut; the last id sent is %" PRIu64,
                   api->options.export_stall_us / 1000, export->next_send - 1);
    api->counters.exports_cut++;
    call_cut(export->call, GRPC_STATUS_RESOURCE_EXHAUSTED, text);
}

void exports_tick(struct api *api)
{
    for_each(api, cut_stalled, NULL);
}

uint64_t exports_deadline_us(const struct api *api)
{
    uint64_t deadline_us = UINT64_MAX;
    for (struct link *link = api->exports.next; link != &api->exports; link = link->next) {
        const struct exported *export = LINK_ITEM(link, struct exported, link);
        if (!export->call->sending) continue;
        deadline_us = u64_min(deadline_us, export->sent_us + api->options.export_stall_us);
    }
    return deadline_us;
}

const struct method exporter_methods[] = {
    {"/exporter.Exporter/Export", start_export, TOKEN_READ},
    {NULL, NULL, TOKEN_ADMIN},
};
