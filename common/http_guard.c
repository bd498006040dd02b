#include "common/http_guard.h"

#include <stdio.h>
#include <time.h>

struct http_guard http_guard_make(enum token_right (*right_of)(const struct http_request *request),
                                  const struct rates *rates)
{
    struct http_guard guard = {.right_of = right_of};

    if (rates->transactions > 0 || rates->bytes > 0) guard.limits = rate_table_new(rates);
    return guard;
}

void http_guard_clear(struct http_guard *guard)
{
    token_table_free(guard->tokens);
    rate_table_free(guard->limits);
    guard->tokens = NULL;
    guard->limits = NULL;
}

void http_guard_set_tokens(struct http_guard *guard, struct token_table *tokens)
{
    token_table_free(guard->tokens);
    guard->tokens = tokens;
}

static int judge_token(struct http_guard *guard,
                       const struct http_request *request,
                       enum token_right right,
                       char *ret_line)
{
    const char *header = http_request_header(request, "authorization");
    struct bytes authorization = {NULL, 0};

    if (guard->tokens == NULL) return 0;
    if (header != NULL) authorization = (struct bytes){(const uint8_t *)header, strlen(header)};
    switch (token_table_judge(guard->tokens, right, authorization)) {
    case TOKEN_GOOD:
        return 0;
    case TOKEN_UNKNOWN:
        (void)snprintf(ret_line, HTTP_HEADER_LINE_BYTES, "WWW-Authenticate: Bearer realm=\"dsn\"");
        break;
    case TOKEN_FORBIDDEN:
        guard->refused_tokens++;
        return 403;
    }
    guard->refused_tokens++;
    return 401;
}

static int judge_limit(struct http_guard *guard, const struct http_request *request, char *ret_line)
{
    struct timespec now;
    struct rate_address address = rate_address_of(http_request_peer(request));
    struct rate_cost cost = {1, u64_min(http_request_body_len(request), RATE_COST_MAX)};

    clock_gettime(CLOCK_MONOTONIC, &now);
    uint64_t now_ns = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
    uint64_t wait_ns = rate_table_wait_ns(guard->limits, &address, now_ns);
    if (wait_ns == 0) {
        rate_table_take(guard->limits, &address, &cost, now_ns);
        return 0;
    }
    guard->refused_limits++;
    (void)snprintf(ret_line, HTTP_HEADER_LINE_BYTES, "Retry-After: %llu",
                   (unsigned long long)((wait_ns + 999999999u) / 1000000000u));
    return 429;
}

int http_guard_judge_request(void *context,
                             const struct http_request *request,
                             char ret_line[HTTP_HEADER_LINE_BYTES])
{
    struct http_guard *guard = context;
    enum token_right right = guard->right_of(request);
    int code = judge_token(guard, request, right, ret_line);

    if (code != 0 || guard->limits == NULL || right != TOKEN_SUBMIT) return code;
    return judge_limit(guard, request, ret_line);
}
