/* Goal: consensus/core/dag.h, function by function: what enters, what is refused and changes
 * nothing, what is counted once, and what is forgotten. Method: small DAGs by hand; dag_check after
 * every test. */
#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>

#include "tests/lib/dag_build.h"

struct fixture {
    struct committee committee;
    struct dag *dag;
};

static void open_dag(struct fixture *fixture, uint32_t authorities, uint32_t rounds)
{
    test_committee_make(&fixture->committee, authorities, NULL, 7);
    dag_init(&fixture->dag, test_memory(dag_bytes(authorities, rounds)), &fixture->committee,
             rounds);
}

static void close_dag(struct fixture *fixture)
{
    dag_check(fixture->dag);
    free(fixture->dag);
}

static struct authority_set set_of(const char *letters)
{
    struct authority_set set = {{0}};
    for (; *letters != 0; letters++)
        authority_set_add(&set, (authority_t)(*letters - 'A'));
    return set;
}

static enum status insert(struct fixture *fixture,
                          round_t round,
                          authority_t author,
                          const char *parents,
                          uint64_t variant)
{
    struct authority_set set = set_of(parents);
    struct header header;
    struct digest digest;
    test_header_make(&header, &digest, fixture->dag, round, author, &set, 1, variant);
    return dag_insert(fixture->dag, &header, &digest);
}

static void a_vertex_enters_with_its_edges(void **state)
{
    (void)state;
    struct fixture f;
    open_dag(&f, 4, 64);
    test_insert_rounds(f.dag, 1, 1, 1);
    assert_int_equal(insert(&f, 2, 3, "ACD", 0), OK);

    const struct dag_vertex *vertex = dag_get(f.dag, 2, 3);
    struct authority_set expected = set_of("ACD");
    assert_non_null(vertex);
    assert_ptr_equal(dag_find(f.dag, 2, &vertex->digest), vertex);
    assert_memory_equal(&vertex->parents, &expected, sizeof expected);
    assert_int_equal(vertex->payload_count, 1);
    assert_int_equal(vertex->created_at, 2000);
    assert_int_equal(dag_get(f.dag, 1, 0)->certified_stake, 1);
    assert_int_equal(dag_get(f.dag, 1, 1)->certified_stake, 0);
    assert_int_equal(dag_round_stake(f.dag, 1), 4);
    assert_int_equal(dag_quorum_round(f.dag), 1);
    assert_int_equal(dag_highest_round(f.dag), 2);
    assert_int_equal(dag_unordered_payload(f.dag), 5);
    assert_true(dag_reaches(f.dag, vertex, dag_get(f.dag, 1, 2)));
    assert_false(dag_reaches(f.dag, vertex, dag_get(f.dag, 1, 1)));
    assert_false(dag_reaches(f.dag, dag_get(f.dag, 1, 2), vertex));
    assert_true(dag_reaches(f.dag, vertex, vertex));
    close_dag(&f);
}

static void what_is_refused_changes_nothing(void **state)
{
    (void)state;
    struct fixture f;
    struct header header;
    struct digest digest;
    struct digest missing[AUTHORITIES_MAX];
    struct authority_set none = {{0}};
    open_dag(&f, 4, 64);
    test_insert_rounds(f.dag, 1, 2, 1);

    assert_int_equal(insert(&f, 2, 0, "ABCD", 0), ERR_DUPLICATE);
    assert_int_equal(insert(&f, 2, 0, "ABCD", 1), ERR_CONFLICT);
    assert_int_equal(insert(&f, 65, 0, "", 0), ERR_AHEAD);
    test_header_make(&header, &digest, f.dag, 1, 0, &none, 0, 9);
    header.parents_count--;
    assert_int_equal(dag_insert(f.dag, &header, &digest), ERR_CONFLICT);

    test_header_make(&header, &digest, f.dag, 3, 1, &none, 0, 0);
    header.parents_count = 2;
    header.parents[0] = dag_get(f.dag, 2, 0)->digest;
    memset(&header.parents[1], 0xee, sizeof header.parents[1]);
    assert_int_equal(dag_insert(f.dag, &header, &digest), ERR_MISSING);
    assert_int_equal(dag_missing(f.dag, missing, &header), 1);
    assert_memory_equal(&missing[0], &header.parents[1], 32);
    assert_null(dag_get(f.dag, 3, 1));
    assert_int_equal(dag_get(f.dag, 2, 0)->certified_stake, 0);
    assert_int_equal(dag_highest_round(f.dag), 2);
    dag_check(f.dag);

    dag_collect(f.dag, 1);
    assert_int_equal(insert(&f, 1, 0, "", 0), ERR_STALE);
    assert_null(dag_get(f.dag, 1, 0));
    close_dag(&f);
}

