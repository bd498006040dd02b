/* Headers and DAGs by hand, for unit tests. */
#ifndef TESTS_LIB_DAG_BUILD_H
#define TESTS_LIB_DAG_BUILD_H

#include "consensus/core/dag.h"
#include "tests/lib/dag_world.h"

/* 64-byte aligned, zeroed, for free(). */
void *test_memory(size_t bytes);

/* A header whose parents are the vertices of `parents` in round - 1 of the DAG (of round 1: the
 * genesis), with `payload` batches that nobody else names. `variant` makes otherwise equal headers
 * differ. */
void test_header_make(struct header *ret_header,
                      struct digest *ret_digest,
                      const struct dag *dag,
                      round_t round,
                      authority_t author,
                      const struct authority_set *parents,
                      uint32_t payload,
                      uint64_t variant);

/* Inserts a vertex with all vertices of the round before as parents. */
const struct dag_vertex *test_insert(struct dag *dag,
                                     round_t round,
                                     authority_t author,
                                     uint32_t payload);

/* Full rounds of all authors. */
void test_insert_rounds(struct dag *dag, round_t from, round_t to, uint32_t payload);

#endif
