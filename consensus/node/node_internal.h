/* The parts of a node, for the files that make it up (node.c, node_perform.c, node_recover.c,
 * node_http.c, node_ready.c). Nobody else includes this. */
#ifndef CONSENSUS_NODE_NODE_INTERNAL_H
#define CONSENSUS_NODE_NODE_INTERNAL_H

#include <event2/event.h>

#include "common/http_guard.h"
#include "common/http_server.h"
#include "consensus/node/exports.h"
#include "consensus/node/node.h"
#include "consensus/node/outbox.h"
#include "consensus/node/readiness.h"
#include "consensus/node/serve.h"
#include "consensus/node/worker.h"

struct node {
    struct node_options options;
    struct event_base *base;
    void *core_memory;
    size_t core_bytes;
    struct core *core;
    struct storage *storage;
    struct storage_client *client;
    struct api *api;
    struct mesh *mesh;
    struct worker *worker;
    struct serve *serve;
    struct exports *exports;
    struct outbox *outbox;
    struct http_server *http;
    struct http_guard guard;
    struct access_set access; /* api and guard have copies, or borrow */

    struct event *timer;      /* core_deadline_us */
    struct event *turn_end;   /* submits the turn's store batch */
    struct event *storage_in; /* answers of the storage thread */
    struct event *api_in;     /* requests of the gRPC thread */
    struct event *housekeeping;
    struct event *signals[3]; /* SIGTERM, SIGINT, SIGHUP */

    struct store_batch *batch; /* PERSISTs of this turn */
    uint64_t batch_since_us;   /* when its first record came */
    bool batch_awaited;        /* the outbox holds something for it */
    uint64_t token;            /* of that batch; commits are numbered from 1 */
    uint64_t durable;          /* highest commit known durable */
    bool pressed;
    bool ready;   /* the core said so, once */
    bool serving; /* what the gRPC health service was told last */
    bool stopping;
    bool restarts; /* the stop is to be followed by a start */
    enum status result;
    uint64_t started_us;
    uint64_t steps;
    struct batch_record *own; /* own batches found in the log at start, newest last */
    size_t own_count;
    size_t own_next;
};

uint64_t node_now_us(void);
uint64_t node_wall_ms(void);

/* One event through the core, its actions performed or held. Times are filled in here. */
void node_feed(struct node *node, struct core_event *event);

/* Performs one action now. */
void node_perform(struct node *node, const struct core_action *action);

/* A SEND or BROADCAST whose message is in `frame` already. */
void node_send(struct node *node, const struct core_action *action, struct buffer *frame);

/* Is it ready now? The gRPC health service is told when that changed. */
struct readiness node_readiness(struct node *node);

/* Stops the loop with a result; logs `why` once. */
void node_stop(struct node *node, enum status result, const char *why);

/* Feeds every wanted record of the store to the core. */
enum status node_recover(struct node *node, char *ret_error);

/* After START: own batches of the log that no pre-block executed. */
void node_restore_batches(struct node *node);

/* The batch_log `found` callback: remembers own batches. */
void node_found_batch(void *context, const struct batch_record *record);

/* Reads the access files. ERR_CONFIG. */
enum status node_access_open(struct node *node, char *ret_error);

/* Reads them again: all of them take effect, or none and a line is logged. */
void node_access_reload(struct node *node);
void node_access_close(struct node *node);

/* Serves /metrics, /healthz, /readyz, /status and /dag. */
enum status node_http_open(struct node *node, char *ret_error);

#endif
