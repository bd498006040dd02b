#include "common/address.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <stdio.h>

/* Letters, digits, '.', '-', '_' for names and IPv4; hexadecimal digits, ':', '.' and a scope for
 * IPv6. */
static bool host_is_plain(const char *host, size_t len, bool brackets)
{
    static const char name[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-_";
    static const char ip6[] = "ABCDEFabcdef0123456789:.%";

    if (len == 0 || len >= ADDRESS_HOST_BYTES_MAX) return false;
    if (brackets && memchr(host, ':', len) == NULL) return false;
    for (size_t i = 0; i < len; i++) {
        if (strchr(brackets ? ip6 : name, host[i]) == NULL) return false;
    }
    return true;
}

static bool port_parse(uint16_t *ret_port, const char *text, size_t len)
{
    uint32_t port = 0;

    if (len == 0 || len > 5) return false;
    for (size_t i = 0; i < len; i++) {
        if (text[i] < '0' || text[i] > '9') return false;
        port = port * 10 + (uint32_t)(text[i] - '0');
    }
    if (port > UINT16_MAX) return false;
    *ret_port = (uint16_t)port;
    return true;
}

enum status address_parse(struct address *ret, const char *text)
{
    static const char scheme[] = "http://";
    size_t len;
    bool brackets;
    const char *colon;
    struct address address;

    if (strncmp(text, scheme, sizeof scheme - 1) == 0) {
        text += sizeof scheme - 1;
        len = strlen(text);
        if (len > 0 && text[len - 1] == '/') len--;
    } else {
        len = strlen(text);
    }

    brackets = text[0] == '[';
    if (brackets) {
        const char *close = memchr(text, ']', len);
        if (close == NULL) return ERR_MALFORMED;
        colon = close + 1;
        text++;
        len--;
        if (!host_is_plain(text, (size_t)(close - text), true)) return ERR_MALFORMED;
        memcpy(address.host, text, (size_t)(close - text));
        address.host[close - text] = '\0';
    } else {
        colon = memchr(text, ':', len);
        if (colon == NULL) return ERR_MALFORMED;
        if (!host_is_plain(text, (size_t)(colon - text), false)) return ERR_MALFORMED;
        memcpy(address.host, text, (size_t)(colon - text));
        address.host[colon - text] = '\0';
    }
    const char *end = text + len;
    if (colon == end || *colon != ':') return ERR_MALFORMED;
    if (!port_parse(&address.port, colon + 1, (size_t)(end - colon) - 1)) return ERR_MALFORMED;
    *ret = address;
    return OK;
}

enum status address_parse_url(struct address *ret, bool *ret_tls, const char *text)
{
    static const char scheme[] = "https://";
    char plain[sizeof scheme + ADDRESS_TEXT_BYTES_MAX];
    bool tls = strncmp(text, scheme, sizeof scheme - 1) == 0;

    if (tls) {
        /* The same form without the letter s. */
        int len = snprintf(plain, sizeof plain, "http://%s", text + sizeof scheme - 1);
        if (len < 0 || (size_t)len >= sizeof plain) return ERR_MALFORMED;
        text = plain;
    }
    enum status status = address_parse(ret, text);
    if (status == OK) *ret_tls = tls;
    return status;
}

bool address_is_loopback(const struct address *address)
{
    struct in_addr ip4;
    struct in6_addr ip6;

    if (strcmp(address->host, "localhost") == 0) return true;
    if (inet_pton(AF_INET, address->host, &ip4) == 1) return ntohl(ip4.s_addr) >> 24 == 127;
    return inet_pton(AF_INET6, address->host, &ip6) == 1 && IN6_IS_ADDR_LOOPBACK(&ip6);
}

void address_format(char *ret, const struct address *address)
{
    bool brackets = strchr(address->host, ':') != NULL;
    snprintf(ret, ADDRESS_TEXT_BYTES_MAX, brackets ? "[%s]:%u" : "%s:%u", address->host,
             address->port);
}

enum status address_resolve(struct sockaddr_storage *ret,
                            socklen_t *ret_len,
                            const struct address *address)
{
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct addrinfo *found;
    char port[8];

    snprintf(port, sizeof port, "%u", address->port);
    if (getaddrinfo(address->host, port, &hints, &found) != 0) return ERR_NOT_FOUND;

    /* IPv4 first: a local cluster listens on 127.0.0.1, and "localhost" may name ::1 too. */
    const struct addrinfo *chosen = found;
    for (const struct addrinfo *one = found; one != NULL; one = one->ai_next) {
        if (one->ai_family == AF_INET) {
            chosen = one;
            break;
        }
    }
    CHECK(chosen->ai_addrlen <= sizeof *ret);
    memset(ret, 0, sizeof *ret);
    memcpy(ret, chosen->ai_addr, chosen->ai_addrlen);
    *ret_len = chosen->ai_addrlen;
    freeaddrinfo(found);
    return OK;
}
