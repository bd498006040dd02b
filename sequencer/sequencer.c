#include "sequencer/sequencer.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "common/bytes.h"
#include "common/limits.h"
#include "rollup-kernel/host/base58.h"
#include "rollup-kernel/host/engine.h"
#include "sequencer/sequencer_internal.h"

/* A POST is made so long after a head is seen, or after a fourth of a level if that is less. ROLLUP 4. */
#define POST_DELAY_US 1500000u

/* Pre-blocks whose pages are read at one head, and messages asked for. */
#define WANTED_MAX 64u
#define LATE_MAX   128u

struct page_read {
    struct sequencer *sequencer;
    uint64_t index;
};

struct status_read {
    struct sequencer *sequencer;
    struct da_message message;
};

uint64_t sequencer_now_us(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000u + (uint64_t)now.tv_nsec / 1000u;
}

void sequencer_alarm(struct sequencer *sequencer, const char *text)
{
    if (sequencer->stopped) return;
    log_error("ALARM: %s; stopping", text);
    sequencer->stopped = true;
    event_base_loopbreak(sequencer->base);
}

/* ---- heads ----------------------------------------------------------------------------------- */

static void read_next_head(struct sequencer *sequencer);

static void head_read_done(struct sequencer *sequencer)
{
    uint64_t now = sequencer_now_us();
    uint64_t delay = u64_min(POST_DELAY_US, sequencer->level_us / 4);
    uint64_t at = sequencer->head_us + delay;

    sequencer->reading = false;
    sequencer->post_at_us = at;
    if (sequencer->stopped) return;
    sequencer_schedule_post(sequencer, at > now ? at - now : 0);
    if (sequencer->head_waits) read_next_head(sequencer);
}

static void on_message_status(void *context, const json_t *json, const char *failure)
{
    static const enum da_status statuses[] = {
        [ROLLUP_MESSAGE_UNKNOWN] = DA_STATUS_UNKNOWN,
        [ROLLUP_MESSAGE_QUEUED] = DA_STATUS_QUEUED,
        [ROLLUP_MESSAGE_INJECTED] = DA_STATUS_INJECTED,
        [ROLLUP_MESSAGE_INCLUDED] = DA_STATUS_INCLUDED,
    };
    struct status_read *read = context;
    struct sequencer *sequencer = read->sequencer;
    enum rollup_message_state state;
    int32_t level;

    if (failure == NULL && rollup_read_message(&state, &level, json))
        da_poster_status(sequencer->poster, &read->message, statuses[state], level);
    free(read);
    if (--sequencer->reads == 0) head_read_done(sequencer);
}

static void ask_late(struct sequencer *sequencer)
{
    static struct da_message messages[LATE_MAX];
    static struct digest ids[LATE_MAX];
    uint32_t count = da_poster_late(sequencer->poster, messages, ids, LATE_MAX);

    if (count == 0 || sequencer->stopped) {
        head_read_done(sequencer);
        return;
    }
    sequencer->reads = count;
    for (uint32_t i = 0; i < count; i++) {
        struct status_read *read = malloc(sizeof *read);
        char id[BASE58_TEXT_MAX];
        CHECK(read != NULL);
        *read = (struct status_read){sequencer, messages[i]};
        base58_encode(id, BASE58_MESSAGE, ids[i].bytes);
        rollup_get_message(sequencer->rollup, on_message_status, read, id);
    }
}

static void on_pages(void *context, const json_t *json, const char *failure)
{
    static struct digest digests[4096];
    struct page_read *read = context;
    struct sequencer *sequencer = read->sequencer;

    if (failure == NULL) {
        uint32_t count = rollup_read_digests(digests, sizeof digests / sizeof digests[0], json);
        da_poster_shown(sequencer->poster, read->index, digests, count);
    }
    free(read);
    if (--sequencer->reads == 0) ask_late(sequencer);
}

