/* Rot stays where it is: no batch that has rotted and no certificate that does not verify leaves a node, and what was
 * seen to have rotted is fetched again from whoever has it. */
#include "common/bcs.h"
#include "common/codec.h"
#include "common/crypto.h"
#include "consensus/core/wire.h"
#include "tests/sim/world.h"

void check_rot_batch(const struct sim_node *node, uint64_t batch)
{
    if (disk_batch_is_rotten(&node->disk, batch))
        world_fail(node->world, FAILURE_SAFETY, "node %u sends batch %llu, which has rotted",
                   node->index, (unsigned long long)batch);
}

static bool verifies(const struct world *world, const struct certificate *certificate)
{
    struct digest digest;

    header_digest(&digest, &certificate->header);
    return committee_verify_quorum(&world->committee, SCOPE_HEADER, &digest,
                                   &certificate->quorum) == OK;
}

void check_rot_message(const struct sim_node *node, const struct packet *packet)
{
    static struct certificate certificate;
    struct reader reader = reader_make(packet->data, packet->len);

    if (!node->rotten || packet->len == 0 || packet->data[0] != WIRE_CERTIFICATES) return;
    (void)reader_u16(&reader); /* kind, last */
    for (uint64_t left = bcs_read_length(&reader, UINT32_MAX); left > 0; left--) {
        certificate_decode(&certificate, &reader);
        if (reader.failed || !verifies(node->world, &certificate))
            world_fail(node->world, FAILURE_SAFETY,
                       "node %u serves a certificate that does not verify", node->index);
    }
}

static bool is_held_elsewhere(const struct sim_node *node, uint64_t batch)
{
    for (authority_t i = 0; i < node->world->options.nodes; i++) {
        const struct sim_node *other = &node->world->nodes[i];

        if (other->byzantine || !other->up || !disk_has_batch(&other->disk, batch)) continue;
        if (!disk_batch_is_rotten(&other->disk, batch)) return true;
    }
    return false;
}

bool check_rot_is_repaired(const struct sim_node *node)
{
    if (!node->rotten) return true;
    for (uint64_t batch = 0; batch < node->disk.batches_capacity; batch++)
        if (disk_batch_is_lost(&node->disk, batch) && is_held_elsewhere(node, batch)) return false;
    return true;
}
