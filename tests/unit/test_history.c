/* Goal: a pre-block comes out as the message that protobuf reads, with nothing unverified in it; forgetting takes
 * what it should and no more. Method: a real storage thread with a small made-up history, decoded by generated
 * code. */
#include <stdlib.h>
#include <time.h>

#include "common/codec.h"
#include "consensus/core/checkpoint.h"
#include "consensus/core/records.h"
#include "exporter.pb-c.h"
#include "tests/unit/storage_sample.h"

/* ---- exports --------------------------------------------------------------------------------- */

static void check_certificate(const Exporter__Certificate *found,
                              const struct certificate *expected)
{
    const struct header *header = &expected->header;

    assert_non_null(found);
    assert_int_equal(found->header->author, header->author);
    assert_int_equal(found->header->round, header->round);
    assert_int_equal(found->header->epoch, header->epoch);
    assert_int_equal(found->header->created_at, header->created_at);
    assert_int_equal(found->header->n_payload_info, header->payload_count);
    for (uint32_t i = 0; i < header->payload_count; i++) {
        assert_memory_equal(found->header->payload_info[i]->digest.data,
                            header->payload[i].digest.bytes, 32);
        assert_int_equal(found->header->payload_info[i]->created_at, header->payload[i].created_at);
    }
    assert_int_equal(found->header->n_parents, header->parents_count);
    assert_int_equal(found->signers.len, expected->quorum.count);
    assert_memory_equal(found->signers.data, expected->quorum.signers, expected->quorum.count);
    assert_int_equal(found->signature.len, 64 * expected->quorum.count);
    assert_memory_equal(found->signature.data, expected->quorum.signatures, found->signature.len);
}

static void check_payload(const Exporter__Payload *found,
                          const struct batch_log_item *items,
                          uint32_t count)
{
    assert_int_equal(found->n_batches, count);
    for (uint32_t i = 0; i < count; i++) {
        /* Encoded again it is the canonical batch, byte for byte. */
        const size_t len = exporter__batch__get_packed_size(found->batches[i]);
        assert_int_equal(len, items[i].record.bytes);
        uint8_t *packed = malloc(len);
        assert_non_null(packed);
        (void)exporter__batch__pack(found->batches[i], packed);
        assert_memory_equal(packed, items[i].buffer->data + BUFFER_BATCH, len);
        free(packed);
    }
}

static void check_subdag(const struct fixture *fixture,
                         const struct buffer *buffer,
                         uint64_t index,
                         bool certified)
{
    struct sample *sample = sample_make(fixture->world, index);
    struct batch_log_item items[HISTORY_BATCHES];
    uint8_t header[PREBLOCK_HEADER_BYTES];
    uint8_t quorum[QUORUM_BYTES_MAX];
    struct writer writer = writer_make(header, sizeof header);
    struct writer quorum_writer = writer_make(quorum, sizeof quorum);
    Exporter__SubDag *subdag =
        exporter__sub_dag__unpack(NULL, buffer->len, buffer->data + buffer->begin);

    assert_non_null(subdag);
    assert_int_equal(subdag->id, index);
    check_certificate(subdag->leader, &sample->certificates[HISTORY_VERTICES - 1]);
    assert_int_equal(subdag->n_certificates, HISTORY_VERTICES);
    assert_int_equal(subdag->n_payloads, HISTORY_VERTICES);
    uint32_t batch = 0;
    for (uint32_t i = 0; i < HISTORY_BATCHES; i++)
        items[i] = world_batch(index * 10 + i, BATCH_BYTES);
    for (uint32_t i = 0; i < HISTORY_VERTICES; i++) {
        check_certificate(subdag->certificates[i], &sample->certificates[i]);
        check_payload(subdag->payloads[i], &items[batch], sample_batches[i]);
        batch += sample_batches[i];
    }
    preblock_encode(&writer, &sample->header);
    assert_int_equal(subdag->preblock_header.len, writer.len);
    assert_memory_equal(subdag->preblock_header.data, header, writer.len);
    quorum_encode(&quorum_writer, &sample->quorum);
    assert_int_equal(subdag->preblock_certificate.len, certified ? quorum_writer.len : 0);
    if (certified)
        assert_memory_equal(subdag->preblock_certificate.data, quorum, quorum_writer.len);
    exporter__sub_dag__free_unpacked(subdag, NULL);
    for (uint32_t i = 0; i < HISTORY_BATCHES; i++)
        buffer_unref(items[i].buffer);
    free(sample);
}

