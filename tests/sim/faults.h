/* The fault injector of the safety phase: at random moments it breaks something that the options
 * allow, and mends it some time later. Members that are Byzantine, dead or without memory never
 * hold more than F of the stake together; more than that may crash, be slow or be cut off. */
#ifndef TESTS_SIM_FAULTS_H
#define TESTS_SIM_FAULTS_H

#include "common/base.h"
#include "tests/sim/random.h"

struct world;

struct faults {
    struct random random;
    uint64_t mean_us; /* between two faults */
    uint64_t partition_until_us;
    uint64_t crashes;
    uint64_t power_losses;
    uint64_t wipes;
    uint64_t restores; /* starts from a checkpoint */
    uint64_t partitions;
};

void faults_open(struct world *world);
void faults_turn(struct world *world);

/* Ends every fault but death and Byzantine behaviour. */
void faults_heal(struct world *world);

#endif
