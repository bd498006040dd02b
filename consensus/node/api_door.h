/* Who may do what on the gRPC ports: bearer tokens for calls, envelopes for transactions, limits per
 * client address and per key. The half that knows nothing of gRPC's calls. docs/protocol.md, Access.
 *
 * A door is made whole from what the files say. When they change a new one takes its place and
 * inherits what the old one remembers of the keys that stay: used nonces and spent limits.
 *
 * Envelopes are judged message by message, all or none: network, expiry, key and the key's limit of
 * all of them first, which is cheap; then signatures and nonces; only when all are good are nonces
 * used and limits charged. So whoever is refused can send the same bytes again.
 *
 * Owned by the gRPC thread; api_door_new may run on another. */
#ifndef CONSENSUS_NODE_API_DOOR_H
#define CONSENSUS_NODE_API_DOOR_H

#include <grpc/status.h>

#include "common/envelope.h"
#include "consensus/node/api.h"

/* Longest status text, bytes. */
#define TEXT_BYTES 256u

/* What was wrong with a message. */
struct refusal {
    grpc_status_code code;
    char text[TEXT_BYTES];
    bool is_access; /* `reason` is set: the door refused it */
    enum api_refusal reason;
    uint32_t retry_ms; /* over a limit: try again after; else 0 */
};

struct api_door;
struct submitter;

/* NULL when everything is off. What the options point to is copied. */
struct api_door *api_door_new(const struct api_access *access);

/* Takes over what `old` remembers, and frees it; NULL is fine. */
void api_door_inherit(struct api_door *door, struct api_door *old);
void api_door_free(struct api_door *door); /* NULL is fine */

/* ---- calls ----------------------------------------------------------------------------------- */

/* Judges a call by its authorization metadata; {NULL, 0} when there is none. */
enum token_answer api_door_judge_token(const struct api_door *door,
                                       enum token_right right,
                                       struct bytes authorization);

/* ---- addresses ------------------------------------------------------------------------------- */

bool api_door_limits_addresses(const struct api_door *door);

/* False, with the refusal, while the address is over its limits. */
bool api_door_admit_address(struct api_door *door,
                            struct refusal *ret_refusal,
                            const struct rate_address *address,
                            uint64_t now_ns);
void api_door_charge_address(struct api_door *door,
                             const struct rate_address *address,
                             const struct rate_cost *cost,
                             uint64_t now_ns);

/* ---- envelopes ------------------------------------------------------------------------------- */

bool api_door_wants_envelopes(const struct api_door *door);

struct door_item {
    struct envelope envelope;
    struct submitter *submitter; /* the door's */
};

/* Judges the envelopes of one message. True: their nonces are used, their keys charged. */
bool api_door_admit(struct api_door *door,
                    struct refusal *ret_refusal,
                    struct door_item *items,
                    size_t count,
                    uint64_t now_ns,
                    uint64_t wall_ms);

/* Signatures verified so far: what a message really cost. */
uint64_t api_door_verified(const struct api_door *door);

/* Fills a refusal. */
bool door_refuse(struct refusal *ret_refusal,
                 grpc_status_code code,
                 enum api_refusal reason,
                 const char *format,
                 ...) __attribute__((format(printf, 4, 5)));

#endif
