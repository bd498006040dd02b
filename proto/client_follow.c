#include <stdlib.h>

#include "proto/client_export.h"

/* A small command of the program. */
struct export_command {
    struct queue_tag tag;
    struct client_export *export;
    uint64_t resume_after;
    uint32_t generation;
};

/* ---- client thread: commands ----------------------------------------------------------------- */

/* An export without a connection ends at once. */
static void end_now(struct client_export *export)
{
    struct event *event = export_make_event(export, CLIENT_EVENT_EXPORT_DONE);
    event->event.code = CLIENT_CANCELLED;
    export->state = EXPORT_ENDED;
    client_event_post(export->client, event);
}

static void run_open(struct queue_tag *tag, bool ok)
{
    (void)ok;
    struct client_export *export = QUEUE_ITEM(tag, struct client_export, open_tag);
    struct client *client = export->client;
    export->next = client->exports;
    if (export->next != NULL) export->next->previous = export;
    client->exports = export;
    export_connect(export);
}

static void run_close(struct queue_tag *tag, bool ok)
{
    (void)ok;
    struct client_export *export = QUEUE_ITEM(tag, struct client_export, close_tag);
    export->ending = true;
    if (export->state == EXPORT_RUNNING) {
        (void)grpc_call_cancel(export->call, NULL);
    } else if (export->state != EXPORT_ENDED) {
        end_now(export);
    }
}

static void run_free(struct queue_tag *tag, bool ok)
{
    (void)ok;
    struct client_export *export = QUEUE_ITEM(tag, struct client_export, free_tag);
    if (export->next != NULL) export->next->previous = export->previous;
    if (export->previous != NULL) export->previous->next = export->next;
    if (export->client->exports == export) export->client->exports = export->next;
    free(export);
}

/* The program gave a sub-DAG back. */
static void run_credit(struct queue_tag *tag, bool ok)
{
    (void)ok;
    struct export_command *command = QUEUE_ITEM(tag, struct export_command, tag);
    CHECK(command->export->out >= 1);
    command->export->out--;
    export_receive(command->export);
    free(command);
}

/* The program has seen EXPORT_DOWN: the next connection may be opened. */
static void run_go_on(struct queue_tag *tag, bool ok)
{
    (void)ok;
    struct export_command *command = QUEUE_ITEM(tag, struct export_command, tag);
    struct client_export *export = command->export;
    free(command);
    if (export->state != EXPORT_HELD) return;
    export->state = EXPORT_WAITING;
    export->retry_us = queue_now_us() + export->pause_us;
    export->pause_us = u64_min(2 * export->pause_us, RETRY_US_MAX);
}

static void run_next_channel(struct queue_tag *tag, bool ok)
{
    (void)ok;
    struct export_command *command = QUEUE_ITEM(tag, struct export_command, tag);
    struct client_export *export = command->export;
    export->last_id = command->resume_after;
    export->generation_sent = command->generation;
    if (export->state == EXPORT_RUNNING) export_cut(export, "the reader turned to the next node");
    free(command);
}

/* ---- program thread -------------------------------------------------------------------------- */

static void post(struct client_export *export,
                 void (*run)(struct queue_tag *tag, bool ok),
                 uint64_t resume_after)
{
    struct export_command *command = calloc(1, sizeof *command);
    CHECK(command != NULL);
    command->tag.run = run;
    command->export = export;
    command->resume_after = resume_after;
    command->generation = export->generation;
    queue_post(export->client->queue, &command->tag);
}

/* Sub-DAGs from before a change of position are not shown. */
bool export_take_event(struct client_export *export, struct event *event)
{
    return event->event.kind != CLIENT_EVENT_SUBDAG || event->generation == export->generation;
}

void export_free_event(struct client_export *export, struct event *event)
{
    if (event->event.kind == CLIENT_EVENT_SUBDAG) post(export, run_credit, 0);
    if (event->event.kind == CLIENT_EVENT_EXPORT_DOWN) post(export, run_go_on, 0);
    if (event->event.kind != CLIENT_EVENT_EXPORT_DONE) return;
    CHECK(export->client->exports_count >= 1);
    export->client->exports_count--;
    queue_post(export->client->queue, &export->free_tag);
}

enum status client_export_open(struct client_export **ret_export,
                               struct client *client,
                               struct client_channel *const *channels,
                               uint32_t channels_count,
                               uint64_t from_id,
                               bool certified,
                               void *user)
{
    if (channels_count == 0 || channels_count > CLIENT_EXPORT_CHANNELS_MAX) return ERR_CONFIG;
    if (client->exports_count >= CLIENT_EXPORTS_MAX) return ERR_FULL;
    struct client_export *export = calloc(1, sizeof *export);
    CHECK(export != NULL);
    export->client = client;
    memcpy(export->channels, channels, channels_count * sizeof(struct client_channel *));
    export->channels_count = channels_count;
    export->certified = certified;
    export->user = user;
    export->last_id = from_id;
    export->pause_us = RETRY_US_MIN;
    export_init_tags(export);
    export->open_tag.run = run_open;
    export->close_tag.run = run_close;
    export->free_tag.run = run_free;
    client->exports_count++;
    queue_post(client->queue, &export->open_tag);
    *ret_export = export;
    return OK;
}

void client_export_next_channel(struct client_export *export, uint64_t resume_after)
{
    if (export->closing) return;
    export->generation++;
    post(export, run_next_channel, resume_after);
}

void client_export_close(struct client_export *export)
{
    if (export == NULL || export->closing) return;
    export->closing = true;
    queue_post(export->client->queue, &export->close_tag);
}
