#include "tests/unit/storage_world.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/batch.h"
#include "common/crypto.h"
#include "common/hash_pages.h"

void world_make_committee(struct committee *ret_committee,
                          struct secret_key *ret_secrets,
                          uint8_t network)
{
    struct committee *committee = ret_committee;

    memset(committee, 0, sizeof *committee);
    memset(committee->network, network, sizeof committee->network);
    committee->epoch = 1;
    committee->count = WORLD_MEMBERS;
    for (uint32_t i = 0; i < WORLD_MEMBERS; i++) {
        struct secret_key unused;
        uint8_t seed[32];
        memset(seed, (int)(i + 1), sizeof seed);
        crypto_key_pair(&committee->members[i].key, &ret_secrets[i], seed);
        memset(seed, (int)(i + 101), sizeof seed);
        crypto_key_pair(&committee->members[i].network_key, &unused, seed);
        committee->members[i].stake = 1;
    }
    assert_int_equal(committee_finish(committee), OK);
}

struct world *world_open(void)
{
    struct world *world = calloc(1, sizeof *world);

    assert_non_null(world);
    /* In the build directory: /tmp may be a file system without O_DIRECT. */
    (void)snprintf(world->directory, sizeof world->directory, "storage-test-XXXXXX");
    assert_non_null(mkdtemp(world->directory));
    world_make_committee(&world->committee, world->secrets, 7);
    return world;
}

static int remove_one(const char *path, const struct stat *stat, int type, struct FTW *walk)
{
    (void)stat;
    (void)type;
    (void)walk;
    return remove(path);
}

void world_close(struct world *world)
{
    assert_int_equal(nftw(world->directory, remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
    free(world);
}

const char *world_path(const struct world *world, const char *name)
{
    static char paths[4][512];
    static unsigned next;
    char *path = paths[next++ % 4];

    (void)snprintf(path, sizeof paths[0], "%s/%s", world->directory, name);
    return path;
}

struct store_options world_store_options(const struct world *world, enum store_mode mode)
{
    return (struct store_options){.directory = world->directory,
                                  .mode = mode,
                                  .sync = SYNC_ALWAYS,
                                  .committee = &world->committee,
                                  .self = 1};
}

struct batch_log_item world_batch(uint64_t number, size_t bytes)
{
    static uint8_t transaction[TRANSACTION_BYTES_MAX];
    struct batch_log_item item = {.record = {.author = (authority_t)(number % WORLD_MEMBERS),
                                             .created_at = 1000 + number,
                                             .own = number % WORLD_MEMBERS == 1}};
    uint64_t seed = number;

    item.buffer = buffer_new(BUFFER_BATCH + bytes);
    struct writer writer = writer_make(item.buffer->data + BUFFER_BATCH, bytes);
    while (writer.len < bytes) {
        const size_t left = bytes - writer.len;
        size_t len = left < sizeof transaction ? left : sizeof transaction;
        if (len > 8) len -= 8;
        while (len > 1 && batch_entry_bytes(len) > left)
            len--;
        if (batch_entry_bytes(len) > left) break;
        unit_random_bytes(&seed, transaction, len);
        batch_append(&writer, transaction, len);
        item.record.transactions++;
    }
    assert_false(writer.failed);
    item.record.bytes = (uint32_t)writer.len;
    hash_pages_root(&item.record.digest, item.buffer->data + BUFFER_BATCH, writer.len);
    item.buffer->begin = BUFFER_BATCH;
    item.buffer->len = writer.len;
    return item;
}

int world_fork(const struct world *world, world_work *work, uint64_t argument, int *ret_pid)
{
    int ends[2];

    assert_int_equal(pipe(ends), 0);
    const int pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        (void)close(ends[0]);
        _exit(work(world, ends[1], argument));
    }
    (void)close(ends[1]);
    *ret_pid = pid;
    return ends[0];
}

bool world_read(int fd, void *ret, size_t len)
{
    size_t got = 0;

    while (got < len) {
        const ssize_t count = read(fd, (uint8_t *)ret + got, len - got);
        if (count < 0 && errno == EINTR) continue;
        if (count <= 0) return false;
        got += (size_t)count;
    }
    return true;
}

int world_wait(int pid)
{
    int state = 0;

    assert_int_equal(waitpid(pid, &state, 0), pid);
    return WIFEXITED(state) ? WEXITSTATUS(state) : -WTERMSIG(state);
}

uint8_t *world_read_file(const char *path, size_t *ret_len)
{
    const int fd = open(path, O_RDONLY);
    assert_true(fd >= 0);
    const off_t size = lseek(fd, 0, SEEK_END);
    uint8_t *data = malloc((size_t)size + 1);
    assert_non_null(data);
    assert_int_equal(pread(fd, data, (size_t)size, 0), size);
    (void)close(fd);
    *ret_len = (size_t)size;
    return data;
}

void world_write_file(const char *path, const uint8_t *data, size_t len)
{
    const int fd = open(path, O_CREAT | O_TRUNC | O_WRONLY, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, data, len), (ssize_t)len);
    assert_int_equal(close(fd), 0);
}

void world_flip(const char *path, uint64_t offset)
{
    const int fd = open(path, O_RDWR);
    uint8_t byte = 0;
    assert_true(fd >= 0);
    assert_int_equal(pread(fd, &byte, 1, (off_t)offset), 1);
    byte ^= 0x10;
    assert_int_equal(pwrite(fd, &byte, 1, (off_t)offset), 1);
    (void)close(fd);
}

uint64_t world_file_size(const char *path)
{
    struct stat state;
    assert_int_equal(stat(path, &state), 0);
    return (uint64_t)state.st_size;
}

char *world_newest_file(const struct world *world, const char *ending)
{
    DIR *stream = opendir(world_path(world, "meta"));
    char best[300] = "";

    assert_non_null(stream);
    for (const struct dirent *entry = readdir(stream); entry != NULL; entry = readdir(stream)) {
        const size_t len = strlen(entry->d_name);
        if (len < strlen(ending) || strcmp(entry->d_name + len - strlen(ending), ending) != 0)
            continue;
        if (strcmp(entry->d_name, best) > 0) (void)snprintf(best, sizeof best, "%s", entry->d_name);
    }
    (void)closedir(stream);
    assert_true(best[0] != '\0');
    char name[320];
    (void)snprintf(name, sizeof name, "meta/%s", best);
    return strdup(world_path(world, name));
}
