/* The targeted attack on committing from first headers (Q of them decide; V would be wrong).
 *
 *   round r:    anchor A. Its votes reach honest X at once; for the other honest nodes they vanish.
 *   round r+1:  X names A, but X's header is held back from everybody.
 *               The others name six vertices without A.
 *               The two Byzantine authors show X twins that name A, and get twins without A
 * certified. round r+2:  nothing certified reaches A: the others skip it.
 *
 * With V first headers X has ordered A (its own header and two twins) and forks. With Q it has not.
 * When the others are past r + 2 everything is released and the network must go on.
 *
 * Exit: 0 when no seed forks, else 1. Each seed runs in a child. With --seed S: that one, in this
 * process, under Shoal + fast; the exit code is the simulator's. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/crypto.h"
#include "consensus/core/wire.h"
#include "tests/sim/world.h"

#define NODES   7u
#define STEP_US 1000u

struct attack {
    uint32_t byzantine; /* two members */
    authority_t anchor; /* author of A */
    authority_t x;
    round_t round; /* r */
    struct digest anchor_digest;
    bool anchor_known;
    struct digest x_header;
    bool x_proposed;
    bool twins_sent;
    bool released;
    round_t proposed[NODES];
};

static struct world world;
static struct attack attack;
static bool traced; /* --trace SEED: one seed of Shoal + fast, in this process */

static bool is_byzantine(authority_t node)
{
    return attack.byzantine >> node & 1;
}

/* Author of the anchor of a round under the schedule of the last ordering record; equal stakes. */
static authority_t leader_of(round_t round)
{
    const struct authority_set *excluded = &world.checkers.excluded;
    uint8_t bytes[40];
    struct digest digest;
    uint64_t word, eligible = NODES;

    memcpy(bytes, world.committee.digest.bytes, 32);
    memcpy(bytes + 32, &round, 8);
    crypto_hash_one(&digest, bytes, sizeof bytes);
    memcpy(&word, digest.bytes, 8);
    for (authority_t i = 0; i < NODES; i++)
        eligible -= authority_set_has(excluded, i);
    uint64_t position = word % eligible;
    authority_t leader = 0;
    while (authority_set_has(excluded, leader) || position-- > 0)
        leader++;
    return leader;
}

/* ---- what the network does ------------------------------------------------------------------- */

static bool is_vote_for_anchor(const struct packet *packet)
{
    return packet->len == 1 + VOTE_BYTES && packet->data[0] == WIRE_VOTE && attack.anchor_known &&
           memcmp(packet->data + 1, attack.anchor_digest.bytes, 32) == 0;
}

/* Remembers the digest of a header when it is the one of (author, round). */
static bool is_header_of(const struct packet *packet,
                         authority_t author,
                         round_t round,
                         struct digest *ret_digest)
{
    struct reader reader = reader_make(packet->data + 1, packet->len - 1u);

    if (packet->len < 75 || packet->data[0] != WIRE_HEADER) return false;
    if (reader_u16(&reader) != author || reader_u64(&reader) != round) return false;
    crypto_hash_one(ret_digest, packet->data + 1, packet->len - 1u - 64u);
    return true;
}

static uint64_t route(struct world *unused,
                      authority_t from,
                      authority_t to,
                      const struct packet *packet)
{
    (void)unused;
    uint64_t usual =
        world.options.delay_us_min + random_below(&world.random, world.options.delay_us_min / 4);

    if (attack.released) return usual;
    if (is_header_of(packet, attack.anchor, attack.round, &attack.anchor_digest))
        attack.anchor_known = true;
    if (is_vote_for_anchor(packet)) return to == attack.x ? 2000 : ROUTE_DROP;
    if (is_header_of(packet, attack.x, attack.round + 1, &attack.x_header)) {
        attack.x_proposed = true;
        return ROUTE_DROP;
    }
    /* X may not pass A on, should anybody ask it. */
    if (from == attack.x && packet->len > 0 && packet->data[0] == WIRE_CERTIFICATES &&
        attack.anchor_known)
        return ROUTE_DROP;
    return usual;
}

