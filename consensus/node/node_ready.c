#include "consensus/node/node_internal.h"

/* With enough members in reach to go on: a node that lost them must not look well. */
static bool reaches_quorum(const struct node *node)
{
    const struct committee *committee = &node->options.committee->committee;
    struct authority_set reached = {0};

    authority_set_add(&reached, node->options.self);
    for (uint32_t i = 0; i < committee->count; i++) {
        struct mesh_peer_status peer;
        if (i == node->options.self) continue;
        mesh_get_peer(&peer, node->mesh, (authority_t)i);
        if (peer.up) authority_set_add(&reached, (authority_t)i);
    }
    return committee_stake(committee, &reached) >= committee->quorum;
}

struct readiness node_readiness(struct node *node)
{
    struct core_status status;
    struct readiness readiness;
    bool serving;

    core_get_status(node->core, &status);
    readiness = readiness_judge(&status, node->ready, reaches_quorum(node));
    serving = readiness.kind == READINESS_READY;
    if (serving != node->serving) api_set_serving(node->api, serving);
    node->serving = serving;
    return readiness;
}
