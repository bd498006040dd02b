/* dsn-listener: follows the pre-blocks of one node, or of several with failover. */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/client_access.h"
#include "common/committee_file.h"
#include "common/config.h"
#include "common/log.h"
#include "consensus/tools/report.h"
#include "consensus/tools/saved.h"
#include "consensus/tools/stamp.h"
#include "proto/client.h"
#include "proto/verify.h"

struct settings {
    struct config_list endpoint;
    char *from_id;
    char *tx_output;
    bool header;
    bool json;
    bool quiet;
    bool summary_json;
    bool certified;
    bool verify;
    char *committee;
    char *save;
    uint64_t count;
    uint64_t duration;
    uint64_t warm_up;
    uint64_t idle;
    char *tls_ca;
    char *token_file;
};

#define FIELD(member) .offset = offsetof(struct settings, member)

static const struct config_field fields[] = {
    {"endpoint", CONFIG_LIST, FIELD(endpoint), "http://127.0.0.1:64011", 0, 0, NULL,
     "export ports; the next one is taken when one fails", 'e'},
    {"from_id", CONFIG_STRING, FIELD(from_id), "0", 0, 0, NULL,
     "last id that is already known, exclusive; tip: only what comes from now on", 'f'},
    {"tx_output", CONFIG_STRING, FIELD(tx_output), "", 0, 0, NULL,
     "CSV file: sent_ms, received_ms, tx_len, num_rounds, num_blocks per transaction", 't'},
    {"header", CONFIG_BOOL, FIELD(header), "false", 0, 0, NULL, "begin the CSV with a header row",
     0},
    {"json", CONFIG_BOOL, FIELD(json), "false", 0, 0, NULL, "one JSON object per sub-DAG", 0},
    {"quiet", CONFIG_BOOL, FIELD(quiet), "false", 0, 0, NULL,
     "nothing per sub-DAG, only the summary", 'q'},
    {"summary_json", CONFIG_BOOL, FIELD(summary_json), "false", 0, 0, NULL,
     "nothing per sub-DAG, and the summary as one JSON object", 0},
    {"certified", CONFIG_BOOL, FIELD(certified), "false", 0, 0, NULL,
     "only pre-blocks that a certificate covers", 0},
    {"verify", CONFIG_BOOL, FIELD(verify), "false", 0, 0, NULL,
     "check everything against the committee file; stop with exit code 1 at the first wrong item",
     0},
    {"committee", CONFIG_STRING, FIELD(committee), "", 0, 0, NULL, "committee.json, for --verify",
     0},
    {"save", CONFIG_STRING, FIELD(save), "", 0, 0, NULL, "keep the stream in a file for dsn verify",
     0},
    {"count", CONFIG_U64, FIELD(count), "0", 0, 0, NULL, "stop after so many sub-DAGs; 0: never",
     'n'},
    {"duration", CONFIG_DURATION, FIELD(duration), "0us", 0, 0, NULL,
     "stop after so long; 0us: never", 'd'},
    {"warm_up", CONFIG_DURATION, FIELD(warm_up), "0us", 0, 0, NULL,
     "do not count what arrives in the first so long; --duration begins after it", 0},
    {"idle", CONFIG_DURATION, FIELD(idle), "0us", 0, 0, NULL,
     "warn when nothing came for so long; 0us: never", 0},
    CLIENT_ACCESS_FIELDS(struct settings),
};

static const struct config_program program = {
    .name = "dsn-listener",
    .about = "Follows the committed pre-blocks of a node: data on stdout, logs on stderr, a "
             "summary at the end.",
    .fields = fields,
    .fields_count = sizeof fields / sizeof fields[0],
};

struct listener {
    struct settings settings;
    struct report report;
    struct client *client;
    struct client_channel *channels[CLIENT_EXPORT_CHANNELS_MAX];
    struct client_export *stream;
    struct committee_file *committee;
    struct verify *verify;
    struct saved *saved;
    FILE *csv;
    struct item item; /* being counted */
    uint64_t now_ms;
    uint64_t next_id;    /* expected next */
    uint64_t started_ms; /* wall clock */
    bool tip;            /* skip what was proposed before that */
    bool live;
    bool warm; /* the warm-up is over */
    int code;
};

static volatile sig_atomic_t interrupted;

static void on_signal(int number)
{
    (void)number;
    interrupted = 1;
}

static int fail(const char *format, const char *what)
{
    fprintf(stderr, "dsn-listener: ");
    fprintf(stderr, format, what);
    fprintf(stderr, "\n");
    return EXIT_USAGE;
}

/* ---- items ----------------------------------------------------------------------------------- */

