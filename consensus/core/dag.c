#include "consensus/core/dag.h"

#include "consensus/core/dag_internal.h"

#define DAG_ALIGN 64u

/* Hands out pieces of the caller's memory; with base NULL it only counts. */
struct dag_arena {
    uint8_t *base;
    size_t used;
};

static void *dag_arena_take(struct dag_arena *arena, size_t bytes)
{
    void *piece = arena->base == NULL ? NULL : arena->base + arena->used;
    arena->used += (bytes + DAG_ALIGN - 1) / DAG_ALIGN * DAG_ALIGN;
    return piece;
}

/* The layout, in one place for dag_bytes and dag_init. */
static struct dag *dag_lay_out(struct dag_arena *arena,
                               struct dag *ret_parts,
                               uint32_t n,
                               uint32_t rounds)
{
    size_t slots = (size_t)rounds * n;
    size_t entries = (size_t)DAG_EVIDENCE_ROUNDS * n;
    struct dag *dag = dag_arena_take(arena, sizeof(struct dag));

    ret_parts->slots = dag_arena_take(arena, slots * sizeof(struct dag_slot));
    ret_parts->genesis = dag_arena_take(arena, n * sizeof(struct digest));
    for (int kind = 0; kind < DAG_EVIDENCE_KINDS; kind++) {
        ret_parts->evidence[kind] = dag_arena_take(arena, entries * sizeof(struct dag_evidence));
        struct digest *waiting = dag_arena_take(arena, entries * n * sizeof(struct digest));
        if (waiting == NULL) continue;
        for (size_t i = 0; i < entries; i++)
            ret_parts->evidence[kind][i].waiting = waiting + i * n;
    }
    ret_parts->payloads =
        dag_arena_take(arena, slots * HEADER_BATCHES_MAX * sizeof(struct batch_info));
    return dag;
}

size_t dag_bytes(uint32_t authorities, uint32_t rounds)
{
    CHECK(authorities >= 1 && authorities <= AUTHORITIES_MAX);
    CHECK(rounds >= 2 && rounds <= DAG_ROUNDS);
    CHECK((rounds & (rounds - 1)) == 0);

    struct dag_arena arena = {NULL, 0};
    struct dag parts = {0};
    (void)dag_lay_out(&arena, &parts, authorities, rounds);
    return arena.used;
}

/* Genesis digests in ascending order, as headers carry them. */
static void dag_fill_genesis(struct dag *dag)
{
    for (uint32_t i = 0; i < dag->n; i++) {
        struct digest digest;
        committee_genesis(&digest, dag->committee, (authority_t)i);
        uint32_t at = i;
        while (at > 0 && memcmp(&dag->genesis[at - 1], &digest, sizeof digest) > 0) {
            dag->genesis[at] = dag->genesis[at - 1];
            at--;
        }
        dag->genesis[at] = digest;
    }
}

void dag_init(struct dag **ret_dag,
              void *memory,
              const struct committee *committee,
              uint32_t rounds)
{
    CHECK(memory != NULL);
    CHECK((uintptr_t)memory % DAG_ALIGN == 0);
    CHECK(dag_bytes(committee->count, rounds) > 0);

    struct dag_arena arena = {memory, 0};
    struct dag parts = {.committee = committee, .n = committee->count, .rounds = rounds};
    struct dag *dag = dag_lay_out(&arena, &parts, committee->count, rounds);

    CHECK(arena.used == dag_bytes(committee->count, rounds));
    *dag = parts;
    dag_fill_genesis(dag);
    *ret_dag = dag;
}

const struct dag_vertex *dag_get(const struct dag *dag, round_t round, authority_t author)
{
    if (author >= dag->n || dag_admit(dag, round) != OK) return NULL;

    const struct dag_slot *slot = dag_slot_at(dag, round, author);
    if (slot->state != DAG_SLOT_PRESENT) return NULL;
    CHECK(slot->vertex.round == round);
    CHECK(slot->vertex.author == author);
    return &slot->vertex;
}

