/* For children of tests that play clients: a plain connection to a port of this machine. */
#ifndef TESTS_UNIT_LOOPBACK_H
#define TESTS_UNIT_LOOPBACK_H

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base.h"

/* The socket; ends the child with exit code 2 when nobody listens. */
static inline int loopback_connect(uint16_t port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) != 0) _exit(2);
    return fd;
}

#endif
