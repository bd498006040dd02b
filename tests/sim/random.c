#include "tests/sim/random.h"

static uint64_t split_mix(uint64_t *state)
{
    uint64_t z = (*state += 0x9e3779b97f4a7c15ull);

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return z ^ (z >> 31);
}

struct random random_make(uint64_t seed, uint64_t stream)
{
    uint64_t state = seed * 0xd1342543de82ef95ull + stream * 0xaf251af3b0f025b5ull + 1;
    struct random random;

    for (size_t i = 0; i < 4; i++)
        random.words[i] = split_mix(&state);
    return random;
}

static uint64_t rotate(uint64_t value, int by)
{
    return value << by | value >> (64 - by);
}

uint64_t random_u64(struct random *random)
{
    uint64_t *s = random->words;
    uint64_t result = rotate(s[1] * 5, 7) * 9;
    uint64_t t = s[1] << 17;

    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotate(s[3], 45);
    return result;
}

uint64_t random_below(struct random *random, uint64_t bound)
{
    CHECK(bound > 0);
    if (bound <= UINT32_MAX) return (random_u64(random) >> 32) * bound >> 32;
    return random_u64(random) % bound;
}

uint64_t random_between(struct random *random, uint64_t low, uint64_t high)
{
    CHECK(low <= high);
    return low + random_below(random, high - low + 1);
}

bool random_chance(struct random *random, uint32_t ppm)
{
    return ppm > 0 && random_below(random, 1000000) < ppm;
}

/* -ln(u) in 16.16 fixed point by repeated squaring of the mantissa: no floating point, so every
 * machine and compiler draws the same number. */
static uint64_t minus_log_fixed(uint32_t uniform)
{
    uint64_t x = uniform | 1;
    int shift = __builtin_clz((uint32_t)x);
    uint64_t mantissa = x << shift; /* in [2^31, 2^32) */
    uint64_t log2_fixed = (uint64_t)(31 - shift) << 16;

    for (int bit = 15; bit >= 0; bit--) {
        mantissa = mantissa * mantissa >> 31;
        if (mantissa >> 32) {
            mantissa >>= 1;
            log2_fixed |= (uint64_t)1 << bit;
        }
    }
    uint64_t minus_log2 = ((uint64_t)32 << 16) - log2_fixed;
    return minus_log2 * 45426 >> 16; /* ln 2 = 45426 / 65536 */
}

uint64_t random_exponential(struct random *random, uint64_t mean)
{
    uint64_t factor = minus_log_fixed((uint32_t)(random_u64(random) >> 32));

    return u64_min(mean * factor >> 16, 20 * mean);
}
