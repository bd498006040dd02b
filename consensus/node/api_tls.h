/* TLS of the gRPC ports, with a certificate that can be exchanged while they serve: gRPC asks for
 * it at each handshake.
 *
 * gRPC may ask from threads of its own. So this is the one place of the node where a lock is taken,
 * for the time of copying two texts. */
#ifndef CONSENSUS_NODE_API_TLS_H
#define CONSENSUS_NODE_API_TLS_H

#include <grpc/grpc_security.h>

#include "common/tls_files.h"

struct api_tls;

#define API_TLS_PORTS 2u

/* Copies the identity's texts. */
struct api_tls *api_tls_open(const struct tls_identity *identity);
void api_tls_set(struct api_tls *tls, const struct tls_identity *identity); /* from any thread */

/* Credentials for one port, at most API_TLS_PORTS times; the port must be gone before the close. */
grpc_server_credentials *api_tls_credentials(struct api_tls *tls);
void api_tls_close(struct api_tls *tls); /* NULL is fine */

#endif