const struct dag_vertex *dag_find(const struct dag *dag, round_t round, const struct digest *digest)
{
    for (uint32_t author = 0; author < dag->n; author++) {
        const struct dag_vertex *vertex = dag_get(dag, round, (authority_t)author);
        if (vertex != NULL && digest_equal(&vertex->digest, digest)) return vertex;
    }
    return NULL;
}

/* Round-1 headers name the genesis digests, all of them and nothing else. */
static bool dag_names_genesis(const struct dag *dag, const struct header *header)
{
    return header->parents_count == dag->n &&
           memcmp(header->parents, dag->genesis, dag->n * sizeof(struct digest)) == 0;
}

/* The authors of the parents; ERR_MISSING when one is not in. Empty when they are collected. */
static enum status dag_match_parents(const struct dag *dag,
                                     struct authority_set *ret_parents,
                                     const struct header *header)
{
    struct authority_set parents = {{0}};

    if (header->round == 1 && !dag_names_genesis(dag, header)) return ERR_MALFORMED;
    if (header->round - 1 > dag->gc_round) {
        for (uint32_t i = 0; i < header->parents_count; i++) {
            const struct dag_vertex *parent = dag_find(dag, header->round - 1, &header->parents[i]);
            if (parent == NULL) return ERR_MISSING;
            authority_set_add(&parents, parent->author);
        }
    }
    *ret_parents = parents;
    return OK;
}

static void dag_fill_vertex(struct dag *dag, struct dag_vertex *vertex, const struct header *header)
{
    CHECK(header->payload_count <= HEADER_BATCHES_MAX);

    size_t index = dag_slot_index(dag, header->round, header->author);
    struct batch_info *payload = dag->payloads + index * HEADER_BATCHES_MAX;
    memcpy(payload, header->payload, header->payload_count * sizeof *payload);
    vertex->round = header->round;
    vertex->author = header->author;
    vertex->created_at = header->created_at;
    vertex->payload = payload;
    vertex->payload_count = header->payload_count;
    if (header->payload_count > 0 && !vertex->ordered) dag->unordered_payload++;
}

enum status dag_insert(struct dag *dag, const struct header *header, const struct digest *digest)
{
    CHECK(header->author < dag->n);

    enum status status = dag_admit(dag, header->round);
    if (status != OK) return status;

    struct dag_slot *slot = dag_slot_at(dag, header->round, header->author);
    const struct digest *known = dag_certified(dag, header->round, header->author);
    if (known != NULL && !digest_equal(known, digest)) return ERR_CONFLICT;
    if (slot->state == DAG_SLOT_PRESENT) return ERR_DUPLICATE;

    struct authority_set parents;
    status = dag_match_parents(dag, &parents, header);
    if (status != OK) return status;

    CHECK(slot->vertex.ordered == (slot->state == DAG_SLOT_ORDERED));
    slot->state = DAG_SLOT_PRESENT;
    slot->vertex.digest = *digest;
    slot->vertex.parents = parents;
    dag_fill_vertex(dag, &slot->vertex, header);

    for (uint32_t a = 0; a < dag->n; a++) {
        if (!authority_set_has(&parents, (authority_t)a)) continue;
        struct dag_slot *parent = dag_slot_at(dag, header->round - 1, (authority_t)a);
        CHECK(parent->state == DAG_SLOT_PRESENT);
        dag_add_child(dag, &parent->vertex, DAG_EVIDENCE_CERTIFIED, header->author);
    }
    dag_resolve_evidence(dag, &slot->vertex);

    dag->highest_round = u64_max(dag->highest_round, header->round);
    if (header->round > dag->quorum_round &&
        dag_round_stake(dag, header->round) >= dag->committee->quorum) {
        dag->quorum_round = header->round;
    }
    CHECK(dag_get(dag, header->round, header->author) == &slot->vertex);
    return OK;
}

