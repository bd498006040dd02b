/* What the files of the mesh share with each other and with nobody else.
 *
 *   mesh.c             open, close, the functions of mesh.h, the deferred work (flush, sweep, tick)
 *   mesh_slot.c        one place per peer and kind: dials, retries, takes in the connection that is
 * up mesh_accept.c      listens; keeps the connections that nobody has vouched for yet
 *   mesh_connection.c  life of one connection: connect, handshake, hello, up, dead
 *   mesh_transfer.c    frames in and out of a connection
 *   mesh_stream.c mesh_tls.c mesh_frame.c mesh_hello.c mesh_queue.c   know nothing of the above
 *
 * A connection dies at once (socket closed, queue dropped, out of its slot) but is freed, and its
 * on_down called, by the sweep, which the loop runs: so nothing that is on the stack loses its
 * connection, and no function of mesh.h calls back.
 *
 * Invariants (mesh_check): a slot's `current` is up and its own; `dialling` is dialled and not up;
 * a connection is in exactly one place: current, dialling, pending or dead. */
#ifndef CONSENSUS_NODE_MESH_INTERNAL_H
#define CONSENSUS_NODE_MESH_INTERNAL_H

#include <sys/queue.h>

#include "consensus/node/mesh.h"
#include "consensus/node/mesh_frame.h"
#include "consensus/node/mesh_hello.h"
#include "consensus/node/mesh_queue.h"
#include "consensus/node/mesh_stream.h"

struct event;
struct evconnlistener;

/* Accepted connections that are not up yet, all strangers together. An honest one needs
 * milliseconds; when a newcomer finds the room full, the oldest goes. */
#define MESH_PENDING_MAX 64u

/* Bytes one connection may read before the others have their turn: data is large, the rest small.
 */
#define MESH_READ_CONTROL_BYTES_MAX (64u * 1024u)
#define MESH_READ_PENDING_BYTES_MAX (16u * 1024u)

/* Bytes one connection may write in its turn. */
#define MESH_WRITE_BYTES_MAX (512u * 1024u)

/* Between two tries to dial: doubled from MIN, up to REFUSED_MAX after a refusal or a cut, and up
 * to UNREACHED_MAX when nobody answers, which costs nearly nothing and ends when the peer starts.
 * Each with a quarter of jitter. A link that was up for STABLE starts from MIN again. */
#define MESH_RETRY_US_MIN           100000u
#define MESH_RETRY_REFUSED_US_MAX   4000000u
#define MESH_RETRY_UNREACHED_US_MAX 1000000u
#define MESH_STABLE_US              5000000u

/* Strangers are logged at most this often, with a count. */
#define MESH_STRANGER_LOG_US 5000000u

#define MESH_REASON_BYTES    160u

enum mesh_connection_state {
    MESH_CONNECTING, /* TCP */
    MESH_HANDSHAKE,  /* TLS */
    MESH_GREETING,   /* hello and ack */
    MESH_UP,
    MESH_DEAD
};

struct mesh_slot;

struct mesh_connection {
    struct mesh *mesh;
    struct mesh_slot *slot; /* NULL while nobody knows who it is */
    enum mesh_link kind;
    enum mesh_connection_state state;
    bool reached; /* TCP has connected: somebody is there */
    bool was_up;  /* an on_down is owed */
    struct mesh_pin pin;
    struct mesh_stream stream;
    struct sockaddr_storage address; /* of the other side, for logs */
    struct event *read_event;
    struct event *write_event;
    struct event *delay_event; /* wakes the writer when the head of the queue is due; mostly NULL */
    bool write_armed;
    uint64_t deadline_us; /* to be up */
    uint64_t last_in_us;

    uint64_t nonce;
    bool hello_accepted;
    bool hello_acknowledged;

    struct mesh_frame frame; /* in: under assembly */

    /* out */
    struct mesh_queue queue;
    size_t head_sent; /* bytes of the queue's head that are encrypted already */
    bool is_dirty;
    bool pong_waits; /* one is queued; further pings get none, so asking costs us nothing */

    TAILQ_ENTRY(mesh_connection) entry; /* pending or dead */
    TAILQ_ENTRY(mesh_connection) dirty_entry;
};

TAILQ_HEAD(mesh_connections, mesh_connection);

struct mesh_slot {
    struct mesh *mesh;
    authority_t peer;
    enum mesh_link kind;
    struct sockaddr_storage address;
    uint32_t delay_us;
    bool paused;
    struct mesh_connection *current;  /* up */
    struct mesh_connection *dialling; /* on its way */
    struct event *retry_event;        /* NULL: the other side dials */
    uint64_t retry_us;
    uint64_t up_since_us;
    uint64_t ping_us; /* when the unanswered ping left; 0: none */
    uint64_t next_ping_us;
    uint32_t rtt_us;
    struct mesh_link_status status;
    char reason[MESH_REASON_BYTES]; /* last one logged; empty while all is well */
};

