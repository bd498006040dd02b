#include "consensus/core/synchronizer.h"

#include "common/bcs.h"
#include "common/crypto.h"

void synchronizer_place(struct synchronizer *synchronizer,
                        struct region *region,
                        const struct committee *committee,
                        authority_t self,
                        uint64_t seed)
{
    size_t count = committee->count;
    struct chunk *chunk = &synchronizer->chunk;

    CHECK(self < count);
    memset(synchronizer, 0, sizeof *synchronizer);
    synchronizer->committee = committee;
    synchronizer->self = self;
    synchronizer->free_first = SUSPENDED_NONE;
    synchronizer->want_at_us = UINT64_MAX;
    synchronizer->want_delay_us = SYNC_WANT_US;
    synchronizer->pool = region_take(region, sizeof *synchronizer->pool * SUSPENDED_MAX);
    synchronizer->places = region_take(region, sizeof *synchronizer->places * DAG_ROUNDS * count);
    synchronizer->implied = region_take(region, sizeof *synchronizer->implied * DAG_ROUNDS);
    synchronizer->peers = region_take(region, sizeof *synchronizer->peers * count);
    chunk->bytes = region_take(region, FRAME_BYTES_MAX);
    chunk->items = region_take(region, sizeof *chunk->items * WIRE_ANSWER_CERTIFICATES_MAX);
    digest_map_place(&chunk->map, region, WIRE_ANSWER_CERTIFICATES_MAX, seed);
}

/* ---- suspended certificates ------------------------------------------------------------------ */

static uint32_t *place_of(const struct synchronizer *synchronizer,
                          round_t round,
                          authority_t author)
{
    CHECK(author < synchronizer->committee->count);
    return &synchronizer
                ->places[(size_t)(round % DAG_ROUNDS) * synchronizer->committee->count + author];
}

const struct suspended *synchronizer_suspended(const struct synchronizer *synchronizer,
                                               round_t round,
                                               authority_t author)
{
    uint32_t place = *place_of(synchronizer, round, author);

    if (place == 0 || synchronizer->pool[place - 1].round != round) return NULL;
    return &synchronizer->pool[place - 1];
}

void synchronizer_release(struct synchronizer *synchronizer, const struct suspended *suspended)
{
    uint32_t index = (uint32_t)(suspended - synchronizer->pool);
    struct suspended *entry = &synchronizer->pool[index];

    CHECK(index < synchronizer->pool_used);
    CHECK(entry->round > 0);
    *place_of(synchronizer, entry->round, entry->certificate.header.author) = 0;
    entry->round = 0;
    entry->next_free = synchronizer->free_first;
    synchronizer->free_first = index;
    CHECK(synchronizer->suspended_count > 0);
    synchronizer->suspended_count--;
}

static const struct suspended *suspended_highest(const struct synchronizer *synchronizer)
{
    const struct suspended *highest = NULL;

    for (uint32_t i = 0; i < synchronizer->pool_used; i++) {
        const struct suspended *entry = &synchronizer->pool[i];

        if (entry->round > 0 && (highest == NULL || entry->round > highest->round)) highest = entry;
    }
    return highest;
}

const struct suspended *synchronizer_lowest(const struct synchronizer *synchronizer)
{
    const struct suspended *lowest = NULL;

    for (uint32_t i = 0; i < synchronizer->pool_used; i++) {
        const struct suspended *entry = &synchronizer->pool[i];

        if (entry->round > 0 && (lowest == NULL || entry->round < lowest->round)) lowest = entry;
    }
    return lowest;
}

enum status synchronizer_suspend(struct synchronizer *synchronizer,
                                 const struct certificate *certificate,
                                 const struct digest *digest,
                                 round_t gc_round)
{
    round_t round = certificate->header.round;
    uint32_t *place = place_of(synchronizer, round, certificate->header.author);
    struct suspended *entry;
    uint32_t index;

    CHECK(round > gc_round);
    if (round > gc_round + DAG_ROUNDS) return ERR_AHEAD;
    if (*place != 0) return ERR_DUPLICATE;
    if (synchronizer->suspended_count == SUSPENDED_MAX) {
        const struct suspended *highest = suspended_highest(synchronizer);

        CHECK(highest != NULL);
        if (highest->round <= round) return ERR_FULL;
        synchronizer_release(synchronizer, highest);
    }
    index = synchronizer->free_first;
    if (index == SUSPENDED_NONE) {
        index = synchronizer->pool_used++;
    } else {
        synchronizer->free_first = synchronizer->pool[index].next_free;
    }
    CHECK(index < SUSPENDED_MAX);
    entry = &synchronizer->pool[index];
    entry->certificate = *certificate;
    entry->digest = *digest;
    entry->round = round;
    *place = index + 1;
    synchronizer->suspended_count++;
    return OK;
}

