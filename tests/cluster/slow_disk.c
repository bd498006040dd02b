/* Preloaded into one node: a disk that takes its time. What writes or syncs waits first, for as many
 * microseconds as the file named by SLOW_DISK says (u64, little endian), which the test changes while
 * the node runs. Nothing is lost or put in another order. */
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "common/base.h"

static const volatile uint64_t *delay_us;

__attribute__((constructor)) static void open_delay(void)
{
    const char *path = getenv("SLOW_DISK");
    int fd = path != NULL ? open(path, O_RDONLY | O_CLOEXEC) : -1;

    CHECK(fd >= 0);
    delay_us = mmap(NULL, sizeof *delay_us, PROT_READ, MAP_SHARED, fd, 0);
    CHECK(delay_us != MAP_FAILED);
    (void)close(fd);
}

static void wait_for_disk(void)
{
    uint64_t us = *delay_us;
    struct timespec time = {(time_t)(us / 1000000u), (long)(us % 1000000u) * 1000};

    if (us > 0) (void)nanosleep(&time, NULL);
}

/* The C library's own function, in a variable of its type. */
#define NEXT(name)                                               \
    static __typeof__(&(name)) next;                             \
    if (next == NULL) *(void **)&next = dlsym(RTLD_NEXT, #name); \
    CHECK(next != NULL)

int fdatasync(int fd)
{
    NEXT(fdatasync);
    wait_for_disk();
    return next(fd);
}

int fsync(int fd)
{
    NEXT(fsync);
    wait_for_disk();
    return next(fd);
}

ssize_t pwrite64(int fd, const void *data, size_t len, off64_t offset)
{
    NEXT(pwrite64);
    wait_for_disk();
    return next(fd, data, len, offset);
}

ssize_t pwritev64(int fd, const struct iovec *parts, int count, off64_t offset)
{
    NEXT(pwritev64);
    wait_for_disk();
    return next(fd, parts, count, offset);
}
