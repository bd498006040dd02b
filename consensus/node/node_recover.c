#include <stdio.h>
#include <stdlib.h>

#include "common/log.h"
#include "consensus/core/records.h"
#include "consensus/node/node_internal.h"

/* Own batches of the log's end that are looked at after a start: more than can be unnamed or
 * unordered (64 MiB unnamed of at least one transaction each, sealed no faster than one per
 * millisecond). */
#define OWN_BATCHES_MAX 65536u

static enum status recover_table(struct node *node, enum core_table table, uint64_t *records)
{
    uint8_t first[CORE_KEY_BYTES_MAX];
    size_t first_len = core_recover_first(node->core, table, first);
    struct store_cursor *cursor;
    struct bytes key;
    struct bytes value;
    enum status status = OK;
    enum status end;

    if (first_len == SIZE_MAX) return OK;
    cursor =
        store_cursor_open(storage_store(node->storage), table, (struct bytes){first, first_len});
    while (status == OK && store_cursor_next(cursor, &key, &value)) {
        status = core_recover(node->core, table, key, value);
        (*records)++;
    }
    end = store_cursor_close(cursor);
    return status != OK ? status : end;
}

enum status node_recover(struct node *node, char *ret_error)
{
    uint64_t records = 0;
    uint64_t begun = node_now_us();

    for (int table = 0; table < CORE_TABLES; table++) {
        enum status status = recover_table(node, (enum core_table)table, &records);
        if (status == OK) continue;
        snprintf(ret_error, NODE_ERROR_BYTES,
                 "%s: table %d cannot be recovered (%s); if the store is lost, start with --rejoin",
                 node->options.data_directory, table, status_text(status));
        return status;
    }
    if (records > 0)
        log_info("node: recovered %llu records in %llu ms", (unsigned long long)records,
                 (unsigned long long)(node_now_us() - begun) / 1000);
    return OK;
}

void node_found_batch(void *context, const struct batch_record *record)
{
    struct node *node = context;

    if (!record->own) return;
    if (node->own == NULL) {
        node->own = calloc(OWN_BATCHES_MAX, sizeof *node->own);
        CHECK(node->own != NULL);
    }
    node->own[node->own_next] = *record;
    node->own_next = (node->own_next + 1) % OWN_BATCHES_MAX;
    if (node->own_count < OWN_BATCHES_MAX) node->own_count++;
}

static bool is_executed(struct node *node, const struct digest *digest)
{
    uint8_t *value;
    size_t len;
    struct bytes key = {digest->bytes, sizeof digest->bytes};

    if (store_get(storage_store(node->storage), &value, &len, TABLE_EXECUTED, key) != OK)
        return false;
    free(value);
    return true;
}

/* ---- own batches of before a start from a checkpoint ------------------------------------------ */

#define META_GIVEN_UP META_KEY("given_up")

/* The row "given_up": the checkpoint's sequence u64 and the digest of the last own batch that the log held
 * when the node first started from it. What was appended up to it may have been executed in the pre-blocks
 * that were passed over, and is not named again: others, who hold what is certified, name that. */
struct given_up {
    uint64_t sequence; /* 0: never */
    struct digest last;
};

static bool read_given_up(struct node *node, struct given_up *ret_given_up)
{
    struct reader reader;
    uint8_t *value;
    size_t len;

    if (store_get(storage_store(node->storage), &value, &len, TABLE_META, META_GIVEN_UP) != OK)
        return false;
    reader = reader_make(value, len);
    ret_given_up->sequence = reader_u64(&reader);
    reader_copy(&reader, ret_given_up->last.bytes, sizeof ret_given_up->last.bytes);
    free(value);
    return reader_done(&reader);
}

static uint64_t restored_from(struct node *node)
{
    struct reader reader;
    uint64_t sequence;
    uint8_t *value;
    size_t len;

    if (store_get(storage_store(node->storage), &value, &len, TABLE_META, META_RESTORED) != OK)
        return 0;
    reader = reader_make(value, len);
    sequence = reader_u64(&reader);
    free(value);
    return reader_done(&reader) ? sequence : 0;
}

