#include "consensus/node/history.h"

#include <stdlib.h>

#include "common/crypto.h"
#include "consensus/core/records.h"
#include "proto/subdag.h"

/* Certificates looked up in one step; each is a read of about 1 KB and a hash. */
#define STEP_CERTIFICATES 32u

enum phase { PHASE_READ, PHASE_CERTIFICATES, PHASE_BATCHES, PHASE_DONE };

struct history {
    struct store *store;
    struct batch_log *log;
    const struct committee *committee;
    bool certified;
    enum phase phase;
    uint8_t *record_bytes; /* what `record` looks into */
    struct preblock_record record;
    uint32_t vertex;       /* next one of this phase */
    uint32_t vertex_batch; /* batches of it already written */
    uint32_t batch;        /* next one of the record */
    bool lacks_batch;      /* that one is not in the log as it was */
    uint8_t **rows;        /* certificates of the vertices, malloc'ed */
    size_t *rows_len;
    size_t certificates_bytes; /* of all of them in a SubDag, the leader once more */
    struct certificate certificate;
    struct buffer *buffer;
    struct writer writer;
};

enum status history_begin(struct history **ret_history,
                          struct store *store,
                          struct batch_log *log,
                          const struct committee *committee,
                          uint64_t index,
                          bool certified)
{
    uint8_t key[CORE_KEY_BYTES_MAX];
    const size_t key_len = key_of_number(key, index);
    uint8_t *record_bytes = NULL;
    size_t len = 0;

    enum status status =
        store_get(store, &record_bytes, &len, TABLE_PREBLOCKS, (struct bytes){key, key_len});
    if (status != OK) return status;
    struct history *history = calloc(1, sizeof *history);
    CHECK(history != NULL);
    *history = (struct history){.store = store,
                                .log = log,
                                .committee = committee,
                                .certified = certified,
                                .record_bytes = record_bytes};
    status = preblock_record_open(&history->record, (struct bytes){record_bytes, len});
    if (status == OK &&
        (history->record.header.index != index || history->record.vertices_count == 0 ||
         history->record.vertices_count > PREBLOCK_VERTICES_MAX ||
         history->record.header.bytes > PREBLOCK_BYTES_MAX + HEADER_PAYLOAD_BYTES_MAX)) {
        status = ERR_CORRUPT;
    }
    if (status != OK) {
        history_end(history);
        return status;
    }
    history->rows = calloc(history->record.vertices_count + 1, sizeof *history->rows);
    history->rows_len = calloc(history->record.vertices_count + 1, sizeof *history->rows_len);
    CHECK(history->rows != NULL);
    CHECK(history->rows_len != NULL);
    *ret_history = history;
    return OK;
}

void history_end(struct history *history)
{
    if (history == NULL) return;
    for (uint32_t i = 0; history->rows != NULL && i <= history->record.vertices_count; i++) {
        free(history->rows[i]);
    }
    free(history->rows);
    free(history->rows_len);
    buffer_unref(history->buffer);
    free(history->record_bytes);
    free(history);
}

/* ---- certificates ---------------------------------------------------------------------------- */

/* The certificate of a row into history->certificate, checked to be of this vertex. */
static enum status history_decode(struct history *history,
                                  const struct vertex_ref *ref,
                                  const uint8_t *row,
                                  size_t len)
{
    struct digest digest;
    bool verified = false;

    const enum status status =
        certificate_row_read(&history->certificate, &verified, (struct bytes){row, len});
    if (status != OK) return status;
    header_digest(&digest, &history->certificate.header);
    if (!digest_equal(&digest, &ref->digest)) return ERR_CORRUPT;
    if (verified) return OK;
    return committee_verify_quorum(history->committee, SCOPE_HEADER, &digest,
                                   &history->certificate.quorum);
}

static enum status history_read_row(struct history *history,
                                    const struct vertex_ref *ref,
                                    uint32_t at)
{
    uint8_t key[CORE_KEY_BYTES_MAX];
    const size_t key_len = key_of_slot(key, ref->round, ref->author);

    enum status status = store_get(history->store, &history->rows[at], &history->rows_len[at],
                                   TABLE_CERTIFICATES, (struct bytes){key, key_len});
    if (status == ERR_NOT_FOUND) return ERR_MISSING;
    if (status == OK)
        status = history_decode(history, ref, history->rows[at], history->rows_len[at]);
    if (status == OK)
        history->certificates_bytes += subdag_certificate_bytes(&history->certificate);
    return status;
}

/* The row after the vertices' is the anchor's. */
static enum status history_step_read(struct history *history)
{
    const struct preblock_record *record = &history->record;

    for (uint32_t i = 0; i < STEP_CERTIFICATES; i++) {
        const uint32_t at = history->vertex;
        const struct vertex_ref ref =
            at < record->vertices_count ? preblock_record_vertex(record, at).ref : record->anchor;
        const enum status status = history_read_row(history, &ref, at);
        if (status != OK) return status;
        history->vertex++;
        if (history->vertex > record->vertices_count) break;
    }
    if (history->vertex <= record->vertices_count) return OK;

    const size_t capacity =
        subdag_bytes_max(record->vertices_count, record->batches_count, record->header.bytes) +
        history->certificates_bytes;
    const uint32_t last = record->vertices_count;
    history->buffer = buffer_new(capacity);
    history->writer = writer_make(history->buffer->data, history->buffer->capacity);
    const enum status status =
        history_decode(history, &record->anchor, history->rows[last], history->rows_len[last]);
    if (status != OK) return status;
    subdag_write_start(&history->writer, record->header.index, &history->certificate);
    history->vertex = 0;
    history->phase = PHASE_CERTIFICATES;
    return OK;
}

