#include "consensus/tools/item.h"

#include "common/preblock.h"
#include "consensus/tools/stamp.h"
#include "proto/pb.h"
#include "proto/subdag.h"

struct counting {
    struct item *item;
    uint64_t now_ms;
    item_visit *visit;
    void *context;
};

/* The batches of other servers may have any encoding that protobuf allows, so they are read as
 * such. */
static void count_batch(struct counting *counting, struct bytes batch)
{
    struct reader reader = reader_make(batch.data, batch.len);
    struct pb_field field;

    while (pb_next(&field, &reader)) {
        uint64_t stamp_ms = 0;
        if (field.number != 1 || field.kind != PB_BYTES) continue;
        counting->item->transactions++;
        counting->item->bytes += field.bytes.len;
        if (stamp_read(&stamp_ms, field.bytes, counting->now_ms))
            counting->item->latency_ms += u64_minus(counting->now_ms, stamp_ms);
        else
            counting->item->foreign++;
        if (counting->visit != NULL) counting->visit(counting->context, field.bytes, stamp_ms);
    }
}

static enum status count_payloads(struct counting *counting, const struct subdag *subdag)
{
    struct reader cursor = reader_make(subdag->bytes.data, subdag->bytes.len);
    struct bytes payload;
    struct bytes batch;

    while (subdag_next_payload(&payload, &cursor)) {
        struct reader batches = reader_make(payload.data, payload.len);
        while (subdag_next_batch(&batch, &batches))
            count_batch(counting, batch);
        if (!reader_done(&batches)) return ERR_MALFORMED;
    }
    return OK;
}

/* A BatchInfo: when the batch was sealed. */
static void read_batch_info(struct item *item, struct bytes bytes, uint64_t now_ms)
{
    struct reader reader = reader_make(bytes.data, bytes.len);
    struct pb_field field;

    while (pb_next(&field, &reader)) {
        if (field.number != 3 || field.kind != PB_VARINT) continue;
        item->sealed_ms += u64_minus(now_ms, field.value);
        item->sealed_count++;
    }
}

/* Rounds and times of the certificates: only a few fields of each header are looked at. */
static void read_header(struct item *item,
                        struct bytes certificate,
                        uint64_t now_ms,
                        uint64_t *ret_round,
                        uint64_t *ret_created_ms)
{
    struct reader reader = reader_make(certificate.data, certificate.len);
    struct pb_field field;

    *ret_round = 0;
    *ret_created_ms = 0;
    while (pb_next(&field, &reader)) {
        struct reader header;
        struct pb_field inner;
        if (field.number != 1 || field.kind != PB_BYTES) continue;
        header = reader_make(field.bytes.data, field.bytes.len);
        while (pb_next(&inner, &header)) {
            if (inner.number == 2) *ret_round = inner.value;
            if (inner.number == 4) *ret_created_ms = inner.value;
            if (inner.number == 5 && inner.kind == PB_BYTES)
                read_batch_info(item, inner.bytes, now_ms);
        }
    }
}

static void count_certificates(struct item *item, const struct subdag *subdag, uint64_t now_ms)
{
    struct reader cursor = reader_make(subdag->bytes.data, subdag->bytes.len);
    struct bytes certificate;
    uint64_t first_round = UINT64_MAX, last_round = 0, first_ms = UINT64_MAX, last_ms = 0;

    while (subdag_next_certificate(&certificate, &cursor)) {
        uint64_t round, created_ms;
        read_header(item, certificate, now_ms, &round, &created_ms);
        first_round = u64_min(first_round, round);
        last_round = u64_max(last_round, round);
        first_ms = u64_min(first_ms, created_ms);
        last_ms = u64_max(last_ms, created_ms);
        item->certificates++;
    }
    item->rounds = item->certificates > 0 ? last_round - first_round + 1 : 0;
    item->created_ms = item->certificates > 0 ? last_ms - first_ms : 0;
}

static void read_preblock(struct item *item, const struct subdag *subdag)
{
    struct reader reader = reader_make(subdag->preblock_header.data, subdag->preblock_header.len);
    struct preblock preblock;

    if (subdag->preblock_header.len == 0) return;
    preblock_decode(&preblock, &reader);
    if (!reader_done(&reader)) return;
    preblock_digest(&item->digest, &preblock);
    item->has_digest = true;
    item->timestamp = preblock.timestamp;
}

enum status item_read(struct item *ret_item,
                      struct bytes bytes,
                      uint64_t now_ms,
                      item_visit *visit,
                      void *context)
{
    struct item item = {0};
    struct counting counting = {&item, now_ms, visit, context};
    struct subdag subdag;
    enum status status = subdag_open(&subdag, bytes);

    if (status != OK) return status;
    item.id = subdag.id;
    count_certificates(&item, &subdag, now_ms);
    read_preblock(&item, &subdag);
    status = count_payloads(&counting, &subdag);
    if (status == OK) *ret_item = item;
    return status;
}
