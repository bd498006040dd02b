/* Forgetting: pre-blocks below a mark, and what only they need. */
#include <stdlib.h>

#include "consensus/core/checkpoint.h"
#include "consensus/core/records.h"
#include "consensus/node/storage_internal.h"

/* Batches whose rows are deleted in one slice; a pre-block has at most PREBLOCK_BATCHES_MAX. */
#define SLICE_BATCHES PREBLOCK_BATCHES_MAX

/* Pre-blocks whose leader is not this many rounds behind the newest one's stay: sub-DAGs to come
 * reach back gc_depth rounds, and batches executed in the last 2 gc_depth are not to be executed
 * again. */
#define RETAIN_ROUNDS_MIN (4u * GC_DEPTH)

static struct bytes number_key(uint8_t *memory, uint64_t number)
{
    return (struct bytes){memory, key_of_number(memory, number)};
}

/* A stored pre-block record; `ret_bytes` is to be freed and keeps the record alive. */
static enum status read_record(struct storage *storage,
                               struct preblock_record *ret_record,
                               uint8_t **ret_bytes,
                               uint64_t index)
{
    uint8_t key[CORE_KEY_BYTES_MAX];
    uint8_t *bytes = NULL;
    size_t len = 0;

    enum status status =
        store_get(storage->store, &bytes, &len, TABLE_PREBLOCKS, number_key(key, index));
    if (status != OK) return status;
    status = preblock_record_open(ret_record, (struct bytes){bytes, len});
    if (status != OK) {
        free(bytes);
        return status;
    }
    *ret_bytes = bytes;
    return OK;
}

/* ---- what is there --------------------------------------------------------------------------- */

static void note_record(struct storage *storage, const struct preblock_record *record)
{
    const uint64_t index = record->header.index;

    if (storage->now.oldest_index == 0) {
        storage->now.oldest_index = index;
        storage->oldest_round = record->header.round;
    }
    if (index > storage->now.newest_index) {
        storage->now.newest_index = index;
        storage->newest_round = record->header.round;
    }
}

static void note_executed(struct batch_log *log, const struct preblock_record *record)
{
    for (uint32_t i = 0; i < record->batches_count; i++) {
        const struct preblock_batch batch = preblock_record_batch(record, i);
        batch_log_note_executed(log, &batch.digest, record->header.index, record->header.round);
    }
}

enum status storage_retain_start(struct storage *storage, char *ret_error)
{
    struct store_cursor *cursor =
        store_cursor_open(storage->store, TABLE_PREBLOCKS, (struct bytes){NULL, 0});
    struct bytes key;
    struct bytes value;
    enum status status = OK;

    while (status == OK && store_cursor_next(cursor, &key, &value)) {
        struct preblock_record record;
        status = preblock_record_open(&record, value);
        if (status != OK) break;
        note_record(storage, &record);
        note_executed(storage->log, &record);
    }
    const enum status cursor_status = store_cursor_close(cursor);
    if (status == OK) status = cursor_status;
    if (status == OK) return OK;
    return store_refuse(ret_error, status, "pre-block %llu: %s, start with --rejoin",
                        (unsigned long long)storage->now.newest_index + 1, status_text(status));
}

/* The next pre-block that the batch makes; false: no more. */
static bool next_made(struct preblock_record *ret_record,
                      const struct store_batch *batch,
                      size_t *offset)
{
    struct store_change change;

    while (store_batch_next(batch, &change, offset)) {
        if (change.kind != STORE_PUT || change.table != TABLE_PREBLOCKS) continue;
        if (preblock_record_open(ret_record, change.value) == OK) return true;
    }
    return false;
}

bool storage_retain_note(struct storage *storage, const struct store_batch *batch)
{
    struct preblock_record record;
    size_t offset = 0;
    bool any = false;

    while (next_made(&record, batch, &offset)) {
        note_record(storage, &record);
        any = true;
    }
    return any;
}

void storage_note_executed(struct batch_log *log, const struct store_batch *batch)
{
    struct preblock_record record;
    size_t offset = 0;

    while (next_made(&record, batch, &offset))
        note_executed(log, &record);
}

/* ---- forgetting ------------------------------------------------------------------------------ */

bool storage_has_retain(const struct storage *storage)
{
    return storage->retains.first != NULL;
}

