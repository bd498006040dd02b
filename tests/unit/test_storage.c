/* Goal: what the storage thread answers OK is durable, in groups that form by themselves; its reads
 * return what was written; a pre-block comes out as the message that protobuf reads; forgetting
 * takes what it should and no more; after a failed write nothing is answered OK. Method: a real
 * thread on real files, with a small made-up history of four members; children that are killed or
 * run out of disk. */
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "common/codec.h"
#include "common/crypto.h"
#include "consensus/core/records.h"
#include "consensus/node/storage.h"
#include "exporter.pb-c.h"
#include "tests/unit/storage_world.h"

#define DEADLINE_MS   20000
#define IN_FLIGHT     256u
#define BATCH_BYTES   20000u
#define SEGMENT_BYTES (256u * 1024u)

/* One storage and one client of it. */
struct fixture {
    struct world *world;
    struct storage *storage;
    struct storage_client *client;
};

static size_t found_count;

static void count_found(void *context, const struct batch_record *record)
{
    (void)context;
    assert_true(record->bytes > 0);
    found_count++;
}

static struct storage_options fixture_options(const struct world *world, enum store_mode mode)
{
    return (struct storage_options){.store = world_store_options(world, mode),
                                    .segment_bytes = SEGMENT_BYTES,
                                    .ring_bytes = 4 * 65536,
                                    .found = count_found};
}

static void fixture_start(struct fixture *fixture, enum store_mode mode)
{
    const struct storage_options options = fixture_options(fixture->world, mode);

    found_count = 0;
    if (storage_open(&fixture->storage, fixture->world->error, &options) != OK) {
        fail_msg("%s", fixture->world->error);
    }
    assert_int_equal(storage_client_open(&fixture->client, fixture->storage, IN_FLIGHT), OK);
}

static void fixture_stop(struct fixture *fixture)
{
    storage_close(fixture->storage);
    storage_client_close(fixture->client);
}

static struct fixture fixture_open(void)
{
    struct fixture fixture = {.world = world_open()};

    fixture_start(&fixture, STORE_INIT);
    return fixture;
}

static void fixture_restart(struct fixture *fixture)
{
    fixture_stop(fixture);
    fixture_start(fixture, STORE_EXISTING);
}

static void fixture_close(struct fixture *fixture)
{
    fixture_stop(fixture);
    world_close(fixture->world);
}

/* The next completion, waited for. */
static struct storage_request *take(struct storage_client *client)
{
    for (;;) {
        struct storage_request *request = storage_client_take(client);
        if (request != NULL) return request;
        struct pollfd poll_fd = {.fd = storage_client_fd(client), .events = POLLIN};
        assert_int_equal(poll(&poll_fd, 1, DEADLINE_MS), 1);
        storage_client_drain_fd(client);
    }
}

static enum status take_status(struct storage_client *client)
{
    struct storage_request *request = take(client);
    const enum status status = request->status;

    storage_request_free(request);
    return status;
}

static struct storage_request *ask(struct fixture *fixture, struct storage_request *request)
{
    assert_true(storage_submit(fixture->client, request));
    struct storage_request *answer = take(fixture->client);
    assert_ptr_equal(answer, request);
    return answer;
}

static void append_batch(struct fixture *fixture, uint64_t number)
{
    struct batch_log_item item = world_batch(number, BATCH_BYTES);

    assert_true(storage_submit_append(fixture->client, item.buffer, &item.record, NULL));
    buffer_unref(item.buffer);
    assert_int_equal(take_status(fixture->client), OK);
}

static struct bytes number_key(uint8_t *memory, uint64_t number)
{
    return (struct bytes){memory, key_of_number(memory, number)};
}

static void put_number(struct store_batch *batch,
                       enum core_table table,
                       uint64_t key,
                       uint64_t value)
{
    uint8_t key_memory[CORE_KEY_BYTES_MAX];
    uint8_t value_memory[8];
    struct writer writer = writer_make(value_memory, sizeof value_memory);

    writer_u64(&writer, value);
    store_batch_put(batch, table, number_key(key_memory, key), writer_view(&writer));
}

static void commit(struct fixture *fixture, struct store_batch *batch)
{
    assert_true(storage_submit_commit(fixture->client, batch, 1));
    assert_int_equal(take_status(fixture->client), OK);
}

