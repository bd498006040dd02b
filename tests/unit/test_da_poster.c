/* Goal: whatever happens between a sequencer and the inbox, every pre-block is applied, in order, with no more
 * messages than needed. Method: the poster against a scripted rollup: a batcher with keys, an inbox that takes only
 * what the kernel would take, faults by a seed (messages lost, held up, posts refused, levels undone, sequencers that
 * start anew or take turns). Rules of posting are checked at each POST. */
#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/batch.h"
#include "common/crypto.h"
#include "sequencer/da_poster.h"
#include "sequencer/slots.h"

#define PREBLOCKS    40u
#define LEVELS_MAX   4000
#define MESSAGES_MAX 60000u
#define PAGES_MAX    400u

/* ---- pre-blocks ------------------------------------------------------------------------------ */

static struct preblock headers[PREBLOCKS + 1];
static struct bytes batches[PREBLOCKS + 1][200];
static struct quorum quorum = {.count = 5, .signers = {0, 1, 2, 3, 4}};
static struct da_preblock *model[PREBLOCKS + 1]; /* what there is to know about each */

static void make_batch(struct bytes *ret, uint64_t *seed, size_t bytes)
{
    uint8_t *data = malloc(bytes + 4100);
    struct writer writer = writer_make(data, bytes + 4100);
    uint8_t transaction[4000];

    while (writer.len < bytes) {
        size_t len = 1 + unit_random_below(seed, sizeof transaction);
        unit_random_bytes(seed, transaction, len);
        batch_append(&writer, transaction, len);
    }
    *ret = (struct bytes){data, writer.len};
}

static struct da_preblock *make_preblock(uint64_t index)
{
    struct da_preblock *preblock;

    assert_int_equal(da_preblock_make(&preblock, &headers[index], &quorum, batches[index],
                                      headers[index].batches),
                     OK);
    return preblock;
}

static int set_up(void **state)
{
    uint64_t seed = 4;

    (void)state;
    for (uint64_t index = 1; index <= PREBLOCKS; index++) {
        struct digest digests[200];
        uint32_t count = index == 7 ? 130 : 1 + (uint32_t)unit_random_below(&seed, 3);
        for (uint32_t b = 0; b < count; b++) {
            make_batch(&batches[index][b], &seed,
                       index == 7        ? 1
                       : index % 10 == 3 ? 60000
                                         : 1 + unit_random_below(&seed, 9000));
            page_tree(&digests[b], batches[index][b].data, batches[index][b].len, NULL, NULL);
        }
        headers[index] = (struct preblock){.index = index, .batches = count};
        if (index > 1) preblock_digest(&headers[index].previous, &headers[index - 1]);
        preblock_manifest(&headers[index].payload, digests, count);
        model[index] = make_preblock(index);
        assert_true(model[index]->pages_count <= PAGES_MAX);
    }
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    for (uint64_t index = 1; index <= PREBLOCKS; index++) {
        for (uint32_t b = 0; b < headers[index].batches; b++)
            free((uint8_t *)(uintptr_t)batches[index][b].data);
        da_preblock_free(model[index]);
    }
    return 0;
}

/* ---- the rollup ------------------------------------------------------------------------------ */

enum fate { WAITING, INJECTED, INCLUDED, LOST };

struct sent {
    struct digest id;
    uint8_t data[INBOX_MESSAGE_BYTES_MAX];
    size_t len;
    enum fate fate;
    int32_t level; /* included at */
};

/* State after a level. */
struct state {
    uint64_t accepted;
    uint64_t applied;
    bool pages[PREBLOCKS + 2][PAGES_MAX];
};

struct rollup {
    struct state states[16]; /* of the last levels: level % 16 */
    int32_t level;
    struct sent *sent;
    uint32_t sent_count;
    uint32_t keys;
    uint64_t seed;
    /* faults, in percent */
    uint32_t lose;
    uint32_t hold;
    uint32_t refuse;
    uint32_t undo;
    uint64_t again; /* messages accepted whose content came before, but for the attempt */
};

