/* Agreement: the record of a pre-block, and the ordering record of a sequence number, are the same
 * bytes at every honest node that ever makes one, over all its lives. The first node to come sets
 * the value. */
#include <stdlib.h>

#include "common/crypto.h"
#include "consensus/core/ordering_record.h"
#include "consensus/core/records.h"
#include "tests/sim/world.h"

static void grow(struct checkers *checkers)
{
    checkers->preblocks_capacity = checkers->preblocks_capacity * 2 + 1024;
    checkers->preblocks =
        realloc(checkers->preblocks, checkers->preblocks_capacity * sizeof *checkers->preblocks);
    CHECK(checkers->preblocks != NULL);
}

/* Pre-blocks come without gaps; after a restart some may come again, after a wipe all do. */
static void check_sequence(struct sim_node *node, uint64_t index)
{
    if (index == node->delivered + 1) {
        node->delivered = index;
        node->read_again = false;
        return;
    }
    if (index <= node->delivered) return;
    world_fail(node->world, FAILURE_SAFETY, "node %u delivers pre-block %llu after %llu",
               node->index, (unsigned long long)index, (unsigned long long)node->delivered);
}

void check_agreement_preblock(struct sim_node *node, uint64_t index, struct bytes record)
{
    struct checkers *checkers = &node->world->checkers;
    struct preblock_record opened;
    struct digest digest;

    if (preblock_record_open(&opened, record) != OK || opened.header.index != index)
        world_fail(node->world, FAILURE_SAFETY, "node %u: record of pre-block %llu is broken",
                   node->index, (unsigned long long)index);
    crypto_hash_one(&digest, record.data, record.len);
    check_sequence(node, index);
    if (index == checkers->preblocks_count + 1) {
        if (checkers->preblocks_count == checkers->preblocks_capacity) grow(checkers);
        checkers->preblocks[checkers->preblocks_count++] = digest;
        check_order_preblock(node, index, record);
    }
    if (!digest_equal(&digest, &checkers->preblocks[index - 1]))
        world_fail(node->world, FAILURE_SAFETY, "fork: node %u has another pre-block %llu",
                   node->index, (unsigned long long)index);
}

void check_agreement_certificate(struct sim_node *node, uint64_t index, struct bytes quorum)
{
    struct world *world = node->world;
    static struct quorum decoded;
    struct preblock_record opened;
    struct digest digest;
    uint8_t key[CORE_KEY_BYTES_MAX];
    size_t len = key_of_number(key, index);
    struct bytes record = table_get(&node->disk.tables[TABLE_PREBLOCKS], (struct bytes){key, len});

    if (record.len == 0 || preblock_record_open(&opened, record) != OK)
        world_fail(world, FAILURE_SAFETY,
                   "node %u certifies pre-block %llu without having it durable", node->index,
                   (unsigned long long)index);
    struct reader reader = reader_make(quorum.data, quorum.len);
    quorum_decode(&decoded, &reader);
    preblock_digest(&digest, &opened.header);
    if (!reader_done(&reader) ||
        committee_verify_quorum(&world->committee, SCOPE_PREBLOCK, &digest, &decoded) != OK)
        world_fail(world, FAILURE_SAFETY, "node %u: certificate of pre-block %llu does not verify",
                   node->index, (unsigned long long)index);
}

/* The first one to come sets the value. */
static void check_equal(struct sim_node *node, uint64_t sequence, struct bytes value)
{
    struct digest digest;

    crypto_hash_one(&digest, value.data, value.len);
    if (!digest_equal(slot_map_add(&node->world->checkers.orderings, sequence, &digest), &digest))
        world_fail(node->world, FAILURE_SAFETY, "fork: node %u orders otherwise at %llu",
                   node->index, (unsigned long long)sequence);
}

void check_agreement_made(struct sim_node *node, struct bytes key, struct bytes value)
{
    struct checkers *checkers = &node->world->checkers;
    struct ordering_record record;
    uint64_t sequence;

    CHECK(number_of_key(&sequence, key) == OK);
    if (node->world->options.steady) check_latency_ordering(node, value);
    if (sequence <= checkers->ordered_count) check_equal(node, sequence, value);
    if (sequence != checkers->made_count + 1) return;
    checkers->made_count = sequence;
    if (ordering_record_open(&record, value) == OK) checkers->made_round = record.anchor.round;
}

static void check_ordering(struct sim_node *node, struct bytes key, struct bytes value)
{
    struct checkers *checkers = &node->world->checkers;
    uint64_t sequence;

    CHECK(number_of_key(&sequence, key) == OK);
    if (sequence == checkers->ordered_count + 1) {
        checkers->ordered_count = sequence;
        check_order_ordering(node, key, value);
    }
    if (sequence > checkers->ordered_count)
        world_fail(node->world, FAILURE_SAFETY, "node %u orders %llu when %llu is the last",
                   node->index, (unsigned long long)sequence,
                   (unsigned long long)checkers->ordered_count);
    check_equal(node, sequence, value);
    node->ordered = sequence;
}

void check_agreement_durable(struct sim_node *node)
{
    const struct table *records = &node->disk.tables[TABLE_ORDERING];
    uint8_t key[CORE_KEY_BYTES_MAX];
    size_t len = key_of_number(key, node->ordered + 1);
    size_t position = table_seek(records, (struct bytes){key, len});

    for (; position < records->count; position++)
        check_ordering(node, table_key(records, position), table_value(records, position));
}

void checkers_close(struct checkers *checkers)
{
    free(checkers->preblocks);
    slot_map_close(&checkers->orderings);
    for (size_t i = 0; i < SIM_NODES_MAX; i++)
        slot_map_close(&checkers->signed_slots[i]);
    for (size_t i = 0; i < SIM_NODES_MAX; i++)
        slot_map_close(&checkers->known_slots[i]);
}