static enum status export(struct fixture *fixture,
                          uint64_t index,
                          bool certified,
                          bool expect_certificate) {
    assert_true(storage_submit_export(fixture->client, index, certified, NULL));
    struct storage_request *request = fixture_take(fixture->client);
    const enum status status = request->status;

    assert_false(request->lacks_batch);
    if (status == OK){assert_int_equal(request->certified, expect_certificate);
                      check_subdag(fixture, request->buffer, index, expect_certificate);}
else
{
    assert_null(request->buffer);
}
storage_request_free(request);
return status;
}

/* The export fails for this batch of the pre-block, and says so. */
static void check_lacks(struct fixture *fixture, uint64_t index, uint32_t batch)
{
    struct sample *sample = sample_make(fixture->world, index);

    assert_true(storage_submit_export(fixture->client, index, false, NULL));
    struct storage_request *request = fixture_take(fixture->client);
    assert_int_equal(request->status, ERR_MISSING);
    assert_true(request->lacks_batch);
    assert_true(digest_equal(&request->record.digest, &sample->batches[batch].digest));
    assert_int_equal(request->record.worker, sample->batches[batch].worker);
    storage_request_free(request);
    free(sample);
}

static uint64_t cache_hits(struct fixture *fixture)
{
    struct storage_stats stats;

    storage_get_stats(fixture->storage, &stats);
    return stats.export_cache_hits;
}

static void a_preblock_is_exported_as_protobuf_reads_it(void **state)
{
    (void)state;
    struct fixture fixture = fixture_open();

    assert_int_equal(export(&fixture, 1, false, false), ERR_NOT_FOUND);
    for (uint64_t i = 1; i <= 12; i++)
        sample_write(&fixture, i, true);
    for (int pass = 0; pass < 2; pass++) { /* from the ring, and from the disk */
        for (uint64_t i = 1; i <= 12; i++)
            assert_int_equal(export(&fixture, i, false, false), OK);
        assert_int_equal(export(&fixture, 13, false, false), ERR_NOT_FOUND);
        fixture_restart(&fixture);
    }
    fixture_close(&fixture);
}

static void subscribers_share_one_assembly_and_certificates_come_when_known(void **state)
{
    (void)state;
    struct fixture fixture = fixture_open();

    sample_write(&fixture, 1, true);
    assert_int_equal(export(&fixture, 1, false, false), OK);
    assert_int_equal(export(&fixture, 1, false, false), OK);
    assert_int_equal(cache_hits(&fixture), 1);
    assert_int_equal(export(&fixture, 1, true, false), OK); /* not certified yet: bare */
    sample_certify(&fixture, 1);
    assert_int_equal(export(&fixture, 1, true, true), OK);
    assert_int_equal(cache_hits(&fixture), 1);
    assert_int_equal(export(&fixture, 1, true, true), OK);
    assert_int_equal(cache_hits(&fixture), 2);
    assert_int_equal(export(&fixture, 1, false, false),
                     OK); /* who does not ask still gets the bare one */
    assert_int_equal(cache_hits(&fixture), 3);
    fixture_close(&fixture);
}

static void nothing_unverified_is_exported(void **state)
{
    (void)state;
    struct fixture fixture = fixture_open();
    struct sample *sample = sample_make(fixture.world, 2);
    struct store_batch *batch = store_batch_new();

    sample_write(&fixture, 1, false); /* not checked when it came, but good */
    assert_int_equal(export(&fixture, 1, false, false), OK);
    sample_write(&fixture, 2, true);
    sample->certificates[3].quorum.signatures[1].bytes[5] ^= 1;
    sample_put_certificate(batch, &sample->certificates[3], false);
    fixture_commit(&fixture, batch);
    assert_int_equal(export(&fixture, 2, false, false), ERR_SIGNATURE);
    free(sample);
    fixture_close(&fixture);
}