static void round_one_names_exactly_the_genesis(void **state)
{
    (void)state;
    struct fixture f;
    struct header header;
    struct digest digest;
    struct authority_set none = {{0}};
    open_dag(&f, 4, 64);
    test_header_make(&header, &digest, f.dag, 1, 2, &none, 0, 0);
    header.parents_count--;
    assert_int_equal(dag_insert(f.dag, &header, &digest), ERR_MALFORMED);
    header.parents_count++;
    header.parents[1].bytes[0] ^= 1;
    assert_int_equal(dag_insert(f.dag, &header, &digest), ERR_MALFORMED);
    header.parents[1].bytes[0] ^= 1;
    assert_int_equal(dag_insert(f.dag, &header, &digest), OK);
    close_dag(&f);
}

static void evidence_counts_once_and_before_the_vertex_is_in(void **state)
{
    (void)state;
    struct fixture f;
    struct header parent;
    struct header child;
    struct digest parent_digest;
    struct digest digest;
    struct authority_set none = {{0}};
    open_dag(&f, 4, 64);
    test_header_make(&parent, &parent_digest, f.dag, 1, 0, &none, 0, 0);
    test_header_make(&child, &digest, f.dag, 2, 1, &none, 0, 0);
    child.parents[child.parents_count++] = parent_digest;
    test_header_finish(&child, &digest);

    assert_int_equal(dag_note_first_header(f.dag, &child, &digest), OK);
    assert_int_equal(dag_note_first_header(f.dag, &child, &digest), ERR_DUPLICATE);
    assert_int_equal(dag_note_certified(f.dag, &child, &digest), OK);
    assert_int_equal(dag_note_certified(f.dag, &child, &digest), ERR_DUPLICATE);
    assert_memory_equal(dag_certified(f.dag, 2, 1), &digest, 32);
    assert_memory_equal(dag_first_header(f.dag, 2, 1), &digest, 32);
    assert_null(dag_first_header(f.dag, 2, 2));
    assert_int_equal(dag_insert(f.dag, &parent, &parent_digest), OK);
    assert_int_equal(dag_get(f.dag, 1, 0)->first_stake, 1);
    assert_int_equal(dag_get(f.dag, 1, 0)->certified_stake, 1);

    /* The child enters: its edge was counted already. */
    assert_int_equal(dag_insert(f.dag, &child, &digest), OK);
    assert_int_equal(dag_get(f.dag, 1, 0)->certified_stake, 1);

    /* Another header of (2, B) is a conflict as a certificate, and ignored as a header. */
    child.created_at++;
    test_header_finish(&child, &digest);
    assert_int_equal(dag_note_first_header(f.dag, &child, &digest), ERR_CONFLICT);
    assert_int_equal(dag_note_certified(f.dag, &child, &digest), ERR_CONFLICT);
    assert_int_equal(dag_get(f.dag, 1, 0)->first_stake, 1);
    close_dag(&f);
}

static void a_higher_round_evicts_evidence(void **state)
{
    (void)state;
    struct fixture f;
    struct header header;
    struct digest digest;
    struct authority_set none = {{0}};
    open_dag(&f, 4, 128);
    test_header_make(&header, &digest, f.dag, 2, 1, &none, 0, 0);
    assert_int_equal(dag_note_first_header(f.dag, &header, &digest), OK);
    test_header_make(&header, &digest, f.dag, 2 + DAG_EVIDENCE_ROUNDS, 1, &none, 0, 0);
    assert_int_equal(dag_note_first_header(f.dag, &header, &digest), OK);

    /* A second header of round 2 must not pass for the first. */
    test_header_make(&header, &digest, f.dag, 2, 1, &none, 0, 1);
    assert_int_equal(dag_note_first_header(f.dag, &header, &digest), ERR_STALE);
    test_header_make(&header, &digest, f.dag, 128, 1, &none, 0, 1);
    assert_int_equal(dag_note_first_header(f.dag, &header, &digest), OK);
    test_header_make(&header, &digest, f.dag, 129, 1, &none, 0, 1);
    assert_int_equal(dag_note_first_header(f.dag, &header, &digest), ERR_AHEAD);
    close_dag(&f);
}

static void ordering_records_may_come_before_certificates(void **state)
{
    (void)state;
    struct fixture f;
    struct header header;
    struct authority_set none = {{0}};
    struct vertex_ref ref = {.round = 1, .author = 2};
    open_dag(&f, 4, 64);
    test_header_make(&header, &ref.digest, f.dag, 1, 2, &none, 1, 0);

    assert_int_equal(dag_mark_ordered(f.dag, &ref), OK);
    assert_null(dag_get(f.dag, 1, 2));
    assert_memory_equal(dag_certified(f.dag, 1, 2), &ref.digest, 32);
    assert_int_equal(insert(&f, 1, 2, "", 1), ERR_CONFLICT);
    assert_int_equal(dag_insert(f.dag, &header, &ref.digest), OK);
    assert_true(dag_get(f.dag, 1, 2)->ordered);
    assert_int_equal(dag_unordered_payload(f.dag), 0);

    ref.digest.bytes[0] ^= 1;
    assert_int_equal(dag_mark_ordered(f.dag, &ref), ERR_CONFLICT);
    ref.round = 65;
    assert_int_equal(dag_mark_ordered(f.dag, &ref), ERR_AHEAD);
    close_dag(&f);
}

