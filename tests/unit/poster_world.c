#include "tests/unit/poster_world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/batch.h"
#include "common/crypto.h"
#include "tests/unit/unit.h"

/* ---- pre-blocks ------------------------------------------------------------------------------ */

static struct preblock headers[PREBLOCKS + 1];
static struct bytes batches[PREBLOCKS + 1][200];
static struct quorum quorum = {.count = 5, .signers = {0, 1, 2, 3, 4}};
struct da_preblock *model_preblocks[PREBLOCKS + 1];

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

struct da_preblock *model_preblock_make(uint64_t index)
{
    struct da_preblock *preblock;

    assert_int_equal(da_preblock_make(&preblock, &headers[index], &quorum, batches[index],
                                      headers[index].batches),
                     OK);
    return preblock;
}

int model_set_up(void **state)
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
        model_preblocks[index] = model_preblock_make(index);
        assert_true(model_preblocks[index]->pages_count <= PAGES_MAX);
    }
    return 0;
}

int model_tear_down(void **state)
{
    (void)state;
    for (uint64_t index = 1; index <= PREBLOCKS; index++) {
        for (uint32_t b = 0; b < headers[index].batches; b++)
            free((uint8_t *)(uintptr_t)batches[index][b].data);
        da_preblock_free(model_preblocks[index]);
    }
    return 0;
}

/* ---- the rollup ------------------------------------------------------------------------------ */

struct state *rollup_now(struct rollup *rollup)
{
    return &rollup->states[rollup->level % 16];
}

bool rollup_chance(struct rollup *rollup, uint32_t percent)
{
    return unit_random_below(&rollup->seed, 100) < percent;
}

void rollup_open(struct rollup *rollup, uint64_t seed, uint32_t keys)
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
    const struct da_preblock *preblock = model_preblocks[index];

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
            for (uint32_t p = 0; p < model_preblocks[index]->pages_count; p++) {
                if (state->pages[index][p]) continue;
                if (!digest_equal(&digest, &model_preblocks[index]->pages[p].digest)) continue;
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
        for (uint32_t p = 0; p < model_preblocks[state->applied + 1]->pages_count; p++) {
            if (!state->pages[state->applied + 1][p]) return;
        }
        state->applied++;
        memset(state->pages[state->applied], 0, sizeof state->pages[0]);
    }
}

/* The next level: operations that were made are included, then new ones are made. */
void rollup_level(struct rollup *rollup)
{
    static const struct sent *included[2000];
    uint32_t count = 0;
    size_t room;

    if (rollup_chance(rollup, rollup->undo) && rollup->level > 110) {
        /* Two levels are undone; what they held is lost, as far as anybody knows. */
        rollup->level -= 2;
        for (uint32_t i = 0; i < rollup->sent_count; i++) {
            if (rollup->sent[i].fate == INCLUDED && rollup->sent[i].level > rollup->level)
                rollup->sent[i].fate = LOST;
        }
        return;
    }
    rollup->states[(rollup->level + 1) % 16] = *rollup_now(rollup);
    rollup->level++;
    for (uint32_t i = 0; i < rollup->sent_count; i++) {
        struct sent *sent = &rollup->sent[i];
        if (sent->fate != INJECTED || rollup_chance(rollup, rollup->hold)) continue;
        sent->fate = rollup_chance(rollup, rollup->lose) ? LOST : INCLUDED;
        sent->level = rollup->level;
        if (sent->fate == INCLUDED && count < 2000) included[count++] = sent;
    }
    take_segments(rollup_now(rollup), included, count);
    take_pages(rollup_now(rollup), included, count);
    apply(rollup_now(rollup));
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

uint32_t poster_promised_keys = 1;

void poster_feed(struct da_poster *poster, struct rollup *rollup, uint64_t certified)
{
    uint64_t next = da_poster_next(poster);

    if (next == 0) next = rollup_now(rollup)->applied + 1;
    for (; next <= certified && !da_poster_is_full(poster); next++)
        da_poster_add(poster, model_preblock_make(next));
}

void poster_show_head(struct da_poster *poster, struct rollup *rollup)
{
    static struct digest digests[PAGES_MAX];
    struct da_message late[256];
    struct digest ids[256];
    uint64_t wanted[64];
    const struct state *state = rollup_now(rollup);
    const struct state *before = &rollup->states[(rollup->level - 2) % 16];
    const struct da_head head = {rollup->level, state->accepted, state->applied, before->applied};

    da_poster_head(poster, &head);
    uint32_t count = da_poster_wanted(poster, wanted, 64);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t shown = 0;
        for (uint32_t p = 0; p < model_preblocks[wanted[i]]->pages_count; p++) {
            if (state->pages[wanted[i]][p])
                digests[shown++] = model_preblocks[wanted[i]]->pages[p].digest;
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
    return !model_preblocks[index]->pages[page].manifest &&
           model_preblocks[index]->pages[page].kind == PAGE_CONTENT;
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
        for (uint32_t p = 0; p < model_preblocks[message->index]->pages_count; p++)
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

bool poster_post(struct da_poster *poster, struct rollup *rollup)
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
    if (rollup_chance(rollup, rollup->refuse)) return false;
    for (uint32_t i = 0; i < plan.count; i++)
        inject(rollup, &ids[i], messages[i], lens[i], plan.drop_duplicate);
    /* The answer may be lost although the messages were taken. */
    if (rollup_chance(rollup, rollup->refuse)) return false;
    da_poster_posted(poster, &plan, ids);
    struct da_figures figures;
    da_poster_figures(poster, &figures);
    assert_true(figures.outstanding_bytes <= 2 * poster_promised_keys * INBOX_OPERATION_BYTES_MAX ||
                !plan.drop_duplicate);
    /* One POST in a level. */
    da_poster_plan(poster, &plan);
    assert_int_equal(plan.count, 0);
    return true;
}

bool rollup_is_done(struct rollup *rollup)
{
    return rollup_now(rollup)->applied == PREBLOCKS;
}
