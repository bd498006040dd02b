#include "tests/interop/memory_loop.h"

#include <poll.h>
#include <stdlib.h>

#include "common/batch.h"
#include "common/codec.h"
#include "common/page.h"
#include "common/preblock.h"
#include "proto/subdag.h"

struct memory_loop *memory_loop_new(struct api *api)
{
    struct memory_loop *loop = calloc(1, sizeof *loop);
    CHECK(loop != NULL);
    loop->api = api;
    loop->level_max = API_LEVEL_COMMITTED;
    loop->oldest = 1;
    return loop;
}

void memory_loop_free(struct memory_loop *loop)
{
    if (loop == NULL) return;
    for (uint32_t i = 0; i < loop->batches_count; i++)
        buffer_unref(loop->batches[i].batch);
    for (uint64_t i = 0; i < loop->made; i++)
        buffer_unref(loop->subdags[i]);
    free(loop);
}

/* One leader certificate with one batch, signed with zeros by members 0, 1 and 2. */
static struct buffer *make_subdag(struct memory_loop *loop,
                                  struct bytes batch,
                                  const struct digest *digest,
                                  uint32_t transactions,
                                  uint64_t created_at)
{
    uint64_t index = loop->made + 1;
    struct certificate *leader = calloc(1, sizeof *leader);
    CHECK(leader != NULL);
    leader->header.author = (authority_t)(index % 4);
    leader->header.round = index;
    leader->header.created_at = created_at;
    leader->header.payload_count = 1;
    leader->header.payload[0] = (struct batch_info){*digest, 0, created_at};
    leader->header.parents_count = 1;
    leader->header.parents[0] = loop->previous;
    leader->quorum.count = 3;
    for (uint8_t i = 0; i < 3; i++)
        leader->quorum.signers[i] = i;

    struct preblock preblock = {
        .index = index,
        .previous = loop->previous,
        .round = index,
        .timestamp = created_at,
        .batches = 1,
        .transactions = transactions,
        .bytes = batch.len,
    };
    header_digest(&preblock.leader, &leader->header);
    preblock_manifest(&preblock.payload, digest, 1);
    preblock_digest(&loop->previous, &preblock);

    uint32_t sizes[1] = {(uint32_t)batch.len};
    size_t capacity = subdag_bytes_max(1, 1, batch.len) + 2 * subdag_certificate_bytes(leader);
    struct buffer *buffer = buffer_new(capacity);
    struct writer writer = writer_make(buffer->data, buffer->capacity);
    subdag_write_start(&writer, index, leader);
    subdag_write_certificate(&writer, leader);
    subdag_write_payload(&writer, sizes, 1);
    subdag_write_batch(&writer, batch);
    subdag_write_end(&writer, &preblock, &leader->quorum);
    CHECK(!writer.failed);
    CHECK(writer.len <= capacity);
    buffer->begin = 0;
    buffer->len = writer.len;
    free(leader);
    return buffer;
}

static void add_preblock(struct memory_loop *loop,
                         struct bytes batch,
                         const struct digest *digest,
                         uint32_t transactions,
                         uint64_t created_at)
{
    CHECK(loop->made < MEMORY_BATCHES_MAX);
    struct buffer *subdag = make_subdag(loop, batch, digest, transactions, created_at);
    loop->subdags[loop->made++] = subdag;
    if (!loop->hold_certified) loop->certified = loop->made;
}

static void post_tip(struct memory_loop *loop)
{
    api_post_tip(loop->api, loop->oldest, loop->made, loop->certified);
}

static void take_batch(struct memory_loop *loop, struct api_request *request)
{
    CHECK(loop->batches_count < MEMORY_BATCHES_MAX);
    struct memory_batch *batch = &loop->batches[loop->batches_count++];
    const uint8_t *data = request->buffer->data + request->buffer->begin;
    uint32_t transactions;
    CHECK(request->buffer->begin == BUFFER_BATCH);
    CHECK(batch_validate(&transactions, data, request->buffer->len) == OK);
    CHECK(transactions == request->transactions);
    batch->ticket = request->ticket;
    batch->batch = request->buffer;
    batch->transactions = transactions;
    batch->created_at = request->created_at;
    request->buffer = NULL;
    page_tree(&batch->digest, data, batch->batch->len, NULL, NULL);
}