static void a_walk_is_sorted_and_ends_at_ordered_vertices_and_the_floor(void **state)
{
    (void)state;
    struct fixture f;
    struct dag_walk walk;
    const struct dag_vertex *vertex;
    char text[100] = "";
    open_dag(&f, 4, 64);
    test_insert_rounds(f.dag, 1, 2, 1);
    assert_int_equal(insert(&f, 3, 1, "ABD", 0), OK);
    const struct dag_vertex *marked = dag_get(f.dag, 2, 0);
    struct vertex_ref ref = {2, 0, marked->digest};
    for (authority_t a = 0; a < 4; a++) {
        struct vertex_ref parent = {1, a, dag_get(f.dag, 1, a)->digest};
        if (a != 2) assert_int_equal(dag_mark_ordered(f.dag, &parent), OK);
    }
    dag_walk_begin(&walk, f.dag, dag_get(f.dag, 3, 1), 0);
    assert_int_equal(walk.count, 5);
    while ((vertex = dag_walk_next(&walk, f.dag)) != NULL)
        snprintf(text + strlen(text), sizeof text - strlen(text), "%lu%c ",
                 (unsigned long)vertex->round, 'A' + vertex->author);
    assert_string_equal(text, "1C 2A 2B 2D 3B ");

    dag_walk_begin(&walk, f.dag, dag_get(f.dag, 3, 1), 1);
    assert_int_equal(walk.count, 4);
    struct vertex_ref last = {1, 2, dag_get(f.dag, 1, 2)->digest};
    assert_int_equal(dag_mark_ordered(f.dag, &last), OK);
    assert_int_equal(dag_mark_ordered(f.dag, &ref), OK);
    dag_walk_begin(&walk, f.dag, dag_get(f.dag, 3, 1), 0);
    assert_int_equal(walk.count, 3);
    close_dag(&f);
}

static void the_ring_wraps_and_collects(void **state)
{
    (void)state;
    struct fixture f;
    open_dag(&f, 4, 16);
    for (round_t round = 1; round <= 100; round++) {
        test_insert_rounds(f.dag, round, round, 1);
        dag_collect(f.dag, u64_minus(round, 9));
        dag_collect(f.dag, u64_minus(round, 12)); /* never goes back */
        dag_check(f.dag);
        assert_int_equal(dag_unordered_payload(f.dag), 4 * u64_min(round, 9));
    }
    assert_null(dag_get(f.dag, 91, 0));
    assert_non_null(dag_get(f.dag, 92, 0));
    assert_null(dag_get(f.dag, 84, 0)); /* same place as round 100 */

    dag_collect(f.dag, 1000);
    assert_int_equal(dag_unordered_payload(f.dag), 0);
    assert_int_equal(dag_highest_round(f.dag), 1000);
    assert_int_equal(dag_quorum_round(f.dag), 100);
    assert_int_equal(insert(&f, 1001, 0, "", 0), OK);
    close_dag(&f);
}

static void a_hundred_members_fit(void **state)
{
    (void)state;
    struct fixture f;
    open_dag(&f, 100, 16);
    test_insert_rounds(f.dag, 1, 3, 1);
    assert_int_equal(dag_get(f.dag, 2, 99)->certified_stake, 100);
    assert_int_equal(dag_round_stake(f.dag, 3), 100);
    assert_int_equal(dag_quorum_round(f.dag), 3);
    assert_true(dag_reaches(f.dag, dag_get(f.dag, 3, 99), dag_get(f.dag, 1, 64)));
    print_message("dag_bytes: n = 7 %zu, n = 100 %zu\n", dag_bytes(7, DAG_ROUNDS),
                  dag_bytes(100, DAG_ROUNDS));
    close_dag(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_vertex_enters_with_its_edges),
        cmocka_unit_test(what_is_refused_changes_nothing),
        cmocka_unit_test(round_one_names_exactly_the_genesis),
        cmocka_unit_test(evidence_counts_once_and_before_the_vertex_is_in),
        cmocka_unit_test(a_higher_round_evicts_evidence),
        cmocka_unit_test(ordering_records_may_come_before_certificates),
        cmocka_unit_test(a_walk_is_sorted_and_ends_at_ordered_vertices_and_the_floor),
        cmocka_unit_test(the_ring_wraps_and_collects),
        cmocka_unit_test(a_hundred_members_fit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
