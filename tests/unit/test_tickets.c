/* Goal: every batch with new bytes is stored once, and equal bytes share one fate. Method: no API, so only
 * what the worker is told to store is looked at; the API's side is in test_intake.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "consensus/node/tickets.h"

static struct digest digest_of(uint64_t number)
{
    struct digest digest = {{0}};
    memcpy(digest.bytes, &number, sizeof number);
    return digest;
}

static void equal_batches_are_stored_once(void **state)
{
    struct tickets *tickets = tickets_open(NULL);
    struct digest first = digest_of(1);
    struct digest second = digest_of(2);

    (void)state;
    assert_true(tickets_add(tickets, 1, &first));
    assert_false(tickets_add(tickets, 2, &first));
    assert_true(tickets_add(tickets, 3, &second));
    tickets_accepted(tickets, &first);
    assert_false(tickets_add(tickets, 4, &first));
    tickets_close(tickets);
}

static void a_failed_batch_may_be_tried_again(void **state)
{
    struct tickets *tickets = tickets_open(NULL);
    struct digest digest = digest_of(1);

    (void)state;
    assert_true(tickets_add(tickets, 1, &digest));
    tickets_failed(tickets, &digest, "test");
    assert_true(tickets_add(tickets, 2, &digest));
    tickets_close(tickets);
}

static void executed_batches_are_remembered_for_a_bounded_time(void **state)
{
    struct tickets *tickets = tickets_open(NULL);
    struct digest oldest = digest_of(1);
    struct digest newest = digest_of(TICKETS_DONE_MAX + 1);

    (void)state;
    for (uint64_t i = 1; i <= TICKETS_DONE_MAX + 1; i++) {
        struct digest digest = digest_of(i);
        assert_true(tickets_add(tickets, i, &digest));
        tickets_committed(tickets, &digest, i, 0);
        tickets_failed(tickets, &digest, "too late to fail");
    }
    assert_false(tickets_add(tickets, 0, &newest));
    assert_true(tickets_add(tickets, 0, &oldest));
    tickets_stop(tickets);
    tickets_close(tickets);
}

static void digests_of_others_are_ignored(void **state)
{
    struct tickets *tickets = tickets_open(NULL);
    struct digest digest = digest_of(1);

    (void)state;
    tickets_accepted(tickets, &digest);
    tickets_certified(tickets, &digest);
    tickets_committed(tickets, &digest, 1, 0);
    tickets_failed(tickets, &digest, "nobody waits");
    assert_true(tickets_add(tickets, 1, &digest));
    tickets_close(tickets);
    tickets_close(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equal_batches_are_stored_once),
        cmocka_unit_test(a_failed_batch_may_be_tried_again),
        cmocka_unit_test(executed_batches_are_remembered_for_a_bounded_time),
        cmocka_unit_test(digests_of_others_are_ignored),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
