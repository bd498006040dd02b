/* Goal: the stream carries bytes whole through partial sends, tiny reads, and changes of key, with
 * the cipher that was asked for. Method: two streams over a socket pair, driven by hand. */
#include "tests/unit/unit.h"

#include <stdlib.h>
#include <sys/socket.h>

#include "common/crypto.h"
#include "consensus/node/mesh_stream.h"

struct side {
    struct mesh_tls *tls;
    struct mesh_stream_pool pool;
    struct mesh_pin pin;
    struct mesh_stream stream;
};

struct pair {
    struct committee committee;
    struct side sides[2]; /* 0 dials */
};

static bool drive_handshake(struct side *side)
{
    enum mesh_stream_result result = MESH_STREAM_WAIT;
    size_t len = 0;

    (void)mesh_stream_fill(&len, &side->stream, 4096);
    result = mesh_stream_handshake(&side->stream);
    assert_int_not_equal(result, MESH_STREAM_CLOSED);
    assert_int_equal(mesh_stream_send(&side->stream), MESH_STREAM_DONE);
    return result == MESH_STREAM_DONE;
}

static void pair_open(struct pair *pair)
{
    struct secret_key secret;
    bool done[2] = {false, false};
    int fds[2];

    *pair = (struct pair){.committee = {.epoch = 1, .count = 2}};
    for (uint8_t i = 0; i < 2; i++) {
        struct member *member = &pair->committee.members[i];
        uint8_t seeds[2][32] = {{1, i}, {2, i}};

        member->stake = 1;
        crypto_key_pair(&member->key, &secret, seeds[0]);
        crypto_key_pair(&member->network_key, &secret, seeds[1]);
    }
    assert_int_equal(committee_finish(&pair->committee), OK);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
    for (uint8_t i = 0; i < 2; i++) {
        struct side *side = &pair->sides[i];
        uint8_t seed[32] = {2, i};

        side->pin = (struct mesh_pin){.committee = &pair->committee,
                                      .self = i,
                                      .dialled = i == 0,
                                      .peer = (authority_t)(1 - i)};
        assert_int_equal(mesh_tls_open(&side->tls, &pair->committee, i, seed), OK);
        assert_int_equal(mesh_stream_pool_open(&side->pool, side->tls), OK);
        assert_int_equal(mesh_stream_open(&side->stream, &side->pool, fds[i], &side->pin), OK);
    }
    while (!done[0] || !done[1]) {
        if (!done[0]) done[0] = drive_handshake(&pair->sides[0]);
        if (!done[1]) done[1] = drive_handshake(&pair->sides[1]);
    }
    assert_true(pair->sides[0].pin.key_accepted);
    assert_int_equal(pair->sides[1].pin.peer, 0);
}

static void pair_close(struct pair *pair)
{
    for (uint8_t i = 0; i < 2; i++) {
        mesh_stream_close(&pair->sides[i].stream);
        mesh_stream_pool_close(&pair->sides[i].pool);
        mesh_tls_close(pair->sides[i].tls);
    }
}

/* Moves `total` random bytes from side 0 to side 1: written in random pieces, received `fill_max`
 * at a time, read in random pieces. */
static void move_bytes(struct pair *pair, size_t total, size_t fill_max, uint64_t seed)
{
    struct mesh_stream *from = &pair->sides[0].stream;
    struct mesh_stream *to = &pair->sides[1].stream;
    uint8_t *sent = malloc(total);
    uint8_t *got = malloc(total);
    size_t written = 0;
    size_t read = 0;

    unit_random_bytes(&seed, sent, total);
    while (read < total) {
        while (written < total && mesh_stream_has_room(from)) {
            size_t len = 1 + unit_random_below(&seed, MESH_RECORD_BYTES);
            len = len < total - written ? len : total - written;
            assert_true(mesh_stream_write(from, sent + written, len));
            written += len;
        }
        assert_int_not_equal(mesh_stream_send(from), MESH_STREAM_CLOSED);
        for (;;) {
            size_t len = 0;
            size_t want = 1 + unit_random_below(&seed, 40000);
            enum mesh_stream_result result = MESH_STREAM_WAIT;

            want = want < total - read ? want : total - read;
            if (want == 0) break;
            result = mesh_stream_read(&len, to, got + read, want);
            assert_int_not_equal(result, MESH_STREAM_CLOSED);
            if (result == MESH_STREAM_WAIT &&
                mesh_stream_fill(&len, to, fill_max) != MESH_STREAM_DONE) {
                break;
            }
            if (result == MESH_STREAM_DONE) read += len;
        }
    }
    assert_memory_equal(sent, got, total);
    free(sent);
    free(got);
}

