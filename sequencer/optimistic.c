#include "sequencer/optimistic.h"

#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/bytes.h"
#include "common/limits.h"
#include "rollup-kernel/host/pvm.h"

/* Messages of one local level: fewer bytes than L1 takes, so that the kernel reads a level in one piece. */
#define LEVEL_MESSAGES_MAX 110u

/* Cursors remembered for comparing with the rollup, which is some levels behind. */
#define CURSORS_KEPT 4096u

struct cursor {
    uint64_t index; /* 0: none */
    uint8_t bytes[ROLLUP_CURSOR_BYTES];
};

struct optimistic {
    struct optimistic_options options;
    struct pvm *pvm;
    struct durable *view;
    struct event *step;
    uint64_t given;   /* last pre-block taken */
    uint64_t applied; /* in the view */
    int32_t level;
    struct da_preblock *queue[OPTIMISTIC_QUEUE_MAX + 32u];
    uint32_t count;
    uint32_t covered; /* of the queue, by a certificate: the first ones */
    uint32_t page;    /* of the first in the queue: next to feed */
    bool begun;       /* the first's segment was fed */
    bool in_level;
    bool failed;
    struct cursor cursors[CURSORS_KEPT];
    uint8_t messages[LEVEL_MESSAGES_MAX + 1][INBOX_MESSAGE_BYTES_MAX];
};

static const struct timeval at_once = {0, 0};

static uint64_t read_index(const struct durable *durable)
{
    struct bytes value;

    if (!durable_value(&value, durable, durable_path("/index")) || value.len != 8) return 0;
    struct reader reader = reader_make(value.data, value.len);
    return reader_u64_be(&reader);
}

static void remember(struct optimistic *optimistic)
{
    struct bytes value;
    struct cursor *cursor = &optimistic->cursors[optimistic->applied % CURSORS_KEPT];

    cursor->index = 0;
    if (!durable_value(&value, optimistic->view, durable_path("/state/cursor"))) return;
    if (value.len != sizeof cursor->bytes) return;
    cursor->index = optimistic->applied;
    memcpy(cursor->bytes, value.data, value.len);
}

static void take_view(struct optimistic *optimistic)
{
    durable_close(optimistic->view);
    optimistic->view = durable_snapshot(pvm_durable(optimistic->pvm));
    optimistic->applied = read_index(optimistic->view);
    remember(optimistic);
}

/* ---- levels ---------------------------------------------------------------------------------- */

/* How many of the queue the segment that begins with its first covers. */
static uint32_t segment_count(const struct optimistic *optimistic)
{
    uint32_t count = 0;

    while (count < optimistic->covered && optimistic->queue[count]->quorum.count == 0)
        count++;
    return count < optimistic->covered ? count + 1 : 0;
}

/* The next level for the first pre-block of the queue: its segment, then its pages. */
static void begin_level(struct optimistic *optimistic)
{
    struct da_preblock *preblock = optimistic->queue[0];
    struct bytes messages[LEVEL_MESSAGES_MAX + 1];
    uint32_t count = 0;

    if (!optimistic->begun) {
        uint32_t headers = segment_count(optimistic);
        CHECK(headers >= 1);
        size_t len =
            da_segment_message(optimistic->messages[0], optimistic->options.address,
                               (const struct da_preblock *const *)optimistic->queue, headers);
        messages[count++] = (struct bytes){optimistic->messages[0], len};
        optimistic->begun = true;
    }
    while (optimistic->page < preblock->pages_count && count < LEVEL_MESSAGES_MAX) {
        size_t len = da_page_message(optimistic->messages[count], optimistic->options.address,
                                     preblock, &preblock->pages[optimistic->page++], 0);
        messages[count] = (struct bytes){optimistic->messages[count], len};
        count++;
    }
    const struct pvm_level level = {
        .level = ++optimistic->level,
        .predecessor_timestamp = (int64_t)(preblock->header.timestamp / 1000),
    };
    pvm_begin(optimistic->pvm, &level, messages, count);
    optimistic->in_level = true;
}

static void fail(struct optimistic *optimistic, const char *reason)
{
    optimistic->failed = true;
    optimistic->options.on_failed(optimistic->options.context, reason);
}

