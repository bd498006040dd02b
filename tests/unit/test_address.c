/* Goal: addresses are read in exactly the forms the header names. Method: a table of texts. */
#include "tests/unit/unit.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include "common/address.h"

static void good_addresses_are_read(void **state)
{
    (void)state;
    const struct {
        const char *text;
        const char *host;
        uint16_t port;
        const char *formatted;
    } cases[] = {
        {"127.0.0.1:64010", "127.0.0.1", 64010, "127.0.0.1:64010"},
        {"http://127.0.0.1:64011", "127.0.0.1", 64011, "127.0.0.1:64011"},
        {"http://node-1.example:80/", "node-1.example", 80, "node-1.example:80"},
        {"localhost:0", "localhost", 0, "localhost:0"},
        {"[::1]:65535", "::1", 65535, "[::1]:65535"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct address address;
        char text[ADDRESS_TEXT_BYTES_MAX];
        assert_int_equal(address_parse(&address, cases[i].text), OK);
        assert_string_equal(address.host, cases[i].host);
        assert_int_equal(address.port, cases[i].port);
        address_format(text, &address);
        assert_string_equal(text, cases[i].formatted);
    }
}

static void other_forms_are_refused(void **state)
{
    (void)state;
    const char *const texts[] = {
        "",         "localhost",        "localhost:",    ":80",          "localhost:65536",
        "a:1:2",    "localhost:-1",     "localhost:8o",  "a b:80",       "https://a:1",
        "http://",  "http://a:80/path", "http://a",      "[::1]",        "[::1:80",
        "[]:80",    "[local]:80",       "localhost:80/", "localhost: 1", "a/b:1",
        "a:000080", "[%]:80",           "[12]:80",
    };
    char longest[400];
    struct address address;

    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        if (address_parse(&address, texts[i]) != ERR_MALFORMED) fail_msg("%s", texts[i]);
    }
    memset(longest, 'a', sizeof longest);
    memcpy(longest + ADDRESS_HOST_BYTES_MAX, ":1", 3);
    assert_int_equal(address_parse(&address, longest), ERR_MALFORMED);
    assert_int_equal(address_parse(&address, longest + 1), OK);
}

static void numbers_resolve_to_socket_addresses(void **state)
{
    (void)state;
    struct address address;
    struct sockaddr_storage storage;
    socklen_t len;

    assert_int_equal(address_parse(&address, "127.0.0.1:64010"), OK);
    assert_int_equal(address_resolve(&storage, &len, &address), OK);
    const struct sockaddr_in *in = (const struct sockaddr_in *)&storage;
    assert_int_equal(len, sizeof *in);
    assert_int_equal(in->sin_family, AF_INET);
    assert_int_equal(ntohs(in->sin_port), 64010);
    assert_int_equal(ntohl(in->sin_addr.s_addr), INADDR_LOOPBACK);

    assert_int_equal(address_parse(&address, "[::1]:1"), OK);
    assert_int_equal(address_resolve(&storage, &len, &address), OK);
    assert_int_equal(storage.ss_family, AF_INET6);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_addresses_are_read),
        cmocka_unit_test(other_forms_are_refused),
        cmocka_unit_test(numbers_resolve_to_socket_addresses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
