#include "tests/sim/restore.h"

#include <stdio.h>

#include "consensus/core/checkpoint.h"
#include "consensus/core/records.h"
#include "tests/sim/world.h"

/* ---- forgetting ------------------------------------------------------------------------------ */

static void forget_batches(struct sim_node *node, struct bytes value)
{
    struct preblock_record record;

    CHECK(preblock_record_open(&record, value) == OK);
    for (uint32_t i = 0; i < record.batches_count; i++) {
        struct preblock_batch batch = preblock_record_batch(&record, i);
        uint64_t number = registry_find_batch(&node->world->registry, &batch.digest);

        disk_write(&node->disk, DISK_ERASE, TABLE_EXECUTED,
                   (struct bytes){batch.digest.bytes, sizeof batch.digest.bytes},
                   (struct bytes){NULL, 0});
        if (number != UINT64_MAX) disk_drop_batch(&node->disk, number);
    }
}

static void erase_below(struct sim_node *node, enum core_table table, uint64_t number)
{
    uint8_t key[CORE_KEY_BYTES_MAX];

    disk_write(&node->disk, DISK_ERASE_BELOW, table,
               (struct bytes){key, key_of_number(key, number)}, (struct bytes){NULL, 0});
}

/* The oldest final checkpoint that stays, once the rows of this step are written; false: none. */
static bool oldest_kept(const struct sim_node *node, struct checkpoint *ret_checkpoint)
{
    const struct table *rows = &node->disk.tables[TABLE_CHECKPOINTS];
    struct checkpoint_proof proof;

    for (size_t i = rows->count; i > 0; i--) {
        CHECK(checkpoint_row_read(&proof, table_value(rows, i - 1)) == OK);
        if (proof.quorum.count == 0) continue;
        *ret_checkpoint = proof.checkpoint;
        return true;
    }
    return false;
}

void node_prune(struct sim_node *node, struct bytes value)
{
    const struct table *preblocks = &node->disk.tables[TABLE_PREBLOCKS];
    struct checkpoint_proof written;
    struct checkpoint oldest;
    struct core_status status;
    uint64_t index;

    CHECK(checkpoint_row_read(&written, value) == OK);
    /* The durable one of before is the older of two now. */
    if (written.quorum.count == 0 || !oldest_kept(node, &oldest)) return;
    core_get_status(node->core, &status);
    index = u64_min(oldest.preblock.index, u64_minus(status.certified_index, 1));
    for (size_t i = 0; i < preblocks->count; i++) {
        uint64_t number = 0;

        CHECK(number_of_key(&number, table_key(preblocks, i)) == OK);
        if (number > index) break;
        forget_batches(node, table_value(preblocks, i));
    }
    erase_below(node, TABLE_PREBLOCKS, index + 1);
    erase_below(node, TABLE_PREBLOCK_CERTIFICATES, index + 1);
    erase_below(node, TABLE_ATTESTATIONS, index + 1);
    erase_below(node, TABLE_CERTIFICATES, u64_minus(oldest.round, GC_DEPTH) + 1);
}

/* ---- starting again -------------------------------------------------------------------------- */

static void give_up_batches(struct sim_node *node)
{
    struct registry *registry = &node->world->registry;

    for (uint64_t number = 0; number < registry->batches_count; number++) {
        struct sim_batch *batch = registry_batch(registry, number);

        if (batch->author == node->index && !batch->certified) batch->accepted = false;
    }
    node->given_up = registry->batches_count;
}

void node_restore(struct sim_node *node)
{
    const struct table *rows = &node->disk.tables[TABLE_CHECKPOINTS];
    struct checkpoint_proof proof;

    CHECK(rows->count == 1);
    CHECK(checkpoint_row_read(&proof, table_value(rows, 0)) == OK);
    node->disk.keeps = DISK_KEEPS_ALL;
    node_crash(node);
    node->disk.keeps = DISK_KEEPS_SOME;
    if (node->world->options.bug != BUG_GIVEN_UP) give_up_batches(node);
    node->delivered = u64_max(node->delivered, proof.checkpoint.preblock.index);
    node->world->faults.restores++;
    node_start(node);
}
