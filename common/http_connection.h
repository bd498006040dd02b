/* Inside of http_server: what its two files share, a connection and the request that is in work on
 * it. */
#ifndef COMMON_HTTP_CONNECTION_H
#define COMMON_HTTP_CONNECTION_H

#include <sys/socket.h>

#include "common/http_head.h"

struct bufferevent;
struct connection;

/* A request lives from its complete arrival to its reply, also when its connection ends before. */
struct http_request {
    struct connection *connection; /* NULL: the client is gone */
    struct http_head head;
    const struct http_route *route;
    char *text;     /* what `head` views */
    char *segments; /* what its parameters view */
    uint8_t *body;
};

struct http_stream {
    struct connection *connection;
    void (*on_gone)(void *context);
    void *context;
    bool chunked;
};

enum connection_state {
    CONNECTION_READING,   /* waits for a head or a body; has a deadline */
    CONNECTION_HANDLING,  /* the handler's turn; no deadline */
    CONNECTION_STREAMING, /* no deadline, bounded output */
    CONNECTION_REPLYING,  /* the reply waits to be taken; has a deadline; then closes */
    CONNECTION_LINGERING, /* refused with unread input: reads on for a moment, so that the reply
                             arrives */
    CONNECTION_DONE,      /* to be freed */
};

/* Invariants: `request` is set while HANDLING, and while READING a body; `stream` while STREAMING.
 */
struct connection {
    struct http_server *server;
    struct connection *previous;
    struct connection *next;
    struct bufferevent *bev;
    struct sockaddr_storage peer;
    enum connection_state state;
    uint64_t deadline_ms;
    struct http_request *request;
    size_t body_len; /* of the request's body, arrived so far */
    struct http_stream *stream;
    bool advancing;  /* connection_advance is on the stack and frees the connection itself */
    bool begun;      /* some of the next request has arrived */
    bool keep_alive; /* after this reply */
    bool unread;     /* input of the refused request may still come */
    bool eof;        /* the client has said all it will */
};

void http_request_free(struct http_request *request);

/* Takes the next request from the input, or the rest of one, as far as it has arrived. */
void connection_advance(struct connection *connection);

/* Refuses a request that never became one; `line` is a header line or NULL. */
void connection_refuse(struct connection *connection, int code, const char *line);

/* After a reply was written: on to the next request, or to the end. */
void connection_replied(struct connection *connection);

/* Ends a connection at once, or when connection_advance returns. */
void connection_drop(struct connection *connection);

uint64_t http_server_deadline(const struct http_server *server);
const struct http_server_options *http_server_options_of(const struct http_server *server);

#endif
