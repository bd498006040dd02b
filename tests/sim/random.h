/* The simulator's only source of chance: a splittable generator (SplitMix64 seeding xoshiro256**),
 * so that a seed names a run exactly. Parts of the world that must not disturb each other have
 * their own. */
#ifndef TESTS_SIM_RANDOM_H
#define TESTS_SIM_RANDOM_H

#include "common/base.h"

struct random {
    uint64_t words[4];
};

/* A generator for `stream` of `seed`: streams of one seed are independent. */
struct random random_make(uint64_t seed, uint64_t stream);

uint64_t random_u64(struct random *random);

/* Uniform in [0, bound); `bound` >= 1. */
uint64_t random_below(struct random *random, uint64_t bound);

/* Uniform in [low, high], both included. */
uint64_t random_between(struct random *random, uint64_t low, uint64_t high);

/* True with probability `ppm` in a million. */
bool random_chance(struct random *random, uint32_t ppm);

/* Exponential with the given mean, cut at 20 means. */
uint64_t random_exponential(struct random *random, uint64_t mean);

#endif
