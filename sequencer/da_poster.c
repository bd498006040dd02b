#include "sequencer/da_poster.h"

#include <stdlib.h>

#include "common/limits.h"
#include "sequencer/slots.h"

/* Bytes of an operation that a message takes: its length prefix and itself. */
#define MESSAGE_OVERHEAD      4u
#define PAGE_MESSAGE_OVERHEAD (MESSAGE_OVERHEAD + INBOX_FRAME_BYTES + 1u + 9u)

/* A message on its way. */
struct flight {
    struct digest id;
    int32_t posted;   /* level; 0: it is to be posted */
    int32_t asked;    /* level of the last answer about it */
    int32_t injected; /* level at which it was first found injected and not included; 0: never */
};

struct page_state {
    struct flight flight;
    uint8_t attempt;
    bool shown;
};

struct entry {
    struct da_preblock *preblock;
    struct page_state *pages; /* as many as the pre-block has */
    int32_t looked;           /* level at which its pages were last read */
};

struct segment {
    uint64_t first;
    uint64_t last;
    struct flight flight;
};

/* Invariants: entries are consecutive indexes from `first`; segments are ascending and none ends at or before
 * what the last head accepted. */
struct da_poster {
    struct da_poster_options options;
    struct slots slots;
    struct entry entries[DA_WINDOW_PREBLOCKS_MAX]; /* a ring: index i is at i % max */
    uint64_t first;
    uint64_t count;
    uint64_t window_bytes;
    struct da_head head;
    struct segment segments[DA_SEGMENTS_MAX];
    uint32_t segments_count;
    bool segments_again; /* the next plan posts segments from `accepted` on, alone */
    int32_t posted;      /* level of the last POST */
    int32_t moved;       /* level at which the state last moved */
    uint64_t messages_posted;
    uint64_t messages_again;
};

struct da_poster *da_poster_new(const struct da_poster_options *options)
{
    struct da_poster *poster = calloc(1, sizeof *poster);

    CHECK(poster != NULL);
    CHECK(options->batching_keys >= 1);
    CHECK(options->self < options->sequencers);
    poster->options = *options;
    poster->slots = (struct slots){options->sequencers, options->self};
    return poster;
}

static struct entry *entry_at(const struct da_poster *poster, uint64_t index)
{
    if (poster->count == 0 || index < poster->first || index >= poster->first + poster->count)
        return NULL;
    return (struct entry *)(uintptr_t)&poster->entries[index % DA_WINDOW_PREBLOCKS_MAX];
}

static void drop_first(struct da_poster *poster)
{
    struct entry *entry = entry_at(poster, poster->first);

    poster->window_bytes -= entry->preblock->memory_len;
    da_preblock_free(entry->preblock);
    free(entry->pages);
    *entry = (struct entry){0};
    poster->first++;
    poster->count--;
}

void da_poster_reset(struct da_poster *poster)
{
    while (poster->count > 0)
        drop_first(poster);
    poster->segments_count = 0;
    poster->segments_again = false;
}

void da_poster_free(struct da_poster *poster)
{
    if (poster == NULL) return;
    da_poster_reset(poster);
    free(poster);
}

void da_poster_add(struct da_poster *poster, struct da_preblock *preblock)
{
    uint64_t index = preblock->header.index;

    CHECK(poster->count < DA_WINDOW_PREBLOCKS_MAX);
    if (poster->count == 0) poster->first = index;
    CHECK(index == poster->first + poster->count);
    poster->count++;
    poster->window_bytes += preblock->memory_len;
    struct entry *entry = entry_at(poster, index);
    *entry = (struct entry){.preblock = preblock};
    entry->pages = calloc(preblock->pages_count, sizeof *entry->pages);
    CHECK(entry->pages != NULL);
}

bool da_poster_is_full(const struct da_poster *poster)
{
    return poster->count == DA_WINDOW_PREBLOCKS_MAX || poster->window_bytes >= DA_WINDOW_BYTES_MAX;
}

uint64_t da_poster_next(const struct da_poster *poster)
{
    return poster->count == 0 ? 0 : poster->first + poster->count;
}

const struct da_preblock *da_poster_get(const struct da_poster *poster, uint64_t index)
{
    const struct entry *entry = entry_at(poster, index);

    return entry == NULL ? NULL : entry->preblock;
}

/* ---- heads ----------------------------------------------------------------------------------- */

static void drop_accepted_segments(struct da_poster *poster)
{
    uint32_t kept = 0;

    for (uint32_t i = 0; i < poster->segments_count; i++) {
        if (poster->segments[i].last > poster->head.accepted)
            poster->segments[kept++] = poster->segments[i];
    }
    poster->segments_count = kept;
}