uint32_t dag_missing(const struct dag *dag, struct digest *ret_missing, const struct header *header)
{
    uint32_t count = 0;

    CHECK(header->parents_count <= AUTHORITIES_MAX);
    if (header->round <= dag->gc_round + 1) return 0;
    for (uint32_t i = 0; i < header->parents_count; i++) {
        if (dag_find(dag, header->round - 1, &header->parents[i]) == NULL)
            ret_missing[count++] = header->parents[i];
    }
    return count;
}

enum status dag_mark_ordered(struct dag *dag, const struct vertex_ref *ref)
{
    CHECK(ref->author < dag->n);
    if (ref->round <= dag->gc_round) return OK;
    if (dag_admit(dag, ref->round) != OK) return ERR_AHEAD;

    const struct digest *known = dag_certified(dag, ref->round, ref->author);
    if (known != NULL && !digest_equal(known, &ref->digest)) return ERR_CONFLICT;

    struct dag_slot *slot = dag_slot_at(dag, ref->round, ref->author);
    if (slot->state == DAG_SLOT_EMPTY) {
        slot->state = DAG_SLOT_ORDERED;
        slot->vertex.round = ref->round;
        slot->vertex.author = ref->author;
        slot->vertex.digest = ref->digest;
    } else if (!slot->vertex.ordered && slot->vertex.payload_count > 0) {
        CHECK(dag->unordered_payload > 0);
        dag->unordered_payload--;
    }
    slot->vertex.ordered = true;
    return OK;
}

void dag_collect(struct dag *dag, round_t gc_round)
{
    if (gc_round <= dag->gc_round) return;

    round_t last = u64_min(gc_round, dag->gc_round + dag->rounds);
    for (round_t round = dag->gc_round + 1; round <= last; round++) {
        for (uint32_t author = 0; author < dag->n; author++) {
            struct dag_slot *slot = dag_slot_at(dag, round, (authority_t)author);
            CHECK(slot->state == DAG_SLOT_EMPTY || slot->vertex.round == round);
            if (slot->vertex.payload_count > 0 && !slot->vertex.ordered) dag->unordered_payload--;
            memset(slot, 0, sizeof *slot);
        }
    }
    dag->gc_round = gc_round;
    dag->highest_round = u64_max(dag->highest_round, gc_round);
}

const struct digest *dag_certified(const struct dag *dag, round_t round, authority_t author)
{
    if (author >= dag->n || dag_admit(dag, round) != OK) return NULL;

    const struct dag_slot *slot = dag_slot_at(dag, round, author);
    if (slot->state != DAG_SLOT_EMPTY) return &slot->vertex.digest;
    const struct dag_evidence *evidence =
        dag_evidence_at(dag, DAG_EVIDENCE_CERTIFIED, round, author);
    return evidence->round == round ? &evidence->digest : NULL;
}

struct authority_set dag_round_authors(const struct dag *dag, round_t round)
{
    struct authority_set authors = {{0}};

    for (uint32_t author = 0; author < dag->n; author++) {
        if (dag_get(dag, round, (authority_t)author) != NULL)
            authority_set_add(&authors, (authority_t)author);
    }
    return authors;
}

stake_t dag_round_stake(const struct dag *dag, round_t round)
{
    struct authority_set authors = dag_round_authors(dag, round);
    return committee_stake(dag->committee, &authors);
}

round_t dag_quorum_round(const struct dag *dag)
{
    return dag->quorum_round;
}

round_t dag_highest_round(const struct dag *dag)
{
    return dag->highest_round;
}

round_t dag_gc_round(const struct dag *dag)
{
    return dag->gc_round;
}

const struct committee *dag_committee(const struct dag *dag)
{
    return dag->committee;
}

uint32_t dag_unordered_payload(const struct dag *dag)
{
    return dag->unordered_payload;
}