static void read_pages(struct sequencer *sequencer)
{
    uint64_t wanted[WANTED_MAX];
    uint32_t count = da_poster_wanted(sequencer->poster, wanted, WANTED_MAX);

    sequencer->reads = count;
    if (count == 0) {
        ask_late(sequencer);
        return;
    }
    for (uint32_t i = 0; i < count; i++) {
        struct page_read *read = malloc(sizeof *read);
        char path[64];
        CHECK(read != NULL);
        *read = (struct page_read){sequencer, wanted[i]};
        snprintf(path, sizeof path, "/pages/%" PRIu64, wanted[i]);
        rollup_get_subkeys(sequencer->rollup, on_pages, read, sequencer->state.hash, path);
    }
}

static bool is_own(const struct sequencer *sequencer, uint64_t index, const struct digest *digest)
{
    const struct own_digest *own = &sequencer->digests[index % DIGESTS_KEPT];

    if (index == 0) return digest_equal(digest, &sequencer->options.committee->digest);
    return own->index != index || digest_equal(digest, &own->digest);
}

/* What the rollup has must be what consensus certified. */
static bool check_state(struct sequencer *sequencer, const struct rollup_state *state)
{
    if (!state->installed) return true;
    if (state->mode != 0) {
        sequencer_alarm(sequencer,
                        "the rollup's kernel is in mode reveal, which this sequencer cannot serve");
        return false;
    }
    if (is_own(sequencer, state->accepted, &state->accepted_digest) &&
        is_own(sequencer, state->applied, &state->applied_digest))
        return true;
    sequencer_alarm(sequencer,
                    state->accepted == 0 || state->applied == 0
                        ? "the rollup's kernel was packed for another committee"
                        : "the rollup has accepted a pre-block that consensus did not certify");
    return false;
}

static void give_up_head(struct sequencer *sequencer)
{
    sequencer->reading = false;
    if (!sequencer->stopped && sequencer->head_waits) read_next_head(sequencer);
}

/* The state at head is known and good: what follows from it. */
static void use_state(struct sequencer *sequencer)
{
    const struct rollup_state *state = &sequencer->state;
    const struct da_head head = {state->level, state->accepted, state->applied, state->finalized};

    sequencer->has_state = true;
    da_poster_head(sequencer->poster, &head);
    sequencer_keep_posting(sequencer);
    sequencer_keep_ahead(sequencer);
    read_pages(sequencer);
}

static void on_committee(void *context, const json_t *json, const char *failure)
{
    struct sequencer *sequencer = context;
    static uint8_t record[COMMITTEE_RECORD_BYTES_MAX];
    static struct committee committee;
    size_t len = 0;

    if (sequencer->stopped) return;
    if (failure != NULL) {
        give_up_head(sequencer);
        return;
    }
    bool known = rollup_read_hex(record, &len, sizeof record, json);
    struct reader reader = reader_make(record, len);
    if (!known || committee_decode(&committee, &reader) != OK ||
        !digest_equal(&committee.digest, &sequencer->options.committee->digest)) {
        sequencer_alarm(sequencer, "the rollup's kernel was packed for another committee");
        return;
    }
    sequencer->knows_committee = true;
    use_state(sequencer);
}

static void on_state(void *context, const struct rollup_state *state, const char *failure)
{
    struct sequencer *sequencer = context;
    char path[64];

    if (log_changed(&sequencer->read_logged, failure != NULL) && failure != NULL)
        log_warn("rollup: state cannot be read: %s; trying again at each level", failure);
    if (sequencer->stopped) return;
    if (failure != NULL || !check_state(sequencer, state)) {
        give_up_head(sequencer);
        return;
    }
    if (!sequencer->has_state || state->applied != sequencer->state.applied)
        log_debug("rollup: level %" PRId32 ": accepted %" PRIu64 ", applied %" PRIu64, state->level,
                  state->accepted, state->applied);
    sequencer->state = *state;
    if (sequencer->knows_committee) {
        use_state(sequencer);
    } else if (!state->installed) {
        give_up_head(sequencer); /* the kernel's first run is in the next level */
    } else {
        snprintf(path, sizeof path, "/authorities/%" PRIu64, sequencer->options.committee->epoch);
        rollup_get_value(sequencer->rollup, on_committee, sequencer, state->hash, path);
    }
}

