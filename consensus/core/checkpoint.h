/* Checkpoints: how a node starts again that is further behind than its peers' certificates reach.
 *
 *   checkpoint, 210 bytes:
 *     version u8 (1) | epoch u64 | sequence u64 | round u64 | record digest 32
 *     | pre-block header 153 (all fields 0 while no pre-block is made)
 *
 *   sequence   of an ordering record, a multiple of CHECKPOINT_INTERVAL
 *   round      of that record's anchor, p
 *   record     digest of the record, and so, by its chain, of all before it
 *   pre-block  the last one made of the records up to it
 *
 * Whoever has made all pre-blocks of record `sequence` signs the digest (scope 11); signatures of stake >= Q
 * make it final. The state that a node starts from is not in the checkpoint: it is a function of the last W
 * ordering records (see orderer.h), which are fetched from any peer and checked by the chain that ends in
 * `record`. So what is signed is small, and starting from a checkpoint is the same code as starting from
 * one's own store.
 *
 * Equal at all honest nodes, as ordering records and pre-blocks are: a final one is a prefix of the one
 * history. Sources: CONSENSUS 10; docs/protocol.md, checkpoints. */
#ifndef CONSENSUS_CORE_CHECKPOINT_H
#define CONSENSUS_CORE_CHECKPOINT_H

#include "common/committee.h"
#include "common/preblock.h"
#include "consensus/core/region.h"
#include "consensus/core/wire.h"

/* Ordered anchors from one checkpoint to the next. */
#define CHECKPOINT_INTERVAL (2u * GC_DEPTH)

/* Ordering records that rebuild the commit state at a checkpoint, the checkpoint's own the last. */
#define CHECKPOINT_RECORDS SCHEDULE_WINDOW
_Static_assert(CHECKPOINT_INTERVAL >= CHECKPOINT_RECORDS, "the first one has enough records");

#define CHECKPOINT_VERSION 1u
#define CHECKPOINT_BYTES   (1u + 8u + 8u + 8u + 32u + PREBLOCK_HEADER_BYTES)

struct checkpoint {
    uint64_t epoch;
    uint64_t sequence;
    round_t round;
    struct digest record;
    struct preblock preblock; /* index 0: none, and all of it zero */
};

void checkpoint_encode(struct writer *writer, const struct checkpoint *checkpoint);

/* Fails the reader on another version, a sequence that is 0 or no multiple of the interval, a round below the
 * sequence, and a pre-block of a later round or another epoch, or none that is not all zero. */
void checkpoint_decode(struct checkpoint *ret_checkpoint, struct reader *reader);

void checkpoint_digest(struct digest *ret_digest, const struct checkpoint *checkpoint);

/* A checkpoint with the signatures that make it final; quorum.count 0: not final (yet). Sequence 0: none. */
struct checkpoint_proof {
    struct checkpoint checkpoint;
    struct digest digest;
    struct quorum quorum;
};

/* The rows of TABLE_CHECKPOINTS: checkpoint | quorum, the quorum empty while it is only signed here.
 * ERR_CORRUPT. */
#define CHECKPOINT_ROW_BYTES_MAX (CHECKPOINT_BYTES + QUORUM_BYTES_MAX)
void checkpoint_row_write(struct writer *writer, const struct checkpoint_proof *proof);
enum status checkpoint_row_read(struct checkpoint_proof *ret_proof, struct bytes value);

/* ---- gathering signatures -------------------------------------------------------------------- */

struct checkpoint_cell {
    uint64_t sequence; /* 0: empty */
    struct digest digest;
    struct signature signature;
    bool verified;
};

/* Invariants (checkpointer_check): newest and older are final ones, newest above older; `made` is not below
 * `newest`, or nothing was made since a start from a checkpoint. */
struct checkpointer {
    const struct committee *committee;
    authority_t self;
    struct checkpoint_proof made;   /* our own newest */
    struct checkpoint_proof newest; /* final */
    uint64_t older;                 /* sequence of the final one before it; 0: none */
    struct checkpoint_cell *cells;  /* two for each member: this interval's and the next one's */
};

void checkpointer_place(struct checkpointer *checkpointer,
                        struct region *region,
                        const struct committee *committee,
                        authority_t self);

/* Our own next one: the sequence is above that of any before. */
void checkpointer_make(struct checkpointer *checkpointer, const struct checkpoint *checkpoint);

/* A recovered row, in order of sequence. */
void checkpointer_recover(struct checkpointer *checkpointer, const struct checkpoint_proof *proof);

/* A signature: our own (verified), or one that its signer sent. OK; ERR_STALE: of a final sequence, or below
 * what the signer signed since; ERR_DUPLICATE; ERR_CONFLICT: another digest before, the first is kept;
 * ERR_MALFORMED: no such sequence. */
enum status checkpointer_add(struct checkpointer *checkpointer,
                             const struct wire_attestation *signature,
                             bool verified);

/* What we signed for `made`, or NULL. */
const struct checkpoint_cell *checkpointer_own(const struct checkpointer *checkpointer);

/* Makes `made` final if the signatures allow it; verifies as few as possible. `ret_bad`: signers of bad ones,
 * which are removed. */
bool checkpointer_finish(struct checkpointer *checkpointer, struct authority_set *ret_bad);

/* A proof of `made` whose quorum was verified. OK: final now. ERR_STALE: of another sequence, or final
 * already. ERR_CONFLICT: not what we made: alarm. */
enum status checkpointer_take(struct checkpointer *checkpointer,
                              const struct checkpoint_proof *proof);

void checkpointer_check(const struct checkpointer *checkpointer);

#endif
