/* Everything that was ever sent or sealed, for the checkers and the adversary: headers by digest,
 * the votes seen for them, and batches by number. */
#ifndef TESTS_SIM_REGISTRY_H
#define TESTS_SIM_REGISTRY_H

#include "common/codec.h"
#include "common/crypto.h"

struct world;
struct packet;

struct known_header {
    struct digest digest;
    authority_t author;
    round_t round;
    uint64_t created_at;
    uint64_t sent_us; /* when it was first sent */
    struct authority_set voters;
    stake_t stake;
    uint32_t parents_count;
    struct digest *parents;
    uint32_t payload_count;
    struct digest *payload;
    struct packet *packet; /* HEADER body */
    uint64_t ordered;      /* sequence that ordered it; 0: none yet */
    struct known_header *next_in_round;
    struct known_header *next_in_bucket;
};

struct sim_batch {
    struct digest digest;
    uint32_t bytes;
    uint32_t transactions;
    uint64_t created_at;
    authority_t author; /* where it was sealed first */
    uint64_t sealed_us;
    bool certified;    /* acknowledged as certified by a node that told its client */
    bool committed;    /* acknowledged as committed */
    bool accepted;     /* acknowledged as accepted */
    uint64_t executed; /* index of the pre-block that holds it; 0: none yet */
};

#define REGISTRY_BUCKETS 65536u

struct registry {
    struct known_header **headers; /* REGISTRY_BUCKETS chains by digest */
    struct known_header **rounds;  /* chains by round */
    size_t rounds_capacity;
    round_t top_round; /* highest round with a certified header */
    uint64_t headers_count;
    struct sim_batch *batches;
    uint64_t batches_count;
    uint64_t batches_capacity;
    uint64_t *batch_slots; /* open addressing: batch number + 1 */
    uint64_t batch_slots_count;
};

void registry_open(struct registry *registry);
void registry_close(struct registry *registry);

struct known_header *registry_find(const struct registry *registry, const struct digest *digest);
struct known_header *registry_round(const struct registry *registry, round_t round);

/* Takes note of a control message that leaves a member. Returns the header a HEADER message carries
 * when it was new, else NULL. */
struct known_header *registry_note(struct world *world, struct packet *packet);

/* Stake of distinct authors with a certified header of `round`. */
stake_t registry_certified_stake(const struct world *world, round_t round);

/* The certified headers of a round, one per author; `ret` takes SIM_NODES_MAX. Returns how many. */
uint32_t registry_certified(const struct world *world, struct known_header **ret, round_t round);
bool registry_is_certified(const struct world *world, const struct known_header *header);

/* A new batch; its number. */
uint64_t registry_add_batch(struct registry *registry, const struct sim_batch *batch);
struct sim_batch *registry_batch(struct registry *registry, uint64_t number);

/* Number of the batch with this digest, UINT64_MAX when unknown. */
uint64_t registry_find_batch(const struct registry *registry, const struct digest *digest);

#endif
