/* One TLS connection over a non-blocking socket, with our own small I/O loop around OpenSSL.
 *
 *   socket --one recv of up to 128 KB--> input (shared) --> OpenSSL --SSL_read--> caller's memory
 *   caller's memory --SSL_write, 16 KB records--> chunk of up to 128 KB --one send--> socket
 *
 * OpenSSL never sees the socket: its read side is a window on what one recv brought, its write side
 * appends finished records to a chunk. That is what makes it cheap (docs/protocol.md, mesh): few
 * system calls, each large, and no copy beyond those inside OpenSSL.
 *
 * The input is shared by all streams of a mesh: whoever fills it reads until it is empty before the
 * loop goes on. OpenSSL keeps the bytes of an unfinished record itself. A chunk belongs to a stream
 * only while it holds records the socket did not take yet; free chunks are used last in, first out,
 * and stay warm in the processor's cache. */
#ifndef CONSENSUS_NODE_MESH_STREAM_H
#define CONSENSUS_NODE_MESH_STREAM_H

#include "consensus/node/mesh_tls.h"

/* Plain bytes of one full TLS record, and the most one takes on the wire (RFC 8446, 5.2: header 5,
 * content type 1, tag 16). */
#define MESH_RECORD_BYTES      16384u
#define MESH_RECORD_WIRE_BYTES (MESH_RECORD_BYTES + 22u)

/* Room in a chunk beside data, for what TLS itself may say: an alert, a change of key. */
#define MESH_RECORD_SPARE_BYTES 64u

/* Eight full records: one send of 128 KB costs a sixth less than sends of 16 KB, a larger one no
 * less. */
#define MESH_CHUNK_BYTES (8u * MESH_RECORD_WIRE_BYTES + MESH_RECORD_SPARE_BYTES)

/* Plain bytes after which a sender changes its key. AES-GCM allows 2^24.5 full records per key (RFC
 * 8446, 5.5); this is 2^22. */
#define MESH_REKEY_BYTES ((uint64_t)1 << 36)

struct mesh_chunk {
    size_t begin;
    size_t end;
    struct mesh_chunk *next;
    uint8_t data[MESH_CHUNK_BYTES];
};

/* What the streams of one mesh share. */
struct mesh_stream_pool {
    struct mesh_tls *tls;
    BIO_METHOD *method;
    uint8_t *input; /* input_bytes of it */
    size_t input_bytes;
    struct mesh_chunk *free_chunks;
    size_t free_count;
};

struct mesh_stream {
    int fd;
    struct mesh_stream_pool *pool;
    SSL *ssl;
    const uint8_t *input; /* rest of what the last fill brought; in the pool's input */
    size_t input_len;
    struct mesh_chunk *chunk; /* records to send; NULL: none */
    uint64_t rekey_bytes;     /* plain bytes left until the key is changed */
    const char *error;        /* why the stream is dead; a constant text */
};

enum mesh_stream_result {
    MESH_STREAM_DONE,  /* did what was asked, or some of it */
    MESH_STREAM_WAIT,  /* the socket (or the input) has no more, or no room, now */
    MESH_STREAM_CLOSED /* dead; `error` says why */
};

/* `tls` stays the caller's. ERR_IO when OpenSSL fails. */
enum status mesh_stream_pool_open(struct mesh_stream_pool *pool, struct mesh_tls *tls);
void mesh_stream_pool_close(struct mesh_stream_pool *pool);

/* Takes over `fd` on OK. ERR_IO when OpenSSL fails; then `fd` is still the caller's. */
enum status mesh_stream_open(struct mesh_stream *stream,
                             struct mesh_stream_pool *pool,
                             int fd,
                             struct mesh_pin *pin);

/* One recv into the shared input, at most `max` bytes. DONE: *ret_len bytes more. */
enum mesh_stream_result mesh_stream_fill(size_t *ret_len, struct mesh_stream *stream, size_t max);

/* Goes on with the handshake with what is in the input; DONE: it is complete. Leaves records to
 * send. */
enum mesh_stream_result mesh_stream_handshake(struct mesh_stream *stream);

/* Reads 1 .. `len` plain bytes. WAIT: the input is empty. */
enum mesh_stream_result mesh_stream_read(size_t *ret_len,
                                         struct mesh_stream *stream,
                                         void *data,
                                         size_t len);

/* True when the chunk has room for one more full record. */
bool mesh_stream_has_room(const struct mesh_stream *stream);

/* Encrypts 1 .. MESH_RECORD_BYTES plain bytes as one record. Needs room. False: dead. */
bool mesh_stream_write(struct mesh_stream *stream, const void *data, size_t len);

/* One or more sends until the chunk is empty (DONE) or the socket is full (WAIT). */
enum mesh_stream_result mesh_stream_send(struct mesh_stream *stream);

/* Bytes of records that the socket did not take yet. */
size_t mesh_stream_unsent(const struct mesh_stream *stream);

/* Queues TLS's own goodbye if there is room; the other side then knows it was no accident. */
void mesh_stream_goodbye(struct mesh_stream *stream);

/* Closes the socket and frees what the stream holds. Fine on a zeroed or closed stream. */
void mesh_stream_close(struct mesh_stream *stream);

#endif
