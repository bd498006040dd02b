#include "consensus/core/commit_rule.h"

/* Slots of one instance are two rounds apart, whatever the stride: the children of round r + 1 that
 * decide an anchor of r are then never anchors of the same instance. */
#define SLOT_STEP 2u

round_t commit_rule_first_slot(const struct commit_parameters *parameters, round_t last)
{
    CHECK(parameters->stride == 1 || parameters->stride == 2);
    if (parameters->stride == 1) return last + 1;
    return (last / 2 + 1) * 2;
}

bool commit_rule_is_direct(enum commit_how *ret_how,
                           const struct commit_parameters *parameters,
                           const struct dag *dag,
                           const struct dag_vertex *vertex)
{
    const struct committee *committee = dag_committee(dag);

    CHECK(vertex != NULL);
    CHECK(committee->validity <= committee->quorum);
    if (vertex->certified_stake >= committee->validity) {
        *ret_how = COMMIT_DIRECT;
        return true;
    }
    if (parameters->fast && vertex->first_stake >= committee->quorum) {
        *ret_how = COMMIT_FAST;
        return true;
    }
    return false;
}

/* The anchor of the slot of `round`, NULL when it is not in the DAG. */
static const struct dag_vertex *commit_rule_anchor(const struct dag *dag,
                                                   const struct schedule *schedule,
                                                   round_t round)
{
    return dag_get(dag, round, schedule_leader(schedule, round));
}

/* The lowest slot from `first` on whose anchor is direct; NULL when there is none. */
static const struct dag_vertex *commit_rule_first_direct(enum commit_how *ret_how,
                                                         const struct commit_parameters *parameters,
                                                         const struct dag *dag,
                                                         const struct schedule *schedule,
                                                         round_t first)
{
    /* An anchor of the highest round has no children in the DAG, but may have evidence. */
    for (round_t round = first; round <= dag_highest_round(dag); round += SLOT_STEP) {
        const struct dag_vertex *anchor = commit_rule_anchor(dag, schedule, round);
        if (anchor != NULL && commit_rule_is_direct(ret_how, parameters, dag, anchor))
            return anchor;
    }
    return NULL;
}

static void commit_rule_list_skipped(struct commit_decision *decision,
                                     const struct schedule *schedule,
                                     round_t first)
{
    decision->skipped_count = 0;
    for (round_t round = first; round < decision->anchor.round; round += SLOT_STEP) {
        CHECK(decision->skipped_count < DAG_ROUNDS / 2);
        struct commit_slot *slot = &decision->skipped[decision->skipped_count++];
        slot->round = round;
        slot->author = schedule_leader(schedule, round);
    }
}

bool commit_rule_next(struct commit_decision *ret_decision,
                      const struct commit_parameters *parameters,
                      const struct dag *dag,
                      const struct schedule *schedule,
                      round_t last)
{
    round_t first = commit_rule_first_slot(parameters, last);
    enum commit_how how;

    CHECK(last >= dag_gc_round(dag));
    const struct dag_vertex *current =
        commit_rule_first_direct(&how, parameters, dag, schedule, first);
    if (current == NULL) return false;

    CHECK((current->round - first) % SLOT_STEP == 0);
    for (round_t round = current->round; round >= first + SLOT_STEP;) {
        round -= SLOT_STEP;
        const struct dag_vertex *anchor = commit_rule_anchor(dag, schedule, round);
        if (anchor == NULL || !dag_reaches(dag, current, anchor)) continue;
        current = anchor;
        how = COMMIT_INDIRECT;
    }
    CHECK(!current->ordered);
    CHECK(current->round > last);

    ret_decision->how = how;
    ret_decision->anchor.round = current->round;
    ret_decision->anchor.author = current->author;
    ret_decision->digest = current->digest;
    commit_rule_list_skipped(ret_decision, schedule, first);
    return true;
}

void commit_rule_check(const struct dag *dag, const struct commit_decision *decision)
{
    const struct dag_vertex *anchor = dag_get(dag, decision->anchor.round, decision->anchor.author);

    CHECK(anchor != NULL);
    CHECK(digest_equal(&anchor->digest, &decision->digest));
    if (decision->how == COMMIT_INDIRECT) return;
    for (uint32_t a = 0; a < dag_committee(dag)->count; a++) {
        const struct dag_vertex *later = dag_get(dag, anchor->round + 2, (authority_t)a);
        if (later != NULL) CHECK(dag_reaches(dag, later, anchor));
    }
}
