/* A flood of messages for the kernel: valid ones duplicated, too early, too late and in any order, among far more
 * that anybody may post and that must not be heeded. Each level goes to the kernel in the host library and to the
 * model, and the whole durable state of both is compared. With the kernel built for the tests (the default build of
 * this program) transactions trap in the middle of their step and runs end after any number of bytes.
 *
 *     kernel_flood [--messages N] [--seed S]
 *
 * Story i of a run is a function of S + i alone: what fails says how to see it again. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "tests/kernel/rig.h"
#include "tests/kernel/scenario.h"

#define MEMBERS         7u
#define STORY_LEVELS    24
#define LEVEL_JUNK_MAX  2600u
#define VALID_MAX       256u /* messages of a story that mutations start from */
#define SEGMENTS_VALID  40u
#define TRAPPING_LEADER 40

struct totals {
    uint64_t messages;
    uint64_t levels;
    uint64_t stories;
    uint64_t applied;
    uint64_t skipped;
    uint64_t runs;
    uint64_t traps;
};

struct story {
    uint64_t seed;
    uint64_t random;
    struct chain chain;
    struct rig rig;
    uint8_t fork[153];
    struct blob segments[SEGMENTS_VALID]; /* valid */
    struct blob forged[SEGMENTS_VALID];   /* signed, but not as it must be */
    struct blob pages[VALID_MAX];
    size_t pages_count;
};

static struct totals totals;
static struct story story;

#ifndef RIG_NATIVE
static struct rig_kernel test_kernel;
#endif

static uint32_t below(uint32_t bound)
{
    return random_below(&story.random, bound);
}

static struct blob copy_of(const struct blob *original)
{
    struct blob copy = {0};

    blob_add(&copy, original->data, original->len);
    return copy;
}

/* ---- the story's chain and its messages ------------------------------------------------------ */

/* Not what the kernel built for the tests would trap at of its own accord: the model knows. */
static void make_chain(void)
{
    const uint32_t count = 6 + below(10);

    chain_open(&story.chain, story.seed, MEMBERS);
    for (uint32_t i = 0; i < count; i++) {
        struct chain_batch batches[6];
        const uint32_t batches_count = 1 + below(6);
        for (uint32_t b = 0; b < batches_count; b++) {
            batch_random(&batches[b], &story.random, 1 + below(6), 1 + below(b == 0 ? 2000 : 60));
#ifndef RIG_NATIVE
            if (below(4) == 0) batch_add(&batches[b], MODEL_TRAP "s", 5);
            if (below(8) == 0) batch_add(&batches[b], "after", 5);
#endif
            if (below(20) == 0) blob_u8(&batches[b].bytes, 0xff); /* not canonical */
        }
        chain_append(&story.chain, batches, batches_count, below(10) == 0);
    }
}

static uint64_t any_index(void)
{
    return 1 + below(story.chain.count);
}

/* Signed by the wrong members, or over a header that this kernel must not take. */
static void make_forged(struct blob *ret_blob)
{
    uint8_t signers[CHAIN_MEMBERS_MAX] = {0, 1, 2, 3, 4, 5, 6, 7};
    const uint64_t index = any_index();
    uint32_t count = story.chain.quorum;
    uint8_t header[153];

    memcpy(header, story.chain.preblocks[index - 1].header, sizeof header);
    switch (below(7)) {
    case 0:
        count--;
        break;
    case 1:
        signers[2] = signers[1];
        break;
    case 2:
        signers[0] = 1;
        signers[1] = 0;
        break;
    case 3:
        signers[4] = (uint8_t)(MEMBERS + below(249));
        break;
    case 4: /* another epoch */
        header[1 + below(8)] ^= 128;
        message_header(ret_blob, &story.chain, header);
        return;
    case 5: /* another version */
        header[0] = 2;
        message_header(ret_blob, &story.chain, header);
        return;
    default: /* index 0 or far away */
        memset(header + 9, below(2) == 0 ? 0 : 0xff, 8);
        message_header(ret_blob, &story.chain, header);
        return;
    }
    message_segment(ret_blob, &story.chain, index, index, signers, count);
}

