#include "sequencer/subdag_preblock.h"

#include "common/codec.h"
#include "common/limits.h"
#include "proto/subdag.h"

/* Views of the batches in execution order; 0 when there are none, or more than a pre-block has. */
static uint32_t collect_batches(struct bytes *ret_batches, const struct subdag *subdag)
{
    struct reader payloads = reader_make(subdag->bytes.data, subdag->bytes.len);
    struct bytes payload;
    uint32_t count = 0;

    while (subdag_next_payload(&payload, &payloads)) {
        struct reader batches = reader_make(payload.data, payload.len);
        struct bytes batch;
        while (subdag_next_batch(&batch, &batches)) {
            if (count == PREBLOCK_BATCHES_MAX) return 0;
            ret_batches[count++] = batch;
        }
    }
    return count;
}

enum status subdag_preblock_make(struct da_preblock **ret_preblock,
                                 const struct verify_item *item,
                                 struct bytes subdag)
{
    static struct bytes batches[PREBLOCK_BATCHES_MAX];
    struct subdag opened;
    struct quorum quorum = {.count = 0};
    enum status status = subdag_open(&opened, subdag);

    if (status != OK) return status;
    uint32_t count = collect_batches(batches, &opened);
    if (count == 0) return ERR_MALFORMED;
    if (item->certified) {
        struct reader reader =
            reader_make(opened.preblock_certificate.data, opened.preblock_certificate.len);
        quorum_decode(&quorum, &reader);
        if (!reader_done(&reader)) return ERR_MALFORMED;
    }
    return da_preblock_make(ret_preblock, &item->preblock, &quorum, batches, count);
}
