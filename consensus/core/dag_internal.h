/* The inside of struct dag, shared by dag.c (vertices), dag_evidence.c (edges of headers that are
 * not in) and dag_walk.c (reachability). Nobody else includes it. */
#ifndef CONSENSUS_CORE_DAG_INTERNAL_H
#define CONSENSUS_CORE_DAG_INTERNAL_H

#include "consensus/core/dag.h"

enum dag_slot_state {
    DAG_SLOT_EMPTY = 0, /* zeroed memory is an empty ring */
    DAG_SLOT_ORDERED,   /* named by an ordering record, certificate not read yet (recovery) */
    DAG_SLOT_PRESENT,
};

/* The place of (round, author). `vertex.round` is the round it holds unless EMPTY. */
struct dag_slot {
    struct dag_vertex vertex;
    enum dag_slot_state state;
};

enum dag_evidence_kind { DAG_EVIDENCE_CERTIFIED, DAG_EVIDENCE_FIRST, DAG_EVIDENCE_KINDS };

/* A header of (round, author) whose edges count. Edges to vertices that are in are already counted
 * there; `waiting` are the parents' digests that are not in yet. */
struct dag_evidence {
    round_t round; /* 0: empty */
    struct digest digest;
    struct digest *waiting; /* room for one per authority */
    uint32_t waiting_count;
};

struct dag {
    const struct committee *committee;
    uint32_t n;
    uint32_t rounds; /* of the ring; a power of two */
    uint32_t unordered_payload;
    round_t gc_round;
    round_t quorum_round;
    round_t highest_round;
    struct dag_slot *slots;                            /* rounds x n */
    struct batch_info *payloads;                       /* rounds x n x HEADER_BATCHES_MAX */
    struct digest *genesis;                            /* n, ascending */
    struct dag_evidence *evidence[DAG_EVIDENCE_KINDS]; /* DAG_EVIDENCE_ROUNDS x n each */
};

static inline size_t dag_slot_index(const struct dag *dag, round_t round, authority_t author)
{
    return (size_t)(round & (dag->rounds - 1)) * dag->n + author;
}

static inline struct dag_slot *dag_slot_at(const struct dag *dag, round_t round, authority_t author)
{
    return &dag->slots[dag_slot_index(dag, round, author)];
}

/* OK when the ring holds `round`, else ERR_STALE or ERR_AHEAD. */
static inline enum status dag_admit(const struct dag *dag, round_t round)
{
    if (round <= dag->gc_round) return ERR_STALE;
    return round - dag->gc_round > dag->rounds ? ERR_AHEAD : OK;
}

static inline struct dag_evidence *dag_evidence_at(const struct dag *dag,
                                                   enum dag_evidence_kind kind,
                                                   round_t round,
                                                   authority_t author)
{
    return &dag->evidence[kind][(round % DAG_EVIDENCE_ROUNDS) * dag->n + author];
}

/* Counts `child` among the children of `vertex`, once. */
void dag_add_child(const struct dag *dag,
                   struct dag_vertex *vertex,
                   enum dag_evidence_kind kind,
                   authority_t child);

/* Counts the edges of evidence that waited for this vertex, which has just entered. */
void dag_resolve_evidence(struct dag *dag, struct dag_vertex *vertex);

#endif