static void read_next_head(struct sequencer *sequencer)
{
    sequencer->head_waits = false;
    sequencer->reading = true;
    rollup_state_read(sequencer->rollup, on_state, sequencer, sequencer->head_level,
                      sequencer->head_hash);
}

static void on_address(void *context, const json_t *json, const char *failure)
{
    struct sequencer *sequencer = context;

    sequencer->asked_address = false;
    if (failure != NULL || sequencer->stopped) return;
    if (!rollup_read_address(sequencer->address, json)) {
        sequencer_alarm(sequencer, "the rollup node's smart_rollup_address is not sr1...");
        return;
    }
    struct da_poster_options options = {
        .batching_keys = sequencer->options.batching_keys,
        .sequencers = sequencer->options.sequencers,
        .self = sequencer->options.self,
    };
    memcpy(options.address, sequencer->address, sizeof options.address);
    sequencer->has_address = true;
    sequencer->poster = da_poster_new(&options);
    log_info("rollup: %s, level %" PRId32, json_string_value(json), sequencer->head_level);
    if (sequencer->head_waits) read_next_head(sequencer);
}

static void measure_level(struct sequencer *sequencer, int32_t level, uint64_t now)
{
    int32_t levels = level - sequencer->timed_level;

    if (sequencer->timed_level != 0 && levels > 0 && levels < 100) {
        uint64_t each = (now - sequencer->head_us) / (uint64_t)levels;
        sequencer->level_us = sequencer->level_us == LEVEL_US_INITIAL
                                  ? each + 1
                                  : (7 * sequencer->level_us + each) / 8 + 1;
    }
    sequencer->timed_level = level;
    sequencer->head_us = now;
}

static void on_head(void *context, int32_t level, const char *hash)
{
    struct sequencer *sequencer = context;

    measure_level(sequencer, level, sequencer_now_us());
    sequencer->head_level = level;
    memcpy(sequencer->head_hash, hash, strlen(hash) + 1);
    sequencer->head_waits = true;
    if (!sequencer->has_address) {
        if (sequencer->asked_address) return;
        sequencer->asked_address = true;
        rollup_get(sequencer->rollup, on_address, sequencer, "/global/smart_rollup_address");
        return;
    }
    if (!sequencer->reading) read_next_head(sequencer);
}

/* ---- life ------------------------------------------------------------------------------------ */

struct sequencer *sequencer_open(struct event_base *base, const struct sequencer_options *options)
{
    struct sequencer *sequencer = calloc(1, sizeof *sequencer);

    CHECK(sequencer != NULL);
    sequencer->base = base;
    sequencer->options = *options;
    sequencer->level_us = LEVEL_US_INITIAL;
    sequencer->rate_us = sequencer_now_us();
    snprintf(sequencer->copy_reason, sizeof sequencer->copy_reason,
             "the rollup was not reached yet");
    sequencer->engine = engine_new(options->kernel_cache);
    sequencer->post_timer = event_new(base, -1, 0, sequencer_on_post_timer, sequencer);
    CHECK(sequencer->post_timer != NULL);
    const struct rollup_client_options rollup = {
        .node = options->rollup_node,
        .batcher = options->batcher,
        .node_tls = options->rollup_node_tls,
        .batcher_tls = options->batcher_tls,
        .on_head = on_head,
        .context = sequencer,
    };
    sequencer->rollup = rollup_client_open(base, &rollup);
    return sequencer;
}

void sequencer_close(struct sequencer *sequencer)
{
    if (sequencer == NULL) return;
    sequencer->stopped = true;
    rollup_client_close(sequencer->rollup);
    consensus_close_stream(sequencer->options.consensus, sequencer->post_stream);
    consensus_close_stream(sequencer->options.consensus, sequencer->follow_stream);
    optimistic_close(sequencer->optimistic);
    da_poster_free(sequencer->poster);
    engine_close(sequencer->engine);
    event_free(sequencer->post_timer);
    free(sequencer);
}

bool sequencer_has_stopped(const struct sequencer *sequencer)
{
    return sequencer->stopped;
}
