#include "tests/unit/disk_faults.h"

#include <errno.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

/* Under types of their own, as the C library declares some of them under two names. */
ssize_t faulty_write(int fd, const void *data, size_t len) __asm__("write");
ssize_t faulty_pwrite(int fd, const void *data, size_t len, off_t offset) __asm__("pwrite");
ssize_t faulty_pwrite64(int fd, const void *data, size_t len, off_t offset) __asm__("pwrite64");
ssize_t faulty_pwritev(int fd,
                       const struct iovec *parts,
                       int count,
                       off_t offset) __asm__("pwritev");
ssize_t faulty_pwritev64(int fd,
                         const struct iovec *parts,
                         int count,
                         off_t offset) __asm__("pwritev64");
int faulty_fsync(int fd) __asm__("fsync");
int faulty_fdatasync(int fd) __asm__("fdatasync");

static _Atomic uint64_t calls;
static _Atomic uint64_t failing; /* number of the call; 0: none */
static _Atomic int fault_kind;
static atomic_bool struck;

void disk_faults_set(uint64_t number, enum disk_fault fault)
{
    atomic_store(&calls, 0);
    atomic_store(&fault_kind, (int)fault);
    atomic_store(&struck, false);
    atomic_store(&failing, number);
}

bool disk_faults_struck(void)
{
    return atomic_load(&struck);
}

/* True when this call on this file is to fail; errno is set. */
static bool fails(int fd)
{
    uint64_t number = atomic_load(&failing);
    struct stat about;

    if (number == 0 || syscall(SYS_fstat, fd, &about) != 0 || !S_ISREG(about.st_mode)) return false;
    uint64_t call = atomic_fetch_add(&calls, 1) + 1;
    bool full = atomic_load(&fault_kind) == DISK_FAULT_FULL;
    if (full ? call < number : call != number) return false;
    atomic_store(&struck, true);
    errno = full ? ENOSPC : EIO;
    return true;
}

static bool tears(void)
{
    return atomic_load(&fault_kind) == DISK_FAULT_TORN;
}

ssize_t faulty_write(int fd, const void *data, size_t len)
{
    if (!fails(fd)) return syscall(SYS_write, fd, data, len);
    if (tears()) (void)syscall(SYS_write, fd, data, len / 2);
    errno = errno == ENOSPC ? ENOSPC : EIO;
    return -1;
}

ssize_t faulty_pwrite(int fd, const void *data, size_t len, off_t offset)
{
    if (!fails(fd)) return syscall(SYS_pwrite64, fd, data, len, offset);
    /* Half, in whole blocks, as O_DIRECT wants them. */
    if (tears()) (void)syscall(SYS_pwrite64, fd, data, len / 2 / 4096 * 4096, offset);
    errno = errno == ENOSPC ? ENOSPC : EIO;
    return -1;
}

ssize_t faulty_pwrite64(int fd, const void *data, size_t len, off_t offset)
{
    return faulty_pwrite(fd, data, len, offset);
}

ssize_t faulty_pwritev(int fd, const struct iovec *parts, int count, off_t offset)
{
    if (!fails(fd)) return syscall(SYS_pwritev, fd, parts, count, offset, 0);
    if (tears()) (void)syscall(SYS_pwritev, fd, parts, (count + 1) / 2, offset, 0);
    errno = errno == ENOSPC ? ENOSPC : EIO;
    return -1;
}

ssize_t faulty_pwritev64(int fd, const struct iovec *parts, int count, off_t offset)
{
    return faulty_pwritev(fd, parts, count, offset);
}

int faulty_fsync(int fd)
{
    return fails(fd) ? -1 : (int)syscall(SYS_fsync, fd);
}

int faulty_fdatasync(int fd)
{
    return fails(fd) ? -1 : (int)syscall(SYS_fdatasync, fd);
}
