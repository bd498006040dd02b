#include "common/http_answer.h"

#include <event2/buffer.h>
#include <stdlib.h>
#include <strings.h>

static const char not_http[] = "the reply is not HTTP";
static const char too_large[] = "the reply is too large";

void http_answer_open(struct http_answer *answer,
                      size_t bytes_max,
                      http_answer_take *take,
                      void *context)
{
    *answer = (struct http_answer){.bytes_max = bytes_max, .take = take, .context = context};
    answer->body = evbuffer_new();
    CHECK(answer->body != NULL);
}

void http_answer_close(struct http_answer *answer)
{
    evbuffer_free(answer->body);
}

/* Hands `len` bytes of the input on: to the stream, or to the body. */
static void take(struct http_answer *answer, struct evbuffer *input, size_t len)
{
    if (!answer->streamed) {
        CHECK(evbuffer_remove_buffer(input, answer->body, len) == (int)len);
        return;
    }
    answer->take(answer->context, evbuffer_pullup(input, (ev_ssize_t)len), len);
    evbuffer_drain(input, len);
}

/* A header's value, if `line` is that header. */
static const char *header_value(const char *line, const char *name)
{
    size_t len = strlen(name);
    if (strncasecmp(line, name, len) != 0 || line[len] != ':') return NULL;
    return line + len + 1 + strspn(line + len + 1, " \t");
}

static int digit_value(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return 16;
}

/* Digits, then blanks; behind a chunk's size also an extension. */
static bool parse_number(size_t *ret, const char *text, size_t base)
{
    size_t value = 0;
    const char *next = text;

    for (; (size_t)digit_value(*next) < base; next++) {
        if (value > SIZE_MAX / 64) return false;
        value = value * base + (size_t)digit_value(*next);
    }
    if (next == text) return false;
    next += strspn(next, " \t");
    if (*next != '\0' && !(base == 16 && *next == ';')) return false;
    *ret = value;
    return true;
}

/* The status line's code, or 0. */
static int parse_code(const char *line)
{
    if (strncmp(line, "HTTP/1.", 7) != 0 || strlen(line) < 12 || line[8] != ' ') return 0;
    for (size_t i = 9; i < 12; i++)
        if (line[i] < '0' || line[i] > '9') return 0;
    if (line[9] == '0' || (line[12] != '\0' && line[12] != ' ')) return 0;
    return (line[9] - '0') * 100 + (line[10] - '0') * 10 + (line[11] - '0');
}

/* Judges the head line by line; false when it is not HTTP. */
static bool parse_head(struct http_answer *answer, struct evbuffer *input)
{
    bool chunked = false;
    bool counted = false;
    bool good = true;
    size_t length = 0;

    char *line = evbuffer_readln(input, NULL, EVBUFFER_EOL_CRLF);
    CHECK(line != NULL);
    answer->code = parse_code(line);
    free(line);
    if (answer->code == 0) return false;

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
    if (answer->code < 200) return true; /* 100 Continue: the real head follows */

    answer->streamed = answer->take != NULL && answer->code == 200;
    answer->left = length;
    answer->state = chunked   ? HTTP_ANSWER_CHUNK_SIZE
                    : counted ? HTTP_ANSWER_LENGTH
                              : HTTP_ANSWER_END;
    if (answer->code == 204 || answer->code == 304) {
        answer->state = HTTP_ANSWER_LENGTH;
        answer->left = 0;
    }
    return true;
}

/* Each step returns true when it made progress and may go on. */
static bool step_head(struct http_answer *answer, struct evbuffer *input)
{
    struct evbuffer_ptr end = evbuffer_search(input, "\r\n\r\n", 4, NULL);
    if (end.pos < 0 && evbuffer_get_length(input) < HTTP_ANSWER_HEAD_BYTES_MAX) return false;
    if (end.pos < 0 || !parse_head(answer, input)) answer->failure = not_http;
    return true;
}

static bool step_plain(struct http_answer *answer, struct evbuffer *input)
{
    size_t len = evbuffer_get_length(input);
    bool counted = answer->state == HTTP_ANSWER_LENGTH;

    if (counted && len > answer->left) len = answer->left;
    if (!answer->streamed &&
        len + (counted ? answer->left - len : 0) + evbuffer_get_length(answer->body) >
            answer->bytes_max) {
        answer->failure = too_large;
        return true;
    }
    if (counted) answer->left -= len;
    if (len > 0) take(answer, input, len);
    if (counted && answer->left == 0) answer->state = HTTP_ANSWER_DONE;
    return answer->state == HTTP_ANSWER_DONE;
}

static bool step_chunk_size(struct http_answer *answer, struct evbuffer *input)
{
    char *line = evbuffer_readln(input, NULL, EVBUFFER_EOL_CRLF);
    if (line == NULL) {
        if (evbuffer_get_length(input) < HTTP_ANSWER_HEAD_BYTES_MAX) return false;
        answer->failure = not_http;
        return true;
    }
    bool good = parse_number(&answer->left, line, 16);
    free(line);
    if (!good) {
        answer->failure = not_http;
    } else if (answer->left + evbuffer_get_length(answer->body) > answer->bytes_max) {
        answer->failure = too_large;
    }
    answer->state = answer->left == 0 ? HTTP_ANSWER_TRAILER : HTTP_ANSWER_CHUNK;
    return true;
}

static bool step_chunk(struct http_answer *answer, struct evbuffer *input)
{
    char end[2];

    if (evbuffer_get_length(input) < answer->left + 2) return false;
    answer->state = HTTP_ANSWER_CHUNK_SIZE;
    take(answer, input, answer->left);
    if (evbuffer_remove(input, end, 2) != 2 || memcmp(end, "\r\n", 2) != 0)
        answer->failure = not_http;
    return true;
}

static bool step_trailer(struct http_answer *answer, struct evbuffer *input)
{
    char *line = evbuffer_readln(input, NULL, EVBUFFER_EOL_CRLF);
    if (line == NULL) return false;
    if (*line == '\0') answer->state = HTTP_ANSWER_DONE;
    free(line);
    return true;
}

bool http_answer_step(struct http_answer *answer, struct evbuffer *input)
{
    if (answer->failure != NULL) return false;
    switch (answer->state) {
    case HTTP_ANSWER_HEAD:
        return step_head(answer, input);
    case HTTP_ANSWER_LENGTH:
    case HTTP_ANSWER_END:
        return step_plain(answer, input);
    case HTTP_ANSWER_CHUNK_SIZE:
        return step_chunk_size(answer, input);
    case HTTP_ANSWER_CHUNK:
        return step_chunk(answer, input);
    case HTTP_ANSWER_TRAILER:
        return step_trailer(answer, input);
    case HTTP_ANSWER_DONE:
        break;
    }
    return false;
}