static void what_is_missing_or_wrong_is_not_exported(void **state)
{
    (void)state;
    struct fixture fixture = fixture_open();
    uint8_t key[CORE_KEY_BYTES_MAX];

    sample_write(&fixture, 1, true);
    sample_write(&fixture, 2, true);
    sample_write(&fixture, 3, true);
    struct store_batch *batch = store_batch_new();
    store_batch_delete(batch, TABLE_CERTIFICATES, (struct bytes){key, key_of_slot(key, 1, 3)});
    /* Another certificate in the place of this one. */
    struct sample *other = sample_make(fixture.world, 2);
    other->certificates[1].header.created_at++;
    sample_put_certificate(batch, &other->certificates[1], true);
    fixture_commit(&fixture, batch);
    assert_int_equal(export(&fixture, 1, false, false), ERR_MISSING);
    assert_int_equal(export(&fixture, 2, false, false), ERR_CORRUPT);
    assert_int_equal(export(&fixture, 3, false, false), OK);
    free(other);
    fixture_stop(&fixture);
    /* A rotten batch: seen and named, until somebody stores it again. */
    world_flip(world_path(fixture.world, "batches/00000001.log"), 4096 + 7 * 20480 + 300);
    fixture_start(&fixture, STORE_EXISTING);
    check_lacks(&fixture, 3, 1);
    check_lacks(&fixture, 3, 1);
    fixture_append(&fixture, 31);
    assert_int_equal(export(&fixture, 3, false, false), OK);
    fixture_close(&fixture);
}

/* ---- forgetting ------------------------------------------------------------------------------ */

static uint64_t retain(struct fixture *fixture, uint64_t index)
{
    assert_true(storage_submit_retain(fixture->client, index));
    struct storage_request *request = fixture_take(fixture->client);
    assert_int_equal(request->status, OK);
    const uint64_t oldest = request->index;
    storage_request_free(request);
    return oldest;
}

static void check_kept(struct fixture *fixture, uint64_t index, bool kept)
{
    struct sample *sample = sample_make(fixture->world, index);
    uint8_t key[CORE_KEY_BYTES_MAX];

    assert_int_equal(fixture_has_row(fixture, TABLE_PREBLOCKS, fixture_key(key, index)), kept);
    assert_int_equal(fixture_has_row(fixture, TABLE_ATTESTATIONS, fixture_key(key, index)), kept);
    for (uint32_t i = 0; i < HISTORY_BATCHES; i++) {
        const struct bytes digest = {sample->batches[i].digest.bytes, 32};
        assert_int_equal(fixture_has_row(fixture, TABLE_EXECUTED, digest), kept);
    }
    assert_int_equal(export(fixture, index, false, false), kept ? OK : ERR_NOT_FOUND);
    free(sample);
}

/* Segments go in the background, one after the other: until there are fewer than this. */
static void wait_for_segments(struct fixture *fixture, uint64_t below)
{
    const struct timespec pause = {.tv_nsec = 1000000};
    struct storage_stats stats;

    for (int waited_ms = 0; waited_ms < 30000; waited_ms++) {
        storage_get_stats(fixture->storage, &stats);
        if (stats.log.segments < below) return;
        (void)nanosleep(&pause, NULL);
    }
    fail_msg("%u segments are left, not below %u", (unsigned)stats.log.segments, (unsigned)below);
}

/* A row of TABLE_CHECKPOINTS; `signers` 0: only signed here. */
static void put_checkpoint(struct fixture *fixture, round_t round, uint32_t signers)
{
    static struct checkpoint_proof proof;
    struct store_batch *batch = store_batch_new();
    uint8_t memory[CHECKPOINT_ROW_BYTES_MAX];
    uint8_t key[CORE_KEY_BYTES_MAX];
    struct writer writer = writer_make(memory, sizeof memory);

    proof = (struct checkpoint_proof){.checkpoint.sequence = CHECKPOINT_INTERVAL,
                                      .checkpoint.round = round,
                                      .quorum.count = signers};
    for (uint32_t i = 0; i < signers; i++)
        proof.quorum.signers[i] = (uint8_t)i;
    checkpoint_row_write(&writer, &proof);
    store_batch_put(batch, TABLE_CHECKPOINTS, fixture_key(key, CHECKPOINT_INTERVAL),
                    writer_view(&writer));
    fixture_commit(fixture, batch);
}

