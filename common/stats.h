/* Latencies without keeping each: a histogram whose buckets grow with the value, so that every
 * percentile is within 1 % from 1 us to 134 s. Values are microseconds; count, mean, minimum and
 * maximum are exact.
 *
 *   0 .. 63 us: one bucket each; then 64 buckets for each doubling */
#ifndef COMMON_STATS_H
#define COMMON_STATS_H

#include <jansson.h>

#include "common/base.h"

#define STATS_SUB_BITS 6u
#define STATS_SUBS     (1u << STATS_SUB_BITS)
#define STATS_TOP_BITS 27u /* 2^27 us = 134 s; larger values count as that */
#define STATS_BUCKETS  (STATS_SUBS * (STATS_TOP_BITS - STATS_SUB_BITS + 1u))

struct stats {
    uint64_t count;
    uint64_t sum;
    uint64_t min;
    uint64_t max;
    uint64_t buckets[STATS_BUCKETS];
};

void stats_reset(struct stats *stats);
void stats_add(struct stats *stats, uint64_t microseconds);

/* Adds all of `other`. */
void stats_merge(struct stats *stats, const struct stats *other);

/* The value that `share` of 10,000 values do not exceed (5000 is the median, 9990 is p99.9); 0 when
 * empty. */
uint64_t stats_percentile(const struct stats *stats, uint32_t share);

uint64_t stats_mean(const struct stats *stats);

/* "mean 1.20 ms, p50 1.10 ms, p95 2.00 ms, p99 2.31 ms, p99.9 9.80 ms, max 10.02 ms"; takes
 * STATS_TEXT_BYTES_MAX bytes. */
#define STATS_TEXT_BYTES_MAX 192u
void stats_format(char *ret, const struct stats *stats);

/* {"count", "mean_us", "min_us", "p50_us", "p95_us", "p99_us", "p999_us", "max_us"}. The caller
 * owns it. */
json_t *stats_json(const struct stats *stats);

#endif
