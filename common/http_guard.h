/* Who may do what on an HTTP server: bearer tokens and limits per client address, as a guard of
 * common/http_server.h. Refusals are 401 with WWW-Authenticate, 403, and 429 with Retry-After.
 *
 * Owned by the server's thread. */
#ifndef COMMON_HTTP_GUARD_H
#define COMMON_HTTP_GUARD_H

#include "common/http_server.h"
#include "common/rate_limit.h"
#include "common/token_table.h"

struct http_guard {
    struct token_table *tokens; /* owned; NULL: nobody is asked for one */
    struct rate_table *limits;  /* owned; NULL: none. One request that needs SUBMIT costs one
                                   transaction and the length of its body */
    enum token_right (*right_of)(const struct http_request *request);
    uint64_t refused_tokens; /* 401 and 403 */
    uint64_t refused_limits; /* 429 */
};

/* No tokens and, when both rates are 0, no limits. */
struct http_guard http_guard_make(enum token_right (*right_of)(const struct http_request *request),
                                  const struct rates *rates);
void http_guard_clear(struct http_guard *guard);

/* Takes the table over; the old one is freed. */
void http_guard_set_tokens(struct http_guard *guard, struct token_table *tokens);

/* The http_guard_judge; `context` is a struct http_guard. */
int http_guard_judge_request(void *context,
                             const struct http_request *request,
                             char ret_line[HTTP_HEADER_LINE_BYTES]);

#endif