static void uses_aes_128_gcm_and_tls_1_3(void **state)
{
    struct pair pair;

    (void)state;
    pair_open(&pair);
    for (uint8_t i = 0; i < 2; i++) {
        assert_string_equal(SSL_get_cipher(pair.sides[i].stream.ssl), "TLS_AES_128_GCM_SHA256");
        assert_string_equal(SSL_get_version(pair.sides[i].stream.ssl), "TLSv1.3");
    }
    pair_close(&pair);
}

static void carries_bytes_whole_in_pieces_of_any_size(void **state)
{
    struct pair pair;

    (void)state;
    pair_open(&pair);
    move_bytes(&pair, 3000000, 100000, 1);
    move_bytes(&pair, 300000, 1000, 2);
    move_bytes(&pair, 5000, 1, 3);
    assert_int_equal(mesh_stream_unsent(&pair.sides[0].stream), 0);
    assert_null(pair.sides[0].stream.chunk);
    assert_int_equal(pair.sides[0].pool.free_count, 1);
    pair_close(&pair);
}

static void changes_its_key_and_goes_on(void **state)
{
    struct pair pair;

    (void)state;
    pair_open(&pair);
    for (uint64_t i = 0; i < 30; i++) {
        pair.sides[0].stream.rekey_bytes = 1 + i * 5000;
        move_bytes(&pair, 200000, 65536, 10 + i);
        assert_true(pair.sides[0].stream.rekey_bytes > MESH_REKEY_BYTES / 2);
    }
    pair_close(&pair);
}

static void a_full_chunk_still_has_room_for_what_tls_says(void **state)
{
    static uint8_t record[MESH_RECORD_BYTES];
    struct pair pair;
    struct mesh_stream *from = &pair.sides[0].stream;
    uint32_t records = 0;

    (void)state;
    pair_open(&pair);
    while (mesh_stream_has_room(from)) {
        from->rekey_bytes =
            records == 6 ? 1 : MESH_REKEY_BYTES; /* announced with the last record */
        if (!mesh_stream_write(from, record, sizeof record)) {
            fail_msg("record %u: %s, %zu", records, from->error, from->chunk->end);
        }
        records++;
    }
    assert_true(records >= 7);
    assert_true(records <= 8);
    assert_null(from->error);
    mesh_stream_goodbye(from);
    assert_int_equal(mesh_stream_unsent(from), from->chunk->end);
    pair_close(&pair);
}

static void bytes_changed_on_the_way_kill_the_stream(void **state)
{
    static uint8_t record[100];
    struct pair pair;
    size_t len = 0;

    (void)state;
    pair_open(&pair);
    assert_true(mesh_stream_write(&pair.sides[0].stream, record, sizeof record));
    pair.sides[0].stream.chunk->data[50] ^= 1;
    assert_int_equal(mesh_stream_send(&pair.sides[0].stream), MESH_STREAM_DONE);
    assert_int_equal(mesh_stream_fill(&len, &pair.sides[1].stream, 4096), MESH_STREAM_DONE);
    assert_int_equal(mesh_stream_read(&len, &pair.sides[1].stream, record, sizeof record),
                     MESH_STREAM_CLOSED);
    assert_non_null(pair.sides[1].stream.error);
    pair_close(&pair);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(uses_aes_128_gcm_and_tls_1_3),
        cmocka_unit_test(carries_bytes_whole_in_pieces_of_any_size),
        cmocka_unit_test(changes_its_key_and_goes_on),
        cmocka_unit_test(a_full_chunk_still_has_room_for_what_tls_says),
        cmocka_unit_test(bytes_changed_on_the_way_kill_the_stream),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
