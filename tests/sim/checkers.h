/* The promises, each checked by a file of its own against what honest members do:
 *
 *   check_agreement   pre-blocks and ordering records are equal at all nodes, by number, for ever
 *   check_signing     one header, one vote, one attestation per slot in a member's whole life
 *   check_memory      who is shown a signature of its own that its store does not know stops
 *   check_votes       votes only for headers that keep the rules of voting
 *   check_order       parents are ordered before children or lie below the floor; the leader is
 * last; no vertex and no batch twice check_clients     what was acknowledged as certified or
 * committed is executed in the end check_bounds      what must stay small stays small; the driver's
 * and core's numbers agree check_latency     (steady runs) from a header's creation to its
 * ordering, over all nodes check_progress    after healing, all members reach the same state in
 * bounded time */
#ifndef TESTS_SIM_CHECKERS_H
#define TESTS_SIM_CHECKERS_H

#include "consensus/core/core.h"
#include "tests/sim/options.h"

struct world;
struct sim_node;
struct packet;
struct sim_batch;

/* A growing map from a number to a digest. */
struct slot_map {
    struct slot_entry *entries;
    size_t capacity; /* power of two */
    size_t count;
};

/* Puts key -> digest; returns what is stored under the key afterwards (the old value if there was
 * one). */
const struct digest *slot_map_add(struct slot_map *map, uint64_t key, const struct digest *digest);
const struct digest *slot_map_get(const struct slot_map *map, uint64_t key);
void slot_map_close(struct slot_map *map);

struct checkers {
    /* agreement */
    struct digest *preblocks; /* digest of record by index - 1, as first seen */
    uint64_t preblocks_count;
    uint64_t preblocks_capacity;
    uint64_t ordered_count; /* highest sequence durable anywhere */
    uint64_t
        made_count; /* highest sequence made anywhere, and the round of its anchor: what the adversary sees */
    round_t made_round;
    struct slot_map orderings;
    /* signing: one map per member, over all its lives */
    struct slot_map signed_slots[SIM_NODES_MAX];
    struct slot_map
        known_slots[SIM_NODES_MAX]; /* what the store of one that was restored knows of it */
    /* order */
    round_t last_anchor_round;
    struct authority_set excluded; /* from the schedule, after the last record */
    uint64_t vertices_ordered;
    uint64_t executed;
    /* latency */
    uint64_t latency_sum_us;
    uint64_t latency_count;
    /* progress */
    uint64_t recovered_us; /* how long healing took */
};

/* A pre-block was delivered, or read from the store after a restart. */
void check_agreement_preblock(struct sim_node *node, uint64_t index, struct bytes record);

/* A quorum for a pre-block was announced. */
void check_agreement_certificate(struct sim_node *node, uint64_t index, struct bytes quorum);

/* An ordering record was made. It may be lost yet, with what it rests on: an own vote that has not left. */
void check_agreement_made(struct sim_node *node, struct bytes key, struct bytes value);

/* A sync is over, or a crash: what of the ordering records is durable now is so for ever. */
void check_agreement_durable(struct sim_node *node);

/* A control message leaves the machine of an honest member. */
void check_signing_message(struct sim_node *node, const struct packet *packet);

/* A member that was restored starts, and writes a record. */
void check_memory_start(struct sim_node *node);
void check_memory_record(struct sim_node *node, const struct core_action *action);

/* An honest member votes for this header. */
void check_votes_message(const struct sim_node *node, const struct digest *digest);

/* The first node made this pre-block: what it executes. */
void check_order_preblock(struct sim_node *node, uint64_t index, struct bytes record);

/* The first node made this ordering record. */
void check_order_ordering(struct sim_node *node, struct bytes key, struct bytes value);

/* A node made an ordering record in a steady run. */
void check_latency_ordering(struct sim_node *node, struct bytes value);

void check_clients_end(struct world *world);

/* The batch leaves the machine of an honest member. */
void check_rot_batch(const struct sim_node *node, uint64_t batch);

/* A control message leaves the machine of an honest member. */
void check_rot_message(const struct sim_node *node, const struct packet *packet);

/* No batch that was seen to have rotted is missing while an honest member that lives has it. */
bool check_rot_is_repaired(const struct sim_node *node);

/* To stderr: which headers name the batch, and what became of them. */
void check_print_batch(const struct world *world, const struct sim_batch *batch);

void check_bounds_node(struct sim_node *node);

/* True once the goal of the liveness phase is reached. */
bool check_progress_reached(struct world *world);
void check_progress_fail(struct world *world);

void checkers_close(struct checkers *checkers);

#endif
