/* dsn-sequencer: from certified pre-blocks to the rollup's inbox. */
#include <event2/event.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/committee_file.h"
#include "common/log.h"
#include "rollup-kernel/host/pack.h"
#include "sequencer/consensus_client.h"
#include "sequencer/http_api.h"
#include "sequencer/sequencer.h"
#include "sequencer/settings.h"

/* A packed kernel is at most PACK_BYTES_MAX to be originated; an upgrade may be larger. */
#define KERNEL_BYTES_MAX (1024u * 1024u)

struct program {
    struct settings settings;
    struct event_base *base;
    struct committee_file committee;
    struct consensus *consensus;
    struct sequencer *sequencer;
    struct http_api *api;
};

static void on_signal(evutil_socket_t fd, short what, void *context)
{
    (void)fd;
    (void)what;
    event_base_loopbreak(context);
}

static enum status parse_url(struct address *ret,
                             const char *flag,
                             const char *url,
                             struct error_line *error)
{
    if (address_parse(ret, url) == OK && ret->port != 0) return OK;
    return error_line_set(error, ERR_CONFIG, "%s: %s: expected http://host:port", flag, url);
}

/* The packed kernel must have been made for this committee. */
static enum status check_kernel(const char *path,
                                const struct committee *committee,
                                struct error_line *error)
{
    static struct config config;
    FILE *file = fopen(path, "rb");

    if (file == NULL)
        return error_line_set(error, ERR_CONFIG, "--kernel: %s: cannot be read", path);
    uint8_t *data = malloc(KERNEL_BYTES_MAX);
    CHECK(data != NULL);
    size_t len = fread(data, 1, KERNEL_BYTES_MAX, file);
    fclose(file);
    enum status status = pack_read_config(&config, (struct bytes){data, len});
    free(data);
    if (status != OK)
        return error_line_set(error, ERR_CONFIG, "--kernel: %s: %s", path,
                              status == ERR_NOT_FOUND ? "not packed (dsn pack-kernel)"
                                                      : status_text(status));
    if (!digest_equal(&config.committee.digest, &committee->digest))
        return error_line_set(error, ERR_CONFIG, "--kernel: %s: packed for another committee",
                              path);
    return OK;
}

static enum status open_consensus(struct program *program, struct error_line *error)
{
    const struct settings *settings = &program->settings;
    const struct consensus_client_options options = {
        .primaries = &settings->primary_node_url,
        .workers = &settings->worker_node_url,
        .committee = &program->committee.committee,
    };

    if (settings->committee[0] == '\0')
        return error_line_set(error, ERR_CONFIG, "--committee: required");
    enum status status = committee_file_load(&program->committee, settings->committee, error);
    if (status != OK) return ERR_CONFIG;
    if (settings->kernel[0] != '\0') {
        status = check_kernel(settings->kernel, &program->committee.committee, error);
        if (status != OK) return status;
    }
    return consensus_client_open(&program->consensus, program->base, &options, error);
}

static enum status open_program(struct program *program, struct error_line *error)
{
    const struct settings *settings = &program->settings;
    struct sequencer_options options = {
        .committee = &program->committee.committee,
        .batching_keys = settings->batching_keys,
        .sequencers = settings->sequencers,
        .self = settings->node_id - 1,
    };
    struct address address = {.port = (uint16_t)settings->rpc_port};

    if (settings->sequencers > 1 && settings->node_id > settings->sequencers)
        return error_line_set(error, ERR_CONFIG, "--node-id: %u, but --sequencers is %u",
                              settings->node_id, settings->sequencers);
    if (settings->sequencers == 1) options.self = 0;
    if (strlen(settings->rpc_addr) >= sizeof address.host)
        return error_line_set(error, ERR_CONFIG, "--rpc-addr: too long");
    memcpy(address.host, settings->rpc_addr, strlen(settings->rpc_addr) + 1);
    enum status status =
        parse_url(&options.rollup_node, "--rollup-node-url", settings->rollup_node_url, error);
    if (status != OK) return status;
    options.batcher = options.rollup_node;
    if (settings->batcher_url[0] != '\0') {
        status = parse_url(&options.batcher, "--batcher-url", settings->batcher_url, error);
        if (status != OK) return status;
    }
    status = open_consensus(program, error);
    if (status != OK) return status;
    options.consensus = program->consensus;
    program->sequencer = sequencer_open(program->base, &options);
    status = http_api_open(&program->api, program->base, &address, program->sequencer, error);
    return status == OK ? OK : ERR_IO;
}

static void close_program(struct program *program)
{
    http_api_close(program->api);
    sequencer_close(program->sequencer);
    consensus_close(program->consensus);
    event_base_free(program->base);
}

static int run(struct program *program)
{
    struct event *interrupt = evsignal_new(program->base, SIGINT, on_signal, program->base);
    struct event *terminate = evsignal_new(program->base, SIGTERM, on_signal, program->base);

    CHECK(interrupt != NULL && terminate != NULL);
    event_add(interrupt, NULL);
    event_add(terminate, NULL);
    log_info("sequencer: API on port %u", http_api_port(program->api));
    event_base_dispatch(program->base);
    event_free(interrupt);
    event_free(terminate);
    if (sequencer_has_stopped(program->sequencer)) return EXIT_FAILURE;
    log_info("sequencer: stopped");
    return EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
    static struct program program; /* large */
    struct error_line error = {""};
    int code = config_start(&program.settings, NULL, &settings_program, argc, argv);

    if (code != CONFIG_RUN) return code;
    signal(SIGPIPE, SIG_IGN);
    program.base = event_base_new();
    CHECK(program.base != NULL);
    enum status status = open_program(&program, &error);
    if (status == OK) {
        code = run(&program);
    } else {
        fprintf(stderr, "dsn-sequencer: %s\n", error.text);
        code = status == ERR_CONFIG ? EXIT_USAGE : EXIT_FAILURE;
    }
    close_program(&program);
    config_free(&program.settings, &settings_program);
    return code;
}
