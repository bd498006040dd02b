/* The simulated mesh. Each pair of members has one connection, which is up or down, and carries a
 * control and a bulk stream each way. A message belongs to the connection it was sent on: it is
 * lost when that breaks, or when its receiver starts again. On top of that come delay, loss,
 * duplication, reordering and partitions as the options say. */
#ifndef TESTS_SIM_NETWORK_H
#define TESTS_SIM_NETWORK_H

#include "common/base.h"
#include "tests/sim/options.h"

struct world;
struct packet;
struct sim_event;

struct link {
    bool up;             /* the connection, as it is (kept in [low][high]) */
    uint64_t number;     /* of the connection; grows with every change */
    bool seen_up;        /* as the node in the first index sees it */
    uint64_t seen;       /* number it sees */
    uint64_t news_us;    /* when its last news about this link arrives: news never overtakes news */
    uint64_t last_us[2]; /* arrival of the newest message to it: control, bulk */
    bool blocked;        /* messages from second to first index vanish */
    uint32_t slow;       /* delays are multiplied by this */
};

struct network {
    struct link links[SIM_NODES_MAX][SIM_NODES_MAX];
    uint64_t sent;
    uint64_t delivered;
    uint64_t lost;
};

void network_open(struct world *world);

/* Sends on the control or bulk stream; the packet's reference stays with the caller. */
void network_send(struct world *world,
                  authority_t from,
                  authority_t to,
                  struct packet *packet,
                  bool bulk);

/* True when an arriving message still belongs to a live connection. */
bool network_accepts(const struct world *world, const struct sim_event *event);

/* Brings the connection of two members up, or breaks it; both sides learn it after `after_us`
 * (down: the second side up to ten times later). No effect when it is so already. */
void network_set_up(struct world *world, authority_t a, authority_t b, uint64_t after_us);
void network_set_down(struct world *world, authority_t a, authority_t b, uint64_t after_us);

/* A node died: its connections break. It lives again: connections to all who live are made. */
void network_node_down(struct world *world, authority_t node);
void network_node_up(struct world *world, authority_t node);

/* Removes every block and slowness, and connects all who live. */
void network_heal(struct world *world);

#endif
