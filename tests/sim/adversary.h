/* The Byzantine members, all played by one mind that sees every message ever sent, but signs with
 * the keys of its members only.
 *
 *   equivocate  two headers in every round with different parents and payload, one to each half of
 * the honest members; every header of anybody gets their votes, both twins included withhold
 * headers, votes and batches go to some members and never to others silent      nothing for long
 * stretches junk        random bytes, damaged and replayed copies of real messages, absurd rounds,
 * parents that nobody certified, times in the future, batches that nobody has, wrong attestations
 */
#ifndef TESTS_SIM_ADVERSARY_H
#define TESTS_SIM_ADVERSARY_H

#include "common/base.h"
#include "tests/sim/options.h"
#include "tests/sim/random.h"

struct world;
struct known_header;
struct packet;
struct sim_event;

#define ADVERSARY_REPLAYS 256u

struct adversary {
    struct random random;
    uint32_t count;
    authority_t members[SIM_NODES_MAX];
    round_t proposed[SIM_NODES_MAX]; /* highest round a member proposed */
    uint32_t victims[SIM_NODES_MAX]; /* nodes a member withholds from, bit per node */
    uint64_t silent_until_us[SIM_NODES_MAX];
    struct packet *replays[ADVERSARY_REPLAYS]; /* old messages of others */
    uint64_t replays_count;
    uint64_t twins; /* rounds with two headers */
    bool passive;   /* a scenario speaks for the members */
};

/* Chooses the members; called before the nodes start. */
void adversary_choose(struct world *world);
void adversary_start(struct world *world);
void adversary_close(struct world *world);

/* Some member sent a message; `header` is set when it carries a new header. */
void adversary_see(struct world *world, struct packet *packet, struct known_header *header);

void adversary_turn(struct world *world, const struct sim_event *event);

/* A control message reached a Byzantine member. */
void adversary_control(struct world *world, const struct sim_event *event);

/* A bulk message reached a Byzantine member. */
void adversary_bulk(struct world *world, const struct sim_event *event);

/* ---- for scenarios --------------------------------------------------------------------------- */

/* A signed HEADER body of `author` with the given parents and at most one batch, registered as
 * known. */
struct packet *adversary_header(struct world *world,
                                authority_t author,
                                round_t round,
                                struct known_header *const *parents,
                                uint32_t parents_count,
                                uint64_t batch,
                                struct known_header **ret_header);

/* Sends a vote of `voter` for `header` to the nodes of the set. */
void adversary_vote(struct world *world,
                    authority_t voter,
                    const struct known_header *header,
                    uint32_t nodes);

#endif
