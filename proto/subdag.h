/* exporter.SubDag as bytes: written by a node for its subscribers, read in place by whoever follows
 * one. Batches are spliced as they are stored, as a canonical batch is the encoding of
 * exporter.Batch; certificates are converted field by field.
 *
 * A writer calls, in this order:
 *
 *     subdag_write_start          id and leader
 *     subdag_write_certificate    for each certificate, in execution order, the leader last
 *     subdag_write_payload        for each certificate: the sizes of its batches (none: count 0),
 * and subdag_write_batch        for each of them (or subdag_reserve_batch, then fill it)
 *     subdag_write_end            pre-block header and certificate
 *
 * into memory of at least subdag_bytes_max bytes plus subdag_certificate_bytes of every
 * certificate, the leader counted twice. The result is byte-identical to what protobuf writes. */
#ifndef PROTO_SUBDAG_H
#define PROTO_SUBDAG_H

#include "common/bytes.h"
#include "common/codec.h"
#include "common/preblock.h"

/* Bytes of one certificate with key and length; at most SUBDAG_CERTIFICATE_BYTES_MAX. */
size_t subdag_certificate_bytes(const struct certificate *certificate);
#define SUBDAG_CERTIFICATE_BYTES_MAX \
    (64u + HEADER_BATCHES_MAX * 54u + AUTHORITIES_MAX * (34u + 65u))

/* Upper bound for everything but the certificates: `vertices` payloads that hold `batches` batches
 * of `bytes` bytes together. */
size_t subdag_bytes_max(uint32_t vertices, uint32_t batches, uint64_t bytes);

void subdag_write_start(struct writer *writer, uint64_t id, const struct certificate *leader);
void subdag_write_certificate(struct writer *writer, const struct certificate *certificate);
void subdag_write_payload(struct writer *writer, const uint32_t *batch_bytes, uint32_t count);
void subdag_write_batch(struct writer *writer, struct bytes batch);

/* Room for a batch of `len` bytes, to be filled at once; NULL when the writer has no room. */
uint8_t *subdag_reserve_batch(struct writer *writer, uint32_t len);

/* `quorum` is NULL while the pre-block has no certificate of its own. */
void subdag_write_end(struct writer *writer,
                      const struct preblock *preblock,
                      const struct quorum *quorum);

/* ---- reading --------------------------------------------------------------------------------- */

/* A SubDag, opened in place: all views are into the bytes it was opened over. */
struct subdag {
    uint64_t id;
    struct bytes leader;               /* exporter.Certificate; empty when absent */
    struct bytes preblock_header;      /* empty when the server has none */
    struct bytes preblock_certificate; /* empty when there is none yet */
    uint32_t certificates_count;
    uint32_t payloads_count;
    struct bytes bytes;
};

/* ERR_MALFORMED. Unknown fields are skipped; what certificates and payloads hold is checked only
 * when they are read. */
enum status subdag_open(struct subdag *ret_subdag, struct bytes bytes);

/* The encoded exporter.Certificate or exporter.Payload items one by one; `cursor` starts as
 * reader_make(subdag.bytes.data, subdag.bytes.len). False at the end. */
bool subdag_next_certificate(struct bytes *ret_certificate, struct reader *cursor);
bool subdag_next_payload(struct bytes *ret_payload, struct reader *cursor);

/* The batches of one payload, in canonical form if the server is honest; `cursor` starts as a
 * reader over the payload. False at the end or at malformed bytes; reader_done tells which. */
bool subdag_next_batch(struct bytes *ret_batch, struct reader *cursor);

/* Decodes an exporter.Certificate into the protocol's own form. ERR_MALFORMED when it does not fit:
 * counts over the limits, digests that are not 32 bytes, signatures that do not match the signers,
 * or system messages; the output is then unspecified. What the certificate says is not verified. */
enum status subdag_read_certificate(struct certificate *ret_certificate, struct bytes bytes);

#endif