/* What came after the oldest final checkpoint is needed by who starts from it. */
static void nothing_above_a_checkpoint_is_forgotten(struct fixture *fixture)
{
    assert_int_equal(retain(fixture, 150), 1);
    put_checkpoint(fixture, 260, 0);
    assert_int_equal(retain(fixture, 150), 1);
    put_checkpoint(fixture, 260, 3);
    assert_int_equal(retain(fixture, 150), 130);
    check_kept(fixture, 129, false);
    check_kept(fixture, 130, true);
    put_checkpoint(fixture, 700, 3);
}

static void forgetting_takes_what_only_old_preblocks_need(void **state)
{
    (void)state;
    struct fixture fixture = fixture_open();
    uint8_t key[CORE_KEY_BYTES_MAX];
    struct storage_stats stats;

    for (uint64_t i = 1; i <= 300; i++)
        sample_write(&fixture, i, true);
    storage_get_stats(fixture.storage, &stats);
    const uint64_t segments = stats.log.segments;
    assert_int_equal(retain(&fixture, 0), 1);
    assert_int_equal(retain(&fixture, 1), 1);
    nothing_above_a_checkpoint_is_forgotten(&fixture);
    assert_int_equal(retain(&fixture, 2), 130); /* never back */
    assert_int_equal(retain(&fixture, 150), 150);
    check_kept(&fixture, 1, false);
    check_kept(&fixture, 149, false);
    check_kept(&fixture, 150, true);
    check_kept(&fixture, 300, true);
    /* Certificates: down to gc_depth below the oldest pre-block's leader round, 300. */
    assert_false(fixture_has_row(&fixture, TABLE_CERTIFICATES,
                                 (struct bytes){key, key_of_slot(key, 249, 3)}));
    assert_true(fixture_has_row(&fixture, TABLE_CERTIFICATES,
                                (struct bytes){key, key_of_slot(key, 251, 0)}));
    /* Not so near to the newest, round 600, that consensus could still need it: 4 gc_depth. */
    assert_int_equal(retain(&fixture, 1000), 200);
    check_kept(&fixture, 199, false);
    check_kept(&fixture, 200, true);
    assert_int_equal(retain(&fixture, 100), 200); /* never back */
    storage_get_stats(fixture.storage, &stats);
    assert_int_equal(stats.oldest_index, 200);
    assert_int_equal(stats.newest_index, 300);
    /* Batches of pre-blocks below 100 (their segments were last used 4 gc_depth before round 400)
     * are gone. */
    wait_for_segments(&fixture, segments - segments / 4);
    storage_get_stats(fixture.storage, &stats);
    assert_true(stats.log.segments > segments / 2);
    for (int pass = 0; pass < 2; pass++) {
        for (uint64_t i = 200; i <= 300; i++)
            assert_int_equal(export(&fixture, i, false, false), OK);
        fixture_restart(&fixture);
    }
    storage_get_stats(fixture.storage, &stats);
    assert_int_equal(stats.oldest_index, 200);
    assert_int_equal(stats.newest_index, 300);
    fixture_close(&fixture);
}

static void a_clean_stop_without_syncs_survives_a_reboot(void **state)
{
    (void)state;
    struct world *world = world_open();
    struct storage_options options = fixture_options(world, STORE_INIT);
    struct fixture fixture = {.world = world};

    options.store.sync = SYNC_PROCESS;
    options.store.boot_id = "11111111-1111-1111-1111-111111111111";
    assert_int_equal(storage_open(&fixture.storage, world->error, &options), OK);
    assert_int_equal(storage_client_open(&fixture.client, fixture.storage, IN_FLIGHT), OK);
    for (uint64_t i = 1; i <= 5; i++)
        sample_write(&fixture, i, true);
    fixture_restart(&fixture); /* another boot id: this machine's */
    for (uint64_t i = 1; i <= 5; i++)
        assert_int_equal(export(&fixture, i, false, false), OK);
    fixture_close(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_preblock_is_exported_as_protobuf_reads_it),
        cmocka_unit_test(subscribers_share_one_assembly_and_certificates_come_when_known),
        cmocka_unit_test(nothing_unverified_is_exported),
        cmocka_unit_test(what_is_missing_or_wrong_is_not_exported),
        cmocka_unit_test(forgetting_takes_what_only_old_preblocks_need),
        cmocka_unit_test(a_clean_stop_without_syncs_survives_a_reboot),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
