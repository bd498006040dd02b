#include "proto/queue.h"

#include <grpc/support/log.h>
#include <grpc/support/time.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>

#include "common/handover.h"
#include "common/log.h"

/* gRPC documents that an empty batch on a call puts its tag into the call's queue at once, from any
 * thread. The call of a channel that leads nowhere serves for it. */
struct queue {
    grpc_completion_queue *completions;
    grpc_channel *nowhere;
    grpc_call *post_call;
};

static void log_grpc(gpr_log_func_args *line)
{
    log_debug("grpc: %s", line->message);
}

struct queue *queue_open(void)
{
    struct queue *queue = calloc(1, sizeof *queue);
    CHECK(queue != NULL);
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    CHECK(pthread_sigmask(SIG_SETMASK, &all, &before) == 0);
    gpr_set_log_function(log_grpc);
    /* Names are looked up as every other program of the machine does; c-ares, gRPC's own choice,
     * does not read all of that configuration, and leaks. Whoever set the variable means it. */
    CHECK(setenv("GRPC_DNS_RESOLVER", "native", 0) == 0);
    grpc_init();
    queue->completions = grpc_completion_queue_create_for_next(NULL);
    CHECK(queue->completions != NULL);
    queue->nowhere = grpc_lame_client_channel_create("queue", GRPC_STATUS_UNAVAILABLE, "nowhere");
    CHECK(queue->nowhere != NULL);
    queue->post_call =
        grpc_channel_create_call(queue->nowhere, NULL, GRPC_PROPAGATE_DEFAULTS, queue->completions,
                                 grpc_slice_from_static_string("/queue/post"), NULL,
                                 gpr_inf_future(GPR_CLOCK_REALTIME), NULL);
    CHECK(queue->post_call != NULL);
    CHECK(pthread_sigmask(SIG_SETMASK, &before, NULL) == 0);
    return queue;
}

grpc_completion_queue *queue_completions(const struct queue *queue)
{
    return queue->completions;
}

void queue_post(struct queue *queue, struct queue_tag *tag)
{
    HANDOVER_GIVE(tag);
    CHECK(grpc_call_start_batch(queue->post_call, NULL, 0, tag, NULL) == GRPC_CALL_OK);
}

uint64_t queue_now_us(void)
{
    struct timespec now;
    CHECK(clock_gettime(CLOCK_MONOTONIC, &now) == 0);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static gpr_timespec to_deadline(uint64_t deadline_us)
{
    if (deadline_us == UINT64_MAX) return gpr_inf_future(GPR_CLOCK_MONOTONIC);
    uint64_t now_us = queue_now_us();
    if (deadline_us <= now_us) return gpr_inf_past(GPR_CLOCK_MONOTONIC);
    /* gRPC's monotonic clock is the system's, but it does not say so: hand it a span. */
    int64_t span_us = (int64_t)u64_min(deadline_us - now_us, INT64_MAX / 2);
    return gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC), gpr_time_from_micros(span_us, GPR_TIMESPAN));
}

bool queue_run(struct queue *queue, uint64_t deadline_us)
{
    grpc_event event =
        grpc_completion_queue_next(queue->completions, to_deadline(deadline_us), NULL);
    if (event.type != GRPC_OP_COMPLETE) return false;
    struct queue_tag *tag = event.tag;
    HANDOVER_TAKE(tag);
    tag->run(tag, event.success != 0);
    return true;
}

void queue_close(struct queue *queue)
{
    if (queue == NULL) return;
    grpc_call_unref(queue->post_call);
    grpc_channel_destroy(queue->nowhere);
    grpc_completion_queue_shutdown(queue->completions);
    for (;;) {
        grpc_event event = grpc_completion_queue_next(queue->completions,
                                                      gpr_inf_future(GPR_CLOCK_MONOTONIC), NULL);
        if (event.type == GRPC_QUEUE_SHUTDOWN) break;
        struct queue_tag *tag = event.tag;
        HANDOVER_TAKE(tag);
        tag->run(tag, event.success != 0);
    }
    grpc_completion_queue_destroy(queue->completions);
    grpc_shutdown_blocking();
    free(queue);
}