static enum status history_step_certificates(struct history *history)
{
    for (uint32_t i = 0; i < STEP_CERTIFICATES; i++) {
        const uint32_t at = history->vertex;
        const struct bytes row = {history->rows[at], history->rows_len[at]};
        bool verified = false;
        const enum status status = certificate_row_read(&history->certificate, &verified, row);
        CHECK(status == OK); /* it was decoded when it was read */
        subdag_write_certificate(&history->writer, &history->certificate);
        free(history->rows[at]);
        history->rows[at] = NULL;
        history->vertex++;
        if (history->vertex == history->record.vertices_count) break;
    }
    if (history->vertex == history->record.vertices_count) {
        history->vertex = 0;
        history->phase = PHASE_BATCHES;
    }
    return OK;
}

/* ---- batches --------------------------------------------------------------------------------- */

static enum status history_write_batch(struct history *history, const struct preblock_batch *batch)
{
    struct buffer *buffer = NULL;
    struct batch_record record;

    const enum status status = batch_log_read_ahead(history->log, &buffer, &record, &batch->digest);
    history->lacks_batch = status == ERR_NOT_FOUND || status == ERR_CORRUPT;
    if (history->lacks_batch) return ERR_MISSING;
    if (status != OK) return status;
    const bool right = record.bytes == batch->bytes;
    if (right) {
        subdag_write_batch(&history->writer,
                           (struct bytes){buffer->data + BUFFER_BATCH, record.bytes});
    }
    buffer_unref(buffer);
    return right ? OK : ERR_CORRUPT;
}

/* Begins the payload of the present vertex: the sizes of its batches come first. */
static enum status history_write_payload(struct history *history, uint32_t count)
{
    uint32_t sizes[HEADER_BATCHES_MAX];

    if (count > HEADER_BATCHES_MAX) return ERR_CORRUPT;
    if (count > history->record.batches_count - history->batch) return ERR_CORRUPT;
    for (uint32_t i = 0; i < count; i++) {
        sizes[i] = preblock_record_batch(&history->record, history->batch + i).bytes;
    }
    subdag_write_payload(&history->writer, sizes, count);
    return OK;
}

static enum status history_finish(struct history *history)
{
    const struct preblock_record *record = &history->record;
    uint8_t key[CORE_KEY_BYTES_MAX];
    const size_t key_len = key_of_number(key, record->header.index);
    struct quorum *quorum = NULL;
    uint8_t *row = NULL;
    size_t len = 0;
    enum status status = ERR_NOT_FOUND;

    if (history->batch != record->batches_count) return ERR_CORRUPT;
    if (history->certified) {
        status = store_get(history->store, &row, &len, TABLE_PREBLOCK_CERTIFICATES,
                           (struct bytes){key, key_len});
    }
    if (status == OK) {
        struct reader reader = reader_make(row, len);
        quorum = malloc(sizeof *quorum);
        CHECK(quorum != NULL);
        quorum_decode(quorum, &reader);
        if (!reader_done(&reader)) status = ERR_CORRUPT;
    }
    history->certified = status == OK;
    if (status == ERR_NOT_FOUND) status = OK;
    if (status == OK) subdag_write_end(&history->writer, &record->header, quorum);
    free(quorum);
    free(row);
    if (status != OK) return status;
    if (history->writer.failed) return ERR_CORRUPT; /* batches larger than the header says */
    history->buffer->begin = 0;
    history->buffer->len = history->writer.len;
    history->phase = PHASE_DONE;
    return OK;
}

/* Writes one batch and whatever costs nothing around it. */
static enum status history_step_batches(struct history *history)
{
    const struct preblock_record *record = &history->record;

    while (history->vertex < record->vertices_count) {
        const uint32_t count = preblock_record_vertex(record, history->vertex).batches;
        if (history->vertex_batch == 0) {
            const enum status status = history_write_payload(history, count);
            if (status != OK) return status;
        }
        if (history->vertex_batch < count) {
            const struct preblock_batch batch = preblock_record_batch(record, history->batch);
            const enum status status = history_write_batch(history, &batch);
            if (status != OK) return status;
            history->batch++;
            history->vertex_batch++;
            if (history->vertex_batch < count) return OK;
        }
        history->vertex++;
        history->vertex_batch = 0;
        if (count > 0) return OK;
    }
    return history_finish(history);
}

enum status history_step(struct history *history, bool *ret_done)
{
    enum status status = OK;

    *ret_done = false;
    switch (history->phase) {
    case PHASE_READ:
        status = history_step_read(history);
        break;
    case PHASE_CERTIFICATES:
        status = history_step_certificates(history);
        break;
    case PHASE_BATCHES:
        status = history_step_batches(history);
        break;
    case PHASE_DONE:
        break;
    }
    if (status == OK) *ret_done = history->phase == PHASE_DONE;
    return status;
}

bool history_lacks(const struct history *history, struct digest *ret_digest, uint32_t *ret_worker)
{
    if (!history->lacks_batch) return false;
    const struct preblock_batch batch = preblock_record_batch(&history->record, history->batch);
    *ret_digest = batch.digest;
    *ret_worker = batch.worker;
    return true;
}

struct buffer *history_take(struct history *history, bool *ret_certified)
{
    struct buffer *buffer = history->buffer;

    CHECK(history->phase == PHASE_DONE);
    history->buffer = NULL;
    *ret_certified = history->certified;
    return buffer;
}
