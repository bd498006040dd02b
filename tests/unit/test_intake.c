/* Goal: the intake seals what it took in the right batches, counts what is in flight, and tells
 * every waiter once, whatever order events come in and whoever takes waiters back meanwhile.
 * Method: plain calls with a made-up clock; posted batches are kept by the test. */
#include "consensus/node/intake.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/batch.h"

#define POSTED_MAX 8192u

struct posted {
    struct api_request *requests[POSTED_MAX];
    uint32_t count;
};

static void post(void *context, struct api_request *request)
{
    struct posted *posted = context;
    assert_true(posted->count < POSTED_MAX);
    assert_int_equal(request->kind, API_REQUEST_BATCH);
    posted->requests[posted->count++] = request;
}

struct fixture {
    struct intake *intake;
    struct posted posted;
};

static struct fixture *open_fixture(size_t batch_bytes)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);
    struct api_options options = {
        .batch_bytes = batch_bytes, .batch_delay_us_min = 1000, .batch_delay_us_max = 1000};
    assert_int_equal(intake_open(&fixture->intake, &options, post, &fixture->posted), OK);
    return fixture;
}

static void close_fixture(struct fixture *fixture)
{
    intake_close(fixture->intake);
    for (uint32_t i = 0; i < fixture->posted.count; i++)
        api_request_free(fixture->posted.requests[i]);
    free(fixture);
}

static struct intake_place add(struct fixture *fixture, uint64_t now_us, size_t len)
{
    uint8_t *bytes = calloc(1, len);
    struct intake_place place;
    assert_int_equal(intake_add(fixture->intake, &place, now_us, (struct bytes){bytes, len}), OK);
    free(bytes);
    return place;
}

static void level(struct fixture *fixture, uint64_t ticket, enum api_level reached)
{
    struct intake_result result = {.level = reached, .index = 7, .position = 3};
    intake_event(fixture->intake, ticket, &result);
}

static void give_up(struct fixture *fixture, uint64_t ticket)
{
    struct intake_result result = {.failed = "lost"};
    intake_event(fixture->intake, ticket, &result);
}

struct test_waiter {
    struct intake_waiter waiter;
    unsigned told;
    bool failed;
    enum api_level level;
    struct test_waiter *takes_back;
};

static void tell(struct intake_waiter *waiter, const struct intake_result *result)
{
    struct test_waiter *test = LINK_ITEM(waiter, struct test_waiter, waiter);
    test->told++;
    test->failed = result->failed != NULL;
    test->level = result->level;
    if (test->takes_back != NULL) intake_unwait(&test->takes_back->waiter);
}

static void hang(struct fixture *fixture,
                 struct test_waiter *test,
                 uint64_t ticket,
                 enum api_level at)
{
    test->waiter.tell = tell;
    intake_wait(fixture->intake, &test->waiter, ticket, at);
}

static void intake_seals_by_time_and_by_size(void **unused)
{
    (void)unused;
    struct fixture *fixture = open_fixture(1000);
    struct intake_place place = add(fixture, 10, 400);
    assert_int_equal(place.ticket, 1);
    assert_int_equal(place.offset, 0);
    place = add(fixture, 20, 400);
    assert_int_equal(place.ticket, 1);
    assert_int_equal(place.offset, 1);
    assert_int_equal(intake_deadline_us(fixture->intake), 1010);
    intake_tick(fixture->intake, 1009);
    assert_int_equal(fixture->posted.count, 0);
    intake_tick(fixture->intake, 1010);
    assert_int_equal(fixture->posted.count, 1);
    assert_true(intake_deadline_us(fixture->intake) == UINT64_MAX);
    /* The third would not fit: it opens the next batch. */
    (void)add(fixture, 2000, 400);
    (void)add(fixture, 2000, 400);
    place = add(fixture, 2000, 400);
    assert_int_equal(place.ticket, 3);
    assert_int_equal(place.offset, 0);
    assert_int_equal(fixture->posted.count, 2);
    /* One larger than a batch goes alone and at once. */
    place = add(fixture, 2001, 5000);
    assert_int_equal(place.ticket, 4);
    assert_int_equal(fixture->posted.count, 4);
    uint64_t created_at = 0;
    for (uint32_t i = 0; i < 4; i++) {
        struct api_request *request = fixture->posted.requests[i];
        uint32_t transactions;
        assert_int_equal(request->ticket, i + 1);
        assert_int_equal(request->buffer->begin, BUFFER_BATCH);
        assert_int_equal(batch_validate(&transactions, request->buffer->data + BUFFER_BATCH,
                                        request->buffer->len),
                         OK);
        assert_int_equal(transactions, request->transactions);
        assert_true(request->created_at > created_at);
        created_at = request->created_at;
    }
    close_fixture(fixture);
}

