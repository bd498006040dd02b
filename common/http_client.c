#include "common/http_client.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/bufferevent_ssl.h>
#include <event2/event.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "common/tls_files.h"

#define HEAD_BYTES_MAX (16u * 1024u)

enum call_state {
    CALL_HEAD,       /* status line and headers */
    CALL_LENGTH,     /* `left` bytes of a counted body */
    CALL_END,        /* a body that ends with the connection */
    CALL_CHUNK_SIZE, /* the line before a chunk */
    CALL_CHUNK,      /* `left` bytes of a chunk and its line end */
    CALL_TRAILER,    /* lines after the last chunk */
    CALL_DONE,
};

struct http_call {
    struct http_call_options options;
    struct bufferevent *bev;
    struct event *timer;
    struct evbuffer *body; /* of the reply, unless streamed */
    enum call_state state;
    int code;
    size_t left;
    bool connected; /* TLS: the handshake is over */
    bool streamed;
    bool cancelled; /* while `busy`: free when the stack has unwound */
    bool busy;      /* inside on_chunk or on_done */
    const char *failure;
    char text[128]; /* where a failure is made up */
};

static void call_free(struct http_call *call)
{
    if (call->bev != NULL) bufferevent_free(call->bev);
    event_free(call->timer);
    evbuffer_free(call->body);
    free(call);
}

