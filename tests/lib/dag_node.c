#include "tests/lib/dag_node.h"

#include <stdlib.h>

static void *zeroed_memory(size_t bytes)
{
    size_t rounded = (bytes + 63) / 64 * 64;
    void *memory = aligned_alloc(64, rounded);
    CHECK(memory != NULL);
    memset(memory, 0, rounded);
    return memory;
}

static void dag_node_build(struct dag_node *node)
{
    uint32_t n = node->world->committee.count;

    dag_init(&node->dag, zeroed_memory(dag_bytes(n, node->options.dag_rounds)),
             &node->world->committee, node->options.dag_rounds);
    orderer_init(&node->orderer, zeroed_memory(orderer_bytes(&node->options)), &node->options);
}

void dag_node_init(struct dag_node *ret_node,
                   const struct world *world,
                   const struct orderer_options *options)
{
    memset(ret_node, 0, sizeof *ret_node);
    ret_node->world = world;
    ret_node->options = *options;
    ret_node->suspended = true;
    ret_node->arrived = calloc(world->count, sizeof(bool));
    ret_node->records = calloc(world->rounds + 1, sizeof *ret_node->records);
    dag_node_build(ret_node);
}

void dag_node_free(struct dag_node *node)
{
    for (uint32_t i = 0; i < node->records_count; i++)
        free(node->records[i].data);
    free(node->records);
    free(node->arrived);
    free(node->dag);
    free(node->orderer);
}

static void dag_node_keep_record(struct dag_node *node, const struct ordering_record *record)
{
    struct dag_node_record *kept = &node->records[node->records_count++];

    kept->data = malloc(record->bytes.len);
    kept->len = record->bytes.len;
    memcpy(kept->data, record->bytes.data, kept->len);
    kept->digest = orderer_digest(node->orderer);
}

static void dag_node_decide_all(struct dag_node *node)
{
    struct commit_decision decision;
    struct commit_decision again;
    struct ordering_record record;

    while (orderer_decide(node->orderer, &decision, node->dag)) {
        bool repeated = orderer_decide(node->orderer, &again, node->dag);
        CHECK(repeated);
        CHECK(digest_equal(&again.digest, &decision.digest));
        CHECK(again.skipped_count == decision.skipped_count);
        commit_rule_check(node->dag, &decision);
        node->how[decision.how]++;
        orderer_order(node->orderer, &record, node->dag, &decision);
        dag_node_keep_record(node, &record);
        dag_collect(node->dag, orderer_gc_round(node->orderer));
    }
}

static const struct world_vertex *dag_node_insertable(const struct dag_node *node)
{
    const struct world *world = node->world;
    struct digest missing[AUTHORITIES_MAX];

    for (round_t r = dag_gc_round(node->dag) + 1; r <= world->rounds; r++) {
        for (uint32_t a = 0; a < world->committee.count; a++) {
            uint32_t v = world->at[r][a];
            if (v == WORLD_NONE || !node->arrived[v]) continue;
            if (dag_get(node->dag, r, (authority_t)a) != NULL) continue;
            if (dag_missing(node->dag, missing, &world->vertices[v].header) == 0)
                return &world->vertices[v];
        }
    }
    return NULL;
}

static void dag_node_insert_all(struct dag_node *node)
{
    const struct world_vertex *vertex;

    while ((vertex = dag_node_insertable(node)) != NULL) {
        enum status status = dag_insert(node->dag, &vertex->header, &vertex->digest);
        CHECK(status == OK);
        dag_node_decide_all(node);
    }
}

void dag_node_take(struct dag_node *node, const struct world_event *event)
{
    const struct world_vertex *vertex = &node->world->vertices[event->vertex];

    switch (event->kind) {
    case WORLD_CERTIFIED:
        node->arrived[event->vertex] = true;
        if (node->suspended) (void)dag_note_certified(node->dag, &vertex->header, &vertex->digest);
        break;
    case WORLD_FIRST:
        (void)dag_note_first_header(node->dag, &vertex->header, &vertex->digest);
        break;
    }
    dag_node_decide_all(node);
    dag_node_insert_all(node);
    if (node->check) {
        dag_check(node->dag);
        orderer_check(node->orderer);
    }
}

void dag_node_restart(struct dag_node *node)
{
    uint32_t window = node->options.window;
    uint32_t from = node->records_count > window ? node->records_count - window : 0;
    uint64_t sequence = orderer_sequence(node->orderer);
    struct digest digest = orderer_digest(node->orderer);
    round_t gc_round = dag_gc_round(node->dag);

    free(node->dag);
    free(node->orderer);
    dag_node_build(node);
    for (uint32_t i = from; i < node->records_count; i++) {
        struct bytes bytes = {node->records[i].data, node->records[i].len};
        enum status status = orderer_replay(node->orderer, node->dag, bytes);
        CHECK(status == OK);
    }
    enum status status = orderer_replay_end(node->orderer);
    struct digest replayed = orderer_digest(node->orderer);
    CHECK(status == OK);
    CHECK(orderer_sequence(node->orderer) == sequence);
    CHECK(digest_equal(&replayed, &digest));
    CHECK(dag_gc_round(node->dag) == gc_round);
    dag_node_insert_all(node);
}

bool dag_node_agrees(const struct dag_node *a, const struct dag_node *b)
{
    for (uint32_t i = 0; i < a->records_count && i < b->records_count; i++)
        if (!digest_equal(&a->records[i].digest, &b->records[i].digest)) return false;
    return true;
}
