/* A pre-block in the mock's file (mock_consensus.h), without the length in front of it:
 *
 *   header 153 | quorum | u32 count | count x (u32 length | batch)
 *
 * Pure. */
#ifndef SEQUENCER_MOCK_RECORD_H
#define SEQUENCER_MOCK_RECORD_H

#include "sequencer/da_batch.h"

/* Batches of one pre-block. */
#define MOCK_BATCHES_MAX 8u

void mock_record_write(struct writer *writer,
                       const struct preblock *header,
                       const struct quorum *quorum,
                       const struct bytes *batches,
                       uint32_t count);

/* ERR_CORRUPT, or ERR_CONFLICT when the batches are not those of the header. Signatures are not looked at. */
enum status mock_record_open(struct da_preblock **ret_preblock,
                             struct preblock *ret_header,
                             struct bytes record);

#endif
