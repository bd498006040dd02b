/* gRPC's completion queue as the event loop of one thread, for the server and the client alike.
 *
 * Every tag is a struct queue_tag, and its completion is a call of `run` on the thread that runs
 * the queue. Other threads reach that thread by posting a tag of their own: tags posted by one
 * thread run in the order they were posted. gRPC's own log lines go to ours at debug level, as it
 * repeats what its results say. */
#ifndef PROTO_QUEUE_H
#define PROTO_QUEUE_H

#include <grpc/grpc.h>

#include "common/base.h"

struct queue;

/* Embedded in what it is about; `run` may free it. `ok` is gRPC's: false when the operation could
 * not be performed; always true for a posted tag. */
struct queue_tag {
    void (*run)(struct queue_tag *tag, bool ok);
};

/* Initialises gRPC as well (it counts). Signals are blocked in the threads that gRPC starts. */
struct queue *queue_open(void);

grpc_completion_queue *queue_completions(const struct queue *queue);

/* Any thread, until queue_close is called. */
void queue_post(struct queue *queue, struct queue_tag *tag);

/* Runs one completion, waiting for it until `deadline_us` (of queue_now_us; UINT64_MAX: for ever)
 * and no longer. False when there was none. */
bool queue_run(struct queue *queue, uint64_t deadline_us);

/* The monotonic clock that deadlines are on, microseconds. */
uint64_t queue_now_us(void);

/* Runs what is left and frees the queue. Everything that uses it must be destroyed first. Waits for
 * gRPC's own threads when this was its last user. NULL is fine. */
void queue_close(struct queue *queue);

/* The item of type `type` whose member `member` is the tag. */
#define QUEUE_ITEM(tag, type, member) ((type *)(void *)((char *)(tag)-offsetof(type, member)))

#endif
