/* The mesh: one authenticated connection per peer and kind of traffic, carrying frames.
 *
 *   frame = body length u32 LE | body, 1 .. FRAME_BYTES_MAX bytes (consensus/core/wire.h)
 *
 * Control frames (headers, votes, certificates) and bulk frames (batches) travel on separate
 * connections and ports, so that a vote never waits behind a batch. TLS 1.3, mutual, with
 * self-signed Ed25519 certificates made in memory: a peer is who it is because its raw key is the
 * committee's network key, nothing else in a certificate is looked at. The authority with the lower
 * index dials; a new connection of the same peer and kind replaces the old one.
 *
 *   dial or accept -> TLS handshake -> hello both ways -> hello ack both ways -> up
 *
 * The hello names the protocol version, the committee digest, the index, the kind of link and a
 * nonce; the ack echoes the nonce. Only when a side has judged the other's hello and got its own
 * acknowledged is the link up and on_up called: in TLS 1.3 the dialling side finishes its handshake
 * before the other side has judged its certificate. Refusals are logged once per change and retried
 * with back-off.
 *
 * Nobody is ever waited for. A frame that does not fit the bounded queue of its link cuts the link:
 * the peer reconnects and syncs. A link that brings no byte for `idle_us_max` is cut; PING and PONG
 * are answered in here, keep quiet links alive, and measure the round trip. A peer that breaks the
 * framing, or sends a frame over FRAME_BYTES_MAX, is cut. What is inside frames is the owner's
 * business.
 *
 * Everything runs on the thread of the event base; there are no locks. Callbacks are made by the
 * event loop only, never from inside a function below, so a caller may loop over peers and send
 * without seeing the world change under it. Links take turns of bounded bytes, and none has priority
 * over another: a peer that floods its control link would else starve the bulk of all.
 *
 * Frames: `buffer->data + begin` is the length prefix, `len` covers prefix and body. A frame
 * received has its body at MESH_BODY, so the batch bytes of a BATCH body start at BUFFER_BATCH.
 * docs/protocol.md, mesh. */
#ifndef CONSENSUS_NODE_MESH_H
#define CONSENSUS_NODE_MESH_H

#include <sys/socket.h>

#include "common/buffer.h"
#include "common/committee.h"

struct event_base;
struct mesh;

enum mesh_link { MESH_CONTROL = 0, MESH_BULK = 1 };
#define MESH_LINKS 2u

/* Raised when hello, framing or the meaning of a frame changes incompatibly. */
#define MESH_VERSION 1u

/* Where frames are placed in their buffers: 14 bytes of BATCH fields end at BUFFER_BATCH. */
#define MESH_PREFIX_BYTES 4u
#define MESH_BODY         (BUFFER_BATCH - 14u)

/* Defaults of the limits below. Control: seconds of headers and votes, and a few range-sync
 * answers. Bulk: 60 full batches. */
#define MESH_CONTROL_QUEUE_BYTES_MAX (4u * 1024u * 1024u)
#define MESH_BULK_QUEUE_BYTES_MAX    (32u * 1024u * 1024u)
#define MESH_IDLE_US_MAX             10000000u
#define MESH_HANDSHAKE_US_MAX        5000000u

/* Longest name of a congestion control in Linux, with its final 0. */
#define MESH_CONGESTION_BYTES 16u

/* One other member, at its index. */
struct mesh_peer_options {
    struct sockaddr_storage address[MESH_LINKS]; /* AF_UNSPEC: unknown, not dialled */
    uint32_t delay_us; /* test option: what is sent to this peer waits this long first */
};

struct mesh_options {
    struct event_base *base;
    const struct committee *committee; /* stays alive and unchanged while the mesh does */
    authority_t self;
    uint8_t network_seed[32];                   /* Ed25519 seed of this member's network key */
    struct sockaddr_storage listen[MESH_LINKS]; /* port 0: any, see mesh_get_address */
    const struct mesh_peer_options *peers; /* committee->count of them, copied; own entry unused */

    /* TCP congestion control of all links, or "" for the system's. "reno" costs a fifth less
     * processor time than "bbr" over loopback; elsewhere leave it alone. Unknown names are ignored,
     * with a warning. */
    char congestion[MESH_CONGESTION_BYTES];

    /* Limits; 0 takes the default above. */
    size_t queue_bytes_max[MESH_LINKS];
    uint32_t idle_us_max;
    uint32_t handshake_us_max;

