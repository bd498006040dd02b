/* Applying accepted pre-blocks, in order, in steps that survive traps.
 *
 * The unit is the batch; the last step of a pre-block is its end. What changes together is under
 * /state:
 *
 *   /state/cursor   index u64 | batch u32 | transaction u32 | count u32 | skipped u32 | faulty u32
 * | digest 32, integers big-endian /state/app      the application's
 *
 * `index` and `digest` are of the last applied pre-block, `batch` and `transaction` count what is
 * done of the next one, `count` its transactions so far. A step copies /state to /stage, works
 * there, and moves it back: one host call commits it. A trap in the application ends the run and
 * rolls nothing back, so /run (u8) is there while steps run and tells the next run of it:
 *
 *   absent   the last run ended well
 *   0        it trapped: redo the batch at the cursor one transaction per step
 *   1        it trapped in the transaction (or end of pre-block) at the cursor, which was alone in its step: skip it,
 *            count it, go on one by one
 *
 * 1 is there only while a lone transaction runs, so a trap elsewhere costs nobody anything.
 *
 * After each pre-block /index, /digest, /head and /fault/... are written from the cursor, and its pages go; a run
 * that comes after a trap begins with that. ROLLUP 2.
 */
#ifndef KERNEL_APPLY_H
#define KERNEL_APPLY_H

#include "common/base.h"

/* Payload of one run, bytes: far below the tick limit, and a node answers RPCs between runs. */
#ifndef APPLY_BYTES_MAX /* tests build a kernel of very short runs */
#define APPLY_BYTES_MAX (8u * 1024u * 1024u)
#endif

/* The state before the first pre-block. `genesis` is the committee digest. */
void apply_install(const struct digest *genesis);

/* Index of the last applied pre-block. */
uint64_t apply_index(void);

/* Whether a run may have something to do: what is accepted is not applied, or a run has trapped. */
bool apply_wanted(void);

/* Applies until pages are missing, everything accepted is applied, or the run's budget is used up.
 * True in the last case: more work is left. `arena` takes a whole batch. */
bool apply_run(uint8_t *arena);

#endif
