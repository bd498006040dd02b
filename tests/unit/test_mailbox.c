/* Goal: nothing posted is lost, doubled or reordered per sender, a full mailbox refuses, and a
 * receiver that follows the rule (drain, then take until NULL) never sleeps over an item. Method:
 * plain calls, then real threads against a small mailbox. */
#include "tests/unit/unit.h"

#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>

#include "common/mailbox.h"

static bool is_readable(const struct mailbox *mailbox, int timeout_ms)
{
    struct pollfd poll_fd = {.fd = mailbox_fd(mailbox), .events = POLLIN};
    return poll(&poll_fd, 1, timeout_ms) == 1;
}

static void items_leave_in_order_and_a_full_mailbox_refuses(void **state)
{
    (void)state;
    struct mailbox *mailbox;
    int items[5];
    assert_int_equal(mailbox_open(&mailbox, 3), OK);
    assert_null(mailbox_take(mailbox));

    for (int lap = 0; lap < 10; lap++) {
        assert_true(mailbox_post(mailbox, &items[0]));
        assert_true(mailbox_post(mailbox, &items[1]));
        assert_ptr_equal(mailbox_take(mailbox), &items[0]);
        assert_true(mailbox_post(mailbox, &items[2]));
        assert_true(mailbox_post(mailbox, &items[3]));
        assert_false(mailbox_post(mailbox, &items[4]));
        assert_int_equal(mailbox_count(mailbox), 3);
        assert_ptr_equal(mailbox_take(mailbox), &items[1]);
        assert_ptr_equal(mailbox_take(mailbox), &items[2]);
        assert_ptr_equal(mailbox_take(mailbox), &items[3]);
        assert_null(mailbox_take(mailbox));
    }
    mailbox_close(mailbox);
}

static void the_descriptor_tells_of_items(void **state)
{
    (void)state;
    struct mailbox *mailbox;
    int item;
    assert_int_equal(mailbox_open(&mailbox, 2), OK);

    assert_false(is_readable(mailbox, 0));
    mailbox_drain_fd(mailbox); /* nothing there is fine */
    assert_true(mailbox_post(mailbox, &item));
    assert_true(mailbox_post(mailbox, &item));
    assert_true(is_readable(mailbox, 0));
    mailbox_drain_fd(mailbox);
    assert_false(is_readable(mailbox, 0));
    assert_non_null(mailbox_take(mailbox));
    assert_non_null(mailbox_take(mailbox));
    assert_true(mailbox_post(mailbox, &item));
    assert_true(is_readable(mailbox, 0));
    assert_non_null(mailbox_take(mailbox));
    mailbox_close(mailbox);
}

#define SENDERS 3u
#define ITEMS   20000u

struct sender {
    struct mailbox *mailbox;
    uint32_t items[ITEMS];
};

static void *send_items(void *argument)
{
    struct sender *sender = argument;
    for (uint32_t i = 0; i < ITEMS; i++) {
        sender->items[i] = i;
        while (!mailbox_post(sender->mailbox, &sender->items[i])) {
            sched_yield();
        }
    }
    return NULL;
}

static void threads_lose_nothing(void **state)
{
    (void)state;
    struct mailbox *mailbox;
    struct sender *senders = calloc(SENDERS, sizeof *senders);
    pthread_t threads[SENDERS];
    uint32_t next[SENDERS] = {0};
    uint32_t taken = 0;

    assert_int_equal(mailbox_open(&mailbox, 7), OK);
    for (uint32_t i = 0; i < SENDERS; i++) {
        senders[i].mailbox = mailbox;
        assert_int_equal(pthread_create(&threads[i], NULL, send_items, &senders[i]), 0);
    }
    while (taken < SENDERS * ITEMS) {
        assert_true(is_readable(mailbox, 10000)); /* a lost wake-up ends here */
        mailbox_drain_fd(mailbox);
        for (uint32_t *item; (item = mailbox_take(mailbox)) != NULL; taken++) {
            uint32_t from = 0;
            while (item < senders[from].items || item >= senders[from].items + ITEMS) {
                from++;
            }
            assert_int_equal(*item, next[from]);
            next[from]++;
        }
    }
    for (uint32_t i = 0; i < SENDERS; i++) {
        pthread_join(threads[i], NULL);
    }
    assert_null(mailbox_take(mailbox));
    mailbox_close(mailbox);
    free(senders);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(items_leave_in_order_and_a_full_mailbox_refuses),
        cmocka_unit_test(the_descriptor_tells_of_items),
        cmocka_unit_test(threads_lose_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
