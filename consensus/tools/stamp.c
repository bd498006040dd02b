#include "consensus/tools/stamp.h"

#include <time.h>

#define DAY_MS 86400000u

uint64_t stamp_now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000u + (uint64_t)now.tv_nsec / 1000000u;
}

void stamp_write(uint8_t *ret, uint64_t unix_ms)
{
    memset(ret, 0, 8);
    for (int i = 0; i < 8; i++)
        ret[8 + i] = (uint8_t)(unix_ms >> (8 * (7 - i)));
}

bool stamp_read(uint64_t *ret_unix_ms, struct bytes transaction, uint64_t now_ms)
{
    uint64_t value = 0;

    if (transaction.len < STAMP_BYTES) return false;
    for (int i = 0; i < 8; i++)
        if (transaction.data[i] != 0) return false;
    for (int i = 8; i < 16; i++)
        value = value << 8 | transaction.data[i];
    if (value + DAY_MS < now_ms || value > now_ms + DAY_MS) return false;
    *ret_unix_ms = value;
    return true;
}
