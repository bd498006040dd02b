/* The loop side of a gRPC server, for tests of the server alone: every batch becomes a pre-block of
 * its own, in memory, at once or when the test says so. What it exports is well formed but
 * certified by nobody. */
#ifndef TESTS_INTEROP_MEMORY_LOOP_H
#define TESTS_INTEROP_MEMORY_LOOP_H

#include "consensus/node/api.h"

#define MEMORY_BATCHES_MAX 65536u

struct memory_batch {
    uint64_t ticket;
    struct buffer *batch;
    struct digest digest;
    uint32_t transactions;
    uint64_t created_at;
    enum api_level told; /* of what was posted; valid when any_told */
    bool any_told;
    bool done;
};

struct memory_loop {
    struct api *api;
    enum api_level level_max; /* batches are taken up to this level by memory_loop_turn */
    bool keep_tickets;        /* ACCEPTED is not posted either */
    uint32_t first_open;      /* batches below it are done */
    uint32_t batches_count;
    struct memory_batch batches[MEMORY_BATCHES_MAX]; /* in order of arrival */
    uint64_t made;                                   /* pre-blocks; index i is subdags[i - 1] */
    uint64_t certified;
    uint64_t oldest;
    bool hold_certified; /* new pre-blocks have no certificate */
    bool unreadable;     /* answers wants with "cannot be read" */
    uint64_t wants;      /* seen */
    struct buffer *subdags[MEMORY_BATCHES_MAX];
    struct digest previous;
};

/* The loop is large: allocate it. */
struct memory_loop *memory_loop_new(struct api *api);
void memory_loop_free(struct memory_loop *loop);

/* Waits for requests at most `timeout_ms`, handles them, and takes batches on. */
void memory_loop_turn(struct memory_loop *loop, int timeout_ms);

/* Makes a pre-block of `count` random transactions of `len` bytes out of nowhere. */
void memory_loop_make(struct memory_loop *loop, uint32_t count, size_t len);

/* Forgets pre-blocks below `oldest` and says so. */
void memory_loop_prune(struct memory_loop *loop, uint64_t oldest);

/* Fails every ticket that has no end yet. */
void memory_loop_fail(struct memory_loop *loop, const char *reason);

#endif
