#include "consensus/node/wanted.h"

#include <stdlib.h>

#include "common/digest_index.h"

/* Invariant: the value of a digest in the map is the one slot of the ring that holds it. */
struct wanted {
    struct digest_index *slots;
    struct digest ring[WANTED_MAX];
    size_t next;
    size_t used; /* slots ever written */
};

struct wanted *wanted_open(void)
{
    struct wanted *wanted = calloc(1, sizeof *wanted);
    CHECK(wanted != NULL);
    wanted->slots = digest_index_new();
    return wanted;
}

void wanted_close(struct wanted *wanted)
{
    if (wanted == NULL) return;
    digest_index_free(wanted->slots);
    free(wanted);
}

void wanted_add(struct wanted *wanted, const struct digest *digest)
{
    struct digest *slot = &wanted->ring[wanted->next];

    if (digest_index_get(wanted->slots, digest) != NULL) return;
    /* The slot's digest may have been taken out, and asked for again in another slot, since. */
    if (wanted->used == WANTED_MAX && digest_index_get(wanted->slots, slot) == slot)
        (void)digest_index_remove(wanted->slots, slot);
    *slot = *digest;
    digest_index_add(wanted->slots, digest, slot);
    wanted->next = (wanted->next + 1) % WANTED_MAX;
    if (wanted->used < WANTED_MAX) wanted->used++;
    CHECK(digest_index_count(wanted->slots) <= WANTED_MAX);
}

bool wanted_remove(struct wanted *wanted, const struct digest *digest)
{
    return digest_index_remove(wanted->slots, digest) != NULL;
}

size_t wanted_count(const struct wanted *wanted)
{
    return digest_index_count(wanted->slots);
}
