#include "tests/fuzz/fuzz.h"

#include <stdlib.h>

#include "rollup-kernel/host/base58.h"

/* Addresses and hashes as Tezos writes them have one text each. The text itself is tried, and, as none passes its
 * check by chance, what a small change makes of the text of a payload.
 *
 *   input = kind u8 | either a text, or payload | changes: (what u8 | where u8 | character u8)* */
static const size_t payload_bytes[] = {
    [BASE58_ROLLUP] = 20,  [BASE58_BLOCK] = 32, [BASE58_OPERATION] = 32,
    [BASE58_MESSAGE] = 32, [BASE58_STATE] = 32, [BASE58_CONTRACT] = 20,
};
#define KINDS (sizeof payload_bytes / sizeof payload_bytes[0])

static void check_text(enum base58_kind kind, const char *text)
{
    uint8_t payload[32];
    char again[BASE58_TEXT_MAX];

    if (base58_decode(payload, kind, text) != OK) return;
    base58_encode(again, kind, payload);
    CHECK(strcmp(again, text) == 0);
}

/* Inserts, deletes or replaces a character. */
static void change(char text[2 * BASE58_TEXT_MAX], uint8_t what, uint8_t where, char character)
{
    size_t len = strlen(text);
    char *at = text + where % (len + 1);

    if (character == '\0') character = '1';
    if (what % 3 == 0 && len < 2 * BASE58_TEXT_MAX - 1) {
        memmove(at + 1, at, strlen(at) + 1);
        *at = character;
    } else if (what % 3 == 1 && *at != '\0') {
        memmove(at, at + 1, strlen(at));
    } else if (*at != '\0') {
        *at = character;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) return 0;
    enum base58_kind kind = (enum base58_kind)(data[0] % KINDS);
    char *whole = strndup((const char *)data + 1, size - 1);
    CHECK(whole != NULL);
    check_text(kind, whole);
    free(whole);

    size_t len = payload_bytes[kind];
    char text[2 * BASE58_TEXT_MAX];
    uint8_t payload[32];
    if (size < 1 + len) return 0;
    base58_encode(text, kind, data + 1);
    CHECK(base58_decode(payload, kind, text) == OK);
    CHECK(memcmp(payload, data + 1, len) == 0);
    for (size_t at = 1 + len; size - at >= 3 && at < 1 + len + 24; at += 3) {
        change(text, data[at], data[at + 1], (char)data[at + 2]);
        check_text(kind, text);
    }
    return 0;
}
