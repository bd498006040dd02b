/* HTTP/1.1 calls on a libevent loop: one connection per call, a reply of bounded size, or a stream
 * of chunks. Bodies of replies come with Content-Length, chunked, or up to the end of the
 * connection.
 *
 * `on_done` is called exactly once, from the loop, unless the call is cancelled; the call is gone
 * then. A host name is resolved at the start and blocks for that; numeric addresses do not. */
#ifndef COMMON_HTTP_CLIENT_H
#define COMMON_HTTP_CLIENT_H

#include "common/address.h"
#include "common/error_line.h"

struct event_base;
struct http_call;
struct tls_roots;

struct http_response {
    int code;            /* 0: there was no complete reply, see `failure` */
    struct bytes body;   /* valid during the callback; empty for a streamed reply */
    const char *failure; /* "cannot connect", "no reply in time", ...; NULL when there is a code;
                            valid during the callback */
};

struct http_call_options {
    struct address address;
    const struct tls_roots *tls; /* NULL: plain HTTP; must outlive the call */
    const char *token;           /* bearer token; NULL or "": none */
    const char *method;          /* "GET", "POST", "DELETE" */
    const char *path;            /* with the query, escaped: "/global/block/head/hash" */
    struct bytes body;           /* sent when the method is POST; copied */
    const char *content_type;
    uint32_t timeout_ms;       /* for the whole call; of a stream: for the next chunk */
    size_t response_bytes_max; /* larger bodies (of a stream: chunks) fail the call */

    /* For streams: each chunk of a reply with code 200, whole if the reply is chunked. NULL: no
     * stream. */
    void (*on_chunk)(void *context, const uint8_t *data, size_t len);
    void (*on_done)(void *context, const struct http_response *response);
    void *context;
};

/* Texts are copied. A call that cannot even begin ends with on_done, too. */
struct http_call *http_call_start(struct event_base *base, const struct http_call_options *options);

/* Ends the call without on_done; allowed from inside its callbacks. NULL is fine. */
void http_call_cancel(struct http_call *call);

#endif
