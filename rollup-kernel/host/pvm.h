/* The rollup's virtual machine around a kernel: levels, runs, reboots, inbox, outbox, reveals.
 *
 * A level is begun with its messages, then stepped until it is done; each step is one kernel_run on
 * a fresh instance. Between runs only durable storage, the outbox and the unread messages live on.
 *
 *   pvm_begin -> pvm_step -> PVM_AGAIN -> pvm_step -> ... -> PVM_LEVEL_DONE
 *                        \-> PVM_WAITING: a preimage is missing; the run is undone and redone next
 * time
 *
 * Kept to the machine's rules (Tezos, wasm_2_0_0): the reboot flag and its 1,000 reboots a level,
 * messages of the level in order with their ids, unread ones dropped at its end, 100 outbox
 * messages, the stuck flag after a trap with nothing rolled back, fallback to the last kernel that
 * ran when a new one cannot, path and size limits of storage. There is no tick limit here, and
 * store_get_hash is our own hash. */
#ifndef HOST_PVM_H
#define HOST_PVM_H

#include "rollup-kernel/host/durable.h"
#include "rollup-kernel/host/engine.h"

#define PVM_ADDRESS_BYTES     20u
#define PVM_REBOOTS_MAX       1000u
#define PVM_OUTBOX_MAX        100u
#define PVM_MESSAGE_BYTES_MAX 4096u

/* Payload of an external message: the kind byte is not part of it. */
#define PVM_EXTERNAL_BYTES_MAX 4095u

struct pvm_options {
    uint8_t address[PVM_ADDRESS_BYTES];
    int32_t origination_level;

    /* Writes the page that hashes to `digest` into `ret_page` (4,096 bytes) and returns its length;
     * 0 when it cannot be had now. The result is checked against the digest. NULL: there are no
     * preimages. */
    size_t (*reveal)(void *context, uint8_t *ret_page, const struct digest *digest);

    /* A line of the kernel's debug log. NULL: dropped. */
    void (*debug)(void *context, struct bytes text);
    void *context;
};

/* Fields of a level that the kernel is told by the protocol. */
struct pvm_level {
    int32_t level;
    int64_t predecessor_timestamp; /* seconds */
    uint8_t predecessor[32];
    const char *migration; /* NULL, or the protocol's name at its first level */
};

enum pvm_result {
    PVM_LEVEL_DONE,
    PVM_AGAIN,
    PVM_WAITING, /* for a preimage: pvm_missing */
    PVM_BROKEN,  /* no kernel that runs: pvm_error; nothing was changed */
};

struct pvm;

/* A machine over `durable`, which it takes. */
struct pvm *pvm_new(const struct pvm_options *options,
                    struct engine *engine,
                    struct durable *durable);
void pvm_close(struct pvm *pvm); /* NULL is fine */

/* The state of a rollup that was just originated with `kernel`. */
struct durable *pvm_originate(struct bytes kernel);

/* Begins a level: `externals` are payloads of at most PVM_EXTERNAL_BYTES_MAX bytes, copied. The
 * machine must be between levels. */
void pvm_begin(struct pvm *pvm,
               const struct pvm_level *level,
               const struct bytes *externals,
               size_t count);
enum pvm_result pvm_step(struct pvm *pvm);

/* Steps to the end of the level; PVM_LEVEL_DONE, PVM_WAITING or PVM_BROKEN. */
enum pvm_result pvm_finish(struct pvm *pvm);

/* The tree; owned by the machine. */
struct durable *pvm_durable(struct pvm *pvm);

/* Messages of the level just done, in the form the kernel reads them (with kind byte), and what it
 * put out. */
size_t pvm_messages(const struct bytes **ret_messages, const struct pvm *pvm);
size_t pvm_outbox(const struct bytes **ret_messages, const struct pvm *pvm);

/* Runs and traps since the machine was made. */
uint64_t pvm_runs(const struct pvm *pvm);
uint64_t pvm_traps(const struct pvm *pvm);

/* The digest that PVM_WAITING waits for; the line that PVM_BROKEN is about. */
const struct digest *pvm_missing(const struct pvm *pvm);
const char *pvm_error(const struct pvm *pvm);

#endif
