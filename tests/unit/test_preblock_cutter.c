/* Goal: records are cut into pre-blocks that chain, fit, and lose nothing. Method: random records
 * with random sizes, checked against the rule read from the other side: each cut could not have
 * held one vertex more. */
#include "tests/unit/unit.h"

#include <stdlib.h>

#include "common/crypto.h"
#include "consensus/core/preblock_cutter.h"
#include "tests/lib/dag_build.h"

#define VERTICES 30u

struct sample {
    struct ordering_record record;
    uint8_t memory[200000];
    struct batch_size sizes[VERTICES * HEADER_BATCHES_MAX];
    struct digest digests[VERTICES * HEADER_BATCHES_MAX];
};

static void sample_make(struct sample *sample, struct prng *prng)
{
    struct ordering_encoder encoder;
    struct ordering_record head = {.sequence = 1, .vertices_count = VERTICES};
    uint32_t percent = prng_below(prng, 101);
    uint32_t batch = 0;
    /* Now and then four full vertices are exactly as many batches, or bytes, as fit. */
    uint32_t even = prng_chance(prng, 20) ? (prng_chance(prng, 50) ? 1 : 12288) : 0;

    head.anchor.round = VERTICES;
    head.created_at = 5000 + prng_below(prng, 100000);
    ordering_encoder_begin(&encoder, sample->memory, sizeof sample->memory, &head, NULL);
    for (uint32_t v = 1; v <= VERTICES; v++) {
        struct ordering_batch batches[HEADER_BATCHES_MAX];
        struct vertex_ref ref = {.round = v};
        uint32_t count = prng_chance(prng, percent) ? prng_below(prng, HEADER_BATCHES_MAX + 1) : 0;
        if (even > 0) count = HEADER_BATCHES_MAX;
        for (uint32_t i = 0; i < count; i++, batch++) {
            uint64_t name = prng_next(prng);
            crypto_hash_one(&batches[i].digest, &name, sizeof name);
            sample->digests[batch] = batches[i].digest;
            sample->sizes[batch].bytes = 1 + prng_below(prng, HEADER_PAYLOAD_BYTES_MAX / count);
            if (even > 0) sample->sizes[batch].bytes = even;
            sample->sizes[batch].transactions = 1 + prng_below(prng, 1000);
        }
        ordering_encoder_vertex(&encoder, &ref, batches, count);
    }
    assert_int_equal(ordering_record_open(&sample->record, ordering_encoder_finish(&encoder)), OK);
}

/* Header fields against the batches [first, first + count) of the sample. */
static void assert_header_is(const struct sample *sample,
                             const struct preblock *header,
                             uint32_t first)
{
    struct digest manifest;
    uint64_t bytes = 0;
    uint64_t transactions = 0;
    for (uint32_t i = first; i < first + header->batches; i++) {
        bytes += sample->sizes[i].bytes;
        transactions += sample->sizes[i].transactions;
    }
    preblock_manifest(&manifest, sample->digests + first, header->batches);
    assert_memory_equal(&header->payload, &manifest, sizeof manifest);
    assert_int_equal(header->bytes, bytes);
    assert_int_equal(header->transactions, transactions);
    assert_int_equal(header->round, VERTICES);
    assert_true(header->batches <= PREBLOCK_BATCHES_MAX);
    assert_true(header->bytes <= PREBLOCK_BYTES_MAX);
}

/* The first vertex of the next cut would not have fitted. */
static void assert_full(const struct sample *sample,
                        const struct preblock *header,
                        const struct preblock_cutter *cutter)
{
    struct ordering_cursor cursor = cutter->cursor;
    struct ordering_vertex vertex;
    uint64_t bytes = header->bytes;
    assert_true(ordering_record_next(&cursor, &vertex));
    for (uint32_t i = 0; i < vertex.batches; i++)
        bytes += sample->sizes[cutter->next_batch + i].bytes;
    assert_true(header->batches + vertex.batches > PREBLOCK_BATCHES_MAX ||
                bytes > PREBLOCK_BYTES_MAX);
}

static void cuts_chain_fit_and_lose_nothing(void **state)
{
    (void)state;
    struct sample *sample = malloc(sizeof *sample);
    struct committee committee;
    struct prng prng = {21};
    uint32_t cuts = 0;
    test_committee_make(&committee, 4, NULL, 1);
    struct preblock_chain chain = preblock_chain_start(&committee);
    assert_memory_equal(&chain.digest, &committee.digest, 32);

    for (int round = 0; round < 60; round++) {
        struct preblock_cutter cutter;
        struct preblock_cut cut = {.last = true};
        uint32_t batches = 0;
        uint32_t vertices = 0;
        sample_make(sample, &prng);
        preblock_cutter_begin(&cutter, &sample->record, sample->sizes);
        struct preblock_chain before = chain;
        while (preblock_cutter_next(&cutter, &cut, &chain)) {
            assert_int_equal(cut.header.index, before.index + 1);
            assert_int_equal(cut.header.timestamp,
                             u64_max(before.timestamp + 1, sample->record.created_at));
            assert_memory_equal(&cut.header.previous, &before.digest, 32);
            assert_int_equal(cut.first_batch, batches);
            assert_header_is(sample, &cut.header, batches);
            assert_int_equal(cut.last, vertices + cut.vertices == VERTICES);
            if (!cut.last) assert_full(sample, &cut.header, &cutter);
            batches += cut.header.batches;
            vertices += cut.vertices;
            before = preblock_chain_after(&cut.header);
            assert_memory_equal(&before.digest, &chain.digest, 32);
            assert_int_equal(before.index, chain.index);
            assert_int_equal(before.timestamp, chain.timestamp);
            cuts++;
        }
        assert_true(cut.last);
        assert_int_equal(batches, sample->record.batches_count);
        assert_int_equal(vertices, batches == 0 ? 0 : VERTICES);
    }
    print_message("%u pre-blocks of 60 records\n", cuts);
    assert_true(cuts > 200);
    free(sample);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cuts_chain_fit_and_lose_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
