#include "consensus/core/batch_table_internal.h"

void batch_table_place(struct batch_table *table,
                       struct region *region,
                       const struct committee *committee,
                       authority_t self,
                       uint64_t seed)
{
    CHECK(committee->count >= 1);
    CHECK(self < committee->count);
    table->committee = committee;
    table->self = self;
    table->capacity = BATCH_ENTRIES_PER_AUTHOR * (committee->count < 2 ? 2 : committee->count);
    table->used_max = 0;
    table->missing_pinned = 0;
    table->acked_bytes = 0;
    table->fetched_bytes = BATCH_BYTES_MAX;
    table->entries = region_take(region, sizeof *table->entries * (size_t)table->capacity);
    digest_map_place(&table->map, region, table->capacity, seed);
    table->unnamed_bytes = region_take(region, sizeof *table->unnamed_bytes * committee->count);
    table->lag_bytes = region_take(region, sizeof *table->lag_bytes * committee->count);
    table->streamed_until = region_take(region, sizeof *table->streamed_until * committee->count);
    table->stream_due_us = region_take(region, sizeof *table->stream_due_us * committee->count);
    for (unsigned i = 0; i < BATCH_LISTS; i++) {
        table->lists[i] = (struct batch_queue){.first = BATCH_NONE, .last = BATCH_NONE, .count = 0};
    }
}

uint32_t batch_table_find(const struct batch_table *table, const struct digest *digest)
{
    return digest_map_get(&table->map, digest);
}

struct batch_entry *batch_table_entry(const struct batch_table *table, uint32_t entry)
{
    CHECK(entry < table->used_max);
    CHECK(table->entries[entry].list != BATCH_LIST_FREE);
    return &table->entries[entry];
}

bool batch_entry_is_held(const struct batch_entry *entry)
{
    return entry->list != BATCH_LIST_MISSING && entry->list != BATCH_LIST_FETCHING;
}

bool batch_table_holds(const struct batch_table *table, const struct batch_info *info)
{
    uint32_t number = batch_table_find(table, &info->digest);

    if (number == BATCH_NONE) return false;
    return batch_entry_is_held(&table->entries[number]) &&
           table->entries[number].worker == info->worker;
}

/* ---- lists ----------------------------------------------------------------------------------- */

static void list_remove(struct batch_table *table, uint32_t number)
{
    struct batch_entry *entry = &table->entries[number];
    struct batch_queue *queue = &table->lists[entry->list];

    CHECK(queue->count > 0);
    if (entry->previous == BATCH_NONE) {
        queue->first = entry->next;
    } else {
        table->entries[entry->previous].next = entry->next;
    }
    if (entry->next == BATCH_NONE) {
        queue->last = entry->previous;
    } else {
        table->entries[entry->next].previous = entry->previous;
    }
    queue->count--;
}

static void list_insert(struct batch_table *table,
                        uint32_t number,
                        enum batch_list list,
                        bool in_front)
{
    struct batch_entry *entry = &table->entries[number];
    struct batch_queue *queue = &table->lists[list];
    uint32_t *neighbour_end = in_front ? &queue->first : &queue->last;
    uint32_t neighbour = *neighbour_end;

    entry->list = (uint8_t)list;
    entry->previous = in_front ? BATCH_NONE : neighbour;
    entry->next = in_front ? neighbour : BATCH_NONE;
    if (neighbour == BATCH_NONE) {
        queue->first = number;
        queue->last = number;
    } else if (in_front) {
        table->entries[neighbour].previous = number;
        queue->first = number;
    } else {
        table->entries[neighbour].next = number;
        queue->last = number;
    }
    queue->count++;
}

static uint64_t entry_charge(const struct batch_entry *entry)
{
    return u64_max(entry->bytes, BATCH_CHARGE_BYTES_MIN);
}

/* True when the entry counts as unnamed of its author. */
static bool entry_is_unnamed(const struct batch_entry *entry)
{
    return entry->list == BATCH_LIST_UNNAMED ||
           (entry->list == BATCH_LIST_NAMEABLE && !entry->was_named);
}

