/* Load: transactions at a given rate over many streams, for the spammer.
 *
 * Each stream takes messages of `group` transactions (dsn.Transactions/SubmitBatch) or single ones.
 * The rate is held over the whole run by what is due at each tick, not by sleeping between
 * messages, so it does not drift; what a stream does not take (its window is full) is late, not
 * lost, and is counted. Streams that fail are opened again with back-off. */
#ifndef CONSENSUS_TOOLS_LOAD_H
#define CONSENSUS_TOOLS_LOAD_H

#include "common/client_access.h"
#include "consensus/tools/signer.h"
#include "proto/client.h"

#define LOAD_STREAMS_MAX 128u

struct load_options {
    const char *const *endpoints; /* streams go round them */
    uint32_t endpoints_count;
    uint32_t streams;  /* 1 .. LOAD_STREAMS_MAX */
    uint64_t rate;     /* transactions per second over all streams; 0: as much as is taken */
    uint32_t size_min; /* bytes, at least STAMP_BYTES */
    uint32_t size_max;
    uint32_t group;        /* transactions per message; 1: single-transaction streams */
    uint64_t window_bytes; /* in flight per stream */
    uint64_t seed;
    const struct client_access *access; /* used by load_open */
    struct signer *signer;              /* NULL: bare transactions; else sizes are of payloads */
};

struct load_counters {
    uint64_t sent; /* transactions handed to a stream */
    uint64_t sent_bytes;
    uint64_t acknowledged; /* transactions of streams that ended well */
    uint64_t failed;       /* transactions of streams that failed */
    uint64_t stream_errors;
    uint64_t late; /* ticks at which something due was not taken */
};

struct load;

/* ERR_CONFIG: an endpoint is not a URL (`ret_bad` names it); ERR_IO. */
enum status load_open(struct load **ret_load,
                      const char **ret_bad,
                      const struct load_options *options);

/* Sends what is due and takes events for at most `ms` milliseconds. */
void load_run(struct load *load, uint32_t ms);

/* Finishes every stream and waits for its acknowledgement, at most `ms`. */
void load_finish(struct load *load, uint32_t ms);

void load_get_counters(const struct load *load, struct load_counters *ret_counters);

/* Text of the last stream error; empty when there was none. */
const char *load_last_error(const struct load *load);

void load_close(struct load *load); /* NULL is fine */

#endif
