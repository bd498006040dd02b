/* What the core keeps in the metadata store, byte for byte. Keys are big-endian so that key order
 * is numeric order; values are little-endian like everything signed. docs/protocol.md, storage.
 *
 *   pre-block record   pre-block header 153 | anchor ref | vec<vertex> | vec<batch>
 *     vertex           round u64 | author u16 | digest 32 | batches u32: how many of the batches
 *                      below belong to it (executed by this pre-block, in the order of the header's
 *                      payload)
 *     batch            digest 32 | worker u32 | bytes u32 | transactions u32
 *   ordering record    consensus/core/ordering_record.h; written once per ordered anchor with
 *                      everything that must change with it, in one atomic write
 *   header row         header | signature 64, in TABLE_OWN_HEADERS and TABLE_HEADERS
 *   certificate row    flag u8 | certificate; flag 1: every signature of a quorum was checked here;
 *                      0: implied by a checked descendant, never to be served or exported before
 *                      its signatures are checked
 *   checkpoint row     consensus/core/checkpoint.h
 *   evidence row       two header rows, different digests, same author and round; or, under the
 *                      longer key with the digest, a certificate row: a second certified digest
 *   meta rows          name -> u64: "ordering" last ordering sequence, "cut" last ordering sequence
 *                      whose pre-blocks are made (or that has none), "preblock" last pre-block
 *                      index, "certified" last certified index, "gc" gc_round, "floor" nothing is
 *                      signed at or below this round, "rejoining" 1 while the floor is not known,
 *                      "restored" ordering sequence of the checkpoint that this history begins with
 *
 * One file knows these bytes: recovery, export, verify and the simulator all come here. */
#ifndef CONSENSUS_CORE_RECORDS_H
#define CONSENSUS_CORE_RECORDS_H

#include "common/bytes.h"
#include "common/preblock.h"
#include "common/types.h"
#include "consensus/core/core.h"
#include "consensus/core/dag.h"

/* Vertices of one pre-block at the most: the whole ring of the DAG. */
#define PREBLOCK_VERTICES_MAX (DAG_ROUNDS * AUTHORITIES_MAX)

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

/* A pre-block record, opened in place: vertices and batches are read one by one. The view is alive
 * as long as the bytes it was opened over. */
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
size_t key_of_number(uint8_t *ret, uint64_t number);                 /* 8 bytes */
size_t key_of_slot(uint8_t *ret, round_t round, authority_t author); /* 10 bytes */
size_t key_of_vertex(uint8_t *ret, const struct vertex_ref *ref);    /* 42 bytes */

/* Fixed widths inside a pre-block record. */
#define PREBLOCK_RECORD_VERTEX_BYTES (8u + 2u + 32u + 4u)
#define PREBLOCK_RECORD_BATCH_BYTES  (32u + 4u + 4u + 4u)

/* Bytes of the largest record of a committee of `count`. */
#define PREBLOCK_RECORD_BYTES_MAX(count)                              \
    (PREBLOCK_HEADER_BYTES + 42u + 5u +                               \
     (size_t)DAG_ROUNDS * (count)*PREBLOCK_RECORD_VERTEX_BYTES + 5u + \
     (PREBLOCK_BATCHES_MAX + HEADER_BATCHES_MAX) * PREBLOCK_RECORD_BATCH_BYTES)

/* Writing a record: begin, all vertices, the number of batches, all batches. */
void preblock_record_write_begin(struct writer *writer,
                                 const struct preblock *header,
                                 const struct vertex_ref *anchor,
                                 uint32_t vertices_count);
void preblock_record_write_vertex(struct writer *writer,
                                  const struct vertex_ref *ref,
                                  uint32_t batches);
void preblock_record_write_batches_count(struct writer *writer, uint32_t batches_count);
void preblock_record_write_batch(struct writer *writer, const struct preblock_batch *batch);

/* Rows with a signed header. */
#define HEADER_ROW_BYTES_MAX (HEADER_BYTES_MAX + 64u)
void header_row_write(struct writer *writer,
                      const struct header *header,
                      const struct signature *signature);
enum status header_row_read(struct header *ret_header,
                            struct signature *ret_signature,
                            struct bytes value);

/* Certificate rows. */
void certificate_row_write(struct writer *writer,
                           const struct certificate *certificate,
                           bool verified);
enum status certificate_row_read(struct certificate *ret_certificate,
                                 bool *ret_verified,
                                 struct bytes value);

/* Reading keys back; ERR_CORRUPT when the width is wrong. */
enum status number_of_key(uint64_t *ret_number, struct bytes key);
enum status slot_of_key(round_t *ret_round, authority_t *ret_author, struct bytes key);

/* Keys of the meta rows. */
#define META_KEY(text) ((struct bytes){(const uint8_t *)(text), sizeof(text) - 1})
#define META_ORDERING  META_KEY("ordering")
#define META_CUT       META_KEY("cut")
#define META_PREBLOCK  META_KEY("preblock")
#define META_CERTIFIED META_KEY("certified")
#define META_GC        META_KEY("gc")
#define META_FLOOR     META_KEY("floor")
#define META_REJOINING META_KEY("rejoining")
#define META_RESTORED  META_KEY("restored")

#endif
