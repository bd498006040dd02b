/* The rollup's state ahead of L1: the kernel runs natively on each certified pre-block as it arrives, with the
 * same inbox messages that are posted, from the state that the rollup had at some head. An application sees nothing
 * of L1 (docs/rollup.md, applications), so this is the state that the rollup will have.
 *
 *     rollup's storage at a head -> machine -> pre-block -> view -> pre-block -> view ..
 *
 * Readers see the view: the state after the last pre-block that was applied whole. */
#ifndef SEQUENCER_OPTIMISTIC_H
#define SEQUENCER_OPTIMISTIC_H

#include "sequencer/da_batch.h"
#include "sequencer/rollup_state.h"

struct durable;
struct engine;
struct event_base;
struct optimistic;

/* Pre-blocks that may wait for the machine. */
#define OPTIMISTIC_QUEUE_MAX 16u

struct optimistic_options {
    struct event_base *base;
    struct engine *engine;
    uint8_t address[DA_ADDRESS_BYTES];

    /* From the loop, when a pre-block was applied and there is room again. */
    void (*on_applied)(void *context, uint64_t index);

    /* The kernel did not do with a pre-block what it must; the machine stops. */
    void (*on_failed)(void *context, const char *reason);
    void *context;
};

/* A machine over `durable`, which it takes: the storage of a rollup with `applied` pre-blocks. Never NULL. */
struct optimistic *optimistic_open(const struct optimistic_options *options,
                                   struct durable *durable,
                                   uint64_t applied);
void optimistic_close(struct optimistic *optimistic); /* NULL is fine */

/* The pre-block after the last one given (checked); takes it. */
void optimistic_add(struct optimistic *optimistic, struct da_preblock *preblock);
bool optimistic_is_full(const struct optimistic *optimistic);

/* Last pre-block applied whole, and the state after it; the tree is alive until the loop goes on. */
uint64_t optimistic_index(const struct optimistic *optimistic);
const struct durable *optimistic_view(const struct optimistic *optimistic);

/* How a state of the rollup compares with what was computed here for the same index. */
enum optimistic_verdict {
    OPTIMISTIC_EQUAL,
    OPTIMISTIC_DIFFERENT,
    OPTIMISTIC_UNKNOWN, /* in the middle of a pre-block, not computed yet, or too long ago */
};
enum optimistic_verdict optimistic_compare(const struct optimistic *optimistic,
                                           const struct rollup_state *state);

#endif
