/* The encodings of Transaction, TransactionBatch and of a canonical batch agree, so a received
 * message is copied as it is behind the open batch and validated there. Only what is not canonical,
 * or does not fit one batch, is taken apart. */
#include <grpc/byte_buffer_reader.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/batch.h"
#include "consensus/node/api_submit.h"
#include "proto/pb.h"

/* Field numbers of dsn.proto. */
enum {
    TRANSACTIONS = 1, /* of Transaction, TransactionBatch and SubmitRequest alike */
    REQUEST_LEVEL = 2,
};

static uint32_t transactions_max(const struct submit *submit)
{
    return submit->kind == SUBMIT_BATCHES ? UINT32_MAX : 1;
}

static bool refuse(struct refusal *refusal, const char *text)
{
    *refusal = (struct refusal){.code = GRPC_STATUS_INVALID_ARGUMENT};
    (void)snprintf(refusal->text, sizeof refusal->text, "%s", text);
    return false;
}

/* Checks one transaction's size. */
static bool transaction_is_good(struct refusal *refusal, struct bytes transaction)
{
    if (transaction.len == 0) return refuse(refusal, "a transaction is empty");
    if (transaction.len <= TRANSACTION_BYTES_MAX) return true;
    char text[TEXT_BYTES];
    (void)snprintf(text, sizeof text, "a transaction of %zu bytes is over the limit of %u bytes",
                   transaction.len, TRANSACTION_BYTES_MAX);
    return refuse(refusal, text);
}

/* Rewrites a message in any valid encoding as a canonical batch into `writer`, which has room for
 * as many bytes as the message has: canonical is the shortest. */
static bool make_canonical(struct writer *writer,
                           enum api_level *level,
                           struct refusal *refusal,
                           struct bytes message,
                           enum submit_kind kind)
{
    bool many = kind == SUBMIT_BATCHES;
    struct bytes single = {NULL, 0};
    struct reader reader = reader_make(message.data, message.len);
    struct pb_field field;
    while (pb_next(&field, &reader)) {
        if (field.number == REQUEST_LEVEL && field.kind == PB_VARINT && kind == SUBMIT_WAIT) {
            if (field.value > API_LEVEL_COMMITTED + 1) return refuse(refusal, "unknown level");
            if (field.value > 0) *level = (enum api_level)(field.value - 1);
        }
        if (field.number != TRANSACTIONS || field.kind != PB_BYTES) continue;
        single = field.bytes; /* of several, the last one holds: the rule of protobuf */
        if (!many) continue;
        if (!transaction_is_good(refusal, field.bytes)) return false;
        batch_append(writer, field.bytes.data, field.bytes.len);
    }
    if (!reader_done(&reader)) return refuse(refusal, "the message is malformed");
    if (!many) {
        if (!transaction_is_good(refusal, single)) return false;
        batch_append(writer, single.data, single.len);
    }
    if (writer->len == 0) return refuse(refusal, "the message holds no transaction");
    CHECK(!writer->failed);
    return true;
}

static void take_chunk(struct submit *submit, const uint8_t *data, size_t len)
{
    struct api *api = submit->call->api;
    struct intake_place place;
    memcpy(intake_reserve(api->intake, len), data, len);
    /* Canonical: we wrote it, or walked over it. */
    CHECK(intake_commit(api->intake, &place, api->now_us, len, UINT32_MAX) == OK);
    submit_wait_for(submit, &place);
}

/* Takes in canonical entries that need not fit one batch: cut where the next one would not fit. */
static void take_canonical(struct submit *submit, struct bytes canonical)
{
    struct reader reader = reader_make(canonical.data, canonical.len);
    struct bytes transaction;
    const uint8_t *begin = canonical.data;
    const uint8_t *end = begin;
    while (batch_next(&transaction, &reader)) {
        if ((size_t)(reader.next - begin) > BATCH_BYTES_MAX) {
            take_chunk(submit, begin, (size_t)(end - begin));
            begin = end;
        }
        end = reader.next;
    }
    CHECK(reader_done(&reader));
    take_chunk(submit, begin, (size_t)(end - begin));
}

static bool wants_envelopes(const struct api *api)
{
    return api->door != NULL && api_door_wants_envelopes(api->door);
}

/* Takes in canonical entries, or, from envelopes, what is in them. */
static bool take_checked(struct submit *submit, struct refusal *refusal, struct bytes canonical)
{
    if (!wants_envelopes(submit->call->api)) {
        take_canonical(submit, canonical);
        return true;
    }
    uint8_t *memory = malloc(canonical.len);
    CHECK(memory != NULL);
    struct writer payloads = writer_make(memory, canonical.len);
    bool good = guard_peel(&payloads, submit, refusal, canonical);
    if (good) take_canonical(submit, writer_view(&payloads));
    free(memory);
    return good;
}

/* The way for everything that is not one canonical run within one batch. */
static bool take_slowly(struct submit *submit, struct refusal *refusal, grpc_byte_buffer *message)
{
    grpc_byte_buffer_reader reader;
    if (!grpc_byte_buffer_reader_init(&reader, message)) {
        return refuse(refusal, "the message cannot be read");
    }
    grpc_slice slice = grpc_byte_buffer_reader_readall(&reader);
    grpc_byte_buffer_reader_destroy(&reader);
    struct bytes bytes = {GRPC_SLICE_START_PTR(slice), GRPC_SLICE_LENGTH(slice)};
    uint8_t *memory = malloc(bytes.len + 1);
    CHECK(memory != NULL);
    struct writer writer = writer_make(memory, bytes.len);
    bool good = make_canonical(&writer, &submit->level, refusal, bytes, submit->kind);
    if (good) good = take_checked(submit, refusal, writer_view(&writer));
    free(memory);
    grpc_slice_unref(slice);
    return good;
}

bool submit_take_message(struct submit *submit, struct refusal *refusal, grpc_byte_buffer *message)
{
    if (submit->call->api->door != NULL) return guard_take_message(submit, refusal, message);
    return submit_take_open(submit, refusal, message);
}

bool submit_take_open(struct submit *submit, struct refusal *refusal, grpc_byte_buffer *message)
{
    struct api *api = submit->call->api;
    size_t len = grpc_byte_buffer_length(message);
    bool slowly = submit->kind == SUBMIT_WAIT || wants_envelopes(api);
    uint8_t *room = slowly ? NULL : intake_reserve(api->intake, len);
    if (room == NULL) return take_slowly(submit, refusal, message);

    grpc_byte_buffer_reader reader;
    if (!grpc_byte_buffer_reader_init(&reader, message)) {
        return refuse(refusal, "the message cannot be read");
    }
    grpc_slice *slice;
    size_t filled = 0;
    while (grpc_byte_buffer_reader_peek(&reader, &slice)) {
        size_t part = GRPC_SLICE_LENGTH(*slice);
        CHECK(part <= len - filled);
        memcpy(room + filled, GRPC_SLICE_START_PTR(*slice), part);
        filled += part;
    }
    grpc_byte_buffer_reader_destroy(&reader);
    CHECK(filled == len);
    struct intake_place place;
    enum status status =
        intake_commit(api->intake, &place, api->now_us, len, transactions_max(submit));
    if (status != OK) return take_slowly(submit, refusal, message);
    submit_wait_for(submit, &place);
    return true;
}
