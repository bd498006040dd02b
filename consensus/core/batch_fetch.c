/* The batch table: which missing batches to ask for, when, and whom. */
#include "consensus/core/batch_table_internal.h"

/* When a missing batch should be asked for. Once it gave way (created_at UINT64_MAX) its author's stream
 * tells nothing. */
static uint64_t entry_due(const struct batch_table *table, const struct batch_entry *entry)
{
    uint64_t patience_us;

    if (table->streamed_until[entry->author] > entry->created_at) return 0;
    if (entry->created_at == UINT64_MAX) return entry->due_us;
    patience_us = entry->due_us + BATCH_PATIENCE_US;
    return u64_max(entry->due_us, u64_min(table->stream_due_us[entry->author], patience_us));
}

/* It may be that nobody has it. */
static bool entry_is_uncertain(const struct batch_entry *entry)
{
    return entry->pins == 0 && !entry->certified;
}

/* A due entry of FETCHING, or BATCH_NONE; those that give way go back to MISSING. */
static uint32_t fetching_due(struct batch_table *table, uint64_t *deadline_us, uint64_t now_us)
{
    uint32_t number = table->lists[BATCH_LIST_FETCHING].first;

    while (number != BATCH_NONE) {
        struct batch_entry *entry = &table->entries[number];
        uint32_t next = entry->next;

        if (entry->due_us > now_us) {
            *deadline_us = u64_min(*deadline_us, entry->due_us);
        } else if (entry->asked >= BATCH_ASKED_MAX && entry_is_uncertain(entry)) {
            entry->due_us = now_us + BATCH_GIVE_WAY_US;
            entry->asked = 0;
            entry->created_at = UINT64_MAX; /* its author's stream tells nothing any more */
            batch_entry_move(table, number, BATCH_LIST_MISSING, false);
        } else {
            return number;
        }
        number = next;
    }
    return BATCH_NONE;
}

uint32_t batch_table_fetches(const struct batch_table *table)
{
    uint64_t fitting = BATCH_FETCH_BYTES / u64_max(1, table->fetched_bytes);

    return (uint32_t)u64_max(BATCH_FETCHES_MIN, u64_min(fitting, BATCH_FETCHES_MAX));
}

/* Per author: fetches under way of batches that may not exist. */
static void count_uncertain(const struct batch_table *table, uint16_t *ret_counts)
{
    uint32_t number = table->lists[BATCH_LIST_FETCHING].first;

    memset(ret_counts, 0, AUTHORITIES_MAX * sizeof *ret_counts);
    for (; number != BATCH_NONE; number = table->entries[number].next) {
        const struct batch_entry *entry = &table->entries[number];

        if (entry_is_uncertain(entry)) ret_counts[entry->author]++;
    }
}

/* A due entry of MISSING, or BATCH_NONE. Those whose author has its share under way go to the end, so that
 * they hide nobody's. */
static uint32_t missing_due(struct batch_table *table, uint64_t *deadline_us, uint64_t now_us)
{
    uint32_t fetches = batch_table_fetches(table);
    uint32_t share = (uint32_t)u64_max(1, fetches / table->committee->count);
    uint32_t number = table->lists[BATCH_LIST_MISSING].first;
    uint16_t uncertain[AUTHORITIES_MAX];

    if (table->lists[BATCH_LIST_FETCHING].count >= fetches) return BATCH_NONE;
    count_uncertain(table, uncertain);
    for (uint32_t scanned = 0; number != BATCH_NONE && scanned < BATCH_SCAN_MAX; scanned++) {
        const struct batch_entry *entry = &table->entries[number];
        uint32_t next = entry->next;

        if (entry_is_uncertain(entry) && uncertain[entry->author] >= share) {
            batch_entry_move(table, number, BATCH_LIST_MISSING, false);
        } else {
            uint64_t due = entry_due(table, entry);

            if (due <= now_us) return number;
            *deadline_us = u64_min(*deadline_us, due);
        }
        number = next;
    }
    return BATCH_NONE;
}

uint32_t batch_table_fetch_due(struct batch_table *table,
                               uint64_t *ret_deadline_us,
                               uint64_t now_us)
{
    uint64_t deadline = UINT64_MAX;
    uint32_t number = fetching_due(table, &deadline, now_us);
    struct batch_entry *entry;

    if (number == BATCH_NONE) {
        number = missing_due(table, &deadline, now_us);
        if (number == BATCH_NONE) {
            *ret_deadline_us = deadline;
            return BATCH_NONE;
        }
        entry = &table->entries[number];
        entry->next_peer = entry->author;
        entry->asked = 0;
        batch_entry_move(table, number, BATCH_LIST_FETCHING, false);
    }
    entry = &table->entries[number];
    entry->due_us =
        now_us + ((uint64_t)BATCH_FETCH_RETRY_US << u64_min(entry->asked, BATCH_FETCH_DOUBLINGS));
    entry->asked++;
    return number;
}

uint32_t batch_table_fetch_peers(const struct batch_table *table, uint32_t number)
{
    return table->entries[number].asked <= 2 ? 1 : 2;
}

authority_t batch_table_fetch_peer(struct batch_table *table, uint32_t number)
{
    struct batch_entry *entry = batch_table_entry(table, number);
    uint32_t count = table->committee->count;
    bool holders_only =
        entry->asked <= BATCH_ASKED_HOLDERS && !authority_set_is_empty(&entry->holders);
    authority_t peer = entry->next_peer;

    CHECK(entry->list == BATCH_LIST_FETCHING);
    /* Where the round robin begins differs from batch to batch, so that the load spreads. */
    if (holders_only && entry->asked == 1)
        peer = (authority_t)(((uint32_t)peer + 1u + entry->digest.bytes[0]) % count);
    /* Later everybody in turn: who is known to hold it may be gone. */
    for (uint32_t tries = 0; tries < 2 * count; tries++) {
        bool holder = authority_set_has(&entry->holders, peer);

        if (peer != table->self && (!holders_only || holder || tries >= count)) break;
        peer = (authority_t)((peer + 1) % count);
    }
    entry->next_peer = (authority_t)((peer + 1) % count);
    return peer;
}

void batch_table_note_absent(struct batch_table *table,
                             uint32_t number,
                             authority_t peer,
                             uint64_t now_us)
{
    struct batch_entry *entry = batch_table_entry(table, number);

    CHECK(peer < table->committee->count);
    if (entry->list != BATCH_LIST_FETCHING) return;
    authority_set_remove(&entry->holders, peer);
    if (entry->asked <= table->committee->count) entry->due_us = u64_min(entry->due_us, now_us);
}
