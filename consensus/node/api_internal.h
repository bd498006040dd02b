/* What the files api*.c share. Everything here belongs to the gRPC thread unless it says otherwise.
 */
#ifndef CONSENSUS_NODE_API_INTERNAL_H
#define CONSENSUS_NODE_API_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "common/mailbox.h"
#include "consensus/node/api.h"
#include "consensus/node/api_call.h"
#include "consensus/node/api_door.h"
#include "consensus/node/api_tls.h"
#include "consensus/node/intake.h"
#include "proto/queue.h"

/* Calls accepted ahead on each port, so that a burst does not wait for a turn of the queue each. */
#define PORT_ACCEPTS 16u

/* Requests that the loop has not taken yet: batches in flight, those of one message more, and wants. */
#define API_REQUESTS_MAX (API_BATCHES_IN_FLIGHT_MAX + API_MESSAGE_BATCHES_MAX + API_WANTS_MAX)

/* ---- ports ----------------------------------------------------------------------------------- */

struct accept {
    struct queue_tag tag;
    struct port *port;
    grpc_call *call;
    grpc_call_details details;
    grpc_metadata_array metadata;
};

struct port {
    struct api *api;
    grpc_server *server;
    uint16_t number;
    const struct method *const *services; /* tables of methods, NULL-terminated */
    const char *const *service_names;     /* for health and reflection, NULL-terminated */
    struct link calls;
    unsigned calls_count;
    unsigned accepting;
    struct accept accepts[PORT_ACCEPTS];
    struct queue_tag shutdown_tag;
    bool down; /* gRPC has shut it down */
};

/* Binds and starts accepting. ERR_CONFIG, ERR_IO (logged). */
enum status port_open(struct port *port,
                      struct api *api,
                      const char *address,
                      const struct method *const *services,
                      const char *const *service_names);

/* Finishes every open call with UNAVAILABLE and begins to shut down; `down` is set when that is
 * over. */
void port_shutdown(struct port *port);

/* Cancels what is left of the calls: for clients that do not read. */
void port_cancel(struct port *port);

/* After `down`, or after a port_open that failed. */
void port_close(struct port *port);

/* ---- services -------------------------------------------------------------------------------- */

extern const struct method transactions_methods[]; /* narwhal.Transactions, dsn.Transactions */
extern const struct method exporter_methods[];
extern const struct method health_methods[];
extern const struct method reflection_methods[];

/* Calls blocked on the intake go on while it has room. */
void submit_resume(struct api *api);

/* Streams that a limit held back go on when their time has come. */
void submit_tick(struct api *api);
uint64_t submit_deadline_us(const struct api *api);

/* Calls blocked on the intake or held back are answered UNAVAILABLE. */
void submit_stop(struct api *api);

void exports_init(struct api *api);
void exports_on_tip(struct api *api);
void exports_on_item(struct api *api, uint64_t index, bool certified, struct buffer *subdag);
void exports_on_gone(struct api *api, uint64_t index, bool certified);

/* Cuts the subscribers that have stalled. */
void exports_tick(struct api *api);
uint64_t exports_deadline_us(const struct api *api);

/* Tells the watchers. */
void health_on_change(struct api *api);

/* The method, or one that refuses the call for want of a token or a right. */
const struct method *guard_method(const struct api_door *door,
                                  const struct method *method,
                                  const grpc_metadata_array *metadata);

/* ---- the whole ------------------------------------------------------------------------------- */

/* A pre-block asked of the loop and not answered yet. */
struct want {
    uint64_t index; /* 0: the entry is free */
    bool certified;
};

struct api {
    struct api_options options;
    struct queue *queue;
    struct mailbox *requests; /* to the loop thread */
    pthread_t thread;
    struct intake *intake;
    struct port export_port;
    struct port transactions_port;
    struct api_door *door; /* NULL: open to everybody */
    struct api_tls *tls;   /* NULL: plain */
    uint64_t now_us;       /* of this turn */
    bool ready;
    bool serving;
    bool stopping;
    bool closing;
    /* api_submit.c */
    struct link blocked;    /* struct submit, in order of arrival */
    unsigned waiting_calls; /* unary ones among them */
    struct link slowed;     /* struct submit: streams that a limit holds back */
    size_t held_bytes;      /* of their messages */
    /* api_export.c */
    struct link exports;
    unsigned exports_count;
    struct want wants[API_WANTS_MAX];
    bool wants_missed; /* some want found no entry */
    uint64_t oldest;
    uint64_t made;
    uint64_t certified;
    /* api_health.c */
    struct link watchers;
    struct api_counters counters;
    /* The same counters for other threads: relaxed stores once a turn. */
    _Atomic uint64_t published[sizeof(struct api_counters) / sizeof(uint64_t)];
};

/* Begins the end; closes the ports. */
void api_run_stop(struct api *api);
void api_run_close(struct api *api);

/* Loop thread: has the ports closed. */
void api_post_close(struct api *api);

/* Hands a request to the loop. */
void api_request(struct api *api, struct api_request *request);

#endif
