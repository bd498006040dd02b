/* What to post into the inbox, and when: a state machine over certified pre-blocks and the rollup's state. Time
 * is L1 levels, the cursor is the rollup's state at a head, and nothing is remembered beyond the process, so a
 * sequencer that starts anew, or a second one beside it, continues where the rollup is.
 *
 *   certified pre-blocks -> window -> segment --------> accepted --> content pages ---> applied -> finalized
 *                                     manifest and hash pages -> shown ---^                        (dropped)
 *
 *   - Headers first: content pages of a pre-block are posted when the state at head has accepted it and shows
 *     all its manifest and hash pages. Manifest and hash pages go with the segment, for as many pre-blocks as
 *     the content that may be outstanding needs.
 *   - One POST per level, at most DA_POST_MESSAGES_MAX messages, by pre-block index.
 *   - At most 2 K operations of bytes (K batching keys) are outstanding: posted and not shown.
 *   - A message that is not shown 3 levels after posting is asked for. Unknown: posted again. In the batcher's
 *     queue: counts as posted now. Injected, but not included 5 levels after posting: posted again. Included: posted
 *     again when 3 levels later it is still not shown. A page that is posted again has attempt + 1; a segment goes alone
 *     with drop_duplicate off.
 *   - Heads may go back (a reorganisation): all above is decided from the state at the last head.
 *   - Several sequencers take turns: slots.h.
 *
 * Pure: no clock, no I/O. ROLLUP 4; docs/rollup.md. */
#ifndef SEQUENCER_DA_POSTER_H
#define SEQUENCER_DA_POSTER_H

#include "sequencer/da_batch.h"

/* Messages of one POST. */
#define DA_POST_MESSAGES_MAX 128u

/* Bytes of pages, and number of pre-blocks, held at once; what is beyond is fetched again later. */
#define DA_WINDOW_BYTES_MAX     (64u * 1024u * 1024u)
#define DA_WINDOW_PREBLOCKS_MAX 4096u

#define DA_SHOWN_LEVELS         3 /* from included to shown */
#define DA_INCLUDED_LEVELS      5 /* from posting to included */

/* Segments that may be outstanding; each carries up to 24 headers or so. */
#define DA_SEGMENTS_MAX 32u

struct da_poster_options {
    uint8_t address[DA_ADDRESS_BYTES];
    uint32_t batching_keys; /* K >= 1 */
    uint32_t sequencers;    /* S >= 1 */
    uint32_t self;          /* 0 .. S-1 */
};

struct da_poster;

struct da_poster *da_poster_new(const struct da_poster_options *options); /* never NULL */
void da_poster_free(struct da_poster *poster);                            /* NULL is fine */

/* Drops the window: the next pre-block added may have any index. */
void da_poster_reset(struct da_poster *poster);

/* Adds the pre-block after the last one (checked); takes it. */
void da_poster_add(struct da_poster *poster, struct da_preblock *preblock);
bool da_poster_is_full(const struct da_poster *poster);

/* Index that the next pre-block must have; 0: any. */
uint64_t da_poster_next(const struct da_poster *poster);

/* A pre-block of the window, NULL when it is not there. */
const struct da_preblock *da_poster_get(const struct da_poster *poster, uint64_t index);

/* What the rollup's state at a head says. */
struct da_head {
    int32_t level;
    uint64_t accepted;
    uint64_t applied;
    uint64_t finalized; /* applied, in the state of the finalized block */
};
void da_poster_head(struct da_poster *poster, const struct da_head *head);

/* Pre-blocks whose /pages/N the poster wants to know at this head, ascending; at most `max`. */
uint32_t da_poster_wanted(const struct da_poster *poster, uint64_t *ret_indexes, uint32_t max);

/* The pages of pre-block `index` that the state at head has. */
void da_poster_shown(struct da_poster *poster,
                     uint64_t index,
                     const struct digest *digests,
                     uint32_t count);

/* ---- posting --------------------------------------------------------------------------------- */

/* A message by what it carries, so that answers that come late find it, or find it gone. */
struct da_message {
    uint64_t first; /* segment: its first index */
    uint64_t index; /* pre-block of the page; of a segment, its last */
    uint32_t page;  /* in the pre-block; DA_SEGMENT for a segment */
    uint8_t attempt;
};
#define DA_SEGMENT UINT32_MAX

struct da_post {
    struct da_message messages[DA_POST_MESSAGES_MAX];
    uint32_t count;
    bool drop_duplicate; /* off when a segment is posted again: it would be the same message */
};

/* What is to be posted now; count 0: nothing, or this level's POST was made. */
void da_poster_plan(struct da_poster *poster, struct da_post *ret_post);

/* Writes a message of a plan into `ret` (INBOX_MESSAGE_BYTES_MAX bytes); its length. Between the plan and this
 * nothing else may be called. */
size_t da_poster_write(const struct da_poster *poster,
                       uint8_t *ret,
                       const struct da_message *message);

/* The POST was taken; `ids` names the messages for da_poster_status. A POST that failed is not told: the next plan is
 * the same or better. */
void da_poster_posted(struct da_poster *poster,
                      const struct da_post *post,
                      const struct digest *ids);

enum da_status {
    DA_STATUS_UNKNOWN,
    DA_STATUS_QUEUED,
    DA_STATUS_INJECTED,
    DA_STATUS_INCLUDED, /* at `level` */
};

/* Messages whose status must be asked for at this head; at most `max`. */
uint32_t da_poster_late(const struct da_poster *poster,
                        struct da_message *ret_messages,
                        struct digest *ret_ids,
                        uint32_t max);
void da_poster_status(struct da_poster *poster,
                      const struct da_message *message,
                      enum da_status status,
                      int32_t level);

/* ---- figures --------------------------------------------------------------------------------- */

struct da_figures {
    uint64_t first;             /* of the window; 0: empty */
    uint64_t next;              /* after its last */
    uint64_t window_bytes;      /* held in memory */
    uint64_t outstanding_bytes; /* posted and not shown, as operations count them */
    uint64_t left_bytes;        /* not shown: what the window still has to put on L1 */
    uint64_t messages_posted;
    uint64_t messages_again; /* of those, posted before */
};
void da_poster_figures(const struct da_poster *poster, struct da_figures *ret_figures);

#endif