void batch_entry_move(struct batch_table *table,
                      uint32_t number,
                      enum batch_list list,
                      bool in_front)
{
    struct batch_entry *entry = &table->entries[number];

    if (entry_is_unnamed(entry)) {
        CHECK(table->unnamed_bytes[entry->author] >= entry_charge(entry));
        table->unnamed_bytes[entry->author] -= entry_charge(entry);
    }
    list_remove(table, number);
    list_insert(table, number, list, in_front);
    if (entry_is_unnamed(entry)) table->unnamed_bytes[entry->author] += entry_charge(entry);
}

/* ---- making and forgetting ------------------------------------------------------------------- */

/* An entry that may be given up to make room, or BATCH_NONE. */
static uint32_t entry_evictable(const struct batch_table *table)
{
    static const enum batch_list order[] = {BATCH_LIST_UNNAMED, BATCH_LIST_MISSING,
                                            BATCH_LIST_NAMED};

    for (size_t i = 0; i < sizeof order / sizeof *order; i++) {
        uint32_t number = table->lists[order[i]].first;

        for (uint32_t scanned = 0; number != BATCH_NONE && scanned < BATCH_SCAN_MAX; scanned++) {
            const struct batch_entry *entry = &table->entries[number];

            if (entry->pins == 0 && entry->author != table->self) return number;
            number = entry->next;
        }
    }
    return BATCH_NONE;
}

static uint32_t entry_new(struct batch_table *table, const struct digest *digest)
{
    struct batch_queue *free_list = &table->lists[BATCH_LIST_FREE];
    uint32_t number;

    if (free_list->count == 0 && table->used_max == table->capacity) {
        uint32_t victim = entry_evictable(table);

        if (victim == BATCH_NONE) return BATCH_NONE;
        batch_table_forget(table, victim);
    }
    if (free_list->count > 0) {
        number = free_list->first;
        list_remove(table, number);
    } else {
        number = table->used_max++;
    }
    CHECK(number < table->capacity);
    memset(&table->entries[number], 0, sizeof table->entries[number]);
    table->entries[number].digest = *digest;
    digest_map_put(&table->map, digest, number);
    return number;
}

/* Peers that never acknowledged a forgotten own batch no longer lag because of it. */
static void entry_settle_lag(struct batch_table *table, const struct batch_entry *entry)
{
    if (entry->author != table->self || !batch_entry_is_held(entry)) return;
    for (authority_t peer = 0; peer < table->committee->count; peer++) {
        if (peer == table->self || authority_set_has(&entry->holders, peer)) continue;
        table->lag_bytes[peer] = u64_minus(table->lag_bytes[peer], entry->bytes);
    }
}

void batch_table_forget(struct batch_table *table, uint32_t number)
{
    struct batch_entry *entry = batch_table_entry(table, number);

    CHECK(entry->pins == 0);
    entry_settle_lag(table, entry);
    digest_map_remove(&table->map, &entry->digest);
    batch_entry_move(table, number, BATCH_LIST_FREE, true);
    CHECK(entry->list == BATCH_LIST_FREE);
}

static void entry_fill(struct batch_entry *entry, const struct batch_stored *stored)
{
    entry->bytes = stored->bytes;
    entry->transactions = stored->transactions;
    entry->worker = stored->worker;
    entry->created_at = stored->created_at;
    entry->author = stored->author;
}

/* Where a missing batch goes when it has come. One that was sealed here is ours to name, unless an own
 * header did already (before a restart), or somebody's certified one, or it was executed. */
static enum batch_list arrival_list(const struct batch_table *table,
                                    const struct batch_entry *entry)
{
    if (entry->pins > 0) return BATCH_LIST_PINNED;
    if (entry->author != table->self || entry->was_named || entry->certified || entry->executed)
        return BATCH_LIST_NAMED;
    return BATCH_LIST_NAMEABLE;
}

/* A missing batch has come. */
static void entry_arrive(struct batch_table *table,
                         uint32_t number,
                         const struct batch_stored *stored,
                         uint64_t name_at_us)
{
    struct batch_entry *entry = &table->entries[number];

    entry_fill(entry, stored);
    entry->executed = entry->executed || stored->executed;
    entry->due_us = name_at_us;
    if (entry->pins > 0) {
        CHECK(table->missing_pinned > 0);
        table->missing_pinned--;
    }
    batch_entry_move(table, number, arrival_list(table, entry), false);
    CHECK(batch_entry_is_held(entry));
}

static void own_start_lag(struct batch_table *table, const struct batch_entry *entry)
{
    for (authority_t peer = 0; peer < table->committee->count; peer++) {
        if (peer == table->self || authority_set_has(&entry->holders, peer)) continue;
        table->lag_bytes[peer] += entry->bytes;
    }
}