/* Figures are those of the turn before: has one. */
static void get_settled_stats(struct fixture *fixture, struct storage_stats *ret_stats)
{
    const struct digest unknown = {{1}};

    for (int i = 0; i < 2; i++) {
        assert_true(storage_submit_find(fixture->client, &unknown, NULL));
        assert_int_equal(take_status(fixture->client), ERR_NOT_FOUND);
    }
    storage_get_stats(fixture->storage, ret_stats);
}

/* ---- writes ---------------------------------------------------------------------------------- */

static void appends_are_answered_in_order_and_found_again(void **state)
{
    (void)state;
    struct fixture fixture = fixture_open();
    struct storage_stats stats;

    for (uint64_t i = 0; i < 100; i++) {
        struct batch_log_item item = world_batch(i, BATCH_BYTES);
        assert_true(storage_submit_append(fixture.client, item.buffer, &item.record,
                                          (void *)(uintptr_t)(i + 1)));
        buffer_unref(item.buffer);
    }
    for (uint64_t i = 0; i < 100; i++) {
        struct storage_request *request = take(fixture.client);
        assert_int_equal(request->status, OK);
        assert_int_equal((uintptr_t)request->context, i + 1);
        assert_int_equal(request->record.created_at, 1000 + i);
        storage_request_free(request);
    }
    assert_null(storage_client_take(fixture.client));
    for (int pass = 0; pass < 2; pass++) {
        for (uint64_t i = 0; i < 100; i += 9) {
            struct batch_log_item item = world_batch(i, BATCH_BYTES);
            assert_true(storage_submit_find(fixture.client, &item.record.digest, NULL));
            struct storage_request *request = take(fixture.client);
            assert_int_equal(request->status, OK);
            assert_int_equal(request->record.bytes, item.record.bytes);
            assert_int_equal(request->record.transactions, item.record.transactions);
            storage_request_free(request);
            assert_true(storage_submit_read(fixture.client, &item.record.digest, NULL));
            request = take(fixture.client);
            assert_int_equal(request->status, OK);
            assert_int_equal(request->buffer->begin, BUFFER_BATCH);
            assert_int_equal(request->buffer->len, item.record.bytes);
            assert_memory_equal(request->buffer->data + BUFFER_BATCH,
                                item.buffer->data + BUFFER_BATCH, item.record.bytes);
            assert_ptr_not_equal(request->buffer, item.buffer);
            storage_request_free(request);
            buffer_unref(item.buffer);
        }
        fixture_restart(&fixture);
        assert_int_equal(found_count, 100);
    }
    const struct digest unknown = {{1}};
    assert_true(storage_submit_find(fixture.client, &unknown, NULL));
    assert_int_equal(take_status(fixture.client), ERR_NOT_FOUND);
    assert_true(storage_submit_read(fixture.client, &unknown, NULL));
    assert_int_equal(take_status(fixture.client), ERR_NOT_FOUND);
    storage_get_stats(fixture.storage, &stats);
    assert_int_equal(stats.log.batches, 100);
    fixture_close(&fixture);
}

/* While one group is written, the next one gathers: far fewer writes and syncs than requests. */
static void groups_form_by_themselves(void **state)
{
    (void)state;
    struct fixture fixture = fixture_open();
    struct batch_log_item items[40];
    struct storage_stats stats;

    for (uint64_t i = 0; i < 40; i++)
        items[i] = world_batch(i, 400000);
    for (uint64_t i = 0; i < 40; i++) {
        struct store_batch *batch = store_batch_new();
        put_number(batch, TABLE_VOTES, i, i);
        assert_true(storage_submit_append(fixture.client, items[i].buffer, &items[i].record, NULL));
        assert_true(storage_submit_commit(fixture.client, batch, i));
    }
    for (uint64_t i = 0; i < 80; i++)
        assert_int_equal(take_status(fixture.client), OK);
    get_settled_stats(&fixture, &stats);
    assert_int_equal(stats.log.batches, 40);
    assert_in_range(stats.log.groups, 1, 30);
    assert_int_equal(stats.commits_merged, 40);
    assert_in_range(stats.commits, 1, 30);
    for (uint64_t i = 0; i < 40; i++)
        buffer_unref(items[i].buffer);
    fixture_close(&fixture);
}

