/* Bytes of headers, votes and certificates. BCS, strict: decode accepts exactly what encode writes.
 *
 *   header       author u16 | round u64 | epoch u64 | created_at u64 ms
 *                | payload vec<digest 32, worker u32, created_at u64> | system_messages vec (empty)
 *                | parents vec<digest 32>, ascending and distinct
 *   vote         header digest 32 | round u64 | author u16 | voter u16 | signature 64
 *   quorum       signers vec<u8> ascending | signatures vec<64 bytes>, same count
 *   certificate  header | quorum
 *
 * The header is byte-identical to Narwhal's V2 header. Its digest is BLAKE2b-256 of these bytes,
 * and is the identity of its certificate, whoever signed. Sources: docs/protocol.md; Narwhal, types
 * crate. */
#ifndef COMMON_CODEC_H
#define COMMON_CODEC_H

#include "common/bytes.h"
#include "common/committee.h"
#include "common/types.h"

#define HEADER_BYTES_MAX \
    (2u + 8u + 8u + 8u + 1u + HEADER_BATCHES_MAX * 44u + 1u + 1u + AUTHORITIES_MAX * 32u)
#define QUORUM_BYTES_MAX      (1u + AUTHORITIES_MAX + 1u + AUTHORITIES_MAX * 64u)
#define CERTIFICATE_BYTES_MAX (HEADER_BYTES_MAX + QUORUM_BYTES_MAX)
#define VOTE_BYTES            (32u + 8u + 2u + 2u + 64u)

void header_encode(struct writer *writer, const struct header *header);
void vote_encode(struct writer *writer, const struct vote *vote);
void quorum_encode(struct writer *writer, const struct quorum *quorum);
void certificate_encode(struct writer *writer, const struct certificate *certificate);

/* Decoders fail the reader on anything encode would not write; they do not ask for its end. Output
 * is unspecified when the reader failed. An authority at or above AUTHORITIES_MAX fails too: it
 * belongs to no committee, and sets of authorities have no room for it. */
void header_decode(struct header *ret_header, struct reader *reader);
void vote_decode(struct vote *ret_vote, struct reader *reader);
void quorum_decode(struct quorum *ret_quorum, struct reader *reader);
void certificate_decode(struct certificate *ret_certificate, struct reader *reader);

/* Digest of a header: encodes on the stack and hashes. */
void header_digest(struct digest *ret_digest, const struct header *header);

/* Well-formed for this committee (CONSENSUS 5): known author, epoch equal, round >= 1, worker ids
 * below WORKERS, payload digests distinct, at most `count` parents. Encoding is already checked by
 * decode. ERR_UNKNOWN_AUTHORITY, ERR_EPOCH, ERR_STALE (round 0) or ERR_MALFORMED. */
enum status header_validate(const struct header *header, const struct committee *committee);

#endif
