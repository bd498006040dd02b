/* The gRPC server of a node: transactions come in, pre-blocks go out.
 *
 *   port      services
 *   640N1     exporter.Exporter, grpc.health.v1.Health, grpc.reflection.v1 and v1alpha
 *   640N2     narwhal.Transactions, dsn.Transactions, and the same health and reflection
 *
 * One thread of its own owns gRPC's completion queue and everything behind it. It shares nothing
 * with the loop thread but reference-counted buffers. What goes between them:
 *
 *      loop thread                                       gRPC thread
 *      -----------                                       -----------
 *      api_fd readable, api_take    <--- REQUEST_BATCH ---  a batch was sealed (ticket)
 *                                   <--- REQUEST_WANT ----  a subscriber wants pre-block i
 *      api_post_accepted, certified, committed, failed --->  waiting calls are answered
 *      api_post_tip (oldest, made, certified) ------------>  what subscribers may want
 *      api_post_item, api_post_gone ---------------------->  the answer to a want
 *      api_set_ready, api_set_serving, api_set_pressed --->  intake and health
 *
 * Rules for the loop side:
 *
 *   - Every ticket gets ACCEPTED, CERTIFIED, COMMITTED at most once each, in any order; a higher
 *     level implies the lower ones, so levels may be left out. A ticket ends with COMMITTED or
 *     FAILED, exactly one of them, exactly once. Until CERTIFIED (or its end) its bytes count as
 *     in flight.
 *
 *   - Two batches can have equal bytes, hence equal digests: both tickets must end.
 *
 *   - An index is wanted only when oldest <= index <= made (or certified) as posted last. Every
 *     want is answered exactly once, by api_post_item or, when the pre-block was pruned or cannot
 *     be read, by api_post_gone. Wants are short-lived: nobody waits in the loop for the future.
 *
 *   - `made` and `certified` never decrease; each new pre-block needs an api_post_tip after it is
 *     durable.
 *
 * Acknowledgement levels: `accepted`: in a batch that is durable here; `certified`: the batch is
 * named by a header with a certificate; `committed`: executed by pre-block `index`.
 *
 * Back-pressure: while API_BATCHES_IN_FLIGHT_MAX batches or API_BYTES_IN_FLIGHT_MAX bytes are in
 * flight (API_PRESSED_BYTES_MAX while the loop says that it is pressed), streams are not read any
 * more and unary calls wait, at the most API_WAITING_CALLS_MAX of them; further ones are answered
 * RESOURCE_EXHAUSTED.
 *
 * The posting functions are for the loop thread only; they copy what they are given, never block,
 * and must not be called after api_close. docs/protocol.md, gRPC API. */
#ifndef CONSENSUS_NODE_API_H
#define CONSENSUS_NODE_API_H

#include "common/allow_list.h"
#include "common/base.h"
#include "common/buffer.h"
#include "common/limits.h"
#include "common/tls_files.h"
#include "common/token_table.h"

/* Sealed batches without a certificate, and their bytes: 256 buffers of 256 KiB. */
#define API_BATCHES_IN_FLIGHT_MAX 256u
#define API_BYTES_IN_FLIGHT_MAX   (3u * 1024u * 1024u)

/* In-flight bytes at which intake stops while the core is pressed. */
#define API_PRESSED_BYTES_MAX (2u * 1024u * 1024u)

/* Tickets whose end (COMMITTED or FAILED) is awaited, as a span of numbers. Beyond it intake stops
 * as well. */
#define API_TICKETS_MAX 4096u

/* One received message, bytes: a bit over what clients send by default; and the batches that it is
 * cut into at the most: each but the last holds more than BATCH_BYTES_MAX - TRANSACTION_BYTES_MAX.
 */
#define API_RECEIVE_BYTES_MAX   (4 * 1024 * 1024 + 64 * 1024)
#define API_MESSAGE_BATCHES_MAX 24u

/* Calls open at once on each port; further ones are answered RESOURCE_EXHAUSTED at once. */
#define API_CALLS_MAX 2048u

/* Unary submissions that may wait for room. */
#define API_WAITING_CALLS_MAX 1024u

