/* The ordering record: what one ordered anchor did, byte for byte. It is written in the same atomic
 * write as everything that changes with it, and a node starts again from the last W of them alone.
 *
 *   version u8 (1) | sequence u64 | previous 32 | previous_round u64
 *   | anchor: round u64, author u16, digest 32 | created_at u64 ms | excluded 16
 *   | skipped vec<round u64, author u16> | batches u32
 *   | vertices vec<round u64, author u16, digest 32, new vec<digest 32, worker u32>>
 *
 *   previous        BLAKE2b of the previous record; of record 1: the committee digest
 *   previous_round  p, round of the anchor ordered before; the sub-DAG's floor is p - gc_depth
 *   created_at      of the anchor's header
 *   excluded        exclusions after this record, a bit per authority, two words
 *   skipped         instance slots that were passed over, ascending
 *   batches         digests in all the `new` lists together
 *   vertices        the ordered vertices by (round, author index), the anchor last
 *   new             payload of the vertex not executed before, in the header's order
 *
 * Records are equal on all nodes: nothing local (how or when an anchor was decided, batch sizes) is
 * in them. The index and timestamp of the pre-blocks are not either, as the cut needs batch sizes,
 * and ordering never waits for batches: preblock_cutter.h makes them from the record.
 * docs/protocol.md, storage. */
#ifndef CONSENSUS_CORE_ORDERING_RECORD_H
#define CONSENSUS_CORE_ORDERING_RECORD_H

#include "common/bytes.h"
#include "consensus/core/commit_rule.h"
#include "consensus/core/core.h"

#define ORDERING_RECORD_VERSION 1u
#define ORDERING_VERTEX_BYTES   (8u + 2u + 32u + 1u) /* without its new batches */
#define ORDERING_BATCH_BYTES    (32u + 4u)
#define ORDERING_SLOT_BYTES     (8u + 2u)

/* Bytes of the largest record of a committee of n and a DAG of `rounds` rounds. */
#define ORDERING_RECORD_BYTES_MAX(n, rounds)                                                    \
    (1u + 8u + 32u + 8u + 42u + 8u + 16u + 5u + (rounds) / 2u * ORDERING_SLOT_BYTES + 4u + 5u + \
     (size_t)(rounds) * (n) * (ORDERING_VERTEX_BYTES + HEADER_BATCHES_MAX * ORDERING_BATCH_BYTES))

/* A record opened in place: the views are alive as long as the bytes it was opened over. */
struct ordering_record {
    uint64_t sequence; /* from 1 */
    struct digest previous;
    round_t previous_round;
    struct vertex_ref anchor;
    uint64_t created_at;
    struct authority_set excluded;
    uint32_t skipped_count;
    uint32_t vertices_count;
    uint32_t batches_count;
    struct bytes skipped;  /* encoded */
    struct bytes vertices; /* encoded, with their new batches */
    struct bytes bytes;    /* the whole record */
};

/* Checks the whole record strictly: order of slots and vertices, the anchor last, counts, nothing
 * left over. ERR_CORRUPT. Does not check it against a committee or the chain; orderer_replay does.
 */
enum status ordering_record_open(struct ordering_record *ret_record, struct bytes bytes);

/* Digest of the record's bytes: `previous` of the next. */
void ordering_record_digest(struct digest *ret_digest, const struct ordering_record *record);

/* `index` < skipped_count: checked. */
struct commit_slot ordering_record_skipped(const struct ordering_record *record, uint32_t index);

/* Reading vertices and new batches in order:
 *
 *     struct ordering_cursor cursor = ordering_record_begin(&record);
 *     while (ordering_record_next(&cursor, &vertex))
 *         for (i = 0; i < vertex.batches; i++) ordering_record_next_batch(&cursor, &batch);
 *
 * Batches of a vertex that are not taken are passed over. A cursor is a plain value and can be
 * copied. */
struct ordering_cursor {
    struct reader reader;
    uint32_t vertices_left;
    uint32_t batches_left; /* of the present vertex */
};
struct ordering_vertex {
    struct vertex_ref ref;
    uint32_t batches; /* new ones, 0 .. HEADER_BATCHES_MAX */
};
struct ordering_batch {
    struct digest digest;
    uint32_t worker;
};
struct ordering_cursor ordering_record_begin(const struct ordering_record *record);
bool ordering_record_next(struct ordering_cursor *cursor, struct ordering_vertex *ret_vertex);
bool ordering_record_next_batch(struct ordering_cursor *cursor, struct ordering_batch *ret_batch);

/* Encoding, used by the orderer: head, then for each vertex it and its new batches, then finish,
 * which fills in the number of batches. `head->vertices_count` and `skipped` are known at begin. */
struct ordering_encoder {
    struct writer writer;
    size_t batches_at; /* where the number of batches goes */
    uint32_t batches;
};
void ordering_encoder_begin(struct ordering_encoder *encoder,
                            void *memory,
                            size_t capacity,
                            const struct ordering_record *head,
                            const struct commit_slot *skipped);
void ordering_encoder_vertex(struct ordering_encoder *encoder,
                             const struct vertex_ref *ref,
                             const struct ordering_batch *batches,
                             uint32_t count);
struct bytes ordering_encoder_finish(struct ordering_encoder *encoder);

#endif
