/* Goal: the queue keeps order, both bounds and its references. Method: plain calls, the content of
 * a frame tells its number; references are seen by the sanitizers. */
#include "tests/unit/unit.h"

#include "consensus/node/mesh_queue.h"

static struct buffer *make_frame(uint32_t number, size_t len)
{
    struct buffer *frame = buffer_new(len);

    memcpy(frame->data, &number, sizeof number);
    frame->len = len;
    return frame;
}

static bool push(struct mesh_queue *queue, uint32_t number, size_t len, uint64_t due_us)
{
    struct buffer *frame = make_frame(number, len);
    bool taken = mesh_queue_push(queue, frame, due_us);

    buffer_unref(frame);
    mesh_queue_check(queue);
    return taken;
}

static uint32_t pop(struct mesh_queue *queue)
{
    struct buffer *frame = mesh_queue_peek(queue, UINT64_MAX);
    uint32_t number = 0;

    assert_non_null(frame);
    memcpy(&number, frame->data, sizeof number);
    mesh_queue_pop(queue);
    mesh_queue_check(queue);
    return number;
}

static void keeps_order_while_it_wraps_and_grows(void **state)
{
    struct mesh_queue queue;
    uint32_t in = 0;
    uint32_t out = 0;

    (void)state;
    mesh_queue_init(&queue, 1000000);
    for (uint32_t round = 0; round < 50; round++) {
        for (uint32_t i = 0; i < 9; i++) {
            assert_true(push(&queue, in++, 8, 0));
        }
        for (uint32_t i = 0; i < 5; i++) {
            assert_int_equal(pop(&queue), out++);
        }
    }
    while (queue.count > 0) {
        assert_int_equal(pop(&queue), out++);
    }
    assert_int_equal(out, in);
    assert_int_equal(queue.bytes, 0);
    mesh_queue_clear(&queue);
}

static void refuses_over_the_bound_of_bytes(void **state)
{
    struct mesh_queue queue;

    (void)state;
    mesh_queue_init(&queue, 100);
    assert_true(push(&queue, 1, 60, 0));
    assert_false(push(&queue, 2, 41, 0));
    assert_true(push(&queue, 3, 40, 0));
    assert_false(push(&queue, 4, 4, 0));
    assert_int_equal(pop(&queue), 1);
    assert_true(push(&queue, 5, 60, 0));
    mesh_queue_clear(&queue);
    assert_int_equal(queue.count, 0);
    assert_int_equal(queue.bytes_max, 100);
}

static void refuses_over_the_bound_of_frames(void **state)
{
    struct mesh_queue queue;
    struct buffer *frame = make_frame(7, 4);

    (void)state;
    mesh_queue_init(&queue, 1000000);
    for (uint32_t i = 0; i < MESH_QUEUE_FRAMES_MAX; i++) {
        assert_true(mesh_queue_push(&queue, frame, 0));
    }
    mesh_queue_check(&queue);
    assert_false(mesh_queue_push(&queue, frame, 0));
    mesh_queue_pop(&queue);
    assert_true(mesh_queue_push(&queue, frame, 0));
    mesh_queue_clear(&queue);
    buffer_unref(frame);
}

static void gives_nothing_before_it_is_due(void **state)
{
    struct mesh_queue queue;

    (void)state;
    mesh_queue_init(&queue, 100);
    assert_true(mesh_queue_due(&queue) == UINT64_MAX);
    assert_null(mesh_queue_peek(&queue, UINT64_MAX));
    assert_true(push(&queue, 1, 4, 500));
    assert_int_equal(mesh_queue_due(&queue), 500);
    assert_null(mesh_queue_peek(&queue, 499));
    assert_non_null(mesh_queue_peek(&queue, 500));
    mesh_queue_clear(&queue);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keeps_order_while_it_wraps_and_grows),
        cmocka_unit_test(refuses_over_the_bound_of_bytes),
        cmocka_unit_test(refuses_over_the_bound_of_frames),
        cmocka_unit_test(gives_nothing_before_it_is_due),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