/* Export streams at once; pre-blocks and bytes that each reads ahead of what it sends (api_export.c). The
 * bytes are those of four pre-blocks of the largest kind, or of many small ones: a subscriber at the tip of a network
 * at full load that has fewer on their way falls behind what is in memory, and then every byte is read from the disk
 * and hashed again (measured: a third less throughput of the whole network with 4 MiB). */
#define API_EXPORTS_MAX            64u
#define API_EXPORT_AHEAD_MAX       64u
#define API_EXPORT_AHEAD_BYTES_MAX (13u * 1024u * 1024u)

/* Pre-blocks wanted and not answered, over all streams: what may be on its way from the disk at once. */
#define API_WANTS_MAX 128u

/* Bytes of messages that wait for a limit, over all streams; beyond it they are refused. */
#define API_HELD_BYTES_MAX (64u * 1024u * 1024u)

enum api_level {
    API_LEVEL_ACCEPTED,
    API_LEVEL_CERTIFIED,
    API_LEVEL_COMMITTED,
};

/* Why somebody was refused by what guards the ports; the texts are labels of the metric. */
#define API_REFUSAL_TABLE(X)          \
    X(TOKEN, "token")                 \
    X(RIGHT, "right")                 \
    X(ENVELOPE, "envelope")           \
    X(NETWORK, "network")             \
    X(EXPIRED, "expired")             \
    X(EXPIRY, "expiry")               \
    X(KEY, "key")                     \
    X(SIGNATURE, "signature")         \
    X(REPLAY, "replay")               \
    X(ADDRESS_LIMIT, "address_limit") \
    X(KEY_LIMIT, "key_limit")

enum api_refusal {
#define API_REFUSAL(name, text) API_REFUSED_##name,
    API_REFUSAL_TABLE(API_REFUSAL)
#undef API_REFUSAL
        API_REFUSALS,
};

/* Who may use the ports; all zero: everybody. docs/protocol.md, Access. */
struct api_access {
    struct token_table *tokens; /* bearer tokens; NULL: nobody is asked for one */
    struct allow_list *allow;   /* transactions come in envelopes of these keys; NULL: bare */
    struct digest network;      /* that envelopes are for: the committee digest */
    uint64_t envelope_life_ms;  /* longest time from now to an envelope's expiry */
    struct rates address_rates; /* per client address; 0: none */
    struct rates key_rates;     /* per key, where the list names no others */
    struct tls_identity *tls;   /* NULL: plain. Cannot be switched on or off later */
};

struct api_options {
    const char *export_address;       /* "127.0.0.1:64011"; port 0 lets the system choose */
    const char *transactions_address; /* "127.0.0.1:64012" */
    enum api_level level;             /* acknowledgement of the calls that do not name one */
    size_t batch_bytes;               /* a batch is sealed at this size; 1 .. BATCH_BYTES_MAX */
    uint64_t batch_delay_us_min;      /* idle: an open batch waits this long at the most */
    uint64_t batch_delay_us_max;      /* under load: grows up to this */
    struct api_access access;         /* borrowed until api_open returns */
    uint64_t export_stall_us; /* a subscriber that takes nothing for so long is cut; 0: 30 s */
};

/* Defaults for everything but the addresses. */
struct api_options api_options_default(void);

enum api_request_kind { API_REQUEST_BATCH, API_REQUEST_WANT };

struct api_request {
    enum api_request_kind kind;
    /* BATCH */
    uint64_t ticket; /* never reused, starts at 1 */
    struct buffer
        *buffer; /* the canonical batch at `begin` == BUFFER_BATCH; the request owns one count */
    uint32_t transactions;
    uint64_t created_at; /* ms, wall clock at sealing; strictly ascending over the tickets */
    /* WANT */
    uint64_t index;
    bool certified; /* the SubDag must carry what a `certified` export promises */
};

struct api;

/* Binds both ports and starts the thread. ERR_CONFIG: bad option or address; ERR_IO: a port is
 * taken (logged with the address). Submissions are answered UNAVAILABLE until api_set_ready(api,
 * true). */
enum status api_open(struct api **ret_api, const struct api_options *options);

