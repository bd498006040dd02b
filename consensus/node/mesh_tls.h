/* Who may speak TLS with us: contexts for both directions, our certificate, and the pin.
 *
 * A certificate is only the envelope TLS asks for. Ours is made in memory at start from the network
 * seed, signed by itself, and never stored. Of the peer's we look at nothing but its raw Ed25519
 * key: the handshake proves that the peer holds the secret half, the committee says whose key it
 * is. Names, dates, chains and authorities do not matter.
 *
 * TLS 1.3 only, AES-128-GCM first (ChaCha20 where the other side prefers it for want of AES), no
 * session tickets and no resumption: each connection proves the key anew. */
#ifndef CONSENSUS_NODE_MESH_TLS_H
#define CONSENSUS_NODE_MESH_TLS_H

#include <openssl/ssl.h>

#include "common/committee.h"

struct mesh_tls;

/* Whom one connection may be with. Lives as long as its SSL. */
struct mesh_pin {
    const struct committee *committee;
    authority_t self;
    bool dialled; /* `peer` is the one dialled; else: any member below `self`, found by its key */
    bool key_accepted; /* the key it showed may be here; proven once the handshake is done */
    authority_t peer;
    const char *refusal; /* why its key was refused; NULL: it was not */
};

/* ERR_CONFIG when the seed does not make the member's network key, ERR_IO when OpenSSL fails. */
enum status mesh_tls_open(struct mesh_tls **ret_tls,
                          const struct committee *committee,
                          authority_t self,
                          const uint8_t network_seed[32]);

/* A new connection: dialling when the pin says so, else accepting. NULL: out of memory. */
SSL *mesh_tls_new(struct mesh_tls *tls, struct mesh_pin *pin);

/* Text of the oldest queued OpenSSL error, and empties the queue. Never NULL. */
const char *mesh_tls_error(void);

void mesh_tls_close(struct mesh_tls *tls);

#endif
