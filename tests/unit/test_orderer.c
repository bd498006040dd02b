/* Goal: recovery from ordering records: the last window is enough, and anything that does not fit
 * is refused. Method: a run of full rounds with the real limits (gc_depth 50, W = 100), its records
 * replayed whole, in part and damaged. (What is ordered is the business of the scenarios and of the
 * random worlds.) */
#include "tests/unit/unit.h"

#include <stdlib.h>

#include "consensus/core/orderer.h"
#include "tests/lib/dag_build.h"

#define ROUNDS 240u

struct run {
    struct committee committee;
    struct orderer_options options;
    struct dag *dag;
    struct orderer *orderer;
    struct bytes records[ROUNDS];
    uint32_t count;
};

static void open_node(struct run *run)
{
    dag_init(&run->dag, test_memory(dag_bytes(run->committee.count, DAG_ROUNDS)), &run->committee,
             DAG_ROUNDS);
    orderer_init(&run->orderer, test_memory(orderer_bytes(&run->options)), &run->options);
}

static void close_node(struct run *run)
{
    free(run->dag);
    free(run->orderer);
}

static void decide(struct run *run)
{
    struct commit_decision decision;
    struct ordering_record record;
    while (orderer_decide(run->orderer, &decision, run->dag)) {
        orderer_order(run->orderer, &record, run->dag, &decision);
        dag_collect(run->dag, orderer_gc_round(run->orderer));
        uint8_t *copy = test_memory(record.bytes.len);
        memcpy(copy, record.bytes.data, record.bytes.len);
        run->records[run->count++] = (struct bytes){copy, record.bytes.len};
    }
}

static int run_setup(void **state)
{
    struct run *run = calloc(1, sizeof *run);
    struct commit_parameters rule = {.stride = 1, .fast = false};
    test_committee_make(&run->committee, 4, NULL, 1);
    run->options = orderer_options_default(&run->committee, &rule);
    run->options.seed = 5;
    open_node(run);
    for (round_t round = 1; round <= ROUNDS; round++) {
        test_insert_rounds(run->dag, round, round, 1);
        decide(run);
    }
    orderer_check(run->orderer);
    dag_check(run->dag);
    *state = run;
    return run->count == ROUNDS - 1 ? 0 : -1;
}

static int run_teardown(void **state)
{
    struct run *run = *state;
    for (uint32_t i = 0; i < run->count; i++) {
        uint8_t *data;
        memcpy(&data, &run->records[i].data, sizeof data);
        free(data);
    }
    close_node(run);
    free(run);
    return 0;
}

/* Replays [from, to) on a fresh node and returns the last status. */
static enum status replay(struct run *node, const struct run *run, uint32_t from, uint32_t to)
{
    enum status status = OK;
    memset(node, 0, sizeof *node);
    node->committee = run->committee;
    node->options = run->options;
    node->options.committee = &node->committee;
    open_node(node);
    for (uint32_t i = from; i < to && status == OK; i++)
        status = orderer_replay(node->orderer, node->dag, run->records[i]);
    return status;
}

static void the_last_window_rebuilds_everything(void **state)
{
    const struct run *run = *state;
    struct digest expected = orderer_digest(run->orderer);
    for (uint32_t more = 0; more < 3; more++) {
        struct run node;
        uint32_t from = more == 2 ? 0 : run->count - SCHEDULE_WINDOW - more;
        assert_int_equal(replay(&node, run, from, run->count), OK);
        assert_int_equal(orderer_replay_end(node.orderer), OK);
        struct digest digest = orderer_digest(node.orderer);
        assert_memory_equal(&digest, &expected, sizeof digest);
        assert_int_equal(orderer_sequence(node.orderer), ROUNDS - 1);
        assert_int_equal(orderer_anchor_round(node.orderer), ROUNDS - 1);
        assert_int_equal(orderer_gc_round(node.orderer), ROUNDS - 1 - GC_DEPTH);
        assert_int_equal(dag_gc_round(node.dag), ROUNDS - 1 - GC_DEPTH);
        for (round_t round = ROUNDS - GC_DEPTH; round <= ROUNDS; round++) {
            for (authority_t a = 0; a < 4; a++) {
                const struct dag_vertex *vertex = dag_get(run->dag, round, a);
                const struct digest *known = dag_certified(node.dag, round, a);
                assert_int_equal(known != NULL, vertex->ordered);
                if (known != NULL) assert_memory_equal(known, &vertex->digest, 32);
                for (uint32_t i = 0; i < vertex->payload_count; i++) {
                    const struct digest *batch = &vertex->payload[i].digest;
                    assert_int_equal(orderer_executed(node.orderer, batch),
                                     orderer_executed(run->orderer, batch));
                }
            }
        }
        orderer_check(node.orderer);
        close_node(&node);
    }
}

