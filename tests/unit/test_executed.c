/* Goal: consensus/core/executed.h is a set with an age. Method: random operations next to a plain
 * list. */
#include "tests/unit/unit.h"

#include <stdlib.h>

#include "consensus/core/executed.h"
#include "tests/lib/dag_build.h"

#define CAPACITY 300u

static struct digest digest_of(uint64_t number)
{
    struct digest digest = {{0}};
    /* Half of them share their first bytes, and so their bucket. */
    memcpy(digest.bytes + (number % 2 == 0 ? 0 : 20), &number, sizeof number);
    return digest;
}

static void it_agrees_with_a_list(void **state)
{
    (void)state;
    uint64_t list[CAPACITY];
    round_t rounds[CAPACITY];
    uint32_t count = 0;
    struct executed *executed;
    struct prng prng = {11};
    round_t round = 1;
    executed_init(&executed, test_memory(executed_bytes(CAPACITY)), CAPACITY, 99);

    for (uint64_t step = 0; step < 5000; step++) {
        uint64_t number = 1 + prng_below(&prng, 1000);
        struct digest digest = digest_of(number);
        uint32_t at = 0;
        while (at < count && list[at] != number)
            at++;
        assert_int_equal(executed_has(executed, &digest), at < count);
        if (at == count && count < CAPACITY) {
            list[count] = number;
            rounds[count++] = round;
            executed_add(executed, &digest, round);
        }
        if (prng_chance(&prng, 20)) round++;
        if (prng_chance(&prng, 4)) {
            round_t floor = u64_minus(round, prng_below(&prng, 30));
            uint32_t gone = 0;
            while (gone < count && rounds[gone] <= floor)
                gone++;
            memmove(list, list + gone, (count - gone) * sizeof *list);
            memmove(rounds, rounds + gone, (count - gone) * sizeof *rounds);
            count -= gone;
            executed_prune(executed, floor);
        }
        assert_int_equal(executed_count(executed), count);
        if (step % 50 == 0) executed_check(executed);
    }
    free(executed);
}

static void it_fills_up_to_its_capacity_and_empties(void **state)
{
    (void)state;
    struct executed *executed;
    executed_init(&executed, test_memory(executed_bytes(CAPACITY)), CAPACITY, 0);
    for (uint64_t pass = 0; pass < 3; pass++) {
        for (uint64_t i = 1; i <= CAPACITY; i++) {
            struct digest digest = digest_of(2 * i);
            executed_add(executed, &digest, 10 * pass + 1 + i / 100);
        }
        assert_int_equal(executed_count(executed), CAPACITY);
        executed_check(executed);
        executed_prune(executed, 10 * pass + 4);
        assert_int_equal(executed_count(executed), 0);
        executed_check(executed);
    }
    free(executed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_agrees_with_a_list),
        cmocka_unit_test(it_fills_up_to_its_capacity_and_empties),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
