#include "tests/fuzz/fuzz.h"

#include <event2/event.h>

#include "common/http_server.h"
#include "tests/fuzz/http_rig.h"

/* The bytes of a whole connection to an HTTP server: several requests, half ones, none. The server answers every
 * request that is one, closes, and writes what our own client reads. */
#define BODY_BYTES_MAX 2000u

static struct event_base *base;
static struct http_server *server;
static uint32_t handled;

/* Repeats the path, the query, the parameters and the body. */
static void handle(void *context, struct http_request *request)
{
    const char *name = http_request_parameter(request, "name");
    const char *rest = http_request_parameter(request, "rest");
    const char *query = http_request_query(request, "q");
    struct bytes body = http_request_body(request);

    (void)context;
    handled++;
    CHECK(http_request_path(request)[0] == '/');
    CHECK(body.len == http_request_body_len(request));
    CHECK(body.len <= BODY_BYTES_MAX);
    (void)http_request_header(request, "host");
    if (query != NULL)
        http_reply_error(request, 400, "echo", "%s", query);
    else if (name != NULL)
        http_reply(request, 200, "text/plain", name, strlen(name));
    else
        http_reply(request, 200, "text/plain", rest == NULL ? (const char *)body.data : rest,
                   rest == NULL ? body.len : strlen(rest));
}

static void handle_json(void *context, struct http_request *request)
{
    json_t *json = http_request_json(request);

    (void)context;
    handled++;
    if (json != NULL) http_reply_json(request, 200, json);
}

static void handle_stream(void *context, struct http_request *request)
{
    struct http_stream *stream = http_reply_stream(request, "text/plain", NULL, NULL);

    (void)context;
    handled++;
    if (stream == NULL) return;
    CHECK(http_stream_write(stream, "one", 3));
    CHECK(http_stream_write(stream, "two", 3));
    http_stream_end(stream);
}

static const struct http_route routes[] = {
    {"GET", "/", handle, 0},
    {"POST", "/", handle, BODY_BYTES_MAX},
    {"POST", "/json", handle_json, BODY_BYTES_MAX},
    {"GET", "/stream", handle_stream, 0},
    {"GET", "/of/:name", handle, 0},
    {"GET", "/all/*rest", handle, 0},
};

static void open_server(void)
{
    struct address address = {"127.0.0.1", 0};
    struct error_line error;
    const struct http_server_options options = {
        .routes = routes, .routes_count = sizeof routes / sizeof routes[0], .cors = true};

    base = event_base_new();
    CHECK(base != NULL);
    CHECK(http_server_open(&server, base, &address, &options, &error) == OK);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int code;
    struct bytes body;

    if (base == NULL) open_server();
    handled = 0;
    uint32_t replies = http_rig_ask(base, http_server_port(server), data, size, &code, &body);
    CHECK(code == 0 || code == 200 || code == 204 || (code >= 400 && code <= 505));
    CHECK(handled <= size / 16); /* no request is shorter than its request line */
    /* A reply to HEAD has no body, so our client, which never asks that, waits for it. */
    CHECK(handled == 0 || replies >= 1 || memmem(data, size, "HEAD ", 5) != NULL);
    return 0;
}
