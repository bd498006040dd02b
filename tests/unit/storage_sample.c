#include "tests/unit/storage_sample.h"

#include <stdlib.h>

#include "common/codec.h"
#include "common/crypto.h"
#include "consensus/core/records.h"

const uint32_t sample_batches[HISTORY_VERTICES] = {2, 0, 1, 0, 0};

static void sign_quorum(const struct world *world,
                        struct quorum *ret_quorum,
                        enum crypto_scope scope,
                        const struct digest *digest)
{
    ret_quorum->count = 3;
    for (uint32_t i = 0; i < 3; i++) {
        ret_quorum->signers[i] = (uint8_t)(i + 1);
        crypto_sign(&ret_quorum->signatures[i], scope, digest, &world->secrets[i + 1]);
    }
}

static void make_certificate(const struct world *world,
                             struct sample *sample,
                             uint64_t index,
                             uint32_t at)
{
    struct certificate *certificate = &sample->certificates[at];
    struct header *header = &certificate->header;
    const bool anchor = at == HISTORY_VERTICES - 1;

    header->author = (authority_t)(anchor ? index % 4 : at);
    header->round = anchor ? 2 * index : 2 * index - 1;
    header->epoch = 1;
    header->created_at = 500 + index;
    header->parents_count = 3;
    for (uint32_t i = 0; i < 3; i++)
        memset(header->parents[i].bytes, (int)(i + 1), 32);
    if (at == 0 || at == 2) {
        header->payload_count = 2;
        for (uint32_t i = 0; i < 2; i++) {
            struct batch_log_item item = world_batch(index * 10 + at + i, BATCH_BYTES);
            header->payload[i] = (struct batch_info){item.record.digest, 0, item.record.created_at};
            if (at == 0 || i == 0) sample->batches[at + i] = item.record;
            buffer_unref(item.buffer);
        }
    }
    header_digest(&sample->refs[at].digest, header);
    sample->refs[at].round = header->round;
    sample->refs[at].author = header->author;
    sign_quorum(world, &certificate->quorum, SCOPE_HEADER, &sample->refs[at].digest);
}

struct sample *sample_make(const struct world *world, uint64_t index)
{
    struct sample *sample = calloc(1, sizeof *sample);
    struct digest digest;

    assert_non_null(sample);
    for (uint32_t i = 0; i < HISTORY_VERTICES; i++)
        make_certificate(world, sample, index, i);
    sample->header = (struct preblock){.epoch = 1,
                                       .index = index,
                                       .leader = sample->refs[HISTORY_VERTICES - 1].digest,
                                       .round = 2 * index,
                                       .timestamp = 500 + index,
                                       .batches = HISTORY_BATCHES};
    for (uint32_t i = 0; i < HISTORY_BATCHES; i++) {
        sample->header.bytes += sample->batches[i].bytes;
        sample->header.transactions += sample->batches[i].transactions;
    }
    preblock_digest(&digest, &sample->header);
    sign_quorum(world, &sample->quorum, SCOPE_PREBLOCK, &digest);
    return sample;
}

void sample_put_certificate(struct store_batch *batch,
                            const struct certificate *certificate,
                            bool verified)
{
    static uint8_t memory[1 + CERTIFICATE_BYTES_MAX];
    uint8_t key[CORE_KEY_BYTES_MAX];
    struct writer writer = writer_make(memory, sizeof memory);

    certificate_row_write(&writer, certificate, verified);
    const size_t len = key_of_slot(key, certificate->header.round, certificate->header.author);
    store_batch_put(batch, TABLE_CERTIFICATES, (struct bytes){key, len}, writer_view(&writer));
}

static void put_record(struct store_batch *batch, const struct sample *sample)
{
    uint8_t memory[2000];
    uint8_t key[CORE_KEY_BYTES_MAX];
    struct writer writer = writer_make(memory, sizeof memory);

    preblock_record_write_begin(&writer, &sample->header, &sample->refs[HISTORY_VERTICES - 1],
                                HISTORY_VERTICES);
    for (uint32_t i = 0; i < HISTORY_VERTICES; i++) {
        preblock_record_write_vertex(&writer, &sample->refs[i], sample_batches[i]);
    }
    preblock_record_write_batches_count(&writer, HISTORY_BATCHES);
    for (uint32_t i = 0; i < HISTORY_BATCHES; i++) {
        const struct preblock_batch one = {.digest = sample->batches[i].digest,
                                           .bytes = sample->batches[i].bytes,
                                           .transactions = sample->batches[i].transactions};
        preblock_record_write_batch(&writer, &one);
    }
    assert_false(writer.failed);
    store_batch_put(batch, TABLE_PREBLOCKS, fixture_key(key, sample->header.index),
                    writer_view(&writer));
}

static void put_quorum(struct store_batch *batch, const struct sample *sample)
{
    uint8_t memory[QUORUM_BYTES_MAX];
    uint8_t key[CORE_KEY_BYTES_MAX];
    struct writer writer = writer_make(memory, sizeof memory);

    quorum_encode(&writer, &sample->quorum);
    store_batch_put(batch, TABLE_PREBLOCK_CERTIFICATES, fixture_key(key, sample->header.index),
                    writer_view(&writer));
}

void sample_write(struct fixture *fixture, uint64_t index, bool verified)
{
    struct sample *sample = sample_make(fixture->world, index);
    struct store_batch *batch = store_batch_new();

    for (uint32_t i = 0; i < HISTORY_BATCHES; i++)
        fixture_append(fixture, index * 10 + i);
    for (uint32_t i = 0; i < HISTORY_VERTICES; i++) {
        sample_put_certificate(batch, &sample->certificates[i], verified);
    }
    put_record(batch, sample);
    for (uint32_t i = 0; i < HISTORY_BATCHES; i++) {
        uint8_t value[8];
        struct writer writer = writer_make(value, sizeof value);
        writer_u64(&writer, index);
        store_batch_put(batch, TABLE_EXECUTED, (struct bytes){sample->batches[i].digest.bytes, 32},
                        writer_view(&writer));
    }
    fixture_put(batch, TABLE_ATTESTATIONS, index, index);
    fixture_commit(fixture, batch);
    free(sample);
}

void sample_certify(struct fixture *fixture, uint64_t index)
{
    struct sample *sample = sample_make(fixture->world, index);
    struct store_batch *batch = store_batch_new();

    put_quorum(batch, sample);
    fixture_commit(fixture, batch);
    free(sample);
}
