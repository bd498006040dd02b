#include "tests/fuzz/http_rig.h"

#include <arpa/inet.h>
#include <errno.h>
#include <event2/buffer.h>
#include <event2/event.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/http_answer.h"

#define REPLY_BYTES_MAX (64u * 1024u * 1024u)
#define TURNS_MAX       1000000u

static int connect_to(uint16_t port)
{
    const struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    /* Closing forgets the connection at once, and where the server closes first the next thousand come from
     * another address: thousands a second would use up all ports else. */
    static uint32_t connections;
    const struct sockaddr_in from = {
        .sin_family = AF_INET,
        .sin_addr = {htonl(INADDR_LOOPBACK + (connections++ / 1000 % 65536 << 8))}};
    const struct linger linger = {.l_onoff = 1};
    const int one = 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    CHECK(fd >= 0);
    CHECK(setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger) == 0);
    CHECK(setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one) == 0);
    const void *any = &from;
    CHECK(bind(fd, any, sizeof from) == 0);
    any = &address;
    if (connect(fd, any, sizeof address) != 0) {
        perror("http_rig: connect");
        abort();
    }
    return fd;
}

/* Sends what the socket takes; the rest stays. False when the server hears nothing more. */
static bool send_some(int fd, const uint8_t **request, size_t *len)
{
    while (*len > 0) {
        ssize_t sent = send(fd, *request, *len, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0) return errno == EAGAIN;
        *request += sent;
        *len -= (size_t)sent;
        if (*len == 0) shutdown(fd, SHUT_WR);
    }
    return true;
}

/* Reads what is there. False at the end of the connection. */
static bool receive_some(int fd, struct evbuffer *replies)
{
    char piece[16384];
    ssize_t got;

    while ((got = recv(fd, piece, sizeof piece, MSG_DONTWAIT)) > 0)
        evbuffer_add(replies, piece, (size_t)got);
    return got < 0 && errno == EAGAIN;
}

/* Takes one reply off; false when there is no whole one. */
static bool take_reply(struct evbuffer *replies, struct http_answer *answer)
{
    http_answer_open(answer, REPLY_BYTES_MAX, NULL, NULL);
    while (answer->failure == NULL && http_answer_step(answer, replies))
        continue;
    return answer->failure == NULL &&
           (answer->state == HTTP_ANSWER_DONE || answer->state == HTTP_ANSWER_END);
}

static void exchange(struct event_base *base,
                     int fd,
                     struct evbuffer *replies,
                     const uint8_t *request,
                     size_t len)
{
    bool open = true;

    if (len == 0) shutdown(fd, SHUT_WR);
    for (uint32_t turn = 0; open; turn++) {
        CHECK(turn < TURNS_MAX);
        if (!send_some(fd, &request, &len)) len = 0;
        CHECK(event_base_loop(base, EVLOOP_NONBLOCK) >= 0);
        open = receive_some(fd, replies);
        if (turn < 16 || !open) continue;
        struct pollfd wait = {.fd = fd, .events = POLLIN};
        (void)poll(&wait, 1, 1);
    }
}

uint32_t http_rig_ask(struct event_base *base,
                      uint16_t port,
                      const void *request,
                      size_t len,
                      int *ret_code,
                      struct bytes *ret_body)
{
    static struct evbuffer *body;
    struct evbuffer *replies = evbuffer_new();
    struct http_answer answer;
    uint32_t count = 0;
    int fd = connect_to(port);

    if (body == NULL) body = evbuffer_new();
    evbuffer_drain(body, SIZE_MAX);
    exchange(base, fd, replies, request, len);
    close(fd);
    *ret_code = 0;
    while (evbuffer_get_length(replies) > 0) {
        bool whole = take_reply(replies, &answer);
        /* Replies to HEAD name the length of a body that does not come. */
        CHECK(answer.failure == NULL || memmem(request, len, "HEAD ", 5) != NULL);
        if (whole && count++ == 0) {
            *ret_code = answer.code;
            evbuffer_add_buffer(body, answer.body);
        }
        http_answer_close(&answer);
        if (!whole) break;
    }
    evbuffer_free(replies);
    *ret_body = (struct bytes){evbuffer_pullup(body, -1), evbuffer_get_length(body)};
    return count;
}
