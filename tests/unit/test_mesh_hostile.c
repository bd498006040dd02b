/* Goal: nobody without a committee key gets in, no bytes from outside do harm, and whoever breaks
 * the rules is closed for the stated reason within the stated time. Method: meshes with wrong keys
 * or another committee; bare sockets; and a rogue, which holds a real key but writes its own frames
 * over the TLS stream of the mesh. */
#include "tests/unit/mesh_world.h"

#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/crypto.h"
#include "consensus/core/wire.h"
#include "consensus/node/mesh_internal.h"

#define DEADLINE_S 30

/* ---- meshes that are not what they should be ------------------------------------------------- */

struct reasons {
    const char *zero; /* part of what mesh 0 says about peer 1, on both links */
    const char *one;  /* and mesh 1 about peer 0 */
};

static bool reason_has(struct world *world, authority_t self, const char *part)
{
    authority_t peer = (authority_t)(1 - self);

    if (part == NULL) return true;
    return strstr(mesh_slot_at(world->meshes[self], peer, MESH_CONTROL)->reason, part) != NULL &&
           strstr(mesh_slot_at(world->meshes[self], peer, MESH_BULK)->reason, part) != NULL;
}

static bool is_refused(struct world *world, void *context)
{
    const struct reasons *reasons = context;

    return reason_has(world, 0, reasons->zero) && reason_has(world, 1, reasons->one);
}

/* Both refuse, stay down through some retries, and leave nothing behind. */
static void expect_refusal(struct world *world, struct reasons reasons)
{
    world_start_all(world);
    world_run(world, is_refused, &reasons, DEADLINE_S);
    world_idle(world, 700000);
    for (authority_t self = 0; self < 2; self++) {
        authority_t peer = (authority_t)(1 - self);
        assert_int_equal(world->inboxes[self].ups[peer][MESH_CONTROL], 0);
        assert_int_equal(world->inboxes[self].ups[peer][MESH_BULK], 0);
    }
    assert_true(is_refused(world, &reasons));
    world_close(world);
}

/* The committee as mesh `index` sees it, with another network key (from `seed`) for `member`. */
static void see_other_key(struct world *world,
                          struct committee *committee,
                          authority_t index,
                          authority_t member,
                          uint8_t seed_byte)
{
    uint8_t seed[32] = {seed_byte};
    struct secret_key secret;

    *committee = world->committee;
    crypto_key_pair(&committee->members[member].network_key, &secret, seed);
    assert_int_equal(committee_finish(committee), OK);
    world->options[index].committee = committee;
    if (member == index) memcpy(world->options[index].network_seed, seed, sizeof seed);
}

static void a_wrong_key_of_the_accepting_side_is_refused(void **state)
{
    struct world world;
    struct committee committee;

    (void)state;
    world_init(&world, 2);
    see_other_key(&world, &committee, 1, 1, 77);
    expect_refusal(&world, (struct reasons){.zero = "not the network key of this member"});
}

static bool has_refused_three(struct world *world, void *context)
{
    (void)context;
    return world->meshes[1]->strangers >= 3;
}

static void a_wrong_key_of_the_dialling_side_is_refused(void **state)
{
    struct world world;
    struct committee committee;

    (void)state;
    world_init(&world, 2);
    see_other_key(&world, &committee, 0, 0, 77);
    world_start_all(&world);
    world_run(&world, has_refused_three, NULL, DEADLINE_S);
    assert_int_equal(world.inboxes[0].ups[1][MESH_CONTROL], 0);
    assert_int_equal(world.inboxes[1].ups[0][MESH_CONTROL], 0);
    /* It learns so by TLS's alert, or by the reset that may overtake it. */
    assert_int_not_equal(mesh_slot_at(world.meshes[0], 1, MESH_CONTROL)->reason[0], '\0');
    world_close(&world);
}

