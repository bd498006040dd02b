/* Where certified pre-blocks come from and transactions go to: the consensus nodes over gRPC
 * (consensus_client.h), or a committee inside this process (mock_consensus.h). */
#ifndef SEQUENCER_CONSENSUS_H
#define SEQUENCER_CONSENSUS_H

#include "sequencer/da_batch.h"

struct consensus_stream;

/* Follows pre-blocks after `from`. */
struct consensus_follow {
    uint64_t from;

    /* The next pre-block, checked with its chain and certificate; the callee owns it. A pre-block without a
     * certificate of its own (`quorum.count` 0) is followed in the same turn by one that covers it. */
    void (*on_preblock)(void *context, struct da_preblock *preblock);

    /* The stream has ended for good: no node has these pre-blocks. */
    void (*on_ended)(void *context, const char *reason);
    void *context;
};

/* How a submission ended. */
enum submitted {
    SUBMITTED_OK,
    SUBMITTED_REFUSED, /* the transaction is at fault: empty or too large */
    SUBMITTED_BUSY,    /* back-pressure: later */
    SUBMITTED_DOWN,    /* no node answers */
};

struct submission {
    /* Once. `index` is the pre-block's when it was asked for. */
    void (*done)(void *context, enum submitted result, uint64_t index, const char *text);
    void *context;
    bool committed; /* wait for the pre-block, not only for the certificate */
};

struct consensus;

struct consensus_ops {
    void (*close)(struct consensus *consensus);
    struct consensus_stream *(*open)(struct consensus *consensus,
                                     const struct consensus_follow *follow);
    void (*pause)(struct consensus_stream *stream, bool pause);
    void (*close_stream)(struct consensus_stream *stream);
    void (*submit)(struct consensus *consensus,
                   const uint8_t *transaction,
                   size_t len,
                   const struct submission *submission);
    bool (*is_up)(const struct consensus *consensus);
};

/* Each implementation begins with this. */
struct consensus {
    const struct consensus_ops *ops;
};

/* Close streams first. Submissions on their way end as SUBMITTED_DOWN. NULL is fine. */
static inline void consensus_close(struct consensus *consensus)
{
    if (consensus != NULL) consensus->ops->close(consensus);
}

/* Never NULL. */
static inline struct consensus_stream *consensus_open_stream(struct consensus *consensus,
                                                             const struct consensus_follow *follow)
{
    return consensus->ops->open(consensus, follow);
}

/* While paused nothing is delivered, and a bounded number of pre-blocks waits. */
static inline void consensus_pause(struct consensus *consensus,
                                   struct consensus_stream *stream,
                                   bool pause)
{
    consensus->ops->pause(stream, pause);
}

/* Allowed from inside on_preblock; nothing is delivered afterwards. */
static inline void consensus_close_stream(struct consensus *consensus,
                                          struct consensus_stream *stream)
{
    if (stream != NULL) consensus->ops->close_stream(stream);
}

static inline void consensus_submit(struct consensus *consensus,
                                    const uint8_t *transaction,
                                    size_t len,
                                    const struct submission *submission)
{
    consensus->ops->submit(consensus, transaction, len, submission);
}

/* True while pre-blocks would arrive. */
static inline bool consensus_is_up(const struct consensus *consensus)
{
    return consensus->ops->is_up(consensus);
}

#endif
