#include "tests/lib/dag_build.h"

#include <stdlib.h>

#include "common/crypto.h"

void *test_memory(size_t bytes)
{
    size_t rounded = (bytes + 63) / 64 * 64;
    void *memory = aligned_alloc(64, rounded);
    CHECK(memory != NULL);
    return memset(memory, 0, rounded);
}

void test_header_make(struct header *ret_header,
                      struct digest *ret_digest,
                      const struct dag *dag,
                      round_t round,
                      authority_t author,
                      const struct authority_set *parents,
                      uint32_t payload,
                      uint64_t variant)
{
    const struct committee *committee = dag_committee(dag);
    struct header *header = ret_header;

    memset(header, 0, sizeof *header);
    header->author = author;
    header->round = round;
    header->created_at = 1000 * round + variant;
    header->payload_count = payload;
    for (uint32_t i = 0; i < payload; i++) {
        uint64_t name[4] = {round, author, i, variant};
        crypto_hash_one(&header->payload[i].digest, name, sizeof name);
    }
    for (uint32_t a = 0; a < committee->count; a++) {
        struct digest *parent = &header->parents[header->parents_count];
        const struct dag_vertex *vertex = dag_get(dag, round - 1, (authority_t)a);
        if (round == 1) {
            committee_genesis(parent, committee, (authority_t)a);
            header->parents_count++;
        } else if (vertex != NULL && authority_set_has(parents, (authority_t)a)) {
            *parent = vertex->digest;
            header->parents_count++;
        }
    }
    test_header_finish(header, ret_digest);
}

const struct dag_vertex *test_insert(struct dag *dag,
                                     round_t round,
                                     authority_t author,
                                     uint32_t payload)
{
    struct authority_set all = dag_round_authors(dag, round - 1);
    struct header header;
    struct digest digest;

    test_header_make(&header, &digest, dag, round, author, &all, payload, 0);
    enum status status = dag_insert(dag, &header, &digest);
    CHECK(status == OK);
    return dag_get(dag, round, author);
}

void test_insert_rounds(struct dag *dag, round_t from, round_t to, uint32_t payload)
{
    for (round_t round = from; round <= to; round++)
        for (uint32_t a = 0; a < dag_committee(dag)->count; a++)
            (void)test_insert(dag, round, (authority_t)a, payload);
}
