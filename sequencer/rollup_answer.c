#include "sequencer/rollup_answer.h"

#include "common/bcs.h"
#include "common/bytes.h"
#include "rollup-kernel/host/base58.h"

bool rollup_read_hex(uint8_t *ret_data, size_t *ret_len, size_t capacity, const json_t *json)
{
    size_t len = json_string_length(json);

    if (!json_is_string(json) || len % 2 != 0 || len / 2 > capacity) return false;
    if (!hex_decode(ret_data, len / 2, json_string_value(json), len)) return false;
    *ret_len = len / 2;
    return true;
}

bool rollup_read_hash(char ret_hash[ROLLUP_HASH_BYTES], const json_t *json)
{
    static const char allowed[] = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
    const char *text = json_string_value(json);
    size_t len = json_string_length(json);

    if (text == NULL || len == 0 || len >= ROLLUP_HASH_BYTES || strspn(text, allowed) != len)
        return false;
    memcpy(ret_hash, text, len + 1);
    return true;
}

bool rollup_read_level(int32_t *ret_level, const json_t *json)
{
    json_int_t level = json_integer_value(json);

    if (!json_is_integer(json) || level < 0 || level > INT32_MAX) return false;
    *ret_level = (int32_t)level;
    return true;
}

bool rollup_read_address(uint8_t ret_address[20], const json_t *json)
{
    const char *text = json_string_value(json);

    return text != NULL && base58_decode(ret_address, BASE58_ROLLUP, text) == OK;
}

uint32_t rollup_read_digests(struct digest *ret_digests, uint32_t max, const json_t *json)
{
    uint32_t count = 0;
    size_t at;
    const json_t *name;

    json_array_foreach(json, at, name)
    {
        size_t len;
        if (count == max) break;
        struct digest *digest = &ret_digests[count];
        if (rollup_read_hex(digest->bytes, &len, sizeof digest->bytes, name) &&
            len == sizeof digest->bytes)
            count++;
    }
    return count;
}

const char *rollup_read_ids(struct digest *ret_ids, uint32_t count, const json_t *json)
{
    if (json_array_size(json) != count) return "injection: as many ids as messages were expected";
    for (uint32_t i = 0; i < count; i++) {
        const char *id = json_string_value(json_array_get(json, i));
        if (id == NULL || base58_decode(ret_ids[i].bytes, BASE58_MESSAGE, id) != OK)
            return "injection: an id that is not scmsg...";
    }
    return NULL;
}

bool rollup_read_message(enum rollup_message_state *ret_state,
                         int32_t *ret_level,
                         const json_t *json)
{
    const char *status = json_string_value(json_object_get(json, "status"));
    const json_t *level = json_object_get(json_object_get(json, "layer1"), "level");

    if (status == NULL) return false;
    *ret_state = ROLLUP_MESSAGE_INCLUDED;
    if (strcmp(status, "unknown") == 0) *ret_state = ROLLUP_MESSAGE_UNKNOWN;
    if (strncmp(status, "pending", 7) == 0) *ret_state = ROLLUP_MESSAGE_QUEUED;
    if (strcmp(status, "injected") == 0) *ret_state = ROLLUP_MESSAGE_INJECTED;
    *ret_level = 0;
    (void)rollup_read_level(ret_level, level);
    return true;
}

json_t *rollup_block_digests(struct bytes value)
{
    struct reader reader = reader_make(value.data, value.len);
    uint32_t count = bcs_read_length(&reader, ROLLUP_BLOCK_BYTES_MAX / sizeof(struct digest));
    json_t *list = json_array();

    for (uint32_t i = 0; i < count && !reader.failed; i++) {
        struct bytes digest = reader_view(&reader, sizeof(struct digest));
        char hex[2 * sizeof(struct digest) + 1];
        if (reader.failed) break;
        hex_encode(hex, digest.data, digest.len);
        json_array_append_new(list, json_string(hex));
    }
    if (reader_done(&reader)) return list;
    json_decref(list);
    return NULL;
}
