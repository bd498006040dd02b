#include "tests/fuzz/key_cache.h"

#include <string.h>

#define ENTRIES 4096u

static struct entry {
    struct public_key key;
    bool known;
    bool valid;
} entries[ENTRIES];

/* A wrong guess only costs time, so any mixing does. */
static struct entry *entry_of(const struct public_key *key)
{
    uint64_t mixed = 0;

    for (size_t i = 0; i < sizeof key->bytes; i += sizeof mixed) {
        uint64_t word;
        memcpy(&word, key->bytes + i, sizeof word);
        mixed = (mixed ^ word) * 0x9e3779b97f4a7c15u;
    }
    return &entries[(mixed >> 32) % ENTRIES];
}

bool __wrap_crypto_key_is_valid(const struct public_key *key)
{
    struct entry *entry = entry_of(key);

    if (!entry->known || memcmp(&entry->key, key, sizeof *key) != 0)
        *entry = (struct entry){*key, true, __real_crypto_key_is_valid(key)};
    return entry->valid;
}