static void another_committee_is_refused_on_both_sides(void **state)
{
    struct world world;
    struct committee other;

    (void)state;
    world_init(&world, 2);
    other = world.committee;
    other.epoch++;
    assert_int_equal(committee_finish(&other), OK);
    world.options[1].committee = &other;
    expect_refusal(&world, (struct reasons){.one = "another committee"});
}

static void crossed_ports_are_refused(void **state)
{
    struct world world;
    struct sockaddr_storage address;

    (void)state;
    world_init(&world, 2);
    world_start(&world, 1);
    for (uint32_t link = 0; link < MESH_LINKS; link++) {
        mesh_get_address(&address, world.meshes[1], link == MESH_BULK ? MESH_CONTROL : MESH_BULK);
        world.peers[0][1].address[link] = address;
    }
    world_start(&world, 0);
    world_run(&world, is_refused, &(struct reasons){.one = "ports are crossed"}, DEADLINE_S);
    assert_int_equal(world.inboxes[1].ups[0][MESH_BULK], 0);
    world_close(&world);
}

/* ---- bare sockets ---------------------------------------------------------------------------- */

static int connect_to(struct world *world, enum mesh_link link)
{
    struct sockaddr_storage *address = &world->options[1].listen[link];
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    assert_true(connect(fd, (struct sockaddr *)address, sizeof(struct sockaddr_in)) == 0 ||
                errno == EINPROGRESS);
    return fd;
}

/* The other side has closed it. What it said before is thrown away. */
static bool is_closed(struct world *world, void *context)
{
    char memory[4096];
    ssize_t len = 0;

    (void)world;
    do {
        len = recv(*(int *)context, memory, sizeof memory, 0);
    } while (len > 0);
    return len == 0 || (errno != EAGAIN && errno != EINPROGRESS && errno != ENOTCONN);
}

static bool is_pending(struct world *world, void *context)
{
    return mesh_pending(world->meshes[1]) == *(size_t *)context;
}

static void wait_pending(struct world *world, size_t count)
{
    world_run(world, is_pending, &count, DEADLINE_S);
}

static void garbage_before_the_handshake_is_closed(void **state)
{
    struct world world;
    uint64_t seed = 1;

    (void)state;
    world_init(&world, 2);
    world_start(&world, 1);
    for (uint32_t i = 0; i < 40; i++) {
        uint8_t garbage[600];
        size_t len = 1 + unit_random_below(&seed, sizeof garbage);
        int fd = connect_to(&world, i % 2 == 0 ? MESH_CONTROL : MESH_BULK);

        wait_pending(&world, 1);
        unit_random_bytes(&seed, garbage, len);
        if (i % 4 == 0) garbage[0] = 22; /* begins like a handshake record */
        assert_int_equal(send(fd, garbage, len, MSG_NOSIGNAL), len);
        (void)shutdown(fd, SHUT_WR);
        world_run(&world, is_closed, &fd, DEADLINE_S);
        (void)close(fd);
        wait_pending(&world, 0);
    }
    world_close(&world);
}

static void a_handshake_that_never_comes_is_closed_in_time(void **state)
{
    /* A true beginning: a record of 512 bytes, in it a client hello of 508 for TLS 1.2 and up. */
    static const uint8_t hello[] = {22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3,
                                    9,  9, 9, 9, 9, 9, 9, 9, 9,   9};
    struct world world;
    uint64_t began_us = 0;
    size_t sent = 0;
    int fds[2];

    (void)state;
    world_init(&world, 2);
    world.options[1].handshake_us_max = 300000;
    world_start(&world, 1);
    fds[0] = connect_to(&world, MESH_CONTROL);
    fds[1] = connect_to(&world, MESH_BULK);
    began_us = world_now_us();
    wait_pending(&world, 2);
    while (!is_closed(&world, &fds[1])) {
        /* A byte at a time does not help. */
        (void)send(fds[1], &hello[sent < sizeof hello ? sent : sizeof hello - 1], 1, MSG_NOSIGNAL);
        sent++;
        world_idle(&world, 20000);
        assert_true(world_now_us() - began_us < 10000000);
    }
    assert_true(world_now_us() - began_us >= 300000);
    world_run(&world, is_closed, &fds[0], DEADLINE_S);
    wait_pending(&world, 0);
    (void)close(fds[0]);
    (void)close(fds[1]);
    world_close(&world);
}

