/* Inside of http_server: a request's head, parsed strictly and in place, and its route. No sockets
 * here, so that tests and fuzzers reach it. */
#ifndef COMMON_HTTP_HEAD_H
#define COMMON_HTTP_HEAD_H

#include "common/http_server.h"

#define HTTP_HEADERS_MAX    64u
#define HTTP_PARAMETERS_MAX 4u
#define HTTP_QUERY_MAX      16u

struct http_pair {
    const char *name;
    const char *value;
};

struct http_head {
    const char *method;
    const char *path; /* as sent: parameters are decoded, this is not */
    struct http_pair query[HTTP_QUERY_MAX];
    size_t query_count;
    struct http_pair headers[HTTP_HEADERS_MAX];
    size_t headers_count;
    bool keep_alive;
    bool version_1_0;
    bool expect_continue;
    bool has_length;
    size_t length; /* of the body */
    /* by http_head_route */
    struct http_pair parameters[HTTP_PARAMETERS_MAX];
    size_t parameters_count;
};

/* Parses `text`, everything before the empty line, whose bytes are changed and viewed. Returns 0 or
 * the HTTP code to refuse with: 400, 411 (a body that is not counted by Content-Length), 414, 431
 * or 505. */
int http_head_parse(struct http_head *ret, char *text, size_t len);

const char *http_head_header(const struct http_head *head, const char *name);

/* Finds the route and fills `parameters`, which are cut out of `segments` (room for the path and
 * its final 0). Returns 0, 404 or 405; for 405 `ret_allow` (128 bytes) lists the methods. */
int http_head_route(struct http_head *head,
                    char *segments,
                    const struct http_route *routes,
                    size_t routes_count,
                    const struct http_route **ret_route,
                    char *ret_allow);

#endif