/* ---- what the Byzantine members do ----------------------------------------------------------- */

static void vote_for_all(authority_t member)
{
    round_t top = world.registry.top_round + 1;

    for (round_t round = u64_minus(top, 2); round <= top; round++)
        for (struct known_header *header = registry_round(&world.registry, round); header != NULL;
             header = header->next_in_round) {
            bool held = attack.x_proposed && !attack.released &&
                        digest_equal(&header->digest, &attack.x_header);
            bool show_twin = header->payload_count == 1 && is_byzantine(header->author);
            if (held || show_twin || authority_set_has(&header->voters, member)) continue;
            adversary_vote(&world, member, header, UINT32_MAX);
        }
}

static bool names(const struct known_header *header, const struct digest *digest)
{
    for (uint32_t i = 0; i < header->parents_count; i++)
        if (digest_equal(&header->parents[i], digest)) return true;
    return false;
}

static void send_header(authority_t member, round_t round, bool with_anchor, uint32_t nodes)
{
    struct known_header *all[SIM_NODES_MAX], *parents[SIM_NODES_MAX], *header = NULL;
    uint32_t count = 0, certified = registry_certified(&world, all, round - 1);
    /* The twins for X carry a batch: that tells them from the others, and nobody votes for them. */
    uint64_t batch = with_anchor ? clients_seal(&world, member) : UINT64_MAX;

    for (uint32_t i = 0; i < certified; i++)
        if (with_anchor || !attack.anchor_known || attack.released ||
            !digest_equal(&all[i]->digest, &attack.anchor_digest))
            parents[count++] = all[i];
    struct packet *packet = adversary_header(&world, member, round, parents, count, batch, &header);
    if (with_anchor && !names(header, &attack.anchor_digest))
        world_fail(&world, FAILURE_CRASH, "the attack itself is wrong: a twin without the anchor");
    for (authority_t peer = 0; peer < NODES; peer++)
        if (peer != member && nodes >> peer & 1) network_send(&world, member, peer, packet, false);
    packet_unref(packet);
}

static void propose(authority_t member)
{
    round_t round = world.registry.top_round;

    while (round > 0 && registry_certified_stake(&world, round) < world.committee.quorum)
        round--;
    round++;
    if (round <= attack.proposed[member]) return;
    if (round == attack.round + 1 && !attack.x_proposed) return; /* X must see its twin first */
    if (round == attack.round + 1 && !attack.twins_sent) return;
    attack.proposed[member] = round;
    uint32_t nodes = round == attack.round + 1 ? ~(1u << attack.x) : UINT32_MAX;
    send_header(member, round, false, nodes);
}

static void send_twins(void)
{
    for (authority_t member = 0; member < NODES; member++)
        if (is_byzantine(member)) send_header(member, attack.round + 1, true, 1u << attack.x);
    attack.twins_sent = true;
}

/* ---- the run --------------------------------------------------------------------------------- */

static void adjust(struct core_parameters *parameters)
{
    parameters->header_delay_us_max = 150000;
}

/* Picks a round to come, with an honest anchor, and an honest X beside it. */
static void choose(struct random *random)
{
    attack.round = u64_max(world.registry.top_round, 3) + random_between(random, 3, 9);
    do {
        attack.round++;
        if (world.options.stride == 2) attack.round = (attack.round + 1) / 2 * 2;
        attack.anchor = leader_of(attack.round);
    } while (is_byzantine(attack.anchor));
    do {
        attack.x = (authority_t)random_below(random, NODES);
    } while (is_byzantine(attack.x) || attack.x == attack.anchor);
}

static round_t least_anchor_round(void)
{
    round_t least = UINT64_MAX;

    for (authority_t i = 0; i < NODES; i++) {
        struct core_status status;
        if (is_byzantine(i) || i == attack.x) continue;
        core_get_status(world.nodes[i].core, &status);
        least = u64_min(least, status.anchor_round);
    }
    return least;
}

