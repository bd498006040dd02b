/* The RPC of the rollup node, the part of octez-smart-rollup-node's that a sequencer, an operator
 * and an explorer of durable storage use:
 *
 *   GET  /global/smart_rollup_address            "sr1..."
 *   GET  /global/tezos_head  /global/tezos_level hash, number
 *   GET  /global/monitor_blocks  /global/monitor_finalized_blocks   a stream of headers, one a line
 *   GET  /global/block/{id}          header with counts; id: head, finalized, a level, a hash
 *   GET  /global/block/{id}/hash /level /num_messages /state_hash /status
 *   GET  /global/block/{id}/durable/wasm_2_0_0/value /length /subkeys /values ?key=/a/b
 *   GET  /global/block/{id}/outbox/{level}/messages, /outbox?outbox_level=
 *   POST /local/batcher/injection ?order=&drop_duplicate=       ["hex", ...] -> ["scmsg...", ...]
 *   GET  /local/batcher/queue   /local/batcher/queue/{id}
 *   GET  /health /version /ping
 *
 * and, for clients of this machine only, what goes wrong on purpose (faults.h):
 *
 *   GET  /admin/faults                           {"faults": list, "counts": {...}}
 *   POST /admin/faults                           the body is a new list; empty: none
 *   POST /admin/reorg?levels=                    undoes 1 or 2 blocks now -> header of the head
 *
 * Errors of the protocol's kind are status 500 with [{kind, id, ...}], as octez has them. */
#ifndef HOST_RPC_H
#define HOST_RPC_H

#include "common/http_server.h"
#include "rollup-kernel/host/rollup_node.h"

struct rpc;

/* Listens on `address`; ERR_IO or ERR_NOT_FOUND with a line. */
enum status rpc_open(struct rpc **ret_rpc,
                     struct event_base *base,
                     const struct address *address,
                     struct rollup_node *node,
                     struct error_line *error);
void rpc_close(struct rpc *rpc); /* NULL is fine */

uint16_t rpc_port(const struct rpc *rpc);

/* A block was made: tells everyone who monitors. */
void rpc_new_block(struct rpc *rpc);

#endif
