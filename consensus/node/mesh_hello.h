/* The first frames of a connection, before anything else is believed or sent.
 *
 *   HELLO      66 | version u16 | committee digest 32 | index u16 | link u8 | nonce u64
 *   HELLO_ACK  67 | nonce u64 (the other side's)
 *
 * Kind and version keep their place in every later version, so that two versions can tell each
 * other apart. The index must be the one that the TLS key already proved: the hello proves nothing,
 * it finds mistakes of configuration (another committee, crossed ports) and gives them a clear
 * line. */
#ifndef CONSENSUS_NODE_MESH_HELLO_H
#define CONSENSUS_NODE_MESH_HELLO_H

#include "common/buffer.h"
#include "common/bytes.h"
#include "consensus/node/mesh.h"

enum mesh_hello_kind { MESH_HELLO = 66, MESH_HELLO_ACK = 67 };

#define MESH_HELLO_BYTES     46u
#define MESH_HELLO_ACK_BYTES 9u

struct mesh_hello {
    uint16_t version;
    struct digest committee;
    authority_t index;
    uint8_t link; /* enum mesh_link */
    uint64_t nonce;
};

/* A frame with the hello. */
struct buffer *mesh_hello_frame(const struct mesh_hello *hello);
struct buffer *mesh_hello_ack_frame(uint64_t nonce);

/* NULL when `body` is a hello that agrees with `expected` (nonce aside), and then its nonce; else
 * the reason to refuse it, a constant text. */
const char *mesh_hello_judge(uint64_t *ret_nonce,
                             struct bytes body,
                             const struct mesh_hello *expected);

/* True when `body` is an acknowledgement of `nonce`. */
bool mesh_hello_ack_is(struct bytes body, uint64_t nonce);

#endif