static void answer_want(struct memory_loop *loop, const struct api_request *request)
{
    loop->wants++;
    CHECK(request->index >= 1);
    CHECK(request->index <= loop->made);
    if (request->index < loop->oldest || loop->unreadable) {
        api_post_gone(loop->api, request->index, request->certified, loop->oldest);
    } else {
        api_post_item(loop->api, request->index, request->certified,
                      loop->subdags[request->index - 1]);
    }
}

/* Takes one batch on as far as the test allows; true when a pre-block was made. */
static bool take_on(struct memory_loop *loop, struct memory_batch *batch)
{
    if (batch->done || loop->keep_tickets) return false;
    if (!batch->any_told) api_post_accepted(loop->api, batch->ticket, &batch->digest);
    if (!batch->any_told) batch->told = API_LEVEL_ACCEPTED;
    batch->any_told = true;
    if (batch->told < API_LEVEL_CERTIFIED && loop->level_max >= API_LEVEL_CERTIFIED) {
        api_post_certified(loop->api, batch->ticket, &batch->digest);
        batch->told = API_LEVEL_CERTIFIED;
    }
    if (loop->level_max < API_LEVEL_COMMITTED) return false;
    struct bytes bytes = {batch->batch->data + BUFFER_BATCH, batch->batch->len};
    add_preblock(loop, bytes, &batch->digest, batch->transactions, batch->created_at);
    api_post_committed(loop->api, batch->ticket, &batch->digest, loop->made, 0);
    batch->done = true;
    return true;
}

void memory_loop_turn(struct memory_loop *loop, int timeout_ms)
{
    struct pollfd poll_fd = {.fd = api_fd(loop->api), .events = POLLIN};
    (void)poll(&poll_fd, 1, timeout_ms);
    api_drain_fd(loop->api);
    struct api_request *request;
    while ((request = api_take(loop->api)) != NULL) {
        switch (request->kind) {
        case API_REQUEST_BATCH:
            take_batch(loop, request);
            break;
        case API_REQUEST_WANT:
            answer_want(loop, request);
            break;
        }
        api_request_free(request);
    }
    bool any = false;
    for (uint32_t i = loop->first_open; i < loop->batches_count; i++)
        any = take_on(loop, &loop->batches[i]) || any;
    while (loop->first_open < loop->batches_count && loop->batches[loop->first_open].done)
        loop->first_open++;
    if (any) post_tip(loop);
}

void memory_loop_make(struct memory_loop *loop, uint32_t count, size_t len)
{
    size_t capacity = count * batch_entry_bytes(len);
    struct writer writer = writer_make(malloc(capacity), capacity);
    uint8_t *transaction = malloc(len);
    CHECK(writer.data != NULL);
    CHECK(transaction != NULL);
    for (uint32_t i = 0; i < count; i++) {
        memset(transaction, (int)(i + loop->made), len);
        batch_append(&writer, transaction, len);
    }
    struct digest digest;
    page_tree(&digest, writer.data, writer.len, NULL, NULL);
    add_preblock(loop, writer_view(&writer), &digest, count, 1700000000000u + loop->made);
    free(transaction);
    free(writer.data);
    post_tip(loop);
}

void memory_loop_prune(struct memory_loop *loop, uint64_t oldest)
{
    loop->oldest = oldest;
    post_tip(loop);
}

void memory_loop_fail(struct memory_loop *loop, const char *reason)
{
    for (uint32_t i = loop->first_open; i < loop->batches_count; i++) {
        if (!loop->batches[i].done) api_post_failed(loop->api, loop->batches[i].ticket, reason);
        loop->batches[i].done = true;
    }
}
