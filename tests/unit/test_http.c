/* Goal: server and client speak HTTP/1.1 with each other and with raw sockets, the server answers
 * every kind of bad request with the right code and stays up, and nothing waits for ever. Method:
 * both on one event loop over loopback, on a port that the system chooses; a deadline ends a test
 * that hangs. */
#include "tests/unit/unit.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/http_client.h"
#include "common/http_server.h"

static struct event_base *base;
static struct http_server *server;
static struct http_request *held;  /* by the "later" handler */
static struct http_stream *stream; /* by the "stream" handler */
static int streams_gone;

static void handle_hello(void *context, struct http_request *request)
{
    (void)context;
    http_reply(request, 200, "text/plain", "hello", 5);
}

static void handle_parameters(void *context, struct http_request *request)
{
    (void)context;
    const char *query = http_request_query(request, "key");
    const char *header = http_request_header(request, "x-test");
    json_t *json =
        json_pack("{s:s, s:s, s:s?, s:s?}", "id", http_request_parameter(request, "id"), "rest",
                  http_request_parameter(request, "rest"), "key", query, "header", header);
    assert_null(http_request_parameter(request, "i"));
    http_reply_json(request, 200, json);
}

static void handle_echo(void *context, struct http_request *request)
{
    (void)context;
    struct bytes body = http_request_body(request);
    http_reply(request, 200, "application/octet-stream", body.data, body.len);
}

static void handle_json(void *context, struct http_request *request)
{
    (void)context;
    json_t *json = http_request_json(request);
    if (json == NULL) return;
    http_reply_json(request, 200, json);
}

static void handle_later(void *context, struct http_request *request)
{
    (void)context;
    held = request;
}

static void on_stream_gone(void *context)
{
    (void)context;
    streams_gone++;
    stream = NULL;
}

static void handle_stream(void *context, struct http_request *request)
{
    stream = http_reply_stream(request, "application/json", on_stream_gone, context);
    if (stream != NULL) assert_true(http_stream_write(stream, "[1]\n", 4));
}

static void handle_fail(void *context, struct http_request *request)
{
    (void)context;
    http_reply_error(request, 503, "busy", "come back in %d s", 5);
}

static const struct http_route routes[] = {
    {"GET", "/hello", handle_hello, 0},
    {"GET", "/block/:id/durable/*rest", handle_parameters, 0},
    {"POST", "/echo", handle_echo, 300000},
    {"POST", "/json", handle_json, 1000},
    {"GET", "/json", handle_hello, 0},
    {"GET", "/later", handle_later, 0},
    {"GET", "/stream", handle_stream, 0},
    {"GET", "/fail", handle_fail, 0},
};

static bool (*intercept)(void *context, struct http_request *request); /* of the next server */

static void open_server(uint32_t connections_max, uint32_t timeout_ms, bool cors)
{
    struct address address = {"127.0.0.1", 0};
    struct error_line error;
    struct http_server_options options = {
        .routes = routes,
        .routes_count = sizeof routes / sizeof routes[0],
        .connections_max = connections_max,
        .timeout_ms = timeout_ms,
        .cors = cors,
        .intercept = intercept,
    };
    base = event_base_new();
    assert_int_equal(http_server_open(&server, base, &address, &options, &error), OK);
    held = NULL;
    stream = NULL;
    streams_gone = 0;
}

static void close_server(void)
{
    http_server_close(server);
    event_base_free(base);
}

/* Runs the loop until `*done`, for at most ten seconds. */
static void run_until(const bool *done)
{
    const struct timeval tick = {0, 20000};
    for (int i = 0; i < 500 && !*done; i++) {
        event_base_loopexit(base, &tick);
        event_base_loop(base, EVLOOP_ONCE);
    }
    assert_true(*done);
}

/* --- raw clients: send bytes, collect what comes back until the server closes
 * ------------------------- */

struct raw {
    char text[400000];
    size_t len;
    bool done;
    struct bufferevent *bev;
};

static void on_raw_read(struct bufferevent *bev, void *context)
{
    struct raw *raw = context;
    raw->len += bufferevent_read(bev, raw->text + raw->len, sizeof raw->text - 1 - raw->len);
    raw->text[raw->len] = '\0';
}

static void on_raw_event(struct bufferevent *bev, short what, void *context)
{
    struct raw *raw = context;
    (void)bev;
    if ((what & (BEV_EVENT_EOF | BEV_EVENT_ERROR)) != 0) raw->done = true;
}

