/* What the batch path costs: batches of 480 KB into the batch log, in groups, synced and not, first
 * by plain calls, then through the storage thread as the node does it. Not a test.
 *
 *     store_bench [DIRECTORY [MEGABYTES]]
 *
 * writes MEGABYTES (512) per line into a directory made below DIRECTORY (.) and removed again. MB/s
 * are of batch bytes; CPU is the whole process, user and system. */
#include <ftw.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/crypto.h"
#include "consensus/node/storage.h"

#define BATCH_BYTES BATCH_BYTES_MAX
#define BUFFERS     8u

static struct buffer *buffers[BUFFERS];
static uint64_t next_digest;

static double now_s(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static double cpu_s(void)
{
    struct rusage usage;
    (void)getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static int remove_one(const char *path, const struct stat *stat, int type, struct FTW *walk)
{
    (void)stat;
    (void)type;
    (void)walk;
    return remove(path);
}

static void remove_all(const char *path)
{
    (void)nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* A record with a name of its own: the log takes the caller's word for a digest. */
static struct batch_record next_record(void)
{
    struct batch_record record = {.bytes = BATCH_BYTES, .transactions = 900};

    next_digest++;
    for (size_t i = 0; i < sizeof record.digest.bytes; i++) {
        record.digest.bytes[i] = (uint8_t)((next_digest * 0x9e3779b97f4a7c15u) >> (8 * (i % 8)));
    }
    return record;
}

struct figures {
    double wall;
    double cpu;
    double longest;
    uint64_t batches;
};

static void print_line(const char *way,
                       enum sync_mode sync,
                       size_t group,
                       const struct figures *figures)
{
    const double megabytes = (double)figures->batches * BATCH_BYTES / 1e6;
    printf("%-7s sync=%-7s %zu at once: %7.0f MB/s, CPU %.3f ms/MB, longest %.1f ms\n", way,
           sync == SYNC_ALWAYS ? "always" : "process", group, megabytes / figures->wall,
           figures->cpu * 1e3 / megabytes, figures->longest * 1e3);
}

static void bench_calls(const char *directory, enum sync_mode sync, size_t group, uint64_t batches)
{
    const struct batch_log_options options = {
        .directory = directory, .create = true, .sync = sync, .ring_bytes = STORAGE_RING_BYTES};
    char error[STORE_ERROR_BYTES];
    struct batch_log *log = NULL;
    struct figures figures = {.wall = now_s(), .cpu = cpu_s()};

    if (batch_log_open(&log, error, &options) != OK) {
        fprintf(stderr, "%s\n", error);
        exit(1);
    }
    while (figures.batches < batches) {
        struct batch_log_item items[BUFFERS];
        const double before = now_s();
        for (size_t i = 0; i < group; i++) {
            items[i] = (struct batch_log_item){buffers[i], next_record()};
        }
        if (batch_log_append(log, items, group) != OK) {
            fprintf(stderr, "%s: can not be written\n", directory);
            exit(1);
        }
        const double took = now_s() - before;
        if (took > figures.longest) figures.longest = took;
        figures.batches += group;
    }
    figures.wall = now_s() - figures.wall;
    figures.cpu = cpu_s() - figures.cpu;
    batch_log_close(log);
    print_line("calls", sync, group, &figures);
}

static void bench_thread(const char *directory,
                         const struct committee *committee,
                         enum sync_mode sync,
                         size_t in_flight,
                         uint64_t batches)
{
    const struct storage_options options = {
        .store = {
            .directory = directory, .mode = STORE_INIT, .sync = sync, .committee = committee}};
    char error[STORE_ERROR_BYTES];
    struct storage *storage = NULL;
    struct storage_client *client = NULL;
    uint64_t submitted = 0;

    if (storage_open(&storage, error, &options) != OK) {
        fprintf(stderr, "%s\n", error);
        exit(1);
    }
    if (storage_client_open(&client, storage, in_flight) != OK) exit(1);
    struct figures figures = {.wall = now_s(), .cpu = cpu_s()};
    while (figures.batches < batches) {
        while (submitted < batches) {
            const struct batch_record record = next_record();
            if (!storage_submit_append(client, buffers[submitted % BUFFERS], &record, NULL)) break;
            submitted++;
        }
        struct pollfd poll_fd = {.fd = storage_client_fd(client), .events = POLLIN};
        (void)poll(&poll_fd, 1, -1);
        storage_client_drain_fd(client);
        struct storage_request *request = storage_client_take(client);
        for (; request != NULL; request = storage_client_take(client)) {
            if (request->status != OK) {
                fprintf(stderr, "%s: %s\n", directory, status_text(request->status));
                exit(1);
            }
            storage_request_free(request);
            figures.batches++;
        }
    }
    struct storage_stats stats;
    storage_get_stats(storage, &stats);
    figures.longest = (double)stats.append_us_max / 1e6;
    figures.wall = now_s() - figures.wall;
    figures.cpu = cpu_s() - figures.cpu;
    storage_close(storage);
    storage_client_close(client);
    print_line("thread", sync, in_flight, &figures);
}

static void make_committee(struct committee *ret_committee)
{
    struct secret_key secret;

    memset(ret_committee, 0, sizeof *ret_committee);
    ret_committee->count = 4;
    for (uint8_t i = 0; i < 4; i++) {
        uint8_t seed[32] = {i};
        crypto_key_pair(&ret_committee->members[i].key, &secret, seed);
        seed[1] = 1;
        crypto_key_pair(&ret_committee->members[i].network_key, &secret, seed);
        ret_committee->members[i].stake = 1;
    }
    CHECK(committee_finish(ret_committee) == OK);
}

int main(int argc, char **argv)
{
    static const size_t groups[] = {1, 2, 4, 8};
    static struct committee committee;
    const uint64_t megabytes = argc > 2 ? strtoull(argv[2], NULL, 10) : 512;
    const uint64_t batches = megabytes * 1000000 / BATCH_BYTES;
    char directory[512];

    if (argc > 3 || megabytes == 0) {
        fprintf(stderr, "usage: store_bench [DIRECTORY [MEGABYTES]]\n");
        return 2;
    }
    (void)snprintf(directory, sizeof directory, "%s/store-bench-XXXXXX", argc > 1 ? argv[1] : ".");
    if (mkdtemp(directory) == NULL) {
        fprintf(stderr, "%s: no directory can be made here\n", directory);
        return 1;
    }
    make_committee(&committee);
    for (size_t i = 0; i < BUFFERS; i++) {
        buffers[i] = buffer_new(BUFFER_BATCH + BATCH_BYTES);
        memset(buffers[i]->data, (int)i + 1, buffers[i]->capacity);
    }
    for (int sync = SYNC_ALWAYS; sync <= SYNC_PROCESS; sync++) {
        for (size_t i = 0; i < sizeof groups / sizeof groups[0]; i++) {
            bench_calls(directory, (enum sync_mode)sync, groups[i], batches);
            remove_all(directory);
            (void)mkdir(directory, 0700);
            bench_thread(directory, &committee, (enum sync_mode)sync, groups[i], batches);
            remove_all(directory);
            (void)mkdir(directory, 0700);
        }
    }
    remove_all(directory);
    for (size_t i = 0; i < BUFFERS; i++)
        buffer_unref(buffers[i]);
    return 0;
}
