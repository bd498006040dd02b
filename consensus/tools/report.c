#include "consensus/tools/report.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#define REFRESH_US 200000u

uint64_t report_now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000u + (uint64_t)now.tv_nsec / 1000u;
}

void report_open(struct report *report, bool json, bool quiet)
{
    *report = (struct report){.form = REPORT_LINES};
    if (json)
        report->form = REPORT_JSON;
    else if (quiet)
        report->form = REPORT_NONE;
    else if (isatty(STDOUT_FILENO))
        report->form = REPORT_REFRESH;
    if (report->form == REPORT_LINES || report->form == REPORT_JSON)
        setvbuf(stdout, NULL, _IOLBF, 0);
    report->started_us = report_now_us();
    report->last_us = report->started_us;
}

static double percentile(const struct report *report, uint32_t share)
{
    return (double)stats_percentile(&report->latency, share) / 1000.0;
}

static uint64_t average(uint64_t sum, uint64_t count)
{
    return count == 0 ? 0 : sum / count;
}

static uint64_t latency_of(const struct item *item)
{
    return average(item->latency_ms, item->transactions - item->foreign);
}

static void print_line(const struct item *item)
{
    char hex[2 * sizeof item->digest.bytes + 1];

    if (item->transactions == 0) {
        printf("Empty subdag #%" PRIu64 "\n", item->id);
        return;
    }
    printf("Received subdag #%" PRIu64 " (num txs %" PRIu64 ", payload size %" PRIu64
           " B, avg latency %" PRIu64 " ms, cert delta %" PRIu64 " ms / %" PRIu64 " rounds)",
           item->id, item->transactions, item->bytes, latency_of(item), item->created_ms,
           item->rounds);
    if (item->has_digest) {
        hex_encode(hex, item->digest.bytes, sizeof item->digest.bytes);
        printf(" digest %s", hex);
    }
    printf("\n");
}

static void print_json(const struct item *item)
{
    char hex[2 * sizeof item->digest.bytes + 1] = "";

    if (item->has_digest) hex_encode(hex, item->digest.bytes, sizeof item->digest.bytes);
    printf("{\"id\": %" PRIu64 ", \"digest\": \"%s\", \"txs\": %" PRIu64 ", \"bytes\": %" PRIu64
           ", \"latency_ms\": %" PRIu64 ", \"foreign\": %" PRIu64 ", \"certs\": %" PRIu64
           ", \"rounds\": %" PRIu64 ", \"timestamp\": %" PRIu64 "}\n",
           item->id, hex, item->transactions, item->bytes, latency_of(item), item->foreign,
           item->certificates, item->rounds, item->timestamp);
}

static void refresh(struct report *report)
{
    uint64_t now = report_now_us();
    double seconds = (double)(now - report->last_us) / 1e6;

    if (now - report->last_us < REFRESH_US) return;
    printf("\r\033[K#%" PRIu64 " | %.1fk tx/s | %.1f MB/s | p50 %.0f ms p99 %.0f ms",
           report->last_id,
           (double)(report->transactions - report->last_transactions) / seconds / 1e3,
           (double)(report->bytes - report->last_bytes) / seconds / 1e6, percentile(report, 5000),
           percentile(report, 9900));
    fflush(stdout);
    report->last_us = now;
    report->last_transactions = report->transactions;
    report->last_bytes = report->bytes;
}

void report_item(struct report *report, const struct item *item)
{
    if (report->items == 0)
        report->first_id = item->id;
    else if (item->id != report->last_id + 1)
        report->gaps++;
    report->items++;
    report->last_id = item->id;
    report->transactions += item->transactions;
    report->bytes += item->bytes;
    report->foreign += item->foreign;
    report->sealed_ms += item->sealed_ms;
    report->sealed_count += item->sealed_count;
    switch (report->form) {
    case REPORT_LINES:
        print_line(item);
        break;
    case REPORT_JSON:
        print_json(item);
        break;
    case REPORT_REFRESH:
        refresh(report);
        break;
    case REPORT_NONE:
        break;
    }
}

void report_summary(struct report *report, bool json)
{
    double seconds = (double)(report_now_us() - report->started_us) / 1e6;
    double tps = (double)report->transactions / seconds;
    double bps = (double)report->bytes / seconds;
    uint64_t mean_ms = stats_mean(&report->latency) / 1000;
    uint64_t consensus_ms = average(report->sealed_ms, report->sealed_count);

    if (report->form == REPORT_REFRESH) printf("\n");
    if (json) {
        printf("{\"items\": %" PRIu64 ", \"first_id\": %" PRIu64 ", \"last_id\": %" PRIu64
               ", \"gaps\": %" PRIu64 ", \"transactions\": %" PRIu64 ", \"bytes\": %" PRIu64
               ", \"foreign\": %" PRIu64 ", \"seconds\": %.3f, \"tps\": %.1f, \"bps\": %.1f"
               ", \"latency_ms\": %" PRIu64 ", \"consensus_latency_ms\": %" PRIu64
               ", \"p50_ms\": %.1f, \"p95_ms\": %.1f, \"p99_ms\": %.1f, \"p999_ms\": %.1f}\n",
               report->items, report->first_id, report->last_id, report->gaps, report->transactions,
               report->bytes, report->foreign, seconds, tps, bps, mean_ms, consensus_ms,
               percentile(report, 5000), percentile(report, 9500), percentile(report, 9900),
               percentile(report, 9990));
    } else if (report->form != REPORT_JSON) {
        printf("%" PRIu64 " subdags (#%" PRIu64 " to #%" PRIu64 ", %" PRIu64 " gaps), %" PRIu64
               " transactions, %" PRIu64
               " B in %.1f s: %.0f tx/s, %.0f B/s; latency p50 %.1f ms, p95 "
               "%.1f ms, p99 %.1f ms, p99.9 %.1f ms\n",
               report->items, report->first_id, report->last_id, report->gaps, report->transactions,
               report->bytes, seconds, tps, bps, percentile(report, 5000), percentile(report, 9500),
               percentile(report, 9900), percentile(report, 9990));
    }
    fflush(stdout);
}
