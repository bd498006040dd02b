/* Goal: what a bucket lets through keeps to its rate, a message larger than the bucket passes, and
 * one address cannot use up another's share. Method: virtual time. */
#include "tests/unit/unit.h"

#include <arpa/inet.h>

#include "common/rate_limit.h"

#define SECOND 1000000000u

static const struct rate_cost one = {1, 100};

static void a_bucket_holds_one_second_and_refills(void **state)
{
    (void)state;
    const struct rates rates = {10, 0};
    struct rate_bucket bucket = {{0, 0}};
    uint64_t now = 123 * (uint64_t)SECOND;

    for (int i = 0; i < 10; i++) {
        assert_int_equal(rate_bucket_wait_ns(&bucket, &rates, now), 0);
        rate_bucket_take(&bucket, &rates, &one, now);
    }
    uint64_t wait = rate_bucket_wait_ns(&bucket, &rates, now);
    assert_int_equal(wait, 1);
    /* One unit comes back in a tenth of a second; a full second fills it and no more. */
    rate_bucket_take(&bucket, &rates, &one, now + 1);
    assert_int_equal(rate_bucket_wait_ns(&bucket, &rates, now + 1), SECOND / 10);
    assert_int_equal(rate_bucket_wait_ns(&bucket, &rates, now + 1 + SECOND / 10), 0);
    now += 1000 * (uint64_t)SECOND;
    for (int i = 0; i < 10; i++) {
        assert_int_equal(rate_bucket_wait_ns(&bucket, &rates, now), 0);
        rate_bucket_take(&bucket, &rates, &one, now);
    }
    assert_true(rate_bucket_wait_ns(&bucket, &rates, now) > 0);
}

static void the_average_holds_over_any_mixture(void **state)
{
    (void)state;
    const struct rates rates = {1000, 300000};
    struct rate_bucket bucket = {{0, 0}};
    uint64_t seed = 7;
    uint64_t now = SECOND;
    uint64_t end = now + 100 * (uint64_t)SECOND;
    struct rate_cost taken = {0, 0};
    struct rate_cost largest = {1000, 600000};

    while (now < end) {
        uint64_t wait = rate_bucket_wait_ns(&bucket, &rates, now);
        if (wait > 0) {
            now += wait;
            assert_int_equal(rate_bucket_wait_ns(&bucket, &rates, now), 0);
            continue;
        }
        struct rate_cost cost = {1 + unit_random_below(&seed, largest.transactions),
                                 1 + unit_random_below(&seed, largest.bytes)};
        rate_bucket_take(&bucket, &rates, &cost, now);
        taken.transactions += cost.transactions;
        taken.bytes += cost.bytes;
    }
    assert_true(taken.transactions <= 101 * rates.transactions + largest.transactions);
    assert_true(taken.bytes <= 101 * rates.bytes + largest.bytes);
    /* The tighter of the two was used up. */
    assert_true(taken.bytes >= 99 * rates.bytes);
}

static void no_rate_is_no_limit(void **state)
{
    (void)state;
    const struct rates rates = {0, 0};
    struct rate_bucket bucket = {{0, 0}};
    const struct rate_cost large = {RATE_COST_MAX, RATE_COST_MAX};

    for (int i = 0; i < 100; i++)
        rate_bucket_take(&bucket, &rates, &large, 1);
    assert_int_equal(rate_bucket_wait_ns(&bucket, &rates, 1), 0);
    /* The largest cost at the least rate does not overflow. */
    const struct rates slow = {1, RATE_MAX};
    rate_bucket_take(&bucket, &slow, &large, 1);
    assert_int_equal(rate_bucket_wait_ns(&bucket, &slow, 1) / SECOND, RATE_COST_MAX - 1);
}

static struct rate_address ip4(uint32_t number)
{
    struct sockaddr_storage storage = {.ss_family = AF_INET};
    void *any = &storage;
    ((struct sockaddr_in *)any)->sin_addr.s_addr = htonl(number);
    return rate_address_of(&storage);
}