static void strangers_are_bounded_and_do_not_keep_members_out(void **state)
{
    struct world world;
    int fds[MESH_PENDING_MAX + 40];
    size_t count = sizeof fds / sizeof fds[0];

    (void)state;
    world_init(&world, 2);
    world_start(&world, 1);
    for (size_t i = 0; i < count; i++) {
        fds[i] = connect_to(&world, i % 2 == 0 ? MESH_CONTROL : MESH_BULK);
    }
    wait_pending(&world, MESH_PENDING_MAX);
    world_idle(&world, 50000);
    assert_int_equal(mesh_pending(world.meshes[1]), MESH_PENDING_MAX);
    world_start(&world, 0);
    world_run(&world, world_is_up, NULL, DEADLINE_S);
    for (size_t i = 0; i < count; i++) {
        (void)close(fds[i]);
    }
    wait_pending(&world, 0);
    world_close(&world);
}

/* ---- a member's key in the wrong hands ------------------------------------------------------- */

/* Speaks as member 0 to mesh 1, frame by frame. */
struct rogue {
    struct mesh_tls *tls;
    struct mesh_stream_pool pool;
    struct mesh_pin pin;
    struct mesh_stream stream;
    enum mesh_link link;
    bool is_secure; /* the handshake is over */
    bool is_closed;
    uint8_t in[4096];
    size_t in_len;
};

static void rogue_step(struct rogue *rogue)
{
    struct mesh_stream *stream = &rogue->stream;
    enum mesh_stream_result result = MESH_STREAM_WAIT;
    size_t len = 0;

    if (rogue->is_closed) return;
    result = mesh_stream_fill(&len, stream, 65536);
    if (result == MESH_STREAM_CLOSED && errno != ENOTCONN) rogue->is_closed = true;
    if (!rogue->is_secure) {
        result = mesh_stream_handshake(stream);
        if (result == MESH_STREAM_CLOSED) rogue->is_closed = true;
        if (result == MESH_STREAM_DONE) rogue->is_secure = true;
    }
    while (rogue->is_secure && !rogue->is_closed && rogue->in_len < sizeof rogue->in) {
        result = mesh_stream_read(&len, stream, rogue->in + rogue->in_len,
                                  sizeof rogue->in - rogue->in_len);
        if (result == MESH_STREAM_CLOSED) rogue->is_closed = true;
        if (result != MESH_STREAM_DONE) break;
        rogue->in_len += len;
    }
    stream->input_len = 0;
    if (!rogue->is_closed && mesh_stream_send(stream) == MESH_STREAM_CLOSED)
        rogue->is_closed = true;
}

static bool rogue_is_secure(struct world *world, void *context)
{
    struct rogue *rogue = context;

    (void)world;
    rogue_step(rogue);
    assert_false(rogue->is_closed);
    return rogue->is_secure;
}

static bool rogue_is_closed(struct world *world, void *context)
{
    struct rogue *rogue = context;

    (void)world;
    rogue_step(rogue);
    return rogue->is_closed;
}

static bool rogue_got_greeting(struct world *world, void *context)
{
    struct rogue *rogue = context;

    (void)world;
    rogue_step(rogue);
    assert_false(rogue->is_closed);
    return rogue->in_len >= MESH_PREFIX_BYTES + MESH_HELLO_BYTES;
}

static bool is_up_at_one(struct world *world, void *context)
{
    struct rogue *rogue = context;

    rogue_step(rogue);
    assert_false(rogue->is_closed);
    return mesh_is_up(world->meshes[1], 0, rogue->link);
}

