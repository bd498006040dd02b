#include "consensus/node/mesh_stream.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <openssl/bio.h>
#include <openssl/err.h>

#include "consensus/node/mesh.h"

/* Chunks kept for the next use; more are freed. A loop turn rarely leaves more sockets full at
 * once. */
#define FREE_CHUNKS_MAX 4u

static struct mesh_chunk *take_chunk(struct mesh_stream_pool *pool)
{
    struct mesh_chunk *chunk = pool->free_chunks;

    if (chunk != NULL) {
        pool->free_chunks = chunk->next;
        pool->free_count--;
    } else {
        chunk = malloc(sizeof *chunk);
        CHECK(chunk != NULL);
    }
    chunk->begin = 0;
    chunk->end = 0;
    chunk->next = NULL;
    return chunk;
}

static void release_chunk(struct mesh_stream_pool *pool, struct mesh_chunk *chunk)
{
    if (chunk == NULL) return;
    if (pool->free_count >= FREE_CHUNKS_MAX) {
        free(chunk);
        return;
    }
    chunk->next = pool->free_chunks;
    pool->free_chunks = chunk;
    pool->free_count++;
}

/* OpenSSL wants bytes: a window on what the last recv brought. */
static int read_input(BIO *bio, char *data, int len)
{
    struct mesh_stream *stream = BIO_get_data(bio);
    size_t count = 0;

    BIO_clear_retry_flags(bio);
    if (len <= 0) return 0;
    count = (size_t)len < stream->input_len ? (size_t)len : stream->input_len;
    if (count == 0) {
        BIO_set_retry_read(bio);
        return -1;
    }
    memcpy(data, stream->input, count);
    stream->input += count;
    stream->input_len -= count;
    return (int)count;
}

/* OpenSSL has a finished record. A record that finds no room can only be TLS's own (an alert, the
 * answer to a key change): the data path asks for room first. */
static int write_record(BIO *bio, const char *data, int len)
{
    struct mesh_stream *stream = BIO_get_data(bio);

    BIO_clear_retry_flags(bio);
    if (len <= 0) return 0;
    if (stream->chunk == NULL) stream->chunk = take_chunk(stream->pool);
    if ((size_t)len > MESH_CHUNK_BYTES - stream->chunk->end) {
        BIO_set_retry_write(bio);
        return -1;
    }
    memcpy(stream->chunk->data + stream->chunk->end, data, (size_t)len);
    stream->chunk->end += (size_t)len;
    return len;
}

static long control_bio(BIO *bio, int command, long number, void *pointer)
{
    (void)bio, (void)number, (void)pointer;
    return command == BIO_CTRL_FLUSH ? 1 : 0;
}

enum status mesh_stream_pool_open(struct mesh_stream_pool *pool, struct mesh_tls *tls)
{
    *pool = (struct mesh_stream_pool){.tls = tls, .input_bytes = MESH_READ_BYTES_MAX};
    pool->method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "mesh");
    if (pool->method == NULL) return ERR_IO;
    BIO_meth_set_read(pool->method, read_input);
    BIO_meth_set_write(pool->method, write_record);
    BIO_meth_set_ctrl(pool->method, control_bio);
    pool->input = malloc(pool->input_bytes);
    CHECK(pool->input != NULL);
    return OK;
}

void mesh_stream_pool_close(struct mesh_stream_pool *pool)
{
    while (pool->free_chunks != NULL) {
        struct mesh_chunk *chunk = pool->free_chunks;
        pool->free_chunks = chunk->next;
        free(chunk);
    }
    BIO_meth_free(pool->method);
    free(pool->input);
    *pool = (struct mesh_stream_pool){0};
}

enum status mesh_stream_open(struct mesh_stream *stream,
                             struct mesh_stream_pool *pool,
                             int fd,
                             struct mesh_pin *pin)
{
    SSL *ssl = mesh_tls_new(pool->tls, pin);
    BIO *bio = BIO_new(pool->method);

    if (ssl == NULL || bio == NULL) {
        SSL_free(ssl);
        BIO_free(bio);
        ERR_clear_error();
        return ERR_IO;
    }
    *stream =
        (struct mesh_stream){.fd = fd, .pool = pool, .ssl = ssl, .rekey_bytes = MESH_REKEY_BYTES};
    BIO_set_data(bio, stream);
    BIO_set_init(bio, 1);
    SSL_set_bio(ssl, bio, bio);
    return OK;
}

enum mesh_stream_result mesh_stream_fill(size_t *ret_len, struct mesh_stream *stream, size_t max)
{
    ssize_t len = 0;