static void too_few_records_are_noticed(void **state)
{
    const struct run *run = *state;
    struct run node;
    uint32_t from = run->count - SCHEDULE_WINDOW + 1;
    assert_int_equal(replay(&node, run, from, run->count), OK);
    assert_int_equal(orderer_replay_end(node.orderer), ERR_CORRUPT);
    close_node(&node);
    assert_int_equal(replay(&node, run, 0, 7), OK); /* seven are all there are */
    assert_int_equal(orderer_replay_end(node.orderer), OK);
    close_node(&node);
    assert_int_equal(replay(&node, run, 0, 0), OK); /* a new store */
    assert_int_equal(orderer_replay_end(node.orderer), OK);
    close_node(&node);
}

static void a_gap_or_a_repetition_breaks_the_chain(void **state)
{
    const struct run *run = *state;
    struct run node;
    assert_int_equal(replay(&node, run, 0, 10), OK);
    assert_int_equal(orderer_replay(node.orderer, node.dag, run->records[11]), ERR_CORRUPT);
    assert_int_equal(orderer_replay(node.orderer, node.dag, run->records[9]), ERR_CORRUPT);
    assert_int_equal(orderer_replay(node.orderer, node.dag, run->records[10]), OK);
    close_node(&node);
}

/* A flipped bit in record `i` is noticed there, or by the chain at the next record, or at the end.
 */
static void damage_is_noticed(void **state)
{
    const struct run *run = *state;
    uint8_t *data = test_memory(run->records[5].len);
    for (size_t bit = 0; bit < 8 * run->records[5].len; bit += 7) {
        struct run node;
        memcpy(data, run->records[5].data, run->records[5].len);
        data[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_int_equal(replay(&node, run, 0, 5), OK);
        struct bytes damaged = {data, run->records[5].len};
        enum status status = orderer_replay(node.orderer, node.dag, damaged);
        if (status == OK) status = orderer_replay(node.orderer, node.dag, run->records[6]);
        assert_int_equal(status, ERR_CORRUPT);
        close_node(&node);
    }
    free(data);
}

static void another_committees_records_are_refused(void **state)
{
    const struct run *run = *state;
    struct run node;
    struct run other = {.committee = run->committee, .options = run->options};
    other.committee.digest.bytes[0] ^= 1;
    other.records[0] = run->records[0];
    assert_int_equal(replay(&node, &other, 0, 1), ERR_CORRUPT);
    close_node(&node);
    other = (struct run){.options = run->options};
    test_committee_make(&other.committee, 3, NULL, 1);
    other.committee.digest = run->committee.digest;
    memcpy(other.records, run->records, sizeof other.records);
    assert_int_equal(replay(&node, &other, 0, 10), ERR_CORRUPT); /* author 3 is nobody */
    close_node(&node);
}

/* The exclusions in the last record are checked against those that its window gives. */
static void other_exclusions_are_noticed_at_the_end(void **state)
{
    const struct run *run = *state;
    struct run node;
    struct bytes last = run->records[run->count - 1];
    uint8_t *data = test_memory(last.len);
    memcpy(data, last.data, last.len);
    data[1 + 8 + 32 + 8 + 42 + 8] ^= 1; /* excluded, first byte */
    assert_int_equal(replay(&node, run, 0, run->count - 1), OK);
    assert_int_equal(orderer_replay(node.orderer, node.dag, (struct bytes){data, last.len}), OK);
    assert_int_equal(orderer_replay_end(node.orderer), ERR_CORRUPT);
    close_node(&node);
    free(data);
}

static void sizes_are_known(void **state)
{
    (void)state;
    struct committee committee;
    struct commit_parameters rule = {.stride = 1, .fast = true};
    test_committee_make(&committee, 7, NULL, 1);
    struct orderer_options options = orderer_options_default(&committee, &rule);
    size_t seven = orderer_bytes(&options);
    test_committee_make(&committee, 100, NULL, 1);
    print_message("orderer_bytes: n = 7 %zu, n = 100 %zu\n", seven, orderer_bytes(&options));
    assert_true(seven < 32u << 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_last_window_rebuilds_everything),
        cmocka_unit_test(too_few_records_are_noticed),
        cmocka_unit_test(a_gap_or_a_repetition_breaks_the_chain),
        cmocka_unit_test(damage_is_noticed),
        cmocka_unit_test(another_committees_records_are_refused),
        cmocka_unit_test(other_exclusions_are_noticed_at_the_end),
        cmocka_unit_test(sizes_are_known),
    };
    return cmocka_run_group_tests(tests, run_setup, run_teardown);
}
