/* Preloaded into a node: a disk that keeps, for each file, what a power loss would take away.
 *
 * Everything is written as ever. Beside each file below the directory VOLATILE_ROOT that is opened for
 * writing there is a record in the directory VOLATILE_UNDO, named by the file's inode number:
 *
 *     named u64 | durable size u64 | entries from u64 | entry ... entry
 *     entry: offset u64 | length u64 | the bytes that were there before
 *
 * `named` is 1 once the file's directory was synced after the file was made, or it was renamed. The durable size
 * is that of the last sync; an entry holds what a write or a cut destroyed of what is durable. Entries before
 * `entries from` are of no use any more. A sync covers what was written before it began, and takes
 * SYNC_US. tests/cluster/power.py takes the power: it puts back what the records say.
 *
 * What ends the process (kill -9) leaves the records as they are: written and not synced is still
 * there for the next life, and still volatile. */
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "common/base.h"

#define FILES_MAX       4096u
#define DESCRIPTORS_MAX 65536u
#define SYNC_US         5000

struct record {
    uint64_t named;
    uint64_t durable;
    uint64_t from;
};

struct file {
    ino_t inode;
    char directory[512]; /* it was made in */
    int undo;            /* the record */
    int reads;           /* the file, for reading */
    uint64_t undo_len;
    struct record record;
    uint64_t syncing; /* size that the sync under way will make durable */
    pthread_mutex_t lock;
    pthread_mutex_t sync_lock;
};

static char root[512];
static char undo_root[512];
static struct file files[FILES_MAX];
static size_t files_count;
static struct file *descriptors[DESCRIPTORS_MAX];
static char directories[DESCRIPTORS_MAX][512]; /* below the root, by descriptor */
static pthread_mutex_t files_lock = PTHREAD_MUTEX_INITIALIZER;