    CHECK(stream->input_len == 0);
    CHECK(max <= stream->pool->input_bytes);
    len = recv(stream->fd, stream->pool->input, max, 0);
    if (len > 0) {
        stream->input = stream->pool->input;
        stream->input_len = (size_t)len;
        *ret_len = (size_t)len;
        return MESH_STREAM_DONE;
    }
    if (len < 0 && (errno == EAGAIN || errno == EINTR)) return MESH_STREAM_WAIT;
    stream->error = len == 0 ? "it closed the connection" : strerrordesc_np(errno);
    return MESH_STREAM_CLOSED;
}

/* What a failed SSL call means. */
static enum mesh_stream_result judge_failure(struct mesh_stream *stream, int result)
{
    switch (SSL_get_error(stream->ssl, result)) {
    case SSL_ERROR_WANT_READ:
        return MESH_STREAM_WAIT;
    case SSL_ERROR_WANT_WRITE:
        stream->error = "its TLS wants answers faster than it takes them";
        break;
    case SSL_ERROR_ZERO_RETURN:
        stream->error = "it said goodbye";
        break;
    default:
        stream->error = mesh_tls_error();
        break;
    }
    ERR_clear_error();
    return MESH_STREAM_CLOSED;
}

enum mesh_stream_result mesh_stream_handshake(struct mesh_stream *stream)
{
    int result = SSL_do_handshake(stream->ssl);

    return result == 1 ? MESH_STREAM_DONE : judge_failure(stream, result);
}

enum mesh_stream_result mesh_stream_read(size_t *ret_len,
                                         struct mesh_stream *stream,
                                         void *data,
                                         size_t len)
{
    int result = 0;

    CHECK(len > 0);
    CHECK(len <= INT_MAX);
    result = SSL_read(stream->ssl, data, (int)len);
    if (result <= 0) return judge_failure(stream, result);
    *ret_len = (size_t)result;
    return MESH_STREAM_DONE;
}

bool mesh_stream_has_room(const struct mesh_stream *stream)
{
    return stream->chunk == NULL || MESH_CHUNK_BYTES - stream->chunk->end >=
                                        MESH_RECORD_WIRE_BYTES + MESH_RECORD_SPARE_BYTES;
}

bool mesh_stream_write(struct mesh_stream *stream, const void *data, size_t len)
{
    int result = 0;

    CHECK(len > 0);
    CHECK(len <= MESH_RECORD_BYTES);
    CHECK(mesh_stream_has_room(stream));
    result = SSL_write(stream->ssl, data, (int)len);
    if (result != (int)len) {
        (void)judge_failure(stream, result);
        if (stream->error == NULL) stream->error = "TLS wants to read before it writes";
        return false;
    }
    if (stream->rekey_bytes > len) {
        stream->rekey_bytes -= len;
        return true;
    }
    /* The new key takes effect with the next record; the message that announces it goes before
     * that. */
    stream->rekey_bytes = MESH_REKEY_BYTES;
    if (SSL_key_update(stream->ssl, SSL_KEY_UPDATE_NOT_REQUESTED) == 1) return true;
    stream->error = mesh_tls_error();
    return false;
}

enum mesh_stream_result mesh_stream_send(struct mesh_stream *stream)
{
    struct mesh_chunk *chunk = stream->chunk;

    if (chunk == NULL) return MESH_STREAM_DONE;
    while (chunk->begin < chunk->end) {
        ssize_t len =
            send(stream->fd, chunk->data + chunk->begin, chunk->end - chunk->begin, MSG_NOSIGNAL);
        if (len >= 0) {
            chunk->begin += (size_t)len;
        } else if (errno == EAGAIN) {
            return MESH_STREAM_WAIT;
        } else if (errno != EINTR) {
            stream->error = strerrordesc_np(errno);
            return MESH_STREAM_CLOSED;
        }
    }
    stream->chunk = NULL;
    release_chunk(stream->pool, chunk);
    return MESH_STREAM_DONE;
}

size_t mesh_stream_unsent(const struct mesh_stream *stream)
{
    return stream->chunk == NULL ? 0 : stream->chunk->end - stream->chunk->begin;
}

void mesh_stream_goodbye(struct mesh_stream *stream)
{
    if (stream->ssl == NULL || SSL_in_init(stream->ssl)) return;
    (void)SSL_shutdown(stream->ssl);
    ERR_clear_error();
}

void mesh_stream_close(struct mesh_stream *stream)
{
    if (stream->ssl == NULL) return;
    SSL_free(stream->ssl);
    release_chunk(stream->pool, stream->chunk);
    (void)close(stream->fd);
    *stream = (struct mesh_stream){.fd = -1};
}
