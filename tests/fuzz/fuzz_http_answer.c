#include "tests/fuzz/fuzz.h"

#include <event2/buffer.h>
#include <stdlib.h>

#include "common/http_answer.h"

/* The reply of an HTTP call, kept and streamed: in one piece, byte by byte, and in pieces that the input itself
 * chooses, it comes to the same end. */
#define BODY_BYTES_MAX  4096u
#define INPUT_BYTES_MAX (HTTP_ANSWER_HEAD_BYTES_MAX / 2u)

struct outcome {
    int code; /* 0: there is no reply */
    const char *failure;
    size_t len;
    uint8_t body[INPUT_BYTES_MAX];
};

static void on_piece(void *context, const uint8_t *data, size_t len)
{
    struct outcome *outcome = context;

    CHECK(len > 0);
    CHECK(len <= sizeof outcome->body - outcome->len);
    memcpy(outcome->body + outcome->len, data, len);
    outcome->len += len;
}

/* As on_event of http_client has it, when the connection ends. */
static void finish(struct outcome *outcome, struct http_answer *answer)
{
    bool whole = answer->state == HTTP_ANSWER_DONE || answer->state == HTTP_ANSWER_END;

    outcome->failure = answer->failure;
    if (outcome->failure == NULL && whole) {
        CHECK(answer->code >= 200 && answer->code <= 999);
        outcome->code = answer->code;
    }
    if (answer->streamed) return;
    CHECK(outcome->len == 0);
    size_t len = evbuffer_get_length(answer->body);
    CHECK(len <= BODY_BYTES_MAX);
    if (len > 0) on_piece(outcome, evbuffer_pullup(answer->body, -1), len);
}

/* `piece` 0: all at once; 1: byte by byte; else pieces of up to so many bytes. */
static void run(struct outcome *outcome,
                const uint8_t *data,
                size_t size,
                size_t piece,
                bool stream)
{
    struct evbuffer *input = evbuffer_new();
    struct http_answer answer;

    outcome->code = 0;
    outcome->len = 0;
    http_answer_open(&answer, BODY_BYTES_MAX, stream ? on_piece : NULL, outcome);
    for (size_t at = 0; at < size;) {
        size_t len = piece == 0 ? size : 1 + data[at] % piece;
        if (len > size - at) len = size - at;
        evbuffer_add(input, data + at, len);
        at += len;
        while (http_answer_step(&answer, input))
            if (answer.failure != NULL) break;
    }
    finish(outcome, &answer);
    http_answer_close(&answer);
    evbuffer_free(input);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const size_t pieces[] = {1, 40};
    static struct outcome whole;
    static struct outcome parts;

    if (size > INPUT_BYTES_MAX) return 0;
    for (int stream = 0; stream < 2; stream++) {
        run(&whole, data, size, 0, stream);
        for (size_t i = 0; i < sizeof pieces / sizeof pieces[0]; i++) {
            run(&parts, data, size, pieces[i], stream);
            CHECK(parts.code == whole.code);
            CHECK(parts.failure == whole.failure);
            if (whole.code == 0) continue;
            CHECK(parts.len == whole.len);
            CHECK(memcmp(parts.body, whole.body, whole.len) == 0);
        }
    }
    return 0;
}
