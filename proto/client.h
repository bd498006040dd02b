/* A client of the consensus nodes' gRPC services, for programs with an event loop or without one.
 *
 * A client has one thread of its own, which owns gRPC and everything behind it. The program's
 * thread calls the functions below, which never block, and takes events in return:
 *
 *     client_fd is readable  ->  client_drain_fd, then client_take until NULL,
 *                                client_event_free for each
 *
 * A program without a loop uses client_wait instead of the descriptor. Every event carries the
 * `user` pointer that the operation was started with. What an operation may hold is bounded:
 * submissions by `submissions_max`, a stream by `window_bytes`, an export by CLIENT_EXPORT_AHEAD
 * sub-DAGs.
 *
 *   submission   client_submit                -> one SUBMITTED
 *   stream       client_stream_open, _send .. -> WRITABLE when it takes more after ERR_FULL,
 *                client_stream_finish         -> one STREAM_DONE (it may come earlier: then it
 * failed) export       client_export_open           -> EXPORT_UP, SUBDAG .., EXPORT_DOWN,
 * EXPORT_UP, .. client_export_close          -> one EXPORT_DONE, the last event of this export
 *
 * An export reconnects by itself, after 100 ms growing to 5 s, at the id after the last sub-DAG
 * that was put into an event, going round its channels; so ids come without gap or repeat whatever
 * happens. Ids that do not follow each other count as a failure of that node. Only INVALID_ARGUMENT
 * and UNIMPLEMENTED, and OUT_OF_RANGE, UNAUTHENTICATED and PERMISSION_DENIED from all its channels in
 * a row, end it, with EXPORT_DONE.
 *
 * Channels of an export must stay open until its EXPORT_DONE was taken. All functions but
 * client_open are for one thread, the program's. Names are resolved by gRPC; a host `localhost`
 * that resolves to ::1 first still connects. Texts in events are the server's: escape them before
 * printing. docs/protocol.md, gRPC API. */
#ifndef PROTO_CLIENT_H
#define PROTO_CLIENT_H

#include "common/base.h"

/* Sub-DAGs of one export that were not freed yet. */
#define CLIENT_EXPORT_AHEAD 4u

/* Channels and open streams of one client, and channels of one export. */
#define CLIENT_CHANNELS_MAX        256u
#define CLIENT_STREAMS_MAX         256u
#define CLIENT_EXPORTS_MAX         64u
#define CLIENT_EXPORT_CHANNELS_MAX 16u

struct client;
struct tls_roots;
struct client_channel;
struct client_stream;
struct client_export;

/* Codes are gRPC's numbers. */
enum client_code {
    CLIENT_OK = 0,
    CLIENT_CANCELLED = 1,
    CLIENT_UNKNOWN = 2,
    CLIENT_INVALID_ARGUMENT = 3,
    CLIENT_DEADLINE_EXCEEDED = 4,
    CLIENT_ALREADY_EXISTS = 6,
    CLIENT_PERMISSION_DENIED = 7,
    CLIENT_RESOURCE_EXHAUSTED = 8,
    CLIENT_FAILED_PRECONDITION = 9,
    CLIENT_OUT_OF_RANGE = 11,
    CLIENT_UNIMPLEMENTED = 12,
    CLIENT_INTERNAL = 13,
    CLIENT_UNAVAILABLE = 14,
    CLIENT_UNAUTHENTICATED = 16,
};
const char *client_code_text(int code); /* "UNAVAILABLE"; never NULL */

/* Acknowledgement levels; the numbers of dsn.Level. PLAIN uses
 * narwhal.Transactions/SubmitTransaction, which every compatible server has; it returns no receipt.
 */
enum client_level {
    CLIENT_LEVEL_PLAIN = -1,
    CLIENT_LEVEL_DEFAULT = 0,
    CLIENT_LEVEL_ACCEPTED = 1,
    CLIENT_LEVEL_CERTIFIED = 2,
    CLIENT_LEVEL_COMMITTED = 3,
};

/* SINGLE: narwhal.Transactions/SubmitTransactionStream, a transaction per message. BATCHED:
 * dsn.Transactions/SubmitBatch, a batch (common/batch.h form, any size up to 4 MiB) per message. */
enum client_stream_kind { CLIENT_STREAM_SINGLE, CLIENT_STREAM_BATCHED };

enum client_event_kind {
    CLIENT_EVENT_SUBMITTED,
    CLIENT_EVENT_WRITABLE,
    CLIENT_EVENT_STREAM_DONE,
    CLIENT_EVENT_EXPORT_UP, /* the stream was opened; sub-DAGs may follow much later */
    CLIENT_EVENT_SUBDAG,
    CLIENT_EVENT_EXPORT_DOWN, /* the connection failed; it will be opened again */
    CLIENT_EVENT_EXPORT_DONE,
};

#define CLIENT_TEXT_BYTES 160u

