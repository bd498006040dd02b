/* What the tests of store, batch log and storage thread share: a directory of their own, a
 * committee with its keys, batches made from numbers, and children that may crash. */
#ifndef TESTS_UNIT_STORAGE_WORLD_H
#define TESTS_UNIT_STORAGE_WORLD_H

#include "common/committee.h"
#include "consensus/node/batch_log.h"
#include "tests/unit/unit.h"

#define WORLD_MEMBERS 4u

struct world {
    char directory[256]; /* fresh, removed by world_close */
    struct committee committee;
    struct secret_key secrets[WORLD_MEMBERS];
    char error[STORE_ERROR_BYTES];
};

/* `network` makes committees that differ. */
void world_make_committee(struct committee *ret_committee,
                          struct secret_key *ret_secrets,
                          uint8_t network);

struct world *world_open(void);
void world_close(struct world *world);

/* directory/name in a ring of static memory: good for one expression. */
const char *world_path(const struct world *world, const char *name);

struct store_options world_store_options(const struct world *world, enum store_mode mode);

/* Batch number `number`, canonical, of about `bytes` bytes (at least 16): one record and its
 * buffer. */
struct batch_log_item world_batch(uint64_t number, size_t bytes);

/* Runs `work` in a forked child until it returns (then the child exits with its result) or is
 * killed. The child's `pipe_fd` is where it reports; the parent gets the other end and the child's
 * pid. */
typedef int world_work(const struct world *world, int pipe_fd, uint64_t argument);
int world_fork(const struct world *world, world_work *work, uint64_t argument, int *ret_pid);

/* Reads one report; false when the child is gone. */
bool world_read(int fd, void *ret, size_t len);

/* Waits for the child: its exit code, or -signal. */
int world_wait(int pid);

/* Whole files, and changing them behind the program's back. */
uint8_t *world_read_file(const char *path, size_t *ret_len); /* free() it */
void world_write_file(const char *path, const uint8_t *data, size_t len);
void world_flip(const char *path, uint64_t offset);
uint64_t world_file_size(const char *path);

/* The newest file of meta/ whose name ends so, malloc'ed. */
char *world_newest_file(const struct world *world, const char *ending);

#endif
