/* A node's simulated store: what is durable, and what a crash now would lose.
 *
 *     disk_write ... disk_commit | disk_write ... disk_commit | ...
 *     '----- unit 1 (one step) -----'  '---- unit 2 ----'
 *
 * The writes of one core step are a unit: atomic, as one write batch is. Units wait in memory until
 * a sync that began after them is over; then they are in the tables for good. A crash keeps a
 * prefix of the waiting units, chosen by chance (a log that was written but not yet known to be
 * synced), never a part of a unit and never a later unit without an earlier one. A scenario may ask
 * for all of them, or for none.
 *
 * The batch log beside it holds batches by number; a batch is durable or lost as a whole.
 *
 *     not held --put--> held --rot--> rotten --lose--> lost --put--> held
 *                                        ^-- a start --'
 *
 * A rotten batch is listed as held: only reading it shows that it is not. Then it is lost, until it is put
 * again, or until a start lists its record anew. */
#ifndef TESTS_SIM_DISK_H
#define TESTS_SIM_DISK_H

#include "consensus/core/core.h"
#include "tests/sim/random.h"
#include "tests/sim/table.h"

enum disk_operation_kind { DISK_PUT, DISK_ERASE, DISK_ERASE_BELOW };

struct disk_operation {
    enum disk_operation_kind kind;
    enum core_table table;
    uint64_t unit;
    size_t key_at; /* in `bytes` */
    size_t key_len;
    size_t value_len;
};

/* Of the units that wait, what a crash keeps: a random prefix unless a scenario says otherwise. */
enum disk_keeps { DISK_KEEPS_SOME, DISK_KEEPS_ALL, DISK_KEEPS_NOTHING };

struct disk {
    struct table tables[CORE_TABLES];
    struct disk_operation *operations; /* waiting, in order */
    size_t operations_count;
    size_t operations_capacity;
    uint8_t *bytes; /* keys and values of the waiting operations */
    size_t bytes_len;
    size_t bytes_capacity;
    uint64_t unit;    /* number of the unit being written */
    uint64_t syncing; /* last unit of the sync in flight; 0: none */
    uint64_t durable; /* last unit that is durable */
    uint8_t *batches; /* by batch number: who it came from, plus one, and flags; 0: not held */
    size_t batches_capacity;
    enum disk_keeps keeps;
    uint32_t dropped_tables; /* seeded bug: writes to these tables never happen */
};

void disk_open(struct disk *disk);
void disk_close(struct disk *disk);

/* One operation of the current unit. */
void disk_write(struct disk *disk,
                enum disk_operation_kind kind,
                enum core_table table,
                struct bytes key,
                struct bytes value);

/* Ends the current unit, if anything was written in it. */
void disk_commit(struct disk *disk);

/* The newest unit that waits or is being written; the durable one when nothing does. */
uint64_t disk_last_unit(const struct disk *disk);

/* Nothing waits. */
bool disk_is_clean(const struct disk *disk);

/* Begins a sync of all units so far, or returns 0 when one is in flight or nothing waits. Returns
 * the unit to hand to disk_finish_sync. */
uint64_t disk_begin_sync(struct disk *disk);
void disk_finish_sync(struct disk *disk, uint64_t unit);

/* Loses the waiting units, all but those that `keeps` names. */
void disk_crash(struct disk *disk, struct random *random);

/* What is durable, as a copy of the files would have it. `ret_copy` is not open. */
void disk_copy(struct disk *ret_copy, const struct disk *disk);

/* Loses everything. */
void disk_wipe(struct disk *disk);

/* The batch is gone, if it was held or lost. */
void disk_drop_batch(struct disk *disk, uint64_t batch);

bool disk_has_batch(const struct disk *disk, uint64_t batch);

/* Only for batches held. */
void disk_rot_batch(struct disk *disk, uint64_t batch);
bool disk_batch_is_rotten(const struct disk *disk, uint64_t batch);

/* A rotten batch was read. */
void disk_lose_batch(struct disk *disk, uint64_t batch);
bool disk_batch_is_lost(const struct disk *disk, uint64_t batch);

/* Self for batches sealed here; else the peer that sent it. Only for batches held or lost. */
authority_t disk_batch_author(const struct disk *disk, uint64_t batch);

/* Keeps the batch; one that is held stays as it is, unless it was sealed here, at `self`, now. */
void disk_put_batch(struct disk *disk, uint64_t batch, authority_t author, authority_t self);

#endif
