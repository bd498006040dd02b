/* Clients: one at each honest member, which submits sealed batches at random times and remembers
 * how far each was acknowledged. A few batches are given to two members. */
#ifndef TESTS_SIM_CLIENTS_H
#define TESTS_SIM_CLIENTS_H

#include "common/base.h"
#include "tests/sim/options.h"
#include "tests/sim/random.h"

struct world;

struct clients {
    struct random random;
    bool stopped;
    uint64_t submitted;
    uint64_t certified;
    uint64_t last_created_at[SIM_NODES_MAX]; /* a bulk stream carries ascending times */
};

void clients_open(struct world *world);
void clients_turn(struct world *world, authority_t node);

/* A fresh batch sealed at `node` now. */
uint64_t clients_seal(struct world *world, authority_t node);

#endif
