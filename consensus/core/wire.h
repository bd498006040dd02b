/* Frame bodies of the mesh. A frame is a u32 LE length and a body; a body is a kind (u8) and the
 * fields below, BCS. Control frames go through the core, bulk frames through the worker half of the
 * driver.
 *
 *   control
 *    1 HEADER          header | signature 64          new or repeated; also the author's vote
 *    2 VOTE            vote
 *    3 CERTIFICATES    last u8 | vec<certificate>     answer to 5 and 6; last = 1: the answer is
 *                      complete
 *    4 ATTESTATION     index u64 | digest 32 | authority u16 | signature 64
 *    5 WANT            vec<round u64, author u16, digest 32>   certificates, by name
 *    6 WANT_RANGE      after u64                      certificates of rounds > after, ascending
 *    7 WANT_HEADER     round u64 | author u16 | digest 32
 *    8 POSITION        quorum_round u64 | anchor_round u64 | certified_index u64 | rejoining u8
 *    9 PREBLOCK_CERTIFICATE  pre-block header 153 | quorum
 *   10 WANT_PREBLOCK_CERTIFICATE  index u64           "my last certified index"
 *   11 REJOIN_QUERY    nonce u64
 *   12 REJOIN_ANSWER   nonce u64 | vec<certificate> (0 or 1): proof of the highest round known
 *   13 BATCH_ACK       digest 32                      the batch is durable at the sender
 *   14 CHECKPOINT_SIGNATURE  sequence u64 | digest 32 | authority u16 | signature 64
 *   15 CHECKPOINT      checkpoint 210 | quorum        a final one
 *   16 WANT_CHECKPOINT sequence u64                   "my last ordering record": a newer final one
 *   17 WANT_RECORDS    sequence u64 | offset u32      ordering records, from this one downward
 *   18 RECORD          sequence u64 | offset u32 | total u32 | last u8 | bytes
 *                      answer to 17: part of a record of `total` bytes, 0: not held; last = 1: ask
 *                      again for what is missing
 *   bulk
 *   32 BATCH           worker u32 | created_at u64 ms | fetched u8 | batch bytes
 *   33 WANT_BATCH      digest 32 | worker u32
 *   34 NO_BATCH        digest 32                      answer when the batch is not held
 *   both
 *   64 PING            time u64   65 PONG  time u64   answered by the mesh itself
 *
 * Kinds are never reused. An unknown kind is counted and dropped. docs/protocol.md, mesh. */
#ifndef CONSENSUS_CORE_WIRE_H
#define CONSENSUS_CORE_WIRE_H

#include "common/bytes.h"
#include "common/codec.h"
#include "common/preblock.h"
#include "consensus/core/core.h"

enum wire_kind {
    WIRE_HEADER = 1,
    WIRE_VOTE = 2,
    WIRE_CERTIFICATES = 3,
    WIRE_ATTESTATION = 4,
    WIRE_WANT = 5,
    WIRE_WANT_RANGE = 6,
    WIRE_WANT_HEADER = 7,
    WIRE_POSITION = 8,
    WIRE_PREBLOCK_CERTIFICATE = 9,
    WIRE_WANT_PREBLOCK_CERTIFICATE = 10,
    WIRE_REJOIN_QUERY = 11,
    WIRE_REJOIN_ANSWER = 12,
    WIRE_BATCH_ACK = 13,
    WIRE_CHECKPOINT_SIGNATURE = 14,
    WIRE_CHECKPOINT = 15,
    WIRE_WANT_CHECKPOINT = 16,
    WIRE_WANT_RECORDS = 17,
    WIRE_RECORD = 18,
    WIRE_BATCH = 32,
    WIRE_WANT_BATCH = 33,
    WIRE_NO_BATCH = 34,
    WIRE_PING = 64,
    WIRE_PONG = 65,
};

/* Bytes of a CERTIFICATES answer at the most, and certificates in it. */
#define WIRE_ANSWER_BYTES_MAX        (FRAME_BYTES_MAX / 2u)
#define WIRE_ANSWER_CERTIFICATES_MAX 2000u

/* Certificates of one answer whose signatures are checked for it: some 10 ms. */
#define WIRE_ANSWER_CHECKS_MAX 32u

/* Answers to SERVE_CERTIFICATES and SERVE_RANGE are built by whoever owns the store (node,
 * simulator): begin, append encoded certificates while it returns true, finish. `memory` takes
 * WIRE_ANSWER_BYTES_MAX bytes. */
