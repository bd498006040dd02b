#include <event2/event.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/client_access.h"
#include "common/committee_file.h"
#include "common/config.h"
#include "common/http_client.h"
#include "consensus/tools/dsn.h"

struct status_settings {
    char *committee;
    bool json;
    uint64_t timeout;
    bool tls;
    char *tls_ca;
    char *token_file;
};

static const struct config_field fields[] = {
    {"committee", CONFIG_STRING, offsetof(struct status_settings, committee), NULL, 0, 0, NULL,
     "committee.json of the network", 0},
    {"json", CONFIG_BOOL, offsetof(struct status_settings, json), "false", 0, 0, NULL,
     "each node's answer as one JSON object per line", 0},
    {"timeout", CONFIG_DURATION, offsetof(struct status_settings, timeout), "2s", 1000, 60000000,
     NULL, "how long to wait for a node", 0},
    {"tls", CONFIG_BOOL, offsetof(struct status_settings, tls), "false", 0, 0, NULL,
     "the nodes' ports speak TLS; --tls-ca says so, too", 0},
    CLIENT_ACCESS_FIELDS(struct status_settings),
};

static const struct config_program program = {
    .name = "dsn status",
    .about =
        "Asks every node of a committee for its status. Exit code 1 when a quorum is not ready.",
    .fields = fields,
    .fields_count = sizeof fields / sizeof fields[0],
};

/* One node's answer, in the order of the committee. */
struct answer {
    uint32_t *waiting;
    struct event_base *base;
    json_t *json; /* NULL: none */
    char failure[160];
};

static void on_done(void *context, const struct http_response *response)
{
    struct answer *answer = context;

    if (response->failure != NULL)
        snprintf(answer->failure, sizeof answer->failure, "%s", response->failure);
    else
        snprintf(answer->failure, sizeof answer->failure, "not a status, but HTTP code %d",
                 response->code);
    if (response->code == 200)
        answer->json = json_loadb((const char *)response->body.data, response->body.len, 0, NULL);
    if (--*answer->waiting == 0) event_base_loopbreak(answer->base);
}

static void ask_all(struct answer *answers,
                    struct event_base *base,
                    const struct committee_file *file,
                    const struct status_settings *settings,
                    const struct client_access *access)
{
    uint32_t waiting = file->committee.count;

    for (uint32_t i = 0; i < file->committee.count; i++) {
        struct http_call_options options = {
            .address = file->entries[i].http,
            .tls = access->roots,
            .token = access->token,
            .method = "GET",
            .path = "/status",
            .timeout_ms = (uint32_t)(settings->timeout / 1000),
            .response_bytes_max = 1u << 20,
            .on_done = on_done,
            .context = &answers[i],
        };
        answers[i] = (struct answer){.waiting = &waiting, .base = base};
        (void)http_call_start(base, &options);
    }
    if (waiting > 0) event_base_dispatch(base);
}

static uint64_t number(const json_t *json, const char *name)
{
    return (uint64_t)json_integer_value(json_object_get(json, name));
}

static uint32_t peers_up(const json_t *json)
{
    const json_t *peer;
    size_t index;
    uint32_t count = 0;

    json_array_foreach(json_object_get(json, "peers"), index, peer)
    {
        if (json_is_true(json_object_get(peer, "up"))) count++;
    }
    return count;
}

static void print_table(const struct answer *answers, const struct committee_file *file)
{
    printf("%-10s %-6s %9s %9s %10s %10s %5s %6s %10s\n", "node", "ready", "round", "anchor",
           "pre-block", "certified", "lag", "peers", "disk MB");
    for (uint32_t i = 0; i < file->committee.count; i++) {
        const json_t *json = answers[i].json;
        if (json == NULL) {
            printf("%-10s %s\n", file->entries[i].name, answers[i].failure);
            continue;
        }
        printf("%-10s %-6s %9" PRIu64 " %9" PRIu64 " %10" PRIu64 " %10" PRIu64 " %5" PRIu64
               " %6u %10.1f\n",
               file->entries[i].name, json_is_true(json_object_get(json, "ready")) ? "yes" : "no",
               number(json, "round"), number(json, "anchor_round"), number(json, "preblock_index"),
               number(json, "certified_index"), number(json, "lag"), peers_up(json),
               (double)(number(json, "store_bytes") + number(json, "batch_log_bytes")) / 1e6);
    }
}

static void print_json(const struct answer *answers, const struct committee_file *file)
{
    for (uint32_t i = 0; i < file->committee.count; i++) {
        if (answers[i].json != NULL) {
            json_dumpf(answers[i].json, stdout, JSON_COMPACT);
            printf("\n");
        } else {
            printf("{\"name\":\"%s\",\"error\":\"%s\"}\n", file->entries[i].name,
                   answers[i].failure);
        }
    }
}

static bool is_quorum_ready(const struct answer *answers, const struct committee *committee)
{
    stake_t stake = 0;
    for (uint32_t i = 0; i < committee->count; i++)
        if (json_is_true(json_object_get(answers[i].json, "ready")))
            stake += committee->members[i].stake;
    return stake >= committee->quorum;
}

int dsn_status(int argc, char **argv)
{
    static struct committee_file file; /* large */
    static struct answer answers[AUTHORITIES_MAX];
    struct status_settings settings;
    struct error_line error;
    struct client_access access = {NULL, ""};
    struct event_base *base;
    int code = config_start(&settings, NULL, &program, argc, argv);

    if (code != CONFIG_RUN) return code;
    if (client_access_load(&access, settings.tls, settings.tls_ca, "--token-file",
                           settings.token_file, &error) != OK ||
        committee_file_load(&file, settings.committee, &error) != OK) {
        client_access_clear(&access);
        fprintf(stderr, "dsn status: %s\n", error.text);
        config_free(&settings, &program);
        return EXIT_USAGE;
    }
    base = event_base_new();
    CHECK(base != NULL);
    ask_all(answers, base, &file, &settings, &access);
    if (settings.json)
        print_json(answers, &file);
    else
        print_table(answers, &file);
    code = is_quorum_ready(answers, &file.committee) ? EXIT_SUCCESS : EXIT_FAILURE;
    for (uint32_t i = 0; i < file.committee.count; i++)
        json_decref(answers[i].json);
    event_base_free(base);
    client_access_clear(&access);
    config_free(&settings, &program);
    return code;
}
