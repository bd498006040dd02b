/* Who may use the sequencer's HTTP API: TLS, bearer tokens and limits per client address, from the
 * files that say so, at the start and again when told. */
#ifndef SEQUENCER_HTTP_ACCESS_H
#define SEQUENCER_HTTP_ACCESS_H

#include "common/access_files.h"
#include "common/http_guard.h"

struct http_access {
    struct access_files files;
    struct access_set set;
    struct http_guard guard;
};

/* ERR_CONFIG with a line. On failure there is nothing to close. The files' names stay the caller's. */
enum status http_access_open(struct http_access *ret_access,
                             const struct access_files *files,
                             const struct rates *rates,
                             struct error_line *error);
void http_access_close(struct http_access *access); /* zeroed is fine */

/* Puts the guard and the certificate into a server's options; `access` must outlive the server. */
void http_access_apply(struct http_server_options *options, struct http_access *access);

/* Reads the files again; logs what came of it. */
void http_access_reload(struct http_access *access, struct http_server *server);

#endif
