/* The insides of the RPC, shared by rpc.c (streams, batcher, health), rpc_blocks.c (blocks and
 * storage) and rpc_faults.c. */
#ifndef HOST_RPC_STATE_H
#define HOST_RPC_STATE_H

#include "rollup-kernel/host/base58.h"
#include "rollup-kernel/host/rpc.h"

/* Open monitor streams; the next one is refused. */
#define RPC_MONITORS_MAX 64u

struct rpc_monitor {
    struct rpc *rpc;
    struct http_stream *stream; /* NULL: free */
    bool finalized;
};

struct rpc_held;

struct rpc {
    struct event_base *base;
    struct rollup_node *node;
    struct http_server *server;
    struct rpc_monitor monitors[RPC_MONITORS_MAX];
    struct rpc_held *held; /* requests whose answer is late on purpose */
    uint32_t held_count;
    bool lose_answer; /* of the injection at hand */
};

/* Status 500 and [{"kind": "temporary", "id": ..., "msg": ...}]. */
void rpc_fail(struct http_request *request, const char *id, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* A base58 hash as a JSON string. */
json_t *rpc_hash(enum base58_kind kind, const struct digest *digest);

/* The header of a block. */
json_t *rpc_header(const struct rollup_node *node, const struct rollup_block *block);

/* The block that the path names; NULL when it is unknown, and then the reply is made. */
const struct rollup_block *rpc_block(struct rpc *rpc, struct http_request *request);

/* Handlers of rpc_blocks.c; the context is the rpc. */
void rpc_get_block(void *context, struct http_request *request);
void rpc_get_hash(void *context, struct http_request *request);
void rpc_get_level(void *context, struct http_request *request);
void rpc_get_num_messages(void *context, struct http_request *request);
void rpc_get_state_hash(void *context, struct http_request *request);
void rpc_get_status(void *context, struct http_request *request);
void rpc_get_value(void *context, struct http_request *request);
void rpc_get_length(void *context, struct http_request *request);
void rpc_get_subkeys(void *context, struct http_request *request);
void rpc_get_values(void *context, struct http_request *request);
void rpc_get_outbox(void *context, struct http_request *request);

/* Faults: the server's intercept. Of an injection that is done rpc_lost_answer says whether its
 * answer is lost; then the reply is made. rpc_drop_held ends what is held back, after the server. */
bool rpc_intercept(void *context, struct http_request *request);
bool rpc_lost_answer(struct rpc *rpc, struct http_request *request);
void rpc_drop_held(struct rpc *rpc);

/* Handlers of rpc_faults.c. */
void rpc_get_faults(void *context, struct http_request *request);
void rpc_post_faults(void *context, struct http_request *request);
void rpc_post_reorg(void *context, struct http_request *request);

#endif
