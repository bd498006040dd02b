#include "sequencer/sequencer.h"

#include <event2/event.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "common/bytes.h"
#include "common/limits.h"
#include "common/log.h"
#include "rollup-kernel/host/base58.h"
#include "rollup-kernel/host/durable.h"
#include "rollup-kernel/host/engine.h"
#include "sequencer/optimistic.h"

/* A POST is made so long after a head is seen, or after a fourth of a level if that is less. ROLLUP 4. */
#define POST_DELAY_US 1500000u

/* What arrives later than that goes at once, but together with what comes within so long. */
#define POST_GATHER_US 20000u

/* Time between levels until it is measured: mainnet's. */
#define LEVEL_US_INITIAL 6000000u

/* Pre-blocks whose pages are read at one head, and messages asked for. */
#define WANTED_MAX 64u
#define LATE_MAX   128u

/* Own digests kept for the check against the rollup. */
#define DIGESTS_KEPT 16384u

/* Not ready when the backlog takes longer to drain. ROLLUP 4. */
#define DRAIN_SECONDS_MAX 600.0

/* Window of the consensus rate. */
#define RATE_SECONDS 30.0

struct own_digest {
    uint64_t index; /* 0: none */
    struct digest digest;
};

struct sequencer {
    struct event_base *base;
    struct sequencer_options options;
    struct rollup_client *rollup;
    bool asked_address;
    bool has_address;
    uint8_t address[DA_ADDRESS_BYTES];

    /* heads */
    int32_t head_level; /* newest seen */
    char head_hash[ROLLUP_HASH_BYTES];
    bool head_waits; /* to be read */
    bool reading;
    uint32_t reads; /* calls of this head under way */
    uint64_t head_us;
    uint64_t level_us;
    int32_t timed_level;
    struct rollup_state state;
    bool has_state;
    struct log_change read_logged;

    /* posting */
    struct da_poster *poster;
    struct consensus_stream *post_stream;
    struct event *post_timer;
    uint64_t post_at_us;
    struct da_post post; /* under way */
    bool posting;
    uint64_t posts_failed;
    struct log_change post_logged;

    /* the state ahead of L1 */
    struct engine *engine;
    struct optimistic *optimistic;
    struct consensus_stream *follow_stream;
    bool copying;
    char copy_reason[256];
    uint64_t divergences;

    struct own_digest digests[DIGESTS_KEPT];
    uint64_t tip;
    uint64_t seen_count; /* of pre-blocks, and their bytes on L1 */
    uint64_t seen_bytes;
    double rate;
    uint64_t rate_us;
    bool stopped; /* or closing: nothing new is begun */
};

struct page_read {
    struct sequencer *sequencer;
    uint64_t index;
};

struct status_read {
    struct sequencer *sequencer;
    struct da_message message;
};

static uint64_t now_us(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000u + (uint64_t)now.tv_nsec / 1000u;
}

static void alarm_stop(struct sequencer *sequencer, const char *text)
{
    if (sequencer->stopped) return;
    log_error("ALARM: %s; stopping", text);
    sequencer->stopped = true;
    event_base_loopbreak(sequencer->base);
}

/* ---- posting --------------------------------------------------------------------------------- */

static void schedule_post(struct sequencer *sequencer, uint64_t delay_us)
{
    const struct timeval wait = {(time_t)(delay_us / 1000000), (suseconds_t)(delay_us % 1000000)};

    if (!event_pending(sequencer->post_timer, EV_TIMEOUT, NULL))
        event_add(sequencer->post_timer, &wait);
}

static void on_injected(void *context, const json_t *json, const char *failure)
{
    static struct digest ids[DA_POST_MESSAGES_MAX];
    struct sequencer *sequencer = context;

    sequencer->posting = false;
    if (failure == NULL && json_array_size(json) != sequencer->post.count)
        failure = "injection: as many ids as messages were expected";
    for (uint32_t i = 0; failure == NULL && i < sequencer->post.count; i++) {
        const char *id = json_string_value(json_array_get(json, i));
        if (id == NULL || base58_decode(ids[i].bytes, BASE58_MESSAGE, id) != OK)
            failure = "injection: an id that is not scmsg...";
    }
    if (log_changed(&sequencer->post_logged, failure != NULL)) {
        if (failure != NULL)
            log_warn("poster: %s; trying again at each level", failure);
        else
            log_info("poster: the batcher takes messages");
    }
    if (failure != NULL) {
        sequencer->posts_failed++;
        return;
    }
    log_debug("poster: level %" PRId32 ": %" PRIu32 " messages posted, pre-blocks up to %" PRIu64,
              sequencer->head_level, sequencer->post.count,
              sequencer->post.messages[sequencer->post.count - 1].index);
    da_poster_posted(sequencer->poster, &sequencer->post, ids);
}

