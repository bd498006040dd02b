#include "consensus/core/dag_internal.h"

void dag_add_child(const struct dag *dag,
                   struct dag_vertex *vertex,
                   enum dag_evidence_kind kind,
                   authority_t child)
{
    struct authority_set *children =
        kind == DAG_EVIDENCE_CERTIFIED ? &vertex->certified_children : &vertex->first_children;
    stake_t *stake =
        kind == DAG_EVIDENCE_CERTIFIED ? &vertex->certified_stake : &vertex->first_stake;

    CHECK(child < dag->n);
    if (authority_set_has(children, child)) return;
    authority_set_add(children, child);
    *stake += dag->committee->members[child].stake;
    CHECK(*stake <= dag->committee->total);
}

/* Counts the edges to vertices that are in, and keeps the other digests. Genesis and collected
 * rounds have no vertices, so edges to them are dropped. */
static void dag_take_edges(struct dag *dag,
                           struct dag_evidence *evidence,
                           enum dag_evidence_kind kind,
                           const struct header *header)
{
    CHECK(header->parents_count <= AUTHORITIES_MAX);
    evidence->waiting_count = 0;
    if (header->round <= dag->gc_round + 1) return;

    for (uint32_t i = 0; i < header->parents_count && i < dag->n; i++) {
        const struct dag_vertex *parent = dag_find(dag, header->round - 1, &header->parents[i]);
        if (parent == NULL) {
            evidence->waiting[evidence->waiting_count++] = header->parents[i];
        } else {
            struct dag_slot *slot = dag_slot_at(dag, parent->round, parent->author);
            dag_add_child(dag, &slot->vertex, kind, header->author);
        }
    }
    CHECK(evidence->waiting_count <= dag->n);
}

static enum status dag_note(struct dag *dag,
                            enum dag_evidence_kind kind,
                            const struct header *header,
                            const struct digest *digest)
{
    struct dag_evidence *evidence = dag_evidence_at(dag, kind, header->round, header->author);

    if (evidence->round > header->round) return ERR_STALE;
    if (evidence->round == header->round)
        return digest_equal(&evidence->digest, digest) ? ERR_DUPLICATE : ERR_CONFLICT;

    evidence->round = header->round;
    evidence->digest = *digest;
    dag_take_edges(dag, evidence, kind, header);
    return OK;
}

enum status dag_note_certified(struct dag *dag,
                               const struct header *header,
                               const struct digest *digest)
{
    CHECK(header->author < dag->n);

    enum status status = dag_admit(dag, header->round);
    if (status != OK) return status;

    const struct digest *known = dag_certified(dag, header->round, header->author);
    if (known != NULL) return digest_equal(known, digest) ? ERR_DUPLICATE : ERR_CONFLICT;
    return dag_note(dag, DAG_EVIDENCE_CERTIFIED, header, digest);
}

enum status dag_note_first_header(struct dag *dag,
                                  const struct header *header,
                                  const struct digest *digest)
{
    CHECK(header->author < dag->n);

    enum status status = dag_admit(dag, header->round);
    if (status != OK) return status;
    return dag_note(dag, DAG_EVIDENCE_FIRST, header, digest);
}

const struct digest *dag_first_header(const struct dag *dag, round_t round, authority_t author)
{
    if (author >= dag->n || round == 0) return NULL;

    const struct dag_evidence *evidence = dag_evidence_at(dag, DAG_EVIDENCE_FIRST, round, author);
    return evidence->round == round ? &evidence->digest : NULL;
}

/* Takes `digest` off the list of what the evidence waits for; false when it is not there. */
static bool dag_evidence_take(struct dag_evidence *evidence, const struct digest *digest)
{
    for (uint32_t i = 0; i < evidence->waiting_count; i++) {
        if (!digest_equal(&evidence->waiting[i], digest)) continue;
        evidence->waiting[i] = evidence->waiting[--evidence->waiting_count];
        return true;
    }
    return false;
}

void dag_resolve_evidence(struct dag *dag, struct dag_vertex *vertex)
{
    round_t round = vertex->round + 1;

    CHECK(vertex->round > dag->gc_round);
    for (int kind = 0; kind < DAG_EVIDENCE_KINDS; kind++) {
        for (uint32_t a = 0; a < dag->n; a++) {
            authority_t author = (authority_t)a;
            struct dag_evidence *evidence =
                dag_evidence_at(dag, (enum dag_evidence_kind)kind, round, author);
            if (evidence->round == round && dag_evidence_take(evidence, &vertex->digest))
                dag_add_child(dag, vertex, (enum dag_evidence_kind)kind, author);
        }
    }
    CHECK(vertex->certified_stake <= dag->committee->total);
}
