/* Judging an Ed25519 public key multiplies a point by the group order: 40 us, a thousand times what the rest of a
 * small file costs to read. Fuzzed files hold the same few keys again and again, so drivers whose decoders judge keys
 * remember the verdicts. The judge itself is the production one, and so is every verdict. */
#ifndef TESTS_FUZZ_KEY_CACHE_H
#define TESTS_FUZZ_KEY_CACHE_H

#include "common/crypto.h"

/* What callers of crypto_key_is_valid get when they are linked with -Wl,--wrap=crypto_key_is_valid. */
bool __wrap_crypto_key_is_valid(const struct public_key *key);

/* The production function under the linker's name for it. */
bool __real_crypto_key_is_valid(const struct public_key *key);

#endif
