#include "consensus/node/worker.h"

#include <stdlib.h>

#include "common/hash_pages.h"
#include "common/log.h"
#include "consensus/node/repairs.h"
#include "consensus/node/tickets.h"
#include "consensus/node/wanted.h"
#include "consensus/node/worker_frame.h"

#define WORKER_APPENDING_MAX 2048u

enum request_context { CONTEXT_OWN = 1, CONTEXT_STREAMED, CONTEXT_FETCHED, CONTEXT_LOOK_UP };

struct worker {
    struct worker_options options;
    struct tickets *tickets;
    struct wanted *wanted;
    struct repairs *repairs;
    bool full[AUTHORITIES_MAX];        /* peers whose share of unnamed batches is used up */
    uint32_t serving[AUTHORITIES_MAX]; /* WANT_BATCH reads in flight, per peer */
    size_t appending_count;
    struct worker_counters counters;
};

static void repair_ask(void *context, authority_t peer, const struct digest *digest, uint32_t id)
{
    worker_fetch(context, peer, digest, id);
}

static void repair_give_up(void *context, const struct digest *digest)
{
    struct worker *worker = context;

    log_warn("worker: no peer has a batch that is rotten here");
    worker->options.on_repaired(worker->options.context, digest, false);
}

struct worker *worker_open(const struct worker_options *options)
{
    struct worker *worker = calloc(1, sizeof *worker);
    CHECK(worker != NULL);
    worker->options = *options;
    worker->wanted = wanted_open();
    worker->repairs = repairs_open(&(struct repairs_options){.committee = options->committee,
                                                             .self = options->self,
                                                             .ask = repair_ask,
                                                             .give_up = repair_give_up,
                                                             .context = worker});
    worker->tickets = tickets_open(options->api);
    return worker;
}

void worker_close(struct worker *worker)
{
    if (worker == NULL) return;
    tickets_close(worker->tickets);
    wanted_close(worker->wanted);
    repairs_close(worker->repairs);
    free(worker);
}

/* The request's own context: what the append is for, and who sent the batch. */
static void *context_make(enum request_context what, authority_t peer)
{
    return (void *)(((uintptr_t)peer << 8) | (uintptr_t)what);
}

static enum request_context context_what(const struct storage_request *request)
{
    return (enum request_context)((uintptr_t)request->context & 0xff);
}

static authority_t context_peer(const struct storage_request *request)
{
    return (authority_t)((uintptr_t)request->context >> 8);
}

/* ---- back-pressure --------------------------------------------------------------------------- */

static void worker_pause(struct worker *worker, bool pause)
{
    if (worker->counters.paused == pause) return;
    worker->counters.paused = pause;
    for (uint32_t peer = 0; peer < worker->options.committee->count; peer++)
        if (peer != worker->options.self)
            mesh_pause(worker->options.mesh, (authority_t)peer, MESH_BULK,
                       pause || worker->full[peer]);
}

void worker_set_full(struct worker *worker, authority_t peer, bool full)
{
    CHECK(peer != worker->options.self);
    if (worker->full[peer] == full) return;
    worker->full[peer] = full;
    mesh_pause(worker->options.mesh, peer, MESH_BULK, full || worker->counters.paused);
}

static void worker_measure(struct worker *worker)
{
    if (worker->counters.appending > WORKER_APPENDING_BYTES_MAX ||
        worker->appending_count > WORKER_APPENDING_MAX)
        worker_pause(worker, true);
    else if (worker->counters.appending < WORKER_APPENDING_BYTES_MAX / 2 &&
             worker->appending_count < WORKER_APPENDING_MAX / 2)
        worker_pause(worker, false);
}

static bool worker_append(struct worker *worker,
                          struct buffer *buffer,
                          const struct batch_record *record,
                          enum request_context what,
                          authority_t peer)
{
    if (!storage_submit_append(worker->options.storage, buffer, record, context_make(what, peer)))
        return false;
    worker->counters.appending += record->bytes;
    worker->appending_count++;
    worker_measure(worker);
    return true;
}

/* ---- own batches ----------------------------------------------------------------------------- */