/* A level is done; with the pre-block's last one, it must be applied. */
static void end_level(struct optimistic *optimistic)
{
    struct da_preblock *preblock = optimistic->queue[0];
    char reason[160];

    optimistic->in_level = false;
    if (optimistic->page < preblock->pages_count) return;
    uint64_t index = preblock->header.index;
    /* The copied state may have had all pages of the next ones already, and they are applied with it. */
    if (read_index(pvm_durable(optimistic->pvm)) < index) {
        snprintf(reason, sizeof reason, "the kernel did not apply pre-block %llu",
                 (unsigned long long)index);
        fail(optimistic, reason);
        return;
    }
    take_view(optimistic);
    da_preblock_free(preblock);
    optimistic->count--;
    optimistic->covered--;
    memmove(optimistic->queue, optimistic->queue + 1,
            optimistic->count * sizeof(struct da_preblock *));
    optimistic->page = 0;
    optimistic->begun = false;
    optimistic->options.on_applied(optimistic->options.context, index);
}

/* One run of the kernel, or one level begun. */
static void on_step(evutil_socket_t fd, short what, void *context)
{
    struct optimistic *optimistic = context;

    (void)fd;
    (void)what;
    if (optimistic->failed || (!optimistic->in_level && optimistic->covered == 0)) return;
    event_add(optimistic->step, &at_once); /* first: a callback may close this */
    if (!optimistic->in_level) begin_level(optimistic);
    switch (pvm_step(optimistic->pvm)) {
    case PVM_LEVEL_DONE:
        end_level(optimistic);
        break;
    case PVM_AGAIN:
        break;
    case PVM_WAITING:
        fail(optimistic, "the kernel waits for a preimage");
        break;
    case PVM_BROKEN:
        fail(optimistic, pvm_error(optimistic->pvm));
        break;
    }
}

/* ---- life ------------------------------------------------------------------------------------ */

struct optimistic *optimistic_open(const struct optimistic_options *options,
                                   struct durable *durable,
                                   uint64_t applied)
{
    struct optimistic *optimistic = calloc(1, sizeof *optimistic);
    struct pvm_options machine = {.origination_level = 0};

    CHECK(optimistic != NULL);
    optimistic->options = *options;
    memcpy(machine.address, options->address, sizeof machine.address);
    optimistic->pvm = pvm_new(&machine, options->engine, durable);
    optimistic->given = applied;
    optimistic->step = event_new(options->base, -1, 0, on_step, optimistic);
    CHECK(optimistic->step != NULL);
    take_view(optimistic);
    optimistic->applied = applied;
    return optimistic;
}

void optimistic_close(struct optimistic *optimistic)
{
    if (optimistic == NULL) return;
    event_free(optimistic->step);
    for (uint32_t i = 0; i < optimistic->count; i++)
        da_preblock_free(optimistic->queue[i]);
    durable_close(optimistic->view);
    pvm_close(optimistic->pvm);
    free(optimistic);
}

void optimistic_add(struct optimistic *optimistic, struct da_preblock *preblock)
{
    CHECK(preblock->header.index == optimistic->given + 1);
    CHECK(optimistic->count < sizeof optimistic->queue / sizeof optimistic->queue[0]);
    optimistic->given++;
    optimistic->queue[optimistic->count++] = preblock;
    if (preblock->quorum.count == 0) return;
    optimistic->covered = optimistic->count;
    event_add(optimistic->step, &at_once);
}

bool optimistic_is_full(const struct optimistic *optimistic)
{
    return optimistic->count >= OPTIMISTIC_QUEUE_MAX;
}

uint64_t optimistic_index(const struct optimistic *optimistic)
{
    return optimistic->applied;
}

const struct durable *optimistic_view(const struct optimistic *optimistic)
{
    return optimistic->view;
}

enum optimistic_verdict optimistic_compare(const struct optimistic *optimistic,
                                           const struct rollup_state *state)
{
    struct reader reader = reader_make(state->cursor, sizeof state->cursor);
    const struct cursor *cursor = &optimistic->cursors[state->applied % CURSORS_KEPT];

    if (!state->installed || state->applied == 0 || cursor->index != state->applied)
        return OPTIMISTIC_UNKNOWN;
    uint64_t index = reader_u64_be(&reader);
    uint32_t batch = reader_u32_be(&reader);
    uint32_t transaction = reader_u32_be(&reader);
    if (index != state->applied || batch != 0 || transaction != 0) return OPTIMISTIC_UNKNOWN;
    bool equal = memcmp(cursor->bytes, state->cursor, sizeof cursor->bytes) == 0;
    return equal ? OPTIMISTIC_EQUAL : OPTIMISTIC_DIFFERENT;
}
