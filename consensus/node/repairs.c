#include "consensus/node/repairs.h"

#include <stdlib.h>

struct repair {
    struct digest digest;
    uint32_t worker;
    uint32_t asked;              /* peers so far, each counted every time */
    authority_t peer;            /* the last one */
    struct authority_set absent; /* who said that it has not got it, this member included */
};

/* The first REPAIRS_ASKED_MAX are asked for, the others wait. */
struct repairs {
    struct repairs_options options;
    struct repair items[REPAIRS_MAX];
    size_t count;
};

struct repairs *repairs_open(const struct repairs_options *options)
{
    struct repairs *repairs = calloc(1, sizeof *repairs);

    CHECK(repairs != NULL);
    CHECK(options->self < options->committee->count);
    repairs->options = *options;
    return repairs;
}

void repairs_close(struct repairs *repairs)
{
    free(repairs);
}

static struct repair *find(struct repairs *repairs, const struct digest *digest)
{
    for (size_t i = 0; i < repairs->count; i++)
        if (digest_equal(&repairs->items[i].digest, digest)) return &repairs->items[i];
    return NULL;
}

static void ask_next(struct repairs *repairs, struct repair *repair)
{
    const struct repairs_options *options = &repairs->options;

    do {
        repair->peer = (authority_t)((repair->peer + 1u) % options->committee->count);
    } while (repair->peer == options->self);
    repair->asked++;
    options->ask(options->context, repair->peer, &repair->digest, repair->worker);
}

enum repair_begun repairs_begin(struct repairs *repairs,
                                const struct digest *digest,
                                uint32_t worker)
{
    const uint32_t authorities = repairs->options.committee->count;
    struct repair *repair;

    if (find(repairs, digest) != NULL) return REPAIR_GOES_ON;
    if (repairs->count == REPAIRS_MAX || authorities == 1) return REPAIR_REFUSED;
    repair = &repairs->items[repairs->count++];
    /* Not every batch is asked of the same peer first: its digest is as good as chance. */
    *repair = (struct repair){
        .digest = *digest, .worker = worker, .peer = (authority_t)(digest->bytes[0] % authorities)};
    authority_set_add(&repair->absent, repairs->options.self);
    if (repairs->count <= REPAIRS_ASKED_MAX) ask_next(repairs, repair);
    return REPAIR_BEGUN;
}

/* The last one takes its place, and its turn with it. */
static void take_off(struct repairs *repairs, struct repair *repair)
{
    const struct repair *last = &repairs->items[--repairs->count];

    if (repair == last) return;
    *repair = *last;
    if (repair->asked == 0) ask_next(repairs, repair);
}

static bool is_nowhere(const struct repairs *repairs, const struct repair *repair)
{
    const struct committee *committee = repairs->options.committee;
    const stake_t absent = committee_stake(committee, &repair->absent);

    if (absent == committee->total) return true;
    return repair->asked >= REPAIR_CIRCLES * (committee->count - 1) && absent >= committee->quorum;
}

static void give_up(struct repairs *repairs, struct repair *repair)
{
    const struct digest digest = repair->digest;

    take_off(repairs, repair);
    repairs->options.give_up(repairs->options.context, &digest);
}

void repairs_note_absent(struct repairs *repairs, authority_t peer, const struct digest *digest)
{
    struct repair *repair = find(repairs, digest);

    if (repair == NULL || authority_set_has(&repair->absent, peer)) return;
    authority_set_add(&repair->absent, peer);
    if (is_nowhere(repairs, repair))
        give_up(repairs, repair);
    else if (repair->asked > 0 && repair->peer == peer)
        ask_next(repairs, repair);
}

void repairs_turn(struct repairs *repairs)
{
    size_t i = 0;

    while (i < repairs->count && i < REPAIRS_ASKED_MAX) {
        struct repair *repair = &repairs->items[i];

        if (is_nowhere(repairs, repair)) {
            give_up(repairs, repair);
        } else {
            ask_next(repairs, repair);
            i++;
        }
    }
}

bool repairs_end(struct repairs *repairs, const struct digest *digest)
{
    struct repair *repair = find(repairs, digest);

    if (repair == NULL) return false;
    take_off(repairs, repair);
    return true;
}

size_t repairs_count(const struct repairs *repairs)
{
    return repairs->count;
}