static void commits_are_answered_in_order_and_kept(void **state)
{
    (void)state;
    struct fixture fixture = fixture_open();
    uint8_t key[CORE_KEY_BYTES_MAX];
    struct storage_stats stats;

    for (uint64_t i = 0; i < 100; i++) {
        struct store_batch *batch = store_batch_new();
        put_number(batch, TABLE_VOTES, i, i);
        put_number(batch, TABLE_VOTES, 1000, i); /* the last one wins */
        assert_true(storage_submit_commit(fixture.client, batch, i));
    }
    for (uint64_t i = 0; i < 100; i++) {
        struct storage_request *request = take(fixture.client);
        assert_int_equal(request->status, OK);
        assert_int_equal(request->token, i);
        storage_request_free(request);
    }
    fixture_restart(&fixture);
    for (uint64_t i = 0; i <= 100; i++) {
        uint8_t *value = NULL;
        size_t len = 0;
        const struct bytes key_bytes = number_key(key, i == 100 ? 1000 : i);
        assert_int_equal(
            store_get(storage_store(fixture.storage), &value, &len, TABLE_VOTES, key_bytes), OK);
        struct reader reader = reader_make(value, len);
        assert_int_equal(reader_u64(&reader), i == 100 ? 99 : i);
        free(value);
    }
    storage_get_stats(fixture.storage, &stats);
    assert_false(stats.failed);
    fixture_close(&fixture);
}

static void a_client_is_refused_beyond_its_bound_and_goes_on_later(void **state)
{
    (void)state;
    struct fixture fixture = fixture_open();
    struct storage_client *client = NULL;
    const struct digest unknown = {{1}};

    assert_int_equal(storage_client_open(&client, fixture.storage, 3), OK);
    for (int i = 0; i < 3; i++)
        assert_true(storage_submit_find(client, &unknown, NULL));
    assert_false(storage_submit_find(client, &unknown, NULL));
    struct store_batch *batch = store_batch_new();
    put_number(batch, TABLE_META, 1, 1);
    assert_false(storage_submit_commit(client, batch, 0)); /* the batch stays ours */
    assert_int_equal(take_status(client), ERR_NOT_FOUND);
    assert_true(storage_submit_commit(client, batch, 0));
    assert_false(storage_submit_find(client, &unknown, NULL));
    fixture_stop(&fixture);
    for (int i = 0; i < 3; i++)
        (void)take_status(client); /* all were answered before the end */
    assert_null(storage_client_take(client));
    storage_client_close(client);
    world_close(fixture.world);
}

/* ---- rows ------------------------------------------------------------------------------------ */

static void fill_rows(struct fixture *fixture, uint64_t count)
{
    struct store_batch *batch = store_batch_new();
    for (uint64_t i = 0; i < count; i++)
        put_number(batch, TABLE_ORDERING, i, i * i);
    commit(fixture, batch);
}

static void check_row(const struct storage_row *row, uint64_t number)
{
    uint8_t key[CORE_KEY_BYTES_MAX];
    const struct bytes expected = number_key(key, number);
    struct reader reader = reader_make(row->value.data, row->value.len);

    assert_int_equal(row->key.len, expected.len);
    assert_memory_equal(row->key.data, expected.data, expected.len);
    assert_int_equal(reader_u64(&reader), number * number);
    assert_true(reader_done(&reader));
}

static void rows_are_read_by_key_in_the_order_asked(void **state)
{
    (void)state;
    struct fixture fixture = fixture_open();
    struct storage_request *request = storage_request_new(STORAGE_READ_ROWS);
    uint8_t key[CORE_KEY_BYTES_MAX];

    fill_rows(&fixture, 300);
    request->table = TABLE_ORDERING;
    request->bytes_max = 100000;
    for (uint64_t i = 0; i < STORAGE_KEYS_MAX; i++) {
        /* Every third is not there. */
        const uint64_t number = i % 3 == 2 ? 1000 + i : 299 - i;
        assert_true(storage_request_add_key(request, number_key(key, number)));
    }
    assert_false(storage_request_add_key(request, number_key(key, 1)));
    (void)ask(&fixture, request);
    assert_int_equal(request->status, OK);
    assert_true(request->rows_end);
    uint32_t at = 0;
    for (uint64_t i = 0; i < STORAGE_KEYS_MAX; i++) {
        if (i % 3 != 2) check_row(&request->rows[at++], 299 - i);
    }
    assert_int_equal(request->rows_count, at);
    storage_request_free(request);

    request = storage_request_new(STORAGE_READ_ROWS); /* room for two rows of 16 bytes */
    request->table = TABLE_ORDERING;
    request->bytes_max = 47;
    for (uint64_t i = 0; i < 3; i++)
        assert_true(storage_request_add_key(request, number_key(key, i)));
    (void)ask(&fixture, request);
    assert_int_equal(request->status, OK);
    assert_int_equal(request->rows_count, 2);
    assert_false(request->rows_end);
    storage_request_free(request);
    fixture_close(&fixture);
}