/* The C library's own function, in a variable of its type. */
#define NEXT(name)                                               \
    static __typeof__(&(name)) next;                             \
    if (next == NULL) *(void **)&next = dlsym(RTLD_NEXT, #name); \
    CHECK(next != NULL)

static ssize_t plain_pwrite(int fd, const void *data, size_t len, off_t offset)
{
    static ssize_t (*next)(int, const void *, size_t, off_t);
    if (next == NULL) *(void **)&next = dlsym(RTLD_NEXT, "pwrite");
    return next(fd, data, len, offset);
}

static int plain_open(const char *path, int flags, mode_t mode)
{
    static int (*next)(const char *, int, ...);
    if (next == NULL) *(void **)&next = dlsym(RTLD_NEXT, "open");
    return next(path, flags, mode);
}

__attribute__((constructor)) static void begin(void)
{
    const char *a = getenv("VOLATILE_ROOT");
    const char *b = getenv("VOLATILE_UNDO");

    CHECK(a != NULL && b != NULL);
    CHECK(strlen(a) < sizeof root && strlen(b) < sizeof undo_root);
    snprintf(root, sizeof root, "%s", a);
    snprintf(undo_root, sizeof undo_root, "%s", b);
}

/* ---- records --------------------------------------------------------------------------------- */

static uint64_t size_of(int fd)
{
    struct stat info;

    CHECK(fstat(fd, &info) == 0);
    return (uint64_t)info.st_size;
}

static void write_record(struct file *file)
{
    CHECK(plain_pwrite(file->undo, &file->record, sizeof file->record, 0) == sizeof file->record);
}

/* Saves what [offset, offset + len) holds of what is durable, or will be when the sync is over. */
static void save(struct file *file, uint64_t offset, uint64_t len)
{
    const uint64_t kept = u64_max(file->record.durable, file->syncing);
    const uint64_t end = u64_min(offset + len, kept);
    uint64_t header[2] = {offset, u64_minus(end, offset)};

    if (end <= offset) return;
    uint8_t *bytes = malloc(sizeof header + header[1]);
    CHECK(bytes != NULL);
    const ssize_t got = pread(file->reads, bytes + sizeof header, header[1], (off_t)offset);
    CHECK(got >= 0);
    header[1] = (uint64_t)got;
    memcpy(bytes, header, sizeof header);
    const size_t whole = sizeof header + (size_t)got;
    CHECK(plain_pwrite(file->undo, bytes, whole, (off_t)file->undo_len) == (ssize_t)whole);
    file->undo_len += whole;
    free(bytes);
}

static void reset(struct file *file, uint64_t durable, bool named)
{
    file->record = (struct record){named, durable, sizeof file->record};
    file->undo_len = sizeof file->record;
    CHECK(ftruncate(file->undo, 0) == 0);
    write_record(file);
}

static struct file *make_file(ino_t inode, int fd)
{
    struct file *file = &files[files_count];
    char path[1100];

    CHECK(files_count < FILES_MAX);
    files_count++;
    file->inode = inode;
    pthread_mutex_init(&file->lock, NULL);
    pthread_mutex_init(&file->sync_lock, NULL);
    snprintf(path, sizeof path, "%s/%llu", undo_root, (unsigned long long)inode);
    file->undo = plain_open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    CHECK(file->undo >= 0);
    if (pread(file->undo, &file->record, sizeof file->record, 0) == sizeof file->record)
        file->undo_len = size_of(file->undo);
    else
        reset(file, size_of(fd), true); /* there before we were */
    return file;
}

/* A file was opened for writing: its record, new or as it was. `made`: it is new, or empty again. */
static void watch(int fd, const char *path, bool made)
{
    struct file *file = NULL;
    struct stat info;
    char self[64];

    CHECK(fstat(fd, &info) == 0);
    if (!S_ISREG(info.st_mode) || fd >= (int)DESCRIPTORS_MAX) return;
    pthread_mutex_lock(&files_lock);
    for (size_t i = 0; i < files_count && file == NULL; i++)
        if (files[i].inode == info.st_ino) file = &files[i];
    if (file == NULL) file = make_file(info.st_ino, fd);
    if (made) {
        const char *slash = strrchr(path, '/');
        reset(file, 0, false);
        snprintf(file->directory, sizeof file->directory, "%.*s", (int)(slash - path), path);
    }
    if (file->reads == 0) { /* stays open, so that the number is no other file's while we live */
        snprintf(self, sizeof self, "/proc/self/fd/%d", fd);
        file->reads = plain_open(self, O_RDONLY | O_CLOEXEC, 0);
        CHECK(file->reads > 0);
    }
    descriptors[fd] = file;
    pthread_mutex_unlock(&files_lock);
}

static bool is_ours(const char *path)
{
    return strncmp(path, root, strlen(root)) == 0 && path[strlen(root)] == '/';
}

static struct file *file_of(int fd)
{
    return fd >= 0 && fd < (int)DESCRIPTORS_MAX ? descriptors[fd] : NULL;
}

/* ---- opening and naming ---------------------------------------------------------------------- */

static int opened(int fd, const char *path, int flags, bool existed)
{
    if (fd < 0 || fd >= (int)DESCRIPTORS_MAX) return fd;
    directories[fd][0] = '\0';
    descriptors[fd] = NULL;
    if (!is_ours(path)) return fd;
    if ((flags & O_ACCMODE) != O_RDONLY)
        watch(fd, path, (flags & O_TRUNC) != 0 || ((flags & O_CREAT) != 0 && !existed));
    else
        snprintf(directories[fd], sizeof directories[fd], "%s", path);
    return fd;
}

static int open_any(const char *path, int flags, mode_t mode)
{
    const bool existed = access(path, F_OK) == 0;

    return opened(plain_open(path, flags, mode), path, flags, existed);
}

/* Functions on offsets are two symbols, whatever their C names mean: libraries use either. */
#define BOTH(macro, name) macro(name##_plain, #name) macro(name##_wide, #name "64")

#define OPEN(name, symbol)                                              \
    int name(const char *path, int flags, ...) __asm__(symbol);         \
    int name(const char *path, int flags, ...)                          \
    {                                                                   \
        va_list list;                                                   \
        va_start(list, flags);                                          \
        const mode_t mode = flags & O_CREAT ? va_arg(list, mode_t) : 0; \
        va_end(list);                                                   \
        return open_any(path, flags, mode);                             \
    }
BOTH(OPEN, open)

int close(int fd)
{
    NEXT(close);
    if (fd >= 0 && fd < (int)DESCRIPTORS_MAX) {
        descriptors[fd] = NULL;
        directories[fd][0] = '\0';
    }
    return next(fd);
}

/* Files of this directory, or with this number, keep their names from now on. */
static void name_files(const char *directory, ino_t inode)
{
    pthread_mutex_lock(&files_lock);
    for (size_t i = 0; i < files_count; i++) {
        struct file *file = &files[i];
        if (file->inode != inode && strcmp(file->directory, directory) != 0) continue;
        pthread_mutex_lock(&file->lock);
        file->record.named = 1;
        write_record(file);
        pthread_mutex_unlock(&file->lock);
    }
    pthread_mutex_unlock(&files_lock);
}

/* A rename takes effect at once, of a file or of the directory that it is in. */
int rename(const char *from, const char *to)
{
    NEXT(rename);
    struct stat info;

    if (is_ours(from) && stat(from, &info) == 0) name_files(from, info.st_ino);
    return next(from, to);
}

/* ---- syncing --------------------------------------------------------------------------------- */

static int sync_file(int fd)
{
    const struct timespec time = {.tv_nsec = SYNC_US * 1000};
    struct file *file = file_of(fd);

    if (file == NULL) {
        if (fd >= 0 && fd < (int)DESCRIPTORS_MAX && directories[fd][0] != '\0')
            name_files(directories[fd], 0);
        return 0;
    }
    pthread_mutex_lock(&file->sync_lock);
    pthread_mutex_lock(&file->lock);
    const uint64_t covered = file->undo_len;
    const uint64_t size = size_of(fd);
    file->syncing = size;
    pthread_mutex_unlock(&file->lock);
    (void)nanosleep(&time, NULL);
    pthread_mutex_lock(&file->lock);
    file->record.durable = size;
    file->record.from = covered;
    file->syncing = 0;
    write_record(file);
    pthread_mutex_unlock(&file->lock);
    pthread_mutex_unlock(&file->sync_lock);
    return 0;
}

int fsync(int fd)
{
    return sync_file(fd);
}

int fdatasync(int fd)
{
    return sync_file(fd);
}

/* ---- writing --------------------------------------------------------------------------------- */

static struct file *before_write(int fd, uint64_t offset, uint64_t len)
{
    struct file *file = file_of(fd);

    if (file == NULL) return NULL;
    pthread_mutex_lock(&file->lock);
    save(file, offset, len);
    return file;
}

static void after_write(struct file *file)
{
    if (file != NULL) pthread_mutex_unlock(&file->lock);
}

static uint64_t parts_len(const struct iovec *parts, int count)
{
    uint64_t len = 0;

    for (int i = 0; i < count; i++)
        len += parts[i].iov_len;
    return len;
}

/* Where a write without an offset goes. */
static uint64_t position_of(int fd)
{
    const int flags = fcntl(fd, F_GETFL);

    if (flags >= 0 && flags & O_APPEND) return size_of(fd);
    return (uint64_t)lseek64(fd, 0, SEEK_CUR);
}

ssize_t write(int fd, const void *data, size_t len)
{
    NEXT(write);
    if (file_of(fd) == NULL) return next(fd, data, len);
    struct file *file = before_write(fd, position_of(fd), len);
    const ssize_t done = next(fd, data, len);
    after_write(file);
    return done;
}

#define PWRITE(name, symbol)                                                            \
    ssize_t name(int fd, const void *data, size_t len, off64_t offset) __asm__(symbol); \
    ssize_t name(int fd, const void *data, size_t len, off64_t offset)                  \
    {                                                                                   \
        struct file *file = before_write(fd, (uint64_t)offset, len);                    \
        const ssize_t done = plain_pwrite(fd, data, len, offset);                       \
        after_write(file);                                                              \
        return done;                                                                    \
    }
BOTH(PWRITE, pwrite)

#define PWRITEV(name, symbol)                                                                   \
    ssize_t name(int fd, const struct iovec *parts, int count, off64_t offset) __asm__(symbol); \
    ssize_t name(int fd, const struct iovec *parts, int count, off64_t offset)                  \
    {                                                                                           \
        NEXT(pwritev64);                                                                        \
        struct file *file = before_write(fd, (uint64_t)offset, parts_len(parts, count));        \
        const ssize_t done = next(fd, parts, count, offset);                                    \
        after_write(file);                                                                      \
        return done;                                                                            \
    }
BOTH(PWRITEV, pwritev)

#define FTRUNCATE(name, symbol)                                           \
    int name(int fd, off64_t size) __asm__(symbol);                       \
    int name(int fd, off64_t size)                                        \
    {                                                                     \
        NEXT(ftruncate64);                                                \
        struct file *file = before_write(fd, (uint64_t)size, UINT32_MAX); \
        const int done = next(fd, size);                                  \
        after_write(file);                                                \
        return done;                                                      \
    }
BOTH(FTRUNCATE, ftruncate)
