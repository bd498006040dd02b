/* The answers to submissions (dsn.proto), as bytes: what the node writes and what a client reads.
 *
 *   Receipt         digest 1 | index 2 | position 3 | level 4 | offset 5
 *   SubmitSummary   accepted 1 | bytes 2
 *
 * Fields that are 0 are not written, fields that are not known are skipped. */
#ifndef PROTO_RECEIPT_H
#define PROTO_RECEIPT_H

#include "common/bytes.h"

/* As written here, at the most. */
#define RECEIPT_BYTES_MAX 64u
#define SUMMARY_BYTES_MAX 32u

struct receipt {
    struct digest digest; /* of the batch */
    uint64_t index;       /* of the pre-block, when committed */
    uint32_t position;    /* in the pre-block, when committed */
    uint32_t level;       /* as in dsn.proto; 0: not said */
    uint32_t offset;      /* in the batch */
};

void receipt_write(struct writer *writer, const struct receipt *receipt);

/* ERR_MALFORMED: no message, or a number or digest that is none. */
enum status receipt_read(struct receipt *ret_receipt, struct bytes bytes);

struct summary {
    uint64_t accepted; /* transactions */
    uint64_t bytes;    /* of them */
};

void summary_write(struct writer *writer, const struct summary *summary);

/* ERR_MALFORMED. */
enum status summary_read(struct summary *ret_summary, struct bytes bytes);

#endif