void worker_submit(struct worker *worker, struct api_request *request)
{
    struct buffer *buffer = request->buffer;
    struct batch_record record = {
        .author = worker->options.self,
        .worker = 0,
        .bytes = (uint32_t)buffer->len,
        .transactions = request->transactions,
        .created_at = request->created_at,
        .own = true,
    };
    CHECK(buffer->begin == BUFFER_BATCH);
    hash_pages_root(&record.digest, buffer->data + BUFFER_BATCH, buffer->len);
    if (!tickets_add(worker->tickets, request->ticket, &record.digest)) return;

    worker_frame_batch(buffer, &record, false);
    if (!worker_append(worker, buffer, &record, CONTEXT_OWN, worker->options.self)) {
        tickets_failed(worker->tickets, &record.digest, "the disk is behind");
        return;
    }
    mesh_broadcast(worker->options.mesh, MESH_BULK, buffer);
    worker->counters.own_batches++;
    worker->counters.own_bytes += record.bytes;
}

void worker_restore(struct worker *worker, const struct batch_record *record)
{
    worker->options.on_stored(worker->options.context, record, WORKER_FOUND);
}

/* ---- peers' batches -------------------------------------------------------------------------- */

static void worker_refuse(struct worker *worker, authority_t peer, const char *why)
{
    worker->counters.refused++;
    log_debug("worker: batch from peer %u refused: %s", peer, why);
}

static void worker_receive(struct worker *worker,
                           authority_t peer,
                           struct buffer *frame,
                           const uint8_t *body,
                           size_t len)
{
    struct batch_record record;
    struct bytes batch;
    bool fetched = false;
    const char *why = worker_frame_read_batch(&record, &fetched, &batch, (struct bytes){body, len});

    if (why != NULL) {
        worker_refuse(worker, peer, why);
        return;
    }
    CHECK(batch.data == frame->data + BUFFER_BATCH);
    record.author = peer;
    hash_pages_root(&record.digest, batch.data, batch.len);
    if (wanted_remove(worker->wanted, &record.digest)) {
        worker->counters.fetched += fetched;
    } else if (fetched) {
        worker_refuse(worker, peer, "not asked for");
        return;
    }
    if (!worker_append(worker, frame, &record, fetched ? CONTEXT_FETCHED : CONTEXT_STREAMED,
                       peer)) {
        worker_refuse(worker, peer, "the disk is behind");
        return;
    }
    worker->counters.peer_batches++;
    worker->counters.peer_bytes += record.bytes;
}

static void worker_serve(struct worker *worker, authority_t peer, const uint8_t *body, size_t len)
{
    struct digest digest;

    if (!worker_frame_read_want(&digest, (struct bytes){body, len})) {
        worker_refuse(worker, peer, "malformed request");
    } else if (worker->serving[peer] >= WORKER_SERVING_MAX) {
        worker_refuse(worker, peer, "too many requests at once");
    } else if (storage_submit_read(worker->options.storage, &digest, context_make(0, peer))) {
        worker->serving[peer]++;
    }
}

void worker_frame(struct worker *worker,
                  authority_t peer,
                  struct buffer *frame,
                  const uint8_t *body,
                  size_t len)
{
    switch (body[0]) {
    case WIRE_BATCH:
        worker_receive(worker, peer, frame, body, len);
        break;
    case WIRE_WANT_BATCH:
        worker_serve(worker, peer, body, len);
        break;
    default:
        worker_refuse(worker, peer, "unknown kind");
        break;
    }
}

/* ---- core actions ---------------------------------------------------------------------------- */

static void send_digest(struct worker *worker,
                        authority_t peer,
                        enum wire_kind kind,
                        const struct digest *digest,
                        uint32_t id)
{
    uint8_t memory[64];
    struct writer writer = writer_make(memory, sizeof memory);
    struct buffer *frame;

    worker_frame_write_digest(&writer, kind, digest, id);
    frame = buffer_frame(writer_view(&writer));
    (void)mesh_send(worker->options.mesh, peer, MESH_BULK, frame);
    buffer_unref(frame);
}

void worker_fetch(struct worker *worker, authority_t peer, const struct digest *digest, uint32_t id)
{
    wanted_add(worker->wanted, digest);
    send_digest(worker, peer, WIRE_WANT_BATCH, digest, id);
}

bool worker_repair(struct worker *worker, const struct digest *digest, uint32_t id)
{
    const enum repair_begun begun = repairs_begin(worker->repairs, digest, id);

    worker->counters.rotten += begun != REPAIR_GOES_ON;
    return begun != REPAIR_REFUSED;
}