struct client_event {
    enum client_event_kind kind;
    void *user;
    int code;                     /* SUBMITTED, STREAM_DONE, EXPORT_DOWN, EXPORT_DONE */
    char text[CLIENT_TEXT_BYTES]; /* same: what the server or gRPC says; empty when OK; cut */
    uint32_t retry_ms;            /* same: over a limit, try again after so long; 0: not said */
    uint64_t elapsed_us;          /* SUBMITTED: from client_submit to the answer */
    /* SUBMITTED with a level other than PLAIN */
    enum client_level level; /* reached */
    struct digest digest;    /* of the batch */
    uint64_t index;          /* of the pre-block (COMMITTED) */
    uint32_t position;       /* in the pre-block (COMMITTED) */
    uint32_t offset;         /* in the batch */
    /* STREAM_DONE of a BATCHED stream */
    uint64_t accepted;
    uint64_t accepted_bytes;
    /* SUBDAG: the message, for proto/subdag.h; alive until client_event_free. */
    uint64_t id;
    struct bytes subdag;
    /* EXPORT_UP, EXPORT_DOWN, SUBDAG: which channel, in the order they were given */
    uint32_t channel;
};

/* ---- life ------------------------------------------------------------------------------------ */

/* Starts the thread. `submissions_max` bounds client_submit; 0: 1024. ERR_IO when the thread or the
 * descriptor cannot be had. */
enum status client_open(struct client **ret_client, uint32_t submissions_max);

/* Cancels everything and joins the thread. Channels must be closed; streams, exports and events
 * that are left are freed. NULL is fine. */
void client_close(struct client *client);

int client_fd(const struct client *client);
void client_drain_fd(struct client *client);
struct client_event *client_take(struct client *client);
void client_event_free(struct client *client, struct client_event *event); /* NULL is fine */

/* The next event, waiting for it at most `timeout_ms` (-1: for ever); NULL when none came, or when
 * a signal interrupted the wait. */
struct client_event *client_wait(struct client *client, int timeout_ms);

/* ---- channels -------------------------------------------------------------------------------- */

/* What the channels opened afterwards use: `roots` for URLs with https (NULL: such are refused) and
 * a bearer token (NULL or "": none). Both are copied. Once, before the first channel. */
void client_secure(struct client *client, const struct tls_roots *roots, const char *token);

/* A connection to one server, made when it is first needed and again whenever it broke. `url` is
 * "http://host:port", "https://host:port", "host:port" or "http://[::1]:port". ERR_CONFIG: not such
 * a URL; ERR_FULL. */
enum status client_channel_open(struct client_channel **ret_channel,
                                struct client *client,
                                const char *url);

/* Operations that use it go on with the connection they have. NULL is fine. */
void client_channel_close(struct client_channel *channel);

/* ---- submission ------------------------------------------------------------------------------ */

/* Sends one transaction, copied. ERR_FULL: `submissions_max` are on their way; ERR_TOO_LARGE. An
 * unreachable server is reported by the event, at once when it refuses connections. */
enum status client_submit(struct client_channel *channel,
                          enum client_level level,
                          const uint8_t *transaction,
                          size_t len,
                          uint32_t timeout_ms,
                          void *user);

/* `window_bytes` bounds what was sent but not yet taken by the connection (a message may go over it
 * by half its size and its own length). `timeout_ms` is for the whole stream, 0: none. ERR_FULL:
 * too many streams. */
enum status client_stream_open(struct client_stream **ret_stream,
                               struct client_channel *channel,
                               enum client_stream_kind kind,
                               size_t window_bytes,
                               uint32_t timeout_ms,
                               void *user);

/* Queues one message, copied. ERR_FULL: the window is full, wait for WRITABLE. ERR_STOPPING: the
 * stream has failed or was finished. Messages are put on the wire together as they come; nothing
 * waits. */
enum status client_stream_send(struct client_stream *stream, const uint8_t *data, size_t len);

/* Closes our side; the server answers with STREAM_DONE. */
void client_stream_finish(struct client_stream *stream);

/* Gives it up: STREAM_DONE comes with CANCELLED. */
void client_stream_cancel(struct client_stream *stream);

/* The stream is gone once its STREAM_DONE event was freed. */

/* ---- export ---------------------------------------------------------------------------------- */

/* Follows pre-blocks after `from_id` from the first of `channels` that works. `certified`: only
 * those with a certificate (servers that do not know the option ignore it). Give sub-DAG events
 * back soon: at most CLIENT_EXPORT_AHEAD are out at once, and a server cuts readers that stall. */
enum status client_export_open(struct client_export **ret_export,
                               struct client *client,
                               struct client_channel *const *channels,
                               uint32_t channels_count,
                               uint64_t from_id,
                               bool certified,
                               void *user);

/* Breaks the connection and goes to the next channel, after an EXPORT_DOWN: for readers that found
 * something wrong in what this node sent. `resume_after` is the last id to keep. */
void client_export_next_channel(struct client_export *export, uint64_t resume_after);

/* Ends it. It is gone once its EXPORT_DONE event was freed. */
void client_export_close(struct client_export *export);

#endif
