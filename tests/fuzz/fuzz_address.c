#include "tests/fuzz/fuzz.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/address.h"
#include "common/rate_limit.h"

/* URLs of servers and what gRPC calls a client's address. */
static void check_url(const char *text)
{
    struct address address;
    struct address again;
    char plain[ADDRESS_TEXT_BYTES_MAX];
    char url[ADDRESS_TEXT_BYTES_MAX + 16];
    bool tls = false;
    bool tls_again = false;

    if (address_parse_url(&address, &tls, text) != OK) return;
    CHECK(tls == (strncmp(text, "https://", 8) == 0));
    CHECK(strlen(address.host) >= 1);
    CHECK(strlen(address.host) < ADDRESS_HOST_BYTES_MAX);
    /* The host goes into headers of requests. */
    CHECK(strpbrk(address.host, "/?#@ \r\n") == NULL);
    address_format(plain, &address);
    (void)snprintf(url, sizeof url, "%s%s/", tls ? "https://" : "http://", plain);
    CHECK(address_parse_url(&again, &tls_again, url) == OK);
    CHECK(tls_again == tls);
    CHECK(strcmp(again.host, address.host) == 0);
    CHECK(again.port == address.port);
    (void)address_is_loopback(&address);
}

/* The text ends where the address ends; what is none is the client without an address. */
static void check_peer(const char *text)
{
    static const struct rate_address nobody;
    struct rate_address address = rate_address_parse(text);

    if (strncmp(text, "ipv4:", 5) != 0 && strncmp(text, "ipv6:", 5) != 0)
        CHECK(memcmp(&address, &nobody, sizeof address) == 0);
    if (strncmp(text, "ipv4:", 5) == 0 && memcmp(&address, &nobody, sizeof address) != 0)
        CHECK(address.bytes[10] == 0xff && address.bytes[11] == 0xff);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = strndup((const char *)data, size);

    CHECK(text != NULL);
    check_url(text);
    check_peer(text);
    free(text);
    return 0;
}