static void run(uint64_t seed, uint32_t stride, bool fast)
{
    struct sim_options options = sim_options_default();
    struct random random = random_make(seed, 9);

    options.seed = seed;
    options.stride = stride;
    options.fast = fast;
    options.faults_drawn = false;
    options.faults = 1u << FAULT_REORDER; /* the votes for X overtake */
    options.unequal = 0;
    options.delay_us_min = random_between(&random, 5000, 30000);
    options.steady = true; /* all start together; the route adds the jitter */
    options.batches_per_minute = 1200;
    options.batch_bytes = 1000;
    options.check_every = 1000;
    options.trace_nodes = traced ? UINT32_MAX : 0;
    authority_t one = (authority_t)random_below(&random, NODES);
    authority_t two = (authority_t)((one + 1 + random_below(&random, NODES - 1)) % NODES);
    options.byzantine = 1u << one | 1u << two;
    world_open(&world, &options, adjust);
    attack = (struct attack){.byzantine = options.byzantine};
    choose(&random);
    world.route = route;
    while (world.now_us < 5000000) {
        world_run(&world, world.now_us + STEP_US);
        for (authority_t member = 0; member < NODES; member++) {
            if (!is_byzantine(member)) continue;
            vote_for_all(member);
            propose(member);
        }
        /* A skipped anchor changes the schedule: then another round is attacked. */
        if (!attack.anchor_known && leader_of(attack.round) != attack.anchor) choose(&random);
        if (attack.x_proposed && !attack.twins_sent) send_twins();
        if (!attack.released && least_anchor_round() >= attack.round + 2) attack.released = true;
    }
    if (!attack.twins_sent || !attack.released)
        world_fail(&world, FAILURE_CRASH, "the attack did not happen: round %llu, X proposed %d",
                   (unsigned long long)attack.round, attack.x_proposed);
    if (traced)
        printf("round %llu, anchor of %u, X is %u, Byzantine %u and %u\n",
               (unsigned long long)attack.round, attack.anchor, attack.x, one, two);
    if (least_anchor_round() < attack.round + 20)
        world_fail(&world, FAILURE_LIVENESS, "the network stopped after the attack");
    world_close(&world);
}

/* Exit code of one seed. */
static int run_child(uint64_t seed, uint32_t stride, bool fast)
{
    int status = 0;
    fflush(stdout);
    pid_t child = fork();

    CHECK(child >= 0);
    if (child == 0) {
        run(seed, stride, fast);
        _exit(0);
    }
    CHECK(waitpid(child, &status, 0) == child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : FAILURE_CRASH;
}

static uint64_t count_forks(const char *name, uint64_t seeds, uint32_t stride, bool fast)
{
    uint64_t forks = 0, other = 0;

    for (uint64_t seed = 1; seed <= seeds; seed++) {
        int code = run_child(seed, stride, fast);
        if (code == FAILURE_SAFETY)
            printf("seed %llu ends with %d\n", (unsigned long long)seed, code);
        forks += code == FAILURE_SAFETY;
        other += code != 0 && code != FAILURE_SAFETY;
    }
    printf("%-24s %llu of %llu seeds fork, %llu fail otherwise\n", name, (unsigned long long)forks,
           (unsigned long long)seeds, (unsigned long long)other);
    return other > 0 ? UINT64_MAX : forks;
}

int main(int count, char **arguments)
{
    const char *scale = getenv("SIM_SEEDS");
    uint64_t seeds = 30;

    if (count > 2 && strcmp(arguments[1], "--trace") == 0) {
        traced = true;
        run(strtoull(arguments[2], NULL, 10), 1, true);
        return 0;
    }

    if (count > 2 && strcmp(arguments[1], "--seed") == 0) {
        run(strtoull(arguments[2], NULL, 10), 1, true);
        return 0;
    }
    if (scale != NULL && atoi(scale) > 0) seeds = 1 + seeds * (unsigned)atoi(scale) / 100;
    uint64_t forks = count_forks("Bullshark", seeds, 2, false);
    forks |= count_forks("Shoal", seeds, 1, false);
    forks |= count_forks("Shoal + fast", seeds, 1, true);
    return forks != 0;
}
