/* dsn-spammer: sends transactions, one at a time like a person, or many at a rate. */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <unistd.h>

#include "common/client_access.h"
#include "common/config.h"
#include "common/envelope.h"
#include "common/limits.h"
#include "common/log.h"
#include "common/stats.h"
#include "consensus/tools/load.h"
#include "consensus/tools/report.h"
#include "consensus/tools/signer.h"
#include "consensus/tools/stamp.h"

struct settings {
    struct config_list endpoint;
    uint64_t sleep;
    uint64_t min_size;
    uint64_t max_size;
    uint64_t size;
    uint64_t rate;
    bool max_rate;
    uint32_t connections;
    uint32_t group;
    uint64_t window;
    uint64_t duration;
    uint64_t count;
    uint32_t level;
    bool json;
    char *tls_ca;
    char *token_file;
    char *sign_key;
    char *committee;
};

#define FIELD(member) .offset = offsetof(struct settings, member)

static const char *const levels[] = {"plain", "accepted", "certified", "committed", NULL};

static const struct config_field fields[] = {
    {"endpoint", CONFIG_LIST, FIELD(endpoint), "http://127.0.0.1:64012", 0, 0, NULL,
     "transaction ports; connections go round them", 'e'},
    {"sleep", CONFIG_U64, FIELD(sleep), "1000", 0, 0, NULL,
     "milliseconds between two transactions, when no --rate is given", 's'},
    {"min_size", CONFIG_SIZE, FIELD(min_size), "1024", STAMP_BYTES, TRANSACTION_BYTES_MAX, NULL,
     "least transaction size", 0},
    {"max_size", CONFIG_SIZE, FIELD(max_size), "32768", STAMP_BYTES, TRANSACTION_BYTES_MAX, NULL,
     "largest transaction size", 0},
    {"size", CONFIG_SIZE, FIELD(size), "0", 0, TRANSACTION_BYTES_MAX, NULL,
     "size of every transaction; 0: between --min-size and --max-size", 0},
    {"rate", CONFIG_U64, FIELD(rate), "0", 0, 0, NULL,
     "transactions per second over all connections; 0: one at a time (see --sleep)", 'r'},
    {"max_rate", CONFIG_BOOL, FIELD(max_rate), "false", 0, 0, NULL, "as many as the nodes take", 0},
    {"connections", CONFIG_U32, FIELD(connections), "1", 1, LOAD_STREAMS_MAX, NULL,
     "streams, with --rate or --max-rate", 'c'},
    {"group", CONFIG_U32, FIELD(group), "100", 1, 10000, NULL,
     "transactions per message, with --rate or --max-rate", 0},
    {"window", CONFIG_SIZE, FIELD(window), "1MiB", 65536, 67108864, NULL,
     "bytes on their way per stream", 0},
    {"duration", CONFIG_DURATION, FIELD(duration), "0us", 0, 0, NULL,
     "stop after so long; 0us: never", 'd'},
    {"count", CONFIG_U64, FIELD(count), "0", 0, 0, NULL,
     "stop after so many transactions, without --rate; 0: never", 'n'},
    {"level", CONFIG_CHOICE, FIELD(level), "plain", 0, 0, levels,
     "what to wait for, without --rate; plain: the node's own", 0},
    {"json", CONFIG_BOOL, FIELD(json), "false", 0, 0, NULL, "the summary as one JSON object", 0},
    CLIENT_ACCESS_FIELDS(struct settings),
    {"sign_key", CONFIG_STRING, FIELD(sign_key), "", 0, 0, NULL,
     "key file (dsn keygen): send transactions in envelopes signed with it; needs --committee", 0},
    {"committee", CONFIG_STRING, FIELD(committee), "", 0, 0, NULL, "committee.json, for --sign-key",
     0},
};

static const struct config_program program = {
    .name = "dsn-spammer",
    .about = "Sends transactions that begin with the time they were sent.",
    .fields = fields,
    .fields_count = sizeof fields / sizeof fields[0],
};

/* How the spammer presents itself; signer NULL: transactions go bare. */
struct presence {
    struct client_access access;
    struct signer signer;
    bool signs;
};

static volatile sig_atomic_t interrupted;

static void on_signal(int number)
{
    (void)number;
    interrupted = 1;
}

static bool is_over(const struct settings *settings, uint64_t started_us)
{
    return interrupted ||
           (settings->duration > 0 && report_now_us() - started_us >= settings->duration);
}

static int fail(const char *format, const char *what)
{
    fprintf(stderr, "dsn-spammer: ");
    fprintf(stderr, format, what);
    fprintf(stderr, "\n");
    return EXIT_USAGE;
}

/* ---- many ------------------------------------------------------------------------------------ */

