/* Pre-blocks on their way to subscribers: the loop's half of Export.
 *
 * The API wants pre-block i, plain or with its certificate; the storage thread assembles the
 * message; the answer goes back. Wants of the same pre-block that come while it is being read share
 * one read. A pre-block that lacks a batch waits until that is repaired. The tip (oldest kept, newest
 * made, newest certified) is told to the API whenever it moves. Loop thread only.
 */
#ifndef CONSENSUS_NODE_EXPORTS_H
#define CONSENSUS_NODE_EXPORTS_H

#include "consensus/node/api.h"
#include "consensus/node/storage.h"

struct exports;

struct exports_options {
    struct api *api;
    struct storage_client *storage;
    /* Fetch this batch again and say how that ended (exports_repaired). False: no room, or no peers. */
    bool (*repair)(void *context, const struct digest *digest, uint32_t worker);
    void *context;
};

/* Never NULL. */
struct exports *exports_open(const struct exports_options *options);
void exports_close(struct exports *exports); /* NULL is fine */

/* What is there after recovery, and afterwards each step. `oldest` is 1 when nothing was pruned. */
void exports_set_tip(struct exports *exports, uint64_t oldest, uint64_t made, uint64_t certified);
void exports_made(struct exports *exports, uint64_t index);
void exports_certified(struct exports *exports, uint64_t index);
void exports_pruned(struct exports *exports, uint64_t oldest);

uint64_t exports_oldest(const struct exports *exports);

/* An API want. */
void exports_want(struct exports *exports, uint64_t index, bool certified);

/* The answer of the storage thread to an EXPORT begun here; takes it over. ERR_IO and ERR_CORRUPT stop the
 * process. */
enum status exports_completed(struct exports *exports, struct storage_request *request);

/* A batch is in the log again (`back`), or nobody has it. */
void exports_repaired(struct exports *exports, const struct digest *digest, bool back);

#endif