static struct state *now(struct rollup *rollup)
{
    return &rollup->states[rollup->level % 16];
}

static bool chance(struct rollup *rollup, uint32_t percent)
{
    return unit_random_below(&rollup->seed, 100) < percent;
}

static void rollup_open(struct rollup *rollup, uint64_t seed, uint32_t keys)
{
    memset(rollup, 0, sizeof *rollup);
    rollup->level = 100;
    rollup->seed = seed;
    rollup->keys = keys;
    rollup->sent = calloc(MESSAGES_MAX, sizeof *rollup->sent);
    assert_non_null(rollup->sent);
}

/* The kernel's first run: segments that connect, then pages that are reached. */
static void take_segments(struct state *state, const struct sent *const *messages, uint32_t count)
{
    for (bool any = true; any;) {
        any = false;
        for (uint32_t i = 0; i < count; i++) {
            if (messages[i]->data[21] != 1) continue;
            struct reader reader = reader_make(messages[i]->data + 22, messages[i]->len - 22);
            uint32_t headers_count = reader_u8(&reader);
            uint64_t last = 0, first = 0;
            for (uint32_t h = 0; h < headers_count; h++) {
                struct preblock header;
                preblock_decode(&header, &reader);
                if (h == 0) first = header.index;
                last = header.index;
            }
            if (first > state->accepted + 1 || last <= state->accepted) continue;
            state->accepted = last;
            any = true;
        }
    }
}

static bool is_reached(const struct state *state, uint64_t index, uint32_t page)
{
    const struct da_preblock *preblock = model[index];

    if (page == 0) return true;
    for (uint32_t above = 0; above < page; above++) {
        struct bytes bytes = da_page_bytes(preblock, &preblock->pages[above]);
        if (!state->pages[index][above]) continue;
        for (size_t at = 5; at + 32 <= bytes.len; at++) {
            if (memcmp(bytes.data + at, preblock->pages[page].digest.bytes, 32) == 0) return true;
        }
    }
    return false;
}

static void take_pages(struct state *state, const struct sent *const *messages, uint32_t count)
{
    for (bool any = true; any;) {
        any = false;
        for (uint32_t i = 0; i < count; i++) {
            struct reader reader = reader_make(messages[i]->data + 22, messages[i]->len - 22);
            if (messages[i]->data[21] != 2) continue;
            uint64_t index = reader_u64(&reader);
            if (index <= state->applied || index > state->accepted) continue;
            struct digest digest;
            crypto_hash_one(&digest, messages[i]->data + 31, messages[i]->len - 31);
            for (uint32_t p = 0; p < model[index]->pages_count; p++) {
                if (state->pages[index][p]) continue;
                if (!digest_equal(&digest, &model[index]->pages[p].digest)) continue;
                if (!is_reached(state, index, p)) continue;
                state->pages[index][p] = true;
                any = true;
            }
        }
    }
}

static void apply(struct state *state)
{
    while (state->applied < state->accepted) {
        for (uint32_t p = 0; p < model[state->applied + 1]->pages_count; p++) {
            if (!state->pages[state->applied + 1][p]) return;
        }
        state->applied++;
        memset(state->pages[state->applied], 0, sizeof state->pages[0]);
    }
}

