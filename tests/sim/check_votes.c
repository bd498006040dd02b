/* No honest member votes for a header that breaks the rules of voting (CONSENSUS 6), judged anew from what
 * was sent: parents that were certified, of the round before, of distinct authors with stake Q, none created
 * after the header; created not far in the future; batches that were sealed and that the voter holds, or held
 * until it was seen that they had rotted. */
#include "tests/sim/world.h"

/* The voter's clock may be read some time before the vote leaves. */
#define CLOCK_SLACK_MS 1000u

static _Noreturn void fail(const struct sim_node *node,
                           const struct known_header *header,
                           const char *what)
{
    world_fail(node->world, FAILURE_SAFETY, "node %u votes for header %u@%llu %s", node->index,
               header->author, (unsigned long long)header->round, what);
}

/* Greatest time of a parent. */
static uint64_t check_parents(const struct sim_node *node, const struct known_header *header)
{
    struct authority_set authors = {{0, 0}};
    uint64_t latest = 0;

    for (uint32_t i = 0; i < header->parents_count; i++) {
        const struct known_header *parent =
            registry_find(&node->world->registry, &header->parents[i]);
        if (parent == NULL) fail(node, header, "with a parent that nobody sent");
        if (parent->round + 1 != header->round)
            fail(node, header, "with a parent of another round");
        if (!registry_is_certified(node->world, parent))
            fail(node, header, "with a parent without a quorum");
        if (parent->created_at > header->created_at) fail(node, header, "created before a parent");
        if (authority_set_has(&authors, parent->author))
            fail(node, header, "with two parents of one author");
        authority_set_add(&authors, parent->author);
        latest = u64_max(latest, parent->created_at);
    }
    if (committee_stake(&node->world->committee, &authors) < node->world->quorum)
        fail(node, header, "whose parents are no quorum");
    return latest;
}

static void check_batches(const struct sim_node *node, const struct known_header *header)
{
    for (uint32_t i = 0; i < header->payload_count; i++) {
        uint64_t batch = registry_find_batch(&node->world->registry, &header->payload[i]);
        if (batch == UINT64_MAX) fail(node, header, "with a batch that nobody sealed");
        if (!disk_has_batch(&node->disk, batch) && !disk_batch_is_lost(&node->disk, batch))
            fail(node, header, "with a batch that it does not hold");
    }
}

void check_votes_message(const struct sim_node *node, const struct digest *digest)
{
    const struct known_header *header = registry_find(&node->world->registry, digest);
    uint64_t latest = 0;

    if (header == NULL)
        world_fail(node->world, FAILURE_SAFETY, "node %u votes for a header that nobody sent",
                   node->index);
    if (header->round > 1) latest = check_parents(node, header);
    check_batches(node, header);
    if (sim_options_has(&node->world->options, FAULT_CLOCK)) return;
    if (header->created_at >
        u64_max(node_wall_ms(node) + node->parameters.clock_tolerance_ms + CLOCK_SLACK_MS, latest))
        fail(node, header, "from the future");
}