static void make_messages(void)
{
    for (size_t i = 0; i < SEGMENTS_VALID; i++) {
        const uint64_t first = any_index();
        const uint64_t last = first + below(3);
        message_segment_quorum(&story.segments[i], &story.chain, first,
                               last < story.chain.count ? last : story.chain.count);
        make_forged(&story.forged[i]);
    }
    story.pages_count = 0;
    for (uint32_t i = 0; i < story.chain.count; i++) {
        const struct chain_preblock *preblock = &story.chain.preblocks[i];
        for (int p = 0; p < preblock->pages_count && story.pages_count < VALID_MAX; p++) {
            message_page(&story.pages[story.pages_count++], &story.chain, preblock->index, below(4),
                         &preblock->pages[p].bytes);
        }
    }
    memcpy(story.fork, story.chain.preblocks[below(story.chain.count)].header, sizeof story.fork);
    story.fork[17 + below(32)] ^= 1;
}

/* ---- junk ------------------------------------------------------------------------------------ */

static void noise(struct blob *blob, uint32_t len)
{
    for (; len >= 8; len -= 8)
        blob_little(blob, random_next(&story.random), 8);
    for (; len > 0; len--)
        blob_u8(blob, below(256));
}

static struct blob mutated_segment(void)
{
    struct blob blob = copy_of(&story.segments[below(SEGMENTS_VALID)]);

    switch (below(3)) {
    case 0:
        blob.data[below((uint32_t)blob.len)] ^= (uint8_t)(1u << below(8));
        break;
    case 1:
        blob.len = below((uint32_t)blob.len);
        break;
    default:
        noise(&blob, 1 + below(200));
        break;
    }
    return blob;
}

#define PAGE_BEGIN 31u /* frame 22, index 8, attempt 1 */

static struct blob mutated_page(void)
{
    struct blob blob = copy_of(&story.pages[below((uint32_t)story.pages_count)]);

    switch (below(4)) {
    case 0:
        blob.data[PAGE_BEGIN + below((uint32_t)blob.len - PAGE_BEGIN)] ^= (uint8_t)(1u << below(8));
        break;
    case 1:
        blob.len = below((uint32_t)blob.len);
        break;
    case 2: /* for a pre-block that never comes */
        blob.data[22 + 1 + below(7)] ^= (uint8_t)(1u << below(8));
        break;
    default:
        blob.len = blob.len < 3900 ? blob.len : 3900;
        noise(&blob, 1 + below(190));
        break;
    }
    return blob;
}

static void add_junk(void)
{
    struct blob blob = {0};

    switch (below(16)) {
    case 0:
        blob = copy_of(&story.forged[below(SEGMENTS_VALID)]);
        break;
    case 1:
    case 2:
        blob = mutated_segment();
        break;
    case 3:
    case 4:
    case 5:
        blob = mutated_page();
        break;
    case 6: /* another rollup's frame, or another protocol's */
        blob = copy_of(&story.segments[below(SEGMENTS_VALID)]);
        blob.data[below(21)] ^= (uint8_t)(1u << below(8));
        break;
    case 7: /* an unknown tag */
    case 8:
        message_frame(&blob, &story.chain, below(2) == 0 ? 0 : 3 + below(253));
        noise(&blob, below(300));
        break;
    case 9: /* noise that begins as something known */
    case 10:
        message_frame(&blob, &story.chain, 1 + below(2));
        noise(&blob, below(600));
        break;
    case 11: /* as long as a message may be */
        noise(&blob, 4095 - below(3));
        break;
    default: /* of any length, empty included */
        noise(&blob, below(120));
        break;
    }
    rig_junk(&story.rig, &blob);
}

/* ---- levels ---------------------------------------------------------------------------------- */

/* Segments of any range, gaps and old ones too; pages around the pre-block being applied, some before their segment
 * and lost, some twice; a fork now and then. */
static void add_valid(void)
{
    const uint64_t count = story.chain.count;

    for (uint32_t left = below(4); left > 0; left--) {
        const uint64_t first = any_index();
        const uint64_t last = first + below(4);
        rig_segment(&story.rig, first, last < count ? last : count);
    }
    for (uint32_t left = below(50); left > 0; left--) {
        uint64_t index = story.rig.model.applied + 1 + below(3);
        if (index > count) index = any_index();
        const uint32_t pages = (uint32_t)story.chain.preblocks[index - 1].pages_count;
        rig_page(&story.rig, index, (int)below(pages), below(3));
    }
    if (below(8) == 0) {
        struct blob blob;
        message_header(&blob, &story.chain, story.fork);
        rig_add(&story.rig, &blob, (struct model_message){MODEL_FORK, 0, 0, story.fork});
    }
}

static void add_whole(uint64_t first, uint64_t last)
{
    rig_segment(&story.rig, first, last);
    for (uint64_t index = first; index <= last; index++)
        rig_pages(&story.rig, index);
}