static void scans_stop_at_their_bounds(void **state)
{
    (void)state;
    static const struct {
        uint64_t from;
        uint32_t rows_max;
        size_t bytes_max;
        uint32_t count;
        bool end;
    } cases[] = {
        {0, 4096, 1000000, 1000, true},  {0, 1000, 1000000, 1000, false},
        {0, 10, 1000000, 10, false},     {990, 100, 1000000, 10, true},
        {0, 100, 16 * 7 + 15, 7, false}, {5000, 100, 1000, 0, true},
        {0, 0, 1000, 0, false},
    };
    struct fixture fixture = fixture_open();
    uint8_t key[CORE_KEY_BYTES_MAX];

    fill_rows(&fixture, 1000);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct storage_request *request = storage_request_new(STORAGE_SCAN_ROWS);
        request->table = TABLE_ORDERING;
        request->rows_max = cases[i].rows_max;
        request->bytes_max = cases[i].bytes_max;
        if (cases[i].from > 0) {
            assert_true(storage_request_add_key(request, number_key(key, cases[i].from)));
        }
        (void)ask(&fixture, request);
        assert_int_equal(request->status, OK);
        assert_int_equal(request->rows_count, cases[i].count);
        assert_int_equal(request->rows_end, cases[i].end);
        for (uint32_t j = 0; j < request->rows_count; j++) {
            check_row(&request->rows[j], cases[i].from + j);
        }
        storage_request_free(request);
    }
    fixture_close(&fixture);
}

/* ---- a made-up history ----------------------------------------------------------------------- */

/* Pre-block i orders the certificates of round 2 i - 1 and the anchor of round 2 i, by member i
 * mod 4. Member 0's and 2's header carry two batches each; of member 2's the second was executed
 * before. */
#define HISTORY_VERTICES 5u
#define HISTORY_BATCHES  3u

struct sample {
    struct certificate certificates[HISTORY_VERTICES];
    struct vertex_ref refs[HISTORY_VERTICES];
    struct batch_record batches[HISTORY_BATCHES]; /* executed ones, in order */
    struct preblock header;
    struct quorum quorum; /* of the pre-block */
};

static const uint32_t sample_batches[HISTORY_VERTICES] = {2, 0, 1, 0, 0};

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

static struct sample *make_sample(const struct world *world, uint64_t index)
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

static void put_certificate(struct store_batch *batch,
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
    store_batch_put(batch, TABLE_PREBLOCKS, number_key(key, sample->header.index),
                    writer_view(&writer));
}

static void put_quorum(struct store_batch *batch, const struct sample *sample)
{
    uint8_t memory[QUORUM_BYTES_MAX];
    uint8_t key[CORE_KEY_BYTES_MAX];
    struct writer writer = writer_make(memory, sizeof memory);

    quorum_encode(&writer, &sample->quorum);
    store_batch_put(batch, TABLE_PREBLOCK_CERTIFICATES, number_key(key, sample->header.index),
                    writer_view(&writer));
}

/* Writes pre-block `index` with everything that belongs to it. */
static void write_preblock(struct fixture *fixture, uint64_t index, bool verified)
{
    struct sample *sample = make_sample(fixture->world, index);
    struct store_batch *batch = store_batch_new();

    for (uint32_t i = 0; i < HISTORY_BATCHES; i++)
        append_batch(fixture, index * 10 + i);
    for (uint32_t i = 0; i < HISTORY_VERTICES; i++) {
        put_certificate(batch, &sample->certificates[i], verified);
    }
    put_record(batch, sample);
    for (uint32_t i = 0; i < HISTORY_BATCHES; i++) {
        uint8_t value[8];
        struct writer writer = writer_make(value, sizeof value);
        writer_u64(&writer, index);
        store_batch_put(batch, TABLE_EXECUTED, (struct bytes){sample->batches[i].digest.bytes, 32},
                        writer_view(&writer));
    }
    put_number(batch, TABLE_ATTESTATIONS, index, index);
    commit(fixture, batch);
    free(sample);
}