void worker_no_batch(struct worker *worker, authority_t peer, const uint8_t *body, size_t len)
{
    struct reader reader = reader_make(body, len);
    struct digest digest;

    (void)reader_u8(&reader); /* the kind */
    reader_copy(&reader, digest.bytes, sizeof digest.bytes);
    if (reader_done(&reader)) repairs_note_absent(worker->repairs, peer, &digest);
}

void worker_turn(struct worker *worker)
{
    repairs_turn(worker->repairs);
}

void worker_look_up(struct worker *worker, const struct digest *digest)
{
    /* No room means no answer, which means "not here": the core then asks a peer. */
    (void)storage_submit_find(worker->options.storage, digest, context_make(CONTEXT_LOOK_UP, 0));
}

void worker_certified(struct worker *worker, const struct digest *digest)
{
    tickets_certified(worker->tickets, digest);
}

void worker_dropped(struct worker *worker, const struct digest *digest)
{
    tickets_failed(worker->tickets, digest, "the batch was given up");
}

void worker_delivered(struct worker *worker, const struct preblock_record *record)
{
    uint32_t position = 0;

    for (uint32_t i = 0; i < record->batches_count; i++) {
        struct preblock_batch batch = preblock_record_batch(record, i);
        tickets_committed(worker->tickets, &batch.digest, record->header.index, position);
        (void)wanted_remove(worker->wanted, &batch.digest);
        position += batch.transactions;
    }
}

/* ---- answers of the storage thread ----------------------------------------------------------- */

static enum status completed_append(struct worker *worker, struct storage_request *request)
{
    const struct batch_record *record = &request->record;

    worker->counters.appending -= record->bytes;
    worker->appending_count--;
    worker_measure(worker);
    if (request->status == ERR_FULL) {
        if (record->own)
            tickets_failed(worker->tickets, &record->digest, "the batch log is full");
        else
            worker_refuse(worker, context_peer(request), "the batch log is full");
        return OK;
    }
    if (request->status != OK) return request->status;
    if (record->own) tickets_accepted(worker->tickets, &record->digest);
    const bool streamed = context_what(request) == CONTEXT_STREAMED;
    worker->options.on_stored(worker->options.context, record,
                              streamed ? WORKER_STREAMED : WORKER_FETCHED);
    if (repairs_end(worker->repairs, &record->digest)) {
        worker->counters.repaired++;
        worker->options.on_repaired(worker->options.context, &record->digest, true);
    }
    return OK;
}

static void completed_read(struct worker *worker, struct storage_request *request)
{
    authority_t peer = context_peer(request);

    worker->serving[peer]--;
    if (request->status == OK) {
        const struct batch_record *record = &request->record;
        struct buffer *frame = buffer_new(BUFFER_BATCH + record->bytes);
        /* A copy: the log's ring shares its buffer with frames that still wait to be sent. */
        memcpy(frame->data + BUFFER_BATCH, request->buffer->data + BUFFER_BATCH, record->bytes);
        worker_frame_batch(frame, record, true);
        (void)mesh_send(worker->options.mesh, peer, MESH_BULK, frame);
        buffer_unref(frame);
        worker->counters.served++;
    } else {
        if (request->status == ERR_CORRUPT) {
            log_warn("worker: a stored batch does not match its digest and is not served");
            (void)worker_repair(worker, &request->record.digest, request->record.worker);
        }
        send_digest(worker, peer, WIRE_NO_BATCH, &request->record.digest, 0);
    }
}

enum status worker_completed(struct worker *worker, struct storage_request *request)
{
    enum status status = OK;

    switch ((int)request->kind) {
    case STORAGE_APPEND:
        status = completed_append(worker, request);
        break;
    case STORAGE_FIND_BATCH:
        if (request->status == OK)
            worker->options.on_stored(worker->options.context, &request->record,
                                      request->executed ? WORKER_EXECUTED : WORKER_FOUND);
        break;
    case STORAGE_READ_BATCH:
        completed_read(worker, request);
        break;
    default:
        CHECK(false);
    }
    storage_request_free(request);
    return status;
}

void worker_stop(struct worker *worker)
{
    tickets_stop(worker->tickets);
}

void worker_get_counters(const struct worker *worker, struct worker_counters *ret_counters)
{
    *ret_counters = worker->counters;
}