void da_poster_head(struct da_poster *poster, const struct da_head *head)
{
    bool moved = head->accepted != poster->head.accepted || head->applied != poster->head.applied;

    CHECK(head->applied <= head->accepted);
    poster->head = *head;
    if (moved) poster->moved = head->level;
    /* After a reorganisation levels may repeat: a POST of a level that is gone does not count. */
    if (poster->posted > head->level) poster->posted = head->level - 1;
    if (poster->moved > head->level) poster->moved = head->level;
    while (poster->count > 0 && poster->first <= head->finalized && poster->first <= head->applied)
        drop_first(poster);
    drop_accepted_segments(poster);
    if (head->accepted > head->applied || poster->segments_count > 0) return;
    if (da_poster_next(poster) <= head->accepted + 1)
        poster->moved = head->level; /* nothing is pending */
}

uint32_t da_poster_wanted(const struct da_poster *poster, uint64_t *ret_indexes, uint32_t max)
{
    uint32_t count = 0;
    uint64_t index = poster->head.applied + 1;

    for (; index <= poster->head.accepted && count < max; index++) {
        if (entry_at(poster, index) == NULL) continue;
        ret_indexes[count++] = index;
    }
    return count;
}

void da_poster_shown(struct da_poster *poster,
                     uint64_t index,
                     const struct digest *digests,
                     uint32_t count)
{
    struct entry *entry = entry_at(poster, index);

    if (entry == NULL) return;
    entry->looked = poster->head.level;
    for (uint32_t p = 0; p < entry->preblock->pages_count; p++) {
        bool shown = false;
        for (uint32_t i = 0; i < count && !shown; i++)
            shown = digest_equal(&digests[i], &entry->preblock->pages[p].digest);
        if (shown != entry->pages[p].shown) poster->moved = poster->head.level;
        entry->pages[p].shown = shown;
    }
}

/* ---- the plan -------------------------------------------------------------------------------- */

struct plan {
    struct da_poster *poster;
    struct da_post *post;
    uint64_t room; /* bytes of operations that may still be posted */
    bool full;
};

static bool is_head_page(const struct da_page *page)
{
    return page->manifest || page->kind == PAGE_HASHES;
}

static bool plan_add(struct plan *plan, const struct da_message *message, uint64_t bytes)
{
    struct da_post *post = plan->post;

    if (plan->full || post->count == DA_POST_MESSAGES_MAX || bytes > plan->room) {
        plan->full = true;
        return false;
    }
    plan->room -= bytes;
    post->messages[post->count++] = *message;
    return true;
}

/* The last index that segments posted or accepted lead to without a gap. */
static uint64_t covered(const struct da_poster *poster)
{
    uint64_t last = poster->head.accepted;

    for (uint32_t i = 0; i < poster->segments_count; i++) {
        if (poster->segments[i].first <= last + 1 && poster->segments[i].last > last)
            last = poster->segments[i].last;
    }
    return last;
}

static size_t segment_bytes(const struct da_poster *poster, uint64_t first, uint64_t last)
{
    const struct da_preblock *preblock = da_poster_get(poster, last);

    return MESSAGE_OVERHEAD + INBOX_FRAME_BYTES + 4 + PREBLOCK_HEADER_BYTES * (last - first + 1) +
           65u * preblock->quorum.count;
}

/* The end of a segment that begins at `first`: the last pre-block with a certificate of its own that fits; 0
 * when there is none. */
static uint64_t segment_end(const struct da_poster *poster, uint64_t first)
{
    uint64_t end = 0;
    const struct da_preblock *preblock;

    for (uint64_t index = first; (preblock = da_poster_get(poster, index)) != NULL; index++) {
        if (index - first + 1 > da_segment_headers_max(1)) break;
        if (preblock->quorum.count == 0) continue;
        if (index - first + 1 <= da_segment_headers_max(preblock->quorum.count)) end = index;
    }
    return end;
}

/* Segments for everything that has none yet; the index they lead to. */
static uint64_t plan_segments(struct plan *plan)
{
    struct da_poster *poster = plan->poster;
    uint64_t last = covered(poster);
    uint32_t count = poster->segments_count;

    while (count < DA_SEGMENTS_MAX) {
        uint64_t end = segment_end(poster, last + 1);
        if (end == 0) break;
        struct da_message message = {.first = last + 1, .index = end, .page = DA_SEGMENT};
        if (!plan_add(plan, &message, segment_bytes(poster, last + 1, end))) break;
        last = end;
        count++;
    }
    return last;
}

static void plan_pages(struct plan *plan, uint64_t index, const struct entry *entry, bool content)
{
    for (uint32_t p = 0; p < entry->preblock->pages_count && !plan->full; p++) {
        const struct da_page *page = &entry->preblock->pages[p];
        const struct page_state *state = &entry->pages[p];
        if (is_head_page(page) == content || state->shown || state->flight.posted != 0) continue;
        struct da_message message = {.index = index, .page = p, .attempt = state->attempt};
        (void)plan_add(plan, &message, PAGE_MESSAGE_OVERHEAD + page->len);
    }
}

