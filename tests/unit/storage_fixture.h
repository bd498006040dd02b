/* What the tests of the storage thread share: one storage in a world's directory and one client of it. */
#ifndef TESTS_UNIT_STORAGE_FIXTURE_H
#define TESTS_UNIT_STORAGE_FIXTURE_H

#include "consensus/node/storage.h"
#include "tests/unit/storage_world.h"

#define IN_FLIGHT     256u
#define BATCH_BYTES   20000u
#define SEGMENT_BYTES (256u * 1024u)

struct fixture {
    struct world *world;
    struct storage *storage;
    struct storage_client *client;
};

/* Batches found in the log by the last start. */
extern size_t fixture_found_count;

struct storage_options fixture_options(const struct world *world, enum store_mode mode);
struct fixture fixture_open(void);
void fixture_close(struct fixture *fixture);
void fixture_start(struct fixture *fixture, enum store_mode mode);
void fixture_stop(struct fixture *fixture);
void fixture_restart(struct fixture *fixture);

/* The next completion, waited for; the same, freed, and only its status. */
struct storage_request *fixture_take(struct storage_client *client);
enum status fixture_take_status(struct storage_client *client);

/* Submits the request and waits for it: nothing else may be in flight. */
struct storage_request *fixture_ask(struct fixture *fixture, struct storage_request *request);

/* Appends batch `number`, and commits a store batch (taken over), which must succeed. */
void fixture_append(struct fixture *fixture, uint64_t number);
void fixture_commit(struct fixture *fixture, struct store_batch *batch);

/* A row of numbers; `memory` takes CORE_KEY_BYTES_MAX bytes. */
struct bytes fixture_key(uint8_t *memory, uint64_t number);
void fixture_put(struct store_batch *batch, enum core_table table, uint64_t key, uint64_t value);
bool fixture_has_row(struct fixture *fixture, enum core_table table, struct bytes key);

#endif
