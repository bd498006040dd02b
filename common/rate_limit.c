#include "common/rate_limit.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sodium/crypto_shorthash.h>
#include <stdlib.h>

#define SECOND_NS 1000000000u

/* ---- a bucket -------------------------------------------------------------------------------- */

static uint64_t wait_of(uint64_t full_ns, uint64_t rate, uint64_t now_ns)
{
    /* Empty is a second before full. */
    return rate == 0 ? 0 : u64_minus(full_ns, now_ns + SECOND_NS - 1);
}

uint64_t rate_bucket_wait_ns(const struct rate_bucket *bucket,
                             const struct rates *rates,
                             uint64_t now_ns)
{
    return u64_max(wait_of(bucket->full_ns[0], rates->transactions, now_ns),
                   wait_of(bucket->full_ns[1], rates->bytes, now_ns));
}

static void take(uint64_t *full_ns, uint64_t rate, uint64_t cost, uint64_t now_ns)
{
    CHECK(cost <= RATE_COST_MAX);
    if (rate == 0) return;
    /* Rounded up: a rate is not exceeded by what is lost in rounding. */
    *full_ns = u64_max(*full_ns, now_ns) + (cost * SECOND_NS + rate - 1) / rate;
}

void rate_bucket_take(struct rate_bucket *bucket,
                      const struct rates *rates,
                      const struct rate_cost *cost,
                      uint64_t now_ns)
{
    take(&bucket->full_ns[0], rates->transactions, cost->transactions, now_ns);
    take(&bucket->full_ns[1], rates->bytes, cost->bytes, now_ns);
}

/* ---- a table --------------------------------------------------------------------------------- */

#define WAYS 8u /* places in which an address may be */
#define SETS (RATE_TABLE_ENTRIES / WAYS)
_Static_assert((SETS & (SETS - 1)) == 0, "a set is chosen by the low bits of a hash");

struct entry {
    struct rate_address address;
    struct rate_bucket bucket; /* full: the entry is free */
};

struct rate_table {
    struct rates rates;
    uint8_t key[crypto_shorthash_KEYBYTES]; /* nobody can choose addresses that meet */
    struct rate_bucket shared;
    struct entry entries[RATE_TABLE_ENTRIES];
};

struct rate_address rate_address_of(const struct sockaddr_storage *peer)
{
    struct rate_address address = {{0}};
    const void *any = peer;

    if (peer->ss_family == AF_INET6) {
        const struct sockaddr_in6 *ip6 = any;
        /* An IPv4 address in its IPv6 form counts as a whole. */
        bool mapped = IN6_IS_ADDR_V4MAPPED(&ip6->sin6_addr);
        memcpy(address.bytes, &ip6->sin6_addr, mapped ? 16 : 8);
    } else if (peer->ss_family == AF_INET) {
        const struct sockaddr_in *ip4 = any;
        address.bytes[10] = address.bytes[11] = 0xff;
        memcpy(address.bytes + 12, &ip4->sin_addr, 4);
    }
    return address;
}

struct rate_address rate_address_parse(const char *peer)
{
    struct sockaddr_storage storage = {.ss_family = AF_UNSPEC};
    char host[INET6_ADDRSTRLEN] = "";
    void *any = &storage;
    struct sockaddr_in *ip4 = any;
    struct sockaddr_in6 *ip6 = any;
    bool is_ip6 = strncmp(peer, "ipv6:", 5) == 0;

    if (!is_ip6 && strncmp(peer, "ipv4:", 5) != 0) return rate_address_of(&storage);
    peer += 5;
    if (*peer == '[')
        peer++;
    else if (strncmp(peer, "%5B", 3) == 0)
        peer += 3;
    size_t len = strcspn(peer, is_ip6 ? "]%" : ":");
    if (len >= sizeof host) return rate_address_of(&storage);
    memcpy(host, peer, len);
    if (is_ip6 && inet_pton(AF_INET6, host, &ip6->sin6_addr) == 1) storage.ss_family = AF_INET6;
    if (!is_ip6 && inet_pton(AF_INET, host, &ip4->sin_addr) == 1) storage.ss_family = AF_INET;
    return rate_address_of(&storage);
}

struct rate_table *rate_table_new(const struct rates *rates)
{
    struct rate_table *table = calloc(1, sizeof *table);

    CHECK(table != NULL);
    CHECK(rates->transactions <= RATE_MAX);
    CHECK(rates->bytes <= RATE_MAX);
    table->rates = *rates;
    crypto_shorthash_keygen(table->key);
    return table;
}

void rate_table_free(struct rate_table *table)
{
    free(table);
}

static bool is_full(const struct rate_bucket *bucket, uint64_t now_ns)
{
    return bucket->full_ns[0] <= now_ns && bucket->full_ns[1] <= now_ns;
}

/* The address's bucket; one that was free if it has none; else the shared one. */
static struct rate_bucket *find(struct rate_table *table,
                                const struct rate_address *address,
                                uint64_t now_ns)
{
    uint64_t hash;
    uint8_t bytes[crypto_shorthash_BYTES];
    struct entry *free_entry = NULL;

    crypto_shorthash(bytes, address->bytes, sizeof address->bytes, table->key);
    memcpy(&hash, bytes, sizeof hash);
    struct entry *set = &table->entries[(hash & (SETS - 1)) * WAYS];
    for (uint32_t i = 0; i < WAYS; i++) {
        if (is_full(&set[i].bucket, now_ns)) {
            if (free_entry == NULL) free_entry = &set[i];
        } else if (memcmp(&set[i].address, address, sizeof *address) == 0) {
            return &set[i].bucket;
        }
    }
    if (free_entry == NULL) return &table->shared;
    *free_entry = (struct entry){.address = *address};
    return &free_entry->bucket;
}

uint64_t rate_table_wait_ns(struct rate_table *table,
                            const struct rate_address *address,
                            uint64_t now_ns)
{
    return rate_bucket_wait_ns(find(table, address, now_ns), &table->rates, now_ns);
}

void rate_table_take(struct rate_table *table,
                     const struct rate_address *address,
                     const struct rate_cost *cost,
                     uint64_t now_ns)
{
    rate_bucket_take(find(table, address, now_ns), &table->rates, cost, now_ns);
}
