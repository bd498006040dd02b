/* One member: the production core and a driver that performs its actions over simulated parts, with
 * the same order of durability as the real one. Actions behind a PERSIST wait until a sync covers
 * it. */
#ifndef TESTS_SIM_NODE_H
#define TESTS_SIM_NODE_H

#include "consensus/core/core.h"
#include "tests/sim/disk.h"

struct world;
struct packet;
struct sim_event;

/* A copy of a member's store, and what its driver keeps beside it. */
struct old_copy {
    bool taken;
    struct disk disk;
    bool wiped;
    uint64_t delivered;
    uint64_t given_up;
};

/* An action that waits for the sync of `unit`. Owns its packet, refs and record. */
struct held_action {
    struct core_action action;
    uint64_t unit;
    struct packet *packet;
    struct held_action *next;
};

struct sim_node {
    struct world *world;
    authority_t index;
    bool byzantine;
    bool dead; /* crashed for good */
    bool up;
    bool wiped;    /* lost its store and is not ready yet: counts against the fault budget */
    bool restored; /* started from an old copy of its store: faulty for the rest of the run */
    bool alarmed;  /* raised an alarm in this life, and is about to stop */
    bool rotten;   /* its disk rots: counts against the fault budget for the rest of the run */
    uint32_t life; /* counts starts */
    void *memory;
    size_t memory_len;
    struct core *core;
    struct core_parameters parameters;
    struct disk disk;
    struct old_copy old_copy;
    struct held_action *held_first;
    struct held_action *held_last;
    uint64_t held_count;
    uint64_t timer_us; /* earliest timer event queued; UINT64_MAX: none */
    uint64_t clock_us; /* added to simulated time for the monotonic clock of this life */
    int64_t wall_skew_ms;
    int32_t drift_ppm;  /* both clocks run this much too fast */
    uint32_t slow_disk; /* sync delays are multiplied by this */
    uint64_t stuck_us;  /* time of the last step, and how many steps had that time */
    uint64_t stuck_steps;
    uint64_t steps;
    uint64_t ordered;   /* last ordering record of this store that was checked */
    uint64_t delivered; /* index of the last pre-block delivered, over all lives */
    uint64_t given_up;  /* own batches below this number are not named again after a start */
    bool read_again;    /* delivery starts again below `delivered` after a wipe */
};

/* Starts the node from its disk: init, recover, START, links up. */
void node_start(struct sim_node *node);

/* Loses everything that is not durable. */
void node_crash(struct sim_node *node);

/* Crash, and the store is lost as well. */
void node_wipe(struct sim_node *node);

/* A line of the simulator's own in the trace of the node. */
void node_note_life(const struct sim_node *node, const char *what);

/* Handles an event of the queue meant for this node and this life. */
void node_handle(struct sim_node *node, const struct sim_event *event);

/* A client's batch, sealed here: written to the log, and sent to all others once durable. */
void node_submit(struct sim_node *node, uint64_t batch);

/* Tells the core that nobody has this batch, which has rotted here. */
void node_lose_batch(struct sim_node *node, const struct digest *digest);

uint64_t node_wall_ms(const struct sim_node *node);

void node_close(struct sim_node *node);

#endif