static void on_post_timer(evutil_socket_t fd, short what, void *context)
{
    struct sequencer *sequencer = context;
    uint8_t message[INBOX_MESSAGE_BYTES_MAX];
    char hex[2 * INBOX_MESSAGE_BYTES_MAX + 1];

    (void)fd;
    (void)what;
    if (sequencer->posting || sequencer->poster == NULL || !sequencer->has_state) return;
    da_poster_plan(sequencer->poster, &sequencer->post);
    if (sequencer->post.count == 0) return;
    json_t *list = json_array();
    for (uint32_t i = 0; i < sequencer->post.count; i++) {
        size_t len = da_poster_write(sequencer->poster, message, &sequencer->post.messages[i]);
        hex_encode(hex, message, len);
        json_array_append_new(list, json_stringn(hex, 2 * len));
    }
    sequencer->posting = true;
    rollup_inject(sequencer->rollup, on_injected, sequencer, list, sequencer->post.drop_duplicate);
    json_decref(list);
}

/* ---- pre-blocks ------------------------------------------------------------------------------ */

static void remember_digest(struct sequencer *sequencer, const struct da_preblock *preblock)
{
    uint64_t index = preblock->header.index;
    struct own_digest *own = &sequencer->digests[index % DIGESTS_KEPT];

    if (own->index == index && !digest_equal(&own->digest, &preblock->digest))
        alarm_stop(sequencer, "two certified pre-blocks of one index");
    *own = (struct own_digest){index, preblock->digest};
    if (index <= sequencer->tip) return;
    sequencer->tip = index;
    sequencer->seen_count++;
    uint64_t bytes = PREBLOCK_HEADER_BYTES + preblock->memory_len + 35u * preblock->pages_count;
    sequencer->seen_bytes += bytes;
    uint64_t now = now_us();
    double gap = (double)(now - sequencer->rate_us) / 1e6;
    double keep = gap < RATE_SECONDS ? 1.0 - gap / RATE_SECONDS : 0.0;
    sequencer->rate = sequencer->rate * keep + (double)bytes / RATE_SECONDS;
    sequencer->rate_us = now;
}

/* The first pre-block of a stream must follow what the rollup has. */
static bool check_first(struct sequencer *sequencer, const struct da_preblock *preblock)
{
    const struct rollup_state *state = &sequencer->state;
    uint64_t before = preblock->header.index - 1;
    const struct digest *expected = NULL;

    if (before == 0) {
        expected = &sequencer->options.committee->digest;
    } else if (state->installed && state->applied == before) {
        expected = &state->applied_digest;
    } else if (state->installed && state->accepted == before) {
        expected = &state->accepted_digest;
    }
    if (expected == NULL || digest_equal(expected, &preblock->header.previous)) return true;
    alarm_stop(sequencer, "the rollup has applied a history that consensus did not certify");
    return false;
}

static void on_post_preblock(void *context, struct da_preblock *preblock)
{
    struct sequencer *sequencer = context;

    if (!check_first(sequencer, preblock)) {
        da_preblock_free(preblock);
        return;
    }
    remember_digest(sequencer, preblock);
    bool certified = preblock->quorum.count > 0;
    da_poster_add(sequencer->poster, preblock);
    if (certified && da_poster_is_full(sequencer->poster)) {
        consensus_close_stream(sequencer->options.consensus, sequencer->post_stream);
        sequencer->post_stream = NULL;
    }
    uint64_t now = now_us();
    schedule_post(sequencer,
                  now >= sequencer->post_at_us ? POST_GATHER_US : sequencer->post_at_us - now);
}

static void on_post_ended(void *context, const char *reason)
{
    struct sequencer *sequencer = context;

    log_error(
        "consensus: pre-blocks that the rollup needs cannot be had: %s; trying again at each level",
        reason);
    consensus_close_stream(sequencer->options.consensus, sequencer->post_stream);
    sequencer->post_stream = NULL;
}

static void keep_post_stream(struct sequencer *sequencer)
{
    struct da_figures figures;
    const struct rollup_state *state = &sequencer->state;

    da_poster_figures(sequencer->poster, &figures);
    if (figures.first > state->applied + 1) {
        log_warn("rollup: state went back to pre-block %" PRIu64 "; reading again from there",
                 state->applied);
        da_poster_reset(sequencer->poster);
        consensus_close_stream(sequencer->options.consensus, sequencer->post_stream);
        sequencer->post_stream = NULL;
        figures.next = 0;
        figures.window_bytes = 0;
    }
    if (sequencer->post_stream != NULL || figures.window_bytes > DA_WINDOW_BYTES_MAX / 2) return;
    if (figures.next > figures.first + DA_WINDOW_PREBLOCKS_MAX / 2) return;
    const struct consensus_follow follow = {
        .from = figures.next != 0 ? figures.next - 1 : state->applied,
        .on_preblock = on_post_preblock,
        .on_ended = on_post_ended,
        .context = sequencer,
    };
    sequencer->post_stream = consensus_open_stream(sequencer->options.consensus, &follow);
}