/* Stake Q may be ourselves alone. */
static void own_note_stored(struct batch_table *table, struct batch_entry *entry)
{
    own_start_lag(table, entry);
    if (entry->acknowledged) return;
    if (table->committee->members[table->self].stake < table->committee->quorum) return;
    entry->acknowledged = true;
    table->acked_bytes += entry->bytes;
}

/* Another's batch of equal bytes was sealed here too: it is ours from now on, because nobody else
 * owes it to our clients. */
static void entry_adopt(struct batch_table *table,
                        uint32_t number,
                        const struct batch_stored *stored,
                        uint64_t name_at_us)
{
    struct batch_entry *entry = &table->entries[number];

    CHECK(entry->author != table->self);
    CHECK(stored->author == table->self);
    authority_set_add(&entry->holders, entry->author);
    entry->executed = entry->executed || stored->executed;
    if (entry->list == BATCH_LIST_UNNAMED) {
        entry->due_us = name_at_us;
        batch_entry_move(table, number, BATCH_LIST_PINNED, false);
        entry_fill(entry, stored);
        batch_entry_move(table, number, arrival_list(table, entry), false);
    } else {
        entry_fill(entry, stored);
    }
    own_note_stored(table, entry);
    CHECK(batch_entry_is_held(entry));
}

enum status batch_table_store(struct batch_table *table,
                              uint32_t *ret_entry,
                              const struct batch_stored *stored,
                              round_t round,
                              uint64_t due_us)
{
    uint32_t number = batch_table_find(table, &stored->digest);
    bool own = stored->author == table->self;
    struct batch_entry *entry;

    CHECK(stored->author < table->committee->count);
    CHECK(stored->bytes >= 1);
    if (stored->streamed && stored->created_at > table->streamed_until[stored->author]) {
        table->streamed_until[stored->author] = stored->created_at;
    }
    if (stored->streamed) table->stream_due_us[stored->author] = due_us;
    if (number != BATCH_NONE) {
        entry = &table->entries[number];
        if (batch_entry_is_held(entry)) {
            if (!own || entry->author == table->self) return ERR_DUPLICATE;
            entry_adopt(table, number, stored, due_us);
            *ret_entry = number;
            return OK;
        }
        if (entry->list == BATCH_LIST_FETCHING)
            table->fetched_bytes = (7 * table->fetched_bytes + stored->bytes) / 8;
        entry_arrive(table, number, stored, due_us);
        if (own) own_start_lag(table, &table->entries[number]);
        *ret_entry = number;
        return OK;
    }
    if (!own && batch_table_is_full(table, stored->author)) return ERR_FULL;
    number = entry_new(table, &stored->digest);
    if (number == BATCH_NONE) return ERR_FULL;
    entry = &table->entries[number];
    entry_fill(entry, stored);
    entry->round = round;
    entry->due_us = due_us;
    list_insert(table, number, own ? BATCH_LIST_NAMEABLE : BATCH_LIST_UNNAMED, false);
    table->unnamed_bytes[stored->author] += entry_charge(entry);
    if (own) own_note_stored(table, entry);
    *ret_entry = number;
    return OK;
}

enum status batch_table_name(struct batch_table *table,
                             uint32_t *ret_entry,
                             const struct batch_info *info,
                             authority_t author,
                             round_t round,
                             uint64_t fetch_at_us)
{
    uint32_t number = batch_table_find(table, &info->digest);
    bool ours = author == table->self;
    struct batch_entry *entry;

    if (number == BATCH_NONE) {
        number = entry_new(table, &info->digest);
        if (number == BATCH_NONE) return ERR_FULL;
        entry = &table->entries[number];
        entry->worker = info->worker;
        entry->created_at = info->created_at;
        entry->author = author;
        entry->due_us = fetch_at_us;
        list_insert(table, number, BATCH_LIST_MISSING, false);
    }
    entry = &table->entries[number];
    switch ((enum batch_list)entry->list) {
    case BATCH_LIST_UNNAMED:
        entry->round = round;
        batch_entry_move(table, number, BATCH_LIST_NAMED, false);
        break;
    case BATCH_LIST_NAMEABLE:
    case BATCH_LIST_RENAME:
        if (!ours) break;
        entry->round = u64_max(entry->round, round);
        batch_entry_move(table, number, BATCH_LIST_NAMED, false);
        break;
    case BATCH_LIST_NAMED:
        if (!ours && (entry->author == table->self || entry->certified)) break;
        entry->round = u64_max(entry->round, round);
        batch_entry_move(table, number, BATCH_LIST_NAMED, false);
        break;
    case BATCH_LIST_PINNED:
    case BATCH_LIST_MISSING:
    case BATCH_LIST_FETCHING:
        entry->round = u64_max(entry->round, round);
        break;
    case BATCH_LIST_FREE:
    case BATCH_LISTS:
        CHECK(false);
    }
    if (ours) entry->was_named = true;
    *ret_entry = number;
    return OK;
}

