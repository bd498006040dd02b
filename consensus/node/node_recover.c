#include <stdio.h>
#include <stdlib.h>

#include "common/log.h"
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

void node_restore_batches(struct node *node)
{
    size_t oldest = (node->own_next + OWN_BATCHES_MAX - node->own_count) % OWN_BATCHES_MAX;
    size_t restored = 0;

    for (size_t i = 0; i < node->own_count; i++) {
        const struct batch_record *record = &node->own[(oldest + i) % OWN_BATCHES_MAX];
        if (is_executed(node, &record->digest)) continue;
        worker_restore(node->worker, record);
        restored++;
    }
    if (restored > 0) log_info("node: %zu own batches wait to be ordered", restored);
    free(node->own);
    node->own = NULL;
    node->own_count = 0;
}
