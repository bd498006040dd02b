#include "consensus/node/api_accept.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/base.h"

/* Under its own type: the C library declares accept4 with a transparent union. */
int api_accept4(int listener,
                struct sockaddr *address,
                socklen_t *len,
                int flags) __asm__("accept4");

/* Written before there are threads. */
static int bound = INT32_MAX;
static _Thread_local bool is_exempt;
static _Atomic uint64_t refused;

uint32_t api_accept_bound(void)
{
    struct rlimit limit;

    CHECK(getrlimit(RLIMIT_NOFILE, &limit) == 0);
    if (limit.rlim_cur < API_DESCRIPTORS_MAX) {
        limit.rlim_cur =
            limit.rlim_max < API_DESCRIPTORS_MAX ? limit.rlim_max : API_DESCRIPTORS_MAX;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
        CHECK(getrlimit(RLIMIT_NOFILE, &limit) == 0);
    }
    bound = (int)(u64_min(limit.rlim_cur, API_DESCRIPTORS_MAX) / 2);
    is_exempt = true;
    return (uint32_t)bound;
}

uint64_t api_accept_refused(void)
{
    return atomic_load_explicit(&refused, memory_order_relaxed);
}

int api_accept4(int listener, struct sockaddr *address, socklen_t *len, int flags)
{
    socklen_t size = len != NULL ? *len : 0;

    while (true) {
        int fd = (int)syscall(SYS_accept4, listener, address, len, flags);
        if (fd < bound || is_exempt) return fd;
        /* gRPC waits for the next edge once it is told that there is nothing: take them all. */
        (void)close(fd);
        atomic_fetch_add_explicit(&refused, 1, memory_order_relaxed);
        if (len != NULL) *len = size;
    }
}
