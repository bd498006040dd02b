#include "tests/fuzz/fuzz.h"

#include <event2/event.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/limits.h"
#include "common/log.h"
#include "sequencer/http_api.h"
#include "tests/fuzz/http_rig.h"

/* Requests to a whole sequencer whose rollup is away: bodies of JSON-RPC and of the other posts, paths, queries. What
 * it takes for a transaction goes to consensus, which here takes everything at once. Every reply to a call of JSON-RPC
 * is one: a result or an error, with the call's id.
 *
 *   input = kind u8 | rest     kind % 4: 0 the body of POST /, 1 of /broadcast, 2 of /operations, 3 a whole target */
static uint64_t submitted;

static void submit(struct consensus *consensus,
                   const uint8_t *transaction,
                   size_t len,
                   const struct submission *submission)
{
    (void)consensus;
    (void)transaction;
    CHECK(len >= 1);
    CHECK(len <= TRANSACTION_BYTES_MAX);
    submitted++;
    submission->done(submission->context, (enum submitted)(len % 4), len, "as its length says");
}

static struct consensus_stream *open_stream(struct consensus *consensus,
                                            const struct consensus_follow *follow)
{
    (void)consensus;
    follow->on_ended(follow->context, "there is no stream");
    return NULL;
}

static void pause_stream(struct consensus_stream *stream, bool pause)
{
    (void)stream;
    (void)pause;
}

static void close_stream(struct consensus_stream *stream)
{
    (void)stream;
}

static bool is_up(const struct consensus *consensus)
{
    (void)consensus;
    return true;
}

static void close_consensus(struct consensus *consensus)
{
    (void)consensus;
}

static const struct consensus_ops ops = {close_consensus, open_stream, pause_stream,
                                         close_stream,    submit,      is_up};
static struct consensus consensus = {&ops};
static struct committee committee = {.count = 1};
static struct event_base *base;
static struct http_api *api;

static void open_sequencer(void)
{
    static struct http_access access;
    const struct access_files files = {.token_file = ""};
    const struct rates no_limit = {0, 0};
    struct address any = {"127.0.0.1", 0};
    struct error_line error;
    const struct sequencer_options options = {
        .committee = &committee,
        .consensus = &consensus,
        .rollup_node = {"127.0.0.1", 1}, /* where nobody listens */
        .batcher = {"127.0.0.1", 1},
        .batching_keys = 1,
        .sequencers = 1,
    };

    log_set_level(LOG_LEVEL_ERROR);
    base = event_base_new();
    CHECK(base != NULL);
    CHECK(http_access_open(&access, &files, &no_limit, &error) == OK);
    struct sequencer *sequencer = sequencer_open(base, &options);
    CHECK(http_api_open(&api, base, &any, sequencer, &access, &error) == OK);
}

/* A reply of JSON-RPC is an object, or a list of them, each with what the standard wants. */
static void check_answer(const json_t *answer)
{
    const json_t *error = json_object_get(answer, "error");
    const json_t *result = json_object_get(answer, "result");

    CHECK(json_is_object(answer));
    CHECK(strcmp(json_string_value(json_object_get(answer, "jsonrpc")), "2.0") == 0);
    CHECK(json_object_get(answer, "id") != NULL);
    CHECK((error == NULL) != (result == NULL));
    if (error == NULL) return;
    CHECK(json_is_integer(json_object_get(error, "code")));
    CHECK(json_is_string(json_object_get(error, "message")));
}

static void check_answers(struct bytes body)
{
    json_t *json = json_loadb((const char *)body.data, body.len, 0, NULL);
    size_t at;
    const json_t *answer;

    CHECK(json != NULL);
    if (json_is_array(json)) {
        CHECK(json_array_size(json) >= 1);
        json_array_foreach(json, at, answer) check_answer(answer);
    } else {
        check_answer(json);
    }
    json_decref(json);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const paths[] = {"/", "/broadcast", "/operations"};
    static char request[80000];
    struct bytes body;
    int code;
    int head;

    if (size < 1 || size > sizeof request - 256) return 0;
    if (base == NULL) open_sequencer();
    submitted = 0;
    if (data[0] % 4 < 3)
        head = snprintf(request, sizeof request,
                        "POST %s HTTP/1.1\r\nConnection: close\r\nContent-Length: %zu\r\n\r\n",
                        paths[data[0] % 4], size - 1);
    else
        head = snprintf(request, sizeof request, "GET ");
    CHECK(head > 0);
    memcpy(request + head, data + 1, size - 1);
    size_t len = (size_t)head + size - 1;
    if (data[0] % 4 == 3)
        len += (size_t)snprintf(request + len, sizeof request - len,
                                " HTTP/1.1\r\nConnection: close\r\n\r\n");
    uint32_t replies = http_rig_ask(base, http_api_port(api), request, len, &code, &body);
    if (data[0] % 4 == 3) return 0;
    CHECK(replies == 1);
    CHECK(code != 500);
    if (data[0] % 4 == 0 && code == 200) check_answers(body);
    CHECK(data[0] % 4 == 0 || submitted <= 1);
    return 0;
}