void batch_table_note_executed(struct batch_table *table, uint32_t number)
{
    struct batch_entry *entry = batch_table_entry(table, number);
    bool waits = entry->list == BATCH_LIST_NAMEABLE || entry->list == BATCH_LIST_RENAME;

    entry->executed = true;
    if (waits) batch_entry_move(table, number, BATCH_LIST_NAMED, false);
    CHECK(entry->list != BATCH_LIST_NAMEABLE);
}

void batch_table_pin(struct batch_table *table, uint32_t number)
{
    struct batch_entry *entry = batch_table_entry(table, number);

    if (entry->pins == 0 && !batch_entry_is_held(entry)) table->missing_pinned++;
    entry->pins++;
    CHECK(entry->pins != 0);
    if (batch_entry_is_held(entry)) batch_entry_move(table, number, BATCH_LIST_PINNED, false);
}

void batch_table_unpin(struct batch_table *table, uint32_t number)
{
    struct batch_entry *entry = batch_table_entry(table, number);

    CHECK(entry->pins > 0);
    CHECK(batch_entry_is_held(entry));
    entry->pins--;
    if (entry->pins == 0) batch_table_forget(table, number);
}

/* ---- acknowledgements ------------------------------------------------------------------------ */

bool batch_table_acknowledge(struct batch_table *table, uint32_t number, authority_t peer)
{
    struct batch_entry *entry = batch_table_entry(table, number);
    struct authority_set with_self;

    CHECK(peer < table->committee->count);
    if (authority_set_has(&entry->holders, peer)) return false;
    authority_set_add(&entry->holders, peer);
    if (entry->author != table->self || !batch_entry_is_held(entry)) return false;
    table->lag_bytes[peer] = u64_minus(table->lag_bytes[peer], entry->bytes);
    with_self = entry->holders;
    authority_set_add(&with_self, table->self);
    if (entry->acknowledged) return false;
    if (committee_stake(table->committee, &with_self) < table->committee->quorum) return false;
    entry->acknowledged = true;
    table->acked_bytes += entry->bytes;
    return true;
}

uint64_t batch_table_quorum_lag(const struct batch_table *table)
{
    const struct committee *committee = table->committee;
    struct authority_set fast = {{0, 0}};
    uint64_t lag = 0;

    authority_set_add(&fast, table->self);
    while (committee_stake(committee, &fast) < committee->quorum) {
        authority_t best = committee->count == 1 ? 0 : (authority_t)committee->count;

        for (authority_t peer = 0; peer < committee->count; peer++) {
            if (authority_set_has(&fast, peer)) continue;
            if (best == committee->count || table->lag_bytes[peer] < table->lag_bytes[best]) {
                best = peer;
            }
        }
        CHECK(best < committee->count);
        authority_set_add(&fast, best);
        lag = u64_max(lag, table->lag_bytes[best]);
    }
    return lag;
}

uint64_t batch_table_take_acked(struct batch_table *table)
{
    uint64_t bytes = table->acked_bytes;

    table->acked_bytes = 0;
    return bytes;
}

/* ---- naming again ---------------------------------------------------------------------------- */

void batch_table_make_nameable(struct batch_table *table, uint32_t number)
{
    struct batch_entry *entry = batch_table_entry(table, number);

    CHECK(entry->pins == 0);
    CHECK(!entry->executed);
    CHECK(batch_entry_is_held(entry));
    entry->was_named = true;
    batch_entry_move(table, number, BATCH_LIST_NAMEABLE, true);
}

