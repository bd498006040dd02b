#include "tests/fuzz/fuzz.h"

#include <stdlib.h>

#include "common/address.h"
#include "common/log.h"

/* Hex and addresses: what is accepted is written back as the same thing. Log lines: always one
 * line. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);
    memcpy(text, data, size);
    text[size] = '\0';

    uint8_t *bytes = malloc(size / 2 + 1);
    if (hex_decode(bytes, size / 2, text, size)) {
        char *again = malloc(size + 1);
        CHECK(size % 2 == 0);
        hex_encode(again, bytes, size / 2);
        for (size_t i = 0; i < size; i++) {
            CHECK(again[i] == (text[i] >= 'A' && text[i] <= 'F' ? text[i] + 32 : text[i]));
        }
        free(again);
    }
    free(bytes);

    struct address address;
    if (address_parse(&address, text) == OK) {
        char formatted[ADDRESS_TEXT_BYTES_MAX];
        struct address again;
        address_format(formatted, &address);
        CHECK(address_parse(&again, formatted) == OK);
        CHECK(strcmp(again.host, address.host) == 0);
        CHECK(again.port == address.port);
    }

    char line[LOG_LINE_BYTES_MAX];
    size_t len = log_format(line, 1767323045678, LOG_LEVEL_WARN, text);
    CHECK(len <= sizeof line);
    CHECK(line[len - 1] == '\n');
    for (size_t i = 0; i + 1 < len; i++) {
        CHECK(line[i] >= 0x20 && line[i] <= 0x7e);
    }
    free(text);
    return 0;
}