/* The next level: operations that were made are included, then new ones are made. */
static void rollup_level(struct rollup *rollup)
{
    static const struct sent *included[2000];
    uint32_t count = 0;
    size_t room;

    if (chance(rollup, rollup->undo) && rollup->level > 110) {
        /* Two levels are undone; what they held is lost, as far as anybody knows. */
        rollup->level -= 2;
        for (uint32_t i = 0; i < rollup->sent_count; i++) {
            if (rollup->sent[i].fate == INCLUDED && rollup->sent[i].level > rollup->level)
                rollup->sent[i].fate = LOST;
        }
        return;
    }
    rollup->states[(rollup->level + 1) % 16] = *now(rollup);
    rollup->level++;
    for (uint32_t i = 0; i < rollup->sent_count; i++) {
        struct sent *sent = &rollup->sent[i];
        if (sent->fate != INJECTED || chance(rollup, rollup->hold)) continue;
        sent->fate = chance(rollup, rollup->lose) ? LOST : INCLUDED;
        sent->level = rollup->level;
        if (sent->fate == INCLUDED && count < 2000) included[count++] = sent;
    }
    take_segments(now(rollup), included, count);
    take_pages(now(rollup), included, count);
    apply(now(rollup));
    room = rollup->keys * INBOX_OPERATION_BYTES_MAX;
    for (uint32_t i = 0; i < rollup->sent_count; i++) {
        struct sent *sent = &rollup->sent[i];
        if (sent->fate != WAITING) continue;
        if (sent->len + 4 > room) break;
        room -= sent->len + 4;
        sent->fate = INJECTED;
    }
}

/* ---- a sequencer ----------------------------------------------------------------------------- */

static const struct da_poster_options alone = {.batching_keys = 1, .sequencers = 1};

/* What the sequencer of `run` is told about the batcher's keys. */
static uint32_t promised_keys = 1;

static void feed(struct da_poster *poster, struct rollup *rollup, uint64_t certified)
{
    uint64_t next = da_poster_next(poster);

    if (next == 0) next = now(rollup)->applied + 1;
    for (; next <= certified && !da_poster_is_full(poster); next++)
        da_poster_add(poster, make_preblock(next));
}

static void show_head(struct da_poster *poster, struct rollup *rollup)
{
    static struct digest digests[PAGES_MAX];
    struct da_message late[256];
    struct digest ids[256];
    uint64_t wanted[64];
    const struct state *state = now(rollup);
    const struct state *before = &rollup->states[(rollup->level - 2) % 16];
    const struct da_head head = {rollup->level, state->accepted, state->applied, before->applied};

    da_poster_head(poster, &head);
    uint32_t count = da_poster_wanted(poster, wanted, 64);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t shown = 0;
        for (uint32_t p = 0; p < model[wanted[i]]->pages_count; p++) {
            if (state->pages[wanted[i]][p]) digests[shown++] = model[wanted[i]]->pages[p].digest;
        }
        da_poster_shown(poster, wanted[i], digests, shown);
    }
    count = da_poster_late(poster, late, ids, 256);
    for (uint32_t i = 0; i < count; i++) {
        enum da_status status = DA_STATUS_UNKNOWN;
        int32_t level = 0;
        for (uint32_t s = 0; s < rollup->sent_count; s++) {
            if (!digest_equal(&rollup->sent[s].id, &ids[i])) continue;
            status = rollup->sent[s].fate == WAITING    ? DA_STATUS_QUEUED
                     : rollup->sent[s].fate == INJECTED ? DA_STATUS_INJECTED
                     : rollup->sent[s].fate == INCLUDED ? DA_STATUS_INCLUDED
                                                        : DA_STATUS_UNKNOWN;
            level = rollup->sent[s].level;
        }
        da_poster_status(poster, &late[i], status, level);
    }
}

/* A page is content when neither the manifest names it as such nor it holds hashes. */
static bool is_content(uint64_t index, uint32_t page)
{
    return !model[index]->pages[page].manifest && model[index]->pages[page].kind == PAGE_CONTENT;
}

static void check_post(const struct rollup *rollup, const struct da_post *post)
{
    const struct state *state = &rollup->states[rollup->level % 16];
    uint64_t last_segment = 0, last_head = 0, last_content = 0;

    assert_in_range(post->count, 1, DA_POST_MESSAGES_MAX);
    for (uint32_t i = 0; i < post->count; i++) {
        const struct da_message *message = &post->messages[i];
        if (message->page == DA_SEGMENT) {
            assert_true(message->first > last_segment && last_head == 0 && last_content == 0);
            last_segment = message->index;
            continue;
        }
        assert_true(post->drop_duplicate);
        if (!is_content(message->index, message->page)) {
            assert_true(message->index >= last_head && last_content == 0);
            last_head = message->index;
            continue;
        }
        /* Headers first: all that leads to content pages is in the state. */
        assert_true(message->index <= state->accepted && message->index >= last_content);
        last_content = message->index;
        for (uint32_t p = 0; p < model[message->index]->pages_count; p++)
            assert_true(is_content(message->index, p) || state->pages[message->index][p]);
    }
}

