/* From an exported item to the pre-block that is posted: its batches, and the pages made of them. Pure. */
#ifndef SEQUENCER_SUBDAG_PREBLOCK_H
#define SEQUENCER_SUBDAG_PREBLOCK_H

#include "proto/verify.h"
#include "sequencer/da_batch.h"

/* The pre-block of an encoded exporter.SubDag that verify_next found right, as `item` says; its quorum is empty
 * when the item carries none. ERR_MALFORMED: no batches, or too many; else as da_preblock_make. */
enum status subdag_preblock_make(struct da_preblock **ret_preblock,
                                 const struct verify_item *item,
                                 struct bytes subdag);

#endif
