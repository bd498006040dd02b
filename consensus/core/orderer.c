#include "consensus/core/orderer.h"

#include "consensus/core/executed.h"

#define ORDERER_ALIGN 64u

_Static_assert(SCHEDULE_WINDOW >= 2 * GC_DEPTH,
               "the records of the schedule's window hold every batch of the dedup window, because "
               "leader rounds grow by at least one per record");

/* Invariants (orderer_check): sequence records make up the schedule; executed holds only leader
 * rounds in (anchor_round - 2 gc_depth, anchor_round]. */
struct orderer {
    struct orderer_options options;
    uint64_t sequence;
    round_t anchor_round;                     /* p */
    struct digest digest;                     /* of the last record */
    struct authority_set recorded_exclusions; /* what the last replayed record says */
    struct executed *executed;
    uint8_t *record; /* bytes of the last record made */
    size_t record_capacity;
    struct schedule schedule;
};

struct orderer_options orderer_options_default(const struct committee *committee,
                                               const struct commit_parameters *rule)
{
    struct orderer_options options = {
        .committee = committee,
        .rule = *rule,
        .gc_depth = GC_DEPTH,
        .window = SCHEDULE_WINDOW,
        .dag_rounds = DAG_ROUNDS,
    };
    return options;
}

static size_t orderer_round_up(size_t bytes)
{
    return (bytes + ORDERER_ALIGN - 1) / ORDERER_ALIGN * ORDERER_ALIGN;
}

/* Batches whose leader round is in the dedup window: vertices ordered by those leaders span at most
 * the ring and the window itself. */
static uint32_t orderer_executed_capacity(const struct orderer_options *options)
{
    return (options->dag_rounds + 2 * options->gc_depth) * options->committee->count *
           HEADER_BATCHES_MAX;
}

static size_t orderer_record_capacity(const struct orderer_options *options)
{
    return ORDERING_RECORD_BYTES_MAX(options->committee->count, options->dag_rounds);
}

size_t orderer_bytes(const struct orderer_options *options)
{
    return orderer_round_up(sizeof(struct orderer)) +
           executed_bytes(orderer_executed_capacity(options)) +
           orderer_round_up(orderer_record_capacity(options));
}

void orderer_init(struct orderer **ret_orderer, void *memory, const struct orderer_options *options)
{
    CHECK(memory != NULL);
    CHECK((uintptr_t)memory % ORDERER_ALIGN == 0);
    CHECK(options->gc_depth >= 1);
    CHECK(options->window >= 2 * options->gc_depth);
    CHECK(options->dag_rounds <= DAG_ROUNDS);
    CHECK(options->rule.stride == 1 || options->rule.stride == 2);

    uint8_t *base = memory;
    struct orderer *orderer = memory;
    uint32_t capacity = orderer_executed_capacity(options);
    size_t at = orderer_round_up(sizeof *orderer);
    orderer->options = *options;
    orderer->digest = options->committee->digest;
    executed_init(&orderer->executed, base + at, capacity, options->seed);
    orderer->record = base + at + executed_bytes(capacity);
    orderer->record_capacity = orderer_record_capacity(options);
    schedule_init(&orderer->schedule, options->committee, options->window);
    *ret_orderer = orderer;
}

/* ---- ordering -------------------------------------------------------------------------------- */

bool orderer_decide(const struct orderer *orderer,
                    struct commit_decision *ret_decision,
                    const struct dag *dag)
{
    return commit_rule_next(ret_decision, &orderer->options.rule, dag, &orderer->schedule,
                            orderer->anchor_round);
}

/* The state behind the last record, which has just been ordered or replayed. */
static void orderer_advance(struct orderer *orderer, const struct ordering_record *record)
{
    CHECK(record->sequence == orderer->sequence + 1);
    CHECK(record->anchor.round > orderer->anchor_round);

    orderer->sequence = record->sequence;
    orderer->anchor_round = record->anchor.round;
    ordering_record_digest(&orderer->digest, record);
    executed_prune(orderer->executed,
                   u64_minus(orderer->anchor_round, 2 * (uint64_t)orderer->options.gc_depth));
}