/* The batcher takes a message, or knows it already. */
static void inject(struct rollup *rollup,
                   struct digest *ret_id,
                   const uint8_t *data,
                   size_t len,
                   bool drop)
{
    struct sent *sent = &rollup->sent[rollup->sent_count];

    crypto_hash_one(ret_id, data, len);
    if (!drop) ret_id->bytes[0] ^= (uint8_t)(1 + rollup->sent_count % 255);
    for (uint32_t i = 0; i < rollup->sent_count; i++) {
        if (rollup->sent[i].fate != LOST && digest_equal(&rollup->sent[i].id, ret_id)) return;
        bool page = data[21] == 2 && rollup->sent[i].len == len;
        if (page && memcmp(rollup->sent[i].data + 22, data + 22, 8) == 0 &&
            memcmp(rollup->sent[i].data + 31, data + 31, len - 31) == 0)
            rollup->again++;
    }
    assert_true(rollup->sent_count < MESSAGES_MAX);
    rollup->sent_count++;
    *sent = (struct sent){.id = *ret_id, .len = len, .fate = WAITING};
    memcpy(sent->data, data, len);
}

static bool post(struct da_poster *poster, struct rollup *rollup)
{
    static struct da_post plan;
    static struct digest ids[DA_POST_MESSAGES_MAX];
    static uint8_t messages[DA_POST_MESSAGES_MAX][INBOX_MESSAGE_BYTES_MAX];
    size_t lens[DA_POST_MESSAGES_MAX];

    da_poster_plan(poster, &plan);
    if (plan.count == 0) return false;
    check_post(rollup, &plan);
    for (uint32_t i = 0; i < plan.count; i++)
        lens[i] = da_poster_write(poster, messages[i], &plan.messages[i]);
    if (chance(rollup, rollup->refuse)) return false;
    for (uint32_t i = 0; i < plan.count; i++)
        inject(rollup, &ids[i], messages[i], lens[i], plan.drop_duplicate);
    /* The answer may be lost although the messages were taken. */
    if (chance(rollup, rollup->refuse)) return false;
    da_poster_posted(poster, &plan, ids);
    struct da_figures figures;
    da_poster_figures(poster, &figures);
    assert_true(figures.outstanding_bytes <= 2 * promised_keys * INBOX_OPERATION_BYTES_MAX ||
                !plan.drop_duplicate);
    /* One POST in a level. */
    da_poster_plan(poster, &plan);
    assert_int_equal(plan.count, 0);
    return true;
}

static bool is_done(struct rollup *rollup)
{
    return now(rollup)->applied == PREBLOCKS;
}

/* One sequencer until all is applied; it starts anew in `restart` percent of the levels. */
static int run(struct rollup *rollup, uint32_t restart)
{
    struct da_poster_options options = {.batching_keys = promised_keys, .sequencers = 1};
    struct da_poster *poster = da_poster_new(&options);
    int levels = 0;

    while (!is_done(rollup)) {
        assert_true(levels++ < LEVELS_MAX);
        uint64_t applied = now(rollup)->applied;
        rollup_level(rollup);
        if (chance(rollup, restart)) {
            da_poster_free(poster);
            poster = da_poster_new(&options);
        }
        struct da_figures figures;
        da_poster_figures(poster, &figures);
        if (figures.first > now(rollup)->applied + 1) da_poster_reset(poster);
        if (restart == 0 && rollup->undo == 0) assert_true(now(rollup)->applied >= applied);
        show_head(poster, rollup);
        feed(poster, rollup, u64_min(PREBLOCKS, (uint64_t)levels));
        post(poster, rollup);
    }
    da_poster_free(poster);
    return levels;
}