void synchronizer_collect(struct synchronizer *synchronizer, round_t old_gc_round, round_t gc_round)
{
    CHECK(gc_round >= old_gc_round);
    if (gc_round - old_gc_round > DAG_ROUNDS) old_gc_round = gc_round - DAG_ROUNDS;
    for (round_t round = old_gc_round + 1; round <= gc_round; round++) {
        synchronizer->implied[round % DAG_ROUNDS] = (struct authority_set){{0, 0}};
        for (authority_t a = 0; a < synchronizer->committee->count; a++) {
            const struct suspended *entry = synchronizer_suspended(synchronizer, round, a);

            if (entry != NULL) synchronizer_release(synchronizer, entry);
        }
    }
}

bool synchronizer_is_implied(const struct synchronizer *synchronizer,
                             round_t round,
                             authority_t author)
{
    return authority_set_has(&synchronizer->implied[round % DAG_ROUNDS], author);
}

void synchronizer_set_implied(struct synchronizer *synchronizer,
                              round_t round,
                              authority_t author,
                              bool implied)
{
    struct authority_set *set = &synchronizer->implied[round % DAG_ROUNDS];

    CHECK(author < synchronizer->committee->count);
    if (implied) {
        authority_set_add(set, author);
    } else {
        authority_set_remove(set, author);
    }
}

/* ---- chunks ---------------------------------------------------------------------------------- */

static bool chunk_index(struct synchronizer *synchronizer, struct reader *reader, uint32_t count)
{
    struct chunk *chunk = &synchronizer->chunk;
    struct certificate certificate;
    round_t previous = 0;

    for (uint32_t i = 0; i < count; i++) {
        struct chunk_item *item = &chunk->items[i];
        size_t begin = chunk->len - reader->left;

        certificate_decode(&certificate, reader);
        if (reader->failed) return false;
        if (header_validate(&certificate.header, synchronizer->committee) != OK) return false;
        if (certificate.header.round < previous) return false;
        previous = certificate.header.round;
        if (i == 0) chunk->first = previous;
        memset(item, 0, sizeof *item);
        item->offset = (uint32_t)begin;
        header_digest(&item->digest, &certificate.header);
        if (digest_map_get(&chunk->map, &item->digest) != DIGEST_MAP_NONE) return false;
        digest_map_put(&chunk->map, &item->digest, i);
        chunk->count = i + 1;
    }
    return reader_done(reader);
}

static void chunk_clear(struct chunk *chunk)
{
    for (uint32_t i = 0; i < chunk->count; i++)
        digest_map_remove(&chunk->map, &chunk->items[i].digest);
    CHECK(chunk->map.used == 0);
    chunk->count = 0;
    chunk->state = CHUNK_EMPTY;
}

/* Rounds have no gaps: an answer that begins above the round asked for comes from a peer that holds no more
 * below. */
static void note_range(struct synchronizer *synchronizer, authority_t peer)
{
    round_t first = synchronizer->chunk.first;

    for (unsigned i = 0; i < SYNC_REQUESTS; i++) {
        const struct sync_request *request = &synchronizer->requests[i];

        if (!request->active || request->peer != peer || first == 0) continue;
        synchronizer->peers[peer].beyond = first > request->after + 1 ? request->after + 1 : 0;
    }
}

enum status synchronizer_take_chunk(struct synchronizer *synchronizer,
                                    authority_t peer,
                                    struct bytes body,
                                    bool ranged)
{
    struct chunk *chunk = &synchronizer->chunk;
    struct reader reader;
    uint8_t last;
    uint32_t count;

    if (chunk->state != CHUNK_EMPTY) return ERR_FULL;
    if (body.len > FRAME_BYTES_MAX) return ERR_TOO_LARGE;
    memcpy(chunk->bytes, body.data, body.len);
    chunk->len = body.len;
    reader = reader_make(chunk->bytes, chunk->len);
    last = reader_u8(&reader);
    count = bcs_read_length(&reader, WIRE_ANSWER_CERTIFICATES_MAX);
    chunk->count = 0;
    chunk->first = 0;
    if (last > 1 || reader.failed || !chunk_index(synchronizer, &reader, count)) {
        chunk_clear(chunk);
        return ERR_MALFORMED;
    }
    chunk->peer = peer;
    chunk->last = last == 1;
    chunk->ranged = ranged;
    if (ranged) note_range(synchronizer, peer);
    chunk->added = 0;
    chunk->next = count;
    chunk->state = CHUNK_VERIFYING;
    return OK;
}

static void chunk_decode(const struct chunk *chunk,
                         struct certificate *ret_certificate,
                         const struct chunk_item *item)
{
    struct reader reader = reader_make(chunk->bytes + item->offset, chunk->len - item->offset);

    certificate_decode(ret_certificate, &reader);
    CHECK(!reader.failed);
}

