/* The state ahead of L1: its machine, its stream, and what happens when it is not what the rollup has. */
#include <inttypes.h>
#include <stdio.h>

#include "common/bytes.h"
#include "rollup-kernel/host/durable.h"
#include "sequencer/sequencer_internal.h"

static void drop_optimistic(struct sequencer *sequencer, const char *reason)
{
    snprintf(sequencer->copy_reason, sizeof sequencer->copy_reason, "%s", reason);
    consensus_close_stream(sequencer->options.consensus, sequencer->follow_stream);
    sequencer->follow_stream = NULL;
    optimistic_close(sequencer->optimistic);
    sequencer->optimistic = NULL;
}

static void on_applied(void *context, uint64_t index)
{
    struct sequencer *sequencer = context;

    (void)index;
    if (!optimistic_is_full(sequencer->optimistic) && sequencer->follow_stream != NULL)
        consensus_pause(sequencer->options.consensus, sequencer->follow_stream, false);
}

static void on_optimistic_failed(void *context, const char *reason)
{
    struct sequencer *sequencer = context;

    log_error("optimistic: %s; reading the rollup's state again", reason);
    sequencer->divergences++;
    drop_optimistic(sequencer, reason);
}

static void on_follow_preblock(void *context, struct da_preblock *preblock)
{
    struct sequencer *sequencer = context;

    if (!sequencer_check_first(sequencer, preblock)) {
        da_preblock_free(preblock);
        return;
    }
    sequencer_remember(sequencer, preblock);
    bool certified = preblock->quorum.count > 0;
    optimistic_add(sequencer->optimistic, preblock);
    if (certified && optimistic_is_full(sequencer->optimistic))
        consensus_pause(sequencer->options.consensus, sequencer->follow_stream, true);
}

static void on_follow_ended(void *context, const char *reason)
{
    drop_optimistic(context, reason);
}

static void on_copied(void *context, struct durable *durable, const char *failure)
{
    struct sequencer *sequencer = context;
    struct optimistic_options options = {
        .base = sequencer->base,
        .engine = sequencer->engine,
        .on_applied = on_applied,
        .on_failed = on_optimistic_failed,
        .context = sequencer,
    };
    struct bytes value;
    uint64_t applied = 0;

    sequencer->copying = false;
    if (sequencer->stopped) durable_close(durable);
    if (sequencer->stopped) return;
    if (failure != NULL) {
        snprintf(sequencer->copy_reason, sizeof sequencer->copy_reason, "%s", failure);
        return;
    }
    if (durable_value(&value, durable, durable_path("/index")) && value.len == 8) {
        struct reader reader = reader_make(value.data, value.len);
        applied = reader_u64_be(&reader);
    }
    memcpy(options.address, sequencer->address, sizeof options.address);
    sequencer->optimistic = optimistic_open(&options, durable, applied);
    const struct consensus_follow follow = {
        .from = applied,
        .on_preblock = on_follow_preblock,
        .on_ended = on_follow_ended,
        .context = sequencer,
    };
    sequencer->follow_stream = consensus_open_stream(sequencer->options.consensus, &follow);
    log_info("optimistic: running the kernel from pre-block %" PRIu64 " on", applied);
}

void sequencer_keep_ahead(struct sequencer *sequencer)
{
    if (sequencer->optimistic != NULL &&
        optimistic_compare(sequencer->optimistic, &sequencer->state) == OPTIMISTIC_DIFFERENT) {
        log_error("optimistic: diverged from the rollup at level %" PRId32 ", pre-block %" PRIu64
                  "; reading the rollup's state again",
                  sequencer->state.level, sequencer->state.applied);
        sequencer->divergences++;
        drop_optimistic(sequencer, "diverged from the rollup");
    }
    if (sequencer->optimistic != NULL || sequencer->copying) return;
    sequencer->copying = true;
    rollup_copy(sequencer->rollup, on_copied, sequencer, sequencer->state.hash);
}
