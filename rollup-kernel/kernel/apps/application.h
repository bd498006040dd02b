/* What an application is to the kernel: a deterministic fold over certified transactions.
 *
 * All of its state is under the path /state/app, and it writes only under /stage/app, which begins
 * each step as a copy and replaces /state/app when the step is committed. What is outside /state
 * (the blocks of `log`, the copy for readers of `counter`) may be written again when a step is
 * redone after a trap, so it must come out the same.
 *
 * It sees the pre-block header and the position, never the L1 level, message ids, time, reboots or
 * how transactions fall into runs: so state computed ahead of L1 is the state on L1. ROLLUP 2. */
#ifndef KERNEL_APPS_APPLICATION_H
#define KERNEL_APPS_APPLICATION_H

#include "common/preblock.h"

struct application_context {
    const struct preblock *preblock;
    uint32_t batch;       /* 0-based, in the pre-block */
    uint32_t transaction; /* 0-based, in the batch */
};

struct application {
    /* Once per run, before anything else: reads /state/app into memory, or starts from nothing when
     * the application never ran. `config` are the packed application bytes after the first. */
    void (*init)(struct bytes config);

    void (*apply)(struct bytes transaction, const struct application_context *context);

    /* After the last transaction of a pre-block. */
    void (*end_block)(const struct preblock *preblock);

    /* Before each commit: writes what is only in memory under /stage/app. */
    void (*save)(void);
};

/* Keeps, for each pre-block N, /blocks/N = BCS vec of the BLAKE2b-256 of its transactions, for the
 * last `keep` pre-blocks (config: u32 LE, 1,000 when absent, 0 = all), and a root over all that
 * ever were: root N = BLAKE2b-256(root N-1 | value of /blocks/N), /state/app/root, 32 zero bytes at
 * the start. */
extern const struct application application_log;

/* Counts: `01 | amount u64 LE`, nine bytes, adds the amount (modulo 2^64), any other transaction
 * adds 1. /state/app/counter and, for readers, /counter: u64 BE. */
extern const struct application application_counter;

#endif