/* True when the certificate is no news: its vertex is in the DAG and checked, or below its floor. */
static bool item_is_known(const struct synchronizer *synchronizer,
                          const struct dag *dag,
                          const struct chunk_item *item,
                          const struct header *header)
{
    const struct dag_vertex *vertex = dag_get(dag, header->round, header->author);

    if (header->round <= dag_gc_round(dag)) return true;
    if (vertex == NULL || !digest_equal(&vertex->digest, &item->digest)) return false;
    return !synchronizer_is_implied(synchronizer, header->round, header->author);
}

/* Works downward: each item is reached by a higher one, is known, or must prove itself. */
static void chunk_verify(struct synchronizer *synchronizer,
                         const struct dag *dag,
                         struct certificate *scratch)
{
    struct chunk *chunk = &synchronizer->chunk;

    for (uint32_t steps = 0; chunk->next > 0 && steps < SYNC_STEP_CERTIFICATES; steps++) {
        struct chunk_item *item = &chunk->items[--chunk->next];
        bool known;

        chunk_decode(chunk, scratch, item);
        known = item_is_known(synchronizer, dag, item, &scratch->header);
        if (!item->reached && !known) {
            item->verified = committee_verify_quorum(synchronizer->committee, SCOPE_HEADER,
                                                     &item->digest, &scratch->quorum) == OK;
        }
        item->dropped = known || (!item->reached && !item->verified);
        if (item->dropped && !known) continue;
        for (uint32_t i = 0; i < scratch->header.parents_count; i++) {
            uint32_t parent = digest_map_get(&chunk->map, &scratch->header.parents[i]);

            if (parent != DIGEST_MAP_NONE) chunk->items[parent].reached = true;
        }
    }
    if (chunk->next == 0) chunk->state = CHUNK_ENTERING;
}

/* Checks the next implied certificate by its signatures. */
static enum status chunk_check(struct synchronizer *synchronizer,
                               struct certificate *ret_certificate,
                               struct digest *ret_digest)
{
    struct chunk *chunk = &synchronizer->chunk;
    const struct chunk_item *item;

    while (chunk->next < chunk->count &&
           (chunk->items[chunk->next].dropped || chunk->items[chunk->next].verified)) {
        chunk->next++;
    }
    if (chunk->next == chunk->count) {
        chunk_clear(chunk);
        return ERR_MISSING;
    }
    item = &chunk->items[chunk->next++];
    chunk_decode(chunk, ret_certificate, item);
    *ret_digest = item->digest;
    return committee_verify_quorum(synchronizer->committee, SCOPE_HEADER, &item->digest,
                                   &ret_certificate->quorum) == OK
               ? OK
               : ERR_SIGNATURE;
}

enum status synchronizer_next(struct synchronizer *synchronizer,
                              const struct dag *dag,
                              struct certificate *ret_certificate,
                              struct digest *ret_digest,
                              bool *ret_verified)
{
    struct chunk *chunk = &synchronizer->chunk;

    CHECK(chunk->state != CHUNK_EMPTY);
    if (chunk->state == CHUNK_VERIFYING) {
        chunk_verify(synchronizer, dag, ret_certificate);
        return ERR_NOT_FOUND;
    }
    if (chunk->state == CHUNK_CHECKING) {
        *ret_verified = true;
        return chunk_check(synchronizer, ret_certificate, ret_digest);
    }
    while (chunk->next < chunk->count && chunk->items[chunk->next].dropped)
        chunk->next++;
    if (chunk->next == chunk->count) {
        chunk->state = CHUNK_CHECKING;
        chunk->next = 0;
        return ERR_NOT_FOUND;
    }
    chunk_decode(chunk, ret_certificate, &chunk->items[chunk->next]);
    *ret_digest = chunk->items[chunk->next].digest;
    *ret_verified = chunk->items[chunk->next].verified;
    chunk->next++;
    return OK;
}

/* ---- peers and requests ---------------------------------------------------------------------- */

void synchronizer_note_claim(struct synchronizer *synchronizer, authority_t peer, round_t round)
{
    CHECK(peer < synchronizer->committee->count);
    synchronizer->peers[peer].heard = true;
    if (round > synchronizer->peers[peer].claimed) synchronizer->peers[peer].claimed = round;
}

round_t synchronizer_claimed(const struct synchronizer *synchronizer)
{
    round_t highest = 0;

    for (authority_t a = 0; a < synchronizer->committee->count; a++) {
        highest = u64_max(highest, synchronizer->peers[a].claimed);
    }
    return highest;
}

