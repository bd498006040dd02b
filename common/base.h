/* The smallest vocabulary every floor shares: numbers with meaning, byte views, status codes,
 * checks.
 *
 * This header belongs to the pure half of `common`: it is freestanding and is also compiled to
 * wasm32 for the kernel. Nothing here allocates, and nothing here knows of files or clocks. */
#ifndef COMMON_BASE_H
#define COMMON_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Index of a committee member, 0-based, in the order of the committee record. */
typedef uint16_t authority_t;

/* DAG round. Round 0 is genesis and holds no certificate; the first headers are of round 1. */
typedef uint64_t round_t;

/* A sum of stakes. A single stake is a u32, the whole committee's sum is below 2^32. */
typedef uint64_t stake_t;

/* BLAKE2b-256 of something. Compared with memcmp; has no padding. */
struct digest {
    uint8_t bytes[32];
};
_Static_assert(sizeof(struct digest) == 32, "a digest is used as a raw key");

/* Ed25519 signature, public key and secret seed, in their standard encodings. */
struct signature {
    uint8_t bytes[64];
};
struct public_key {
    uint8_t bytes[32];
};
struct secret_key {
    uint8_t bytes[64]; /* libsodium form: seed 32 | public key 32 */
};

/* A view of somebody else's memory. Never owns; whoever stores one says what keeps it alive. */
struct bytes {
    const uint8_t *data;
    size_t len;
};

/* Results. OK is 0, failures are negative; outputs (`ret_`) are written only on OK. */
#define STATUS_TABLE(X)                                      \
    X(OK, 0, "ok")                                           \
    X(ERR_MALFORMED, -1, "malformed encoding")               \
    X(ERR_TOO_LARGE, -2, "over a limit")                     \
    X(ERR_UNKNOWN_AUTHORITY, -3, "unknown authority")        \
    X(ERR_EPOCH, -4, "wrong epoch")                          \
    X(ERR_SIGNATURE, -5, "bad signature")                    \
    X(ERR_QUORUM, -6, "not enough stake")                    \
    X(ERR_DUPLICATE, -7, "duplicate")                        \
    X(ERR_STALE, -8, "too old")                              \
    X(ERR_AHEAD, -9, "too far ahead")                        \
    X(ERR_MISSING, -10, "something it refers to is missing") \
    X(ERR_CONFLICT, -11, "conflicts with what is recorded")  \
    X(ERR_FULL, -12, "no room")                              \
    X(ERR_NOT_FOUND, -13, "not found")                       \
    X(ERR_IO, -14, "input or output error")                  \
    X(ERR_CONFIG, -15, "bad configuration")                  \
    X(ERR_CORRUPT, -16, "corrupt store")                     \
    X(ERR_VERSION, -17, "unknown version")                   \
    X(ERR_STOPPING, -18, "stopping")                         \
    X(ERR_CHAIN, -19, "does not chain to its predecessor")

enum status {
#define STATUS_ENUM(name, value, text) name = (value),
    STATUS_TABLE(STATUS_ENUM)
#undef STATUS_ENUM
};

/* The text of a status, for logs and error lines. Never NULL. */
const char *status_text(enum status status);

/* CHECK is for what only our own bug can break; it stays on in production. One condition each.
 * Peer or client input never reaches one: it is refused with a status. `check_failed` is supplied
 * by the program (hosted: print and abort; kernel: trap). */
_Noreturn void check_failed(const char *file, int line, const char *condition);
#define CHECK(condition)                                                \
    do {                                                                \
        if (!(condition)) check_failed(__FILE__, __LINE__, #condition); \
    } while (0)

static inline bool digest_equal(const struct digest *a, const struct digest *b)
{
    return memcmp(a->bytes, b->bytes, sizeof a->bytes) == 0;
}

static inline uint64_t u64_min(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static inline uint64_t u64_max(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* Subtraction that stops at 0: rounds and floors never wrap. */
static inline uint64_t u64_minus(uint64_t a, uint64_t b)
{
    return a > b ? a - b : 0;
}

#endif
