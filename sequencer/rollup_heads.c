#include "sequencer/rollup_heads.h"

/* Not with strchr: a zero byte would be one, too, but only behind a value. */
static bool is_blank(char c)
{
    return c == ' ' || c == '\r' || c == '\n' || c == '\t';
}

/* Takes whole JSON values off the text; blocks are objects. */
static void read_values(struct rollup_heads *heads, rollup_heads_take *take, void *context)
{
    size_t at = 0;

    while (at < heads->len) {
        char hash[ROLLUP_HASH_BYTES];
        int32_t level;
        json_error_t error;
        json_t *json =
            json_loadb(heads->text + at, heads->len - at, JSON_DISABLE_EOF_CHECK, &error);
        if (json == NULL) break;
        at += (size_t)error.position;
        if (rollup_read_level(&level, json_object_get(json, "level")) &&
            rollup_read_hash(hash, json_object_get(json, "block_hash")))
            take(context, level, hash);
        json_decref(json);
        while (at < heads->len && is_blank(heads->text[at]))
            at++;
    }
    memmove(heads->text, heads->text + at, heads->len - at);
    heads->len -= at;
}

void rollup_heads_add(struct rollup_heads *heads,
                      const uint8_t *data,
                      size_t len,
                      rollup_heads_take *take,
                      void *context)
{
    if (len > sizeof heads->text - heads->len) heads->len = 0;
    if (len > sizeof heads->text) return;
    memcpy(heads->text + heads->len, data, len);
    heads->len += len;
    read_values(heads, take, context);
}
