/* The worker half of a node: batches, between clients, disk, peers and the core.
 *
 *   own        API seals -> hash -> bulk broadcast and append -> durable: ACCEPTED, core
 * BATCH_STORED peer's     bulk BATCH -> check and hash -> append -> durable: core BATCH_STORED
 *   wanted     core FETCH_BATCH -> WANT_BATCH to a peer -> BATCH (fetched) -> as a peer's
 *   asked for  bulk WANT_BATCH -> read from the log -> BATCH (fetched), or NO_BATCH
 *   rotten     found so on reading -> WANT_BATCH to one peer after the other (repairs.h) -> append
 *
 * The core knows digests only; the bytes stay in their buffer from the socket to the disk and to
 * the peers. An own batch may leave before it is durable here: only naming it in a header, which
 * the core does after BATCH_STORED, promises anything (CONSENSUS 2).
 *
 * Tickets: the API waits for the fate of each batch it sealed. Batches of equal bytes have one
 * digest and share one entry; one that is sealed again shortly after it was executed is answered
 * from memory.
 *
 * Everything runs on the loop thread. */
#ifndef CONSENSUS_NODE_WORKER_H
#define CONSENSUS_NODE_WORKER_H

#include "consensus/core/records.h"
#include "consensus/node/api.h"
#include "consensus/node/mesh.h"
#include "consensus/node/storage.h"

/* Own batches remembered: in flight, and executed ones for answering duplicates. */
#define WORKER_ENTRIES_MAX (API_TICKETS_MAX + 4096u)

/* Peers' batches handed to the storage thread and not yet durable, bytes. Beyond it bulk links
 * pause. */
#define WORKER_APPENDING_BYTES_MAX (24u * 1024u * 1024u)

/* Answers to WANT_BATCH being read for one peer: who is behind asks everybody together for up to
 * BATCH_FETCHES_MAX. */
#define WORKER_SERVING_MAX 64u

struct worker;

/* How a durable batch came to be known. */
enum worker_stored {
    WORKER_STREAMED, /* on its author's own stream */
    WORKER_FETCHED,  /* asked of a peer, or sealed here */
    WORKER_FOUND,    /* in the log, when the core asked */
    WORKER_EXECUTED  /* in the log, and a kept pre-block executed it */
};

struct worker_options {
    const struct committee *committee; /* outlives the worker */
    authority_t self;
    struct mesh *mesh;
    struct api *api; /* may be NULL in tests */
    struct storage_client *storage;
    /* A batch is durable: feed the core. */
    void (*on_stored)(void *context, const struct batch_record *record, enum worker_stored how);
    /* The repair of a batch ended: it is in the log again (`back`), or nobody has it. */
    void (*on_repaired)(void *context, const struct digest *digest, bool back);
    void *context;
};

/* Never NULL. The options' objects outlive the worker. */
struct worker *worker_open(const struct worker_options *options);
void worker_close(struct worker *worker); /* NULL is fine */

/* A batch sealed by the API; takes the request's buffer over. */
void worker_submit(struct worker *worker, struct api_request *request);

/* An own batch found at start that no pre-block executed. Feeds on_stored. */
void worker_restore(struct worker *worker, const struct batch_record *record);

/* A frame of a bulk link. */
void worker_frame(struct worker *worker,
                  authority_t peer,
                  struct buffer *frame,
                  const uint8_t *body,
                  size_t len);

/* NO_BATCH, which a bulk link brings; the core hears of it, too. */
void worker_no_batch(struct worker *worker, authority_t peer, const uint8_t *body, size_t len);

/* The peer has used up its share of unnamed batches (core_is_full), or not any more: its bulk link is
 * not read meanwhile (CONSENSUS 4). */
void worker_set_full(struct worker *worker, authority_t peer, bool full);

/* The batch is executed, and gone or rotten in the log: fetch it again. False: too many are. */
bool worker_repair(struct worker *worker, const struct digest *digest, uint32_t id);

/* Once a second. */
void worker_turn(struct worker *worker);

/* Core actions. */
void worker_fetch(struct worker *worker,
                  authority_t peer,
                  const struct digest *digest,
                  uint32_t id);
void worker_look_up(struct worker *worker, const struct digest *digest);
void worker_certified(struct worker *worker, const struct digest *digest);
void worker_dropped(struct worker *worker, const struct digest *digest);
void worker_delivered(struct worker *worker, const struct preblock_record *record);

/* An answer from the storage thread to one of the worker's requests (APPEND, FIND_BATCH,
 * READ_BATCH). Takes the request over. ERR_IO: the storage failed, stop the process. */
enum status worker_completed(struct worker *worker, struct storage_request *request);

/* Gives up every ticket, at the end. */
void worker_stop(struct worker *worker);

struct worker_counters {
    uint64_t own_batches;
    uint64_t own_bytes;
    uint64_t peer_batches;
    uint64_t peer_bytes;
    uint64_t fetched;   /* batches that came because we asked */
    uint64_t served;    /* batches sent because a peer asked */
    uint64_t refused;   /* malformed, unsolicited or over a limit */
    uint64_t rotten;    /* own copies that failed their digest, or were gone */
    uint64_t repaired;  /* of those, fetched again and stored */
    uint64_t appending; /* bytes on their way to the disk, now */
    uint64_t paused;    /* 1 while bulk links are paused */
};
void worker_get_counters(const struct worker *worker, struct worker_counters *ret_counters);

#endif
