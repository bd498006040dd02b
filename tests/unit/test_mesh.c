/* Goal: meshes that mean well find each other, deliver every frame once, in order and intact, come
 * back after every kind of loss, and never hold more than their bounds. Method: whole meshes on
 * loopback in one process (tests/unit/mesh_world.h); each wait is for a condition, with a deadline.
 */
#include "tests/unit/mesh_world.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/resource.h>

#include "consensus/core/wire.h"
#include "consensus/node/mesh_internal.h"

#define DEADLINE_S 30

/* Waits for `count` frames at `to` from `from`. */
struct arrival {
    authority_t to;
    authority_t from;
    enum mesh_link link;
    uint32_t count;
};

static bool has_arrived(struct world *world, void *context)
{
    const struct arrival *arrival = context;

    return world->inboxes[arrival->to].next[arrival->from][arrival->link] >= arrival->count;
}

static void wait_frames(struct world *world,
                        authority_t to,
                        authority_t from,
                        enum mesh_link link,
                        uint32_t count)
{
    struct arrival arrival = {to, from, link, count};

    world_run(world, has_arrived, &arrival, DEADLINE_S);
}

static bool send_one(struct world *world,
                     authority_t from,
                     authority_t to,
                     enum mesh_link link,
                     uint32_t sequence,
                     size_t len)
{
    struct buffer *frame = world_frame(link == MESH_BULK ? WIRE_BATCH : WIRE_HEADER, sequence, len);
    bool sent = mesh_send(world->meshes[from], to, link, frame);

    buffer_unref(frame);
    return sent;
}

static void frames_of_every_size_arrive_in_order_both_ways(void **state)
{
    static const size_t sizes[] = {
        1,     2,     4,     5,     13,    14,    100,    4095,   4096,   16379,   16380,
        16381, 16384, 16385, 32764, 65536, 99999, 131072, 480014, 524288, 1000000, FRAME_BYTES_MAX};
    uint32_t count = sizeof sizes / sizeof sizes[0];
    struct world world;

    (void)state;
    world_init(&world, 2);
    world_start_all(&world);
    world_run(&world, world_is_up, NULL, DEADLINE_S);
    for (uint32_t link = 0; link < MESH_LINKS; link++) {
        for (uint32_t i = 0; i < count; i++) {
            assert_true(send_one(&world, 0, 1, (enum mesh_link)link, i, sizes[i]));
            assert_true(send_one(&world, 1, 0, (enum mesh_link)link, i, sizes[count - 1 - i]));
            if (link == MESH_CONTROL) { /* its bound is 4 MiB */
                wait_frames(&world, 1, 0, MESH_CONTROL, i + 1);
                wait_frames(&world, 0, 1, MESH_CONTROL, i + 1);
            }
        }
    }
    wait_frames(&world, 1, 0, MESH_BULK, count);
    wait_frames(&world, 0, 1, MESH_BULK, count);
    world_close(&world);
}

static void many_small_frames_share_records_and_keep_order(void **state)
{
    struct world world;
    struct mesh_peer_status status;

    (void)state;
    world_init(&world, 2);
    world_start_all(&world);
    world_run(&world, world_is_up, NULL, DEADLINE_S);
    for (uint32_t i = 0; i < 8000; i++) {
        assert_true(send_one(&world, 0, 1, MESH_CONTROL, i, 5 + i % 300));
    }
    wait_frames(&world, 1, 0, MESH_CONTROL, 8000);
    mesh_get_peer(&status, world.meshes[1], 0);
    assert_true(status.up);
    assert_true(status.links[MESH_CONTROL].frames_in >= 8000);
    assert_int_equal(status.links[MESH_CONTROL].connections, 1);
    assert_int_equal(mesh_queued_bytes(world.meshes[0], 1, MESH_CONTROL), 0);
    world_close(&world);
}

static bool all_have(struct world *world, void *context)
{
    for (uint32_t to = 0; to < world->count; to++) {
        for (uint32_t from = 0; from < world->count; from++) {
            uint32_t next = world->inboxes[to].next[from][MESH_BULK];
            if (to != from && next < *(uint32_t *)context) return false;
        }
    }
    return true;
}

static bool queues_below(struct world *world, void *context)
{
    for (uint32_t from = 0; from < world->count; from++) {
        for (uint32_t to = 0; to < world->count; to++) {
            if (to == from) continue;
            if (mesh_queued_bytes(world->meshes[from], (authority_t)to, MESH_BULK) >
                *(size_t *)context) {
                return false;
            }
        }
    }
    return true;
}

