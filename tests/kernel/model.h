/* What the kernel's durable state must be, predicted without running any of its code.
 *
 * The model is told what each message of a level is (a certified segment, a page of the chain, a
 * certified fork, or nothing the kernel may heed) and follows the rules of ROLLUP 1 and 2 as sets:
 * which indexes are accepted, which pages of which pre-block are stored, how far is applied. From
 * that it writes the whole expected tree, which is then compared with the kernel's, path by path
 * and byte by byte. */
#ifndef TESTS_KERNEL_MODEL_H
#define TESTS_KERNEL_MODEL_H

#include "rollup-kernel/host/durable.h"
#include "tests/kernel/chain.h"

enum model_application { MODEL_LOG = 1, MODEL_COUNTER = 2 };

/* A transaction that begins with this traps in the kernels built for the tests. */
#define MODEL_TRAP "trap"

/* A transaction that trapped again without being to blame for it: the test made it trap. With
 * batch == batches_count it is the end of the pre-block that trapped. */
struct model_skip {
    uint64_t index;
    uint32_t batch;
    uint32_t transaction;
};
#define MODEL_SKIPS_MAX 256

struct model {
    const struct chain *chain;
    enum model_application application;
    uint8_t application_bytes[8];
    size_t application_len;
    uint64_t keep; /* of the log */
    bool reveal;
    bool traps; /* the kernel is one built for the tests */

    uint64_t accepted;
    uint64_t applied;
    uint32_t batch; /* applied of the next pre-block */
    uint32_t skipped;
    uint32_t skipped_published; /* as of the last end of a pre-block */
    struct model_skip skips[MODEL_SKIPS_MAX];
    uint32_t skips_count;
    uint32_t faulty;
    uint32_t faulty_published;
    const uint8_t *fork;               /* 153 bytes, the first seen */
    bool *stored[CHAIN_PREBLOCKS_MAX]; /* by page */
};

/* One message of a level, as far as the rules go. A fork is a certified header that names another
 * predecessor than the chain has; it is kept until the model is closed. */
struct model_message {
    enum { MODEL_NOTHING, MODEL_SEGMENT, MODEL_PAGE, MODEL_FORK } kind;
    uint64_t first; /* of a segment; index of a page */
    uint64_t last;  /* of a segment; page number of a page */
    const uint8_t *fork;
};

void model_open(struct model *ret_model,
                const struct chain *chain,
                const uint8_t *application,
                size_t len);
void model_close(struct model *model);

/* An equal model on its own; it has to be closed, too. */
void model_copy(struct model *ret_copy, const struct model *model);

/* The kernel skips, or has skipped, this one; twice is once. Or it tries it again after all. */
void model_skip(struct model *model, struct model_skip skip);
void model_unskip(struct model *model, struct model_skip skip);

/* A whole level: the first run and those that apply. */
void model_level(struct model *model, const struct model_message *messages, size_t count);

/* Compares the kernel's tree with the prediction; prints every difference. What an end of pre-block that
 * was skipped had written outside of /state when it trapped is not compared. */
bool model_agrees(const struct model *model, const struct durable *durable);

#endif
