#include "common/http_connection.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <stdio.h>
#include <stdlib.h>

const char *http_request_path(const struct http_request *request)
{
    return request->head.path;
}

const char *http_request_parameter(const struct http_request *request, const char *name)
{
    size_t len = strlen(name);
    for (size_t i = 0; i < request->head.parameters_count; i++) {
        /* Names are views of the route's pattern: they end at its next slash. */
        const char *other = request->head.parameters[i].name;
        if (strncmp(other, name, len) == 0 && (other[len] == '/' || other[len] == '\0')) {
            return request->head.parameters[i].value;
        }
    }
    return NULL;
}

const char *http_request_query(const struct http_request *request, const char *name)
{
    for (size_t i = 0; i < request->head.query_count; i++) {
        if (strcmp(request->head.query[i].name, name) == 0) return request->head.query[i].value;
    }
    return NULL;
}

const char *http_request_header(const struct http_request *request, const char *name)
{
    return http_head_header(&request->head, name);
}

const char *http_request_method(const struct http_request *request)
{
    return request->head.method;
}

size_t http_request_body_len(const struct http_request *request)
{
    return request->head.length;
}

const struct sockaddr_storage *http_request_peer(const struct http_request *request)
{
    CHECK(request->connection != NULL);
    return &request->connection->peer;
}

struct bytes http_request_body(const struct http_request *request)
{
    return (struct bytes){request->body, request->head.length};
}

json_t *http_request_json(struct http_request *request)
{
    json_error_t error;
    json_t *json = json_loadb((const char *)request->body, request->head.length,
                              JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
    if (json == NULL) {
        http_reply_error(request, 400, "malformed", "the body is not JSON: line %d: %s", error.line,
                         error.text);
    }
    return json;
}

void http_request_free(struct http_request *request)
{
    if (request == NULL) return;
    free(request->text);
    free(request->segments);
    free(request->body);
    free(request);
}

/* The head's bytes without the empty line, or NULL while it is incomplete. */
static char *take_head(struct evbuffer *input, size_t *ret_len)
{
    /* Empty lines before a request are allowed (RFC 9112, 2.2). */
    char two[2];
    while (evbuffer_copyout(input, two, 2) == 2 && memcmp(two, "\r\n", 2) == 0) {
        evbuffer_drain(input, 2);
    }
    struct evbuffer_ptr end = evbuffer_search(input, "\r\n\r\n", 4, NULL);
    if (end.pos < 0) return NULL;

    size_t len = (size_t)end.pos;
    char *text = malloc(len + 1);
    CHECK(text != NULL);
    CHECK(evbuffer_remove(input, text, len) == (int)len);
    text[len] = '\0';
    evbuffer_drain(input, 4);
    *ret_len = len;
    return text;
}

/* What is no letter will never be a method: TLS, for one, would wait for our answer. */
static bool begins_like_http(struct evbuffer *input)
{
    uint8_t first = 0;

    if (evbuffer_copyout(input, &first, 1) != 1) return true;
    return first >= ' ' || first == '\r';
}

static bool is_preflight(const struct connection *connection, const struct http_head *head)
{
    return http_server_options_of(connection->server)->cors && strcmp(head->method, "OPTIONS") == 0;
}

/* Judges a complete head. Returns 0, or the code to refuse with and a header line for it. */
static int judge_head(struct connection *connection,
                      struct http_request *request,
                      size_t text_len,
                      char *ret_line)
{
    const struct http_server_options *options = http_server_options_of(connection->server);
    char allow[128];
    int code;

    ret_line[0] = '\0';
    if (text_len > HTTP_HEAD_BYTES_MAX) return 431;
    if ((code = http_head_parse(&request->head, request->text, text_len)) != 0) return code;
    connection->keep_alive = request->head.keep_alive && !connection->eof;

    request->segments = malloc(strlen(request->head.path) + 1);
    CHECK(request->segments != NULL);
    code = http_head_route(&request->head, request->segments, options->routes,
                           options->routes_count, &request->route, allow);
    if (code == 405) (void)snprintf(ret_line, HTTP_HEADER_LINE_BYTES, "Allow: %s", allow);
    if (code == 405 && is_preflight(connection, &request->head)) return 204;
    if (code == 0 && options->guard != NULL)
        code = options->guard(options->guard_context, request, ret_line);
    if (code != 0) return code;
    if (request->head.length > request->route->body_bytes_max) return 413;
    if (!request->head.has_length && request->route->body_bytes_max > 0 &&
        strcmp(request->head.method, "POST") == 0) {
        return 411;
    }
    return 0;
}

/* Begins a request when its head is there; false when there is nothing to go on with. */
static bool begin_request(struct connection *connection)
{
    struct evbuffer *input = bufferevent_get_input(connection->bev);
    char line[HTTP_HEADER_LINE_BYTES];
    size_t len;
    char *text = take_head(input, &len);

    if (text == NULL) {
        if (evbuffer_get_length(input) > HTTP_HEAD_BYTES_MAX) {
            connection_refuse(connection, 431, NULL);
        } else if (!begins_like_http(input)) {
            connection_refuse(connection, 400, NULL);
        }
        return false;
    }
    struct http_request *request = calloc(1, sizeof *request);
    CHECK(request != NULL);
    request->connection = connection;
    request->text = text;
    int code = judge_head(connection, request, len, line);
    if (code != 0) {
        http_request_free(request);
        connection_refuse(connection, code, line[0] == '\0' ? NULL : line);
        return false;
    }
    if (request->head.length > 0) {
        request->body = malloc(request->head.length);
        CHECK(request->body != NULL);
        if (request->head.expect_continue) {
            evbuffer_add_printf(bufferevent_get_output(connection->bev),
                                "HTTP/1.1 100 Continue\r\n\r\n");
        }
    }
    connection->request = request;
    connection->body_len = 0;
    return true;
}

/* True when the body is complete. */
static bool take_body(struct connection *connection)
{
    struct http_request *request = connection->request;
    size_t missing = request->head.length - connection->body_len;

    if (missing == 0) return true;
    int part = evbuffer_remove(bufferevent_get_input(connection->bev),
                               request->body + connection->body_len, missing);
    if (part > 0) connection->body_len += (size_t)part;
    return connection->body_len == request->head.length;
}

void http_request_handle(struct http_request *request, void *context)
{
    request->route->handle(context, request);
}

void connection_advance(struct connection *connection)
{
    struct evbuffer *output = bufferevent_get_output(connection->bev);

    /* A client that asks on without taking its replies waits. */
    while (connection->state == CONNECTION_READING &&
           evbuffer_get_length(output) < HTTP_STREAM_BYTES_MAX) {
        if (connection->request == NULL && !begin_request(connection)) return;
        if (!take_body(connection)) return;
        connection->state = CONNECTION_HANDLING;
        struct http_request *request = connection->request;
        const struct http_server_options *options = http_server_options_of(connection->server);
        if (options->intercept != NULL && options->intercept(options->context, request)) continue;
        http_request_handle(request, options->context);
    }
}