/* Connects with the key of `self` and does not wait. */
static void rogue_connect(struct rogue *rogue,
                          struct world *world,
                          authority_t self,
                          enum mesh_link link)
{
    *rogue = (struct rogue){.link = link};
    rogue->pin = (struct mesh_pin){.committee = &world->committee, .dialled = true, .peer = 1};
    assert_int_equal(mesh_tls_open(&rogue->tls, &world->committee, self, world->seeds[self]), OK);
    assert_int_equal(mesh_stream_pool_open(&rogue->pool, rogue->tls), OK);
    assert_int_equal(
        mesh_stream_open(&rogue->stream, &rogue->pool, connect_to(world, link), &rogue->pin), OK);
}

static void rogue_open(struct rogue *rogue, struct world *world, enum mesh_link link)
{
    rogue_connect(rogue, world, 0, link);
    world_run(world, rogue_is_secure, rogue, DEADLINE_S);
}

static void rogue_close(struct rogue *rogue)
{
    mesh_stream_close(&rogue->stream);
    mesh_stream_pool_close(&rogue->pool);
    mesh_tls_close(rogue->tls);
}

static void rogue_say(struct rogue *rogue, const void *data, size_t len)
{
    assert_true(mesh_stream_write(&rogue->stream, data, len));
}

static void rogue_say_frame(struct rogue *rogue, struct buffer *frame)
{
    rogue_say(rogue, frame->data + frame->begin, frame->len);
    buffer_unref(frame);
}

static struct mesh_hello rogue_hello(const struct rogue *rogue, const struct world *world)
{
    return (struct mesh_hello){.version = MESH_VERSION,
                               .committee = world->committee.digest,
                               .index = 0,
                               .link = (uint8_t)rogue->link,
                               .nonce = 5};
}

/* Says hello and acknowledges the other one: mesh 1 believes it is member 0. */
static void rogue_greet(struct rogue *rogue, struct world *world)
{
    struct mesh_hello hello = rogue_hello(rogue, world);
    struct reader reader;

    rogue_say_frame(rogue, mesh_hello_frame(&hello));
    world_run(world, rogue_got_greeting, rogue, DEADLINE_S);
    reader = reader_make(rogue->in + MESH_PREFIX_BYTES + MESH_HELLO_BYTES - 8, 8);
    rogue_say_frame(rogue, mesh_hello_ack_frame(reader_u64(&reader)));
    world_run(world, is_up_at_one, rogue, DEADLINE_S);
}

/* Mesh 1 closes the rogue, for a reason that contains `reason`. */
static void expect_closed(struct world *world, struct rogue *rogue, const char *reason)
{
    const struct mesh_slot *slot = mesh_slot_at(world->meshes[1], 0, rogue->link);

    world_run(world, rogue_is_closed, rogue, DEADLINE_S);
    if (strstr(slot->reason, reason) == NULL) fail_msg("reason: %s", slot->reason);
    assert_false(mesh_is_up(world->meshes[1], 0, rogue->link));
    rogue_close(rogue);
    wait_pending(world, 0);
}