struct wire_answer {
    struct writer writer;
    const struct committee *committee;
    uint32_t count;
    uint32_t checks;
};
void wire_answer_begin(struct wire_answer *answer,
                       uint8_t *memory,
                       const struct committee *committee);

/* `value` is a TABLE_CERTIFICATES value (flag u8 | certificate). One flagged unverified (the node stopped
 * before it could check it) is checked now, and skipped when it is bad: it may be the last copy of its
 * signatures. False when it does not fit any more, or needs a check beyond WIRE_ANSWER_CHECKS_MAX: finish
 * with last = false. */
bool wire_answer_append(struct wire_answer *answer, struct bytes value);

/* The frame body. */
struct bytes wire_answer_finish(struct wire_answer *answer, bool last);

/* The answer to SERVE_HEADER: a HEADER body from a TABLE_HEADERS or TABLE_OWN_HEADERS value.
 * `memory` takes HEADER_BYTES_MAX + 65 bytes. */
struct bytes wire_header_body(uint8_t *memory, struct bytes value);

/* The answer to SERVE_RECORDS is made by whoever owns the store: one RECORD for each of the up to
 * WIRE_RECORDS_MAX records found, from the sequence asked for downward without a gap, only the first one from
 * the offset asked for on. Builds the body for one: `value` is its TABLE_ORDERING value, or empty when it is
 * not held. `more`: the record below it will follow. Returns false when it is the answer's last: nothing
 * follows, or not all of this record fits. `memory` takes WIRE_RECORD_BYTES_MAX bytes. */
#define WIRE_RECORDS_MAX      8u
#define WIRE_RECORD_PART_MAX  (64u * 1024u)
#define WIRE_RECORD_BYTES_MAX (WIRE_RECORD_PART_MAX + 18u)
bool wire_record_body(struct bytes *ret_body,
                      uint8_t *memory,
                      uint64_t sequence,
                      uint32_t offset,
                      struct bytes value,
                      bool more);

/* ---- what the core itself sends: one function per control kind ------------------------------- */

/* Largest body the core builds itself: a batch of certificate names, or one proof certificate. */
#define WIRE_WANT_REFS_MAX 400u
#define WIRE_VERTEX_BYTES  42u /* round u64 | author u16 | digest 32 */

struct wire_attestation {
    uint64_t index;
    struct digest digest;
    authority_t authority;
    struct signature signature;
};

struct wire_record {
    uint64_t sequence;
    uint32_t offset; /* of `part` in the record */
    uint32_t total;  /* bytes of the record; 0: not held */
    bool last;
    struct bytes part; /* a view into the message */
};

struct wire_position {
    round_t quorum_round;
    round_t anchor_round;
    uint64_t certified_index;
    bool rejoining;
};

void vertex_encode(struct writer *writer, const struct vertex_ref *ref);
void vertex_decode(struct vertex_ref *ret_ref, struct reader *reader);

void wire_write_header(struct writer *writer,
                       const struct header *header,
                       const struct signature *signature);
void wire_write_vote(struct writer *writer, const struct vote *vote);
void wire_write_attestation(struct writer *writer, const struct wire_attestation *attestation);
void wire_write_want(struct writer *writer, const struct vertex_ref *refs, size_t count);
void wire_write_want_range(struct writer *writer, round_t after);
void wire_write_want_header(struct writer *writer, const struct vertex_ref *ref);
void wire_write_position(struct writer *writer, const struct wire_position *position);
void wire_write_preblock_certificate(struct writer *writer,
                                     const struct preblock *header,
                                     const struct quorum *quorum);
void wire_write_want_preblock_certificate(struct writer *writer, uint64_t index);
void wire_write_rejoin_query(struct writer *writer, uint64_t nonce);

/* `proof`: a certificate of the highest round known, or NULL when there is none yet. */
void wire_write_rejoin_answer(struct writer *writer,
                              uint64_t nonce,
                              const struct certificate *proof);
void wire_write_batch_ack(struct writer *writer, const struct digest *digest);

/* `signature->index` is the checkpoint's sequence. */
void wire_write_checkpoint_signature(struct writer *writer,
                                     const struct wire_attestation *signature);
void wire_write_want_checkpoint(struct writer *writer, uint64_t sequence);
void wire_write_want_records(struct writer *writer, uint64_t sequence, uint32_t offset);

/* Readers of bodies after the kind byte; they fail the reader on anything the writers would not
 * write, and do not ask for its end. */
void wire_read_attestation(struct wire_attestation *ret_attestation, struct reader *reader);
void wire_read_record(struct wire_record *ret_record, struct reader *reader);
void wire_read_position(struct wire_position *ret_position, struct reader *reader);

#endif
