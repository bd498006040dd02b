#include "tests/fuzz/fuzz.h"

#include "sequencer/rollup_heads.h"

/* The stream of new heads of a rollup node that may be anything: however it is cut into pieces, the same heads come
 * out of it, and each may be put into the path of a request. */
#define HEADS_MAX       64u
#define INPUT_BYTES_MAX 4096u /* each piece has all that waits read again */

struct seen {
    uint32_t count;
    struct {
        int32_t level;
        char hash[ROLLUP_HASH_BYTES];
    } heads[HEADS_MAX];
};

static void take(void *context, int32_t level, const char *hash)
{
    struct seen *seen = context;

    CHECK(level >= 0);
    CHECK(strlen(hash) >= 1);
    CHECK(strlen(hash) < ROLLUP_HASH_BYTES);
    for (const char *c = hash; *c != '\0'; c++)
        CHECK((*c >= '1' && *c <= '9') || (*c >= 'A' && *c <= 'Z') || (*c >= 'a' && *c <= 'z'));
    if (seen->count == HEADS_MAX) return;
    seen->heads[seen->count].level = level;
    memcpy(seen->heads[seen->count].hash, hash, strlen(hash) + 1);
    seen->count++;
}

static void run(struct seen *seen, const uint8_t *data, size_t size, size_t piece)
{
    static struct rollup_heads heads;

    heads.len = 0;
    seen->count = 0;
    for (size_t at = 0; at < size; at += piece)
        rollup_heads_add(&heads, data + at, piece < size - at ? piece : size - at, take, seen);
    CHECK(heads.len <= size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct seen whole;
    static struct seen parts;

    if (size == 0 || size > INPUT_BYTES_MAX) return 0;
    run(&whole, data, size, size);
    run(&parts, data, size, 1 + data[size - 1] % 64);
    CHECK(parts.count == whole.count);
    for (uint32_t i = 0; i < whole.count; i++) {
        CHECK(parts.heads[i].level == whole.heads[i].level);
        CHECK(strcmp(parts.heads[i].hash, whole.heads[i].hash) == 0);
    }
    return 0;
}
