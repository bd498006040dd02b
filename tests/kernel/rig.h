/* A kernel under test: packed, originated, running in the host library, next to the model. Each
 * level is given to both and the two are compared. */
#ifndef TESTS_KERNEL_RIG_H
#define TESTS_KERNEL_RIG_H

#include "rollup-kernel/host/pvm.h"
#include "tests/kernel/chain.h"
#include "tests/kernel/model.h"

#define RIG_MESSAGES_MAX 4096

struct rig {
    struct chain *chain;
    struct model model;
    struct engine *engine;
    struct pvm *pvm;
    int32_t level;
    /* the level under construction */
    struct blob blobs[RIG_MESSAGES_MAX];
    struct model_message messages[RIG_MESSAGES_MAX];
    size_t count;
    bool reveals_refused; /* the host answers no reveal */
    int reveals;
};

/* `wasm` NULL: the kernel of this build. */
void rig_open(struct rig *rig,
              struct chain *chain,
              enum model_application application,
              unsigned mode,
              const struct blob *wasm);
/* The log that keeps `keep` blocks. */
void rig_open_log(struct rig *rig, struct chain *chain, uint32_t keep);
void rig_close(struct rig *rig);

/* Adds a message; takes the blob. */
void rig_add(struct rig *rig, struct blob *blob, struct model_message meaning);

/* Shorthands: valid ones, and one the kernel must not heed. */
void rig_segment(struct rig *rig, uint64_t first, uint64_t last);
void rig_page(struct rig *rig, uint64_t index, int page, unsigned attempt);
void rig_pages(struct rig *rig, uint64_t index); /* all of a pre-block, roots last */
void rig_junk(struct rig *rig, struct blob *blob);

/* Shuffles the messages added so far. */
void rig_shuffle(struct rig *rig, uint64_t *random);

/* Runs the level in both; true when they agree. */
bool rig_level(struct rig *rig);

#endif