static struct rate_address ip6(const char *text)
{
    struct sockaddr_storage storage = {.ss_family = AF_INET6};
    void *any = &storage;
    assert_int_equal(inet_pton(AF_INET6, text, &((struct sockaddr_in6 *)any)->sin6_addr), 1);
    return rate_address_of(&storage);
}

static void addresses_are_counted_apart_and_networks_together(void **state)
{
    (void)state;
    const struct rates rates = {1, 0};
    struct rate_table *table = rate_table_new(&rates);
    const struct rate_cost cost = {5, 0};
    struct rate_address a = ip4(0x7f000001);
    struct rate_address b = ip4(0x7f000002);
    struct rate_address c = ip6("2001:db8::1");
    struct rate_address same = ip6("2001:db8::ffff:1");
    struct rate_address other = ip6("2001:db8:0:1::1");
    struct rate_address mapped = ip6("::ffff:127.0.0.1");

    rate_table_take(table, &a, &cost, SECOND);
    rate_table_take(table, &c, &cost, SECOND);
    assert_true(rate_table_wait_ns(table, &a, SECOND) > 0);
    assert_true(rate_table_wait_ns(table, &mapped, SECOND) > 0);
    assert_int_equal(rate_table_wait_ns(table, &b, SECOND), 0);
    assert_true(rate_table_wait_ns(table, &same, SECOND) > 0);
    assert_int_equal(rate_table_wait_ns(table, &other, SECOND), 0);
    rate_table_free(table);
}

static void a_peers_text_is_its_address(void **state)
{
    (void)state;
    const struct {
        const char *text;
        struct rate_address address;
    } peers[] = {
        {"ipv4:127.0.0.1:50000", ip4(0x7f000001)},
        {"ipv4:10.1.2.3:1", ip4(0x0a010203)},
        {"ipv6:[2001:db8::1]:50000", ip6("2001:db8::7")},
        {"ipv6:%5B2001:db8:0:1::1%5D:50000", ip6("2001:db8:0:1::2")},
        {"ipv6:%5Bfe80::1%25eth0%5D:50000", ip6("fe80::1")},
        {"ipv6:[::ffff:10.1.2.3]:1", ip4(0x0a010203)},
    };
    const struct rate_address nobody = {{0}};

    for (size_t i = 0; i < sizeof peers / sizeof peers[0]; i++) {
        struct rate_address address = rate_address_parse(peers[i].text);
        assert_memory_equal(&address, &peers[i].address, sizeof address);
        assert_memory_not_equal(&address, &nobody, sizeof address);
    }
    static const char *const others[] = {
        "",       "unix:/tmp/x",  "ipv4:",
        "ipv6:[", "ipv4:1.2.3:5", "ipv6:[0000:0000:0000:0000:0000:0000:0000:0000:0000:0000"};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        struct rate_address address = rate_address_parse(others[i]);
        assert_memory_equal(&address, &nobody, sizeof address);
    }
}

static void many_addresses_gain_nothing(void **state)
{
    (void)state;
    const struct rates rates = {1, 0};
    struct rate_table *table = rate_table_new(&rates);
    const struct rate_cost cost = {10, 0};
    uint32_t let_in = 0;

    /* More than there is room for: the rest share one bucket. */
    for (uint32_t i = 0; i < 4 * RATE_TABLE_ENTRIES; i++) {
        struct rate_address address = ip4(i);
        if (rate_table_wait_ns(table, &address, SECOND) > 0) continue;
        rate_table_take(table, &address, &cost, SECOND);
        let_in++;
    }
    assert_in_range(let_in, RATE_TABLE_ENTRIES * 3 / 4, RATE_TABLE_ENTRIES + 1);
    /* Once their buckets are full again the places are free. */
    struct rate_address late = ip4(0xffffffff);
    assert_int_equal(rate_table_wait_ns(table, &late, 20 * (uint64_t)SECOND), 0);
    rate_table_free(table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_bucket_holds_one_second_and_refills),
        cmocka_unit_test(the_average_holds_over_any_mixture),
        cmocka_unit_test(no_rate_is_no_limit),
        cmocka_unit_test(addresses_are_counted_apart_and_networks_together),
        cmocka_unit_test(a_peers_text_is_its_address),
        cmocka_unit_test(many_addresses_gain_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
