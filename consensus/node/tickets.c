#include "consensus/node/tickets.h"

#include <stdlib.h>

#include "common/digest_index.h"

enum stage { STAGE_SEALED, STAGE_ACCEPTED, STAGE_CERTIFIED, STAGE_COMMITTED };

/* One batch and everybody who waits for it. */
struct entry {
    struct digest digest;
    enum stage stage;
    uint64_t index; /* COMMITTED */
    uint32_t position;
    uint64_t *tickets;
    size_t count;
    size_t capacity;
};

struct tickets {
    struct api *api;
    struct digest_index *entries;
    struct digest done[TICKETS_DONE_MAX]; /* ring of committed digests, oldest forgotten first */
    size_t done_next;
    size_t done_count;
};

struct tickets *tickets_open(struct api *api)
{
    struct tickets *tickets = calloc(1, sizeof *tickets);
    CHECK(tickets != NULL);
    tickets->api = api;
    tickets->entries = digest_index_new();
    return tickets;
}

static void entry_free(void *context, void *value)
{
    struct entry *entry = value;
    (void)context;
    free(entry->tickets);
    free(entry);
}

void tickets_close(struct tickets *tickets)
{
    if (tickets == NULL) return;
    digest_index_each(tickets->entries, entry_free, NULL);
    digest_index_free(tickets->entries);
    free(tickets);
}

/* Tells one ticket where its batch is now. */
static void tell(struct tickets *tickets, const struct entry *entry, uint64_t ticket)
{
    if (tickets->api == NULL) return;
    switch (entry->stage) {
    case STAGE_SEALED:
        break;
    case STAGE_ACCEPTED:
        api_post_accepted(tickets->api, ticket, &entry->digest);
        break;
    case STAGE_CERTIFIED:
        api_post_certified(tickets->api, ticket, &entry->digest);
        break;
    case STAGE_COMMITTED:
        api_post_committed(tickets->api, ticket, &entry->digest, entry->index, entry->position);
        break;
    }
}

static void entry_add(struct entry *entry, uint64_t ticket)
{
    if (entry->count == entry->capacity) {
        size_t capacity = entry->capacity == 0 ? 1 : entry->capacity * 2;
        uint64_t *grown = realloc(entry->tickets, capacity * sizeof *grown);
        CHECK(grown != NULL);
        entry->tickets = grown;
        entry->capacity = capacity;
    }
    entry->tickets[entry->count++] = ticket;
}

bool tickets_add(struct tickets *tickets, uint64_t ticket, const struct digest *digest)
{
    struct entry *entry = digest_index_get(tickets->entries, digest);
    bool is_first = entry == NULL;

    if (is_first) {
        entry = calloc(1, sizeof *entry);
        CHECK(entry != NULL);
        entry->digest = *digest;
        digest_index_add(tickets->entries, digest, entry);
    }
    tell(tickets, entry, ticket);
    if (entry->stage != STAGE_COMMITTED) entry_add(entry, ticket);
    return is_first;
}

static void advance(struct tickets *tickets, struct entry *entry, enum stage stage)
{
    if (entry->stage >= stage) return;
    entry->stage = stage;
    for (size_t i = 0; i < entry->count; i++)
        tell(tickets, entry, entry->tickets[i]);
}

void tickets_accepted(struct tickets *tickets, const struct digest *digest)
{
    struct entry *entry = digest_index_get(tickets->entries, digest);
    if (entry != NULL) advance(tickets, entry, STAGE_ACCEPTED);
}

void tickets_certified(struct tickets *tickets, const struct digest *digest)
{
    struct entry *entry = digest_index_get(tickets->entries, digest);
    if (entry != NULL) advance(tickets, entry, STAGE_CERTIFIED);
}

/* Remembers a committed entry in the place of the oldest one. */
static void remember(struct tickets *tickets, const struct digest *digest)
{
    struct digest *slot = &tickets->done[tickets->done_next];

    if (tickets->done_count == TICKETS_DONE_MAX) {
        struct entry *oldest = digest_index_remove(tickets->entries, slot);
        CHECK(oldest != NULL);
        entry_free(NULL, oldest);
    } else {
        tickets->done_count++;
    }
    *slot = *digest;
    tickets->done_next = (tickets->done_next + 1) % TICKETS_DONE_MAX;
}

void tickets_committed(struct tickets *tickets,
                       const struct digest *digest,
                       uint64_t index,
                       uint32_t position)
{
    struct entry *entry = digest_index_get(tickets->entries, digest);

    if (entry == NULL || entry->stage == STAGE_COMMITTED) return;
    entry->index = index;
    entry->position = position;
    advance(tickets, entry, STAGE_COMMITTED);
    free(entry->tickets);
    entry->tickets = NULL;
    entry->count = 0;
    entry->capacity = 0;
    remember(tickets, digest);
}

static void fail(struct tickets *tickets, struct entry *entry, const char *reason)
{
    if (tickets->api == NULL) return;
    for (size_t i = 0; i < entry->count; i++)
        api_post_failed(tickets->api, entry->tickets[i], reason);
    entry->count = 0;
}

void tickets_failed(struct tickets *tickets, const struct digest *digest, const char *reason)
{
    struct entry *entry = digest_index_get(tickets->entries, digest);

    if (entry == NULL || entry->stage == STAGE_COMMITTED) return;
    fail(tickets, entry, reason);
    (void)digest_index_remove(tickets->entries, digest);
    entry_free(NULL, entry);
}

static void fail_at_stop(void *context, void *value)
{
    fail(context, value, "the node is stopping");
}

void tickets_stop(struct tickets *tickets)
{
    digest_index_each(tickets->entries, fail_at_stop, tickets);
}
