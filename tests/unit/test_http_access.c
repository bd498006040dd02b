/* Goal: an HTTP server with a guard answers 401, 403 and 429 with the header that goes with them,
 * before it reads a body; with TLS it speaks nothing else, and a client tells a wrong certificate
 * from an unreachable server. Method: both on one event loop over loopback. */
#include "tests/unit/unit.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/http_client.h"
#include "common/http_guard.h"
#include "common/tls_files.h"
#include "tests/unit/pki.h"

#define READER "reader-token-0123456789"
#define WRITER "writer-token-0123456789"

static struct pki_folder pki;
static struct event_base *base;
static struct http_server *server;
static struct http_guard guard;
static uint64_t handled;

static void handle(void *context, struct http_request *request)
{
    (void)context;
    handled++;
    struct bytes body = http_request_body(request);
    http_reply(request, 200, "text/plain", body.data, body.len);
}

static const struct http_route routes[] = {
    {"GET", "/healthz", handle, 0},
    {"GET", "/status", handle, 0},
    {"POST", "/submit", handle, 400000},
};

static enum token_right right_of(const struct http_request *request)
{
    if (strcmp(http_request_path(request), "/healthz") == 0) return TOKEN_OPEN;
    return strcmp(http_request_method(request), "POST") == 0 ? TOKEN_SUBMIT : TOKEN_READ;
}

static void open_server(struct tls_identity *identity,
                        const struct rates *rates,
                        const char *tokens)
{
    struct address address = {"127.0.0.1", 0};
    struct error_line error;
    struct http_server_options options = {
        .routes = routes,
        .routes_count = sizeof routes / sizeof routes[0],
        .tls = identity == NULL ? NULL : identity->context,
        .guard = http_guard_judge_request,
        .guard_context = &guard,
    };
    struct bytes text = {(const uint8_t *)tokens, strlen(tokens)};
    struct token_table *table = NULL;

    base = event_base_new();
    guard = http_guard_make(right_of, rates);
    if (text.len > 0) assert_int_equal(token_table_parse(&table, "t", text, &error), OK);
    http_guard_set_tokens(&guard, table);
    assert_int_equal(http_server_open(&server, base, &address, &options, &error), OK);
    handled = 0;
}

static void close_server(void)
{
    http_server_close(server);
    http_guard_clear(&guard);
    event_base_free(base);
}

static void run_until(const bool *done)
{
    const struct timeval tick = {0, 20000};
    for (int i = 0; i < 500 && !*done; i++) {
        event_base_loopexit(base, &tick);
        event_base_loop(base, EVLOOP_ONCE);
    }
    assert_true(*done);
}

/* ---- a raw client: what comes back until the server closes --------------------------------- */

static char reply[4096];
static size_t reply_len;
static bool closed;

static void on_raw_read(struct bufferevent *bev, void *context)
{
    (void)context;
    int part = evbuffer_remove(bufferevent_get_input(bev), reply + reply_len,
                               sizeof reply - 1 - reply_len);
    if (part > 0) reply_len += (size_t)part;
}

static void on_raw_event(struct bufferevent *bev, short what, void *context)
{
    (void)context;
    if ((what & BEV_EVENT_CONNECTED) != 0) return;
    on_raw_read(bev, NULL);
    closed = true;
}

/* Sends a request whose connection ends with the reply; its status code. */
static int ask(const char *head, const char *body)
{
    struct sockaddr_storage storage;
    socklen_t len;
    struct address address = {"127.0.0.1", http_server_port(server)};
    struct bufferevent *bev = bufferevent_socket_new(base, -1, BEV_OPT_CLOSE_ON_FREE);

    memset(reply, 0, sizeof reply);
    reply_len = 0;
    closed = false;
    assert_int_equal(address_resolve(&storage, &len, &address), OK);
    bufferevent_setcb(bev, on_raw_read, NULL, on_raw_event, NULL);
    bufferevent_enable(bev, EV_READ | EV_WRITE);
    evbuffer_add_printf(bufferevent_get_output(bev), "%s\r\nConnection: close\r\n\r\n%s", head,
                        body);
    assert_int_equal(bufferevent_socket_connect(bev, (struct sockaddr *)&storage, (int)len), 0);
    run_until(&closed);
    bufferevent_free(bev);
    return strncmp(reply, "HTTP/1.1 ", 9) == 0 ? atoi(reply + 9) : 0;
}

static void a_guard_asks_for_the_right_token(void **state)
{
    (void)state;
    const struct rates none = {0, 0};
    open_server(NULL, &none, "r " READER " read\nw " WRITER " submit\n");
    assert_int_equal(ask("GET /healthz HTTP/1.1", ""), 200);
    assert_int_equal(ask("GET /status HTTP/1.1", ""), 401);
    assert_non_null(strstr(reply, "\r\nWWW-Authenticate: Bearer realm=\"dsn\"\r\n"));
    assert_non_null(strstr(reply, "{\"code\":\"unauthenticated\""));
    assert_int_equal(ask("GET /status HTTP/1.1\r\nAuthorization: Bearer " WRITER "x", ""), 401);
    assert_int_equal(ask("GET /status HTTP/1.1\r\nAuthorization: Bearer " WRITER, ""), 403);
    assert_null(strstr(reply, "WWW-Authenticate"));
    assert_int_equal(ask("GET /status HTTP/1.1\r\nauthorization: bearer " READER, ""), 200);
    assert_int_equal(handled, 2);
    /* Refused before the body, which is not waited for. */
    assert_int_equal(ask("POST /submit HTTP/1.1\r\nContent-Length: 300000", "part"), 401);
    assert_int_equal(
        ask("POST /submit HTTP/1.1\r\nContent-Length: 4\r\nAuthorization: Bearer " WRITER, "body"),
        200);
    assert_int_equal(guard.refused_tokens, 4);
    /* What does not exist is no secret. */
    assert_int_equal(ask("GET /nothing HTTP/1.1", ""), 404);
    close_server();
}

