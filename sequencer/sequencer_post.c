/* Pre-blocks into the window, and out of it into the inbox. */
#include <inttypes.h>
#include <stdio.h>

#include "common/bytes.h"
#include "common/limits.h"
#include "sequencer/sequencer_internal.h"

/* What arrives after this level's time to post goes at once, but together with what comes within so long. */
#define POST_GATHER_US 20000u

void sequencer_schedule_post(struct sequencer *sequencer, uint64_t delay_us)
{
    const struct timeval wait = {(time_t)(delay_us / 1000000), (suseconds_t)(delay_us % 1000000)};

    if (!event_pending(sequencer->post_timer, EV_TIMEOUT, NULL))
        event_add(sequencer->post_timer, &wait);
}

/* One line per message: what it carries and what it is called on L1. */
static void log_message(const struct sequencer *sequencer,
                        const struct da_message *message,
                        const char *id)
{
    if (message->page == DA_SEGMENT)
        log_debug("poster: level %" PRId32 ": %s: segment of pre-blocks %" PRIu64 " to %" PRIu64,
                  sequencer->head_level, id, message->first, message->index);
    else
        log_debug("poster: level %" PRId32 ": %s: page %" PRIu32 " of pre-block %" PRIu64
                  ", attempt %u",
                  sequencer->head_level, id, message->page, message->index, message->attempt);
}

static void on_injected(void *context, const json_t *json, const char *failure)
{
    static struct digest ids[DA_POST_MESSAGES_MAX];
    struct sequencer *sequencer = context;

    sequencer->posting = false;
    if (failure == NULL) failure = rollup_read_ids(ids, sequencer->post.count, json);
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
    for (uint32_t i = 0; i < sequencer->post.count; i++)
        log_message(sequencer, &sequencer->post.messages[i],
                    json_string_value(json_array_get(json, i)));
    da_poster_posted(sequencer->poster, &sequencer->post, ids);
}

void sequencer_on_post_timer(evutil_socket_t fd, short what, void *context)
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

void sequencer_remember(struct sequencer *sequencer, const struct da_preblock *preblock)
{
    uint64_t index = preblock->header.index;
    struct own_digest *own = &sequencer->digests[index % DIGESTS_KEPT];

    if (own->index == index && !digest_equal(&own->digest, &preblock->digest))
        sequencer_alarm(sequencer, "two certified pre-blocks of one index");
    *own = (struct own_digest){index, preblock->digest};
    if (index <= sequencer->tip) return;
    sequencer->tip = index;
    sequencer->seen_count++;
    uint64_t bytes = PREBLOCK_HEADER_BYTES + preblock->memory_len + 35u * preblock->pages_count;
    sequencer->seen_bytes += bytes;
    uint64_t now = sequencer_now_us();
    double gap = (double)(now - sequencer->rate_us) / 1e6;
    double keep = gap < RATE_SECONDS ? 1.0 - gap / RATE_SECONDS : 0.0;
    sequencer->rate = sequencer->rate * keep + (double)bytes / RATE_SECONDS;
    sequencer->rate_us = now;
}

/* The first pre-block of a stream must follow what the rollup has. */
bool sequencer_check_first(struct sequencer *sequencer, const struct da_preblock *preblock)
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
    sequencer_alarm(sequencer, "the rollup has applied a history that consensus did not certify");
    return false;
}

static void on_post_preblock(void *context, struct da_preblock *preblock)
{
    struct sequencer *sequencer = context;

    if (!sequencer_check_first(sequencer, preblock)) {
        da_preblock_free(preblock);
        return;
    }
    sequencer_remember(sequencer, preblock);
    bool certified = preblock->quorum.count > 0;
    sequencer->post_next = preblock->header.index + 1;
    da_poster_add(sequencer->poster, preblock);
    if (certified && da_poster_is_full(sequencer->poster)) {
        consensus_close_stream(sequencer->options.consensus, sequencer->post_stream);
        sequencer->post_stream = NULL;
    }
    uint64_t now = sequencer_now_us();
    sequencer_schedule_post(sequencer, now >= sequencer->post_at_us ? POST_GATHER_US
                                                                    : sequencer->post_at_us - now);
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

void sequencer_keep_posting(struct sequencer *sequencer)
{
    struct da_figures figures;
    const struct rollup_state *state = &sequencer->state;

    da_poster_figures(sequencer->poster, &figures);
    /* An empty window begins with what the stream gives next: all before it was final once. */
    uint64_t first = figures.first;
    if (first == 0 && sequencer->post_stream != NULL) first = sequencer->post_next;
    if (first > state->applied + 1) {
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
    sequencer->post_next = follow.from + 1;
    sequencer->post_stream = consensus_open_stream(sequencer->options.consensus, &follow);
}