/* The end of every call that is not cancelled. */
static void call_finish(struct http_call *call, const char *failure)
{
    if (call->state == CALL_DONE) return;
    call->state = CALL_DONE;

    struct http_response response = {.code = call->code, .failure = NULL};
    if (failure != NULL) {
        response.code = 0;
        response.failure = failure;
    } else {
        response.body.len = evbuffer_get_length(call->body);
        response.body.data = evbuffer_pullup(call->body, -1);
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

/* Hands `len` bytes of the input on: to the stream, or to the body. */
static void take(struct http_call *call, struct evbuffer *input, size_t len)
{
    if (!call->streamed) {
        CHECK(evbuffer_remove_buffer(input, call->body, len) == (int)len);
        return;
    }
    restart_timer(call);
    const uint8_t *data = evbuffer_pullup(input, (ev_ssize_t)len);
    call->busy = true;
    call->options.on_chunk(call->options.context, data, len);
    call->busy = false;
    evbuffer_drain(input, len);
}

/* A header's value, if `line` is that header. */
static const char *header_value(const char *line, const char *name)
{
    size_t len = strlen(name);
    if (strncasecmp(line, name, len) != 0 || line[len] != ':') return NULL;
    return line + len + 1 + strspn(line + len + 1, " \t");
}

static bool parse_number(size_t *ret, const char *text, int base)
{
    char *end;
    if (strchr("0123456789abcdefABCDEF", *text) == NULL || *text == '\0') return false;
    unsigned long long value = strtoull(text, &end, base);
    end += strspn(end, " \t");
    if (*end != '\0' && !(base == 16 && *end == ';')) return false;
    if (value > SIZE_MAX / 2) return false;
    *ret = (size_t)value;
    return true;
}

/* Judges the head line by line; false when it is not HTTP. */
static bool parse_head(struct http_call *call, struct evbuffer *input)
{
    bool chunked = false;
    bool counted = false;
    bool good = true;
    size_t length = 0;

    char *line = evbuffer_readln(input, NULL, EVBUFFER_EOL_CRLF);
    CHECK(line != NULL);
    good = strncmp(line, "HTTP/1.", 7) == 0 && strlen(line) >= 12 && line[8] == ' ';
    call->code = good ? atoi(line + 9) : 0;
    free(line);
    if (!good || call->code < 100 || call->code > 999) return false;

    while ((line = evbuffer_readln(input, NULL, EVBUFFER_EOL_CRLF)) != NULL && *line != '\0') {
        const char *value = header_value(line, "content-length");
        if (value != NULL) {
            counted = true;
            good = good && parse_number(&length, value, 10);
        }
        value = header_value(line, "transfer-encoding");
        if (value != NULL) {
            chunked = true;
            good = good && strcasecmp(value, "chunked") == 0;
        }
        free(line);
    }
    free(line);
    if (!good) return false;
    if (call->code < 200) return true; /* 100 Continue: the real head follows */

    call->streamed = call->options.on_chunk != NULL && call->code == 200;
    call->left = length;
    call->state = chunked ? CALL_CHUNK_SIZE : counted ? CALL_LENGTH : CALL_END;
    if (call->code == 204 || call->code == 304) {
        call->state = CALL_LENGTH;
        call->left = 0;
    }
    return true;
}

/* Each step returns true when it made progress and may go on; a failure finishes the call. */
static bool step_head(struct http_call *call, struct evbuffer *input)
{
    struct evbuffer_ptr end = evbuffer_search(input, "\r\n\r\n", 4, NULL);
    if (end.pos < 0 && evbuffer_get_length(input) < HEAD_BYTES_MAX) return false;
    if (end.pos < 0 || !parse_head(call, input)) call->failure = "the reply is not HTTP";
    return true;
}

static bool step_plain(struct http_call *call, struct evbuffer *input)
{
    size_t len = evbuffer_get_length(input);
    bool counted = call->state == CALL_LENGTH;

    if (counted && len > call->left) len = call->left;
    if (!call->streamed &&
        len + (counted ? call->left - len : 0) + evbuffer_get_length(call->body) >
            call->options.response_bytes_max) {
        call->failure = "the reply is too large";
        return true;
    }
    if (counted) call->left -= len;
    if (len > 0) take(call, input, len);
    if (counted && call->left == 0) call->state = CALL_DONE;
    return call->state == CALL_DONE;
}

static bool step_chunk_size(struct http_call *call, struct evbuffer *input)
{
    char *line = evbuffer_readln(input, NULL, EVBUFFER_EOL_CRLF);
    if (line == NULL) {
        if (evbuffer_get_length(input) < HEAD_BYTES_MAX) return false;
        call->failure = "the reply is not HTTP";
        return true;
    }
    bool good = parse_number(&call->left, line, 16);
    free(line);
    if (!good) {
        call->failure = "the reply is not HTTP";
    } else if (call->left + evbuffer_get_length(call->body) > call->options.response_bytes_max) {
        call->failure = "the reply is too large";
    }
    call->state = call->left == 0 ? CALL_TRAILER : CALL_CHUNK;
    return true;
}

static bool step_chunk(struct http_call *call, struct evbuffer *input)
{
    char end[2];

    if (evbuffer_get_length(input) < call->left + 2) return false;
    call->state = CALL_CHUNK_SIZE;
    take(call, input, call->left);
    if (evbuffer_remove(input, end, 2) != 2 || memcmp(end, "\r\n", 2) != 0) {
        call->failure = "the reply is not HTTP";
    }
    return true;
}

static bool step_trailer(struct http_call *call, struct evbuffer *input)
{
    char *line = evbuffer_readln(input, NULL, EVBUFFER_EOL_CRLF);
    if (line == NULL) return false;
    if (*line == '\0') call->state = CALL_DONE;
    free(line);
    return true;
}

static bool step(struct http_call *call, struct evbuffer *input)
{
    switch (call->state) {
    case CALL_HEAD:
        return step_head(call, input);
    case CALL_LENGTH:
    case CALL_END:
        return step_plain(call, input);
    case CALL_CHUNK_SIZE:
        return step_chunk_size(call, input);
    case CALL_CHUNK:
        return step_chunk(call, input);
    case CALL_TRAILER:
        return step_trailer(call, input);
    case CALL_DONE:
        break;
    }
    return false;
}

/* Everything that the input allows. False when the call is gone. */
static bool advance(struct http_call *call)
{
    struct evbuffer *input = bufferevent_get_input(call->bev);

    while (step(call, input)) {
        if (call->cancelled) {
            call_free(call);
            return false;
        }
        if (call->failure != NULL || call->state == CALL_DONE) {
            const char *failure = call->failure;
            call->state = CALL_HEAD; /* anything but DONE, which call_finish sets */
            call_finish(call, failure);
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
    if ((what & BEV_EVENT_EOF) != 0 && call->state == CALL_END) {
        call_finish(call, NULL);
    } else if (call->options.tls != NULL && !call->connected) {
        call_finish(call, connect_failure(call, what));
    } else if (call->state == CALL_HEAD && call->code == 0 && (what & BEV_EVENT_EOF) == 0) {
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
                             call->options.response_bytes_max + HEAD_BYTES_MAX);
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
    call->body = evbuffer_new();
    call->timer = event_new(base, -1, 0, on_timer, call);
    CHECK(call->body != NULL);
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
