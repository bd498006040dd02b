/* What the API asks of the sequencer. */
#include "common/limits.h"
#include "sequencer/sequencer_internal.h"

/* Not ready when the backlog takes longer to drain. ROLLUP 4. */
#define DRAIN_SECONDS_MAX 600.0

struct consensus *sequencer_consensus(struct sequencer *sequencer)
{
    return sequencer->options.consensus;
}

const struct committee *sequencer_committee(const struct sequencer *sequencer)
{
    return sequencer->options.committee;
}

struct rollup_client *sequencer_rollup(struct sequencer *sequencer)
{
    return sequencer->rollup;
}

const struct rollup_state *sequencer_state(const struct sequencer *sequencer)
{
    return sequencer->has_state ? &sequencer->state : NULL;
}

const struct durable *sequencer_view(const struct sequencer *sequencer, const char **ret_reason)
{
    if (sequencer->optimistic != NULL) return optimistic_view(sequencer->optimistic);
    *ret_reason = sequencer->copy_reason;
    return NULL;
}

static const char *unready(const struct sequencer *sequencer, const struct sequencer_status *status)
{
    if (!status->rollup_up) return "the rollup node does not answer";
    if (!sequencer->has_state) return "the rollup's state was not read yet";
    if (!status->consensus_up) return "no consensus node answers";
    if (status->drain_seconds > DRAIN_SECONDS_MAX)
        return "the backlog takes longer than 10 minutes to drain: add batching keys";
    if (sequencer->post_logged.any && sequencer->post_logged.last != 0)
        return "the batcher takes no messages";
    return NULL;
}

void sequencer_get_status(struct sequencer *sequencer, struct sequencer_status *ret_status)
{
    struct sequencer_status status = {
        .rollup_up = rollup_client_is_up(sequencer->rollup),
        .consensus_up = consensus_is_up(sequencer->options.consensus),
        .level = sequencer->state.level,
        .level_seconds = (double)sequencer->level_us / 1e6,
        .accepted = sequencer->state.accepted,
        .applied = sequencer->state.applied,
        .finalized = sequencer->state.finalized,
        .tip = u64_max(sequencer->tip, sequencer->state.accepted),
        .divergences = sequencer->divergences,
        .posts_failed = sequencer->posts_failed,
    };

    if (sequencer->optimistic != NULL) status.optimistic = optimistic_index(sequencer->optimistic);
    if (sequencer->poster != NULL) da_poster_figures(sequencer->poster, &status.poster);
    status.lag = status.tip - status.applied;
    status.backlog_bytes = status.poster.left_bytes;
    uint64_t next = u64_max(status.poster.next, status.applied + 1);
    if (sequencer->seen_count > 0 && status.tip >= next)
        status.backlog_bytes +=
            (status.tip - next + 1) * (sequencer->seen_bytes / sequencer->seen_count);
    uint64_t per_level = (uint64_t)sequencer->options.batching_keys * INBOX_OPERATION_BYTES_MAX;
    status.drain_levels = (status.backlog_bytes + per_level - 1) / per_level;
    status.drain_seconds = (double)status.drain_levels * status.level_seconds;
    status.inbox_bytes_per_second = (double)per_level / status.level_seconds;
    double gap = (double)(sequencer_now_us() - sequencer->rate_us) / 1e6;
    status.consensus_bytes_per_second =
        sequencer->rate * (gap < RATE_SECONDS ? 1.0 - gap / RATE_SECONDS : 0.0);
    status.unready = unready(sequencer, &status);
    *ret_status = status;
}