static void raw_open(struct raw *raw)
{
    struct address address = {"127.0.0.1", http_server_port(server)};
    struct sockaddr_storage storage;
    socklen_t len;
    raw->len = 0;
    raw->text[0] = '\0';
    raw->done = false;
    assert_int_equal(address_resolve(&storage, &len, &address), OK);
    raw->bev = bufferevent_socket_new(base, -1, BEV_OPT_CLOSE_ON_FREE);
    bufferevent_setcb(raw->bev, on_raw_read, NULL, on_raw_event, raw);
    bufferevent_enable(raw->bev, EV_READ | EV_WRITE);
    assert_int_equal(bufferevent_socket_connect(raw->bev, (struct sockaddr *)&storage, (int)len),
                     0);
}

static void raw_send(struct raw *raw, const char *text)
{
    evbuffer_add(bufferevent_get_output(raw->bev), text, strlen(text));
}

/* The whole answer to `request`, after which the server must close. */
static const char *raw_ask(struct raw *raw, const char *request)
{
    raw_open(raw);
    raw_send(raw, request);
    run_until(&raw->done);
    bufferevent_free(raw->bev);
    return raw->text;
}

static struct raw raw;

static void check_code(const char *request, int code)
{
    char expected[32];
    int len = snprintf(expected, sizeof expected, "HTTP/1.1 %d ", code);
    raw_ask(&raw, request);
    if (strncmp(raw.text, expected, (size_t)len) != 0) fail_msg("%s -> %s", request, raw.text);
    assert_non_null(strstr(raw.text, "\r\nConnection: close\r\n"));
}