static void write_given_up(struct node *node, const struct given_up *given_up)
{
    uint8_t memory[8 + sizeof given_up->last.bytes];
    struct writer writer = writer_make(memory, sizeof memory);

    writer_u64(&writer, given_up->sequence);
    writer_copy(&writer, given_up->last.bytes, sizeof given_up->last.bytes);
    CHECK(!writer.failed);
    store_batch_put(node->batch, TABLE_META, META_GIVEN_UP, writer_view(&writer));
    node->batch_awaited = true; /* at the end of this turn, not lazily */
}

/* How many of the own batches found, from the oldest on, are given up. */
static size_t count_given_up(struct node *node, size_t oldest)
{
    struct given_up given_up = {0};
    uint64_t restored = restored_from(node);

    if (restored == 0 || node->own_count == 0) return 0;
    if (!read_given_up(node, &given_up) || given_up.sequence != restored) {
        given_up.sequence = restored;
        given_up.last = node->own[(oldest + node->own_count - 1) % OWN_BATCHES_MAX].digest;
        write_given_up(node, &given_up);
    }
    for (size_t i = node->own_count; i > 0; i--) {
        if (digest_equal(&node->own[(oldest + i - 1) % OWN_BATCHES_MAX].digest, &given_up.last))
            return i;
    }
    return 0; /* they are deleted */
}

/* ---- own batches that wait -------------------------------------------------------------------- */

/* The timestamp of the oldest pre-block kept when older ones were forgotten; else 0. */
static uint64_t forgotten_until_ms(struct node *node)
{
    struct storage_stats stats;
    struct preblock_record record;
    uint8_t memory[CORE_KEY_BYTES_MAX];
    uint8_t *value;
    uint64_t until_ms = 0;
    struct bytes key;
    size_t len;

    storage_get_stats(node->storage, &stats);
    if (stats.oldest_index <= 1) return 0;
    key = (struct bytes){memory, key_of_number(memory, stats.oldest_index)};
    if (store_get(storage_store(node->storage), &value, &len, TABLE_PREBLOCKS, key) != OK) return 0;
    if (preblock_record_open(&record, (struct bytes){value, len}) == OK)
        until_ms = record.header.timestamp;
    free(value);
    return until_ms;
}

/* Retention forgets what old pre-blocks executed before it can delete the batches, a segment at a time.
 * So what the log holds before the first own batch that a kept pre-block executed was executed long ago:
 * a batch that waits is named again within rounds, and retention keeps hundreds of them. Where no kept
 * pre-block executed an own batch, its age tells. Marks what may wait and returns where to begin. */
static size_t find_waiting(struct node *node, bool *ret_waits, size_t oldest)
{
    uint64_t until_ms = forgotten_until_ms(node);
    size_t first = 0;

    for (size_t i = 0; i < node->own_count; i++) {
        const struct batch_record *record = &node->own[(oldest + i) % OWN_BATCHES_MAX];

        ret_waits[i] = !is_executed(node, &record->digest);
        if (!ret_waits[i] && until_ms > 0) {
            first = i;
            until_ms = 0;
        }
    }
    for (size_t i = 0; i < node->own_count && until_ms > 0; i++) {
        const struct batch_record *record = &node->own[(oldest + i) % OWN_BATCHES_MAX];

        ret_waits[i] = ret_waits[i] && record->created_at >= until_ms;
    }
    return first;
}

void node_restore_batches(struct node *node)
{
    size_t oldest = (node->own_next + OWN_BATCHES_MAX - node->own_count) % OWN_BATCHES_MAX;
    bool *waits = calloc(node->own_count + 1, sizeof *waits);
    size_t given_up = count_given_up(node, oldest);
    size_t restored = 0;
    size_t first;

    CHECK(waits != NULL);
    first = find_waiting(node, waits, oldest);
    for (size_t i = given_up > first ? given_up : first; i < node->own_count; i++) {
        if (!waits[i]) continue;
        worker_restore(node->worker, &node->own[(oldest + i) % OWN_BATCHES_MAX]);
        restored++;
    }
    if (restored > 0) log_info("node: %zu own batches wait to be ordered", restored);
    free(waits);
    free(node->own);
    node->own = NULL;
    node->own_count = 0;
}