static void seven_broadcast_full_batches_in_bounded_memory(void **state)
{
    struct world world;
    struct rusage usage;
    uint64_t began_us = 0;
    uint32_t rounds = 20;
    size_t low = 2 * 480000;

    (void)state;
    world_init(&world, 7);
    world_start_all(&world);
    world_run(&world, world_is_up, NULL, DEADLINE_S);
    began_us = world_now_us();
    for (uint32_t i = 0; i < rounds; i++) {
        for (uint32_t from = 0; from < 7; from++) {
            struct buffer *frame = world_frame(WIRE_BATCH, i, 480000);
            mesh_broadcast(world.meshes[from], MESH_BULK, frame);
            buffer_unref(frame);
        }
        world_run(&world, queues_below, &low, DEADLINE_S);
    }
    world_run(&world, all_have, &rounds, DEADLINE_S);
    print_message("seven meshes: %.0f MB/s received, patterns checked\n",
                  480000.0 * 42 * rounds / (double)(world_now_us() - began_us));
    world_close(&world);
    assert_int_equal(getrusage(RUSAGE_SELF, &usage), 0);
    print_message("peak resident: %ld MB\n", usage.ru_maxrss / 1024);
}

static void a_peer_that_restarts_is_found_again(void **state)
{
    struct world world;

    (void)state;
    world_init(&world, 3);
    world_start_all(&world);
    world_run(&world, world_is_up, NULL, DEADLINE_S);
    for (authority_t index = 0; index < 3; index++) {
        world_stop(&world, index);
        world_idle(&world, 50000);
        assert_false(mesh_is_up(world.meshes[(index + 1) % 3], index, MESH_CONTROL));
        assert_int_equal(world.inboxes[(index + 1) % 3].downs[index][MESH_BULK], 1);
        world_start(&world, index);
        world_run(&world, world_is_up, NULL, DEADLINE_S);
        for (authority_t to = 0; to < 3; to++) {
            if (to == index) continue;
            assert_true(send_one(&world, index, to, MESH_BULK, 0, 70000));
            assert_true(send_one(&world, to, index, MESH_CONTROL, 0, 700));
            wait_frames(&world, to, index, MESH_BULK, 1);
            wait_frames(&world, index, to, MESH_CONTROL, 1);
        }
        /* The counts of ups and downs of this inbox start anew with the next round. */
        for (authority_t i = 0; i < 3; i++) {
            memset(world.inboxes[i].ups, 0, sizeof world.inboxes[i].ups);
            memset(world.inboxes[i].downs, 0, sizeof world.inboxes[i].downs);
            for (authority_t j = 0; j < 3; j++) {
                world.inboxes[i].ups[j][0] = world.inboxes[i].ups[j][1] = 1;
            }
        }
    }
    world_close(&world);
}

static bool is_down(struct world *world, void *context)
{
    (void)context;
    return world->inboxes[0].downs[1][MESH_BULK] > 0;
}

static bool has_come_back(struct world *world, void *context)
{
    (void)context;
    return world->inboxes[0].ups[1][MESH_BULK] == 2 && world->inboxes[1].ups[0][MESH_BULK] == 2;
}

static void a_peer_that_does_not_read_is_cut_at_the_bound_and_comes_back(void **state)
{
    struct world world;
    size_t most = 0;
    uint32_t sent = 0;

    (void)state;
    world_init(&world, 2);
    world.options[0].queue_bytes_max[MESH_BULK] = 4 * 1024 * 1024;
    world_start_all(&world);
    world_run(&world, world_is_up, NULL, DEADLINE_S);
    mesh_pause(world.meshes[1], 0, MESH_BULK, true);
    /* Kernel buffers take some megabytes before the queue grows. */
    while (send_one(&world, 0, 1, MESH_BULK, sent, 480000)) {
        size_t queued = mesh_queued_bytes(world.meshes[0], 1, MESH_BULK);
        most = queued > most ? queued : most;
        sent++;
        assert_true(sent < 200);
        world_idle(&world, 1000);
    }
    assert_true(most > 3 * 1024 * 1024);
    assert_true(most <= 4 * 1024 * 1024 + MESH_CHUNK_BYTES);
    assert_int_equal(world.inboxes[0].downs[1][MESH_BULK],
                     0); /* told by the loop, not by the call */
    assert_false(mesh_is_up(world.meshes[0], 1, MESH_BULK));
    assert_int_equal(mesh_queued_bytes(world.meshes[0], 1, MESH_BULK), 0);
    world_run(&world, is_down, NULL, DEADLINE_S);
    assert_true(mesh_is_up(world.meshes[0], 1, MESH_CONTROL));

    /* It comes back, and the pause still holds. */
    world_run(&world, has_come_back, NULL, DEADLINE_S);
    assert_true(send_one(&world, 0, 1, MESH_BULK, 0, 480000));
    world_idle(&world, 100000);
    assert_int_equal(world.inboxes[1].next[0][MESH_BULK], 0);
    mesh_pause(world.meshes[1], 0, MESH_BULK, false);
    wait_frames(&world, 1, 0, MESH_BULK, 1);
    world_close(&world);
}

