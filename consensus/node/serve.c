#include "consensus/node/serve.h"

#include <stdlib.h>

#include "consensus/core/records.h"
#include "consensus/core/wire.h"

struct serve {
    struct mesh *mesh;
    struct storage_client *storage;
    const struct committee *committee; /* the caller's, outlives this */
    authority_t self;
    uint32_t reading[AUTHORITIES_MAX];
    uint8_t memory[WIRE_ANSWER_BYTES_MAX]; /* one answer at a time is built here */
};

struct serve *serve_open(struct mesh *mesh,
                         struct storage_client *storage,
                         const struct committee *committee,
                         authority_t self)
{
    struct serve *serve = calloc(1, sizeof *serve);
    CHECK(serve != NULL);
    serve->mesh = mesh;
    serve->storage = storage;
    serve->committee = committee;
    serve->self = self;
    return serve;
}

void serve_close(struct serve *serve)
{
    free(serve);
}

static void add_slot(struct storage_request *request, round_t round, authority_t author)
{
    uint8_t key[CORE_KEY_BYTES_MAX];
    size_t len = key_of_slot(key, round, author);
    (void)storage_request_add_key(request, (struct bytes){key, len});
}

static struct storage_request *request_certificates(const struct core_action *action)
{
    struct storage_request *request = storage_request_new(STORAGE_READ_ROWS);
    request->table = TABLE_CERTIFICATES;
    request->bytes_max = WIRE_ANSWER_BYTES_MAX;
    for (size_t i = 0; i < action->refs_count && i < STORAGE_KEYS_MAX; i++)
        add_slot(request, action->refs[i].round, action->refs[i].author);
    return request;
}

static struct storage_request *request_range(const struct core_action *action)
{
    struct storage_request *request = storage_request_new(STORAGE_SCAN_ROWS);
    request->table = TABLE_CERTIFICATES;
    request->rows_max = WIRE_ANSWER_CERTIFICATES_MAX;
    request->bytes_max = WIRE_ANSWER_BYTES_MAX;
    add_slot(request, action->round + 1, 0);
    return request;
}

static struct storage_request *request_header(const struct serve *serve,
                                              const struct core_action *action)
{
    struct storage_request *request = storage_request_new(STORAGE_READ_ROWS);
    uint8_t key[CORE_KEY_BYTES_MAX];
    size_t len;

    CHECK(action->refs_count == 1);
    if (action->refs[0].author == serve->self) {
        request->table = TABLE_OWN_HEADERS;
        len = key_of_number(key, action->refs[0].round);
    } else {
        request->table = TABLE_HEADERS;
        len = key_of_vertex(key, &action->refs[0]);
    }
    request->bytes_max = WIRE_ANSWER_BYTES_MAX;
    (void)storage_request_add_key(request, (struct bytes){key, len});
    return request;
}

/* What the answer must know of the question, packed into the request's token. */
static uint64_t token_of(authority_t peer, uint32_t offset)
{
    return (uint64_t)offset << 16 | peer;
}

static authority_t token_peer(uint64_t token)
{
    return (authority_t)(token & 0xffff);
}

static uint32_t token_offset(uint64_t token)
{
    return (uint32_t)(token >> 16);
}

static struct storage_request *request_records(const struct serve *serve,
                                               const struct core_action *action)
{
    struct storage_request *request = storage_request_new(STORAGE_READ_ROWS);
    request->table = TABLE_ORDERING;
    request->bytes_max = WIRE_RECORDS_MAX * WIRE_RECORD_PART_MAX +
                         ORDERING_RECORD_BYTES_MAX(serve->committee->count, DAG_ROUNDS);
    for (uint64_t i = 0; i < WIRE_RECORDS_MAX && i < action->index; i++) {
        uint8_t key[CORE_KEY_BYTES_MAX];
        size_t len = key_of_number(key, action->index - i);
        (void)storage_request_add_key(request, (struct bytes){key, len});
    }
    return request;
}

void serve_begin(struct serve *serve, const struct core_action *action)
{
    struct storage_request *request = NULL;

    if (serve->reading[action->peer] >= SERVE_MAX) return;
    switch ((int)action->kind) {
    case CORE_ACTION_SERVE_CERTIFICATES:
        request = request_certificates(action);
        break;
    case CORE_ACTION_SERVE_RANGE:
        request = request_range(action);
        break;
    case CORE_ACTION_SERVE_HEADER:
        request = request_header(serve, action);
        break;
    case CORE_ACTION_SERVE_RECORDS:
        request = request_records(serve, action);
        break;
    default:
        CHECK(false);
    }
    request->token = token_of(action->peer, action->offset);
    if (storage_submit(serve->storage, request))
        serve->reading[action->peer]++;
    else
        storage_request_free(request);
}

static void send_body(struct serve *serve, authority_t peer, struct bytes body)
{
    struct buffer *frame = buffer_frame(body);
    (void)mesh_send(serve->mesh, peer, MESH_CONTROL, frame);
    buffer_unref(frame);
}

/* Sends the rows as one CERTIFICATES answer. What does not fit is asked for again by the peer,
 * which learns from `last` = 0 that there is more. */
static void send_certificates(struct serve *serve,
                              authority_t peer,
                              const struct storage_request *request)
{
    struct wire_answer answer;
    bool fits = true;

    wire_answer_begin(&answer, serve->memory, serve->committee);
    for (uint32_t i = 0; i < request->rows_count && fits; i++)
        fits = wire_answer_append(&answer, request->rows[i].value);
    if (request->kind == STORAGE_SCAN_ROWS) fits = fits && request->rows_end;
    send_body(serve, peer, wire_answer_finish(&answer, fits));
}

/* Sends the rows, which are in the order of the keys: one RECORD for each, down to the first gap. */
static void send_records(struct serve *serve,
                         authority_t peer,
                         const struct storage_request *request)
{
    const struct bytes asked = {request->keys[0].bytes, request->keys[0].len};
    struct bytes body;
    uint64_t sequence;
    bool more = true;

    CHECK(number_of_key(&sequence, asked) == OK);
    for (uint32_t i = 0; more; i++, sequence--) {
        struct bytes value = {NULL, 0};
        uint64_t held = 0;

        if (i < request->rows_count && number_of_key(&held, request->rows[i].key) == OK &&
            held == sequence)
            value = request->rows[i].value;
        more = value.len > 0 && i + 1 < request->rows_count &&
               number_of_key(&held, request->rows[i + 1].key) == OK && held + 1 == sequence;
        more = wire_record_body(&body, serve->memory, sequence,
                                i == 0 ? token_offset(request->token) : 0, value, more);
        send_body(serve, peer, body);
    }
}

enum status serve_completed(struct serve *serve, struct storage_request *request)
{
    authority_t peer = token_peer(request->token);
    enum status status = request->status == ERR_NOT_FOUND ? OK : request->status;

    serve->reading[peer]--;
    if (request->status == OK && request->table == TABLE_CERTIFICATES)
        send_certificates(serve, peer, request);
    else if (status == OK && request->table == TABLE_ORDERING)
        send_records(serve, peer, request);
    else if (request->status == OK && request->rows_count == 1)
        send_body(serve, peer, wire_header_body(serve->memory, request->rows[0].value));
    storage_request_free(request);
    return status;
}
