#include "tests/fuzz/fuzz.h"

#include <strings.h>

#include "common/bytes.h"
#include "rollup-kernel/host/base58.h"
#include "sequencer/rollup_answer.h"

/* One JSON answer of a rollup node that may be anything, as each of the questions that it could be the answer to.
 * What is taken is written as the node would write it. */
static void check_hex(const json_t *json)
{
    uint8_t data[2048];
    char again[2 * sizeof data + 1];
    size_t len = 0;

    if (!rollup_read_hex(data, &len, sizeof data, json)) return;
    hex_encode(again, data, len);
    CHECK(strcasecmp(again, json_string_value(json)) == 0);
}

static void check_names(const json_t *json)
{
    struct digest digests[8];
    uint32_t count = rollup_read_digests(digests, 8, json);

    CHECK(count <= 8);
    CHECK(count <= json_array_size(json));
    for (uint32_t i = 0; i < count; i++) {
        char hex[65];
        bool listed = false;
        hex_encode(hex, digests[i].bytes, sizeof digests[i].bytes);
        for (size_t at = 0; at < json_array_size(json) && !listed; at++) {
            const char *name = json_string_value(json_array_get(json, at));
            listed = name != NULL && strcasecmp(name, hex) == 0;
        }
        CHECK(listed);
    }
}

static void check_ids(const json_t *json)
{
    struct digest ids[4];
    char text[BASE58_TEXT_MAX];

    for (uint32_t count = 0; count <= 4; count++) {
        if (rollup_read_ids(ids, count, json) != NULL) continue;
        CHECK(json_array_size(json) == count);
        for (uint32_t i = 0; i < count; i++) {
            base58_encode(text, BASE58_MESSAGE, ids[i].bytes);
            CHECK(strcmp(text, json_string_value(json_array_get(json, i))) == 0);
        }
    }
}

static void check_texts(const json_t *json)
{
    char text[BASE58_TEXT_MAX];
    char hash[ROLLUP_HASH_BYTES];
    uint8_t address[20];
    enum rollup_message_state state;
    int32_t level;

    if (rollup_read_hash(hash, json)) {
        CHECK(strcmp(hash, json_string_value(json)) == 0);
        CHECK(strpbrk(hash, "/?#% \r\n") == NULL);
    }
    if (rollup_read_address(address, json)) {
        base58_encode(text, BASE58_ROLLUP, address);
        CHECK(strcmp(text, json_string_value(json)) == 0);
    }
    if (rollup_read_level(&level, json)) CHECK(level == json_integer_value(json));
    if (rollup_read_message(&state, &level, json)) CHECK(level >= 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    json_t *json = json_loadb((const char *)data, size, JSON_DECODE_ANY, NULL);

    check_hex(json);
    check_names(json);
    check_ids(json);
    check_texts(json);
    json_decref(json);
    return 0;
}