static void print_load(const struct load *load, uint64_t started_us, bool json)
{
    struct load_counters counters;
    double seconds = (double)(report_now_us() - started_us) / 1e6;

    load_get_counters(load, &counters);
    if (json)
        printf("{\"sent\": %" PRIu64 ", \"sent_bytes\": %" PRIu64 ", \"acknowledged\": %" PRIu64
               ", \"failed\": %" PRIu64 ", \"stream_errors\": %" PRIu64 ", \"late\": %" PRIu64
               ", \"seconds\": %.3f, \"tps\": %.1f}\n",
               counters.sent, counters.sent_bytes, counters.acknowledged, counters.failed,
               counters.stream_errors, counters.late, seconds, (double)counters.sent / seconds);
    else
        printf("sent %" PRIu64 " transactions (%" PRIu64
               " B) in %.1f s: %.0f tx/s; acknowledged %" PRIu64 ", failed %" PRIu64
               ", stream errors %" PRIu64 ", late ticks %" PRIu64 "\n",
               counters.sent, counters.sent_bytes, seconds, (double)counters.sent / seconds,
               counters.acknowledged, counters.failed, counters.stream_errors, counters.late);
    if (counters.stream_errors > 0) log_warn("spammer: last error: %s", load_last_error(load));
    fflush(stdout);
}

static int run_load(const struct settings *settings, struct presence *presence)
{
    const char *endpoints[CONFIG_LIST_MAX];
    const char *bad = "";
    struct load *load;
    struct load_counters counters;
    uint64_t started_us = report_now_us();
    uint64_t seen = 0;
    struct load_options options = {
        .endpoints = endpoints,
        .endpoints_count = (uint32_t)settings->endpoint.count,
        .streams = settings->connections,
        .rate = settings->max_rate ? 0 : settings->rate,
        .size_min = (uint32_t)(settings->size > 0 ? settings->size : settings->min_size),
        .size_max = (uint32_t)(settings->size > 0 ? settings->size : settings->max_size),
        .group = settings->group,
        .window_bytes = settings->window,
        .access = &presence->access,
        .signer = presence->signs ? &presence->signer : NULL,
    };

    for (size_t i = 0; i < settings->endpoint.count; i++)
        endpoints[i] = settings->endpoint.items[i];
    if (getrandom(&options.seed, sizeof options.seed, 0) != sizeof options.seed) options.seed = 1;
    if (load_open(&load, &bad, &options) != OK)
        return fail("--endpoint: %s: expected http://host:port or https://host:port", bad);
    while (!is_over(settings, started_us)) {
        load_run(load, 250);
        load_get_counters(load, &counters);
        if (isatty(STDERR_FILENO)) {
            fprintf(stderr, "\r\033[Ksent %" PRIu64 " | %.1fk tx/s", counters.sent,
                    (double)(counters.sent - seen) / 250.0);
            seen = counters.sent;
        }
    }
    if (isatty(STDERR_FILENO)) fprintf(stderr, "\n");
    load_finish(load, 5000);
    print_load(load, started_us, settings->json);
    load_get_counters(load, &counters);
    load_close(load);
    return counters.sent > 0 && counters.failed == counters.sent ? EXIT_FAILURE : EXIT_SUCCESS;
}

/* ---- one at a time --------------------------------------------------------------------------- */

struct single {
    struct presence *presence;
    struct client *client;
    struct client_channel *channel;
    struct stats latency;
    uint64_t sent;
    uint64_t acknowledged;
    uint64_t failed;
};

static void sleep_ms(const struct settings *settings, uint64_t started_us)
{
    uint64_t end = report_now_us() + settings->sleep * 1000;
    while (report_now_us() < end && !is_over(settings, started_us))
        usleep((useconds_t)u64_min(50000, end - report_now_us()));
}

static uint32_t make_transaction(uint8_t *ret, const struct settings *settings, uint64_t now_ms)
{
    uint64_t span = settings->size > 0 ? 1 : settings->max_size - settings->min_size + 1;
    uint64_t random = 0;
    uint32_t size;

    CHECK(getrandom(&random, sizeof random, 0) == sizeof random);
    size = (uint32_t)((settings->size > 0 ? settings->size : settings->min_size) + random % span);
    for (uint32_t at = STAMP_BYTES; at < size;
         at += 256) /* getrandom gives up to 256 bytes whole */
        CHECK(getrandom(ret + at, size - at < 256 ? size - at : 256, 0) > 0);
    stamp_write(ret, now_ms);
    return size;
}

static void send_one(struct single *single, const struct settings *settings)
{
    static uint8_t payload[TRANSACTION_BYTES_MAX];
    static uint8_t envelope[ENVELOPE_BYTES_MAX];
    static const enum client_level level_of[] = {CLIENT_LEVEL_PLAIN, CLIENT_LEVEL_ACCEPTED,
                                                 CLIENT_LEVEL_CERTIFIED, CLIENT_LEVEL_COMMITTED};
    uint64_t now_ms = stamp_now_ms();
    uint32_t size = make_transaction(payload, settings, now_ms);
    const uint8_t *transaction = payload;
    size_t len = size;
    struct client_event *event = NULL;

    if (!settings->json)
        printf("Connected. Sending transaction (size %u, timestamp %" PRIu64 " ms)\n", size,
               now_ms);
    if (single->presence->signs) {
        len = signer_wrap(&single->presence->signer, envelope, (struct bytes){payload, size});
        transaction = envelope;
    }
    single->sent++;
    if (client_submit(single->channel, level_of[settings->level], transaction, len, 30000, NULL) ==
        OK)
        while (event == NULL && !interrupted)
            event = client_wait(single->client, 100);
    if (event != NULL && event->code == CLIENT_OK) {
        single->acknowledged++;
        stats_add(&single->latency, event->elapsed_us);
        if (!settings->json && settings->level == 3)
            printf("Committed in pre-block %" PRIu64 " at position %u\n", event->index,
                   event->position);
        if (!settings->json) printf("Done. Sleep for %" PRIu64 "ms\n", settings->sleep);
    } else {
        single->failed++;
        log_warn("spammer: %s: %s", event ? client_code_text(event->code) : "interrupted",
                 event ? event->text : "");
    }
    client_event_free(single->client, event);
}

