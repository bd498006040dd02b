#include "consensus/node/api_door.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/replay_window.h"

/* An envelope may expire later than the longest life from now by this: clocks differ. */
#define CLOCK_TOLERANCE_MS 5000u

struct submitter {
    struct public_key key; /* first: compared alone */
    struct rates rates;
    struct rate_bucket bucket;
    struct replay_window *window; /* NULL: nothing was used */
    uint64_t message;             /* that used a nonce last, and the nonce */
    uint64_t message_nonce;
};

struct api_door {
    struct api_access access; /* its pointers are ours or NULL */
    struct rate_table *addresses;
    struct submitter *submitters; /* by key, ascending */
    size_t submitters_count;
    uint64_t message;  /* number of the one that is judged */
    uint64_t verified; /* signatures */
};

bool door_refuse(struct refusal *ret_refusal,
                 grpc_status_code code,
                 enum api_refusal reason,
                 const char *format,
                 ...)
{
    va_list arguments;

    *ret_refusal = (struct refusal){.code = code, .is_access = true, .reason = reason};
    va_start(arguments, format);
    (void)vsnprintf(ret_refusal->text, sizeof ret_refusal->text, format, arguments);
    va_end(arguments);
    return false;
}

static bool refuse_for(struct refusal *ret_refusal,
                       enum api_refusal reason,
                       const char *whose,
                       uint64_t wait_ns)
{
    uint64_t wait_ms = wait_ns / 1000000u + 1;

    (void)door_refuse(ret_refusal, GRPC_STATUS_RESOURCE_EXHAUSTED, reason,
                      "over the rate limit of this %s, try again in %llu ms", whose,
                      (unsigned long long)wait_ms);
    ret_refusal->retry_ms = (uint32_t)u64_min(wait_ms, UINT32_MAX);
    return false;
}

/* ---- life ------------------------------------------------------------------------------------ */

static void copy_submitters(struct api_door *door, const struct allow_list *list)
{
    door->submitters_count = list->count;
    door->submitters = calloc(list->count, sizeof *door->submitters);
    CHECK(door->submitters != NULL);
    for (size_t i = 0; i < list->count; i++) {
        const struct allow_entry *entry = &list->entries[i];
        struct rates rates = door->access.key_rates;
        if (entry->has_transactions) rates.transactions = entry->rates.transactions;
        if (entry->has_bytes) rates.bytes = entry->rates.bytes;
        door->submitters[i] = (struct submitter){.key = entry->key, .rates = rates};
    }
}

static bool limits(const struct rates *rates)
{
    return rates->transactions > 0 || rates->bytes > 0;
}

struct api_door *api_door_new(const struct api_access *access)
{
    if (access->tokens == NULL && access->allow == NULL && !limits(&access->address_rates))
        return NULL;
    struct api_door *door = calloc(1, sizeof *door);
    CHECK(door != NULL);
    door->access = *access;
    door->access.tokens = token_table_clone(access->tokens);
    door->access.allow = NULL;
    if (limits(&access->address_rates)) door->addresses = rate_table_new(&access->address_rates);
    if (access->allow != NULL) copy_submitters(door, access->allow);
    return door;
}

static int compare_keys(const void *a, const void *b)
{
    return memcmp(a, b, sizeof(struct public_key));
}
_Static_assert(offsetof(struct submitter, key) == 0, "compare_keys looks at the key");

static struct submitter *find_submitter(const struct api_door *door, const struct public_key *key)
{
    return bsearch(key, door->submitters, door->submitters_count, sizeof *door->submitters,
                   compare_keys);
}

void api_door_inherit(struct api_door *door, struct api_door *old)
{
    if (old == NULL) return;
    for (size_t i = 0; i < old->submitters_count; i++) {
        struct submitter *before = &old->submitters[i];
        struct submitter *now = find_submitter(door, &before->key);
        if (now == NULL) continue;
        now->bucket = before->bucket;
        now->window = before->window;
        before->window = NULL;
    }
    if (door->addresses != NULL && old->addresses != NULL) {
        rate_table_free(door->addresses);
        door->addresses = old->addresses;
        old->addresses = NULL;
    }
    api_door_free(old);
}

void api_door_free(struct api_door *door)
{
    if (door == NULL) return;
    for (size_t i = 0; i < door->submitters_count; i++)
        free(door->submitters[i].window);
    free(door->submitters);
    token_table_free(door->access.tokens);
    rate_table_free(door->addresses);
    free(door);
}

/* ---- calls and addresses --------------------------------------------------------------------- */

enum token_answer api_door_judge_token(const struct api_door *door,
                                       enum token_right right,
                                       struct bytes authorization)
{
    if (door->access.tokens == NULL) return TOKEN_GOOD;
    return token_table_judge(door->access.tokens, right, authorization);
}

bool api_door_limits_addresses(const struct api_door *door)
{
    return door->addresses != NULL;
}