    /* A frame arrived. `body` points into `frame`; keep it with buffer_ref(frame), else it is gone
     * after the call. PING, PONG and the hello do not come here. */
    void (*on_frame)(void *context,
                     authority_t peer,
                     enum mesh_link link,
                     struct buffer *frame,
                     const uint8_t *body,
                     size_t len);
    /* The link is up: frames may be sent and received. Called again after each reconnection. */
    void (*on_up)(void *context, authority_t peer, enum mesh_link link);
    /* The link that was up is gone; frames that were queued are lost. Retries are made by the mesh.
     */
    void (*on_down)(void *context, authority_t peer, enum mesh_link link);
    void *context;
};

/* Listens on both addresses and starts to dial. ERR_IO: an address cannot be listened on (in use,
 * not ours); ERR_CONFIG: the seed does not make the committee's network key of `self`, or `self` is
 * no member. In both cases `error` gets one line that names the address or the field. */
enum status mesh_open(struct mesh **ret_mesh,
                      const struct mesh_options *options,
                      char *error,
                      size_t error_len);

/* Queues a frame and takes its own reference. It leaves when the loop turn ends (or at mesh_flush),
 * together with what else was queued. False: the link is down, or its queue was full and the link
 * is cut; the frame is not sent, and the retransmission rules of the caller bring it later. */
bool mesh_send(struct mesh *mesh, authority_t peer, enum mesh_link link, struct buffer *frame);

/* mesh_send to every peer whose link is up, sharing the one frame. */
void mesh_broadcast(struct mesh *mesh, enum mesh_link link, struct buffer *frame);

/* Writes what is queued now, as far as the sockets take it, instead of at the end of the loop turn.
 */
void mesh_flush(struct mesh *mesh);

bool mesh_is_up(const struct mesh *mesh, authority_t peer, enum mesh_link link);

/* Bytes queued here and not yet taken by the kernel. 0 when the link is down. */
size_t mesh_queued_bytes(const struct mesh *mesh, authority_t peer, enum mesh_link link);

/* Bytes queued here, or with the kernel and not yet acknowledged by the peer's kernel: a measure of
 * how well a link keeps up. One system call. 0 when the link is down. */
size_t mesh_unacked_bytes(const struct mesh *mesh, authority_t peer, enum mesh_link link);

/* Closes a link because its peer misbehaved (`reason` is logged once per change) and dials or
 * accepts again after a back-off. on_down follows from the loop. Nothing happens when it is down.
 */
void mesh_cut(struct mesh *mesh, authority_t peer, enum mesh_link link, const char *reason);

/* Stops (or resumes) reading a link: back-pressure on its peer. What was already read, at most
 * MESH_READ_BYTES_MAX, is still delivered. A paused link is not cut for being idle. The state holds
 * for the peer and kind, across reconnections. */
void mesh_pause(struct mesh *mesh, authority_t peer, enum mesh_link link, bool pause);
#define MESH_READ_BYTES_MAX (128u * 1024u)

struct mesh_link_status {
    bool up;
    uint64_t bytes_in; /* since mesh_open, over all connections; frames with their prefixes */
    uint64_t bytes_out;
    uint64_t frames_in;
    uint64_t frames_out;
    uint64_t connections; /* times the link came up */
    size_t queued_bytes;
};

struct mesh_peer_status {
    bool up;         /* both links */
    uint32_t rtt_us; /* smoothed, of the control link; 0: not known yet */
    struct mesh_link_status links[MESH_LINKS];
};
void mesh_get_peer(struct mesh_peer_status *ret_status, const struct mesh *mesh, authority_t peer);

/* Accepted connections that ended before their other side proved to be a member, since mesh_open. */
uint64_t mesh_refused(const struct mesh *mesh);

/* Connections that are neither up nor closed: bounded by MESH_PENDING_MAX. */
size_t mesh_pending(const struct mesh *mesh);

/* The address that is listened on, with its real port. */
void mesh_get_address(struct sockaddr_storage *ret_address,
                      const struct mesh *mesh,
                      enum mesh_link link);

/* Where a peer is from now on. Dials at once when the link is neither up nor on its way. */
void mesh_set_peer_address(struct mesh *mesh,
                           authority_t peer,
                           enum mesh_link link,
                           const struct sockaddr_storage *address);

/* Flushes what is queued for at most MESH_CLOSE_US_MAX, then closes everything. Makes no callback.
 * NULL is fine. */
void mesh_close(struct mesh *mesh);
#define MESH_CLOSE_US_MAX 500000u

#endif
