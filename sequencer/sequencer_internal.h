/* The insides of the sequencer, shared by sequencer.c (heads), sequencer_post.c, sequencer_ahead.c and
 * sequencer_status.c. */
#ifndef SEQUENCER_SEQUENCER_INTERNAL_H
#define SEQUENCER_SEQUENCER_INTERNAL_H

#include <event2/event.h>

#include "common/log.h"
#include "sequencer/optimistic.h"
#include "sequencer/sequencer.h"

/* Own digests kept for the check against the rollup. */
#define DIGESTS_KEPT 16384u

/* Time between levels until it is measured: mainnet's. */
#define LEVEL_US_INITIAL 6000000u

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
    bool knows_committee; /* the rollup's is ours */
    struct log_change read_logged;

    /* posting */
    struct da_poster *poster;
    struct consensus_stream *post_stream;
    uint64_t post_next; /* index that it gives next */
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

uint64_t sequencer_now_us(void);

/* Logs the alarm once and leaves the loop. */
void sequencer_alarm(struct sequencer *sequencer, const char *text);

/* ---- posting (sequencer_post.c) -------------------------------------------------------------- */

/* Plans and posts after so long, unless that is to happen already. */
void sequencer_schedule_post(struct sequencer *sequencer, uint64_t delay_us);
void sequencer_on_post_timer(evutil_socket_t fd, short what, void *context);

/* Opens, closes or moves the stream of pre-blocks to post, as the window and the state at head need it. */
void sequencer_keep_posting(struct sequencer *sequencer);

/* The first pre-block of a stream must follow what the rollup has; an alarm otherwise. */
bool sequencer_check_first(struct sequencer *sequencer, const struct da_preblock *preblock);

/* Counts a pre-block and keeps its digest. */
void sequencer_remember(struct sequencer *sequencer, const struct da_preblock *preblock);

/* ---- the state ahead of L1 (sequencer_ahead.c) ----------------------------------------------- */

/* Compares with the state at head; begins the machine when there is none. */
void sequencer_keep_ahead(struct sequencer *sequencer);

#endif
