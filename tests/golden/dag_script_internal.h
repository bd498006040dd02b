/* The inside of the DAG scenarios' language: what is known by name (dag_script_text.c) and what
 * runs (dag_script.c). */
#ifndef TESTS_GOLDEN_DAG_SCRIPT_INTERNAL_H
#define TESTS_GOLDEN_DAG_SCRIPT_INTERNAL_H

#include "consensus/core/orderer.h"
#include "consensus/core/preblock_cutter.h"
#include "tests/golden/dag_script.h"
#include "tests/lib/dag_world.h"

#define SCRIPT_VERTICES_MAX 4000u
#define SCRIPT_BATCHES_MAX  2000u
#define SCRIPT_NAME_MAX     16u

struct script_vertex {
    struct header header;
    struct digest digest;
    bool twin;
    bool inserted;
};

struct script_batch {
    char name[SCRIPT_NAME_MAX];
    struct digest digest;
    struct batch_size size;
};

struct script_record {
    uint8_t *data;
    size_t len;
};

struct dag_script {
    FILE *output;
    struct committee committee;
    struct orderer_options options;
    struct dag *dag;
    struct orderer *orderer;
    struct preblock_chain chain;
    struct script_vertex *vertices;
    uint32_t vertices_count;
    struct script_batch batches[SCRIPT_BATCHES_MAX];
    uint32_t batches_count;
    struct script_record records[SCRIPT_VERTICES_MAX];
    uint32_t records_count;
};

/* A new vertex without parents (of round 1: the genesis), not yet known: script_keep. */
struct script_vertex *script_add(struct dag_script *script,
                                 round_t round,
                                 authority_t author,
                                 bool twin);
void script_add_parent(struct header *header, const struct digest *digest);
void script_keep(struct dag_script *script, struct script_vertex *vertex);

/* "A", "A'", "A<BCD", "A<BCD[x,y]"; NULL when not understood. */
struct script_vertex *script_read_vertex(struct dag_script *script,
                                         round_t round,
                                         const char *text);

/* By name: made when it is new. */
struct script_batch *script_batch(struct dag_script *script, const char *name, size_t len);
const struct script_batch *script_batch_by_digest(const struct dag_script *script,
                                                  const struct digest *digest);

void script_print_set(const struct dag_script *script, const struct authority_set *set);
void script_print_record(const struct dag_script *script,
                         const struct ordering_record *record,
                         enum commit_how how);
void script_print_cut(const struct dag_script *script, const struct preblock_cut *cut);

#endif
