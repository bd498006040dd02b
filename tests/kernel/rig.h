/* A kernel under test: packed, originated, running in the host library, next to the model. Each
 * level is given to both and the two are compared. */
#ifndef TESTS_KERNEL_RIG_H
#define TESTS_KERNEL_RIG_H

#include "rollup-kernel/host/pvm.h"
#include "tests/kernel/chain.h"
#include "tests/kernel/model.h"

#define RIG_MESSAGES_MAX 4096

/* A kernel built for the tests, and its code compiled (dsn kernel-compile): packing does not change the code. */
struct rig_kernel {
    struct blob wasm;
    engine_entry *entry;
};

void rig_kernel_load(struct rig_kernel *ret_kernel, const char *wasm, const char *library);

struct rig {
    struct chain *chain;
    struct model model;
    struct engine *engine;
    struct pvm *pvm;
    engine_entry *entry; /* what runs */
    int32_t level;
    const char *migration; /* of the next level; NULL */
    /* the level under construction */
    struct blob blobs[RIG_MESSAGES_MAX];
    struct model_message messages[RIG_MESSAGES_MAX];
    bool internal[RIG_MESSAGES_MAX];
    size_t count;
    bool reveals_refused; /* the host answers no reveal */
    int reveals;
};

/* `kernel` NULL: the kernel of this build. */
void rig_open(struct rig *rig,
              struct chain *chain,
              enum model_application application,
              unsigned mode,
              const struct rig_kernel *kernel);
/* The log that keeps `keep` blocks. */
void rig_open_log(struct rig *rig,
                  struct chain *chain,
                  uint32_t keep,
                  unsigned mode,
                  const struct rig_kernel *kernel);

/* Payload bytes after which a run of a test kernel stops; at least 1. */
void rig_set_budget(struct rig *rig, uint32_t bytes);
void rig_close(struct rig *rig);

/* Adds a message; takes the blob. */
void rig_add(struct rig *rig, struct blob *blob, struct model_message meaning);

/* Shorthands: valid ones, and one the kernel must not heed. */
void rig_segment(struct rig *rig, uint64_t first, uint64_t last);
void rig_page(struct rig *rig, uint64_t index, int page, unsigned attempt);
void rig_pages(struct rig *rig, uint64_t index); /* all of a pre-block, roots last */
void rig_junk(struct rig *rig, struct blob *blob);

/* Adds a message that the protocol puts into the inbox, kind byte (0) first; the kernel must not heed it. */
void rig_internal(struct rig *rig, struct blob *blob);

/* Shuffles the messages added so far. */
void rig_shuffle(struct rig *rig, uint64_t *random);

/* Begins the level in the machine: steps are the caller's. */
void rig_begin(struct rig *rig);

/* The level is done in the machine: the model follows. True when they agree. */
bool rig_end(struct rig *rig);

/* Runs the level in both; true when they agree. */
bool rig_level(struct rig *rig);

#endif
