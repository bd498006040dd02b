/* What a run is: a seed, what the user fixed, and what the seed then draws for the rest. The same
 * options always give the same run. Printed in full on failure, in a form that can be given back.
 */
#ifndef TESTS_SIM_OPTIONS_H
#define TESTS_SIM_OPTIONS_H

#include "common/base.h"

#define SIM_NODES_MAX 32u

/* Faults of the safety phase. Those in the second group belong to Byzantine members. */
#define SIM_FAULT_TABLE(X)                                                                   \
    X(LOSS, "loss")             /* control messages vanish */                                \
    X(DUPLICATE, "duplicate")   /* control messages arrive twice */                          \
    X(REORDER, "reorder")       /* control links are not first in, first out */              \
    X(OUTLIERS, "outliers")     /* some messages take 5 to 25 times as long */               \
    X(PARTITION, "partition")   /* the members split in two */                               \
    X(ONE_WAY, "one-way")       /* one member hears nobody, or is heard by nobody */         \
    X(SLOW_LINK, "slow-link")   /* some links are many times slower */                       \
    X(SLOW_NODE, "slow-node")   /* one member's links are all slow */                        \
    X(LINKS, "links")           /* connections break and come back */                        \
    X(CRASH, "crash")           /* a member loses what is not synced, and starts again */    \
    X(POWER, "power")           /* all members crash at once */                              \
    X(WIPE, "wipe")             /* a member loses its store and rejoins */                   \
    X(DEAD, "dead")             /* a member crashes for good */                              \
    X(CLOCK, "clock")           /* wall clocks differ and jump */                            \
    X(SLOW_DISK, "slow-disk")   /* a member's syncs take long */                             \
    X(BULK, "bulk")             /* batches are lost on the bulk links */                     \
    X(EQUIVOCATE, "equivocate") /* Byzantine: two headers per round, votes for everything */ \
    X(WITHHOLD, "withhold")     /* Byzantine: votes, headers, batches kept from victims */   \
    X(SILENT, "silent")         /* Byzantine: nothing at all for long times */               \
    X(JUNK, "junk")             /* Byzantine: broken, absurd and replayed messages */        \
    X(DRIFT, "drift")           /* clocks run too fast or too slow, each its own way */      \
    X(OLD_COPY, "old-copy")     /* a member starts again from an old copy of its store */    \
    X(ROT, "rot")               /* batches and certificates rot on a member's disk */

enum sim_fault {
#define SIM_FAULT_ENUM(name, text) FAULT_##name,
    SIM_FAULT_TABLE(SIM_FAULT_ENUM)
#undef SIM_FAULT_ENUM
        SIM_FAULTS
};

/* Bugs put in on purpose, to see the checkers catch them. */
#define SIM_BUG_TABLE(X)                                                                     \
    X(NONE, "none")                                                                          \
    X(VOTES, "votes")               /* votes and what they are for are never written */      \
    X(HEADERS, "headers")           /* own headers are never written */                      \
    X(ATTESTATIONS, "attestations") /* "signed i as D" is never written */                   \
    X(CERTIFICATES, "certificates") /* accepted certificates are never written */            \
    X(SYNC, "sync")                 /* sends do not wait for the sync */                     \
    X(LOG, "log")                   /* batches are called durable before they are */         \
    X(GIVEN_UP, "given-up")         /* own batches of before a checkpoint are named again */ \
    X(ROT, "rot")                   /* what has rotted is served as it is */

enum sim_bug {
#define SIM_BUG_ENUM(name, text) BUG_##name,
    SIM_BUG_TABLE(SIM_BUG_ENUM)
#undef SIM_BUG_ENUM
        SIM_BUGS
};

struct sim_options {
    uint64_t seed;
    uint32_t nodes;
    uint32_t seconds;      /* of the safety phase, simulated */
    uint32_t heal_seconds; /* the liveness phase must reach its goal within this */
    uint32_t stride;       /* 0: drawn */
    int fast;              /* -1: drawn */
    int unequal;           /* stakes differ; -1: drawn */
    int prune;             /* forget all that checkpoints allow; -1: drawn */
    uint32_t faults;       /* bit per enum sim_fault */
    bool faults_drawn;     /* the seed chooses among all */
    enum sim_bug bug;
    uint32_t check_every; /* core_check after every so many steps of a node; 0: never */
    uint32_t trace_nodes; /* bit per node */
    bool verbose;
    uint32_t byzantine; /* members a scenario speaks for, bit per node */
    /* the network and the load; 0 where the seed draws them */
    uint64_t delay_us_min;
    uint64_t delay_us_mean;
    uint64_t sync_us_mean;
    uint32_t batches_per_minute; /* per node */
    uint32_t batch_bytes;
    bool steady; /* fixed delays, instant disk, no draws: latency measurements */
};

struct sim_options sim_options_default(void);

/* Draws everything that is left open from the seed. */
void sim_options_draw(struct sim_options *options);

/* Parses one argument pair (or flag); returns the number of arguments used, 0 when it is not known,
 * and -1 after printing one line when its value is wrong. */
int sim_options_parse(struct sim_options *options, int count, char **arguments);

/* "--seed 5 --nodes 7 ...": everything needed to run it again. */
void sim_options_text(char *ret, size_t len, const struct sim_options *options);

static inline bool sim_options_has(const struct sim_options *options, enum sim_fault fault)
{
    return options->faults >> fault & 1;
}

#endif