static bool heads_are_shown(const struct entry *entry)
{
    for (uint32_t p = 0; p < entry->preblock->pages_count; p++) {
        if (is_head_page(&entry->preblock->pages[p]) && !entry->pages[p].shown) return false;
    }
    return true;
}

static uint64_t outstanding_limit(const struct da_poster *poster)
{
    return (uint64_t)2 * poster->options.batching_keys * INBOX_OPERATION_BYTES_MAX;
}

/* Manifest and hash pages of the pre-blocks whose content comes next: as many as may be outstanding. */
static void plan_head_pages(struct plan *plan, uint64_t last)
{
    const struct da_poster *poster = plan->poster;
    uint64_t content = 0;

    for (uint64_t index = poster->head.applied + 1; index <= last; index++) {
        const struct entry *entry = entry_at(poster, index);
        if (entry == NULL || plan->full) break;
        plan_pages(plan, index, entry, false);
        for (uint32_t p = 0; p < entry->preblock->pages_count; p++) {
            if (!entry->pages[p].shown && entry->pages[p].flight.posted == 0)
                content += PAGE_MESSAGE_OVERHEAD + entry->preblock->pages[p].len;
        }
        if (content > outstanding_limit(poster)) break;
    }
}

static void plan_content(struct plan *plan)
{
    const struct da_poster *poster = plan->poster;

    for (uint64_t index = poster->head.applied + 1; index <= poster->head.accepted; index++) {
        const struct entry *entry = entry_at(poster, index);
        if (entry == NULL || plan->full) break;
        if (heads_are_shown(entry)) plan_pages(plan, index, entry, true);
    }
}

static uint64_t outstanding(const struct da_poster *poster)
{
    uint64_t bytes = 0;

    for (uint32_t i = 0; i < poster->segments_count; i++) {
        if (da_poster_get(poster, poster->segments[i].last) != NULL)
            bytes += segment_bytes(poster, poster->segments[i].first, poster->segments[i].last);
    }
    for (uint64_t i = 0; i < poster->count; i++) {
        const struct entry *entry = entry_at(poster, poster->first + i);
        if (poster->first + i <= poster->head.applied) continue;
        for (uint32_t p = 0; p < entry->preblock->pages_count; p++) {
            if (entry->pages[p].flight.posted != 0 && !entry->pages[p].shown)
                bytes += PAGE_MESSAGE_OVERHEAD + entry->preblock->pages[p].len;
        }
    }
    return bytes;
}

void da_poster_plan(struct da_poster *poster, struct da_post *ret_post)
{
    struct plan plan = {.poster = poster, .post = ret_post};

    ret_post->count = 0;
    ret_post->drop_duplicate = true;
    if (poster->count == 0 || poster->head.level <= poster->posted ||
        !slots_is_turn(&poster->slots, poster->head.level, poster->moved))
        return;
    if (poster->segments_again) {
        /* Bounded by itself: one POST of segments in some levels. */
        plan.room = outstanding_limit(poster);
        ret_post->drop_duplicate = false;
        plan_segments(&plan);
        if (ret_post->count > 0) return;
        ret_post->drop_duplicate = true; /* others have posted them meanwhile */
    }
    plan = (struct plan){.poster = poster, .post = ret_post};
    plan.room = u64_minus(outstanding_limit(poster), outstanding(poster));
    uint64_t last = plan_segments(&plan);
    plan_head_pages(&plan, last);
    plan_content(&plan);
}

size_t da_poster_write(const struct da_poster *poster,
                       uint8_t *ret,
                       const struct da_message *message)
{
    const struct entry *entry = entry_at(poster, message->index);

    CHECK(entry != NULL);
    if (message->page != DA_SEGMENT) {
        const struct da_page *page = &entry->preblock->pages[message->page];
        return da_page_message(ret, poster->options.address, entry->preblock, page,
                               message->attempt);
    }
    const struct da_preblock *preblocks[32];
    uint32_t count = (uint32_t)(message->index - message->first + 1);
    CHECK(count <= 32);
    for (uint32_t i = 0; i < count; i++)
        preblocks[i] = da_poster_get(poster, message->first + i);
    return da_segment_message(ret, poster->options.address, preblocks, count);
}