static void intake_takes_nothing_of_a_bad_run(void **unused)
{
    (void)unused;
    struct fixture *fixture = open_fixture(1000);
    (void)add(fixture, 1, 10);
    static const uint8_t bad[] = {0x0a, 1, 'x', 0x0a, 5, 'y'};
    struct intake_place place;
    memcpy(intake_reserve(fixture->intake, sizeof bad), bad, sizeof bad);
    assert_int_equal(intake_commit(fixture->intake, &place, 2, sizeof bad, 9), ERR_MALFORMED);
    static const uint8_t two[] = {0x0a, 1, 'x', 0x0a, 1, 'y'};
    memcpy(intake_reserve(fixture->intake, sizeof two), two, sizeof two);
    assert_int_equal(intake_commit(fixture->intake, &place, 2, sizeof two, 1), ERR_MALFORMED);
    memcpy(intake_reserve(fixture->intake, sizeof two), two, sizeof two);
    assert_int_equal(intake_commit(fixture->intake, &place, 2, sizeof two, 2), OK);
    assert_int_equal(place.offset, 1);
    assert_int_equal(place.transactions, 2);
    assert_int_equal(place.bytes, 2);
    assert_null(intake_reserve(fixture->intake, 0));
    assert_null(intake_reserve(fixture->intake, BATCH_BYTES_MAX + 1));
    struct bytes none = {NULL, 0};
    assert_int_equal(intake_add(fixture->intake, &place, 2, none), ERR_MALFORMED);
    intake_flush(fixture->intake);
    assert_int_equal(fixture->posted.count, 1);
    assert_int_equal(fixture->posted.requests[0]->transactions, 3);
    intake_flush(fixture->intake);
    assert_int_equal(fixture->posted.count, 1);
    close_fixture(fixture);
}

static void intake_tells_each_waiter_once_at_its_level(void **unused)
{
    (void)unused;
    struct fixture *fixture = open_fixture(1000);
    (void)add(fixture, 1, 10);
    intake_flush(fixture->intake);
    struct test_waiter first = {0};
    struct test_waiter second = {0};
    struct test_waiter third = {0};
    struct test_waiter late = {0};
    hang(fixture, &third, 1, API_LEVEL_COMMITTED);
    hang(fixture, &first, 1, API_LEVEL_ACCEPTED);
    hang(fixture, &second, 1, API_LEVEL_CERTIFIED);
    level(fixture, 1, API_LEVEL_CERTIFIED); /* implies accepted, which may come late or never */
    assert_int_equal(first.told, 1);
    assert_int_equal(second.told, 1);
    assert_int_equal(third.told, 0);
    level(fixture, 1, API_LEVEL_ACCEPTED);
    level(fixture, 1, API_LEVEL_CERTIFIED);
    hang(fixture, &late, 1, API_LEVEL_CERTIFIED); /* reached already: at once */
    assert_int_equal(late.told, 1);
    level(fixture, 1, API_LEVEL_COMMITTED);
    level(fixture, 1, API_LEVEL_COMMITTED); /* ended: ignored */
    give_up(fixture, 1);
    assert_int_equal(first.told + second.told + third.told + late.told, 4);
    assert_false(third.failed);
    assert_int_equal(third.level, API_LEVEL_COMMITTED);
    assert_int_equal(intake_get_counters(fixture->intake).tickets, 0);
    close_fixture(fixture);
}