static void a_paused_link_delivers_nothing_and_then_everything(void **state)
{
    struct world world;
    uint32_t before = 0;

    (void)state;
    world_init(&world, 2);
    world.options[1].idle_us_max = 200000; /* a pause must not look like silence */
    world_start_all(&world);
    world_run(&world, world_is_up, NULL, DEADLINE_S);
    mesh_pause(world.meshes[1], 0, MESH_BULK, true);
    before = world.inboxes[1].next[0][MESH_BULK];
    for (uint32_t i = 0; i < 40; i++) {
        assert_true(send_one(&world, 0, 1, MESH_BULK, i, 480000));
    }
    world_idle(&world, 500000);
    assert_int_equal(world.inboxes[1].next[0][MESH_BULK], before);
    assert_true(mesh_unacked_bytes(world.meshes[0], 1, MESH_BULK) > 0);
    mesh_pause(world.meshes[1], 0, MESH_BULK, false);
    wait_frames(&world, 1, 0, MESH_BULK, 40);
    assert_int_equal(world.inboxes[1].downs[0][MESH_BULK], 0);
    world_close(&world);
}

static bool has_rtt(struct world *world, void *context)
{
    struct mesh_peer_status status;

    (void)context;
    mesh_get_peer(&status, world->meshes[0], 1);
    return status.rtt_us > 0;
}

static void the_delay_option_delays_frames_and_shows_in_the_round_trip(void **state)
{
    struct world world;
    struct mesh_peer_status status;
    uint64_t sent_us = 0;

    (void)state;
    world_init(&world, 2);
    world.peers[0][1].delay_us = 60000;
    world.peers[1][0].delay_us = 30000;
    world_start_all(&world);
    world_run(&world, world_is_up, NULL, DEADLINE_S);
    sent_us = world_now_us();
    for (uint32_t i = 0; i < 5; i++) {
        assert_true(send_one(&world, 0, 1, MESH_CONTROL, i, 100));
    }
    wait_frames(&world, 1, 0, MESH_CONTROL, 5);
    assert_true(world.inboxes[1].arrived_us - sent_us >= 60000);
    sent_us = world_now_us();
    assert_true(send_one(&world, 1, 0, MESH_BULK, 0, 480000));
    wait_frames(&world, 0, 1, MESH_BULK, 1);
    assert_true(world.inboxes[0].arrived_us - sent_us >= 30000);
    world_run(&world, has_rtt, NULL, DEADLINE_S);
    mesh_get_peer(&status, world.meshes[0], 1);
    assert_true(status.rtt_us >= 90000);
    world_close(&world);
}

static bool is_control_down(struct world *world, void *context)
{
    (void)context;
    return world->inboxes[0].downs[1][MESH_CONTROL] > 0 &&
           world->inboxes[0].downs[1][MESH_BULK] > 0;
}

static bool is_up_on_two_bases(struct world *world, void *context)
{
    assert_true(event_base_loop(context, EVLOOP_NONBLOCK) >= 0);
    return world_is_up(world, NULL);
}

static void a_peer_that_falls_silent_is_cut(void **state)
{
    struct event_base *other = event_base_new();
    struct world world;

    (void)state;
    world_init(&world, 2);
    world.options[0].idle_us_max = 300000;
    world.options[1].base = other;
    world_start_all(&world);
    world_run(&world, is_up_on_two_bases, other, DEADLINE_S);
    /* From here on nobody runs the other base: the process is there, and says nothing. */
    world_run(&world, is_control_down, NULL, 5);
    assert_non_null(strstr(mesh_slot_at(world.meshes[0], 1, MESH_BULK)->reason, "silent"));
    world_close(&world);
    event_base_free(other);
}

static void quiet_links_stay_up(void **state)
{
    struct world world;

    (void)state;
    world_init(&world, 2);
    world.options[0].idle_us_max = 200000;
    world.options[1].idle_us_max = 200000;
    world_start_all(&world);
    world_run(&world, world_is_up, NULL, DEADLINE_S);
    world_idle(&world, 800000);
    assert_int_equal(world.inboxes[0].downs[1][MESH_CONTROL], 0);
    assert_int_equal(world.inboxes[1].downs[0][MESH_BULK], 0);
    assert_true(has_rtt(&world, NULL));
    world_close(&world);
}