/* ---- the state ahead of L1 ------------------------------------------------------------------- */

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

    if (!check_first(sequencer, preblock)) {
        da_preblock_free(preblock);
        return;
    }
    remember_digest(sequencer, preblock);
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

static void keep_optimistic(struct sequencer *sequencer)
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

/* ---- heads ----------------------------------------------------------------------------------- */

static void read_next_head(struct sequencer *sequencer);

static void head_read_done(struct sequencer *sequencer)
{
    uint64_t now = now_us();
    uint64_t delay = u64_min(POST_DELAY_US, sequencer->level_us / 4);
    uint64_t at = sequencer->head_us + delay;

    sequencer->reading = false;
    sequencer->post_at_us = at;
    if (sequencer->stopped) return;
    schedule_post(sequencer, at > now ? at - now : 0);
    if (sequencer->head_waits) read_next_head(sequencer);
}

static void on_message_status(void *context, const json_t *json, const char *failure)
{
    struct status_read *read = context;
    struct sequencer *sequencer = read->sequencer;
    const char *status = json_string_value(json_object_get(json, "status"));
    const json_t *level = json_object_get(json_object_get(json, "layer1"), "level");

    if (failure == NULL && status != NULL) {
        enum da_status what = DA_STATUS_INCLUDED; /* included, and committed after it */
        if (strcmp(status, "unknown") == 0) what = DA_STATUS_UNKNOWN;
        if (strncmp(status, "pending", 7) == 0) what = DA_STATUS_QUEUED;
        if (strcmp(status, "injected") == 0) what = DA_STATUS_INJECTED;
        da_poster_status(sequencer->poster, &read->message, what,
                         (int32_t)json_integer_value(level));
    }
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
    uint32_t count = 0;
    size_t at;
    const json_t *name;

    json_array_foreach(json, at, name)
    {
        size_t len = json_string_length(name);
        if (count == sizeof digests / sizeof digests[0]) break;
        if (hex_decode(digests[count].bytes, 32, json_string_value(name), len)) count++;
    }
    if (failure == NULL) da_poster_shown(sequencer->poster, read->index, digests, count);
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
        alarm_stop(sequencer,
                   "the rollup's kernel is in mode reveal, which this sequencer cannot serve");
        return false;
    }
    if (is_own(sequencer, state->accepted, &state->accepted_digest) &&
        is_own(sequencer, state->applied, &state->applied_digest))
        return true;
    alarm_stop(sequencer,
               state->accepted == 0 || state->applied == 0
                   ? "the rollup's kernel was packed for another committee"
                   : "the rollup has accepted a pre-block that consensus did not certify");
    return false;
}

static void on_state(void *context, const struct rollup_state *state, const char *failure)
{
    struct sequencer *sequencer = context;

    if (log_changed(&sequencer->read_logged, failure != NULL) && failure != NULL)
        log_warn("rollup: state cannot be read: %s; trying again at each level", failure);
    if (sequencer->stopped) return;
    if (failure != NULL || !check_state(sequencer, state)) {
        sequencer->reading = false;
        if (!sequencer->stopped && sequencer->head_waits) read_next_head(sequencer);
        return;
    }
    if (!sequencer->has_state || state->applied != sequencer->state.applied)
        log_debug("rollup: level %" PRId32 ": accepted %" PRIu64 ", applied %" PRIu64, state->level,
                  state->accepted, state->applied);
    sequencer->state = *state;
    sequencer->has_state = true;
    const struct da_head head = {state->level, state->accepted, state->applied, state->finalized};
    da_poster_head(sequencer->poster, &head);
    keep_post_stream(sequencer);
    keep_optimistic(sequencer);
    read_pages(sequencer);
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
    const char *text = json_string_value(json);

    sequencer->asked_address = false;
    if (failure != NULL || sequencer->stopped) return;
    if (text == NULL || base58_decode(sequencer->address, BASE58_ROLLUP, text) != OK) {
        alarm_stop(sequencer, "the rollup node's smart_rollup_address is not sr1...");
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
    log_info("rollup: %s, level %" PRId32, text, sequencer->head_level);
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

    measure_level(sequencer, level, now_us());
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
    sequencer->rate_us = now_us();
    snprintf(sequencer->copy_reason, sizeof sequencer->copy_reason,
             "the rollup was not reached yet");
    sequencer->engine = engine_new(options->kernel_cache);
    sequencer->post_timer = event_new(base, -1, 0, on_post_timer, sequencer);
    CHECK(sequencer->post_timer != NULL);
    const struct rollup_client_options rollup = {
        .node = options->rollup_node,
        .batcher = options->batcher,
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

/* ---- for the API ----------------------------------------------------------------------------- */

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
    double gap = (double)(now_us() - sequencer->rate_us) / 1e6;
    status.consensus_bytes_per_second =
        sequencer->rate * (gap < RATE_SECONDS ? 1.0 - gap / RATE_SECONDS : 0.0);
    status.unready = unready(sequencer, &status);
    *ret_status = status;
}
