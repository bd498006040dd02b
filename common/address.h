/* Where something listens: "host:port", with a host name, an IPv4 address or an IPv6 address in
 * brackets. For endpoints "http://host:port" means the same, with an optional last slash. */
#ifndef COMMON_ADDRESS_H
#define COMMON_ADDRESS_H

#include <sys/socket.h>

#include "common/base.h"

#define ADDRESS_HOST_BYTES_MAX 254u /* longest DNS name, with the final 0 */
#define ADDRESS_TEXT_BYTES_MAX (ADDRESS_HOST_BYTES_MAX + 2u + 6u)

struct address {
    char host[ADDRESS_HOST_BYTES_MAX]; /* without brackets */
    uint16_t port;                     /* 0 asks the system for a free port when listening */
};

/* ERR_MALFORMED for anything else than the forms above. */
enum status address_parse(struct address *ret, const char *text);

/* The same, and "https://host:port" with `*ret_tls` true. */
enum status address_parse_url(struct address *ret, bool *ret_tls, const char *text);

/* True for 127.0.0.0/8, ::1 and "localhost". */
bool address_is_loopback(const struct address *address);

/* "host:port"; `ret` takes ADDRESS_TEXT_BYTES_MAX bytes. */
void address_format(char *ret, const struct address *address);

/* A socket address to connect to or to listen on. Asks the resolver when the host is a name, so not
 * for the event loop's busy hours. ERR_NOT_FOUND when the name does not resolve. */
enum status address_resolve(struct sockaddr_storage *ret,
                            socklen_t *ret_len,
                            const struct address *address);

#endif
