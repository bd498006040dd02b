/* The loop thread's half: every function makes a command and posts it to gRPC's queue, where
 * run_command carries it out on the gRPC thread. */
#include <stdlib.h>

#include "consensus/node/api_internal.h"

/* A message from the loop thread, posted to the queue. */
enum command_kind {
    COMMAND_EVENT,
    COMMAND_TIP,
    COMMAND_ITEM,
    COMMAND_GONE,
    COMMAND_READY,
    COMMAND_SERVING,
    COMMAND_PRESSED,
    COMMAND_ACCESS,
    COMMAND_STOP,
    COMMAND_CLOSE,
};

struct command {
    struct queue_tag tag;
    enum command_kind kind;
    struct api *api;
    uint64_t ticket;
    struct intake_result result;
    uint64_t index;
    uint64_t oldest;
    uint64_t made;
    uint64_t certified_tip;
    bool certified;
    struct buffer *subdag;
    bool on;
    struct api_door *door;
};

/* ---- on the gRPC thread ---------------------------------------------------------------------- */

static void run_command(struct queue_tag *tag, bool ok)
{
    struct command *command = QUEUE_ITEM(tag, struct command, tag);
    struct api *api = command->api;
    CHECK(ok);
    switch (command->kind) {
    case COMMAND_EVENT:
        intake_event(api->intake, command->ticket, &command->result);
        break;
    case COMMAND_TIP:
        api->oldest = u64_max(api->oldest, command->oldest);
        api->made = u64_max(api->made, command->made);
        api->certified = u64_max(api->certified, command->certified_tip);
        exports_on_tip(api);
        break;
    case COMMAND_ITEM:
        exports_on_item(api, command->index, command->certified, command->subdag);
        buffer_unref(command->subdag);
        break;
    case COMMAND_GONE:
        api->oldest = u64_max(api->oldest, command->oldest);
        exports_on_gone(api, command->index, command->certified);
        break;
    case COMMAND_READY:
        api->ready = command->on;
        break;
    case COMMAND_SERVING:
        api->serving = command->on;
        health_on_change(api);
        break;
    case COMMAND_PRESSED:
        intake_set_pressed(api->intake, command->on);
        break;
    case COMMAND_ACCESS:
        api_door_inherit(command->door, api->door);
        api->door = command->door;
        break;
    case COMMAND_STOP:
        api_run_stop(api);
        break;
    case COMMAND_CLOSE:
        api_run_close(api);
        break;
    }
    free(command);
}

/* ---- from the loop --------------------------------------------------------------------------- */

static struct command *make_command(struct api *api, enum command_kind kind)
{
    struct command *command = calloc(1, sizeof *command);
    CHECK(command != NULL);
    command->tag.run = run_command;
    command->kind = kind;
    command->api = api;
    return command;
}

static void post(struct command *command)
{
    queue_post(command->api->queue, &command->tag);
}

static void post_level(struct api *api,
                       uint64_t ticket,
                       const struct digest *digest,
                       enum api_level level,
                       uint64_t index,
                       uint32_t position)
{
    struct command *command = make_command(api, COMMAND_EVENT);
    command->ticket = ticket;
    command->result.level = level;
    command->result.digest = *digest;
    command->result.index = index;
    command->result.position = position;
    post(command);
}

void api_post_accepted(struct api *api, uint64_t ticket, const struct digest *digest)
{
    post_level(api, ticket, digest, API_LEVEL_ACCEPTED, 0, 0);
}

void api_post_certified(struct api *api, uint64_t ticket, const struct digest *digest)
{
    post_level(api, ticket, digest, API_LEVEL_CERTIFIED, 0, 0);
}

void api_post_committed(struct api *api,
                        uint64_t ticket,
                        const struct digest *digest,
                        uint64_t index,
                        uint32_t position)
{
    post_level(api, ticket, digest, API_LEVEL_COMMITTED, index, position);
}

void api_post_failed(struct api *api, uint64_t ticket, const char *reason)
{
    struct command *command = make_command(api, COMMAND_EVENT);
    command->ticket = ticket;
    command->result.failed = reason;
    post(command);
}

void api_post_tip(struct api *api, uint64_t oldest, uint64_t made, uint64_t certified)
{
    struct command *command = make_command(api, COMMAND_TIP);
    command->oldest = oldest;
    command->made = made;
    command->certified_tip = certified;
    post(command);
}

void api_post_item(struct api *api, uint64_t index, bool certified, struct buffer *subdag)
{
    struct command *command = make_command(api, COMMAND_ITEM);
    command->index = index;
    command->certified = certified;
    command->subdag = buffer_ref(subdag);
    post(command);
}

void api_post_gone(struct api *api, uint64_t index, bool certified, uint64_t oldest)
{
    struct command *command = make_command(api, COMMAND_GONE);
    command->index = index;
    command->certified = certified;
    command->oldest = oldest;
    post(command);
}

void api_set_ready(struct api *api, bool ready)
{
    struct command *command = make_command(api, COMMAND_READY);
    command->on = ready;
    post(command);
}

void api_set_serving(struct api *api, bool serving)
{
    struct command *command = make_command(api, COMMAND_SERVING);
    command->on = serving;
    post(command);
}

void api_set_pressed(struct api *api, bool pressed)
{
    struct command *command = make_command(api, COMMAND_PRESSED);
    command->on = pressed;
    post(command);
}

void api_set_access(struct api *api, const struct api_access *access)
{
    CHECK((api->tls == NULL) == (access->tls == NULL));
    if (api->tls != NULL) api_tls_set(api->tls, access->tls);
    struct api_door *door = api_door_new(access);
    if (door == NULL) return;
    struct command *command = make_command(api, COMMAND_ACCESS);
    command->door = door;
    post(command);
}

void api_stop(struct api *api)
{
    post(make_command(api, COMMAND_STOP));
}

void api_post_close(struct api *api)
{
    post(make_command(api, COMMAND_CLOSE));
}
