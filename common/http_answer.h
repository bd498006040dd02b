/* Inside of http_client: the reply of one call, judged as it arrives. No sockets here, so that tests and fuzzers
 * reach it. Replies come counted by Content-Length, chunked, or up to the end of the connection; informational ones
 * (1xx) are skipped. What arrives in pieces is read as if it had come at once. */
#ifndef COMMON_HTTP_ANSWER_H
#define COMMON_HTTP_ANSWER_H

#include "common/base.h"

struct evbuffer;

/* Status line and headers; also one chunk's line and one trailer line, bytes. */
#define HTTP_ANSWER_HEAD_BYTES_MAX (16u * 1024u)

enum http_answer_state {
    HTTP_ANSWER_HEAD,       /* status line and headers */
    HTTP_ANSWER_LENGTH,     /* `left` bytes of a counted body */
    HTTP_ANSWER_END,        /* a body that ends with the connection */
    HTTP_ANSWER_CHUNK_SIZE, /* the line before a chunk */
    HTTP_ANSWER_CHUNK,      /* `left` bytes of a chunk and its line end */
    HTTP_ANSWER_TRAILER,    /* lines after the last chunk */
    HTTP_ANSWER_DONE,
};

/* The body of a reply with code 200, piece by piece; may not touch the answer. */
typedef void http_answer_take(void *context, const uint8_t *data, size_t len);

struct http_answer {
    enum http_answer_state state;
    int code;            /* 0 until the final head is here */
    size_t left;         /* of the body or the chunk */
    size_t bytes_max;    /* of the body, or of one chunk when it is streamed */
    bool streamed;       /* the body goes to `take` */
    const char *failure; /* a constant text; nothing is read any more */
    struct evbuffer *body;
    http_answer_take *take; /* NULL: the body is kept */
    void *context;
};

void http_answer_open(struct http_answer *answer,
                      size_t bytes_max,
                      http_answer_take *take,
                      void *context);
void http_answer_close(struct http_answer *answer);

/* Takes the next step that the input allows: at most one piece of the body. False when it needs more bytes, has
 * failed, or is done. */
bool http_answer_step(struct http_answer *answer, struct evbuffer *input);

#endif
