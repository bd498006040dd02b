#include "sequencer/rollup_state.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/bytes.h"

struct read;

/* One value of the state: where it is and how it is taken. A value that is absent is not taken. */
struct field {
    const char *path;
    size_t len; /* that the value must have */
    void (*take)(struct rollup_state *state, struct reader *reader);
    bool finalized; /* read at the finalized block */
};

static void take_accepted(struct rollup_state *state, struct reader *reader)
{
    state->accepted = reader_u64_be(reader);
    state->installed = true;
}

static void take_accepted_digest(struct rollup_state *state, struct reader *reader)
{
    reader_copy(reader, state->accepted_digest.bytes, sizeof state->accepted_digest.bytes);
}

static void take_applied(struct rollup_state *state, struct reader *reader)
{
    state->applied = reader_u64_be(reader);
}

static void take_applied_digest(struct rollup_state *state, struct reader *reader)
{
    reader_copy(reader, state->applied_digest.bytes, sizeof state->applied_digest.bytes);
}

static void take_finalized(struct rollup_state *state, struct reader *reader)
{
    state->finalized = reader_u64_be(reader);
}

static void take_head(struct rollup_state *state, struct reader *reader)
{
    state->head = reader_u32_be(reader);
    state->has_head = true;
}

static void take_mode(struct rollup_state *state, struct reader *reader)
{
    state->mode = reader_u8(reader);
}

static void take_cursor(struct rollup_state *state, struct reader *reader)
{
    struct reader fields = *reader;

    reader_copy(reader, state->cursor, sizeof state->cursor);
    (void)reader_view(&fields, 8 + 4 + 4 + 4);
    state->skipped = reader_u32_be(&fields);
    state->faulty = reader_u32_be(&fields);
}

static const struct field fields[] = {
    {"/accepted", 8, take_accepted, false},
    {"/accepted/digest", 32, take_accepted_digest, false},
    {"/index", 8, take_applied, false},
    {"/digest", 32, take_applied_digest, false},
    {"/index", 8, take_finalized, true},
    {"/head", 4, take_head, false},
    {"/mode", 1, take_mode, false},
    {"/state/cursor", ROLLUP_CURSOR_BYTES, take_cursor, false},
};
#define FIELDS (sizeof fields / sizeof fields[0])

struct slot {
    struct read *read;
    const struct field *field;
};

struct read {
    struct rollup_state state;
    rollup_state_done *done;
    void *context;
    size_t left;
    struct slot slots[FIELDS];
    char failure[256]; /* the first one */
};

static void read_end(struct read *read)
{
    const struct rollup_state *state = &read->state;

    if (read->failure[0] == '\0' &&
        (state->applied > state->accepted || state->finalized > UINT64_MAX / 2))
        snprintf(read->failure, sizeof read->failure, "applied index %llu, but accepted %llu",
                 (unsigned long long)state->applied, (unsigned long long)state->accepted);
    if (read->failure[0] == '\0') {
        read->done(read->context, state, NULL);
    } else {
        read->done(read->context, NULL, read->failure);
    }
    free(read);
}

static void on_field(void *context, const json_t *json, const char *failure)
{
    struct slot *slot = context;
    struct read *read = slot->read;
    uint8_t data[ROLLUP_CURSOR_BYTES];
    size_t len;

    if (failure != NULL) {
        if (read->failure[0] == '\0') snprintf(read->failure, sizeof read->failure, "%s", failure);
    } else if (!json_is_null(json)) {
        if (rollup_read_hex(data, &len, sizeof data, json) && len == slot->field->len) {
            struct reader reader = reader_make(data, len);
            slot->field->take(&read->state, &reader);
        } else {
            snprintf(read->failure, sizeof read->failure, "%s: not a value of %zu bytes",
                     slot->field->path, slot->field->len);
        }
    }
    if (--read->left == 0) read_end(read);
}

void rollup_state_read(struct rollup_client *client,
                       rollup_state_done *done,
                       void *context,
                       int32_t level,
                       const char *hash)
{
    struct read *read = calloc(1, sizeof *read);

    CHECK(read != NULL);
    CHECK(strlen(hash) < sizeof read->state.hash);
    read->state.level = level;
    memcpy(read->state.hash, hash, strlen(hash) + 1);
    read->done = done;
    read->context = context;
    read->left = FIELDS;
    for (size_t i = 0; i < FIELDS; i++) {
        read->slots[i] = (struct slot){read, &fields[i]};
        rollup_get_value(client, on_field, &read->slots[i],
                         fields[i].finalized ? "finalized" : hash, fields[i].path);
    }
}
