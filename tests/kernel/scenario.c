#include "tests/kernel/scenario.h"

#include <stdlib.h>
#include <string.h>

#define PREBLOCKS 12

void scenario_chain(struct chain *ret_chain, uint64_t seed, uint32_t members)
{
    uint64_t random = seed;

    chain_open(ret_chain, seed, members);
    for (uint32_t i = 0; i < PREBLOCKS; i++) {
        struct chain_batch batches[CHAIN_BATCHES_MAX];
        uint32_t count = i % 5 == 3 ? 140 : 1 + random_below(&random, 4);
        for (uint32_t b = 0; b < count; b++) {
            uint32_t transactions = i % 4 == 2 && b == 0 ? 60 : 1 + random_below(&random, 5);
            batch_random(&batches[b], &random, transactions, i % 4 == 2 ? 600 : 40);
        }
        chain_append(ret_chain, batches, count, 0);
    }
}

/* A valid segment of some pre-block with something wrong in it. */
static void junk_segment(struct blob *blob, const struct chain *chain, uint64_t *random)
{
    uint64_t first = 1 + random_below(random, chain->count);
    uint64_t last = first + random_below(random, 2);
    uint8_t signers[CHAIN_MEMBERS_MAX] = {0, 1, 2, 3, 4, 5, 6, 7};

    if (last > chain->count) last = chain->count;
    switch (random_below(random, 5)) {
    case 0: /* 2f signers */
        message_segment(blob, chain, first, last, signers, chain->quorum - 1);
        break;
    case 1: /* one twice */
        signers[2] = signers[1];
        message_segment(blob, chain, first, last, signers, chain->quorum);
        break;
    case 2: /* not ascending */
        signers[0] = 1;
        signers[1] = 0;
        message_segment(blob, chain, first, last, signers, chain->quorum);
        break;
    case 3: /* one nobody knows */
        signers[4] = (uint8_t)(chain->members + random_below(random, 100));
        message_segment(blob, chain, first, last, signers, chain->quorum);
        break;
    default: /* one flipped bit */
        message_segment(blob, chain, first, last, signers, chain->quorum);
        blob->data[21 + random_below(random, (uint32_t)blob->len - 21)] ^=
            (uint8_t)(1u << random_below(random, 8));
        break;
    }
}

static void junk_page(struct blob *blob, const struct chain *chain, uint64_t *random)
{
    const struct chain_preblock *preblock = &chain->preblocks[random_below(random, chain->count)];
    const struct chain_page *page =
        &preblock->pages[random_below(random, (uint32_t)preblock->pages_count)];

    message_page(blob, chain, preblock->index, random_below(random, 4), &page->bytes);
    if (random_below(random, 2) == 0) { /* another content */
        blob->data[blob->len - 1] ^= 1;
    } else { /* for a pre-block that never comes, or that is 2^63 ahead */
        blob->data[22 + 7] ^= (uint8_t)(1u << random_below(random, 8));
    }
}

void scenario_junk(struct rig *rig, uint64_t *random)
{
    struct blob blob = {0};
    uint32_t kind = random_below(random, 6);

    if (kind == 0) {
        junk_segment(&blob, rig->chain, random);
    } else if (kind == 1) {
        junk_page(&blob, rig->chain, random);
    } else if (kind == 2) { /* another rollup's frame */
        message_segment_quorum(&blob, rig->chain, 1, 1);
        blob.data[1 + random_below(random, 20)] ^= 1;
    } else if (kind == 3) { /* an unknown tag */
        message_frame(&blob, rig->chain, 3 + random_below(random, 253));
        for (uint32_t left = random_below(random, 200); left > 0; left--) {
            blob_u8(&blob, random_below(random, 256));
        }
    } else if (kind == 4) { /* a valid message cut short */
        message_segment_quorum(&blob, rig->chain, 1 + random_below(random, rig->chain->count / 2),
                               rig->chain->count / 2);
        blob.len = random_below(random, (uint32_t)blob.len);
    } else { /* noise of any length, empty included */
        for (uint32_t left = random_below(random, 600); left > 0; left--) {
            blob_u8(&blob, random_below(random, 256));
        }
    }
    rig_junk(rig, &blob);
}

bool scenario_level(struct rig *rig, int level, uint64_t *random)
{
    const uint64_t count = rig->chain->count;

    if (level >= 2 * PREBLOCKS + 4) return false;
    for (uint32_t left = random_below(random, 12); left > 0; left--) {
        scenario_junk(rig, random);
    }
    /* Segments of any range, and pages of pre-blocks around the one being applied: some come before
     * their segment does and are lost, some twice, in any order. */
    for (uint32_t left = 1 + random_below(random, 3); left > 0; left--) {
        uint64_t first = 1 + random_below(random, (uint32_t)count);
        uint64_t last = first + random_below(random, 4);
        rig_segment(rig, first, last < count ? last : count);
    }
    for (uint32_t left = random_below(random, 60); left > 0; left--) {
        uint64_t index = rig->model.applied + 1 + random_below(random, 3);
        if (index > count) index = count;
        uint32_t pages = (uint32_t)rig->chain->preblocks[index - 1].pages_count;
        rig_page(rig, index, (int)random_below(random, pages), random_below(random, 3));
    }
    if (level % 2 == 1 || level > 2 * PREBLOCKS) { /* one pre-block whole, so that it goes on */
        uint64_t index = rig->model.applied + 1;
        if (index <= count) {
            rig_segment(rig, index, index);
            rig_pages(rig, index);
        }
    }
    if (level == 2 * PREBLOCKS + 3) {
        rig_segment(rig, rig->model.applied < count ? rig->model.applied + 1 : count, count);
        for (uint64_t index = rig->model.applied + 1; index <= count; index++) {
            rig_pages(rig, index);
        }
    }
    rig_shuffle(rig, random);
    return true;
}
