/* Goal: the health service says what the node said last, to who asks and to who watches, in both
 * directions. Method: a real server, raw gRPC calls of the standard service. */
#include <grpc/byte_buffer.h>
#include <grpc/byte_buffer_reader.h>
#include <grpc/grpc.h>
#include <grpc/grpc_security.h>
#include <grpc/support/time.h>
#include <stdio.h>

#include "tests/unit/api_world.h"

enum { SERVING = 1, NOT_SERVING = 2 };

/* One call of Health, its answers read one by one. */
struct health_call {
    grpc_channel *channel;
    grpc_completion_queue *queue;
    grpc_call *call;
    grpc_metadata_array metadata;
};

static gpr_timespec soon(void)
{
    return gpr_time_add(gpr_now(GPR_CLOCK_REALTIME),
                        gpr_time_from_micros(PATIENCE_US, GPR_TIMESPAN));
}

static void run_batch(struct health_call *health, const grpc_op *ops, size_t count)
{
    assert_int_equal(grpc_call_start_batch(health->call, ops, count, health, NULL), GRPC_CALL_OK);
    grpc_event event = grpc_completion_queue_next(health->queue, soon(), NULL);
    assert_int_equal(event.type, GRPC_OP_COMPLETE);
}

static struct health_call open_call(uint16_t port, const char *method, const char *service)
{
    struct health_call health = {0};
    char target[64];
    uint8_t request[64] = {0x0a, (uint8_t)strlen(service)};
    const size_t len = strlen(service);
    grpc_channel_credentials *plain = grpc_insecure_credentials_create();

    (void)snprintf(target, sizeof target, "127.0.0.1:%u", port);
    health.channel = grpc_channel_create(target, plain, NULL);
    grpc_channel_credentials_release(plain);
    health.queue = grpc_completion_queue_create_for_next(NULL);
    health.call =
        grpc_channel_create_call(health.channel, NULL, GRPC_PROPAGATE_DEFAULTS, health.queue,
                                 grpc_slice_from_static_string(method), NULL, soon(), NULL);
    grpc_metadata_array_init(&health.metadata);
    memcpy(request + 2, service, len);
    grpc_slice slice = grpc_slice_from_copied_buffer((const char *)request, len + 2);
    grpc_byte_buffer *message = grpc_raw_byte_buffer_create(&slice, 1);
    grpc_op ops[4] = {{.op = GRPC_OP_SEND_INITIAL_METADATA},
                      {.op = GRPC_OP_SEND_MESSAGE},
                      {.op = GRPC_OP_SEND_CLOSE_FROM_CLIENT},
                      {.op = GRPC_OP_RECV_INITIAL_METADATA}};
    ops[1].data.send_message.send_message = message;
    ops[3].data.recv_initial_metadata.recv_initial_metadata = &health.metadata;
    run_batch(&health, ops, 4);
    grpc_byte_buffer_destroy(message);
    grpc_slice_unref(slice);
    return health;
}

/* The next answer's status; waits for it. */
static int next_status(struct health_call *health)
{
    grpc_byte_buffer *answer = NULL;
    grpc_byte_buffer_reader reader;
    grpc_op op = {.op = GRPC_OP_RECV_MESSAGE};

    op.data.recv_message.recv_message = &answer;
    run_batch(health, &op, 1);
    assert_non_null(answer);
    assert_true(grpc_byte_buffer_reader_init(&reader, answer));
    grpc_slice slice = grpc_byte_buffer_reader_readall(&reader);
    grpc_byte_buffer_reader_destroy(&reader);
    assert_int_equal(GRPC_SLICE_LENGTH(slice), 2);
    assert_int_equal(GRPC_SLICE_START_PTR(slice)[0], 0x08);
    const int status = GRPC_SLICE_START_PTR(slice)[1];
    grpc_slice_unref(slice);
    grpc_byte_buffer_destroy(answer);
    return status;
}

static void close_call(struct health_call *health)
{
    (void)grpc_call_cancel(health->call, NULL);
    grpc_call_unref(health->call);
    grpc_metadata_array_destroy(&health->metadata);
    grpc_completion_queue_shutdown(health->queue);
    while (
        grpc_completion_queue_next(health->queue, gpr_inf_future(GPR_CLOCK_REALTIME), NULL).type !=
        GRPC_QUEUE_SHUTDOWN)
        ;
    grpc_completion_queue_destroy(health->queue);
    grpc_channel_destroy(health->channel);
}

static int ask(uint16_t port, const char *service)
{
    struct health_call health = open_call(port, "/grpc.health.v1.Health/Check", service);
    const int status = next_status(&health);

    close_call(&health);
    return status;
}

static struct health_call watch(uint16_t port, const char *service)
{
    return open_call(port, "/grpc.health.v1.Health/Watch", service);
}

/* Watchers first: once they were told, whoever asks is told the same. */
static void health_follows_the_node_there_and_back(void **unused)
{
    (void)unused;
    struct world world = open_world(NULL);
    struct health_call node = watch(world.export_port, "");
    struct health_call submissions = watch(world.transactions_port, "dsn.Transactions");
    struct health_call history = watch(world.export_port, "exporter.Exporter");

    assert_int_equal(next_status(&history), SERVING);
    assert_int_equal(next_status(&node), NOT_SERVING);
    assert_int_equal(next_status(&submissions), NOT_SERVING);
    for (int turn = 0; turn < 4; turn++) {
        const int status = turn % 2 == 0 ? SERVING : NOT_SERVING;
        api_set_serving(world.api, status == SERVING);
        assert_int_equal(next_status(&node), status);
        assert_int_equal(next_status(&submissions), status);
        assert_int_equal(ask(world.export_port, ""), status);
        assert_int_equal(ask(world.transactions_port, "narwhal.Transactions"), status);
        assert_int_equal(ask(world.export_port, "exporter.Exporter"), SERVING);
    }
    close_call(&node);
    close_call(&submissions);
    close_call(&history);
    close_world(&world);
}

/* What is taken in meanwhile waits, as it does in a node that is in step. */
static void submissions_are_taken_while_health_is_bad(void **unused)
{
    (void)unused;
    struct world world = open_world(NULL);

    assert_int_equal(ask(world.transactions_port, "dsn.Transactions"), NOT_SERVING);
    submit(&world, CLIENT_LEVEL_PLAIN, "now");
    expect_and_free(&world, CLIENT_EVENT_SUBMITTED, CLIENT_OK);
    close_world(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(health_follows_the_node_there_and_back),
        cmocka_unit_test(submissions_are_taken_while_health_is_bad),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
