/* What the core keeps in the metadata store, byte for byte. Keys are big-endian so that key order is
 * numeric order; values are little-endian like everything signed. docs/protocol.md, storage.
 *
 *   pre-block record   pre-block header 153 | anchor ref | vec<vertex> | vec<batch>
 *     vertex           round u64 | author u16 | digest 32 | batches u32: how many of the batches below
 *                      belong to it (executed by this pre-block, in order of the header's payload)
 *     batch            digest 32 | worker u32 | bytes u32 | transactions u32
 *   ordering record    docs in records.c; written once per ordered anchor with everything that must change
 *                      with it, in one atomic write
 *
 * One file knows these bytes: recovery, export, verify and the simulator all come here. */
#ifndef CONSENSUS_CORE_RECORDS_H
#define CONSENSUS_CORE_RECORDS_H

#include "common/bytes.h"
#include "common/preblock.h"
#include "consensus/core/core.h"

/* Vertices of one pre-block at the most: the window of one sub-DAG. */
#define PREBLOCK_VERTICES_MAX ((2u * GC_DEPTH + 2u) * AUTHORITIES_MAX)

struct preblock_batch {
    struct digest digest;
    uint32_t worker;
    uint32_t bytes;
    uint32_t transactions;
};

struct preblock_vertex {
    struct vertex_ref ref;
    uint32_t batches;
};

/* A pre-block record, opened in place: vertices and batches are read one by one. The view is alive as
 * long as the bytes it was opened over. */
struct preblock_record {
    struct preblock header;
    struct vertex_ref anchor;
    uint32_t vertices_count;
    uint32_t batches_count;
    struct bytes vertices; /* encoded, fixed width each */
    struct bytes batches;  /* encoded, fixed width each */
};

/* ERR_CORRUPT when the bytes are not one record. */
enum status preblock_record_open(struct preblock_record *ret_record, struct bytes bytes);

/* `index` < vertices_count, `index` < batches_count: checked. */
struct preblock_vertex preblock_record_vertex(const struct preblock_record *record, uint32_t index);
struct preblock_batch preblock_record_batch(const struct preblock_record *record, uint32_t index);

/* Keys. `ret` takes CORE_KEY_BYTES_MAX bytes; returns the length. */
size_t key_of_number(uint8_t *ret, uint64_t number);                      /* 8 bytes */
size_t key_of_slot(uint8_t *ret, round_t round, authority_t author);      /* 10 bytes */
size_t key_of_vertex(uint8_t *ret, const struct vertex_ref *ref);         /* 42 bytes */

#endif