static void a_cut_link_comes_back_after_on_down(void **state)
{
    struct world world;

    (void)state;
    world_init(&world, 2);
    world_start_all(&world);
    world_run(&world, world_is_up, NULL, DEADLINE_S);
    for (uint32_t i = 1; i <= 3; i++) {
        mesh_cut(world.meshes[i % 2], (i + 1) % 2, MESH_BULK, "the test says so");
        assert_false(mesh_is_up(world.meshes[i % 2], (i + 1) % 2, MESH_BULK));
        assert_false(send_one(&world, i % 2, (i + 1) % 2, MESH_BULK, 0, 10));
        world_run(&world, world_is_up, NULL, DEADLINE_S);
    }
    assert_int_equal(world.inboxes[0].downs[1][MESH_BULK], 3);
    assert_int_equal(world.inboxes[0].ups[1][MESH_BULK], 4);
    assert_int_equal(world.inboxes[1].ups[0][MESH_BULK], 4);
    assert_int_equal(world.inboxes[1].downs[0][MESH_CONTROL], 0);
    world_close(&world);
}

static void closing_flushes_what_is_queued(void **state)
{
    struct world world;

    (void)state;
    world_init(&world, 2);
    world_start_all(&world);
    world_run(&world, world_is_up, NULL, DEADLINE_S);
    for (uint32_t i = 0; i < 10; i++) {
        assert_true(send_one(&world, 1, 0, MESH_CONTROL, i, 10000));
    }
    world_stop(&world, 1);
    wait_frames(&world, 0, 1, MESH_CONTROL, 10);
    world_close(&world);
}

static void a_port_in_use_is_one_line_that_names_the_address(void **state)
{
    struct world world;
    struct mesh_options options;
    struct mesh *mesh = NULL;
    char error[256] = "";
    char text[MESH_ADDRESS_BYTES];

    (void)state;
    world_init(&world, 2);
    world_start(&world, 0);
    options = world.options[1];
    options.listen[MESH_BULK] = world.options[0].listen[MESH_BULK];
    assert_int_equal(mesh_open(&mesh, &options, error, sizeof error), ERR_IO);
    assert_null(mesh);
    assert_non_null(strstr(error, mesh_address_text(text, &options.listen[MESH_BULK])));
    assert_non_null(strstr(error, "in use"));
    assert_null(strchr(error, '\n'));
    world_close(&world);
}

static void a_key_of_somebody_else_is_refused_at_start(void **state)
{
    struct world world;
    struct mesh_options options;
    struct mesh *mesh = NULL;
    char error[256] = "";

    (void)state;
    world_init(&world, 2);
    options = world.options[1];
    options.network_seed[0] ^= 1;
    assert_int_equal(mesh_open(&mesh, &options, error, sizeof error), ERR_CONFIG);
    assert_non_null(strstr(error, "network key"));
    options = world.options[1];
    options.self = 2;
    assert_int_equal(mesh_open(&mesh, &options, error, sizeof error), ERR_CONFIG);
    world_close(&world);
}

static void the_congestion_control_asked_for_is_used_and_an_unknown_one_is_not_fatal(void **state)
{
    struct world world;
    char name[MESH_CONGESTION_BYTES] = "";
    socklen_t len = sizeof name;

    (void)state;
    world_init(&world, 2);
    snprintf(world.options[0].congestion, MESH_CONGESTION_BYTES, "reno");
    snprintf(world.options[1].congestion, MESH_CONGESTION_BYTES, "no such thing");
    world_start_all(&world);
    world_run(&world, world_is_up, NULL, DEADLINE_S);
    assert_int_equal(getsockopt(mesh_slot_at(world.meshes[0], 1, MESH_BULK)->current->stream.fd,
                                IPPROTO_TCP, TCP_CONGESTION, name, &len),
                     0);
    assert_string_equal(name, "reno");
    world_close(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frames_of_every_size_arrive_in_order_both_ways),
        cmocka_unit_test(many_small_frames_share_records_and_keep_order),
        cmocka_unit_test(seven_broadcast_full_batches_in_bounded_memory),
        cmocka_unit_test(a_peer_that_restarts_is_found_again),
        cmocka_unit_test(a_peer_that_does_not_read_is_cut_at_the_bound_and_comes_back),
        cmocka_unit_test(a_paused_link_delivers_nothing_and_then_everything),
        cmocka_unit_test(the_delay_option_delays_frames_and_shows_in_the_round_trip),
        cmocka_unit_test(a_peer_that_falls_silent_is_cut),
        cmocka_unit_test(quiet_links_stay_up),
        cmocka_unit_test(a_cut_link_comes_back_after_on_down),
        cmocka_unit_test(closing_flushes_what_is_queued),
        cmocka_unit_test(a_port_in_use_is_one_line_that_names_the_address),
        cmocka_unit_test(a_key_of_somebody_else_is_refused_at_start),
        cmocka_unit_test(the_congestion_control_asked_for_is_used_and_an_unknown_one_is_not_fatal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
