/* A scripted rollup for tests of the poster: a batcher with keys, an inbox that takes only what the kernel would take, and
 * faults by a seed: messages lost, held up, POSTs refused (some of them taken all the same), levels undone. Beside it the
 * pre-blocks that there are, and what a sequencer does at a head and with a plan; rules of posting are checked at each
 * POST. */
#ifndef TESTS_UNIT_POSTER_WORLD_H
#define TESTS_UNIT_POSTER_WORLD_H

#include "sequencer/da_poster.h"

#define PREBLOCKS    40u
#define LEVELS_MAX   4000
#define MESSAGES_MAX 60000u
#define PAGES_MAX    400u

/* ---- pre-blocks ------------------------------------------------------------------------------ */

/* What there is to know about each, from 1; between model_set_up and model_tear_down (of a group of tests). */
extern struct da_preblock *model_preblocks[PREBLOCKS + 1];
int model_set_up(void **state);
int model_tear_down(void **state);

/* One of them, as consensus delivers it; the caller owns it. */
struct da_preblock *model_preblock_make(uint64_t index);

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

/* `sent` is the caller's to free. */
void rollup_open(struct rollup *rollup, uint64_t seed, uint32_t keys);

/* The next level, or (faults) two levels back. */
void rollup_level(struct rollup *rollup);

struct state *rollup_now(struct rollup *rollup);
bool rollup_is_done(struct rollup *rollup); /* everything is applied */
bool rollup_chance(struct rollup *rollup, uint32_t percent);

/* ---- a sequencer ----------------------------------------------------------------------------- */

/* Batching keys that the posters were told of. */
extern uint32_t poster_promised_keys;

/* Pre-blocks up to `certified` into the window; the state at head; one plan, checked and posted: false when there was
 * nothing to post, or the POST failed. */
void poster_feed(struct da_poster *poster, struct rollup *rollup, uint64_t certified);
void poster_show_head(struct da_poster *poster, struct rollup *rollup);
bool poster_post(struct da_poster *poster, struct rollup *rollup);

#endif