static void certify(struct fixture *fixture, uint64_t index)
{
    struct sample *sample = make_sample(fixture->world, index);
    struct store_batch *batch = store_batch_new();

    put_quorum(batch, sample);
    commit(fixture, batch);
    free(sample);
}

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
    struct sample *sample = make_sample(fixture->world, index);
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
    struct storage_request *request = take(fixture->client);
    const enum status status = request->status;

    if (status == OK){assert_int_equal(request->certified, expect_certificate);
                      check_subdag(fixture, request->buffer, index, expect_certificate);}
else
{
    assert_null(request->buffer);
}
storage_request_free(request);
return status;
}

static uint64_t cache_hits(struct fixture *fixture)
{
    struct storage_stats stats;

    get_settled_stats(fixture, &stats);
    return stats.export_cache_hits;
}

static void a_preblock_is_exported_as_protobuf_reads_it(void **state)
{
    (void)state;
    struct fixture fixture = fixture_open();

    assert_int_equal(export(&fixture, 1, false, false), ERR_NOT_FOUND);
    for (uint64_t i = 1; i <= 12; i++)
        write_preblock(&fixture, i, true);
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

    write_preblock(&fixture, 1, true);
    assert_int_equal(export(&fixture, 1, false, false), OK);
    assert_int_equal(export(&fixture, 1, false, false), OK);
    assert_int_equal(cache_hits(&fixture), 1);
    assert_int_equal(export(&fixture, 1, true, false), OK); /* not certified yet: bare */
    certify(&fixture, 1);
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
    struct sample *sample = make_sample(fixture.world, 2);
    struct store_batch *batch = store_batch_new();

    write_preblock(&fixture, 1, false); /* not checked when it came, but good */
    assert_int_equal(export(&fixture, 1, false, false), OK);
    write_preblock(&fixture, 2, true);
    sample->certificates[3].quorum.signatures[1].bytes[5] ^= 1;
    put_certificate(batch, &sample->certificates[3], false);
    commit(&fixture, batch);
    assert_int_equal(export(&fixture, 2, false, false), ERR_SIGNATURE);
    free(sample);
    fixture_close(&fixture);
}

static void what_is_missing_or_wrong_is_not_exported(void **state)
{
    (void)state;
    struct fixture fixture = fixture_open();
    uint8_t key[CORE_KEY_BYTES_MAX];

    write_preblock(&fixture, 1, true);
    write_preblock(&fixture, 2, true);
    write_preblock(&fixture, 3, true);
    struct store_batch *batch = store_batch_new();
    store_batch_delete(batch, TABLE_CERTIFICATES, (struct bytes){key, key_of_slot(key, 1, 3)});
    /* Another certificate in the place of this one. */
    struct sample *other = make_sample(fixture.world, 2);
    other->certificates[1].header.created_at++;
    put_certificate(batch, &other->certificates[1], true);
    commit(&fixture, batch);
    assert_int_equal(export(&fixture, 1, false, false), ERR_MISSING);
    assert_int_equal(export(&fixture, 2, false, false), ERR_CORRUPT);
    assert_int_equal(export(&fixture, 3, false, false), OK);
    free(other);
    fixture_stop(&fixture);
    /* A rotten batch: seen, and after that missing, until somebody stores it again. */
    world_flip(world_path(fixture.world, "batches/00000001.log"), 4096 + 7 * 20480 + 300);
    fixture_start(&fixture, STORE_EXISTING);
    assert_int_equal(export(&fixture, 3, false, false), ERR_CORRUPT);
    assert_int_equal(export(&fixture, 3, false, false), ERR_MISSING);
    append_batch(&fixture, 31);
    assert_int_equal(export(&fixture, 3, false, false), OK);
    fixture_close(&fixture);
}

/* ---- forgetting ------------------------------------------------------------------------------ */

static bool has_row(struct fixture *fixture, enum core_table table, struct bytes key)
{
    uint8_t *value = NULL;
    size_t len = 0;
    const enum status status = store_get(storage_store(fixture->storage), &value, &len, table, key);

    if (status == OK) free(value);
    return status == OK;
}

static uint64_t retain(struct fixture *fixture, uint64_t index)
{
    assert_true(storage_submit_retain(fixture->client, index));
    struct storage_request *request = take(fixture->client);
    assert_int_equal(request->status, OK);
    const uint64_t oldest = request->index;
    storage_request_free(request);
    return oldest;
}