bool api_door_admit_address(struct api_door *door,
                            struct refusal *ret_refusal,
                            const struct rate_address *address,
                            uint64_t now_ns)
{
    uint64_t wait_ns = rate_table_wait_ns(door->addresses, address, now_ns);

    if (wait_ns == 0) return true;
    return refuse_for(ret_refusal, API_REFUSED_ADDRESS_LIMIT, "address", wait_ns);
}

void api_door_charge_address(struct api_door *door,
                             const struct rate_address *address,
                             const struct rate_cost *cost,
                             uint64_t now_ns)
{
    rate_table_take(door->addresses, address, cost, now_ns);
}

/* ---- envelopes ------------------------------------------------------------------------------- */

bool api_door_wants_envelopes(const struct api_door *door)
{
    return door->submitters != NULL;
}

uint64_t api_door_verified(const struct api_door *door)
{
    return door->verified;
}

/* All that needs no signature; finds the submitter. */
static bool judge_claim(struct api_door *door,
                        struct refusal *ret_refusal,
                        struct door_item *item,
                        uint64_t wall_ms)
{
    const struct envelope *envelope = &item->envelope;
    uint64_t latest_ms = wall_ms + door->access.envelope_life_ms + CLOCK_TOLERANCE_MS;

    if (!digest_equal(&envelope->network, &door->access.network))
        return door_refuse(ret_refusal, GRPC_STATUS_INVALID_ARGUMENT, API_REFUSED_NETWORK,
                           "the envelope is for another network");
    if (envelope->expiry_ms <= wall_ms)
        return door_refuse(ret_refusal, GRPC_STATUS_FAILED_PRECONDITION, API_REFUSED_EXPIRED,
                           "the envelope expired %llu ms ago",
                           (unsigned long long)(wall_ms - envelope->expiry_ms));
    if (envelope->expiry_ms > latest_ms)
        return door_refuse(ret_refusal, GRPC_STATUS_INVALID_ARGUMENT, API_REFUSED_EXPIRY,
                           "the envelope expires more than %llu ms ahead",
                           (unsigned long long)door->access.envelope_life_ms);
    item->submitter = find_submitter(door, &envelope->key);
    if (item->submitter != NULL) return true;
    return door_refuse(ret_refusal, GRPC_STATUS_PERMISSION_DENIED, API_REFUSED_KEY,
                       "the envelope's key is not on this node's list");
}

static bool refuse_replay(struct refusal *ret_refusal, uint64_t nonce, const char *why)
{
    return door_refuse(ret_refusal, GRPC_STATUS_ALREADY_EXISTS, API_REFUSED_REPLAY, "nonce %llu %s",
                       (unsigned long long)nonce, why);
}

/* Signature and nonce. Within one message the nonces of a key ascend: so none is there twice. */
static bool judge_proof(struct api_door *door,
                        struct refusal *ret_refusal,
                        const struct door_item *item)
{
    static const struct replay_window unused;
    struct submitter *submitter = item->submitter;
    uint64_t nonce = item->envelope.nonce;

    door->verified++;
    if (!envelope_verify(&item->envelope))
        return door_refuse(ret_refusal, GRPC_STATUS_UNAUTHENTICATED, API_REFUSED_SIGNATURE,
                           "the envelope's signature is not that of its key");
    if (submitter->message == door->message && nonce <= submitter->message_nonce)
        return refuse_replay(ret_refusal, nonce, "does not ascend within the message");
    submitter->message = door->message;
    submitter->message_nonce = nonce;
    enum status status =
        replay_window_check(submitter->window == NULL ? &unused : submitter->window, nonce);
    if (status == OK) return true;
    return refuse_replay(ret_refusal, nonce,
                         status == ERR_STALE ? "is below the window of this key"
                                             : "of this key was used");
}

static void use(struct submitter *submitter, const struct envelope *envelope, uint64_t now_ns)
{
    const struct rate_cost cost = {1, envelope->payload.len};

    if (submitter->window == NULL) submitter->window = calloc(1, sizeof *submitter->window);
    CHECK(submitter->window != NULL);
    replay_window_mark(submitter->window, envelope->nonce);
    rate_bucket_take(&submitter->bucket, &submitter->rates, &cost, now_ns);
}

bool api_door_admit(struct api_door *door,
                    struct refusal *ret_refusal,
                    struct door_item *items,
                    size_t count,
                    uint64_t now_ns,
                    uint64_t wall_ms)
{
    uint64_t wait_ns = 0;

    for (size_t i = 0; i < count; i++) {
        if (!judge_claim(door, ret_refusal, &items[i], wall_ms)) return false;
        const struct submitter *submitter = items[i].submitter;
        wait_ns =
            u64_max(wait_ns, rate_bucket_wait_ns(&submitter->bucket, &submitter->rates, now_ns));
    }
    if (wait_ns > 0) return refuse_for(ret_refusal, API_REFUSED_KEY_LIMIT, "key", wait_ns);
    door->message++;
    for (size_t i = 0; i < count; i++)
        if (!judge_proof(door, ret_refusal, &items[i])) return false;
    for (size_t i = 0; i < count; i++)
        use(items[i].submitter, &items[i].envelope, now_ns);
    return true;
}
