/* TLS from PEM files: a server's certificate chain with its key, and what a client trusts.
 *
 * Servers speak TLS 1.2 and later and ask clients for no certificate (tokens and keys say who they
 * are); clients check the chain and the name or address they connected to. */
#ifndef COMMON_TLS_FILES_H
#define COMMON_TLS_FILES_H

#include "common/error_line.h"

struct ssl_ctx_st; /* OpenSSL's SSL_CTX */
struct ssl_st;     /* and SSL */

#define TLS_FILE_BYTES_MAX (1024u * 1024u)

/* A server's identity; does not change. The PEM texts end with a 0 and are for gRPC. */
struct tls_identity {
    char *certificate;
    char *key;
    struct ssl_ctx_st *context;
};

/* Reads both files; the key's must be mode 0600. ERR_IO, ERR_CONFIG or ERR_MALFORMED with a line,
 * also when the key is not that of the certificate. */
enum status tls_identity_load(struct tls_identity **ret_identity,
                              const char *certificate_file,
                              const char *key_file,
                              struct error_line *error);

/* Wipes the key. Connections that use the context go on with it. NULL is fine. */
void tls_identity_free(struct tls_identity *identity);

/* What a client trusts; does not change. */
struct tls_roots {
    char *text; /* PEM, for gRPC; NULL: its own default */
    struct ssl_ctx_st *context;
};

/* `file` is a PEM file of certificates; NULL or "": the system's. */
enum status tls_roots_load(struct tls_roots **ret_roots,
                           const char *file,
                           struct error_line *error);
void tls_roots_free(struct tls_roots *roots); /* NULL is fine */

/* A client's end of one connection to `host`, a name or a numeric address. */
struct ssl_st *tls_roots_connect(const struct tls_roots *roots, const char *host);

/* What was wrong with the server, after a handshake that failed: a static text, or NULL when it was
 * not its certificate. */
const char *tls_failure(const struct ssl_st *connection);

#endif
