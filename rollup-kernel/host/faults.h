/* Faults on purpose, to see what a poster makes of them: what L1, the injecter and the node itself
 * may do to anybody, at a rate that a test can wait for.
 *
 *   drop=10%        an operation leaves the queue and is never included; its messages stay "injected"
 *   delay=20%:3     an operation is included so many levels later than its turn
 *   duplicate=10%   its messages are included twice, in one block or in two
 *   reorder=20%     the operations of a block are shuffled
 *   error=5%        a request is answered 500: refused, or (a POST) done and the answer lost
 *   hang=1%:2000    a request gets its answer so many milliseconds late; its effect is as late
 *   reorg=5%:2      before a level the head goes back by 1 to so many blocks; others are built. What
 *                   the undone ones held is lost or waits again, one half each
 *   seed=7          what the decisions follow from; 1 if it is not given
 *
 * A list of these, separated by commas; an empty one is no faults. Every percentage is of its own
 * kind of thing: operations made, blocks, requests, levels.
 *
 * A reorg is of at most FAULTS_REORG_MAX blocks, and never below what was final: in Tenderbake a
 * block with two others on top of it cannot be undone, an octez node's `finalized` rests on that,
 * and a poster may too.
 *
 * The n-th decision about a fault is a function of the seed, the fault and n. So one kind of things
 * that come in another order, as requests do, changes no decision about another kind.
 *
 * Pure: no clock, no I/O. */
#ifndef HOST_FAULTS_H
#define HOST_FAULTS_H

#include "common/error_line.h"

#define FAULTS_REORG_MAX        2u
#define FAULTS_DELAY_LEVELS_MAX 100u
#define FAULTS_HANG_MS_MAX      60000u
#define FAULTS_TEXT_BYTES_MAX   256u

/* Name, what its amount is called in a refusal (NULL: it has none), and the largest amount. */
#define FAULT_TABLE(X)                                   \
    X(DROP, "drop", NULL, 0)                             \
    X(DELAY, "delay", "LEVELS", FAULTS_DELAY_LEVELS_MAX) \
    X(DUPLICATE, "duplicate", NULL, 0)                   \
    X(REORDER, "reorder", NULL, 0)                       \
    X(ERROR, "error", NULL, 0)                           \
    X(HANG, "hang", "MILLISECONDS", FAULTS_HANG_MS_MAX)  \
    X(REORG, "reorg", "BLOCKS", FAULTS_REORG_MAX)

enum fault {
#define FAULT_ENUM(name, text, amount, max) FAULT_##name,
    FAULT_TABLE(FAULT_ENUM)
#undef FAULT_ENUM
        FAULTS
};

/* All zero but the seed: no faults. */
struct faults_spec {
    uint32_t percent[FAULTS]; /* 0 .. 100 */
    uint32_t amount[FAULTS];  /* of those that have one: 1 .. its largest */
    uint64_t seed;
};

/* Reads a list. ERR_CONFIG with a line that names the field: "delay: expected PERCENT%:LEVELS ...". */
enum status faults_parse(struct faults_spec *ret_spec, const char *text, struct error_line *error);

/* The list that faults_parse reads as `spec`, FAULTS_TEXT_BYTES_MAX bytes; "" when nothing is on. */
void faults_format(char *ret_text, const struct faults_spec *spec);

/* What was done, and to how many. Each counter's name is a key of GET /admin/faults. */
#define FAULTS_COUNT_TABLE(X)                             \
    X(OPERATIONS, "operations")                           \
    X(DROPPED, "operations_dropped")                      \
    X(DELAYED, "operations_delayed")                      \
    X(DUPLICATED, "operations_duplicated")                \
    X(MESSAGES_DROPPED, "messages_dropped")               \
    X(MESSAGES_DUPLICATED, "messages_duplicated")         \
    X(BLOCKS, "blocks")                                   \
    X(SHUFFLED, "blocks_shuffled")                        \
    X(REORGS, "reorgs")                                   \
    X(UNDONE, "blocks_undone")                            \
    X(UNDONE_LOST, "undone_operations_lost")              \
    X(UNDONE_RETURNED, "undone_operations_returned")      \
    X(REQUESTS, "requests")                               \
    X(FAILED_READS, "reads_failed")                       \
    X(FAILED_INJECTIONS, "injections_refused")            \
    X(FAILED_ANSWERS, "injections_done_and_answered_500") \
    X(HUNG_READS, "reads_hung")                           \
    X(HUNG_INJECTIONS, "injections_hung")

enum faults_count {
#define FAULTS_COUNT_ENUM(name, text) FAULTS_##name,
    FAULTS_COUNT_TABLE(FAULTS_COUNT_ENUM)
#undef FAULTS_COUNT_ENUM
        FAULTS_COUNTS
};
const char *faults_count_name(enum faults_count count);

struct faults {
    struct faults_spec spec;
    uint64_t decided[FAULTS + 1]; /* decisions so far; the last: fates of undone operations */
    uint64_t counts[FAULTS_COUNTS];
};

/* Begins anew with `spec`, from its first decisions on. The counts go on. */
void faults_set(struct faults *faults, const struct faults_spec *spec);

/* True when something is on. */
bool faults_are_on(const struct faults *faults);

/* The next decision about `fault`: 0: not this time. Otherwise a random number, never 0, for what
 * else is to be chosen. */
uint64_t faults_decide(struct faults *faults, enum fault fault);

/* The next operation of an undone block is lost; if not, it waits again. */
bool faults_lose(struct faults *faults);

/* The next number of a sequence; `*state` is any. For a choice that needs several. splitmix64. */
uint64_t faults_next(uint64_t *state);

#endif
