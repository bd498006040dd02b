/* An export in progress: what client_export.c (its connections, on the client's thread) and
 * client_follow.c (what the program asks for) share. */
#ifndef PROTO_CLIENT_EXPORT_H
#define PROTO_CLIENT_EXPORT_H

#include "proto/client_internal.h"

/* Pause before a connection is opened again: doubles from the first to the second, and starts over
 * with each sub-DAG received. */
#define RETRY_US_MIN 100000u
#define RETRY_US_MAX 5000000u

/* Longest text of our own, bytes. */
#define TEXT_BYTES 128u

/* Where an export is between two connections:
 *
 *     WAITING (retry_us) -> RUNNING -> (status) -> HELD until the program freed EXPORT_DOWN ->
 * WAITING
 *                                   -> ENDED: EXPORT_DONE was posted
 */
enum export_state { EXPORT_WAITING, EXPORT_RUNNING, EXPORT_HELD, EXPORT_ENDED };

struct client_export {
    struct client *client;
    struct client_channel *channels[CLIENT_EXPORT_CHANNELS_MAX];
    uint32_t channels_count;
    bool certified;
    void *user;
    /* program */
    uint32_t generation;
    bool closing;
    /* client */
    struct client_export *next;
    struct client_export *previous;
    enum export_state state;
    uint32_t generation_sent; /* of the position events are stamped with */
    uint32_t current;         /* channel */
    uint32_t refused;         /* channels in a row that answered OUT_OF_RANGE */
    uint64_t last_id;
    uint64_t retry_us;         /* WAITING: when */
    uint64_t pause_us;         /* before the next connection */
    uint32_t out;              /* sub-DAGs the program holds */
    bool ending;               /* client_export_close was called */
    char cut_text[TEXT_BYTES]; /* why we broke the connection; else empty */
    grpc_call *call;
    unsigned pending;
    bool receiving;
    bool status_came;
    grpc_byte_buffer *request;
    grpc_byte_buffer *message;
    grpc_metadata_array initial;
    struct ending ending_data;
    struct queue_tag open_tag;
    struct queue_tag greet_tag;
    struct queue_tag send_tag;
    struct queue_tag receive_tag;
    struct queue_tag status_tag;
    struct queue_tag close_tag;
    struct queue_tag free_tag;
};

/* Opens a connection to the current channel. */
void export_connect(struct client_export *export);

/* Asks for the next sub-DAG, if the program may have one more. */
void export_receive(struct client_export *export);

/* Breaks the connection; the text goes into EXPORT_DOWN instead of gRPC's. */
void export_cut(struct client_export *export, const char *text);

struct event *export_make_event(struct client_export *export, enum client_event_kind kind);

void export_init_tags(struct client_export *export);

#endif
