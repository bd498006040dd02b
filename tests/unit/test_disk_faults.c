/* Goal: a disk that fails at any write or sync of a node's store and batch log costs nothing that was
 * acknowledged, and never makes a store that is taken for good and is not. Method: a child writes batches and
 * records and reports what it was told is durable; the n-th write or sync fails in it, for every n; then the
 * parent opens what is left. */
#include "tests/unit/unit.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "consensus/core/records.h"
#include "tests/unit/disk_faults.h"
#include "tests/unit/storage_fixture.h"

/* Steps of the child: each appends a batch and commits a record. The segment is changed among them. */
#define STEPS 24u

/* What the child says: number of a step, or one of these. */
#define SAID_CREATED 100u
#define SAID_STRUCK  101u

static void say(int fd, uint8_t what)
{
    CHECK(syscall(SYS_write, fd, &what, 1) == 1);
}

static bool append(struct fixture *fixture, uint64_t number)
{
    struct batch_log_item item = world_batch(number, BATCH_BYTES);
    bool submitted = storage_submit_append(fixture->client, item.buffer, &item.record, NULL);

    buffer_unref(item.buffer);
    return submitted && fixture_take_status(fixture->client) == OK;
}

static bool commit(struct fixture *fixture, uint64_t number)
{
    struct store_batch *batch = store_batch_new();

    fixture_put(batch, TABLE_VOTES, number, number * 7);
    fixture_put(batch, TABLE_META, 1, number);
    if (!storage_submit_commit(fixture->client, batch, number)) {
        store_batch_free(batch);
        return false;
    }
    return fixture_take_status(fixture->client) == OK;
}

static int work(const struct world *world, int pipe_fd, uint64_t argument)
{
    struct fixture fixture = {.world = (struct world *)(uintptr_t)world};
    const struct storage_options options = fixture_options(world, STORE_INIT);
    char error[STORE_ERROR_BYTES];
    int quiet = open("/dev/null", O_WRONLY | O_CLOEXEC);
    bool good;

    CHECK(dup2(quiet, STDERR_FILENO) == STDERR_FILENO); /* what RocksDB says about the fault */
    disk_faults_set(argument / DISK_FAULTS, (enum disk_fault)(argument % DISK_FAULTS));
    good = storage_open(&fixture.storage, error, &options) == OK;
    if (good) {
        say(pipe_fd, SAID_CREATED);
        CHECK(storage_client_open(&fixture.client, fixture.storage, IN_FLIGHT) == OK);
        for (uint8_t step = 1; good && step <= STEPS; step++) {
            good = append(&fixture, step) && commit(&fixture, step);
            if (good) say(pipe_fd, step);
        }
        fixture_stop(&fixture);
    }
    if (disk_faults_struck()) say(pipe_fd, SAID_STRUCK);
    return 0;
}

/* Ends the second child with a line. */
static void expect(bool condition, const char *what, uint64_t number)
{
    if (condition) return;
    fprintf(stderr, "%s (%u)\n", what, (unsigned)number);
    _exit(1);
}

static void check_step(struct fixture *fixture, uint64_t number)
{
    struct batch_log_item item = world_batch(number, BATCH_BYTES);
    struct storage_request *request = storage_request_new(STORAGE_READ_BATCH);
    uint8_t key[CORE_KEY_BYTES_MAX];

    request->record.digest = item.record.digest;
    expect(storage_submit(fixture->client, request), "a read is not taken", number);
    request = fixture_take(fixture->client);
    expect(request->status == OK, "an acknowledged batch is lost", number);
    storage_request_free(request);
    buffer_unref(item.buffer);
    expect(fixture_has_row(fixture, TABLE_VOTES, fixture_key(key, number)),
           "an acknowledged record is lost", number);
}

/* What is left is opened; a store whose making failed is missing, and can be made. RocksDB keeps threads, which
 * a child of this process would not have: so this is a child too. */
static int check_left(const struct world *world, int pipe_fd, uint64_t argument)
{
    struct fixture fixture = {.world = (struct world *)(uintptr_t)world};
    struct storage_options options = fixture_options(world, STORE_EXISTING);
    bool created = argument % 2 != 0;
    uint64_t steps = argument / 2;
    char error[STORE_ERROR_BYTES] = "";
    enum status status;

    (void)pipe_fd;
    disk_faults_set(0, DISK_FAULT_ONCE);
    status = storage_open(&fixture.storage, error, &options);
    if (!created && status != OK) {
        options = fixture_options(world, STORE_INIT);
        status = storage_open(&fixture.storage, error, &options);
    }
    expect(status == OK, error, steps);
    expect(storage_client_open(&fixture.client, fixture.storage, IN_FLIGHT) == OK, "no client", 0);
    for (uint64_t step = 1; step <= steps; step++)
        check_step(&fixture, step);
    expect(append(&fixture, 1000) && commit(&fixture, 1000), "it does not go on", steps);
    fixture_stop(&fixture);
    return 0;
}

/* False when the child came to its end without the fault. */
static bool strike(uint64_t number, enum disk_fault fault)
{
    struct world *world = world_open();
    uint64_t steps = 0;
    bool created = false;
    bool struck = false;
    uint8_t said;
    int pid = 0;
    int fd = world_fork(world, work, number * DISK_FAULTS + fault, &pid);

    while (world_read(fd, &said, 1)) {
        created = created || said == SAID_CREATED;
        struck = struck || said == SAID_STRUCK;
        if (said <= STEPS) steps = said;
    }
    (void)close(fd);
    int code = world_wait(pid);
    if (code == -SIGABRT) {
        /* RocksDB ends the process by a check of its own after some failed writes. */
        struck = true;
        code = 0;
    }
    if (code == 0 && struck) {
        fd = world_fork(world, check_left, 2 * steps + created, &pid);
        code = world_wait(pid);
        (void)close(fd);
    }
    if (code != 0) fail_msg("write %u, fault %d: exit code %d", (unsigned)number, fault, code);
    if (!struck) assert_int_equal(steps, STEPS);
    world_close(world);
    return struck;
}

/* SIM_SEEDS (percent) thins them out in slow builds. */
static uint64_t stride(void)
{
    const char *scale = getenv("SIM_SEEDS");
    int percent = scale == NULL ? 100 : atoi(scale);

    return percent > 0 && percent < 100 ? 900u / (unsigned)percent : 9;
}

static void strike_all(enum disk_fault fault)
{
    uint64_t number = 1 + (uint64_t)fault % stride();

    while (strike(number, fault))
        number += stride();
    assert_true(number > 100); /* there are that many writes, or nothing was tried */
    print_message("%u writes and syncs, every %u. of them failed\n", (unsigned)number,
                  (unsigned)stride());
}

static void one_write_fails(void **state)
{
    (void)state;
    strike_all(DISK_FAULT_ONCE);
}

static void one_write_is_torn(void **state)
{
    (void)state;
    strike_all(DISK_FAULT_TORN);
}

static void the_disk_is_full(void **state)
{
    (void)state;
    strike_all(DISK_FAULT_FULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_write_fails),
        cmocka_unit_test(one_write_is_torn),
        cmocka_unit_test(the_disk_is_full),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
