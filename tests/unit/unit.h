/* What every unit test needs: cmocka behind the headers it asks for, and a seeded generator, so
 * that a failure replays exactly. */
#ifndef TESTS_UNIT_UNIT_H
#define TESTS_UNIT_UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* SplitMix64. */
static inline uint64_t unit_random(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

/* 0 .. bound - 1; the small bias does not matter here. */
static inline uint64_t unit_random_below(uint64_t *state, uint64_t bound)
{
    return unit_random(state) % bound;
}

static inline void unit_random_bytes(uint64_t *state, void *ret, size_t len)
{
    uint8_t *bytes = ret;
    for (size_t i = 0; i < len; i++) {
        bytes[i] = (uint8_t)unit_random(state);
    }
}

#endif
