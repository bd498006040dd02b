/* Order: checked once, on the first node to make a record (agreement covers the others). The
 * parents of an ordered vertex were ordered before it, or lie at or below the floor of its sub-DAG;
 * the anchor is last; no vertex comes twice; every vertex is certified; pre-blocks execute exactly
 * the new batches of the ordering records, in their order, each batch once. */
#include <stdio.h>

#include "consensus/core/ordering_record.h"
#include "consensus/core/records.h"
#include "tests/sim/world.h"

static _Noreturn void fail(struct sim_node *node, uint64_t number, const char *what)
{
    world_fail(node->world, FAILURE_SAFETY, "node %u, record %llu: %s", node->index,
               (unsigned long long)number, what);
}

static void check_parents(struct sim_node *node,
                          uint64_t sequence,
                          const struct known_header *header,
                          round_t floor)
{
    if (header->round <= 1 || header->round - 1 <= floor) return;
    for (uint32_t i = 0; i < header->parents_count; i++) {
        const struct known_header *parent =
            registry_find(&node->world->registry, &header->parents[i]);
        if (parent == NULL) fail(node, sequence, "a parent that nobody ever sent");
        if (parent->ordered == 0) fail(node, sequence, "a vertex is ordered before its parent");
    }
}

/* By what was sent, and by the vote of this node, which is durable before the record and may not have left
 * yet. */
static bool is_certified(const struct sim_node *node, const struct known_header *header)
{
    const struct world *world = node->world;
    uint8_t key[CORE_KEY_BYTES_MAX];
    size_t len = key_of_slot(key, header->round, header->author);
    struct bytes vote = table_get(&node->disk.tables[TABLE_VOTES], (struct bytes){key, len});
    struct authority_set voters = header->voters;

    if (vote.len == sizeof header->digest.bytes &&
        memcmp(vote.data, header->digest.bytes, vote.len) == 0)
        authority_set_add(&voters, node->index);
    return committee_stake(&world->committee, &voters) >= world->quorum;
}

static void order_vertex(struct sim_node *node,
                         uint64_t sequence,
                         const struct ordering_vertex *vertex,
                         round_t floor)
{
    struct world *world = node->world;
    struct known_header *header = registry_find(&world->registry, &vertex->ref.digest);

    if (header == NULL) fail(node, sequence, "a vertex that nobody ever sent");
    if (header->round != vertex->ref.round || header->author != vertex->ref.author)
        fail(node, sequence, "round or author of a vertex is not its header's");
    if (!is_certified(node, header)) fail(node, sequence, "a vertex without a quorum");
    if (header->ordered != 0) fail(node, sequence, "a vertex is ordered twice");
    if (header->round <= floor) fail(node, sequence, "a vertex at or below the floor");
    check_parents(node, sequence, header, floor);
    header->ordered = sequence;
    world->checkers.vertices_ordered++;
}

void check_order_ordering(struct sim_node *node, struct bytes key, struct bytes value)
{
    struct checkers *checkers = &node->world->checkers;
    struct ordering_record record;
    struct ordering_vertex vertex = {0};
    uint64_t sequence = checkers->ordered_count;

    (void)key;
    if (ordering_record_open(&record, value) != OK || record.sequence != sequence)
        fail(node, sequence, "a broken ordering record");
    if (record.previous_round != checkers->last_anchor_round)
        fail(node, sequence, "another previous anchor");
    if (record.anchor.round <= checkers->last_anchor_round)
        fail(node, sequence, "anchor rounds do not grow");
    round_t floor = u64_minus(record.previous_round, GC_DEPTH);
    struct ordering_cursor cursor = ordering_record_begin(&record);
    while (ordering_record_next(&cursor, &vertex))
        order_vertex(node, sequence, &vertex, floor);
    if (!digest_equal(&vertex.ref.digest, &record.anchor.digest))
        fail(node, sequence, "the anchor is not last");
    checkers->last_anchor_round = record.anchor.round;
    checkers->excluded = record.excluded;
}

void check_order_preblock(struct sim_node *node, uint64_t index, struct bytes bytes)
{
    struct world *world = node->world;
    struct preblock_record record;

    if (preblock_record_open(&record, bytes) != OK) fail(node, index, "a broken pre-block record");
    if (record.batches_count == 0) fail(node, index, "a pre-block without batches");
    for (uint32_t i = 0; i < record.batches_count; i++) {
        struct preblock_batch executed = preblock_record_batch(&record, i);
        uint64_t number = registry_find_batch(&world->registry, &executed.digest);
        if (number == UINT64_MAX) fail(node, index, "a batch that nobody sealed");
        struct sim_batch *batch = registry_batch(&world->registry, number);
        if (batch->executed != 0) {
            fprintf(stderr, "  executed before by pre-block %llu\n",
                    (unsigned long long)batch->executed);
            check_print_batch(world, batch);
            fail(node, index, "a batch is executed twice");
        }
        if (batch->bytes != executed.bytes || batch->transactions != executed.transactions)
            fail(node, index, "size of a batch");
        batch->executed = index;
        world->checkers.executed++;
    }
}
