/* dsn submit: one transaction, and how far it came when.
 *
 * A submission is answered at one level. To see the levels of one transaction without submitting it three
 * times, --probes sends two small companions just before it, which are answered at the lower levels: what
 * shares a batch reaches every level together, and the receipts name the batch. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"
#include "common/client_access.h"
#include "common/config.h"
#include "common/envelope.h"
#include "consensus/tools/dsn.h"
#include "consensus/tools/signer.h"
#include "consensus/tools/stamp.h"
#include "proto/client.h"

struct submit_settings {
    char *endpoint;
    char *text;
    uint32_t level;
    uint64_t timeout;
    bool probes;
    char *tls_ca;
    char *token_file;
    char *sign_key;
    char *committee;
};

static const char *const levels[] = {"default", "accepted", "certified", "committed", NULL};

static const struct config_field fields[] = {
    {"endpoint", CONFIG_STRING, offsetof(struct submit_settings, endpoint),
     "http://127.0.0.1:64012", 0, 0, NULL, "transaction port of a node", 'e'},
    {"text", CONFIG_STRING, offsetof(struct submit_settings, text), NULL, 0, 0, NULL,
     "the transaction's bytes", 't'},
    {"level", CONFIG_CHOICE, offsetof(struct submit_settings, level), "committed", 0, 0, levels,
     "what to wait for", 'l'},
    {"timeout", CONFIG_DURATION, offsetof(struct submit_settings, timeout), "30s", 1000, 600000000,
     NULL, "give up after so long", 0},
    {"probes", CONFIG_BOOL, offsetof(struct submit_settings, probes), "false", 0, 0, NULL,
     "also tell when its batch was accepted and certified", 0},
    CLIENT_ACCESS_FIELDS(struct submit_settings),
    {"sign_key", CONFIG_STRING, offsetof(struct submit_settings, sign_key), "", 0, 0, NULL,
     "key file (dsn keygen): submit in an envelope signed with it; needs --committee", 0},
    {"committee", CONFIG_STRING, offsetof(struct submit_settings, committee), "", 0, 0, NULL,
     "committee.json, for --sign-key", 0},
};

static const struct config_program program = {
    .name = "dsn submit",
    .about = "Submits one transaction and prints its receipt as one JSON object. Exit code 1 when "
             "it was not taken.",
    .fields = fields,
    .fields_count = sizeof fields / sizeof fields[0],
};

/* The transaction's own submission is the last; before it, perhaps, one probe for each lower level. */
struct submit {
    const struct submit_settings *settings;
    struct signer *signer; /* NULL: bare */
    struct client *client;
    struct client_channel *channel;
    uint32_t first; /* level of the first submission */
    uint64_t sent_ms;
    struct client_event *receipts[CLIENT_LEVEL_COMMITTED + 1]; /* by level */
};

static enum status submit_one(struct submit *submit, uint32_t level)
{
    const struct submit_settings *settings = submit->settings;
    uint8_t probe[] = {'p', 'r', 'o', 'b', 'e', (uint8_t)('0' + level)};
    bool own = level == settings->level;
    const uint8_t *data = own ? (const uint8_t *)settings->text : probe;
    size_t len = own ? strlen(settings->text) : sizeof probe;
    static uint8_t envelope[ENVELOPE_BYTES_MAX];

    if (submit->signer != NULL && len > 0 && len <= SIGNER_PAYLOAD_BYTES_MAX) {
        len = signer_wrap(submit->signer, envelope, (struct bytes){data, len});
        data = envelope;
    }
    return client_submit(submit->channel, (enum client_level)level, data, len,
                         (uint32_t)(settings->timeout / 1000), (void *)(uintptr_t)level);
}

static enum status submit_all(struct submit *submit)
{
    uint32_t waiting = 0;