/* Takes the skipped slots and the vertices of the walk into the schedule. The walk is a copy. */
static void orderer_update_schedule(struct orderer *orderer,
                                    const struct dag *dag,
                                    const struct commit_decision *decision,
                                    struct dag_walk walk)
{
    struct schedule_delta delta = {0};
    const struct dag_vertex *vertex;

    for (uint32_t i = 0; i < decision->skipped_count; i++)
        delta.skips[decision->skipped[i].author]++;
    while ((vertex = dag_walk_next(&walk, dag)) != NULL)
        delta.ordered[vertex->author]++;
    schedule_record(&orderer->schedule, &delta);
}

/* The payload that this vertex executes first; it counts as executed from now on. */
static uint32_t orderer_take_batches(struct orderer *orderer,
                                     struct ordering_batch *ret_batches,
                                     const struct dag_vertex *vertex,
                                     round_t leader_round)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < vertex->payload_count; i++) {
        const struct batch_info *info = &vertex->payload[i];
        if (executed_has(orderer->executed, &info->digest)) continue;
        executed_add(orderer->executed, &info->digest, leader_round);
        ret_batches[count].digest = info->digest;
        ret_batches[count].worker = info->worker;
        count++;
    }
    return count;
}

static void orderer_take_vertices(struct orderer *orderer,
                                  struct ordering_encoder *encoder,
                                  struct dag *dag,
                                  struct dag_walk *walk,
                                  round_t leader_round)
{
    struct ordering_batch batches[HEADER_BATCHES_MAX];
    const struct dag_vertex *vertex;

    while ((vertex = dag_walk_next(walk, dag)) != NULL) {
        struct vertex_ref ref = {vertex->round, vertex->author, vertex->digest};
        uint32_t count = orderer_take_batches(orderer, batches, vertex, leader_round);
        ordering_encoder_vertex(encoder, &ref, batches, count);
        enum status status = dag_mark_ordered(dag, &ref);
        CHECK(status == OK);
    }
}

void orderer_order(struct orderer *orderer,
                   struct ordering_record *ret_record,
                   struct dag *dag,
                   const struct commit_decision *decision)
{
    round_t floor = orderer_gc_round(orderer);
    const struct dag_vertex *anchor = dag_get(dag, decision->anchor.round, decision->anchor.author);

    CHECK(anchor != NULL);
    CHECK(digest_equal(&anchor->digest, &decision->digest));
    CHECK(anchor->round > orderer->anchor_round);
    CHECK(dag_gc_round(dag) == floor);

    struct dag_walk walk;
    dag_walk_begin(&walk, dag, anchor, floor);
    orderer_update_schedule(orderer, dag, decision, walk);

    struct ordering_record head = {
        .sequence = orderer->sequence + 1,
        .previous = orderer->digest,
        .previous_round = orderer->anchor_round,
        .anchor = {anchor->round, anchor->author, anchor->digest},
        .created_at = anchor->created_at,
        .excluded = orderer->schedule.excluded,
        .skipped_count = decision->skipped_count,
        .vertices_count = walk.count,
    };
    struct ordering_encoder encoder;
    ordering_encoder_begin(&encoder, orderer->record, orderer->record_capacity, &head,
                           decision->skipped);
    orderer_take_vertices(orderer, &encoder, dag, &walk, anchor->round);

    enum status status = ordering_record_open(ret_record, ordering_encoder_finish(&encoder));
    CHECK(status == OK);
    CHECK(ret_record->vertices_count == walk.count);
    CHECK(anchor->ordered);
    orderer_advance(orderer, ret_record);
}

/* ---- recovery -------------------------------------------------------------------------------- */

/* A fresh orderer takes its place before the first record that is replayed. */
static enum status orderer_resume(struct orderer *orderer,
                                  struct dag *dag,
                                  const struct ordering_record *record)
{
    if (record->sequence == 1) return OK;
    if (record->previous_round == 0) return ERR_CORRUPT;
    orderer->sequence = record->sequence - 1;
    orderer->anchor_round = record->previous_round;
    orderer->digest = record->previous;
    schedule_resume(&orderer->schedule, orderer->sequence);
    dag_collect(dag, orderer_gc_round(orderer));
    return OK;
}

