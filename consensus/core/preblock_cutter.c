#include "consensus/core/preblock_cutter.h"

struct preblock_chain preblock_chain_start(const struct committee *committee)
{
    struct preblock_chain chain = {.epoch = committee->epoch, .digest = committee->digest};
    return chain;
}

struct preblock_chain preblock_chain_after(const struct preblock *preblock)
{
    struct preblock_chain chain = {
        .epoch = preblock->epoch,
        .index = preblock->index,
        .timestamp = preblock->timestamp,
    };
    preblock_digest(&chain.digest, preblock);
    return chain;
}

void preblock_cutter_begin(struct preblock_cutter *cutter,
                           const struct ordering_record *record,
                           const struct batch_size *sizes)
{
    CHECK(sizes != NULL || record->batches_count == 0);
    cutter->record = record;
    cutter->sizes = sizes;
    cutter->cursor = ordering_record_begin(record);
    cutter->next_batch = 0;
    cutter->vertices_left = record->batches_count == 0 ? 0 : record->vertices_count;
}

/* True when the new batches of `vertex` do not fit behind what the pre-block has. A vertex on its
 * own always fits: nothing that is certified can fail here. */
static bool preblock_cutter_is_full(const struct preblock_cutter *cutter,
                                    const struct preblock *header,
                                    const struct ordering_vertex *vertex)
{
    uint64_t bytes = header->bytes;

    if (vertex->batches == 0 || header->batches == 0) return false;
    if (header->batches + vertex->batches > PREBLOCK_BATCHES_MAX) return true;
    for (uint32_t i = 0; i < vertex->batches; i++)
        bytes += cutter->sizes[cutter->next_batch + i].bytes;
    return bytes > PREBLOCK_BYTES_MAX;
}

static void preblock_cutter_take(struct preblock_cutter *cutter, struct preblock *header)
{
    struct ordering_batch batch;

    while (ordering_record_next_batch(&cutter->cursor, &batch)) {
        CHECK(header->batches < PREBLOCK_BATCHES_MAX);
        CHECK(cutter->next_batch < cutter->record->batches_count);
        const struct batch_size *size = &cutter->sizes[cutter->next_batch++];
        cutter->manifest[header->batches++] = batch.digest;
        header->bytes += size->bytes;
        header->transactions += size->transactions;
    }
}

/* Takes vertices until one does not fit or none is left; returns how many. */
static uint32_t preblock_cutter_fill(struct preblock_cutter *cutter, struct preblock *header)
{
    uint32_t vertices = 0;

    while (cutter->vertices_left > 0) {
        struct ordering_cursor before = cutter->cursor;
        struct ordering_vertex vertex;
        bool read = ordering_record_next(&cutter->cursor, &vertex);
        CHECK(read);
        if (preblock_cutter_is_full(cutter, header, &vertex)) {
            cutter->cursor = before;
            break;
        }
        preblock_cutter_take(cutter, header);
        cutter->vertices_left--;
        vertices++;
    }
    return vertices;
}

bool preblock_cutter_next(struct preblock_cutter *cutter,
                          struct preblock_cut *ret_cut,
                          struct preblock_chain *chain)
{
    const struct ordering_record *record = cutter->record;

    if (cutter->vertices_left == 0) return false;

    struct preblock_cut cut = {.cursor = cutter->cursor, .first_batch = cutter->next_batch};
    struct preblock *header = &cut.header;
    header->epoch = chain->epoch;
    header->index = chain->index + 1;
    header->previous = chain->digest;
    header->leader = record->anchor.digest;
    header->round = record->anchor.round;
    header->timestamp = u64_max(chain->timestamp + 1, record->created_at);
    cut.vertices = preblock_cutter_fill(cutter, header);
    cut.last = cutter->vertices_left == 0;
    CHECK(cut.vertices > 0);
    CHECK(header->batches > 0);
    CHECK(!cut.last || cutter->next_batch == record->batches_count);

    preblock_manifest(&header->payload, cutter->manifest, header->batches);
    *chain = preblock_chain_after(header);
    CHECK(chain->index == header->index);
    *ret_cut = cut;
    return true;
}