static void intake_survives_waiters_that_take_others_back(void **unused)
{
    (void)unused;
    struct fixture *fixture = open_fixture(1000);
    (void)add(fixture, 1, 10);
    intake_flush(fixture->intake);
    struct test_waiter waiters[4] = {{.told = 0}};
    hang(fixture, &waiters[0], 1, API_LEVEL_COMMITTED);
    hang(fixture, &waiters[1], 1, API_LEVEL_ACCEPTED);
    hang(fixture, &waiters[2], 1, API_LEVEL_ACCEPTED);
    hang(fixture, &waiters[3], 1, API_LEVEL_COMMITTED);
    waiters[1].takes_back = &waiters[2]; /* the next to be told */
    level(fixture, 1, API_LEVEL_ACCEPTED);
    assert_int_equal(waiters[1].told, 1);
    assert_int_equal(waiters[2].told, 0);
    waiters[0].takes_back = &waiters[3];
    give_up(fixture, 1);
    assert_int_equal(waiters[0].told, 1);
    assert_true(waiters[0].failed);
    assert_int_equal(waiters[3].told, 0);
    intake_unwait(&waiters[3].waiter); /* harmless */
    close_fixture(fixture);
}

static void intake_has_room_up_to_its_bounds(void **unused)
{
    (void)unused;
    struct fixture *fixture = open_fixture(BATCH_BYTES_MAX);
    uint64_t sealed = 0;
    while (intake_has_room(fixture->intake)) {
        (void)add(fixture, 1, TRANSACTION_BYTES_MAX);
        intake_flush(fixture->intake);
        sealed++;
    }
    uint64_t bytes = intake_get_counters(fixture->intake).bytes_in_flight;
    assert_in_range(bytes, API_BYTES_IN_FLIGHT_MAX, API_BYTES_IN_FLIGHT_MAX + BATCH_BYTES_MAX);
    level(fixture, sealed, API_LEVEL_ACCEPTED);
    assert_false(intake_has_room(fixture->intake));
    level(fixture, sealed, API_LEVEL_CERTIFIED);
    level(fixture, sealed - 1, API_LEVEL_CERTIFIED);
    assert_true(intake_has_room(fixture->intake));
    intake_set_pressed(fixture->intake, true);
    assert_false(intake_has_room(fixture->intake));
    intake_set_pressed(fixture->intake, false);
    for (uint64_t ticket = 1; ticket <= sealed; ticket++)
        give_up(fixture, ticket);
    assert_int_equal(intake_get_counters(fixture->intake).bytes_in_flight, 0);
    close_fixture(fixture);
}

static void intake_bounds_the_number_of_batches(void **unused)
{
    (void)unused;
    struct fixture *fixture = open_fixture(1000);
    /* While they are not certified .. */
    uint64_t small = 0;
    for (; intake_has_room(fixture->intake); small++) {
        (void)add(fixture, 2, 1);
        intake_flush(fixture->intake);
    }
    assert_int_equal(small, API_BATCHES_IN_FLIGHT_MAX);
    /* .. and while certified but not committed, by the span from the oldest. */
    for (uint64_t ticket = 1; ticket <= small; ticket++)
        level(fixture, ticket, API_LEVEL_CERTIFIED);
    for (; intake_has_room(fixture->intake); small++) {
        uint64_t ticket = add(fixture, 3, 1).ticket;
        intake_flush(fixture->intake);
        level(fixture, ticket, ticket % 2 == 0 ? API_LEVEL_COMMITTED : API_LEVEL_CERTIFIED);
    }
    assert_in_range(small, API_TICKETS_MAX - API_MESSAGE_BATCHES_MAX, API_TICKETS_MAX);
    level(fixture, 1, API_LEVEL_COMMITTED);
    assert_true(intake_has_room(fixture->intake));
    close_fixture(fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(intake_seals_by_time_and_by_size),
        cmocka_unit_test(intake_takes_nothing_of_a_bad_run),
        cmocka_unit_test(intake_tells_each_waiter_once_at_its_level),
        cmocka_unit_test(intake_survives_waiters_that_take_others_back),
        cmocka_unit_test(intake_has_room_up_to_its_bounds),
        cmocka_unit_test(intake_bounds_the_number_of_batches),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