/* The ports really bound. */
uint16_t api_export_port(const struct api *api);
uint16_t api_transactions_port(const struct api *api);

/* Readable when api_take may have something. Call api_drain_fd, then api_take until NULL. */
int api_fd(const struct api *api);
void api_drain_fd(struct api *api);

/* The next request, or NULL. The caller owns it; it may take the buffer over by setting it to NULL.
 */
struct api_request *api_take(struct api *api);
void api_request_free(struct api_request *request); /* NULL is fine */

/* The batch is durable here. */
void api_post_accepted(struct api *api, uint64_t ticket, const struct digest *digest);

/* The batch is named by a certified header that is durable here. */
void api_post_certified(struct api *api, uint64_t ticket, const struct digest *digest);

/* Pre-block `index` executes the batch; `position` is that of its first transaction in the
 * pre-block, from 0. Ends the ticket. */
void api_post_committed(struct api *api,
                        uint64_t ticket,
                        const struct digest *digest,
                        uint64_t index,
                        uint32_t position);

/* The batch was given up; its calls are answered with UNAVAILABLE and `reason` (a static text).
 * Ends the ticket. */
void api_post_failed(struct api *api, uint64_t ticket, const char *reason);

/* Oldest pre-block kept (1 when nothing was pruned), newest durable one (0: none), and the highest
 * that a certificate covers (0: none). */
void api_post_tip(struct api *api, uint64_t oldest, uint64_t made, uint64_t certified);

/* The encoded exporter.SubDag of a wanted pre-block. The API takes a count of its own, and shares
 * the bytes between all subscribers without a copy: they must not change any more. */
void api_post_item(struct api *api, uint64_t index, bool certified, struct buffer *subdag);

/* A wanted pre-block is not kept any more (`oldest` > index), or cannot be read (`oldest` <=
 * index). */
void api_post_gone(struct api *api, uint64_t index, bool certified, uint64_t oldest);

/* Whether submissions are taken. */
void api_set_ready(struct api *api, bool ready);

/* Health of the node and of its submissions: SERVING or NOT_SERVING (the latter at the start). */
void api_set_serving(struct api *api, bool serving);

/* Other tokens, keys and certificate from now on, copied. Calls that are open go on; an envelope is
 * judged by the list of the moment it arrives. */
void api_set_access(struct api *api, const struct api_access *access);

/* core_is_pressed changed. */
void api_set_pressed(struct api *api, bool pressed);

/* Counters for the metrics, since the start unless named otherwise. May be called from any thread.
 */
struct api_counters {
    uint64_t transactions;        /* taken in */
    uint64_t transaction_bytes;   /* taken in */
    uint64_t batches;             /* sealed */
    uint64_t refused_invalid;     /* transactions: empty, too large, malformed */
    uint64_t refused_exhausted;   /* calls */
    uint64_t refused_unavailable; /* calls */
    uint64_t bytes_in_flight;     /* now */
    uint64_t tickets;             /* without an end, now */
    uint64_t exports;             /* streams open, now */
    uint64_t exports_held_bytes;  /* read ahead of what they send, now */
    uint64_t exported;            /* pre-blocks sent, over all streams */
    uint64_t exported_bytes;      /* over all streams */
    uint64_t exports_cut;         /* streams cut because they stalled */
    uint64_t slowed;              /* times that a stream's message waited for a limit */
    uint64_t refused_access[API_REFUSALS];
};
void api_get_counters(const struct api *api, struct api_counters *ret_counters);

/* Begins the end, without waiting: health goes to NOT_SERVING, new submissions are answered
 * UNAVAILABLE, and the open batch is sealed and posted. Calls that wait are still answered as their
 * tickets move. */
void api_stop(struct api *api);

/* Ends every call that is left with UNAVAILABLE, closes the ports and joins the thread, within 2 s.
 * Requests not yet taken are freed. NULL is fine. */
void api_close(struct api *api);

_Static_assert(API_MESSAGE_BATCHES_MAX >
                   1 + API_RECEIVE_BYTES_MAX / (BATCH_BYTES_MAX - TRANSACTION_BYTES_MAX - 16),
               "a message is cut into so many batches at the most");

#endif
