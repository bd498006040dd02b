/* Goal: buffers are aligned, large enough, recycled within a bound, and freed by the last reference
 * from any thread. Method: plain calls, then threads that drop references at once (the sanitizer
 * builds judge). */
#include "tests/unit/unit.h"

#include <pthread.h>

#include "common/buffer.h"
#include "common/limits.h"

static void buffers_are_aligned_and_large_enough(void **state)
{
    (void)state;
    const size_t sizes[] = {0, 1, 4095, 4096, 4097, 480128, FRAME_BYTES_MAX + 128, 5000000};

    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct buffer *buffer = buffer_new(sizes[i]);
        assert_true(buffer->capacity >= sizes[i]);
        assert_int_equal(buffer->capacity % BUFFER_ALIGN, 0);
        assert_int_equal((uintptr_t)buffer->data % BUFFER_ALIGN, 0);
        assert_int_equal(buffer->begin, 0);
        assert_int_equal(buffer->len, 0);
        memset(buffer->data, 0xab, buffer->capacity);
        buffer_unref(buffer);
    }
}

static void a_dropped_buffer_is_used_again_and_starts_clean(void **state)
{
    (void)state;
    struct buffer *first = buffer_new(100000);
    uint8_t *data = first->data;
    first->begin = 7;
    first->len = 9;
    buffer_ref(first);
    buffer_unref(first);

    struct buffer *second = buffer_new(100000);
    assert_ptr_not_equal(second->data, data);
    buffer_unref(first);
    struct buffer *third = buffer_new(100000);
    assert_ptr_equal(third->data, data);
    assert_int_equal(third->begin, 0);
    assert_int_equal(third->len, 0);
    buffer_unref(second);
    buffer_unref(third);
    buffer_unref(NULL);
}

static void more_buffers_than_the_pool_holds_come_and_go(void **state)
{
    (void)state;
    struct buffer *buffers[100];
    for (int lap = 0; lap < 2; lap++) {
        for (size_t i = 0; i < 100; i++) {
            buffers[i] = buffer_new(480128);
            buffers[i]->data[0] = (uint8_t)i;
        }
        for (size_t i = 0; i < 100; i++) {
            assert_int_equal(buffers[i]->data[0], i);
            buffer_unref(buffers[i]);
        }
    }
}

static void a_frame_is_prefix_and_body(void **state)
{
    (void)state;
    const uint8_t body[] = {1, 2, 3, 4, 5};
    struct buffer *frame = buffer_frame((struct bytes){body, sizeof body});

    assert_int_equal(frame->begin, BUFFER_BODY - 4);
    assert_int_equal(frame->len, 4 + sizeof body);
    assert_memory_equal(frame->data + frame->begin, ((uint8_t[]){5, 0, 0, 0, 1, 2, 3, 4, 5}), 9);
    buffer_unref(frame);

    frame = buffer_frame((struct bytes){NULL, 0});
    assert_int_equal(frame->len, 4);
    buffer_unref(frame);
}

static void *drop_references(void *argument)
{
    struct buffer **buffers = argument;
    uint32_t sum = 0;
    for (size_t i = 0; i < 1000; i++) {
        sum += buffers[i]->data[0];
        buffer_unref(buffers[i]);
    }
    return sum > 0 ? argument : NULL;
}

static void the_last_of_several_threads_frees(void **state)
{
    (void)state;
    static struct buffer *buffers[1000];
    pthread_t threads[4];

    for (size_t i = 0; i < 1000; i++) {
        buffers[i] = buffer_new(4096u << (i % 4));
        buffers[i]->data[0] = 1;
        for (int t = 1; t < 4; t++) {
            assert_ptr_equal(buffer_ref(buffers[i]), buffers[i]);
        }
    }
    for (size_t t = 0; t < 4; t++) {
        assert_int_equal(pthread_create(&threads[t], NULL, drop_references, buffers), 0);
    }
    for (size_t t = 0; t < 4; t++) {
        void *ret;
        pthread_join(threads[t], &ret);
        assert_non_null(ret);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(buffers_are_aligned_and_large_enough),
        cmocka_unit_test(a_dropped_buffer_is_used_again_and_starts_clean),
        cmocka_unit_test(more_buffers_than_the_pool_holds_come_and_go),
        cmocka_unit_test(a_frame_is_prefix_and_body),
        cmocka_unit_test(the_last_of_several_threads_frees),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