struct mesh_listener {
    int fd;
    struct event *event;
    bool resting; /* out of descriptors: not accepting until the next tick */
};

struct mesh {
    struct mesh_options options;
    struct mesh_tls *tls;
    struct mesh_stream_pool pool;
    struct mesh_slot *slots; /* count x MESH_LINKS */
    struct mesh_listener listeners[MESH_LINKS];
    struct event *tick_event;
    struct event *sweep_event;
    struct event *flush_events[MESH_LINKS];
    struct mesh_connections dirty[MESH_LINKS]; /* have something to write, and nobody tells them */
    struct mesh_connections pending;           /* accepted, not up; oldest first */
    struct mesh_connections dead;
    size_t pending_count;
    bool is_closing;
    uint64_t strangers_logged_us;
    uint64_t strangers;                /* not logged yet */
    uint64_t refused;                  /* all of them, since mesh_open */
    uint8_t gather[MESH_RECORD_BYTES]; /* small frames on their way into one record */
};

/* mesh.c */
uint64_t mesh_now_us(void);
struct mesh_slot *mesh_slot_at(const struct mesh *mesh, authority_t peer, enum mesh_link kind);
void mesh_sweep(struct mesh *mesh);
void mesh_sweep_soon(struct mesh *mesh);
void mesh_mark_dirty(struct mesh_connection *connection);
const char *mesh_link_name(enum mesh_link kind);
void mesh_check(const struct mesh *mesh);
/* Text of an address, for logs and errors: "127.0.0.1:64010". `ret` takes MESH_ADDRESS_BYTES. */
#define MESH_ADDRESS_BYTES 64u
const char *mesh_address_text(char *ret, const struct sockaddr_storage *address);

/* mesh_slot.c */
void mesh_slot_dial(struct mesh_slot *slot);
/* Takes in a connection that just came up, in place of an older one, and calls on_up. */
void mesh_slot_adopt(struct mesh_slot *slot, struct mesh_connection *connection);
/* A connection of this slot died: forgets it, logs once per change, plans the next try. */
void mesh_slot_lose(struct mesh_slot *slot,
                    const struct mesh_connection *connection,
                    const char *reason);
/* Every tick: silence, pings, deadlines. */
void mesh_slot_tick(struct mesh_slot *slot, uint64_t now_us);

/* mesh_accept.c */
enum status mesh_listen(struct mesh *mesh, enum mesh_link kind, char *error, size_t error_len);
void mesh_listen_close(struct mesh *mesh, enum mesh_link kind);
void mesh_accept_tick(struct mesh *mesh, uint64_t now_us);
/* Options of a socket that was just made. */
void mesh_tune_socket(struct mesh *mesh, int fd);
/* Logs the death of a connection that nobody vouched for, at a bounded rate. */
void mesh_accept_refused(struct mesh *mesh,
                         const struct mesh_connection *connection,
                         const char *reason);

/* mesh_connection.c */
/* Takes over `fd`, non-blocking, on success; NULL: OpenSSL or libevent failed, `fd` is closed.
 * `slot` is NULL for an accepted one. */
struct mesh_connection *mesh_connection_new(struct mesh *mesh,
                                            struct mesh_slot *slot,
                                            enum mesh_link kind,
                                            int fd,
                                            const struct sockaddr_storage *address);
/* Dead from now on; freed by the sweep. Does nothing on a dead one. `reason` is copied. */
void mesh_connection_kill(struct mesh_connection *connection, const char *reason);
void mesh_connection_free(struct mesh_connection *connection);
/* A frame arrived before the connection was up. */
void mesh_connection_greet(struct mesh_connection *connection, struct bytes body);

/* mesh_transfer.c */
/* Reads frames until the input is empty or the connection is dead. */
void mesh_transfer_receive(struct mesh_connection *connection);
/* Encrypts and sends until nothing is left, the socket is full, or the turn's budget is used; arms
 * the write event for the rest. Kills on error. */
void mesh_transfer_send(struct mesh_connection *connection);
/* Queues with the slot's delay; false: bound met. */
bool mesh_transfer_queue(struct mesh_connection *connection, struct buffer *frame);
size_t mesh_transfer_unsent(const struct mesh_connection *connection);
void mesh_transfer_ping(struct mesh_connection *connection, uint64_t now_us);

#endif