/* ---- tests ----------------------------------------------------------------------------------- */

static void nothing_is_posted_twice_without_faults(void **state)
{
    struct rollup rollup;
    uint64_t pages = 0, bytes = 0, posted = 0;

    (void)state;
    rollup_open(&rollup, 1, 1);
    int levels = run(&rollup, 0);
    for (uint64_t index = 1; index <= PREBLOCKS; index++) {
        pages += model[index]->pages_count;
        for (uint32_t p = 0; p < model[index]->pages_count; p++)
            bytes += 4 + 31 + model[index]->pages[p].len;
    }
    for (uint32_t i = 0; i < rollup.sent_count; i++)
        posted += rollup.sent[i].data[21] == 2;
    assert_int_equal(posted, pages);
    assert_int_equal(rollup.again, 0);
    /* And the key is kept busy: not many more levels than the bytes need. */
    assert_true(levels <= (int)(bytes / INBOX_OPERATION_BYTES_MAX) * 3 / 2 + 12);
    free(rollup.sent);
}

/* Runs with the faults of `faults` and `restart`, for some seeds; messages posted again, over all of them. */
static uint64_t run_with(const struct rollup *faults, uint32_t restart)
{
    uint64_t again = 0;

    for (uint64_t seed = 1; seed <= 6; seed++) {
        struct rollup rollup;
        rollup_open(&rollup, seed, 1);
        rollup.lose = faults->lose;
        rollup.hold = faults->hold;
        rollup.refuse = faults->refuse;
        rollup.undo = faults->undo;
        run(&rollup, restart);
        again += rollup.again;
        free(rollup.sent);
    }
    return again;
}

static void lost_messages_are_posted_again(void **state)
{
    static const struct rollup faults = {.lose = 20};

    (void)state;
    assert_true(run_with(&faults, 0) > 0);
}

static void messages_held_up_arrive_in_any_order(void **state)
{
    static const struct rollup faults = {.hold = 60};

    (void)state;
    run_with(&faults, 0);
}

/* What was taken although the answer was lost is known to the batcher. */
static void refused_posts_are_made_again(void **state)
{
    static const struct rollup faults = {.refuse = 30};

    (void)state;
    assert_int_equal(run_with(&faults, 0), 0);
}

static void undone_levels_are_made_good(void **state)
{
    static const struct rollup faults = {.undo = 10};

    (void)state;
    run_with(&faults, 0);
}

/* Starting anew costs nothing: the batcher knows what it has. */
static void a_new_start_needs_no_memory(void **state)
{
    static const struct rollup faults = {.lose = 0};

    (void)state;
    assert_int_equal(run_with(&faults, 30), 0);
}

static void everything_at_once_ends_well(void **state)
{
    static const struct rollup faults = {.lose = 10, .hold = 30, .refuse = 10, .undo = 4};

    (void)state;
    run_with(&faults, 5);
}

/* Posts by two sequencers at `level`; which of them did, as bits. */
static uint32_t both_post(struct da_poster *const posters[2],
                          struct rollup *rollup,
                          bool second_alone)
{
    uint32_t who = 0;

    for (uint32_t s = second_alone ? 1 : 0; s < 2; s++) {
        show_head(posters[s], rollup);
        feed(posters[s], rollup, PREBLOCKS);
        if (post(posters[s], rollup)) who |= 1u << s;
    }
    return who;
}

static void sequencers_take_turns(void **state)
{
    struct da_poster *posters[2];
    struct rollup rollup;
    int levels = 0;

    (void)state;
    rollup_open(&rollup, 5, 1);
    for (uint32_t s = 0; s < 2; s++) {
        const struct da_poster_options options = {.batching_keys = 1, .sequencers = 2, .self = s};
        posters[s] = da_poster_new(&options);
    }
    while (!is_done(&rollup)) {
        assert_true(levels++ < LEVELS_MAX);
        rollup_level(&rollup);
        uint32_t who = both_post(posters, &rollup, false);
        uint32_t owner = (uint32_t)rollup.level / SLOT_LEVELS % 2;
        assert_true((who & ~(1u << owner)) == 0);
        if (rollup.level % SLOT_LEVELS < SLOT_WAIT_LEVELS) assert_int_equal(who, 0);
    }
    for (uint32_t s = 0; s < 2; s++)
        da_poster_free(posters[s]);
    free(rollup.sent);
}

