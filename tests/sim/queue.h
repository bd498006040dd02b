/* The simulator's clock: events in order of time, and of creation where times are equal, so a run
 * is one definite sequence. A 4-ary heap of plain values. */
#ifndef TESTS_SIM_QUEUE_H
#define TESTS_SIM_QUEUE_H

#include "common/base.h"

struct packet;

enum sim_event_kind {
    SIM_CONTROL,     /* packet from peer on the control link of node */
    SIM_BULK,        /* packet from peer on the bulk link of node */
    SIM_TIMER,       /* core_deadline_us of node */
    SIM_STEP,        /* a batch event for node's core: value is the batch, flag: streamed */
    SIM_SYNC,        /* node's metadata disk has synced group `value` */
    SIM_BATCH_SYNC,  /* node's batch log has synced batch `value`, flag: streamed */
    SIM_LINK,        /* node sees its link to peer go up (flag) or down; value: state number */
    SIM_CLIENT,      /* the client at node submits */
    SIM_FAULT,       /* the fault injector's turn */
    SIM_RESTART,     /* node starts again */
    SIM_RESTORE,     /* node starts again from a checkpoint that its store holds */
    SIM_ADVERSARY,   /* the adversary's turn; value: what for */
    SIM_STORE_FAULT, /* the turn of what strikes stores */
    SIM_STOP,        /* node stops: for good after an alarm (flag), or with a corrupt store */
    SIM_REPAIR,      /* node asks peer for the rotten batch `value` again */
};

struct sim_event {
    uint64_t time_us;
    uint64_t sequence;
    enum sim_event_kind kind;
    uint8_t node;
    uint8_t peer;
    bool flag;
    uint32_t life; /* of the node it is for; another life ignores it */
    uint64_t value;
    struct packet *packet; /* one reference, or NULL */
};

struct queue {
    struct sim_event *items;
    size_t count;
    size_t capacity;
    uint64_t sequence;
};

/* Takes over the packet's reference. Fills in the sequence. */
void queue_push(struct queue *queue, struct sim_event event);

/* False when empty. The caller takes over the packet's reference. */
bool queue_pop(struct sim_event *ret_event, struct queue *queue);

void queue_close(struct queue *queue);

/* ---- packets --------------------------------------------------------------------------------- */

/* A frame body in flight; shared by count among the receivers of a broadcast. */
struct packet {
    uint32_t references;
    uint32_t len;
    uint64_t batch; /* bulk BATCH frames: which batch travels; its bytes are not materialised */
    uint64_t fingerprint;
    uint8_t data[];
};

struct packet *packet_new(const uint8_t *data, size_t len);
struct packet *packet_ref(struct packet *packet);
void packet_unref(struct packet *packet); /* NULL is fine */

#endif
