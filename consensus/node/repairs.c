#include "consensus/node/repairs.h"

#include <stdlib.h>

struct repair {
    struct digest digest;
    uint32_t worker;
    uint32_t asked;   /* peers so far, each counted every time */
    authority_t peer; /* the last one */
};

struct repairs {
    struct repairs_options options;
    struct repair items[REPAIRS_MAX];
    size_t count;
};

struct repairs *repairs_open(const struct repairs_options *options)
{
    struct repairs *repairs = calloc(1, sizeof *repairs);

    CHECK(repairs != NULL);
    CHECK(options->self < options->authorities);
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
        repair->peer = (authority_t)((repair->peer + 1u) % options->authorities);
    } while (repair->peer == options->self);
    repair->asked++;
    options->ask(options->context, repair->peer, &repair->digest, repair->worker);
}

bool repairs_begin(struct repairs *repairs, const struct digest *digest, uint32_t worker)
{
    struct repair *repair;

    if (find(repairs, digest) != NULL) return true;
    if (repairs->count == REPAIRS_MAX || repairs->options.authorities == 1) return false;
    repair = &repairs->items[repairs->count++];
    /* Not everybody begins with the same peer, and not every batch: its digest is as good as chance. */
    *repair =
        (struct repair){.digest = *digest,
                        .worker = worker,
                        .peer = (authority_t)(digest->bytes[0] % repairs->options.authorities)};
    ask_next(repairs, repair);
    return true;
}

static void take_off(struct repairs *repairs, struct repair *repair)
{
    *repair = repairs->items[--repairs->count];
}

void repairs_turn(struct repairs *repairs)
{
    const struct repairs_options *options = &repairs->options;
    size_t i = 0;

    while (i < repairs->count) {
        struct repair *repair = &repairs->items[i];
        const struct digest digest = repair->digest;

        if (repair->asked < REPAIR_CIRCLES * (options->authorities - 1)) {
            ask_next(repairs, repair);
            i++;
            continue;
        }
        take_off(repairs, repair);
        options->give_up(options->context, &digest);
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
