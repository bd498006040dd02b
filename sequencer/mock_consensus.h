/* A consensus without nodes: a committee of four whose keys this process holds. What is submitted becomes
 * pre-blocks with real certificates, so the real kernel takes them. For development and tests only: nobody checks
 * anybody here.
 *
 * Keys, committee.json and the pre-blocks live in a directory, so that a mock that starts again goes on with the
 * same history:
 *
 *   preblocks.log    records: u32 length of the rest | header 153 | quorum | u32 count | count x (u32 length | batch) */
#ifndef SEQUENCER_MOCK_CONSENSUS_H
#define SEQUENCER_MOCK_CONSENSUS_H

#include "common/committee_file.h"
#include "sequencer/consensus.h"

struct event_base;

#define MOCK_MEMBERS 4u

/* Transactions wait so long for others to share their pre-block. */
#define MOCK_GATHER_US 50000u

/* History kept in memory and in the file; beyond it submissions are refused. */
#define MOCK_HISTORY_BYTES_MAX (1024u * 1024u * 1024u)

/* Opens or makes the directory's mock; fills `ret_committee`. ERR_IO, ERR_CONFIG or ERR_CORRUPT with a line. */
enum status mock_consensus_open(struct consensus **ret_consensus,
                                struct committee_file *ret_committee,
                                struct event_base *base,
                                const char *directory,
                                struct error_line *error);

#endif
