#include "sequencer/slots.h"

uint32_t slots_owner(const struct slots *slots, int32_t level)
{
    CHECK(level >= 0);
    CHECK(slots->sequencers >= 1);
    return (uint32_t)(level / SLOT_LEVELS) % slots->sequencers;
}

uint32_t slots_rank(const struct slots *slots, int32_t level)
{
    uint32_t owner = slots_owner(slots, level);

    CHECK(slots->self < slots->sequencers);
    return slots->self >= owner ? slots->self - owner : slots->self + slots->sequencers - owner;
}

bool slots_is_turn(const struct slots *slots, int32_t level, int32_t moved)
{
    uint32_t rank = slots_rank(slots, level);

    if (slots->sequencers == 1) return true;
    if (rank == 0) return level % SLOT_LEVELS >= SLOT_WAIT_LEVELS;
    return level - moved >= SLOT_STANDBY_LEVELS + SLOT_STANDBY_EACH * (int32_t)rank;
}
