/* A submission in progress: what api_submit.c (the calls) and api_take.c (their messages) share. */
#ifndef CONSENSUS_NODE_API_SUBMIT_H
#define CONSENSUS_NODE_API_SUBMIT_H

#include "consensus/node/api_internal.h"

enum submit_kind { SUBMIT_UNARY, SUBMIT_WAIT, SUBMIT_STREAM, SUBMIT_BATCHES };

struct submit {
    struct call *call;
    enum submit_kind kind;
    struct link blocked;         /* in api->blocked while there is no room */
    grpc_byte_buffer *held;      /* the message: unary, while blocked; a stream's, while slowed */
    struct intake_waiter waiter; /* unary */
    enum api_level level;
    uint32_t offset; /* unary: in the batch */
    /* streams */
    struct link waits;
    uint64_t last_ticket; /* of the newest wait */
    bool closed;          /* by the client */
    uint64_t accepted;
    uint64_t bytes;
    struct link slowed; /* in api->slowed while a limit holds it back */
    uint64_t resume_us;
    struct rate_address address; /* of the client, when addresses are limited */
};

/* Takes in a received message, as a whole or not at all; calls submit_wait_for for each batch that
 * took a part of it. */
bool submit_take_message(struct submit *submit,
                         struct refusal *ret_refusal,
                         grpc_byte_buffer *message);

/* The same behind the limits of the client's address. */
bool submit_take_open(struct submit *submit,
                      struct refusal *ret_refusal,
                      grpc_byte_buffer *message);

/* ---- api_guard.c: when api->door is there ------------------------------------------------------ */

/* Finds out the client's address, if it will be asked for. */
void guard_submit(struct submit *submit);

/* submit_take_message with the limits of the client's address. */
bool guard_take_message(struct submit *submit, struct refusal *refusal, grpc_byte_buffer *message);

/* Judges a message's transactions as envelopes and writes their payloads, which need less room than
 * the envelopes, as a canonical batch. */
bool guard_peel(struct writer *ret_payloads,
                struct submit *submit,
                struct refusal *refusal,
                struct bytes canonical);

/* Has the submission told when the batch reached its level. */
void submit_wait_for(struct submit *submit, const struct intake_place *place);

#endif
