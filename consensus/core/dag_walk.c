#include "consensus/core/dag_internal.h"

static bool dag_is_ordered(const struct dag *dag, round_t round, authority_t author)
{
    const struct dag_slot *slot = dag_slot_at(dag, round, author);
    CHECK(slot->state != DAG_SLOT_EMPTY);
    return slot->vertex.ordered;
}

/* All parents of the `members` of `round`. Every member must be in: a hole above gc_round is our
 * bug. */
static struct authority_set dag_parents_of(const struct dag *dag,
                                           round_t round,
                                           const struct authority_set *members)
{
    struct authority_set parents = {{0}};

    for (uint32_t author = 0; author < dag->n; author++) {
        if (!authority_set_has(members, (authority_t)author)) continue;
        const struct dag_vertex *vertex = dag_get(dag, round, (authority_t)author);
        CHECK(vertex != NULL);
        parents.words[0] |= vertex->parents.words[0];
        parents.words[1] |= vertex->parents.words[1];
    }
    return parents;
}

bool dag_reaches(const struct dag *dag, const struct dag_vertex *from, const struct dag_vertex *to)
{
    CHECK(from != NULL);
    CHECK(to != NULL);

    struct authority_set members = {{0}};
    authority_set_add(&members, from->author);
    for (round_t round = from->round; round > to->round; round--) {
        members = dag_parents_of(dag, round, &members);
        if (authority_set_is_empty(&members)) return false;
    }
    return from->round >= to->round && authority_set_has(&members, to->author);
}

static void dag_drop_ordered(const struct dag *dag, round_t round, struct authority_set *members)
{
    for (uint32_t author = 0; author < dag->n; author++) {
        if (authority_set_has(members, (authority_t)author) &&
            dag_is_ordered(dag, round, (authority_t)author)) {
            authority_set_remove(members, (authority_t)author);
        }
    }
}

static uint32_t dag_set_count(const struct authority_set *set)
{
    uint32_t count = 0;

    for (int i = 0; i < 2; i++) {
        for (uint64_t word = set->words[i]; word != 0; word &= word - 1)
            count++;
    }
    return count;
}

void dag_walk_begin(struct dag_walk *walk,
                    const struct dag *dag,
                    const struct dag_vertex *anchor,
                    round_t floor)
{
    CHECK(floor >= dag->gc_round);
    CHECK(anchor->round > floor);
    CHECK(!anchor->ordered);

    struct authority_set members = {{0}};
    authority_set_add(&members, anchor->author);
    walk->top = anchor->round;
    walk->round = anchor->round;
    walk->next = 0;
    walk->count = 1;
    walk->members[0] = members;
    for (round_t round = anchor->round; round > floor + 1; round--) {
        members = dag_parents_of(dag, round, &members);
        dag_drop_ordered(dag, round - 1, &members);
        if (authority_set_is_empty(&members)) break;
        walk->members[walk->top - (round - 1)] = members;
        walk->round = round - 1;
        walk->count += dag_set_count(&members);
    }
    CHECK(walk->top - walk->round < DAG_ROUNDS);
}

const struct dag_vertex *dag_walk_next(struct dag_walk *walk, const struct dag *dag)
{
    while (walk->round <= walk->top) {
        const struct authority_set *members = &walk->members[walk->top - walk->round];
        while (walk->next < dag->n) {
            authority_t author = (authority_t)walk->next++;
            if (!authority_set_has(members, author)) continue;
            const struct dag_vertex *vertex = dag_get(dag, walk->round, author);
            CHECK(vertex != NULL);
            return vertex;
        }
        walk->round++;
        walk->next = 0;
    }
    return NULL;
}

/* Both ends of every edge agree, above gc_round. */
static void dag_check_edges(const struct dag *dag, const struct dag_vertex *vertex)
{
    if (vertex->round - 1 <= dag->gc_round) return;
    for (uint32_t a = 0; a < dag->n; a++) {
        if (!authority_set_has(&vertex->parents, (authority_t)a)) continue;
        const struct dag_vertex *parent = dag_get(dag, vertex->round - 1, (authority_t)a);
        CHECK(parent != NULL);
        CHECK(authority_set_has(&parent->certified_children, vertex->author));
        CHECK(!vertex->ordered || parent->ordered);
    }
}

static void dag_check_vertex(const struct dag *dag, const struct dag_vertex *vertex)
{
    size_t index = dag_slot_index(dag, vertex->round, vertex->author);

    CHECK(vertex->payload == dag->payloads + index * HEADER_BATCHES_MAX);
    CHECK(vertex->payload_count <= HEADER_BATCHES_MAX);
    CHECK(committee_stake(dag->committee, &vertex->certified_children) == vertex->certified_stake);
    CHECK(committee_stake(dag->committee, &vertex->first_children) == vertex->first_stake);
    dag_check_edges(dag, vertex);
    for (uint32_t a = 0; a < dag->n; a++) {
        const struct dag_vertex *child = dag_get(dag, vertex->round + 1, (authority_t)a);
        if (child == NULL) continue;
        CHECK(authority_set_has(&child->parents, vertex->author) ==
              authority_set_has(&vertex->certified_children, child->author));
    }
}

static void dag_check_evidence(const struct dag *dag)
{
    for (int kind = 0; kind < DAG_EVIDENCE_KINDS; kind++) {
        for (size_t i = 0; i < (size_t)DAG_EVIDENCE_ROUNDS * dag->n; i++) {
            const struct dag_evidence *evidence = &dag->evidence[kind][i];
            CHECK(evidence->waiting_count <= dag->n);
            CHECK(evidence->round == 0 || evidence->round % DAG_EVIDENCE_ROUNDS == i / dag->n);
            if (evidence->round <= dag->gc_round + 1) continue;
            for (uint32_t w = 0; w < evidence->waiting_count; w++)
                CHECK(dag_find(dag, evidence->round - 1, &evidence->waiting[w]) == NULL);
        }
    }
}

void dag_check(const struct dag *dag)
{
    uint32_t unordered_payload = 0;
    round_t highest = dag->gc_round;

    for (round_t round = dag->gc_round + 1; round <= dag->gc_round + dag->rounds; round++) {
        for (uint32_t a = 0; a < dag->n; a++) {
            const struct dag_slot *slot = dag_slot_at(dag, round, (authority_t)a);
            if (slot->state == DAG_SLOT_EMPTY) continue;
            CHECK(slot->vertex.round == round);
            CHECK(slot->vertex.author == a);
            if (slot->state == DAG_SLOT_ORDERED) continue;
            highest = round;
            unordered_payload += slot->vertex.payload_count > 0 && !slot->vertex.ordered;
            dag_check_vertex(dag, &slot->vertex);
        }
        if (round > dag->quorum_round) CHECK(dag_round_stake(dag, round) < dag->committee->quorum);
    }
    CHECK(highest == dag->highest_round);
    CHECK(unordered_payload == dag->unordered_payload);
    CHECK(dag->quorum_round <= dag->highest_round);
    dag_check_evidence(dag);
}
