/* How many connections clients may have.
 *
 * gRPC accepts without a bound, and when the process has no descriptor left its listener fails for
 * good: whoever opens a thousand connections that say nothing would close the port until the next
 * restart, and leave none for the files of the store. gRPC has no setting for that, so accept4 is
 * defined here, which the dynamic linker prefers to the C library's: a connection that would take a
 * descriptor of the upper half is closed at once. Descriptors are given lowest first, so the number of
 * a new one says how many are open. Connections that do not speak are cut by the handshake timeout of
 * api_port.c.
 *
 * The lower half is shared: strangers can fill it, and then new clients of this node are refused
 * until some of theirs end. Members and files are not concerned. */
#ifndef CONSENSUS_NODE_API_ACCEPT_H
#define CONSENSUS_NODE_API_ACCEPT_H

#include <stdint.h>

/* Descriptors that the process has at the most, if the system lets it: each connection costs memory.
 * Measured with idle ones: 14 KB each, 20 KB where HTTP/2 has begun; 80 MB at the most. */
#define API_DESCRIPTORS_MAX 8192u

/* Raises the soft limit of descriptors up to the hard one and API_DESCRIPTORS_MAX, and keeps half of
 * them from clients. To be called once, before any other thread runs; the calling thread is exempt, as
 * its servers (mesh, HTTP) bound their connections themselves. Returns what clients may have. */
uint32_t api_accept_bound(void);

/* Connections closed because there were too many, so far. Any thread. */
uint64_t api_accept_refused(void);

#endif
