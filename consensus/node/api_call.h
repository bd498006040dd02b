/* One gRPC call on the server's side, and the few things that can be done with it. Private to
 * api*.c; everything here belongs to the gRPC thread.
 *
 * A call is a counted object: each operation that gRPC has in hand holds it, and so does its being
 * unfinished. Its life:
 *
 *     accepted -> method->start(call) -> call_receive / call_send .. -> call_finish -> freed
 *                                         or: call_cut (status without waiting for what is unsent)
 *
 * Finishing is once: later finishes are ignored, so that services need not ask. After it no
 * callback of the service runs any more, except `end`, which runs once, at the moment of finishing:
 * there the service leaves its lists and frees its state. */
#ifndef CONSENSUS_NODE_API_CALL_H
#define CONSENSUS_NODE_API_CALL_H

#include <grpc/byte_buffer.h>
#include <grpc/grpc.h>
#include <grpc/slice.h>
#include <grpc/status.h>

#include "common/bytes.h"
#include "common/token_table.h"
#include "consensus/node/link.h"
#include "proto/queue.h"

struct api;
struct call;
struct port;

/* A method of a service. Tables end with a NULL path. */
struct method {
    const char *path; /* "/exporter.Exporter/Export" */
    void (*start)(struct call *call);
    enum token_right right; /* that a token must carry, when the node has tokens */
};

struct call {
    struct link link; /* in the port's list of open calls */
    struct api *api;
    struct port *port;
    const struct method *method;
    grpc_call *grpc;
    unsigned references;
    bool finished; /* a status was sent or the call was cut */
    bool ended;
    bool receiving;
    bool sending;
    bool greeted;      /* initial metadata went out */
    uint32_t retry_ms; /* told with the status: when to try again; 0: nothing is said */

    /* The service's own. */
    void *state;
    void (*received)(struct call *call, grpc_byte_buffer *message); /* NULL: half-closed */
    void (*sent)(struct call *call);
    void (*end)(struct call *call);

    struct queue_tag receive_tag;
    struct queue_tag send_tag;
    struct queue_tag finish_tag;
    struct queue_tag greet_tag;
    struct queue_tag watch_tag;
    grpc_byte_buffer *message; /* being received */
    grpc_byte_buffer *sending_message;
    grpc_byte_buffer *last_message; /* of call_finish */
    bool watched;
    int was_cancelled;
};

/* Takes over a grpc_call that was accepted on `port`. */
void call_start(struct port *port, grpc_call *grpc, const struct method *method);

/* Asks for the next message; `received` is called with it, owned by the service, or with NULL once
 * the client has closed its side. One at a time. */
void call_receive(struct call *call);

/* Copies a message of at most `capacity` bytes into `memory` and destroys it; a reader over the
 * copy, which has failed when the message was larger. */
struct reader call_read_small(uint8_t *memory, size_t capacity, grpc_byte_buffer *message);

/* Ends the call when the client goes away before it is finished. Without it such a call stays until
 * it is finished. */
void call_watch(struct call *call);

/* Lets the client see that the call was accepted, before any message. */
void call_greet(struct call *call);

/* Sends a message; `sent` is called when gRPC takes the next one. One at a time. The slice stays
 * the caller's. */
void call_send(struct call *call, grpc_slice message);

/* Ends the call with a status; `message` may be NULL. The text is copied. When a message is still
 * being sent and does not get out, the status waits behind it: see call_cut. */
void call_finish(struct call *call,
                 grpc_status_code code,
                 const char *text,
                 const grpc_slice *message);

/* Ends the call at once, dropping what is unsent; the client still gets code and text. */
void call_cut(struct call *call, grpc_status_code code, const char *text);

#endif
