/* The consensus nodes over gRPC. Streams go round a list of nodes: the same index continues, without gap or
 * repeat, and whatever a node sends is checked (proto/verify.h) before it is used. A node that sends something
 * wrong is left for the next, with a line in the log. Transactions go to the first node of another list that takes
 * them. */
#ifndef SEQUENCER_CONSENSUS_CLIENT_H
#define SEQUENCER_CONSENSUS_CLIENT_H

#include "common/client_access.h"
#include "common/committee.h"
#include "common/config.h"
#include "common/error_line.h"
#include "sequencer/consensus.h"

struct event_base;

struct consensus_client_options {
    const struct config_list *primaries; /* URLs of pre-block ports */
    const struct config_list *workers;   /* URLs of transaction ports */
    const struct committee *committee;   /* outlives the client */
    const struct client_access *access;  /* used while opening */
};

/* ERR_CONFIG or ERR_IO with a line. */
enum status consensus_client_open(struct consensus **ret_consensus,
                                  struct event_base *base,
                                  const struct consensus_client_options *options,
                                  struct error_line *error);

#endif