void da_poster_posted(struct da_poster *poster,
                      const struct da_post *post,
                      const struct digest *ids)
{
    poster->posted = poster->head.level;
    poster->messages_posted += post->count;
    if (!post->drop_duplicate) {
        poster->segments_again = false;
        poster->messages_again += post->count;
    }
    for (uint32_t i = 0; i < post->count; i++) {
        const struct da_message *message = &post->messages[i];
        if (message->page == DA_SEGMENT) {
            if (message->index <= poster->head.accepted ||
                poster->segments_count == DA_SEGMENTS_MAX)
                continue;
            poster->segments[poster->segments_count++] = (struct segment){
                message->first, message->index, {.id = ids[i], .posted = poster->head.level}};
            continue;
        }
        struct entry *entry = entry_at(poster, message->index);
        if (entry == NULL) continue;
        struct page_state *state = &entry->pages[message->page];
        if (state->attempt > 0) poster->messages_again++;
        state->flight = (struct flight){.id = ids[i], .posted = poster->head.level};
    }
}

/* ---- late messages --------------------------------------------------------------------------- */

static bool is_late(const struct da_poster *poster, int32_t posted, int32_t asked)
{
    int32_t level = poster->head.level;

    return posted != 0 && level >= posted + DA_SHOWN_LEVELS && asked < level;
}

uint32_t da_poster_late(const struct da_poster *poster,
                        struct da_message *ret_messages,
                        struct digest *ret_ids,
                        uint32_t max)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < poster->segments_count && count < max; i++) {
        const struct segment *segment = &poster->segments[i];
        if (!is_late(poster, segment->flight.posted, segment->flight.asked)) continue;
        ret_ids[count] = segment->flight.id;
        ret_messages[count++] = (struct da_message){segment->first, segment->last, DA_SEGMENT, 0};
    }
    for (uint64_t index = poster->head.applied + 1; index <= poster->head.accepted; index++) {
        const struct entry *entry = entry_at(poster, index);
        if (entry == NULL || entry->looked != poster->head.level) break;
        for (uint32_t p = 0; p < entry->preblock->pages_count && count < max; p++) {
            const struct page_state *state = &entry->pages[p];
            if (state->shown || !is_late(poster, state->flight.posted, state->flight.asked))
                continue;
            ret_ids[count] = state->flight.id;
            ret_messages[count++] = (struct da_message){0, index, p, state->attempt};
        }
    }
    return count;
}

/* Takes an answer about a message; true when it has to be posted again. */
static bool judge(struct flight *flight, int32_t now, enum da_status status, int32_t level)
{
    flight->asked = now;
    switch (status) {
    case DA_STATUS_UNKNOWN:
        return true;
    case DA_STATUS_QUEUED:
        flight->posted = now;
        return false;
    case DA_STATUS_INJECTED:
        if (flight->injected == 0) flight->injected = now;
        return now >= flight->posted + DA_INCLUDED_LEVELS &&
               now >= flight->injected + DA_INCLUDED_LEVELS - DA_SHOWN_LEVELS;
    case DA_STATUS_INCLUDED:
        return now >= level + DA_SHOWN_LEVELS;
    }
    return false;
}

void da_poster_status(struct da_poster *poster,
                      const struct da_message *message,
                      enum da_status status,
                      int32_t level)
{
    if (message->page == DA_SEGMENT) {
        for (uint32_t i = 0; i < poster->segments_count; i++) {
            struct segment *segment = &poster->segments[i];
            if (segment->first != message->first || segment->last != message->index) continue;
            if (!judge(&segment->flight, poster->head.level, status, level)) return;
            /* What was posted behind it did not connect either: all is cut anew from the state. */
            poster->segments_count = 0;
            poster->segments_again = true;
            return;
        }
        return;
    }
    struct entry *entry = entry_at(poster, message->index);
    if (entry == NULL || message->page >= entry->preblock->pages_count) return;
    struct page_state *state = &entry->pages[message->page];
    if (state->attempt != message->attempt || state->flight.posted == 0) return;
    bool lost = judge(&state->flight, poster->head.level, status, level);
    if (state->shown || !lost) return;
    state->flight.posted = 0;
    state->attempt++;
}

void da_poster_figures(const struct da_poster *poster, struct da_figures *ret_figures)
{
    *ret_figures = (struct da_figures){
        .first = poster->count == 0 ? 0 : poster->first,
        .next = da_poster_next(poster),
        .window_bytes = poster->window_bytes,
        .outstanding_bytes = outstanding(poster),
        .messages_posted = poster->messages_posted,
        .messages_again = poster->messages_again,
    };
    for (uint64_t i = 0; i < poster->count; i++) {
        const struct entry *entry = entry_at(poster, poster->first + i);
        if (poster->first + i <= poster->head.applied) continue;
        if (poster->first + i > poster->head.accepted)
            ret_figures->left_bytes += PREBLOCK_HEADER_BYTES;
        for (uint32_t p = 0; p < entry->preblock->pages_count; p++) {
            if (!entry->pages[p].shown)
                ret_figures->left_bytes += PAGE_MESSAGE_OVERHEAD + entry->preblock->pages[p].len;
        }
    }
}