static bool run_level(void)
{
    const size_t count = story.rig.count;

    rig_shuffle(&story.rig, &story.random);
#ifndef RIG_NATIVE
    rig_set_budget(&story.rig, 1 + below(below(2) == 0 ? 40 : 4000));
#endif
    if (!rig_level(&story.rig)) return false;
    totals.messages += count;
    totals.levels++;
    return true;
}

static bool tell(uint64_t seed)
{
    const char *why = NULL;

    for (int level = 0; level < STORY_LEVELS; level++) {
        const uint64_t next = story.rig.model.applied + 1;
        for (uint32_t left = below(LEVEL_JUNK_MAX); left > 0; left--)
            add_junk();
        add_valid();
        if (level % 2 == 1 && next <= story.chain.count) add_whole(next, next);
        if (!run_level()) why = "the durable state is not the model's";
        if (why != NULL) break;
    }
    if (why == NULL) {
        add_whole(1, story.chain.count);
        if (!run_level() || story.rig.model.applied != story.chain.count)
            why = "not everything was applied in the end";
    }
    if (why == NULL) return true;
    fprintf(stderr, "kernel_flood: %s, level %d; again: --seed %" PRIu64 " --messages 1\n", why,
            (int)(story.rig.level - 100), seed);
    return false;
}

static bool run_story(uint64_t seed)
{
    const struct rig_kernel *kernel = NULL;

    memset(&story, 0, sizeof story);
    story.seed = seed;
    story.random = seed;
    make_chain();
    make_messages();
    const unsigned mode = below(8) == 0; /* pages by reveal */
#ifndef RIG_NATIVE
    kernel = &test_kernel;
#endif
    if (below(2) == 0) {
        rig_open_log(&story.rig, &story.chain, 1 + below(4), mode, kernel);
    } else {
        rig_open(&story.rig, &story.chain, MODEL_COUNTER, mode, kernel);
    }
    story.rig.model.traps = kernel != NULL;
    const bool good = tell(seed);
    totals.stories++;
    totals.applied += story.rig.model.applied;
    totals.skipped += story.rig.model.skipped;
    totals.runs += pvm_runs(story.rig.pvm);
    totals.traps += pvm_traps(story.rig.pvm);
    for (size_t i = 0; i < SEGMENTS_VALID; i++) {
        blob_free(&story.segments[i]);
        blob_free(&story.forged[i]);
    }
    for (size_t i = 0; i < story.pages_count; i++)
        blob_free(&story.pages[i]);
    rig_close(&story.rig);
    chain_close(&story.chain);
    return good;
}

/* ---- the program ----------------------------------------------------------------------------- */

static bool number(uint64_t *ret, const char *text)
{
    char *end;

    errno = 0;
    *ret = strtoull(text, &end, 10);
    return errno == 0 && *text >= '0' && *text <= '9' && *end == 0;
}

static int usage(FILE *file)
{
    fprintf(file,
            "usage: kernel_flood [--messages N (100000)] [--seed S (1)]\n"
            "Adversarial inbox messages through the kernel, its state compared with a model.\n");
    return file == stdout ? 0 : 2;
}

int main(int argc, char **argv)
{
    uint64_t messages = 100000;
    uint64_t seed = 1;
    const time_t begin = time(NULL);

    for (int i = 1; i < argc; i++) {
        uint64_t *value = NULL;
        if (strcmp(argv[i], "--help") == 0) return usage(stdout);
        if (strcmp(argv[i], "--messages") == 0) value = &messages;
        if (strcmp(argv[i], "--seed") == 0) value = &seed;
        if (value == NULL || i + 1 == argc || !number(value, argv[++i])) return usage(stderr);
    }
#ifndef RIG_NATIVE
    rig_kernel_load(&test_kernel, KERNEL_TRAPS, KERNEL_TRAPS_LIBRARY);
#endif
    while (totals.messages < messages) {
        if (!run_story(seed + totals.stories)) return 1;
        if (isatty(STDERR_FILENO))
            fprintf(stderr, "\r%" PRIu64 " of %" PRIu64 " messages", totals.messages, messages);
    }
    if (isatty(STDERR_FILENO)) fputc('\n', stderr);
    printf("%" PRIu64 " messages in %" PRIu64 " levels of %" PRIu64 " stories from seed %" PRIu64
           ": %" PRIu64 " pre-blocks applied in %" PRIu64 " runs, %" PRIu64 " traps, %" PRIu64
           " transactions skipped; %ld s; every state as the model says\n",
           totals.messages, totals.levels, totals.stories, seed, totals.applied, totals.runs,
           totals.traps, totals.skipped, (long)(time(NULL) - begin));
    return 0;
}
