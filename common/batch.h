/* A batch in canonical form: the protobuf encoding of `Batch { repeated bytes transactions = 1; }`
 * with minimal varints, at least one transaction, each 1 .. TRANSACTION_BYTES_MAX bytes, and
 * nothing else. So Export splices stored bytes without re-encoding, and the digest (common/page.h
 * root of these bytes) is the same in every language. */
#ifndef COMMON_BATCH_H
#define COMMON_BATCH_H

#include "common/bytes.h"

/* Takes the next transaction (a view) off a canonical batch. False at the end or at the first byte
 * that is not canonical; `reader->failed` tells which. */
bool batch_next(struct bytes *ret_transaction, struct reader *reader);

/* Checks a whole batch and counts its transactions. ERR_TOO_LARGE or ERR_MALFORMED. */
enum status batch_validate(uint32_t *ret_transactions, const uint8_t *data, size_t len);

/* Bytes one transaction of `len` bytes takes in a batch. */
size_t batch_entry_bytes(size_t len);

/* Appends one transaction of 1 .. TRANSACTION_BYTES_MAX bytes. */
void batch_append(struct writer *writer, const uint8_t *transaction, size_t len);

#endif