static void on_transaction(void *context, struct bytes transaction, uint64_t stamp_ms)
{
    struct listener *listener = context;

    if (stamp_ms == 0) {
        if (listener->report.form == REPORT_LINES) {
            char hex[2 * 32 + 1];
            hex_encode(hex, transaction.data, transaction.len < 32 ? transaction.len : 32);
            log_warn("Foreign transaction %s%s", hex, transaction.len > 32 ? ".." : "");
        }
        return;
    }
    stats_add(&listener->report.latency, u64_minus(listener->now_ms, stamp_ms) * 1000);
}

static void csv_transaction(void *context, struct bytes transaction, uint64_t stamp_ms)
{
    struct listener *listener = context;
    fprintf(listener->csv, "%" PRIu64 ",%" PRIu64 ",%zu,%" PRIu64 ",%" PRIu64 "\n", stamp_ms,
            listener->now_ms, transaction.len, listener->item.rounds, listener->item.certificates);
}

static void write_csv(struct listener *listener, struct bytes subdag)
{
    struct item item;
    if (listener->csv != NULL)
        (void)item_read(&item, subdag, listener->now_ms, csv_transaction, listener);
}

/* True when the item is right, or nobody asked. */
static bool is_verified(struct listener *listener, struct bytes subdag)
{
    struct verify_item item;
    char text[VERIFY_TEXT_BYTES];

    if (listener->verify == NULL) return true;
    if (verify_next(listener->verify, &item, text, subdag, listener->settings.certified) == OK)
        return true;
    printf("wrong: %s\n", text);
    return false;
}

static void take_subdag(struct listener *listener, const struct client_event *event)
{
    struct listener *self = listener;

    self->now_ms = stamp_now_ms();
    if (!is_verified(self, event->subdag)) {
        self->code = EXIT_FAILURE;
        interrupted = 1;
        return;
    }
    if (item_read(&self->item, event->subdag, self->now_ms, on_transaction, self) != OK) {
        log_error("listener: sub-DAG #%" PRIu64 " is malformed", event->id);
        self->code = EXIT_FAILURE;
        interrupted = 1;
        return;
    }
    write_csv(self, event->subdag);
    if (self->saved != NULL && saved_write(self->saved, event->subdag) != OK) {
        log_error("listener: %s cannot be written", self->settings.save);
        self->code = EXIT_FAILURE;
        interrupted = 1;
    }
    report_item(&self->report, &self->item);
    self->next_id = self->item.id + 1;
    if (self->settings.count > 0 && self->report.items >= self->settings.count) interrupted = 1;
}

/* With --from-id tip, history is skipped: the stream is live once an item is at most a second old.
 */
static bool is_history(struct listener *listener, const struct client_event *event)
{
    struct item item;

    if (!listener->tip || listener->live) return false;
    if (item_read(&item, event->subdag, stamp_now_ms(), NULL, NULL) != OK) return false;
    listener->live = item.timestamp >= listener->started_ms;
    if (listener->live) listener->report.started_us = report_now_us();
    return !listener->live;
}

/* Still in the warm-up: the end of it restarts the clock that rates are measured with. */
static bool is_warming_up(struct listener *listener)
{
    uint64_t now = report_now_us();

    if (listener->warm) return false;
    if (now - listener->report.started_us < listener->settings.warm_up) return true;
    listener->warm = true;
    listener->report.started_us = now;
    return false;
}

static void take_event(struct listener *listener, const struct client_event *event)
{
    const char *endpoint = listener->settings.endpoint.items[event->channel];

    switch (event->kind) {
    case CLIENT_EVENT_EXPORT_UP:
        log_info("Connected to %s. Exporting subdags from #%" PRIu64 "...", endpoint,
                 listener->next_id);
        break;
    case CLIENT_EVENT_EXPORT_DOWN:
        log_warn("%s: %s: %s; reconnecting", endpoint, client_code_text(event->code), event->text);
        break;
    case CLIENT_EVENT_SUBDAG:
        if (!is_history(listener, event) && !is_warming_up(listener)) take_subdag(listener, event);
        break;
    case CLIENT_EVENT_EXPORT_DONE:
        if (!interrupted) {
            log_error("listener: %s: %s", client_code_text(event->code), event->text);
            listener->code = EXIT_FAILURE;
        }
        interrupted = 1;
        break;
    case CLIENT_EVENT_SUBMITTED:
    case CLIENT_EVENT_WRITABLE:
    case CLIENT_EVENT_STREAM_DONE:
        break;
    }
}

/* ---- life ------------------------------------------------------------------------------------ */

