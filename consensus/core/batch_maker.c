#include "consensus/core/batch_maker.h"

/* Weight of what is known against the newest sample. */
#define RATE_WEIGHT 3u

/* The delay is at its maximum when a batch fills by a fourth of its size in that time: from there
 * on waiting longer would gain little, and full batches seal before the delay is over. */
#define FULL_SHARE 4u

enum status batch_maker_init(struct batch_maker *maker,
                             size_t batch_bytes,
                             uint64_t delay_us_min,
                             uint64_t delay_us_max)
{
    if (batch_bytes == 0 || batch_bytes > BATCH_BYTES_MAX) return ERR_CONFIG;
    if (delay_us_min > delay_us_max || delay_us_max > BATCH_MAKER_DELAY_US_MAX) return ERR_CONFIG;
    *maker = (struct batch_maker){
        .batch_bytes = batch_bytes,
        .delay_us_min = delay_us_min,
        .delay_us_max = delay_us_max,
    };
    batch_maker_check(maker);
    return OK;
}

size_t batch_maker_target(const struct batch_maker *maker)
{
    return maker->pressed ? BATCH_BYTES_MAX : maker->batch_bytes;
}

bool batch_maker_would_overflow(const struct batch_maker *maker, size_t bytes)
{
    if (maker->open_bytes == 0) return false;
    return bytes > u64_minus(batch_maker_target(maker), maker->open_bytes);
}

/* One sample per opening: what the last batch took in since it was opened. After a pause longer
 * than any delay the past says nothing about now. */
static void update_rate(struct batch_maker *maker, uint64_t now_us)
{
    uint64_t elapsed_us = u64_max(u64_minus(now_us, maker->opened_us), 1);
    uint64_t sample = (uint64_t)maker->last_bytes * 1000000 / elapsed_us;
    if (elapsed_us > 2 * u64_max(maker->delay_us_max, 1)) {
        maker->rate = sample;
    } else {
        maker->rate = (RATE_WEIGHT * maker->rate + sample) / (RATE_WEIGHT + 1);
    }
}

static uint64_t delay_us(const struct batch_maker *maker)
{
    if (maker->pressed) return maker->delay_us_max;
    uint64_t span_us = maker->delay_us_max - maker->delay_us_min;
    /* rate / (batch_bytes / FULL_SHARE / delay_us_max), in 1024ths. A rate is at most
     * BATCH_BYTES_MAX a microsecond, 2^49 bytes a second, and is cut so that no product overflows.
     */
    uint64_t rate = u64_min(maker->rate, (uint64_t)1 << 32);
    uint64_t per_delay = rate * maker->delay_us_max / 1000000;
    uint64_t load = u64_min(per_delay * FULL_SHARE * 1024 / maker->batch_bytes, 1024);
    return maker->delay_us_min + span_us * load / 1024;
}

void batch_maker_add(struct batch_maker *maker, uint64_t now_us, size_t bytes)
{
    CHECK(bytes >= 1);
    CHECK(bytes <= BATCH_BYTES_MAX - maker->open_bytes);
    CHECK(now_us >= maker->opened_us);
    if (maker->open_bytes == 0) {
        if (maker->any) update_rate(maker, now_us);
        maker->any = true;
        maker->opened_us = now_us;
        maker->deadline_us = now_us + delay_us(maker);
    }
    maker->open_bytes += bytes;
    if (maker->open_bytes >= batch_maker_target(maker)) maker->deadline_us = maker->opened_us;
    batch_maker_check(maker);
}

uint64_t batch_maker_deadline_us(const struct batch_maker *maker)
{
    return maker->open_bytes == 0 ? UINT64_MAX : maker->deadline_us;
}

bool batch_maker_is_due(const struct batch_maker *maker, uint64_t now_us)
{
    return batch_maker_deadline_us(maker) <= now_us;
}

void batch_maker_seal(struct batch_maker *maker)
{
    CHECK(maker->open_bytes > 0);
    maker->last_bytes = maker->open_bytes;
    maker->open_bytes = 0;
    batch_maker_check(maker);
}

void batch_maker_set_pressed(struct batch_maker *maker, bool pressed)
{
    maker->pressed = pressed;
}

void batch_maker_check(const struct batch_maker *maker)
{
    CHECK(maker->batch_bytes >= 1);
    CHECK(maker->batch_bytes <= BATCH_BYTES_MAX);
    CHECK(maker->delay_us_min <= maker->delay_us_max);
    CHECK(maker->open_bytes <= BATCH_BYTES_MAX);
    CHECK(maker->last_bytes <= BATCH_BYTES_MAX);
    if (maker->open_bytes > 0) {
        CHECK(maker->any);
        CHECK(maker->deadline_us >= maker->opened_us);
        CHECK(maker->deadline_us <= maker->opened_us + maker->delay_us_max);
    }
}
