#include "common/stats.h"

#include <stdio.h>

void stats_reset(struct stats *stats)
{
    memset(stats, 0, sizeof *stats);
}

static size_t bucket_of(uint64_t value)
{
    if (value < STATS_SUBS) return (size_t)value;
    if (value >> STATS_TOP_BITS != 0) return STATS_BUCKETS - 1;
    unsigned top =
        63u - (unsigned)__builtin_clzll(value); /* STATS_SUB_BITS .. STATS_TOP_BITS - 1 */
    unsigned shift = top - STATS_SUB_BITS;
    return (size_t)((uint64_t)STATS_SUBS * shift + (value >> shift));
}

/* The middle of a bucket. */
static uint64_t bucket_value(size_t bucket)
{
    if (bucket < STATS_SUBS) return bucket;
    unsigned shift = (unsigned)(bucket / STATS_SUBS) - 1;
    uint64_t low = (STATS_SUBS + bucket % STATS_SUBS) << shift;
    return low + ((1ull << shift) >> 1);
}

void stats_add(struct stats *stats, uint64_t microseconds)
{
    if (stats->count == 0 || microseconds < stats->min) stats->min = microseconds;
    if (microseconds > stats->max) stats->max = microseconds;
    stats->count++;
    stats->sum += microseconds;
    stats->buckets[bucket_of(microseconds)]++;
}

void stats_merge(struct stats *stats, const struct stats *other)
{
    if (other->count == 0) return;
    if (stats->count == 0 || other->min < stats->min) stats->min = other->min;
    if (other->max > stats->max) stats->max = other->max;
    stats->count += other->count;
    stats->sum += other->sum;
    for (size_t i = 0; i < STATS_BUCKETS; i++) {
        stats->buckets[i] += other->buckets[i];
    }
}

uint64_t stats_percentile(const struct stats *stats, uint32_t share)
{
    CHECK(share <= 10000);
    if (stats->count == 0) return 0;

    /* Rank 1 .. count, rounded up, without overflow for any count below 2^50. */
    uint64_t rank = (stats->count * share + 9999) / 10000;
    if (rank == 0) rank = 1;
    uint64_t seen = 0;
    size_t bucket = 0;
    while (bucket < STATS_BUCKETS - 1 && (seen += stats->buckets[bucket]) < rank) {
        bucket++;
    }
    uint64_t value = bucket_value(bucket);
    if (value < stats->min) return stats->min;
    return value > stats->max || bucket == STATS_BUCKETS - 1 ? stats->max : value;
}

uint64_t stats_mean(const struct stats *stats)
{
    return stats->count == 0 ? 0 : stats->sum / stats->count;
}

void stats_format(char *ret, const struct stats *stats)
{
    snprintf(ret, STATS_TEXT_BYTES_MAX,
             "mean %.2f ms, p50 %.2f ms, p95 %.2f ms, p99 %.2f ms, p99.9 %.2f ms, max %.2f ms",
             (double)stats_mean(stats) / 1e3, (double)stats_percentile(stats, 5000) / 1e3,
             (double)stats_percentile(stats, 9500) / 1e3,
             (double)stats_percentile(stats, 9900) / 1e3,
             (double)stats_percentile(stats, 9990) / 1e3, (double)stats->max / 1e3);
}

json_t *stats_json(const struct stats *stats)
{
    json_t *json =
        json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "count", (json_int_t)stats->count,
                  "mean_us", (json_int_t)stats_mean(stats), "min_us", (json_int_t)stats->min,
                  "p50_us", (json_int_t)stats_percentile(stats, 5000), "p95_us",
                  (json_int_t)stats_percentile(stats, 9500), "p99_us",
                  (json_int_t)stats_percentile(stats, 9900), "p999_us",
                  (json_int_t)stats_percentile(stats, 9990), "max_us", (json_int_t)stats->max);
    CHECK(json != NULL);
    return json;
}
