/* When to seal the open batch: the decisions only, no bytes and no clock.
 *
 * Each batch costs every node a message, a write, a hash tail and an acknowledgement, whatever it
 * holds. So a batch waits for company, the longer the more company there is:
 *
 *     delay = min + (max - min) * load        load = rate / full rate, at most 1
 *     full rate: a fourth of batch_bytes in each delay_us_max
 *
 * where rate is the smoothed intake in bytes a second. An idle node seals after delay_us_min, so a
 * single transaction is not kept waiting; at high rates the batch is full before any delay is over.
 * While the core is pressed (its own payload is not being ordered fast enough) batches grow instead
 * of multiplying: the size goes to BATCH_BYTES_MAX and the delay to its maximum. Source: measured,
 * 5 ms against 25 ms at 50k transactions a second: 10.9 against 9.0 us each. */
#ifndef CONSENSUS_CORE_BATCH_MAKER_H
#define CONSENSUS_CORE_BATCH_MAKER_H

#include "common/base.h"
#include "common/limits.h"

/* Invariants (batch_maker_check): 1 <= batch_bytes <= BATCH_BYTES_MAX; delay_us_min <=
 * delay_us_max; open_bytes > 0 exactly while a batch is open; the deadline of an open batch is at
 * most delay_us_max after its opening. */
struct batch_maker {
    size_t batch_bytes;
    uint64_t delay_us_min;
    uint64_t delay_us_max;
    bool pressed;
    size_t open_bytes;    /* of the open batch; 0: none is open */
    uint64_t opened_us;   /* of the open batch, or of the last one */
    uint64_t deadline_us; /* of the open batch */
    size_t last_bytes;    /* of the last sealed batch */
    uint64_t rate;        /* smoothed intake, bytes a second */
    bool any;             /* some batch was opened before */
};

/* Delay of more than this is a mistake in the configuration, not a trade. */
#define BATCH_MAKER_DELAY_US_MAX 10000000u

/* ERR_CONFIG when batch_bytes or the delays are out of range. */
enum status batch_maker_init(struct batch_maker *maker,
                             size_t batch_bytes,
                             uint64_t delay_us_min,
                             uint64_t delay_us_max);

/* Size at which a batch is sealed now. */
size_t batch_maker_target(const struct batch_maker *maker);

/* True when `bytes` more should not go into the open batch: seal it first. Never for an empty one.
 */
bool batch_maker_would_overflow(const struct batch_maker *maker, size_t bytes);

/* `bytes` >= 1 were appended; opens a batch when none is open. The sum of a batch is at most
 * BATCH_BYTES_MAX, checked. `now_us` never goes back. */
void batch_maker_add(struct batch_maker *maker, uint64_t now_us, size_t bytes);

/* When the open batch must be sealed: at once when it is full; UINT64_MAX when none is open. */
uint64_t batch_maker_deadline_us(const struct batch_maker *maker);
bool batch_maker_is_due(const struct batch_maker *maker, uint64_t now_us);

/* The open batch was sealed; there must be one, checked. */
void batch_maker_seal(struct batch_maker *maker);

void batch_maker_set_pressed(struct batch_maker *maker, bool pressed);

void batch_maker_check(const struct batch_maker *maker);

#endif
