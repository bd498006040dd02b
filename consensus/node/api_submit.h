/* A submission in progress: what api_submit.c (the calls) and api_take.c (their messages) share. */
#ifndef CONSENSUS_NODE_API_SUBMIT_H
#define CONSENSUS_NODE_API_SUBMIT_H

#include "consensus/node/api_internal.h"

enum submit_kind { SUBMIT_UNARY, SUBMIT_WAIT, SUBMIT_STREAM, SUBMIT_BATCHES };

struct submit {
    struct call *call;
    enum submit_kind kind;
    struct link blocked;         /* in api->blocked while there is no room */
    grpc_byte_buffer *held;      /* unary: the message, while blocked */
    struct intake_waiter waiter; /* unary */
    enum api_level level;
    uint32_t offset; /* unary: in the batch */
    /* streams */
    struct link waits;
    uint64_t last_ticket; /* of the newest wait */
    bool closed;          /* by the client */
    uint64_t accepted;
    uint64_t bytes;
};

/* What was wrong with a message. */
struct refusal {
    grpc_status_code code;
    char text[TEXT_BYTES];
};

/* Takes in a received message, as a whole or not at all; calls submit_wait_for for each batch that
 * took a part of it. */
bool submit_take_message(struct submit *submit,
                         struct refusal *ret_refusal,
                         grpc_byte_buffer *message);

/* Has the submission told when the batch reached its level. */
void submit_wait_for(struct submit *submit, const struct intake_place *place);

#endif
