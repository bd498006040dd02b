/* What the door asks of calls and messages, in gRPC's terms. Nothing of this runs when the door is
 * open to everybody (api->door is NULL). */
#include <grpc/support/alloc.h>
#include <stdlib.h>
#include <time.h>

#include "common/batch.h"
#include "consensus/node/api_submit.h"

/* ---- calls ----------------------------------------------------------------------------------- */

static void refuse_unknown_token(struct call *call)
{
    call->api->counters.refused_access[API_REFUSED_TOKEN]++;
    call_finish(call, GRPC_STATUS_UNAUTHENTICATED,
                "a bearer token of this node is needed (metadata: authorization)", NULL);
}

static void refuse_right(struct call *call)
{
    call->api->counters.refused_access[API_REFUSED_RIGHT]++;
    call_finish(call, GRPC_STATUS_PERMISSION_DENIED,
                "this token does not carry the right that this method needs", NULL);
}

static const struct method method_unauthenticated = {"", refuse_unknown_token, TOKEN_OPEN};
static const struct method method_forbidden = {"", refuse_right, TOKEN_OPEN};

static struct bytes find_authorization(const grpc_metadata_array *metadata)
{
    for (size_t i = 0; i < metadata->count; i++) {
        const grpc_metadata *entry = &metadata->metadata[i];
        if (grpc_slice_str_cmp(entry->key, "authorization") != 0) continue;
        return (struct bytes){GRPC_SLICE_START_PTR(entry->value), GRPC_SLICE_LENGTH(entry->value)};
    }
    return (struct bytes){NULL, 0};
}

const struct method *guard_method(const struct api_door *door,
                                  const struct method *method,
                                  const grpc_metadata_array *metadata)
{
    switch (api_door_judge_token(door, method->right, find_authorization(metadata))) {
    case TOKEN_GOOD:
        break;
    case TOKEN_UNKNOWN:
        return &method_unauthenticated;
    case TOKEN_FORBIDDEN:
        return &method_forbidden;
    }
    return method;
}

void guard_submit(struct submit *submit)
{
    const struct api *api = submit->call->api;

    if (api->door == NULL || !api_door_limits_addresses(api->door)) return;
    char *peer = grpc_call_get_peer(submit->call->grpc);
    submit->address = rate_address_parse(peer);
    gpr_free(peer);
}

/* ---- messages -------------------------------------------------------------------------------- */

static uint64_t wall_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000u + (uint64_t)now.tv_nsec / 1000000u;
}

static size_t count_entries(struct bytes canonical)
{
    struct reader reader = reader_make(canonical.data, canonical.len);
    struct bytes transaction;
    size_t count = 0;

    while (batch_next(&transaction, &reader))
        count++;
    return count;
}

/* False, with the refusal, when one of the transactions is not an envelope. */
static bool open_envelopes(struct door_item *items, struct refusal *refusal, struct bytes canonical)
{
    struct reader reader = reader_make(canonical.data, canonical.len);
    struct bytes transaction;

    for (size_t i = 0; batch_next(&transaction, &reader); i++) {
        struct reader envelope = reader_make(transaction.data, transaction.len);
        envelope_decode(&items[i].envelope, &envelope);
        if (!reader_done(&envelope))
            return door_refuse(refusal, GRPC_STATUS_INVALID_ARGUMENT, API_REFUSED_ENVELOPE,
                               "this node takes transactions in signed envelopes only, and this is "
                               "not one");
    }
    CHECK(reader_done(&reader));
    return true;
}

bool guard_peel(struct writer *ret_payloads,
                struct submit *submit,
                struct refusal *refusal,
                struct bytes canonical)
{
    struct api *api = submit->call->api;
    size_t count = count_entries(canonical);
    struct door_item *items = calloc(count, sizeof *items);

    CHECK(items != NULL);
    bool good = open_envelopes(items, refusal, canonical) &&
                api_door_admit(api->door, refusal, items, count, api->now_us * 1000u, wall_ms());
    for (size_t i = 0; good && i < count; i++)
        batch_append(ret_payloads, items[i].envelope.payload.data, items[i].envelope.payload.len);
    CHECK(!ret_payloads->failed);
    free(items);
    return good;
}

bool guard_take_message(struct submit *submit, struct refusal *refusal, grpc_byte_buffer *message)
{
    struct api *api = submit->call->api;
    struct api_door *door = api->door;
    uint64_t now_ns = api->now_us * 1000u;

    if (!api_door_limits_addresses(door)) return submit_take_open(submit, refusal, message);
    if (!api_door_admit_address(door, refusal, &submit->address, now_ns)) return false;
    uint64_t accepted = submit->accepted;
    uint64_t verified = api_door_verified(door);
    struct rate_cost cost = {1, grpc_byte_buffer_length(message)};
    bool good = submit_take_open(submit, refusal, message);
    /* Refused messages cost as well: what they kept us busy with. */
    cost.transactions = u64_max(cost.transactions, submit->accepted - accepted);
    cost.transactions = u64_max(cost.transactions, api_door_verified(door) - verified);
    api_door_charge_address(door, &submit->address, &cost, now_ns);
    return good;
}