/* Deletes the rows that say which pre-block executed a batch, where it was this one. */
static void forget_executed(struct storage *storage, const struct preblock_record *record)
{
    for (uint32_t i = 0; i < record->batches_count; i++) {
        const struct preblock_batch batch = preblock_record_batch(record, i);
        const struct bytes key = {batch.digest.bytes, sizeof batch.digest.bytes};
        uint8_t *value = NULL;
        size_t len = 0;
        if (store_get(storage->store, &value, &len, TABLE_EXECUTED, key) != OK) continue;
        struct reader reader = reader_make(value, len);
        if (reader_u64(&reader) == record->header.index && !reader.failed) {
            store_batch_delete(storage->retain_batch, TABLE_EXECUTED, key);
        }
        free(value);
    }
}

/* The lowest round whose certificates the oldest kept pre-block or a later one needs. */
static round_t lowest_round(const struct preblock_record *record)
{
    round_t lowest = u64_minus(record->header.round, GC_DEPTH);

    for (uint32_t i = 0; i < record->vertices_count; i++) {
        lowest = u64_min(lowest, preblock_record_vertex(record, i).ref.round);
    }
    return lowest;
}

/* `record` is to be the oldest pre-block. */
static void forget_below(struct storage *storage, const struct preblock_record *record)
{
    static const enum core_table by_index[] = {TABLE_PREBLOCKS, TABLE_PREBLOCK_CERTIFICATES,
                                               TABLE_ATTESTATIONS};
    uint8_t memory[CORE_KEY_BYTES_MAX];
    const struct bytes key = number_key(memory, record->header.index);

    for (size_t i = 0; i < sizeof by_index / sizeof by_index[0]; i++) {
        store_batch_delete_below(storage->retain_batch, by_index[i], key);
    }
    const size_t len = key_of_slot(memory, lowest_round(record), 0);
    store_batch_delete_below(storage->retain_batch, TABLE_CERTIFICATES,
                             (struct bytes){memory, len});
    storage->now.oldest_index = record->header.index;
    storage->oldest_round = record->header.round;
}

/* Round of the anchor of the oldest final checkpoint; 0 when there is none. A node that starts from it needs
 * what came after. */
static round_t checkpoint_round(struct storage *storage)
{
    struct store_cursor *cursor =
        store_cursor_open(storage->store, TABLE_CHECKPOINTS, (struct bytes){NULL, 0});
    struct checkpoint_proof proof;
    struct bytes key;
    struct bytes value;
    round_t round = 0;

    if (store_cursor_next(cursor, &key, &value) && checkpoint_row_read(&proof, value) == OK &&
        proof.quorum.count > 0)
        round = proof.checkpoint.round;
    return store_cursor_close(cursor) == OK ? round : 0;
}

/* May the pre-block with this index become the oldest? */
static bool may_be_oldest(const struct storage *storage,
                          const struct preblock_record *record,
                          round_t checkpoint)
{
    return record->header.round <= checkpoint &&
           record->header.round + RETAIN_ROUNDS_MIN <= storage->newest_round;
}

/* Goes from the oldest pre-block towards the mark for about SLICE_BATCHES batches. True when there
 * is nothing more to do for this mark. */
static bool forget_some(struct storage *storage, uint64_t mark)
{
    uint64_t index = storage->now.oldest_index;
    round_t checkpoint = checkpoint_round(storage);
    struct preblock_record record;
    uint8_t *bytes = NULL;
    uint32_t batches = 0;
    bool done = false;

    if (index == 0 || mark <= index || read_record(storage, &record, &bytes, index) != OK)
        return true;
    while (!done && batches < SLICE_BATCHES) {
        struct preblock_record next;
        uint8_t *next_bytes = NULL;
        done = index >= mark || index >= storage->now.newest_index ||
               read_record(storage, &next, &next_bytes, index + 1) != OK;
        if (!done && !may_be_oldest(storage, &next, checkpoint)) {
            free(next_bytes);
            done = true;
        }
        if (done) break;
        forget_executed(storage, &record);
        batches += record.batches_count + 1;
        free(bytes);
        bytes = next_bytes;
        record = next;
        index++;
    }
    if (index > storage->now.oldest_index) forget_below(storage, &record);
    free(bytes);
    return done || index >= mark;
}

void storage_retain_slice(struct storage *storage)
{
    struct storage_request *request = storage->retains.first;

    if (request == NULL || storage->failed) return;
    storage->retain_done = forget_some(storage, request->index);
}

void storage_retain_committed(struct storage *storage)
{
    if (storage->retains.first == NULL || !(storage->retain_done || storage->failed)) return;
    struct storage_request *request = request_queue_pop(&storage->retains);
    storage->retain_done = false;
    storage_tell(storage, NULL);
    request->index = storage->now.oldest_index;
    storage_publish_commits(storage);
    storage_complete(storage, request, storage->failed ? ERR_IO : OK);
}
