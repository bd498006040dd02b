/* Who started from an old copy of its store stops when it is shown what it forgot: it keeps no certificate that it has
 * checked, of a round that it would know, with a signature of its own on a header that its store does not know. */
#include "common/codec.h"
#include "common/crypto.h"
#include "consensus/core/records.h"
#include "consensus/core/voter.h"
#include "tests/sim/world.h"

static uint64_t slot_key(round_t round, authority_t author)
{
    return (uint64_t)author << 48 | round;
}

static struct slot_map *known_of(struct sim_node *node)
{
    return &node->world->checkers.known_slots[node->index];
}

static void know_vote(struct sim_node *node, struct bytes key, struct bytes value)
{
    struct digest digest;
    authority_t author;
    round_t round;

    CHECK(slot_of_key(&round, &author, key) == OK);
    CHECK(value.len == sizeof digest.bytes);
    memcpy(digest.bytes, value.data, value.len);
    (void)slot_map_add(known_of(node), slot_key(round, author), &digest);
}

static void know_header(struct sim_node *node, struct bytes key, struct bytes value)
{
    struct digest digest;
    round_t round;

    CHECK(number_of_key(&round, key) == OK);
    CHECK(value.len > sizeof(struct signature));
    crypto_hash_one(&digest, value.data, value.len - sizeof(struct signature));
    (void)slot_map_add(known_of(node), slot_key(round, node->index), &digest);
}

void check_memory_start(struct sim_node *node)
{
    const struct table *votes = &node->disk.tables[TABLE_VOTES];
    const struct table *headers = &node->disk.tables[TABLE_OWN_HEADERS];

    slot_map_close(known_of(node));
    for (size_t i = 0; i < votes->count; i++)
        know_vote(node, table_key(votes, i), table_value(votes, i));
    for (size_t i = 0; i < headers->count; i++)
        know_header(node, table_key(headers, i), table_value(headers, i));
}

/* True when a vote for this round would have a record. */
static bool would_know(const struct sim_node *node, round_t round)
{
    struct core_status status;

    core_get_status(node->core, &status);
    return round > status.gc_round && round > status.floor && round + VOTER_ROUNDS > status.round;
}

static void check_certificate(struct sim_node *node, struct bytes value)
{
    static struct certificate certificate;
    const struct header *header = &certificate.header;
    const struct digest *known;
    struct digest digest;
    bool verified, signed_here = false;

    CHECK(certificate_row_read(&certificate, &verified, value) == OK);
    for (uint32_t i = 0; i < certificate.quorum.count; i++)
        signed_here |= certificate.quorum.signers[i] == node->index;
    if (!verified || !signed_here || !would_know(node, header->round)) return;
    header_digest(&digest, header);
    known = slot_map_get(known_of(node), slot_key(header->round, header->author));
    if (known != NULL && digest_equal(known, &digest)) return;
    world_fail(
        node->world, FAILURE_SAFETY,
        "node %u keeps a certificate of header %u@%llu with a signature of its own that it does "
        "not know",
        node->index, header->author, (unsigned long long)header->round);
}

void check_memory_record(struct sim_node *node, const struct core_action *action)
{
    if (action->table == TABLE_VOTES) know_vote(node, action->key, action->value);
    if (action->table == TABLE_OWN_HEADERS) know_header(node, action->key, action->value);
    if (action->table == TABLE_CERTIFICATES && !node->wiped && !node->alarmed)
        check_certificate(node, action->value);
}