void batch_table_rename_later(struct batch_table *table, uint32_t number, uint64_t due_us)
{
    struct batch_entry *entry = batch_table_entry(table, number);

    CHECK(entry->pins == 0);
    CHECK(!entry->executed);
    CHECK(batch_entry_is_held(entry));
    entry->due_us = due_us;
    batch_entry_move(table, number, BATCH_LIST_RENAME, false);
}

uint64_t batch_table_rename_due(struct batch_table *table, uint64_t now_us)
{
    while (table->lists[BATCH_LIST_RENAME].first != BATCH_NONE) {
        uint32_t number = table->lists[BATCH_LIST_RENAME].first;

        if (table->entries[number].due_us > now_us) return table->entries[number].due_us;
        batch_table_make_nameable(table, number);
    }
    return UINT64_MAX;
}

/* ---- what nothing needs any more ------------------------------------------------------------- */

uint32_t batch_table_stale_unnamed(const struct batch_table *table, round_t round)
{
    uint32_t number = table->lists[BATCH_LIST_UNNAMED].first;

    if (number == BATCH_NONE) return BATCH_NONE;
    return table->entries[number].round <= round ? number : BATCH_NONE;
}

uint32_t batch_table_stale_named(const struct batch_table *table,
                                 enum batch_list list,
                                 round_t round,
                                 uint64_t now_us)
{
    uint32_t number = table->lists[list].first;

    CHECK(list == BATCH_LIST_NAMED || list == BATCH_LIST_MISSING || list == BATCH_LIST_FETCHING);
    for (uint32_t scanned = 0; number != BATCH_NONE && scanned < BATCH_SCAN_MAX; scanned++) {
        const struct batch_entry *entry = &table->entries[number];
        bool awaited = list == BATCH_LIST_MISSING && entry->certified && entry->due_us > now_us;

        if (entry->pins == 0 && entry->round <= round && !awaited) return number;
        if (entry->pins == 0 && list == BATCH_LIST_NAMED) return BATCH_NONE;
        number = entry->next;
    }
    return BATCH_NONE;
}

uint32_t batch_table_passed_by(const struct batch_table *table,
                               round_t round,
                               round_t ordered_round)
{
    uint32_t number = table->lists[BATCH_LIST_NAMED].first;

    for (uint32_t scanned = 0; number != BATCH_NONE && scanned < BATCH_SCAN_MAX; scanned++) {
        const struct batch_entry *entry = &table->entries[number];

        if (entry->round > round && entry->round > ordered_round) return BATCH_NONE;
        if (entry->author == table->self && !entry->executed &&
            (entry->round <= ordered_round || (entry->round <= round && !entry->certified))) {
            return number;
        }
        number = entry->next;
    }
    return BATCH_NONE;
}

bool batch_table_is_full(const struct batch_table *table, authority_t author)
{
    CHECK(author < table->committee->count);
    return table->unnamed_bytes[author] >= UNNAMED_BATCH_BYTES_MAX;
}

uint64_t batch_table_missing(const struct batch_table *table)
{
    return table->missing_pinned;
}

static void check_none_executed(const struct batch_table *table, enum batch_list list)
{
    uint32_t number = table->lists[list].first;

    for (uint32_t scanned = 0; number != BATCH_NONE && scanned < BATCH_SCAN_MAX; scanned++) {
        CHECK(!table->entries[number].executed);
        number = table->entries[number].next;
    }
}

void batch_table_check(const struct batch_table *table)
{
    uint32_t counted = 0;

    for (unsigned i = 0; i < BATCH_LISTS; i++) {
        const struct batch_queue *queue = &table->lists[i];

        CHECK((queue->first == BATCH_NONE) == (queue->count == 0));
        CHECK((queue->last == BATCH_NONE) == (queue->count == 0));
        if (queue->count > 0) {
            CHECK(table->entries[queue->first].previous == BATCH_NONE);
            CHECK(table->entries[queue->last].next == BATCH_NONE);
            CHECK(table->entries[queue->first].list == i);
        }
        counted += queue->count;
    }
    CHECK(counted == table->used_max);
    CHECK(counted - table->lists[BATCH_LIST_FREE].count == table->map.used);
    CHECK(table->lists[BATCH_LIST_FETCHING].count <= BATCH_FETCHES_MAX);
    CHECK(table->lag_bytes[table->self] == 0);
    check_none_executed(table, BATCH_LIST_NAMEABLE);
    check_none_executed(table, BATCH_LIST_RENAME);
}
