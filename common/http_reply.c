#include "common/http_connection.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static const char *reason_of(int code)
{
    static const struct {
        int code;
        const char *reason;
    } reasons[] = {
        {200, "OK"},
        {204, "No Content"},
        {400, "Bad Request"},
        {401, "Unauthorized"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {408, "Request Timeout"},
        {409, "Conflict"},
        {411, "Length Required"},
        {413, "Content Too Large"},
        {414, "URI Too Long"},
        {429, "Too Many Requests"},
        {431, "Header Fields Too Large"},
        {500, "Internal Server Error"},
        {502, "Bad Gateway"},
        {503, "Service Unavailable"},
        {504, "Gateway Timeout"},
        {505, "HTTP Version Not Supported"},
    };
    for (size_t i = 0; i < sizeof reasons / sizeof reasons[0]; i++) {
        if (reasons[i].code == code) return reasons[i].reason;
    }
    return code < 400 ? "OK" : "Error";
}

/* Status line and headers up to what says how long the body is. */
static void write_head(struct connection *connection, int code, const char *content_type)
{
    struct evbuffer *output = bufferevent_get_output(connection->bev);

    evbuffer_add_printf(output, "HTTP/1.1 %d %s\r\n", code, reason_of(code));
    if (content_type != NULL) evbuffer_add_printf(output, "Content-Type: %s\r\n", content_type);
    if (http_server_options_of(connection->server)->cors) {
        evbuffer_add_printf(output,
                            "Access-Control-Allow-Origin: *\r\n"
                            "Access-Control-Allow-Methods: GET, POST, DELETE\r\n"
                            "Access-Control-Allow-Headers: Content-Type, Authorization\r\n");
    }
    evbuffer_add_printf(output, "Connection: %s\r\n",
                        connection->keep_alive ? "keep-alive" : "close");
}

static void write_reply(struct connection *connection,
                        int code,
                        const char *content_type,
                        const char *line,
                        const void *body,
                        size_t len,
                        bool head_only)
{
    struct evbuffer *output = bufferevent_get_output(connection->bev);

    write_head(connection, code, content_type);
    if (line != NULL) evbuffer_add_printf(output, "%s\r\n", line);
    if (code != 204) evbuffer_add_printf(output, "Content-Length: %zu\r\n", len);
    evbuffer_add(output, "\r\n", 2);
    if (!head_only && len > 0) evbuffer_add(output, body, len);
}

static char *error_text(const char *code_name, const char *message)
{
    json_t *json = json_pack("{s:s, s:s}", "code", code_name, "message", message);
    /* Text that is not UTF-8 came from a client; it is not repeated. */
    if (json == NULL) json = json_pack("{s:s, s:s}", "code", code_name, "message", "refused");
    CHECK(json != NULL);
    char *text = json_dumps(json, JSON_COMPACT);
    CHECK(text != NULL);
    json_decref(json);
    return text;
}

static const char *refusal_of(int code, const char **ret_message)
{
    switch (code) {
    case 204:
        *ret_message = "";
        return "ok";
    case 401:
        *ret_message = "a bearer token is needed here";
        return "unauthenticated";
    case 403:
        *ret_message = "this token does not carry the right that is needed here";
        return "permission_denied";
    case 429:
        *ret_message = "over the rate limit of this address, try again later";
        return "resource_exhausted";
    case 404:
        *ret_message = "there is nothing at this path";
        return "not_found";
    case 405:
        *ret_message = "this path does not take this method";
        return "method_not_allowed";
    case 408:
        *ret_message = "the request did not arrive in time";
        return "timeout";
    case 411:
        *ret_message = "a body needs Content-Length";
        return "length_required";
    case 413:
        *ret_message = "the body is larger than this path takes";
        return "too_large";
    case 414:
    case 431:
        *ret_message = "the request line or the headers are too long";
        return "too_large";
    case 503:
        *ret_message = "too many connections";
        return "unavailable";
    case 505:
        *ret_message = "only HTTP/1.0 and HTTP/1.1 are spoken here";
        return "version";
    default:
        *ret_message = "not a well-formed HTTP request";
        return "malformed";
    }
}

void connection_refuse(struct connection *connection, int code, const char *line)
{
    const char *message;
    const char *name = refusal_of(code, &message);
    char *text = error_text(name, message);

    connection->keep_alive = false;
    connection->unread = true;
    write_reply(connection, code, code == 204 ? NULL : "application/json", line, text,
                code == 204 ? 0 : strlen(text), false);
    free(text);
    connection_replied(connection);
}

void http_reply(struct http_request *request,
                int code,
                const char *content_type,
                const void *body,
                size_t len)
{
    struct connection *connection = request->connection;

    if (connection != NULL) {
        bool head_only = strcmp(request->head.method, "HEAD") == 0;
        connection->request = NULL;
        write_reply(connection, code, content_type, NULL, body, len, head_only);
    }
    http_request_free(request);
    if (connection != NULL) connection_replied(connection);
}

void http_reply_json(struct http_request *request, int code, json_t *json)
{
    char *text = json_dumps(json, JSON_COMPACT | JSON_ENCODE_ANY);
    CHECK(text != NULL);
    json_decref(json);
    http_reply(request, code, "application/json", text, strlen(text));
    free(text);
}

void http_reply_error(struct http_request *request,
                      int code,
                      const char *code_name,
                      const char *format,
                      ...)
{
    char message[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);

    char *text = error_text(code_name, message);
    http_reply(request, code, "application/json", text, strlen(text));
    free(text);
}

struct http_stream *http_reply_stream(struct http_request *request,
                                      const char *content_type,
                                      void (*on_gone)(void *context),
                                      void *context)
{
    struct connection *connection = request->connection;
    bool head_only = strcmp(request->head.method, "HEAD") == 0;
    bool chunked = !request->head.version_1_0;

    if (connection == NULL || head_only) {
        http_reply(request, 200, content_type, NULL, 0);
        return NULL;
    }
    struct http_stream *stream = malloc(sizeof *stream);
    CHECK(stream != NULL);
    *stream = (struct http_stream){connection, on_gone, context, chunked};
    connection->request = NULL;
    connection->stream = stream;
    connection->state = CONNECTION_STREAMING;
    if (!chunked) connection->keep_alive = false;
    http_request_free(request);

    struct evbuffer *output = bufferevent_get_output(connection->bev);
    write_head(connection, 200, content_type);
    evbuffer_add_printf(output, chunked ? "Transfer-Encoding: chunked\r\n\r\n" : "\r\n");
    return stream;
}

bool http_stream_write(struct http_stream *stream, const void *data, size_t len)
{
    struct connection *connection = stream->connection;
    struct evbuffer *output = bufferevent_get_output(connection->bev);

    if (len == 0) return true; /* an empty chunk would end the reply */
    if (evbuffer_get_length(output) + len > HTTP_STREAM_BYTES_MAX) {
        connection->stream = NULL;
        free(stream);
        connection_drop(connection);
        return false;
    }
    if (stream->chunked) evbuffer_add_printf(output, "%zx\r\n", len);
    evbuffer_add(output, data, len);
    if (stream->chunked) evbuffer_add(output, "\r\n", 2);
    return true;
}

void http_stream_end(struct http_stream *stream)
{
    struct connection *connection = stream->connection;

    if (stream->chunked) {
        evbuffer_add(bufferevent_get_output(connection->bev), "0\r\n\r\n", 5);
    }
    connection->stream = NULL;
    free(stream);
    connection_replied(connection);
}
