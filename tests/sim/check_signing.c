/* No honest member signs two headers of a round, two votes for one (author, round), or two
 * attestations of an index, in its whole life. Everything that leaves its machine is recorded;
 * restarts and wipes do not forget. An author's header is its vote for itself. Who started from an old copy of
 * its store has forgotten what it signed, and is faulty from then on. */
#include "common/codec.h"
#include "common/crypto.h"
#include "consensus/core/wire.h"
#include "tests/sim/world.h"

enum signed_kind { SIGNED_VOTE = 1, SIGNED_ATTESTATION = 2 };

static void record(struct sim_node *node,
                   enum signed_kind kind,
                   uint64_t number,
                   authority_t author,
                   const struct digest *digest)
{
    uint64_t key = (uint64_t)kind << 60 | (uint64_t)author << 48 | number;
    struct slot_map *map = &node->world->checkers.signed_slots[node->index];

    if (node->restored) return;
    if (digest_equal(slot_map_add(map, key, digest), digest)) return;
    const char *what = kind == SIGNED_ATTESTATION ? "attestations of index"
                       : author == node->index    ? "headers of round"
                                                  : "votes for a round";
    world_fail(node->world, FAILURE_SAFETY, "node %u signs two %s %llu (author %u)", node->index,
               what, (unsigned long long)number, author);
}

static void check_header(struct sim_node *node, const struct packet *packet)
{
    struct reader reader = reader_make(packet->data + 1, packet->len - 1u);
    authority_t author = reader_u16(&reader);
    round_t round = reader_u64(&reader);
    struct digest digest;

    if (reader.failed || packet->len < 1 + 64 || author != node->index) return;
    crypto_hash_one(&digest, packet->data + 1, packet->len - 1u - 64u);
    record(node, SIGNED_VOTE, round, author, &digest);
}

static void check_vote(struct sim_node *node, const struct packet *packet)
{
    struct reader reader = reader_make(packet->data + 1, packet->len - 1u);
    struct vote vote;

    vote_decode(&vote, &reader);
    if (!reader_done(&reader))
        world_fail(node->world, FAILURE_SAFETY, "node %u sends a broken vote", node->index);
    if (vote.voter != node->index) return;
    record(node, SIGNED_VOTE, vote.round, vote.author, &vote.header);
    check_votes_message(node, &vote.header);
}

static void check_attestation(struct sim_node *node, const struct packet *packet)
{
    struct reader reader = reader_make(packet->data + 1, packet->len - 1u);
    struct digest digest;
    uint64_t index = reader_u64(&reader);

    reader_copy(&reader, digest.bytes, sizeof digest.bytes);
    authority_t authority = reader_u16(&reader);
    if (reader.failed)
        world_fail(node->world, FAILURE_SAFETY, "node %u sends a broken attestation", node->index);
    if (authority == node->index) record(node, SIGNED_ATTESTATION, index, 0, &digest);
}

void check_signing_message(struct sim_node *node, const struct packet *packet)
{
    if (packet->len == 0) return;
    if (packet->data[0] == WIRE_HEADER) check_header(node, packet);
    if (packet->data[0] == WIRE_VOTE) check_vote(node, packet);
    if (packet->data[0] == WIRE_ATTESTATION) check_attestation(node, packet);
}
