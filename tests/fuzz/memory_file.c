#include "tests/fuzz/memory_file.h"

#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static struct {
    int fd; /* 0: not there yet */
    char path[64];
} files[MEMORY_FILES];

const char *memory_file(unsigned number, const void *data, size_t len)
{
    CHECK(number < MEMORY_FILES);
    if (files[number].fd == 0) {
        int fd = memfd_create("fuzz", MFD_CLOEXEC);
        CHECK(fd > 0);
        CHECK(fchmod(fd, 0600) == 0);
        files[number].fd = fd;
        (void)snprintf(files[number].path, sizeof files[number].path, "/proc/self/fd/%d", fd);
    }
    CHECK(ftruncate(files[number].fd, 0) == 0);
    CHECK(pwrite(files[number].fd, data, len, 0) == (ssize_t)len);
    return files[number].path;
}
