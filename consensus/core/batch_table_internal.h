/* The inside of struct batch_table, shared by batch_table.c (entries and lists) and batch_fetch.c (asking for
 * what is missing). Nobody else includes it. */
#ifndef CONSENSUS_CORE_BATCH_TABLE_INTERNAL_H
#define CONSENSUS_CORE_BATCH_TABLE_INTERNAL_H

#include "consensus/core/batch_table.h"

/* Moves an entry to the end, or the front, of a list; keeps the unnamed bytes of its author right. */
void batch_entry_move(struct batch_table *table,
                      uint32_t number,
                      enum batch_list list,
                      bool in_front);

#endif
