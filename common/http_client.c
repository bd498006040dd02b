#include "common/http_client.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/bufferevent_ssl.h>
#include <event2/event.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/http_answer.h"
#include "common/tls_files.h"

struct http_call {
    struct http_call_options options;
    struct bufferevent *bev;
    struct event *timer;
    struct http_answer answer;
    bool connected;      /* TLS: the handshake is over */
    bool cancelled;      /* while `busy`: free when the stack has unwound */
    bool busy;           /* inside on_chunk or on_done */
    const char *failure; /* at the start; told from the loop */
    char text[128];      /* where a failure is made up */
};

static void call_free(struct http_call *call)
{
    if (call->bev != NULL) bufferevent_free(call->bev);
    event_free(call->timer);
    http_answer_close(&call->answer);
    free(call);
}

/* The end of every call that is not cancelled. */
static void call_finish(struct http_call *call, const char *failure)
{
    struct http_response response = {.code = call->answer.code, .failure = NULL};

    if (failure != NULL) {
        response.code = 0;
        response.failure = failure;
    } else {
        response.body.len = evbuffer_get_length(call->answer.body);
        response.body.data = evbuffer_pullup(call->answer.body, -1);
    }
    call->busy = true;
    call->options.on_done(call->options.context, &response);
    call_free(call);
}

static void restart_timer(struct http_call *call)
{
    const struct timeval timeout = {call->options.timeout_ms / 1000,
                                    (call->options.timeout_ms % 1000) * 1000};
    event_add(call->timer, &timeout);
}

/* A piece of a streamed reply. */
static void on_piece(void *context, const uint8_t *data, size_t len)
{
    struct http_call *call = context;

    restart_timer(call);
    call->busy = true;
    call->options.on_chunk(call->options.context, data, len);
    call->busy = false;
}

/* Everything that the input allows. False when the call is gone. */
static bool advance(struct http_call *call)
{
    struct evbuffer *input = bufferevent_get_input(call->bev);

    while (!call->cancelled && http_answer_step(&call->answer, input)) {
        if (call->cancelled) break;
        if (call->answer.failure != NULL || call->answer.state == HTTP_ANSWER_DONE) {
            call_finish(call, call->answer.failure);
            return false;
        }
    }
    if (!call->cancelled) return true;
    call_free(call);
    return false;
}

static void on_read(struct bufferevent *bev, void *context)
{
    (void)bev;
    (void)advance(context);
}

/* Why a TLS connection did not come about. */
static const char *connect_failure(struct http_call *call, short what)
{
    struct bufferevent *bev = call->bev;
    const char *wrong = tls_failure(bufferevent_openssl_get_ssl(bev));

    if (wrong != NULL) {
        (void)snprintf(call->text, sizeof call->text, "its certificate is not trusted: %s", wrong);
        return call->text;
    }
    if (bufferevent_get_openssl_error(bev) != 0 || (what & BEV_EVENT_EOF) != 0)
        return "the server does not speak TLS";
    return "cannot connect";
}

static void on_event(struct bufferevent *bev, short what, void *context)
{
    struct http_call *call = context;

    if ((what & BEV_EVENT_CONNECTED) != 0) {
        call->connected = true;
        return;
    }
    /* What came before the end still counts. */
    if (evbuffer_get_length(bufferevent_get_input(bev)) > 0 && !advance(call)) return;
    if ((what & BEV_EVENT_EOF) != 0 && call->answer.state == HTTP_ANSWER_END) {
        call_finish(call, NULL);
    } else if (call->options.tls != NULL && !call->connected) {
        call_finish(call, connect_failure(call, what));
    } else if (call->answer.state == HTTP_ANSWER_HEAD && call->answer.code == 0 &&
               (what & BEV_EVENT_EOF) == 0) {
        call_finish(call, "cannot connect");
    } else {
        call_finish(call, "the connection ended before the reply");
    }
}

static void on_timer(evutil_socket_t fd, short what, void *context)
{
    struct http_call *call = context;
    (void)fd;
    (void)what;
    call_finish(call, call->failure != NULL ? call->failure : "no reply in time");
}

static void write_request(struct http_call *call)
{
    struct evbuffer *output = bufferevent_get_output(call->bev);
    const struct http_call_options *options = &call->options;
    char host[ADDRESS_TEXT_BYTES_MAX];

    address_format(host, &options->address);
    evbuffer_add_printf(output, "%s %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n",
                        options->method, options->path, host);
    if (options->token != NULL && options->token[0] != '\0')
        evbuffer_add_printf(output, "Authorization: Bearer %s\r\n", options->token);
    if (strcmp(options->method, "POST") == 0) {
        evbuffer_add_printf(output, "Content-Type: %s\r\nContent-Length: %zu\r\n\r\n",
                            options->content_type == NULL ? "application/json"
                                                          : options->content_type,
                            options->body.len);
        evbuffer_add(output, options->body.data, options->body.len);
    } else {
        evbuffer_add_printf(output, "\r\n");
    }
}

static void connect_call(struct http_call *call, struct event_base *base)
{
    struct sockaddr_storage storage;
    socklen_t len;

    if (address_resolve(&storage, &len, &call->options.address) != OK) {
        call->failure = "the host is not known";
        return;
    }
    if (call->options.tls == NULL) {
        call->bev = bufferevent_socket_new(base, -1, BEV_OPT_CLOSE_ON_FREE);
    } else {
        SSL *tls = tls_roots_connect(call->options.tls, call->options.address.host);
        call->bev = bufferevent_openssl_socket_new(base, -1, tls, BUFFEREVENT_SSL_CONNECTING,
                                                   BEV_OPT_CLOSE_ON_FREE);
    }
    CHECK(call->bev != NULL);
    if (call->options.tls != NULL) bufferevent_openssl_set_allow_dirty_shutdown(call->bev, 1);
    write_request(call);
    bufferevent_setwatermark(call->bev, EV_READ, 0,
                             call->options.response_bytes_max + HTTP_ANSWER_HEAD_BYTES_MAX);
    /* Callbacks only afterwards: a failure at once would end the call in here. */
    if (bufferevent_socket_connect(call->bev, (struct sockaddr *)&storage, (int)len) != 0) {
        call->failure = "cannot connect";
        return;
    }
    bufferevent_setcb(call->bev, on_read, NULL, on_event, call);
    bufferevent_enable(call->bev, EV_READ | EV_WRITE);
}

struct http_call *http_call_start(struct event_base *base, const struct http_call_options *options)
{
    struct http_call *call = calloc(1, sizeof *call);
    CHECK(call != NULL);
    call->options = *options;
    http_answer_open(&call->answer, options->response_bytes_max,
                     options->on_chunk == NULL ? NULL : on_piece, call);
    call->timer = event_new(base, -1, 0, on_timer, call);
    CHECK(call->timer != NULL);

    /* A peer that leaves is an error of the write, not the end of the program. */
    signal(SIGPIPE, SIG_IGN);
    connect_call(call, base);
    /* What was borrowed has been copied into the output by now. */
    call->options.token = NULL;
    call->options.method = NULL;
    call->options.path = NULL;
    call->options.content_type = NULL;
    call->options.body = (struct bytes){NULL, 0};
    if (call->failure != NULL) {
        event_active(call->timer, EV_TIMEOUT, 0); /* on_done comes from the loop */
    } else {
        restart_timer(call);
    }
    return call;
}

void http_call_cancel(struct http_call *call)
{
    if (call == NULL) return;
    if (call->busy) {
        call->cancelled = true;
    } else {
        call_free(call);
    }
}
