/* What the files client*.c share. "Program" is the thread that calls client_*, "client" the
 * client's own. The program reaches the client's thread by commands, which run in the order they
 * were posted; the client answers with events in a mailbox. Each field below belongs to one of the
 * two. */
#ifndef PROTO_CLIENT_INTERNAL_H
#define PROTO_CLIENT_INTERNAL_H

#include <grpc/byte_buffer.h>
#include <grpc/grpc.h>
#include <grpc/slice.h>
#include <pthread.h>

#include "common/bytes.h"
#include "common/mailbox.h"
#include "proto/client.h"
#include "proto/queue.h"

/* Events in the mailbox: one of each submission; of a stream two credits and its end; of an export
 * its sub-DAGs, UP, DOWN and DONE, and one spare. */
#define STREAM_EVENTS_MAX 3u
#define EXPORT_EVENTS_MAX (CLIENT_EXPORT_AHEAD + 4u)

/* Largest message taken from a server: a sub-DAG is about 3 MiB of batches, and certificates. */
#define CLIENT_RECEIVE_BYTES_MAX (64 * 1024 * 1024)

struct submission;

struct client {
    struct queue *queue;
    pthread_t thread;
    struct mailbox *events; /* struct event */
    uint32_t submissions_max;
    /* program */
    uint32_t submissions;
    uint32_t channels;
    uint32_t streams_count;
    uint32_t exports_count;
    bool has_roots;
    char *roots; /* PEM; NULL: gRPC's own */
    /* both, unchanged once there are channels */
    char *authorization; /* "Bearer TOKEN"; NULL: none */
    /* client */
    bool closing;
    uint64_t operations;                 /* in gRPC's hands */
    struct submission *submissions_list; /* lists, for the end */
    struct client_stream *streams;
    struct client_export *exports;
};

struct client_channel {
    struct client *client;
    grpc_channel *grpc;
    struct queue_tag close_tag;
};

/* An event with what it holds. `credit` and stale sub-DAGs are not shown to the program. */
struct event {
    struct client_event event;
    bool is_credit;
    size_t credit;
    struct client_stream *stream;
    struct client_export *export;
    uint32_t generation; /* of the export's position */
    grpc_slice slice;    /* SUBDAG */
    bool has_slice;
};

/* What a call ends with. */
struct ending {
    grpc_metadata_array trailing;
    grpc_status_code code;
    grpc_slice details;
};

/* ---- client thread --------------------------------------------------------------------------- */

struct event *client_event_new(enum client_event_kind kind, void *user);
void client_event_post(struct client *client, struct event *event);

void ending_init(struct ending *ending);
grpc_op ending_op(struct ending *ending);
/* Code and text into an event; then nothing is left to free. */
void ending_take(struct client_event *event, struct ending *ending);

/* Starts operations whose tag counts in client->operations; the tag's function must end with
 * client_operation_ended. */
void client_start(struct client *client,
                  grpc_call *call,
                  const grpc_op *ops,
                  size_t count,
                  struct queue_tag *tag);
void client_operation_ended(struct client *client);

/* The one slice a message is read into. */
grpc_slice client_read_message(grpc_byte_buffer *message);

/* The first operation of a call, with the token when there is one; `metadata` lives until the
 * operations were started. */
grpc_op client_greeting(const struct client *client, grpc_metadata *metadata);

grpc_call *client_make_call(struct client_channel *channel,
                            const char *method,
                            uint64_t timeout_ms);

/* Everything is given up: the client closes. */
void submissions_cancel(struct client *client);
void streams_cancel(struct client *client);
void streams_free(struct client *client);

/* Reconnects what is due. */
void client_exports_tick(struct client *client, uint64_t now_us);
uint64_t client_exports_deadline_us(const struct client *client);
void client_exports_cancel(struct client *client);
void client_exports_free(struct client *client);

/* ---- program thread -------------------------------------------------------------------------- */

/* The program took or freed an event of a stream or export. */
bool stream_take_event(struct client_stream *stream, struct event *event);
void stream_free_event(struct client_stream *stream, struct event *event);
bool export_take_event(struct client_export *export, struct event *event);
void export_free_event(struct client_export *export, struct event *event);

#endif