    submit->sent_ms = stamp_now_ms();
    for (uint32_t level = submit->first; level <= submit->settings->level; level++) {
        enum status status = submit_one(submit, level);
        if (status != OK) return status;
        waiting++;
    }
    while (waiting > 0) {
        struct client_event *event = client_wait(submit->client, -1);
        if (event == NULL) continue;
        submit->receipts[(uintptr_t)event->user] = event;
        waiting--;
    }
    return OK;
}

/* Time of a level, when its probe came into the same batch. */
static void print_time(const struct submit *submit, uint32_t level, const struct client_event *own)
{
    const struct client_event *receipt = submit->receipts[level];

    if (receipt != NULL && receipt->code == CLIENT_OK &&
        digest_equal(&receipt->digest, &own->digest))
        printf(", \"%s_us\": %" PRIu64, levels[level], receipt->elapsed_us);
}

static int print_receipt(const struct submit *submit)
{
    const struct client_event *own = submit->receipts[submit->settings->level];
    char hex[2 * sizeof own->digest + 1];

    if (own->code != CLIENT_OK) {
        fprintf(stderr, "dsn submit: %s: %s: %.100s\n", submit->settings->endpoint,
                client_code_text(own->code), own->text);
        return EXIT_FAILURE;
    }
    hex_encode(hex, own->digest.bytes, sizeof own->digest.bytes);
    printf("{\"level\": \"%s\", \"batch\": \"%s\", \"offset\": %" PRIu32 ", \"sent_ms\": %" PRIu64,
           levels[own->level], hex, own->offset, submit->sent_ms);
    if (own->level == CLIENT_LEVEL_COMMITTED)
        printf(", \"index\": %" PRIu64 ", \"position\": %" PRIu32, own->index, own->position);
    for (uint32_t level = CLIENT_LEVEL_ACCEPTED; level <= CLIENT_LEVEL_COMMITTED; level++)
        print_time(submit, level, own);
    printf("}\n");
    return EXIT_SUCCESS;
}

static enum status open_client(struct submit *submit, struct error_line *error)
{
    static struct signer signer;
    const struct submit_settings *settings = submit->settings;
    struct client_access access;
    enum status status =
        client_access_load(&access, strncmp(settings->endpoint, "https://", 8) == 0,
                           settings->tls_ca, "--token-file", settings->token_file, error);

    if (status != OK) return status;
    if (settings->sign_key[0] != '\0') {
        status = signer_open(&signer, settings->sign_key, settings->committee, error);
        submit->signer = &signer;
    }
    if (status == OK) status = client_open(&submit->client, 0);
    if (status == OK) client_secure(submit->client, access.roots, access.token);
    client_access_clear(&access);
    if (status != OK) return status;
    if (client_channel_open(&submit->channel, submit->client, settings->endpoint) == OK) return OK;
    return error_line_set(error, ERR_CONFIG,
                          "--endpoint: %s: expected http://host:port or https://host:port",
                          settings->endpoint);
}

int dsn_submit(int argc, char **argv)
{
    struct submit_settings settings;
    struct submit submit = {.settings = &settings};
    struct error_line error = {""};
    int code = config_start(&settings, NULL, &program, argc, argv);
    enum status status;

    if (code != CONFIG_RUN) return code;
    submit.first = settings.probes && settings.level > CLIENT_LEVEL_ACCEPTED ? CLIENT_LEVEL_ACCEPTED
                                                                             : settings.level;
    status = open_client(&submit, &error);
    if (status != OK) {
        fprintf(stderr, "dsn submit: %s\n", error.text);
        code = EXIT_USAGE;
    } else {
        status = submit_all(&submit);
        if (status != OK) fprintf(stderr, "dsn submit: --text: %s\n", status_text(status));
        code = status == OK ? print_receipt(&submit) : EXIT_USAGE;
    }
    for (uint32_t i = 0; i <= CLIENT_LEVEL_COMMITTED; i++)
        client_event_free(submit.client, submit.receipts[i]);
    client_channel_close(submit.channel);
    client_close(submit.client);
    config_free(&settings, &program);
    return code;
}
