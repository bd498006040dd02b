#include "tests/unit/mesh_world.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <time.h>

#include "common/crypto.h"
#include "consensus/core/wire.h"
#include "consensus/node/mesh_internal.h"

uint64_t world_now_us(void)
{
    return mesh_now_us();
}

/* The byte at `place` of the frame: changes with everything, costs little. */
static uint8_t pattern(uint8_t kind, uint32_t sequence, size_t place)
{
    return (uint8_t)(kind + sequence * 31u + (uint32_t)place * 7u + (uint32_t)(place >> 8));
}

struct buffer *world_frame(uint8_t kind, uint32_t sequence, size_t len)
{
    struct buffer *frame = buffer_new(MESH_BODY + len);
    uint8_t *body = frame->data + MESH_BODY;
    struct writer writer = writer_make(body - MESH_PREFIX_BYTES, MESH_PREFIX_BYTES + 5);

    writer_u32(&writer, (uint32_t)len);
    writer_u8(&writer, kind);
    if (len >= 5) writer_u32(&writer, sequence);
    for (size_t i = 1; i < len && i < 5 && len < 5; i++) {
        body[i] = 0;
    }
    for (size_t i = 5; i < len; i++) {
        body[i] = pattern(kind, sequence, i);
    }
    frame->begin = MESH_BODY - MESH_PREFIX_BYTES;
    frame->len = MESH_PREFIX_BYTES + len;
    return frame;
}

static void on_frame(void *context,
                     authority_t peer,
                     enum mesh_link link,
                     struct buffer *frame,
                     const uint8_t *body,
                     size_t len)
{
    struct inbox *inbox = context;
    struct reader reader = reader_make(body, len);
    uint8_t kind = reader_u8(&reader);
    uint32_t sequence = len < 5 ? inbox->next[peer][link] : reader_u32(&reader);
    struct reader prefix = reader_make(frame->data + frame->begin, MESH_PREFIX_BYTES);

    assert_false(reader.failed);
    assert_ptr_equal(body, frame->data + MESH_BODY);
    assert_int_equal(frame->len, MESH_PREFIX_BYTES + len);
    assert_int_equal(reader_u32(&prefix), len);
    assert_int_equal(sequence, inbox->next[peer][link]);
    for (size_t i = 5; i < len; i++) {
        if (body[i] != pattern(kind, sequence, i)) fail_msg("frame %u differs at %zu", sequence, i);
    }
    inbox->next[peer][link]++;
    inbox->bytes[peer][link] += len;
    inbox->arrived_us = world_now_us();
}

static void on_up(void *context, authority_t peer, enum mesh_link link)
{
    struct inbox *inbox = context;

    assert_int_equal(inbox->ups[peer][link], inbox->downs[peer][link]);
    inbox->ups[peer][link]++;
    inbox->next[peer][link] = 0;
}

static void on_down(void *context, authority_t peer, enum mesh_link link)
{
    struct inbox *inbox = context;

    inbox->downs[peer][link]++;
    assert_int_equal(inbox->ups[peer][link], inbox->downs[peer][link]);
}

static void set_loopback(struct sockaddr_storage *address)
{
    struct sockaddr_in *in = (struct sockaddr_in *)address;

    *address = (struct sockaddr_storage){0};
    in->sin_family = AF_INET;
    in->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
}

void world_init(struct world *world, uint32_t count)
{
    struct secret_key secret;

    *world = (struct world){.count = count};
    world->base = event_base_new();
    assert_non_null(world->base);
    world->committee = (struct committee){.network = {42}, .epoch = 1, .count = count};
    for (uint32_t i = 0; i < count; i++) {
        struct member *member = &world->committee.members[i];
        uint8_t seed[32] = {(uint8_t)(100 + i)};

        crypto_key_pair(&member->key, &secret, seed);
        memset(world->seeds[i], (int)(i + 1), sizeof world->seeds[i]);
        crypto_key_pair(&member->network_key, &secret, world->seeds[i]);
        member->stake = 1;
    }
    assert_int_equal(committee_finish(&world->committee), OK);
    for (uint32_t i = 0; i < count; i++) {
        struct mesh_options *options = &world->options[i];

        *options = (struct mesh_options){.base = world->base,
                                         .committee = &world->committee,
                                         .self = (authority_t)i,
                                         .peers = world->peers[i],
                                         .on_frame = on_frame,
                                         .on_up = on_up,
                                         .on_down = on_down,
                                         .context = &world->inboxes[i]};
        memcpy(options->network_seed, world->seeds[i], 32);
        set_loopback(&options->listen[MESH_CONTROL]);
        set_loopback(&options->listen[MESH_BULK]);
    }
}

void world_start(struct world *world, authority_t index)
{
    char error[256] = "";

    world->inboxes[index] = (struct inbox){.world = world, .self = index};
    if (mesh_open(&world->meshes[index], &world->options[index], error, sizeof error) != OK) {
        fail_msg("%s", error);
    }
    for (uint32_t link = 0; link < MESH_LINKS; link++) {
        struct sockaddr_storage *address = &world->options[index].listen[link];
        mesh_get_address(address, world->meshes[index], (enum mesh_link)link);
        for (uint32_t i = 0; i < world->count; i++) {
            world->peers[i][index].address[link] = *address;
            if (i == index || world->meshes[i] == NULL) continue;
            mesh_set_peer_address(world->meshes[i], index, (enum mesh_link)link, address);
        }
    }
}

void world_start_all(struct world *world)
{
    for (uint32_t i = 0; i < world->count; i++) {
        world_start(world, (authority_t)i);
    }
}

void world_stop(struct world *world, authority_t index)
{
    mesh_close(world->meshes[index]);
    world->meshes[index] = NULL;
}

void world_close(struct world *world)
{
    for (uint32_t i = 0; i < world->count; i++) {
        world_stop(world, (authority_t)i);
    }
    event_base_free(world->base);
}

static void on_guard(evutil_socket_t fd, short what, void *context)
{
    (void)fd, (void)what, (void)context;
}

void world_run(struct world *world,
               bool (*done)(struct world *, void *),
               void *context,
               int seconds)
{
    uint64_t until_us = world_now_us() + (uint64_t)seconds * 1000000;
    struct timeval pause = {.tv_usec = 5000};
    struct event *guard = event_new(world->base, -1, EV_PERSIST, on_guard, NULL);

    event_add(guard, &pause);
    while (!done(world, context)) {
        if (world_now_us() > until_us) fail_msg("nothing after %d seconds", seconds);
        assert_true(event_base_loop(world->base, EVLOOP_ONCE) >= 0);
        for (uint32_t i = 0; i < world->count; i++) {
            if (world->meshes[i] != NULL) mesh_check(world->meshes[i]);
        }
    }
    event_free(guard);
}

static bool is_later(struct world *world, void *context)
{
    (void)world;
    return world_now_us() >= *(uint64_t *)context;
}

void world_idle(struct world *world, uint32_t us)
{
    uint64_t until_us = world_now_us() + us;

    world_run(world, is_later, &until_us, 60);
}

bool world_is_up(struct world *world, void *unused)
{
    (void)unused;
    for (uint32_t i = 0; i < world->count; i++) {
        for (uint32_t j = 0; j < world->count; j++) {
            if (i == j || world->meshes[i] == NULL || world->meshes[j] == NULL) continue;
            if (!mesh_is_up(world->meshes[i], (authority_t)j, MESH_CONTROL)) return false;
            if (!mesh_is_up(world->meshes[i], (authority_t)j, MESH_BULK)) return false;
        }
    }
    return true;
}
