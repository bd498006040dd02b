#include "tests/fuzz/fuzz.h"

#include <grpc/byte_buffer.h>
#include <stdlib.h>

#include "common/allow_list.h"
#include "common/batch.h"
#include "common/crypto.h"
#include "consensus/node/api_internal.h"

/* Messages of calls to every method of a node, in slices as a network makes them, at a node that takes bare
 * transactions and at one that takes envelopes. The services run as deployed; only their calls have ended already, so
 * that what they answer goes nowhere. What is taken in is canonical, and no more than was sent.
 *
 *   input = method u8 (128 and above: with envelopes) | seed of the slices u8 | messages: len u16 | bytes */
#define SLICES_MAX 1100u

static const struct {
    const struct method *methods;
    size_t number;
    bool stream; /* takes more than one message */
} calls[] = {
    {transactions_methods, 0, false}, {transactions_methods, 1, true},
    {transactions_methods, 2, true},  {transactions_methods, 3, false},
    {exporter_methods, 0, false},     {health_methods, 0, false},
    {health_methods, 1, false},       {reflection_methods, 0, true},
};
#define CALLS (sizeof calls / sizeof calls[0])

static struct api api;
static struct port port;
static struct api_access access_rules;
static uint64_t taken; /* bytes of transactions, by the batches that were sealed */

/* A sealed batch, which the loop would get. */
static void on_batch(void *context, struct api_request *request)
{
    struct buffer *buffer = request->buffer;
    uint32_t transactions = 0;

    (void)context;
    CHECK(batch_validate(&transactions, buffer->data + BUFFER_BATCH, buffer->len) == OK);
    CHECK(transactions == request->transactions);
    struct reader reader = reader_make(buffer->data + BUFFER_BATCH, buffer->len);
    struct bytes transaction;
    while (batch_next(&transaction, &reader))
        taken += transaction.len;
    api_request_free(request);
}

/* The key that signs the corpus's envelopes, and their network. */
static void make_rules(void)
{
    static struct allow_entry entry = {.name = "corpus"};
    static struct allow_list list = {1, &entry};
    struct secret_key secret;
    uint8_t seed[32] = {1};

    crypto_key_pair(&entry.key, &secret, seed);
    access_rules.allow = &list;
    access_rules.envelope_life_ms = UINT64_MAX / 2;
    memset(access_rules.network.bytes, 0x11, sizeof access_rules.network.bytes);
}

static void open_api(bool envelopes)
{
    static const char *const names[] = {"exporter.Exporter", "dsn.Transactions", NULL};

    if (access_rules.allow == NULL) make_rules();
    api = (struct api){.options = {.level = API_LEVEL_CERTIFIED,
                                   .batch_bytes = 1000,
                                   .batch_delay_us_min = 1000,
                                   .batch_delay_us_max = 1000},
                       .ready = true,
                       .now_us = 1000000};
    CHECK(intake_open(&api.intake, &api.options, on_batch, NULL) == OK);
    link_init(&api.blocked);
    link_init(&api.slowed);
    link_init(&api.watchers);
    exports_init(&api);
    if (envelopes) api.door = api_door_new(&access_rules);
    port = (struct port){.api = &api, .service_names = names};
    link_init(&port.calls);
    taken = 0;
}

static void close_api(void)
{
    CHECK(link_is_alone(&api.watchers));
    CHECK(link_is_alone(&api.exports));
    CHECK(api.held_bytes == 0);
    api_door_free(api.door);
    intake_close(api.intake);
}

/* Slices of up to 64 bytes; `seed` 0: one slice. */
static grpc_byte_buffer *make_message(struct bytes bytes, uint8_t seed)
{
    grpc_slice slices[SLICES_MAX];
    size_t count = 0;

    for (size_t at = 0; at < bytes.len;) {
        bool rest = seed == 0 || count + 1 == SLICES_MAX;
        size_t len = rest ? bytes.len : 1 + (seed + at) % 64;
        if (len > bytes.len - at) len = bytes.len - at;
        slices[count++] = grpc_slice_from_copied_buffer((const char *)bytes.data + at, len);
        at += len;
    }
    grpc_byte_buffer *message = grpc_raw_byte_buffer_create(slices, count);
    for (size_t i = 0; i < count; i++)
        grpc_slice_unref(slices[i]);
    return message;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct reader messages = reader_make(data, size);
    uint64_t sent = 0;

    if (size < 2) return 0;
    uint8_t number = reader_u8(&messages);
    uint8_t seed = reader_u8(&messages);
    bool stream = calls[number % CALLS].stream;
    const struct method *method = calls[number % CALLS].methods + calls[number % CALLS].number;
    CHECK(method->path != NULL);
    open_api(number >= 128);
    struct call call = {.api = &api, .port = &port, .method = method, .finished = true};
    method->start(&call);
    CHECK(call.received != NULL);
    do {
        uint16_t len = messages.left >= 2 ? reader_u16(&messages) : 0;
        struct bytes bytes = reader_view(&messages, len < messages.left ? len : messages.left);
        sent += bytes.len;
        call.received(&call, make_message(bytes, seed));
    } while (stream && messages.left >= 2);
    if (stream) call.received(&call, NULL);
    if (call.end != NULL) call.end(&call);
    intake_flush(api.intake);
    CHECK(taken == intake_get_counters(api.intake).transaction_bytes);
    CHECK(taken <= sent);
    close_api();
    return 0;
}