static void a_guard_limits_an_address(void **state)
{
    (void)state;
    const struct rates rates = {0, 1};
    open_server(NULL, &rates, "");
    assert_int_equal(ask("POST /submit HTTP/1.1\r\nContent-Length: 20", "twenty bytes or more"),
                     200);
    assert_int_equal(ask("POST /submit HTTP/1.1\r\nContent-Length: 4", "more"), 429);
    const char *hint = strstr(reply, "\r\nRetry-After: ");
    assert_non_null(hint);
    assert_in_range(atoi(hint + 15), 1, 20);
    assert_non_null(strstr(reply, "{\"code\":\"resource_exhausted\""));
    assert_int_equal(ask("GET /status HTTP/1.1", ""), 200);
    assert_int_equal(guard.refused_limits, 1);
    close_server();
}

/* ---- TLS ------------------------------------------------------------------------------------- */

static struct {
    bool done;
    int code;
    char failure[200];
    size_t len;
    uint8_t body[400000];
} result;

static void on_done(void *context, const struct http_response *response)
{
    (void)context;
    result.done = true;
    result.code = response->code;
    result.len = response->body.len;
    if (response->body.len > 0) memcpy(result.body, response->body.data, response->body.len);
    snprintf(result.failure, sizeof result.failure, "%s",
             response->failure == NULL ? "" : response->failure);
}

static int call(const struct tls_roots *roots,
                const char *host,
                const char *token,
                struct bytes body)
{
    struct http_call_options options = {
        .address = {.port = http_server_port(server)},
        .tls = roots,
        .token = token,
        .method = body.len > 0 ? "POST" : "GET",
        .path = body.len > 0 ? "/submit" : "/status",
        .body = body,
        .timeout_ms = 5000,
        .response_bytes_max = sizeof result.body,
        .on_done = on_done,
    };
    snprintf(options.address.host, sizeof options.address.host, "%s", host);
    memset(&result, 0, sizeof result);
    http_call_start(base, &options);
    run_until(&result.done);
    return result.code;
}

static void tls_carries_requests_and_nothing_else_does(void **state)
{
    (void)state;
    static uint8_t body[350000];
    const struct bytes none = {NULL, 0};
    const struct rates rates = {0, 0};
    struct tls_identity *identity[3];
    struct tls_roots *roots[3];
    struct error_line error;
    uint64_t seed = 3;

    for (int i = 0; i < 3; i++) {
        assert_int_equal(tls_identity_load(&identity[i], pki.certificate[i], pki.key[i], &error),
                         OK);
        assert_int_equal(tls_roots_load(&roots[i], pki.certificate[i], &error), OK);
    }
    unit_random_bytes(&seed, body, sizeof body);
    open_server(identity[0], &rates, "w " WRITER " submit read\n");
    assert_int_equal(call(roots[0], "127.0.0.1", WRITER, none), 200);
    assert_int_equal(call(roots[0], "127.0.0.1", NULL, none), 401);
    assert_int_equal(call(roots[0], "127.0.0.1", WRITER, (struct bytes){body, sizeof body}), 200);
    assert_int_equal(result.len, sizeof body);
    assert_memory_equal(result.body, body, sizeof body);
    /* Another root; a name that the certificate does not have; no TLS. */
    assert_int_equal(call(roots[1], "127.0.0.1", WRITER, none), 0);
    assert_non_null(strstr(result.failure, "self"));
    assert_int_equal(call(roots[0], "localhost", WRITER, none), 0);
    assert_non_null(strstr(result.failure, "not trusted: hostname mismatch"));
    assert_int_equal(call(NULL, "127.0.0.1", WRITER, none), 0);
    assert_int_equal(ask("GET /healthz HTTP/1.1", ""), 0);

    http_server_set_tls(server, identity[1]->context);
    tls_identity_free(identity[0]);
    tls_identity_free(identity[1]);
    assert_int_equal(call(roots[1], "127.0.0.1", WRITER, none), 200);
    assert_int_equal(call(roots[0], "127.0.0.1", WRITER, none), 0);
    http_server_set_tls(server, identity[2]->context);
    tls_identity_free(identity[2]);
    assert_int_equal(call(roots[2], "127.0.0.1", WRITER, none), 0);
    assert_non_null(strstr(result.failure, "not trusted: IP address mismatch"));
    close_server();

    open_server(NULL, &rates, "");
    assert_int_equal(call(roots[0], "127.0.0.1", WRITER, none), 0);
    assert_string_equal(result.failure, "the server does not speak TLS");
    close_server();
    for (int i = 0; i < 3; i++)
        tls_roots_free(roots[i]);
}

static int set_up(void **state)
{
    (void)state;
    return pki_folder_open(&pki);
}

static int tear_down(void **state)
{
    (void)state;
    return pki_folder_close(&pki);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_guard_asks_for_the_right_token),
        cmocka_unit_test(a_guard_limits_an_address),
        cmocka_unit_test(tls_carries_requests_and_nothing_else_does),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