static void check_kept(struct fixture *fixture, uint64_t index, bool kept)
{
    struct sample *sample = make_sample(fixture->world, index);
    uint8_t key[CORE_KEY_BYTES_MAX];

    assert_int_equal(has_row(fixture, TABLE_PREBLOCKS, number_key(key, index)), kept);
    assert_int_equal(has_row(fixture, TABLE_ATTESTATIONS, number_key(key, index)), kept);
    for (uint32_t i = 0; i < HISTORY_BATCHES; i++) {
        const struct bytes digest = {sample->batches[i].digest.bytes, 32};
        assert_int_equal(has_row(fixture, TABLE_EXECUTED, digest), kept);
    }
    assert_int_equal(export(fixture, index, false, false), kept ? OK : ERR_NOT_FOUND);
    free(sample);
}

static void forgetting_takes_what_only_old_preblocks_need(void **state)
{
    (void)state;
    struct fixture fixture = fixture_open();
    uint8_t key[CORE_KEY_BYTES_MAX];
    struct storage_stats stats;

    for (uint64_t i = 1; i <= 300; i++)
        write_preblock(&fixture, i, true);
    storage_get_stats(fixture.storage, &stats);
    const uint64_t segments = stats.log.segments;
    assert_int_equal(retain(&fixture, 0), 1);
    assert_int_equal(retain(&fixture, 1), 1);
    assert_int_equal(retain(&fixture, 2), 2);
    assert_int_equal(retain(&fixture, 150), 150);
    check_kept(&fixture, 1, false);
    check_kept(&fixture, 149, false);
    check_kept(&fixture, 150, true);
    check_kept(&fixture, 300, true);
    /* Certificates: down to gc_depth below the oldest pre-block's leader round, 300. */
    assert_false(
        has_row(&fixture, TABLE_CERTIFICATES, (struct bytes){key, key_of_slot(key, 249, 3)}));
    assert_true(
        has_row(&fixture, TABLE_CERTIFICATES, (struct bytes){key, key_of_slot(key, 251, 0)}));
    /* Not so near to the newest, round 600, that consensus could still need it: 4 gc_depth. */
    assert_int_equal(retain(&fixture, 1000), 200);
    check_kept(&fixture, 199, false);
    check_kept(&fixture, 200, true);
    assert_int_equal(retain(&fixture, 100), 200); /* never back */
    get_settled_stats(&fixture, &stats);
    assert_int_equal(stats.oldest_index, 200);
    assert_int_equal(stats.newest_index, 300);
    /* Batches of pre-blocks below 100 (their segments were last used 4 gc_depth before round 400)
     * are gone. */
    assert_true(stats.log.segments < segments - segments / 4);
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

/* ---- starting, crashing, failing ------------------------------------------------------------- */

static void a_store_without_its_batches_is_refused(void **state)
{
    (void)state;
    struct fixture fixture = fixture_open();
    struct storage_options options = fixture_options(fixture.world, STORE_EXISTING);
    struct storage *storage = NULL;
    char expected[STORE_ERROR_BYTES];

    fixture_stop(&fixture);
    char *batches = strdup(world_path(fixture.world, "batches"));
    assert_int_equal(rename(batches, world_path(fixture.world, "elsewhere")), 0);
    (void)snprintf(expected, sizeof expected, "%s: missing, start with --rejoin", batches);
    assert_int_equal(storage_open(&storage, fixture.world->error, &options), ERR_NOT_FOUND);
    assert_string_equal(fixture.world->error, expected);
    free(batches);
    fixture_start(&fixture, STORE_REJOIN);
    assert_true(store_is_rejoined(storage_store(fixture.storage)));
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
        write_preblock(&fixture, i, true);
    fixture_restart(&fixture); /* another boot id: this machine's */
    for (uint64_t i = 1; i <= 5; i++)
        assert_int_equal(export(&fixture, i, false, false), OK);
    fixture_close(&fixture);
}

/* Appends a batch, then commits a row that names it, as headers and votes do; reports each. */
static int name_batches(const struct world *world, int pipe_fd, uint64_t limit)
{
    struct world copy = *world;
    struct fixture fixture = {.world = &copy};
    const struct rlimit bytes = {limit, limit};

    fixture_start(&fixture, STORE_EXISTING);
    (void)signal(SIGXFSZ, SIG_IGN);
    if (limit > 0 && setrlimit(RLIMIT_FSIZE, &bytes) != 0) return 1;
    for (uint64_t i = 0;; i++) {
        struct batch_log_item item = world_batch(i, BATCH_BYTES);
        struct store_batch *batch = store_batch_new();
        if (!storage_submit_append(fixture.client, item.buffer, &item.record, NULL)) return 2;
        buffer_unref(item.buffer);
        enum status status = take_status(fixture.client);
        put_number(batch, TABLE_VOTES, i, i);
        if (!storage_submit_commit(fixture.client, batch, 0)) return 3;
        const enum status commit_status = take_status(fixture.client);
        if (status == OK && commit_status == OK) {
            if (write(pipe_fd, &i, sizeof i) != sizeof i) return 4;
            continue;
        }
        /* Failed: from now on everything is refused. */
        struct storage_stats stats;
        if (status == OK) status = commit_status;
        if (!storage_submit_find(fixture.client, &item.record.digest, NULL)) return 5;
        if (take_status(fixture.client) != ERR_IO) return 6;
        storage_get_stats(fixture.storage, &stats);
        return status == ERR_IO && commit_status == ERR_IO && stats.failed ? 0 : 7;
    }
}

/* Every row's batch is there, and everything reported is. */
static void check_named(struct fixture *fixture, uint64_t reported)
{
    uint8_t key[CORE_KEY_BYTES_MAX];
    uint64_t count = 0;

    while (has_row(fixture, TABLE_VOTES, number_key(key, count))) {
        struct batch_log_item item = world_batch(count, BATCH_BYTES);
        assert_true(storage_submit_read(fixture->client, &item.record.digest, NULL));
        assert_int_equal(take_status(fixture->client), OK);
        buffer_unref(item.buffer);
        count++;
    }
    assert_true(count >= reported);
}

static void a_killed_process_keeps_what_was_answered(void **state)
{
    (void)state;
    uint64_t random = 5;

    for (int round = 0; round < 6; round++) {
        struct fixture fixture = fixture_open();
        const uint64_t stop = unit_random_below(&random, 80);
        uint64_t seen = 0;
        uint64_t reported = 0;
        int pid = 0;
        fixture_stop(&fixture);
        const int fd = world_fork(fixture.world, name_batches, 0, &pid);
        while (world_read(fd, &seen, sizeof seen)) {
            reported = seen + 1;
            if (seen == stop) assert_int_equal(kill(pid, SIGKILL), 0);
        }
        assert_int_equal(world_wait(pid), -SIGKILL);
        (void)close(fd);
        fixture_start(&fixture, STORE_EXISTING);
        assert_true(reported > stop);
        check_named(&fixture, reported);
        fixture_close(&fixture);
    }
}

static void after_a_failed_write_nothing_is_answered_ok(void **state)
{
    (void)state;
    struct fixture fixture = fixture_open();
    uint64_t seen = 0;
    int pid = 0;

    fixture_stop(&fixture);
    const int fd = world_fork(fixture.world, name_batches, 200000, &pid);
    while (world_read(fd, &seen, sizeof seen))
        continue;
    assert_int_equal(world_wait(pid), 0);
    (void)close(fd);
    assert_true(seen > 3);
    fixture_start(&fixture, STORE_EXISTING);
    check_named(&fixture, seen + 1);
    fixture_close(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(appends_are_answered_in_order_and_found_again),
        cmocka_unit_test(groups_form_by_themselves),
        cmocka_unit_test(commits_are_answered_in_order_and_kept),
        cmocka_unit_test(a_client_is_refused_beyond_its_bound_and_goes_on_later),
        cmocka_unit_test(rows_are_read_by_key_in_the_order_asked),
        cmocka_unit_test(scans_stop_at_their_bounds),
        cmocka_unit_test(a_preblock_is_exported_as_protobuf_reads_it),
        cmocka_unit_test(subscribers_share_one_assembly_and_certificates_come_when_known),
        cmocka_unit_test(nothing_unverified_is_exported),
        cmocka_unit_test(what_is_missing_or_wrong_is_not_exported),
        cmocka_unit_test(forgetting_takes_what_only_old_preblocks_need),
        cmocka_unit_test(a_store_without_its_batches_is_refused),
        cmocka_unit_test(a_clean_stop_without_syncs_survives_a_reboot),
        cmocka_unit_test(a_killed_process_keeps_what_was_answered),
        cmocka_unit_test(after_a_failed_write_nothing_is_answered_ok),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