static void a_rogue_that_does_not_greet_properly_is_closed(void **state)
{
    static const uint8_t long_length[] = {47, 0, 0, 0};
    static const uint8_t zero_length[] = {0, 0, 0, 0};
    struct world world;
    struct rogue rogue;
    struct mesh_hello hello;

    (void)state;
    world_init(&world, 2);
    world_start(&world, 1);
    for (uint32_t link = 0; link < MESH_LINKS; link++) {
        rogue_open(&rogue, &world, (enum mesh_link)link);
        rogue_say(&rogue, long_length, sizeof long_length);
        expect_closed(&world, &rogue, "47 bytes");

        rogue_open(&rogue, &world, (enum mesh_link)link);
        rogue_say(&rogue, zero_length, sizeof zero_length);
        expect_closed(&world, &rogue, "0 bytes");

        rogue_open(&rogue, &world, (enum mesh_link)link);
        rogue_say_frame(&rogue, world_frame(WIRE_VOTE, 0, 20));
        expect_closed(&world, &rogue, "not a hello");

        rogue_open(&rogue, &world, (enum mesh_link)link);
        hello = rogue_hello(&rogue, &world);
        hello.index = 1;
        rogue_say_frame(&rogue, mesh_hello_frame(&hello));
        expect_closed(&world, &rogue, "another index");

        rogue_open(&rogue, &world, (enum mesh_link)link);
        hello = rogue_hello(&rogue, &world);
        rogue_say_frame(&rogue, mesh_hello_frame(&hello));
        rogue_say_frame(&rogue, mesh_hello_ack_frame(4242));
        expect_closed(&world, &rogue, "acknowledge");
    }
    assert_int_equal(world.inboxes[1].ups[0][MESH_CONTROL], 0);
    assert_int_equal(world.inboxes[1].ups[0][MESH_BULK], 0);
    world_close(&world);
}

static void a_member_whose_turn_it_is_not_to_dial_is_refused(void **state)
{
    static const authority_t members[] = {2, 1}; /* a higher index, and mesh 1's own key */
    struct world world;
    struct rogue rogue;

    (void)state;
    world_init(&world, 3);
    world.options[1].handshake_us_max = 60000000; /* it is not the time limit that closes it */
    world_start(&world, 1);
    for (size_t i = 0; i < 2; i++) {
        rogue_connect(&rogue, &world, members[i], MESH_CONTROL);
        world_run(&world, rogue_is_closed, &rogue, DEADLINE_S);
        rogue_close(&rogue);
        assert_int_equal(world.meshes[1]->pending_count, 0);
    }
    world_close(&world);
}

static void a_rogue_that_greets_and_waits_is_closed_in_time(void **state)
{
    struct world world;
    struct rogue rogue;

    (void)state;
    world_init(&world, 2);
    world.options[1].handshake_us_max = 300000;
    world_start(&world, 1);
    rogue_open(&rogue, &world, MESH_CONTROL);
    expect_closed(&world, &rogue, "in time");
    world_close(&world);
}

static void a_rogue_inside_that_breaks_the_framing_is_cut(void **state)
{
    static const uint8_t too_long[] = {1, 0, 16, 0}; /* 1 MiB + 1 */
    static const uint8_t huge[] = {255, 255, 255, 255};
    static const uint8_t empty[] = {0, 0, 0, 0};
    static const uint8_t short_ping[] = {3, 0, 0, 0, WIRE_PING, 1, 2};
    struct world world;
    struct rogue rogue;
    struct mesh_hello hello;
    uint32_t cuts = 0;

    (void)state;
    world_init(&world, 2);
    world_start(&world, 1);
    for (uint32_t link = 0; link < MESH_LINKS; link++) {
        rogue_open(&rogue, &world, (enum mesh_link)link);
        rogue_greet(&rogue, &world);
        rogue_say_frame(&rogue, world_frame(WIRE_BATCH, 0, 5000));
        rogue_say(&rogue, too_long, sizeof too_long);
        expect_closed(&world, &rogue, "1048577 bytes");
        assert_int_equal(world.inboxes[1].bytes[0][link], 5000); /* what was right has arrived */

        rogue_open(&rogue, &world, (enum mesh_link)link);
        rogue_greet(&rogue, &world);
        rogue_say(&rogue, huge, sizeof huge);
        expect_closed(&world, &rogue, "4294967295 bytes");

        rogue_open(&rogue, &world, (enum mesh_link)link);
        rogue_greet(&rogue, &world);
        rogue_say(&rogue, empty, sizeof empty);
        expect_closed(&world, &rogue, "0 bytes");

        rogue_open(&rogue, &world, (enum mesh_link)link);
        rogue_greet(&rogue, &world);
        rogue_say(&rogue, short_ping, sizeof short_ping);
        expect_closed(&world, &rogue, "ping");

        rogue_open(&rogue, &world, (enum mesh_link)link);
        rogue_greet(&rogue, &world);
        hello = rogue_hello(&rogue, &world);
        rogue_say_frame(&rogue, mesh_hello_frame(&hello));
        expect_closed(&world, &rogue, "greets twice");

        cuts += world.inboxes[1].downs[0][link];
    }
    assert_int_equal(cuts, 10);
    world_close(&world);
}

