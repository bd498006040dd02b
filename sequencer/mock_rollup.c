#include "sequencer/mock_rollup.h"

#include <event2/event.h>
#include <stdlib.h>
#include <time.h>

#include "common/log.h"
#include "rollup-kernel/host/rpc.h"

struct mock_rollup {
    struct event_base *base;
    struct rollup_node *node;
    struct rpc *rpc;
    struct event *tick;
    struct event *step;
};

/* A run that waits for a preimage is redone after this. */
static const struct timeval waiting_time = {.tv_usec = 500000};
static const struct timeval no_time = {0};

static void on_step(evutil_socket_t fd, short what, void *context)
{
    struct mock_rollup *rollup = context;
    struct error_line error;

    (void)fd;
    (void)what;
    switch (rollup_node_step(rollup->node, &error)) {
    case ROLLUP_IDLE:
        break;
    case ROLLUP_AGAIN:
        event_add(rollup->step, &no_time);
        break;
    case ROLLUP_BLOCK:
        rpc_new_block(rollup->rpc);
        break;
    case ROLLUP_WAITING:
        event_add(rollup->step, &waiting_time);
        break;
    case ROLLUP_FAILED:
        log_error("mock rollup: %s", error.text);
        event_del(rollup->tick);
        break;
    }
}

static void on_tick(evutil_socket_t fd, short what, void *context)
{
    struct mock_rollup *rollup = context;

    (void)fd;
    (void)what;
    rollup_node_tick(rollup->node, (int64_t)time(NULL));
    if (!event_pending(rollup->step, EV_TIMEOUT, NULL)) event_add(rollup->step, &no_time);
}

enum status mock_rollup_open(struct mock_rollup **ret_rollup,
                             struct address *ret_address,
                             struct event_base *base,
                             const struct mock_rollup_options *options,
                             struct error_line *error)
{
    struct mock_rollup *rollup = calloc(1, sizeof *rollup);
    const struct rollup_node_options node = {
        .data_directory = options->directory,
        .kernel = options->kernel,
        .batching_keys = options->batching_keys,
    };
    const struct timeval period = {(time_t)(options->block_time_us / 1000000),
                                   (suseconds_t)(options->block_time_us % 1000000)};
    struct address address = {.host = "127.0.0.1"};

    CHECK(rollup != NULL);
    rollup->base = base;
    enum status status = rollup_node_open(&rollup->node, &node, error);
    if (status == OK) status = rpc_open(&rollup->rpc, base, &address, rollup->node, error);
    if (status != OK) {
        mock_rollup_close(rollup);
        return status;
    }
    rollup->tick = event_new(base, -1, EV_PERSIST, on_tick, rollup);
    rollup->step = event_new(base, -1, 0, on_step, rollup);
    CHECK(rollup->tick != NULL && rollup->step != NULL);
    event_add(rollup->tick, &period);
    address.port = rpc_port(rollup->rpc);
    *ret_address = address;
    *ret_rollup = rollup;
    return OK;
}

void mock_rollup_close(struct mock_rollup *rollup)
{
    if (rollup == NULL) return;
    if (rollup->tick != NULL) event_free(rollup->tick);
    if (rollup->step != NULL) event_free(rollup->step);
    rpc_close(rollup->rpc);
    rollup_node_close(rollup->node);
    free(rollup);
}
