/* Several meshes on loopback in one process and on one event base, with random ports, and an inbox
 * per mesh that checks every frame it gets.
 *
 * A frame made here is: kind u8 | sequence u32 LE | bytes that follow from kind, sequence and
 * place. So a receiver knows what must come next on each link, and a frame that is lost, doubled,
 * reordered or damaged fails the test where it arrives. */
#ifndef TESTS_UNIT_MESH_WORLD_H
#define TESTS_UNIT_MESH_WORLD_H

#include "tests/unit/unit.h"

#include <event2/event.h>

#include "consensus/node/mesh.h"

#define WORLD_MAX 7u

struct world;

struct inbox {
    struct world *world;
    authority_t self;
    uint32_t next[WORLD_MAX][MESH_LINKS]; /* sequence expected next */
    uint64_t bytes[WORLD_MAX][MESH_LINKS];
    uint32_t ups[WORLD_MAX][MESH_LINKS];
    uint32_t downs[WORLD_MAX][MESH_LINKS];
    uint64_t arrived_us; /* when the last frame came */
};

struct world {
    struct event_base *base;
    struct committee committee;
    uint32_t count;
    uint8_t seeds[WORLD_MAX][32];
    struct mesh_options options[WORLD_MAX]; /* of each mesh; change before world_start */
    struct mesh_peer_options peers[WORLD_MAX][WORLD_MAX];
    struct mesh *meshes[WORLD_MAX];
    struct inbox inboxes[WORLD_MAX];
};

/* A committee of `count` with keys from fixed seeds; no mesh runs yet. */
void world_init(struct world *world, uint32_t count);

/* Opens mesh `index` on the ports it had before, or on random ones, and tells the others where it
 * is. */
void world_start(struct world *world, authority_t index);
void world_start_all(struct world *world);

/* Closes mesh `index`; what it knew is forgotten, but for its ports. */
void world_stop(struct world *world, authority_t index);
void world_close(struct world *world);

/* Runs the loop until `done` says so; fails the test after `seconds`. */
void world_run(struct world *world,
               bool (*done)(struct world *, void *),
               void *context,
               int seconds);

/* Runs the loop for a time: only to let something wrong happen if it can. */
void world_idle(struct world *world, uint32_t us);

/* Every link of every running mesh is up. */
bool world_is_up(struct world *world, void *unused);

/* A frame with a body of `len` >= 1 bytes; below 5 it carries no sequence. */
struct buffer *world_frame(uint8_t kind, uint32_t sequence, size_t len);

uint64_t world_now_us(void);

#endif
