/* Goal: at every level exactly one sequencer owns the turn, the others stand by in a fixed order, and a dead owner is
 * replaced in bounded time. Method: the rules of ROLLUP 4 by tables and over all levels of many committees; then
 * sequencers that live and die by a seed, without a rollup: somebody alive posts before long. */
#include "tests/unit/unit.h"

#include "sequencer/slots.h"

static void twenty_levels_each_in_turn(void **state)
{
    static const struct {
        uint32_t sequencers;
        int32_t level;
        uint32_t owner;
    } table[] = {
        {1, 0, 0},
        {1, 12345, 0},
        {2, 0, 0},
        {2, 19, 0},
        {2, 20, 1},
        {2, 39, 1},
        {2, 40, 0},
        {3, 59, 2},
        {3, 60, 0},
        {3, 119, 2},
        {5, 99, 4},
        {5, 100, 0},
        {7, 20 * 7 * 1000 + 25, 1},
        {1000, INT32_MAX, INT32_MAX / 20 % 1000},
    };

    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        const struct slots slots = {.sequencers = table[i].sequencers};
        assert_int_equal(slots_owner(&slots, table[i].level), table[i].owner);
    }
}

static void every_rank_is_somebodys(void **state)
{
    (void)state;
    for (uint32_t count = 1; count <= 9; count++) {
        for (int32_t level = 0; level < 20 * 30; level++) {
            uint32_t ranks = 0;
            for (uint32_t self = 0; self < count; self++) {
                const struct slots slots = {count, self};
                uint32_t rank = slots_rank(&slots, level);
                assert_true(rank < count);
                assert_int_equal(rank == 0, slots_owner(&slots, level) == self);
                ranks |= 1u << rank;
            }
            assert_int_equal(ranks, (1u << count) - 1);
        }
    }
}

static void one_alone_needs_no_turn(void **state)
{
    const struct slots slots = {1, 0};

    (void)state;
    for (int32_t level = 0; level < 100; level++)
        assert_true(slots_is_turn(&slots, level, level));
}

static void the_owner_waits_and_standbys_wait_longer(void **state)
{
    const struct slots owner = {3, 1}, first = {3, 2}, second = {3, 0};

    (void)state;
    /* Levels 20 .. 39 are sequencer 1's. */
    for (int32_t level = 20; level < 40; level++) {
        assert_int_equal(slots_is_turn(&owner, level, level), level >= 23);
        assert_int_equal(slots_is_turn(&owner, level, 0), level >= 23);
        for (int32_t still = 0; still < 20; still++) {
            assert_int_equal(slots_is_turn(&first, level, level - still), still >= 7);
            assert_int_equal(slots_is_turn(&second, level, level - still), still >= 10);
        }
    }
}

/* Whoever is dead, as long as one lives: between two levels at which one that lives may post pass no more than the
 * longest wait of a standby, and a slot's wait. */
static void somebody_alive_gets_its_turn(void **state)
{
    uint64_t seed = 11;

    (void)state;
    for (int run = 0; run < 300; run++) {
        uint32_t count = 2 + (uint32_t)unit_random_below(&seed, 6);
        uint32_t alive = 1 + (uint32_t)unit_random_below(&seed, (1u << count) - 1);
        int32_t begin = (int32_t)unit_random_below(&seed, 1000);
        int32_t moved = begin;
        int32_t bound = SLOT_STANDBY_LEVELS + SLOT_STANDBY_EACH * (int32_t)count + SLOT_WAIT_LEVELS;
        for (int32_t level = begin; level < begin + 200; level++) {
            bool posted = false;
            for (uint32_t self = 0; self < count; self++) {
                const struct slots slots = {count, self};
                if ((alive >> self & 1) == 0 || !slots_is_turn(&slots, level, moved)) continue;
                posted = true;
            }
            assert_true(level - moved <= bound);
            if (posted) moved = level + 1; /* it is included, and moves the state */
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(twenty_levels_each_in_turn),
        cmocka_unit_test(every_rank_is_somebodys),
        cmocka_unit_test(one_alone_needs_no_turn),
        cmocka_unit_test(the_owner_waits_and_standbys_wait_longer),
        cmocka_unit_test(somebody_alive_gets_its_turn),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
