/* JSON-RPC 2.0 over POST /. Single requests, batches of up to JSON_RPC_BATCH_MAX, and notifications.
 *
 *   sequencer_append  [hex] or {"data": hex}             -> index of the pre-block it was committed in
 *   sequencer_read    [from, to] or {"from", "to"}       -> [{"index", "digest", "round", "timestamp",
 *                     (also sequencer_get)                   "transactions": [hex, ...]}, ...]
 *                     pre-blocks from .. to, both included, read from consensus; the list is shorter when `to` is
 *                     beyond the last one, and after JSON_RPC_READ_MAX pre-blocks or JSON_RPC_READ_BYTES_MAX bytes
 *   sequencer_info    []                                 -> {"count", "accepted", "applied", "optimistic", "level",
 *                                                            "network", "epoch", "committee"}
 *
 * Errors: -32700 not JSON, -32600 not a request, -32601 no such method, -32602 wrong parameters; -32001 the transaction was
 * refused, -32002 busy, -32003 consensus is down or does not have what was asked for. */
#ifndef SEQUENCER_JSON_RPC_H
#define SEQUENCER_JSON_RPC_H

#include "sequencer/sequencer.h"

#define JSON_RPC_BATCH_MAX      32u
#define JSON_RPC_READ_MAX       100u
#define JSON_RPC_READ_BYTES_MAX (4u * 1024u * 1024u)

struct json_rpc;
struct http_request;

struct json_rpc *json_rpc_open(struct event_base *base,
                               struct sequencer *sequencer); /* never NULL */

/* Reads under way end with an error. Before the consensus is closed. NULL is fine. */
void json_rpc_close(struct json_rpc *rpc);

void json_rpc_handle(struct json_rpc *rpc, struct http_request *request);

#endif