static int open_verify(struct listener *listener)
{
    struct error_line error;

    if (!listener->settings.verify) return CONFIG_RUN;
    if (listener->settings.committee[0] == 0) return fail("--verify needs --committee%s", "");
    listener->committee = calloc(1, sizeof *listener->committee);
    CHECK(listener->committee != NULL);
    if (committee_file_load(listener->committee, listener->settings.committee, &error) != OK)
        return fail("%s", error.text);
    listener->verify = verify_open(&listener->committee->committee);
    return CONFIG_RUN;
}

static int open_files(struct listener *listener)
{
    const struct settings *settings = &listener->settings;
    struct error_line error;

    if (settings->tx_output[0] != 0) {
        listener->csv = fopen(settings->tx_output, "w");
        if (listener->csv == NULL)
            return fail("--tx-output: %s: cannot be written", settings->tx_output);
        if (settings->header)
            fprintf(listener->csv, "sent_ms,received_ms,tx_len,num_rounds,num_blocks\n");
    }
    if (settings->save[0] != 0 && saved_create(&listener->saved, settings->save, &error) != OK)
        return fail("--save: %s", error.text);
    return CONFIG_RUN;
}

static int open_stream(struct listener *listener)
{
    const struct settings *settings = &listener->settings;
    size_t count = settings->endpoint.count;
    char *end;
    uint64_t from = strtoull(settings->from_id, &end, 10);

    listener->next_id = from + 1;
    listener->started_ms = stamp_now_ms();
    listener->tip = strcmp(settings->from_id, "tip") == 0;
    if (!listener->tip && (end == settings->from_id || *end != 0))
        return fail("--from-id: %s: expected a number or tip", settings->from_id);
    if (count == 0 || count > CLIENT_EXPORT_CHANNELS_MAX)
        return fail("--endpoint: expected 1 to 16 of them%s", "");
    if (client_open(&listener->client, 0) != OK) return fail("cannot start the client%s", "");
    struct client_access access;
    struct error_line error;
    if (client_access_load(&access, client_access_any_tls(&settings->endpoint), settings->tls_ca,
                           "--token-file", settings->token_file, &error) != OK)
        return fail("%s", error.text);
    client_secure(listener->client, access.roots, access.token);
    client_access_clear(&access);
    for (size_t i = 0; i < count; i++) {
        log_info("Connecting to %s...", settings->endpoint.items[i]);
        if (client_channel_open(&listener->channels[i], listener->client,
                                settings->endpoint.items[i]) != OK)
            return fail("--endpoint: %s: expected http://host:port or https://host:port",
                        settings->endpoint.items[i]);
    }
    if (client_export_open(&listener->stream, listener->client, listener->channels, (uint32_t)count,
                           listener->tip ? 0 : from, settings->certified, NULL) != OK)
        return fail("cannot open the export%s", "");
    return CONFIG_RUN;
}

static void listener_close(struct listener *listener)
{
    for (size_t i = 0; i < listener->settings.endpoint.count && i < CLIENT_EXPORT_CHANNELS_MAX; i++)
        client_channel_close(listener->channels[i]);
    client_close(listener->client);
    verify_close(listener->verify);
    saved_close(listener->saved);
    if (listener->csv != NULL) fclose(listener->csv);
    free(listener->committee);
    config_free(&listener->settings, &program);
}

static void listener_run(struct listener *listener)
{
    const struct settings *settings = &listener->settings;
    uint64_t last_us = report_now_us();
    bool warned = false;

    while (!interrupted) {
        struct client_event *event = client_wait(listener->client, 50);
        uint64_t now = report_now_us();
        if (event != NULL) {
            take_event(listener, event);
            if (event->kind == CLIENT_EVENT_SUBDAG) last_us = now;
            warned = false;
            client_event_free(listener->client, event);
        }
        if (settings->idle > 0 && now - last_us > settings->idle && !warned) {
            log_warn("no data for %" PRIu64 " s", (now - last_us) / 1000000u);
            warned = true;
        }
        if (settings->duration > 0 && !is_warming_up(listener) &&
            report_now_us() - listener->report.started_us >= settings->duration)
            interrupted = 1;
    }
}

int main(int argc, char **argv)
{
    static struct listener listener;
    struct sigaction action = {.sa_handler = on_signal};
    int code = config_start(&listener.settings, NULL, &program, argc, argv);

    if (code != CONFIG_RUN) return code;
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    code = open_verify(&listener);
    if (code == CONFIG_RUN) code = open_files(&listener);
    if (code == CONFIG_RUN) {
        report_open(&listener.report, listener.settings.json,
                    listener.settings.quiet || listener.settings.summary_json);
        code = open_stream(&listener);
    }
    if (code == CONFIG_RUN) {
        listener_run(&listener);
        report_summary(&listener.report, listener.settings.summary_json);
        code = listener.code;
    }
    listener_close(&listener);
    return code;
}
