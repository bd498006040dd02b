/* Rate limits as token buckets that may be overdrawn.
 *
 * A bucket holds one second's worth of its rate and fills at that rate. Something is let in while
 * the bucket is not empty, and takes its whole cost out of it, below zero if it is larger than what
 * is left; then nothing is let in until the debt has been filled up again. So a message larger than
 * the bucket passes, now and then, and the average holds; nothing needs to know its cost before it
 * is let in.
 *
 * A bucket is one number: the time at which it will be full again. Time comes from the caller, in
 * nanoseconds of any clock that does not go back. A rate of 0 is no limit. */
#ifndef COMMON_RATE_LIMIT_H
#define COMMON_RATE_LIMIT_H

#include "common/base.h"

/* What is let through per second; 0: everything. At most RATE_MAX. */
struct rates {
    uint64_t transactions;
    uint64_t bytes;
};

/* One second's worth at this rate is counted without overflow. */
#define RATE_MAX 1000000000000u

/* What something costs. At most RATE_COST_MAX each. */
struct rate_cost {
    uint64_t transactions;
    uint64_t bytes;
};

#define RATE_COST_MAX 1000000000u

struct rate_bucket {
    uint64_t full_ns[2]; /* transactions, bytes; 0: full */
};

/* 0: something may be let in now. Else how long to wait, nanoseconds. */
uint64_t rate_bucket_wait_ns(const struct rate_bucket *bucket,
                             const struct rates *rates,
                             uint64_t now_ns);

void rate_bucket_take(struct rate_bucket *bucket,
                      const struct rates *rates,
                      const struct rate_cost *cost,
                      uint64_t now_ns);

/* ---- many ------------------------------------------------------------------------------------ */

/* Buckets of equal rates by address. The table has a fixed size. A bucket that is full says nothing
 * and makes room for a new address; while there is none, new addresses share one bucket, so that
 * somebody with many of them gains nothing. */
struct rate_table;

/* Addresses remembered while their buckets are not full. 16,384 entries are 768 KiB. */
#define RATE_TABLE_ENTRIES 16384u

/* An IPv6 client is its /64 network: it has all the addresses in it. */
struct rate_address {
    uint8_t bytes[16];
};

struct sockaddr_storage;
struct rate_address rate_address_of(const struct sockaddr_storage *peer);

/* The same from gRPC's text: "ipv4:127.0.0.1:5000", "ipv6:[::1]:5000", the brackets perhaps as %5B and
 * %5D. What is neither is one client, as what is neither in the other function. */
struct rate_address rate_address_parse(const char *peer);

struct rate_table *rate_table_new(const struct rates *rates);
void rate_table_free(struct rate_table *table); /* NULL is fine */

uint64_t rate_table_wait_ns(struct rate_table *table,
                            const struct rate_address *address,
                            uint64_t now_ns);

void rate_table_take(struct rate_table *table,
                     const struct rate_address *address,
                     const struct rate_cost *cost,
                     uint64_t now_ns);

#endif