static void print_single(const struct single *single, uint64_t started_us, bool json)
{
    double seconds = (double)(report_now_us() - started_us) / 1e6;
    double p50 = (double)stats_percentile(&single->latency, 5000u) / 1000.0;
    double p95 = (double)stats_percentile(&single->latency, 9500u) / 1000.0;
    double p99 = (double)stats_percentile(&single->latency, 9900u) / 1000.0;
    double p999 = (double)stats_percentile(&single->latency, 9990u) / 1000.0;

    if (json)
        printf("{\"sent\": %" PRIu64 ", \"acknowledged\": %" PRIu64 ", \"failed\": %" PRIu64
               ", \"seconds\": %.3f, \"p50_ms\": %.1f, \"p95_ms\": %.1f, \"p99_ms\": %.1f, "
               "\"p999_ms\": "
               "%.1f}\n",
               single->sent, single->acknowledged, single->failed, seconds, p50, p95, p99, p999);
    else
        printf("sent %" PRIu64 ", acknowledged %" PRIu64 ", failed %" PRIu64
               " in %.1f s; acknowledgement p50 %.1f ms, p95 %.1f ms, p99 %.1f ms, p99.9 %.1f ms\n",
               single->sent, single->acknowledged, single->failed, seconds, p50, p95, p99, p999);
    fflush(stdout);
}

static int run_single(const struct settings *settings, struct presence *presence)
{
    static struct single single;
    uint64_t started_us = report_now_us();
    const char *endpoint = settings->endpoint.items[0];

    single.presence = presence;
    if (client_open(&single.client, 0) != OK) return fail("cannot start the client%s", "");
    client_secure(single.client, presence->access.roots, presence->access.token);
    if (client_channel_open(&single.channel, single.client, endpoint) != OK) {
        client_close(single.client);
        return fail("--endpoint: %s: expected http://host:port or https://host:port", endpoint);
    }
    if (!settings->json) printf("Connecting to %s...\n", endpoint);
    while (!is_over(settings, started_us)) {
        send_one(&single, settings);
        if (settings->count > 0 && single.sent >= settings->count) break;
        sleep_ms(settings, started_us);
    }
    print_single(&single, started_us, settings->json);
    client_channel_close(single.channel);
    client_close(single.client);
    return single.sent > 0 && single.acknowledged == 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

/* Reads the files that say who we are; EXIT_USAGE with the line printed when they do not. */
static int open_presence(struct presence *presence, const struct settings *settings)
{
    struct error_line error;
    uint64_t largest = settings->size > 0 ? settings->size : settings->max_size;

    if (client_access_load(&presence->access, client_access_any_tls(&settings->endpoint),
                           settings->tls_ca, "--token-file", settings->token_file, &error) != OK)
        return fail("%s", error.text);
    presence->signs = settings->sign_key[0] != '\0';
    if (!presence->signs) return CONFIG_RUN;
    if (largest > SIGNER_PAYLOAD_BYTES_MAX)
        return fail("--size, --max-size: at most 261996 bytes with --sign-key%s", "");
    if (signer_open(&presence->signer, settings->sign_key, settings->committee, &error) != OK)
        return fail("%s", error.text);
    return CONFIG_RUN;
}

static int run(const struct settings *settings)
{
    static struct presence presence;
    int code = open_presence(&presence, settings);

    if (code == CONFIG_RUN)
        code = settings->rate > 0 || settings->max_rate ? run_load(settings, &presence)
                                                        : run_single(settings, &presence);
    client_access_clear(&presence.access);
    return code;
}

int main(int argc, char **argv)
{
    struct settings settings;
    struct sigaction action = {.sa_handler = on_signal};
    int code = config_start(&settings, NULL, &program, argc, argv);

    if (code != CONFIG_RUN) return code;
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (settings.min_size > settings.max_size)
        code = fail("--min-size: is over --max-size%s", "");
    else if (settings.size > 0 && settings.size < STAMP_BYTES)
        code = fail("--size: expected at least 16 bytes, for the time stamp%s", "");
    else if (settings.endpoint.count == 0)
        code = fail("--endpoint: expected at least one%s", "");
    else
        code = run(&settings);
    config_free(&settings, &program);
    return code;
}