round_t synchronizer_target(const struct synchronizer *synchronizer)
{
    const struct committee *committee = synchronizer->committee;
    round_t target = 0;

    for (authority_t a = 0; a < committee->count; a++) {
        round_t claimed = synchronizer->peers[a].claimed;
        struct authority_set set = {{0, 0}};

        for (authority_t b = 0; b < committee->count; b++) {
            if (synchronizer->peers[b].claimed >= claimed) authority_set_add(&set, b);
        }
        if (committee_stake(committee, &set) >= committee->validity)
            target = u64_max(target, claimed);
    }
    return target;
}

bool synchronizer_is_asked(const struct synchronizer *synchronizer, authority_t peer)
{
    for (unsigned i = 0; i < SYNC_REQUESTS; i++) {
        if (synchronizer->requests[i].active && synchronizer->requests[i].peer == peer) return true;
    }
    return false;
}

static void request_close(struct synchronizer *synchronizer,
                          struct sync_request *request,
                          bool mark,
                          uint64_t now_us)
{
    struct sync_peer *peer = &synchronizer->peers[request->peer];

    CHECK(request->active);
    request->active = false;
    if (!mark) return;
    peer->marked_until_us = now_us + SYNC_MARK_US;
    peer->claimed = 0;
}

/* The peer to ask: up, not marked, not asked already, claiming most. */
static bool peer_choose(const struct synchronizer *synchronizer,
                        authority_t *ret_peer,
                        round_t quorum_round,
                        uint64_t now_us)
{
    bool found = false;

    for (authority_t a = 0; a < synchronizer->committee->count; a++) {
        const struct sync_peer *peer = &synchronizer->peers[a];

        if (!peer->up || peer->marked_until_us > now_us || a == synchronizer->self) continue;
        if (peer->claimed <= quorum_round + SYNC_AHEAD_ROUNDS) continue;
        if (synchronizer_is_asked(synchronizer, a)) continue;
        if (found && peer->claimed <= synchronizer->peers[*ret_peer].claimed) continue;
        *ret_peer = a;
        found = true;
    }
    return found;
}

bool synchronizer_request(struct synchronizer *synchronizer,
                          authority_t *ret_peer,
                          round_t quorum_round,
                          round_t after,
                          uint64_t now_us)
{
    struct sync_request *free_request = NULL;
    bool first_is_slow = true;

    for (unsigned i = 0; i < SYNC_REQUESTS; i++) {
        struct sync_request *request = &synchronizer->requests[i];

        if (request->active && now_us - request->sent_us >= SYNC_TIMEOUT_US) {
            request_close(synchronizer, request, true, now_us);
        }
        if (!request->active) {
            free_request = request;
        } else if (now_us - request->sent_us < SYNC_SECOND_US) {
            first_is_slow = false;
        }
    }
    if (free_request == NULL || !first_is_slow) return false;
    if (!peer_choose(synchronizer, ret_peer, quorum_round, now_us)) return false;
    *free_request =
        (struct sync_request){.active = true, .peer = *ret_peer, .after = after, .sent_us = now_us};
    return true;
}

void synchronizer_answered(struct synchronizer *synchronizer,
                           authority_t peer,
                           bool added,
                           uint64_t now_us)
{
    for (unsigned i = 0; i < SYNC_REQUESTS; i++) {
        struct sync_request *request = &synchronizer->requests[i];

        if (!request->active || request->peer != peer) continue;
        request_close(synchronizer, request, !added, now_us);
    }
}

uint64_t synchronizer_deadline(const struct synchronizer *synchronizer, uint64_t now_us)
{
    uint64_t deadline = UINT64_MAX;

    for (unsigned i = 0; i < SYNC_REQUESTS; i++) {
        const struct sync_request *request = &synchronizer->requests[i];

        if (!request->active) continue;
        if (request->sent_us + SYNC_SECOND_US > now_us) {
            deadline = u64_min(deadline, request->sent_us + SYNC_SECOND_US);
        } else {
            deadline = u64_min(deadline, request->sent_us + SYNC_TIMEOUT_US);
        }
    }
    return deadline;
}

void synchronizer_check(const struct synchronizer *synchronizer)
{
    uint32_t live = 0;

    for (uint32_t i = 0; i < synchronizer->pool_used; i++) {
        const struct suspended *entry = &synchronizer->pool[i];

        if (entry->round == 0) continue;
        CHECK(entry->certificate.header.round == entry->round);
        CHECK(*place_of(synchronizer, entry->round, entry->certificate.header.author) == i + 1);
        live++;
    }
    CHECK(live == synchronizer->suspended_count);
    CHECK(synchronizer->pool_used <= SUSPENDED_MAX);
    CHECK((synchronizer->chunk.state == CHUNK_EMPTY) == (synchronizer->chunk.map.used == 0) ||
          synchronizer->chunk.count == 0);
}
