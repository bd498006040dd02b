/* A small HTTP/1.1 server for status pages, JSON APIs and streams of lines, on a libevent loop. It
 * is our own and not evhttp because the latter neither bounds its connections nor cuts a client
 * that sends one byte every few seconds, and answers errors in HTML.
 *
 * A table of routes names methods and paths; the server answers the rest itself, as JSON {"code",
 * "message"}:
 *
 *   400 malformed   404 unknown path   405 wrong method (with Allow)   408 too slow   411 no
 * Content-Length 413 body over the route's limit   414 / 431 long target or header   503 too many
 * connections
 *
 * A guard, if there is one, judges each request by its head, before its body is read (401, 403 or
 * 429; common/http_guard.h). With a TLS identity only TLS is spoken.
 *
 * Bounds: connections (at most half of the process's descriptors when the server is opened, so that
 * files and outgoing connections find some; when there is none left all the same, nobody is accepted
 * for up to a second), header bytes, body bytes per route, the time in which a whole request must
 * arrive, the time in which a reply must be taken, and what waits unsent on a stream. Keep-alive,
 * pipelining, HEAD, Expect: 100-continue and HTTP/1.0 work; request bodies come with Content-Length
 * only. */
#ifndef COMMON_HTTP_SERVER_H
#define COMMON_HTTP_SERVER_H

#include <jansson.h>

#include "common/address.h"
#include "common/error_line.h"

struct event_base;
struct http_server;
struct ssl_ctx_st;
struct sockaddr_storage;
struct http_request;
struct http_stream;

/* One request line and its headers, bytes. */
#define HTTP_HEAD_BYTES_MAX (16u * 1024u)

/* What may wait unsent on one stream, bytes: a client that lags further is cut. */
#define HTTP_STREAM_BYTES_MAX (1024u * 1024u)

struct http_route {
    const char *method; /* "GET" (HEAD comes with it), "POST", "DELETE" */
    const char
        *path; /* "/blocks/:level"; ":name" takes one segment, a last "*name" takes the rest */
    void (*handle)(void *context, struct http_request *request);
    size_t body_bytes_max; /* 0: no body */
};

/* A header line of a refusal, as "Retry-After: 1"; empty: none. */
#define HTTP_HEADER_LINE_BYTES 160u

/* 0, or the code to refuse with and a header line that goes with it. */
typedef int http_guard_judge(void *context,
                             const struct http_request *request,
                             char ret_line[HTTP_HEADER_LINE_BYTES]);

struct http_server_options {
    const struct http_route *routes; /* must outlive the server */
    size_t routes_count;
    void *context;            /* for every handler */
    uint32_t connections_max; /* 0: 256; fewer where descriptors are */
    uint32_t timeout_ms;      /* for a whole request, and for a reply to be taken; 0: 30,000 */
    bool cors; /* let pages of any origin read the replies; answers preflight requests */
    struct ssl_ctx_st *tls;  /* NULL: plain; the server holds it by itself */
    http_guard_judge *guard; /* NULL: everybody may */
    void *guard_context;

    /* Sees every request of a route, whole, before its handler; `context` as for handlers. True: it
     * has taken the request, to reply, or to hand it to http_request_handle later. NULL: none. */
    bool (*intercept)(void *context, struct http_request *request);
};

/* Listens. ERR_NOT_FOUND or ERR_IO with a line that names the address. */
enum status http_server_open(struct http_server **ret,
                             struct event_base *base,
                             const struct address *address,
                             const struct http_server_options *options,
                             struct error_line *error);

/* Connections from now on use another TLS context, which the server holds by itself; for servers
 * that were opened with one. */
void http_server_set_tls(struct http_server *server, struct ssl_ctx_st *tls);

/* The port listened on, for addresses with port 0. */
uint16_t http_server_port(const struct http_server *server);

/* Cuts all connections; streams end with on_gone, and requests that handlers still hold may be
 * replied to (to nobody). NULL is fine. */
void http_server_close(struct http_server *server);

/* What was asked. Views live until the reply. NULL when there is no such thing. */
/* The path as sent, without the query; parameters and query values are decoded. */
const char *http_request_path(const struct http_request *request);
const char *http_request_parameter(const struct http_request *request, const char *name);
const char *http_request_query(const struct http_request *request, const char *name);
const char *http_request_header(const struct http_request *request, const char *name);
const char *http_request_method(const struct http_request *request);
size_t http_request_body_len(const struct http_request *request); /* as announced */
/* Where it came from; only while the client is there. */
const struct sockaddr_storage *http_request_peer(const struct http_request *request);
struct bytes http_request_body(const struct http_request *request);

/* Hands a request that was intercepted to its handler, now; the client may have left meanwhile. */
void http_request_handle(struct http_request *request, void *context);

/* Parses the body as JSON; NULL when it is not, with the reply already made (400). The caller owns
 * it. */
json_t *http_request_json(struct http_request *request);

/* Every request is answered by exactly one of these, at once or later from the same thread. The
 * request is gone afterwards. A client that has left meanwhile makes no difference. */
void http_reply(struct http_request *request,
                int code,
                const char *content_type,
                const void *body,
                size_t len);

/* Takes over `json`. */
void http_reply_json(struct http_request *request, int code, json_t *json);

/* {"code": code_name, "message": ...}. */
void http_reply_error(struct http_request *request,
                      int code,
                      const char *code_name,
                      const char *format,
                      ...) __attribute__((format(printf, 4, 5)));

/* Begins a chunked reply of code 200 that lasts. NULL when there is nobody to stream to (HEAD, or
 * gone). `on_gone` is called once, from the loop, when the client leaves or the server closes. */
struct http_stream *http_reply_stream(struct http_request *request,
                                      const char *content_type,
                                      void (*on_gone)(void *context),
                                      void *context);

/* False: the client lags by more than HTTP_STREAM_BYTES_MAX and was cut; the stream is gone,
 * on_gone is not called. */
bool http_stream_write(struct http_stream *stream, const void *data, size_t len);

/* Ends the reply; the stream is gone, on_gone is not called. */
void http_stream_end(struct http_stream *stream);

#endif