static void a_standby_takes_over_from_a_dead_owner(void **state)
{
    struct da_poster *posters[2];
    struct rollup rollup;
    int32_t waited = 0;

    (void)state;
    rollup_open(&rollup, 5, 1); /* level 100: the slot of sequencer 1 of 2 is 100 .. 119 */
    for (uint32_t s = 0; s < 2; s++) {
        const struct da_poster_options options = {
            .batching_keys = 1, .sequencers = 2, .self = 1 - s};
        posters[s] = da_poster_new(&options);
    }
    /* posters[1] is sequencer 0, the standby; nobody else lives. */
    uint32_t who = 0;
    while (who == 0) {
        assert_true(++waited < 2 * SLOT_LEVELS);
        rollup_level(&rollup);
        who = both_post(posters, &rollup, true);
    }
    assert_int_equal(rollup.level / SLOT_LEVELS % 2, 1);
    /* The first level shows that something is pending; 4 + 3 more pass. */
    assert_int_equal(waited, 1 + 4 + 3);
    for (uint32_t s = 0; s < 2; s++)
        da_poster_free(posters[s]);
    free(rollup.sent);
}

/* One level of one of several sequencers: its reads may fail, it may start anew. */
static void take_part(struct da_poster **poster,
                      const struct da_poster_options *options,
                      struct rollup *rollup,
                      uint64_t certified)
{
    struct da_figures figures;

    if (chance(rollup, 20)) return;
    if (chance(rollup, 2)) {
        da_poster_free(*poster);
        *poster = da_poster_new(options);
    }
    da_poster_figures(*poster, &figures);
    if (figures.first > now(rollup)->applied + 1) da_poster_reset(*poster);
    show_head(*poster, rollup);
    feed(*poster, rollup, certified);
    post(*poster, rollup);
}

/* Two and three of them, everything at once. */
static void several_together_end_well(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 6; seed++) {
        struct da_poster_options options[3];
        struct da_poster *posters[3];
        struct rollup rollup;
        uint32_t count = 2 + (uint32_t)(seed % 2);
        uint64_t levels = 0;
        rollup_open(&rollup, seed, 1);
        rollup.lose = 10;
        rollup.hold = 30;
        rollup.refuse = 10;
        rollup.undo = 4;
        for (uint32_t s = 0; s < count; s++) {
            options[s] =
                (struct da_poster_options){.batching_keys = 1, .sequencers = count, .self = s};
            posters[s] = da_poster_new(&options[s]);
        }
        while (!is_done(&rollup)) {
            assert_true(levels++ < LEVELS_MAX);
            rollup_level(&rollup);
            for (uint32_t s = 0; s < count; s++)
                take_part(&posters[s], &options[s], &rollup, u64_min(PREBLOCKS, levels));
        }
        for (uint32_t s = 0; s < count; s++)
            da_poster_free(posters[s]);
        free(rollup.sent);
    }
}

/* Headers without a certificate of their own go with one that covers them. */
static void segments_end_with_a_certificate(void **state)
{
    struct da_poster *poster = da_poster_new(&alone);
    static struct da_post plan;
    const struct da_head head = {.level = 10};

    (void)state;
    da_poster_head(poster, &head);
    for (uint64_t index = 1; index <= 4; index++) {
        struct da_preblock *preblock = make_preblock(index);
        if (index != 3) preblock->quorum.count = 0;
        da_poster_add(poster, preblock);
    }
    da_poster_plan(poster, &plan);
    assert_int_equal(plan.messages[0].page, DA_SEGMENT);
    assert_int_equal(plan.messages[0].first, 1);
    assert_int_equal(plan.messages[0].index, 3);
    for (uint32_t i = 1; i < plan.count; i++)
        assert_true(plan.messages[i].page != DA_SEGMENT && plan.messages[i].index <= 3);
    da_poster_free(poster);
}

