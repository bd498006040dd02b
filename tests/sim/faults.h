/* The fault injector of the safety phase: at random moments it breaks something that the options
 * allow, and mends it some time later. Members that are Byzantine, dead, without memory, started from an
 * old copy of their store, or on a disk that rots never hold more than F of the stake together; more than that
 * may crash, be slow or be cut off. */
#ifndef TESTS_SIM_FAULTS_H
#define TESTS_SIM_FAULTS_H

#include "common/base.h"
#include "tests/sim/random.h"

struct world;
struct sim_node;

struct faults {
    struct random random;
    uint64_t mean_us; /* between two faults */
    uint64_t partition_until_us;
    uint64_t crashes;
    uint64_t power_losses;
    uint64_t wipes;
    uint64_t restores; /* starts from a checkpoint */
    uint64_t partitions;
    struct random
        store_random; /* of old copies and rot, so that the rest does not depend on them */
    uint64_t store_mean_us;
    uint64_t old_copies; /* starts from an old copy */
    uint64_t alarms;     /* of members that did that */
    uint64_t rotten_batches;
    uint64_t rotten_rows;
    uint64_t noticed;         /* rotten batches that were read */
    uint64_t repaired;        /* and came back from a peer */
    uint64_t stores_given_up; /* for a rotten row */
};

void faults_open(struct world *world);
void faults_turn(struct world *world);
void faults_turn_stores(struct world *world);

/* True when `node` can become faulty in a way that counts, beside those who are. */
bool faults_fit(const struct world *world, const struct sim_node *node);

/* Ends every fault but death and Byzantine behaviour. */
void faults_heal(struct world *world);

#endif
