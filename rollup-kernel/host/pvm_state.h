/* The machine's insides, shared by pvm.c (levels and runs) and host_calls.c (what a run may call).
 */
#ifndef HOST_PVM_STATE_H
#define HOST_PVM_STATE_H

#include "rollup-kernel/host/pvm.h"

/* Messages of a level and their memory. */
struct message_list {
    struct bytes *items;
    size_t count;
    size_t capacity;
};

void message_list_add(struct message_list *list, struct bytes first, struct bytes second);
void message_list_truncate(struct message_list *list, size_t count);
void message_list_close(struct message_list *list);

/* Invariants: next <= inbox.count; outbox.count <= PVM_OUTBOX_MAX; between levels in_level is
 * false. */
struct pvm {
    struct pvm_options options;
    struct engine *engine;
    struct durable *durable;

    bool in_level;
    int32_t level;
    uint32_t reboots_left;
    struct message_list inbox;
    size_t next; /* message the kernel reads next */
    struct message_list outbox;

    /* The entry for the kernel at hand, and that kernel's hash in the tree. */
    engine_entry *entry;
    struct digest kernel_hash;

    struct digest missing; /* the preimage a suspended run asked for */
    const char *error;
    uint64_t runs;
    uint64_t traps;
};

extern const struct engine_host host_calls;

#endif