static void a_second_connection_of_a_member_replaces_the_first(void **state)
{
    struct world world;
    struct rogue first;
    struct rogue second;

    (void)state;
    world_init(&world, 2);
    world_start(&world, 1);
    rogue_open(&first, &world, MESH_BULK);
    rogue_greet(&first, &world);
    rogue_open(&second, &world, MESH_BULK);
    assert_true(mesh_is_up(world.meshes[1], 0, MESH_BULK)); /* not before it has greeted */
    rogue_greet(&second, &world);
    world_run(&world, rogue_is_closed, &first, DEADLINE_S);
    assert_int_equal(world.inboxes[1].ups[0][MESH_BULK], 2);
    assert_int_equal(world.inboxes[1].downs[0][MESH_BULK], 1);
    assert_true(mesh_is_up(world.meshes[1], 0, MESH_BULK));
    rogue_close(&first);
    rogue_close(&second);
    world_close(&world);
}

/* Asks and asks, and never reads. */
static bool rogue_has_asked(struct world *world, void *context)
{
    struct rogue *rogue = context;
    static uint32_t asked;

    while (mesh_stream_has_room(&rogue->stream)) {
        struct buffer *frames = buffer_new(MESH_RECORD_BYTES);
        struct writer writer = writer_make(frames->data, MESH_RECORD_BYTES);
        while (writer.len + 13 <= MESH_RECORD_BYTES) {
            writer_u32(&writer, 9);
            writer_u8(&writer, WIRE_PING);
            writer_u64(&writer, 1);
            asked++;
        }
        rogue_say(rogue, frames->data, writer.len);
        buffer_unref(frames);
    }
    assert_int_not_equal(mesh_stream_send(&rogue->stream), MESH_STREAM_CLOSED);
    assert_true(mesh_is_up(world->meshes[1], 0, rogue->link));
    assert_true(mesh_slot_at(world->meshes[1], 0, rogue->link)->current->queue.count <= 2);
    return asked > 1000000;
}

static void a_rogue_that_asks_and_never_reads_is_owed_one_answer(void **state)
{
    struct world world;
    struct rogue rogue;

    (void)state;
    world_init(&world, 2);
    world_start(&world, 1);
    rogue_open(&rogue, &world, MESH_CONTROL);
    rogue_greet(&rogue, &world);
    world_run(&world, rogue_has_asked, &rogue, 60);
    rogue_close(&rogue);
    world_close(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_wrong_key_of_the_accepting_side_is_refused),
        cmocka_unit_test(a_wrong_key_of_the_dialling_side_is_refused),
        cmocka_unit_test(another_committee_is_refused_on_both_sides),
        cmocka_unit_test(crossed_ports_are_refused),
        cmocka_unit_test(garbage_before_the_handshake_is_closed),
        cmocka_unit_test(a_handshake_that_never_comes_is_closed_in_time),
        cmocka_unit_test(strangers_are_bounded_and_do_not_keep_members_out),
        cmocka_unit_test(a_rogue_that_does_not_greet_properly_is_closed),
        cmocka_unit_test(a_member_whose_turn_it_is_not_to_dial_is_refused),
        cmocka_unit_test(a_rogue_that_greets_and_waits_is_closed_in_time),
        cmocka_unit_test(a_rogue_inside_that_breaks_the_framing_is_cut),
        cmocka_unit_test(a_second_connection_of_a_member_replaces_the_first),
        cmocka_unit_test(a_rogue_that_asks_and_never_reads_is_owed_one_answer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
