/* Traps at chosen host calls, in any kernel that the host library runs.
 *
 * A trap ends a run and rolls back nothing that the run has written. Between two host calls a kernel changes only its
 * own memory, which is lost with the run: so a trap instead of each host call, and one instead of the run's end, are
 * all the traps there can be. The entry here stands between machine and kernel, counts these points, and at the
 * chosen ones ends the run as a trap of the kernel does.
 *
 * It also watches from outside what the kernel was doing, to tell which traps may cost a transaction (ROLLUP 2):
 * a step begins with store_copy /state -> /stage and ends with store_move /stage -> /state. */
#ifndef TESTS_KERNEL_TRAP_H
#define TESTS_KERNEL_TRAP_H

#include "rollup-kernel/host/pvm.h"
#include "tests/kernel/model.h"

#define TRAPS_MAX 16

struct trap {
    uint32_t run; /* of those since trap_arm, from 0 */
    bool inbox;   /* the run had messages to read */
    bool first;   /* before the kernel did anything: not even the reboot flag is set */
    bool in_step;
    /* The batch (or end) that the run began with is not done yet, and an earlier run trapped while it applied; in a
     * step of it, even. */
    bool may_redo;
    bool must_redo;
    bool in_app; /* the call that was not answered is the application's */
    bool marked; /* /run says that the transaction at the cursor is tried alone, or trapped so */
    bool was_marked; /* it said so when the run began, and the cursor is still there */
    struct model_skip cursor;
};

struct trap_log {
    uint64_t points; /* passed since trap_arm */
    uint32_t runs;
    struct trap traps[TRAPS_MAX];
    size_t count;
};

/* From now on `pvm` runs `entry` under watch. One machine at a time. */
void trap_attach(struct pvm *pvm, engine_entry *entry);

/* The first `gaps[0]` points pass and the next one traps, then `gaps[1]` points of the next runs pass and the next one
 * traps, and so on. Points of the first `runs` runs are not counted. No gaps: nothing traps. */
void trap_arm(uint32_t runs, const uint64_t *gaps, size_t count);

const struct trap_log *trap_done(void);

#endif