/* A batcher that is slower than its keys promise: what waits in its queue counts as posted. */
static void what_waits_in_the_queue_is_not_posted_again(void **state)
{
    struct rollup rollup;

    (void)state;
    rollup_open(&rollup, 1, 1);
    promised_keys = 4;
    run(&rollup, 0);
    promised_keys = 1;
    assert_int_equal(rollup.again, 0);
    free(rollup.sent);
}

/* The poster at `level` of a rollup that has nothing, with the first pre-block. */
static struct da_poster *fresh(int32_t level)
{
    struct da_poster *poster = da_poster_new(&alone);
    const struct da_head head = {.level = level};

    da_poster_head(poster, &head);
    da_poster_add(poster, make_preblock(1));
    return poster;
}

static void a_segment_that_did_nothing_goes_again_alone(void **state)
{
    struct da_poster *poster = fresh(10);
    static struct da_post plan;
    static struct digest ids[DA_POST_MESSAGES_MAX];
    struct da_message late;
    struct digest id;

    (void)state;
    da_poster_plan(poster, &plan);
    assert_int_equal(plan.messages[0].page, DA_SEGMENT);
    da_poster_posted(poster, &plan, ids);
    for (int32_t level = 11; level <= 13; level++) {
        const struct da_head head = {.level = level};
        da_poster_head(poster, &head);
        da_poster_plan(poster, &plan);
        assert_int_equal(plan.count, 0);
        assert_int_equal(da_poster_late(poster, &late, &id, 1), level == 13);
    }
    da_poster_status(poster, &late, DA_STATUS_INCLUDED, 11);
    da_poster_plan(poster, &plan);
    assert_int_equal(plan.count, 0);
    const struct da_head head = {.level = 14};
    da_poster_head(poster, &head);
    assert_int_equal(da_poster_late(poster, &late, &id, 1), 1);
    da_poster_status(poster, &late, DA_STATUS_INCLUDED, 11);
    da_poster_plan(poster, &plan);
    assert_int_equal(plan.count, 1);
    assert_int_equal(plan.messages[0].page, DA_SEGMENT);
    assert_false(plan.drop_duplicate);
    da_poster_free(poster);
}

static void a_head_that_goes_back_can_be_posted_at(void **state)
{
    struct da_poster *poster = fresh(10);
    static struct da_post plan;
    static struct digest ids[DA_POST_MESSAGES_MAX];
    const struct da_head back = {.level = 8};

    (void)state;
    da_poster_plan(poster, &plan);
    da_poster_posted(poster, &plan, ids);
    da_poster_add(poster, make_preblock(2));
    da_poster_plan(poster, &plan);
    assert_int_equal(plan.count, 0);
    da_poster_head(poster, &back);
    da_poster_plan(poster, &plan);
    assert_true(plan.count > 0);
    assert_int_equal(plan.messages[0].first, 2);
    da_poster_free(poster);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_posted_twice_without_faults),
        cmocka_unit_test(lost_messages_are_posted_again),
        cmocka_unit_test(messages_held_up_arrive_in_any_order),
        cmocka_unit_test(refused_posts_are_made_again),
        cmocka_unit_test(undone_levels_are_made_good),
        cmocka_unit_test(a_new_start_needs_no_memory),
        cmocka_unit_test(everything_at_once_ends_well),
        cmocka_unit_test(sequencers_take_turns),
        cmocka_unit_test(a_standby_takes_over_from_a_dead_owner),
        cmocka_unit_test(several_together_end_well),
        cmocka_unit_test(segments_end_with_a_certificate),
        cmocka_unit_test(what_waits_in_the_queue_is_not_posted_again),
        cmocka_unit_test(a_segment_that_did_nothing_goes_again_alone),
        cmocka_unit_test(a_head_that_goes_back_can_be_posted_at),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