static enum status orderer_check_chain(const struct orderer *orderer,
                                       const struct ordering_record *record)
{
    if (record->sequence != orderer->sequence + 1) return ERR_CORRUPT;
    if (record->previous_round != orderer->anchor_round) return ERR_CORRUPT;
    if (!digest_equal(&record->previous, &orderer->digest)) return ERR_CORRUPT;
    return OK;
}

/* Takes vertices and new batches of a record: marks, executed set, and the schedule's counts. */
static enum status orderer_replay_vertices(struct orderer *orderer,
                                           struct schedule_delta *delta,
                                           struct dag *dag,
                                           const struct ordering_record *record)
{
    struct ordering_cursor cursor = ordering_record_begin(record);
    struct ordering_vertex vertex;
    struct ordering_batch batch;

    while (ordering_record_next(&cursor, &vertex)) {
        if (vertex.ref.author >= orderer->options.committee->count) return ERR_CORRUPT;
        if (vertex.ref.round <= orderer_gc_round(orderer)) return ERR_CORRUPT;
        if (dag_mark_ordered(dag, &vertex.ref) != OK) return ERR_CORRUPT;
        delta->ordered[vertex.ref.author]++;
        while (ordering_record_next_batch(&cursor, &batch)) {
            if (executed_has(orderer->executed, &batch.digest)) return ERR_CORRUPT;
            executed_add(orderer->executed, &batch.digest, record->anchor.round);
        }
    }
    return OK;
}

enum status orderer_replay(struct orderer *orderer, struct dag *dag, struct bytes bytes)
{
    struct ordering_record record;
    enum status status = ordering_record_open(&record, bytes);
    if (status != OK) return status;

    if (orderer->sequence == 0) status = orderer_resume(orderer, dag, &record);
    if (status == OK) status = orderer_check_chain(orderer, &record);
    if (status != OK) return status;

    struct schedule_delta delta = {0};
    for (uint32_t i = 0; i < record.skipped_count; i++) {
        struct commit_slot slot = ordering_record_skipped(&record, i);
        if (slot.author >= orderer->options.committee->count) return ERR_CORRUPT;
        delta.skips[slot.author]++;
    }
    status = orderer_replay_vertices(orderer, &delta, dag, &record);
    if (status != OK) return status;

    schedule_record(&orderer->schedule, &delta);
    orderer->recorded_exclusions = record.excluded;
    orderer_advance(orderer, &record);
    dag_collect(dag, orderer_gc_round(orderer));
    CHECK(dag_gc_round(dag) == orderer_gc_round(orderer));
    return OK;
}

enum status orderer_replay_end(const struct orderer *orderer)
{
    const struct authority_set *known = &orderer->schedule.excluded;

    if (orderer->sequence == 0) return OK;
    if (!schedule_is_complete(&orderer->schedule)) return ERR_CORRUPT;
    if (memcmp(known, &orderer->recorded_exclusions, sizeof *known) != 0) return ERR_CORRUPT;
    return OK;
}

/* ---- looking --------------------------------------------------------------------------------- */

uint64_t orderer_sequence(const struct orderer *orderer)
{
    return orderer->sequence;
}

round_t orderer_anchor_round(const struct orderer *orderer)
{
    return orderer->anchor_round;
}

round_t orderer_gc_round(const struct orderer *orderer)
{
    return u64_minus(orderer->anchor_round, orderer->options.gc_depth);
}

struct digest orderer_digest(const struct orderer *orderer)
{
    return orderer->digest;
}

const struct schedule *orderer_schedule(const struct orderer *orderer)
{
    return &orderer->schedule;
}

bool orderer_executed(const struct orderer *orderer, const struct digest *digest)
{
    return executed_has(orderer->executed, digest);
}

void orderer_check(const struct orderer *orderer)
{
    CHECK(orderer->schedule.records == orderer->sequence);
    CHECK(orderer->anchor_round >= orderer->sequence);
    CHECK(orderer->record_capacity == orderer_record_capacity(&orderer->options));
    CHECK(executed_count(orderer->executed) <= orderer_executed_capacity(&orderer->options));
    executed_check(orderer->executed);
    schedule_check(&orderer->schedule);
}