static void every_bad_request_gets_its_code(void **state)
{
    (void)state;
    open_server(0, 0, false);
    const struct {
        const char *request;
        int code;
    } cases[] = {
        {"GET /nothing HTTP/1.1\r\n\r\n", 404},
        {"GET /hello/ HTTP/1.1\r\n\r\n", 404},
        {"GET /block//durable/x HTTP/1.1\r\n\r\n", 404},
        {"POST /hello HTTP/1.1\r\nContent-Length: 0\r\n\r\n", 405},
        {"DELETE /json HTTP/1.1\r\n\r\n", 405},
        {"OPTIONS /json HTTP/1.1\r\n\r\n", 405},
        {"POST /echo HTTP/1.1\r\n\r\n", 411},
        {"POST /echo HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 411},
        {"POST /echo HTTP/1.1\r\nContent-Length: 300001\r\n\r\n", 413},
        {"GET /hello HTTP/1.1\r\nContent-Length: 1\r\n\r\nx", 413},
        {"POST /echo HTTP/1.1\r\nContent-Length: 99999999999999999999999\r\n\r\n", 400},
        {"POST /echo HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 400},
        {"POST /echo HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx", 400},
        {"GET  /hello HTTP/1.1\r\n\r\n", 400},
        {"GET /hello\r\n\r\n", 400},
        {"GET hello HTTP/1.1\r\n\r\n", 400},
        {"GET /hello?a=%0 HTTP/1.1\r\n\r\n", 400},
        {"GET /hello?a=%00 HTTP/1.1\r\n\r\n", 400},
        {"GET /hello HTTP/2.0\r\n\r\n", 505},
        {"GET /hello HTTP/1.1\r\nbad header: x\r\n\r\n", 400},
        {"GET /hello HTTP/1.1\r\nno colon\r\n\r\n", 400},
        {"GET /hello HTTP/1.1\r\nA: b\r\n folded\r\n\r\n", 400},
        {"GET /hello HTTP/1.1\r\nA: \x01\r\n\r\n", 400},
        {"G@T /hello HTTP/1.1\r\n\r\n", 400},
        {"\x16\x03\x01\x02hello\r\n\r\n", 400},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        check_code(cases[i].request, cases[i].code);
        assert_non_null(strstr(raw.text, "{\"code\":\""));
    }
    raw_ask(&raw, "DELETE /json HTTP/1.1\r\n\r\n");
    assert_non_null(strstr(raw.text, "\r\nAllow: POST, GET\r\n"));

    static char large[40000];
    memset(large, 'a', sizeof large - 1);
    memcpy(large, "GET /", 5);
    check_code(large, 431);
    memcpy(large + sizeof large - 1 - 13, " HTTP/1.1\r\n\r\n", 13);
    check_code(large, 431);
    raw_ask(&raw, "GET /hello HTTP/1.0\r\n\r\n"); /* still up */
    assert_non_null(strstr(raw.text, "\r\n\r\nhello"));
    close_server();
}

static void good_requests_are_answered_in_order_on_one_connection(void **state)
{
    (void)state;
    open_server(0, 0, false);
    raw_ask(&raw,
            "\r\nGET /hello HTTP/1.1\r\n\r\n"
            "HEAD /hello HTTP/1.1\r\n\r\n"
            "POST /echo HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc"
            "GET http://x/block/a%2Fb/durable/c/d?key=1+2%263&other HTTP/1.1\r\nX-TEST:  v \r\n\r\n"
            "GET /hello HTTP/1.1\r\nConnection: x, Close\r\n\r\n"
            "GET /hello HTTP/1.1\r\n\r\n");
    const char *hello =
        strstr(raw.text, "keep-alive\r\nContent-Length: 5\r\n\r\nhelloHTTP/1.1 200 OK");
    assert_non_null(hello);
    const char *head = strstr(raw.text, "Content-Length: 5\r\n\r\nHTTP/1.1 200 OK");
    assert_true(head > hello);
    const char *echo = strstr(raw.text, "\r\n\r\nabcHTTP/1.1 200 OK");
    assert_true(echo > head);
    const char *json =
        strstr(raw.text, "{\"id\":\"a/b\",\"rest\":\"c/d\",\"key\":\"1 2&3\",\"header\":\"v\"}");
    assert_true(json > echo);
    const char *last = strstr(raw.text, "Connection: close\r\nContent-Length: 5\r\n\r\nhello");
    assert_true(last > json);
    assert_int_equal(last[strlen("Connection: close\r\nContent-Length: 5\r\n\r\nhello")], '\0');
    close_server();
}

static void a_waiting_upload_is_told_to_go_on(void **state)
{
    (void)state;
    open_server(0, 0, false);
    raw_open(&raw);
    raw_send(&raw, "POST /echo HTTP/1.1\r\nContent-Length: 2\r\nConnection: close\r\n"
                   "Expect: 100-continue\r\n\r\n");
    while (strstr(raw.text, "\r\n\r\n") == NULL) {
        event_base_loop(base, EVLOOP_ONCE);
    }
    assert_string_equal(raw.text, "HTTP/1.1 100 Continue\r\n\r\n");
    raw_send(&raw, "ok");
    run_until(&raw.done);
    assert_non_null(strstr(raw.text, "\r\n\r\nok"));
    bufferevent_free(raw.bev);
    close_server();
}

static void slow_and_idle_clients_are_cut(void **state)
{
    (void)state;
    static struct raw idle;
    open_server(0, 500, false);
    raw_open(&idle);
    raw_open(&raw);
    raw_send(&raw, "GET /hello HTT");
    run_until(&raw.done);
    assert_memory_equal(raw.text, "HTTP/1.1 408 ", 13);
    run_until(&idle.done);
    assert_int_equal(idle.len, 0);
    bufferevent_free(raw.bev);
    bufferevent_free(idle.bev);
    close_server();
}

static void connections_are_bounded(void **state)
{
    (void)state;
    static struct raw first;
    open_server(1, 0, false);
    raw_open(&first);
    raw_send(&first, "GET /hello HTTP/1.1\r\n\r\n");
    while (first.len == 0) {
        event_base_loop(base, EVLOOP_ONCE);
    }
    check_code("GET /hello HTTP/1.1\r\n\r\n", 503);
    assert_false(first.done);
    bufferevent_free(first.bev);
    close_server();
}

static void preflight_is_answered_when_asked_for(void **state)
{
    (void)state;
    open_server(0, 0, true);
    raw_ask(&raw, "OPTIONS /echo HTTP/1.1\r\nOrigin: x\r\n\r\n");
    assert_memory_equal(raw.text, "HTTP/1.1 204 ", 13);
    assert_non_null(strstr(raw.text, "Access-Control-Allow-Origin: *\r\n"));
    close_server();
}

static void a_reply_to_a_client_that_left_goes_nowhere(void **state)
{
    (void)state;
    open_server(0, 0, false);
    raw_open(&raw);
    raw_send(&raw, "GET /later HTTP/1.1\r\nConnection: close\r\n\r\n");
    while (held == NULL) {
        event_base_loop(base, EVLOOP_ONCE);
    }
    http_reply_error(held, 409, "late", "%s", "x");
    run_until(&raw.done);
    assert_non_null(strstr(raw.text, "{\"code\":\"late\",\"message\":\"x\"}"));
    bufferevent_free(raw.bev);

    held = NULL;
    raw_open(&raw);
    raw_send(&raw, "GET /later HTTP/1.1\r\n\r\n");
    while (held == NULL) {
        event_base_loop(base, EVLOOP_ONCE);
    }
    http_server_close(server);
    http_reply(held, 200, NULL, NULL, 0);
    bufferevent_free(raw.bev);
    event_base_free(base);
}

/* Holds what is posted, answers one path itself, leaves the rest alone. */
static bool hold_some(void *context, struct http_request *request)
{
    (void)context;
    if (strcmp(http_request_path(request), "/fail") == 0) {
        http_reply_error(request, 500, "taken", "by the intercept");
        return true;
    }
    if (strcmp(http_request_method(request), "POST") != 0) return false;
    assert_int_equal(http_request_body(request).len, 3); /* it is there, whole */
    held = request;
    return true;
}

static void a_request_can_be_taken_before_its_handler(void **state)
{
    (void)state;
    intercept = hold_some;
    open_server(0, 0, false);
    raw_ask(&raw, "GET /fail HTTP/1.1\r\n\r\nGET /hello HTTP/1.1\r\nConnection: close\r\n\r\n");
    assert_memory_equal(raw.text, "HTTP/1.1 500 ", 13);
    assert_non_null(strstr(raw.text, "\r\n\r\nhello"));
    /* No route, no intercept. */
    raw_ask(&raw, "POST /nowhere HTTP/1.1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    assert_memory_equal(raw.text, "HTTP/1.1 404 ", 13);

    raw_open(&raw);
    raw_send(&raw, "POST /echo HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc"
                   "GET /hello HTTP/1.1\r\nConnection: close\r\n\r\n");
    for (int i = 0; i < 500 && held == NULL; i++)
        event_base_loop(base, EVLOOP_ONCE);
    assert_non_null(held);
    assert_int_equal(raw.len, 0); /* what comes behind it waits, too */
    http_request_handle(held, NULL);
    run_until(&raw.done);
    const char *echo = strstr(raw.text, "\r\n\r\nabc");
    assert_non_null(echo);
    assert_non_null(strstr(echo, "\r\n\r\nhello"));
    bufferevent_free(raw.bev);

    /* Handled after the client has left. */
    held = NULL;
    raw_open(&raw);
    raw_send(&raw, "POST /echo HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc");
    for (int i = 0; i < 500 && held == NULL; i++)
        event_base_loop(base, EVLOOP_ONCE);
    assert_non_null(held);
    bufferevent_free(raw.bev);
    http_server_close(server);
    http_request_handle(held, NULL);
    event_base_free(base);
    intercept = NULL;
}

/* --- our own client
 * ------------------------------------------------------------------------------------ */

struct result {
    bool done;
    int code;
    char body[400000];
    size_t len;
    char failure[64];
    int chunks;
    struct http_call *call;
    bool cancel_at_chunk;
};
static struct result result;

static void on_done(void *context, const struct http_response *response)
{
    struct result *to = context;
    assert_false(to->done);
    to->done = true;
    to->code = response->code;
    if (response->body.len > 0) memcpy(to->body, response->body.data, response->body.len);
    to->len += response->body.len;
    assert_true((response->failure != NULL) == (response->code == 0));
    snprintf(to->failure, sizeof to->failure, "%s", response->failure ? response->failure : "");
}

static void on_chunk(void *context, const uint8_t *data, size_t len)
{
    struct result *to = context;
    memcpy(to->body + to->len, data, len);
    to->len += len;
    to->chunks++;
    if (to->cancel_at_chunk) {
        http_call_cancel(to->call);
        to->done = true;
    }
}

static struct http_call_options call_options(const char *method, const char *path)
{
    memset(&result, 0, sizeof result);
    return (struct http_call_options){.address = {"127.0.0.1", http_server_port(server)},
                                      .method = method,
                                      .path = path,
                                      .timeout_ms = 5000,
                                      .response_bytes_max = sizeof result.body,
                                      .on_done = on_done,
                                      .context = &result};
}

static void calls_return_replies(void **state)
{
    (void)state;
    open_server(0, 0, false);
    struct http_call_options options = call_options("GET", "/hello");
    http_call_start(base, &options);
    run_until(&result.done);
    assert_int_equal(result.code, 200);
    assert_memory_equal(result.body, "hello", 5);

    static uint8_t body[300000];
    uint64_t seed = 1;
    unit_random_bytes(&seed, body, sizeof body);
    options = call_options("POST", "/echo");
    options.body = (struct bytes){body, sizeof body};
    http_call_start(base, &options);
    run_until(&result.done);
    assert_int_equal(result.len, sizeof body);
    assert_memory_equal(result.body, body, sizeof body);

    options = call_options("POST", "/json");
    options.body = (struct bytes){(const uint8_t *)"[1, 2", 5};
    http_call_start(base, &options);
    run_until(&result.done);
    assert_int_equal(result.code, 400);
    assert_non_null(strstr(result.body, "the body is not JSON"));

    options = call_options("GET", "/fail");
    http_call_start(base, &options);
    run_until(&result.done);
    assert_int_equal(result.code, 503);
    assert_string_equal(result.body, "{\"code\":\"busy\",\"message\":\"come back in 5 s\"}");
    close_server();
}

static void calls_that_cannot_succeed_say_why(void **state)
{
    (void)state;
    open_server(0, 0, false);
    struct http_call_options options = call_options("POST", "/echo");
    uint8_t body[100] = {0};
    options.body = (struct bytes){body, sizeof body};
    options.response_bytes_max = 99;
    http_call_start(base, &options);
    run_until(&result.done);
    assert_string_equal(result.failure, "the reply is too large");

    options = call_options("GET", "/later");
    options.timeout_ms = 50;
    http_call_start(base, &options);
    run_until(&result.done);
    assert_string_equal(result.failure, "no reply in time");
    http_reply(held, 200, NULL, NULL, 0);

    options = call_options("GET", "/later");
    struct http_call *call = http_call_start(base, &options);
    held = NULL;
    while (held == NULL) {
        event_base_loop(base, EVLOOP_ONCE);
    }
    http_call_cancel(call);
    http_call_cancel(NULL);
    assert_false(result.done);
    http_reply(held, 200, NULL, NULL, 0);

    options = call_options("GET", "/hello");
    close_server();
    base = event_base_new();
    http_call_start(base, &options);
    assert_false(result.done);
    run_until(&result.done);
    assert_string_equal(result.failure, "cannot connect");
    event_base_free(base);
}

static void a_stream_delivers_chunks_as_they_come(void **state)
{
    (void)state;
    open_server(0, 0, false);
    struct http_call_options options = call_options("GET", "/stream");
    options.on_chunk = on_chunk;
    http_call_start(base, &options);
    while (result.chunks == 0) {
        event_base_loop(base, EVLOOP_ONCE);
    }
    assert_true(http_stream_write(stream, "[2]\n", 4));
    assert_true(http_stream_write(stream, "[3]\n", 4));
    http_stream_end(stream);
    run_until(&result.done);
    assert_int_equal(result.code, 200);
    assert_int_equal(result.chunks, 3);
    assert_memory_equal(result.body, "[1]\n[2]\n[3]\n", 12);
    assert_int_equal(streams_gone, 0);

    options = call_options("GET", "/stream");
    options.on_chunk = on_chunk;
    result.cancel_at_chunk = true;
    result.call = http_call_start(base, &options);
    run_until(&result.done);
    assert_int_equal(result.chunks, 1);
    while (streams_gone == 0) { /* the server learns that the client left */
        event_base_loop(base, EVLOOP_ONCE);
    }
    assert_null(stream);

    options = call_options("GET", "/stream");
    options.on_chunk = on_chunk;
    options.timeout_ms = 100;
    http_call_start(base, &options);
    run_until(&result.done);
    assert_string_equal(result.failure, "no reply in time");
    close_server();
}

static void a_stream_that_nobody_reads_is_cut(void **state)
{
    (void)state;
    static uint8_t block[100000];
    open_server(0, 0, false);
    raw_open(&raw);
    raw_send(&raw, "GET /stream HTTP/1.1\r\n\r\n");
    while (raw.len == 0) {
        event_base_loop(base, EVLOOP_ONCE);
    }
    bufferevent_disable(raw.bev, EV_READ);
    int written = 0;
    while (http_stream_write(stream, block, sizeof block)) {
        assert_true(++written < 1000);
        event_base_loop(base, EVLOOP_NONBLOCK);
    }
    assert_true(written >= 10);
    assert_int_equal(streams_gone, 0);
    bufferevent_free(raw.bev);
    close_server();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_bad_request_gets_its_code),
        cmocka_unit_test(good_requests_are_answered_in_order_on_one_connection),
        cmocka_unit_test(a_waiting_upload_is_told_to_go_on),
        cmocka_unit_test(slow_and_idle_clients_are_cut),
        cmocka_unit_test(connections_are_bounded),
        cmocka_unit_test(preflight_is_answered_when_asked_for),
        cmocka_unit_test(a_reply_to_a_client_that_left_goes_nowhere),
        cmocka_unit_test(a_request_can_be_taken_before_its_handler),
        cmocka_unit_test(calls_return_replies),
        cmocka_unit_test(calls_that_cannot_succeed_say_why),
        cmocka_unit_test(a_stream_delivers_chunks_as_they_come),
        cmocka_unit_test(a_stream_that_nobody_reads_is_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
