/* dsn-sequencer: from certified pre-blocks to the rollup's inbox. */
#include <errno.h>
#include <event2/event.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/client_access.h"
#include "common/committee_file.h"
#include "common/log.h"
#include "rollup-kernel/host/engine.h"
#include "rollup-kernel/host/pack.h"
#include "sequencer/consensus_client.h"
#include "sequencer/http_api.h"
#include "sequencer/mock_consensus.h"
#include "sequencer/mock_rollup.h"
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
    struct http_access access;          /* to us */
    struct client_access client_access; /* of us to others */
    struct mock_rollup *rollup;
    char directory[1024]; /* of the mocks */
    bool temporary;       /* it is removed at the end */
    char kernel[2048];
};

static void on_signal(evutil_socket_t fd, short what, void *context)
{
    (void)fd;
    (void)what;
    event_base_loopbreak(context);
}

static void on_hangup(evutil_socket_t fd, short what, void *context)
{
    struct program *program = context;

    (void)fd;
    (void)what;
    http_api_reload(program->api);
}

static enum status parse_url(struct address *ret,
                             bool *ret_tls,
                             const char *flag,
                             const char *url,
                             struct error_line *error)
{
    if (address_parse_url(ret, ret_tls, url) == OK && ret->port != 0) return OK;
    return error_line_set(error, ERR_CONFIG,
                          "%s: %s: expected http://host:port or https://host:port", flag, url);
}

static bool is_set(const char *text)
{
    return text[0] != '\0';
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

/* The kernel of this build, packed for the committee, unless the file is there. */
static enum status make_kernel(const char *path,
                               const struct committee *committee,
                               struct error_line *error)
{
    static struct config config;
    uint8_t *packed;
    size_t len;

    if (access(path, F_OK) == 0) return OK;
    config = (struct config){
        .committee = *committee, .application_len = 1, .application = {CONFIG_APPLICATION_LOG}};
    CHECK(pack_kernel(&packed, &len, engine_builtin_wasm(), &config) == OK);
    FILE *file = fopen(path, "wbe");
    bool written = file != NULL && fwrite(packed, 1, len, file) == len;
    if (file != NULL) written = fclose(file) == 0 && written;
    free(packed);
    return written ? OK : error_line_set(error, ERR_IO, "%s: cannot be written", path);
}

/* The directory of the mocks: the one asked for, or a temporary one. */
static enum status open_directory(struct program *program, struct error_line *error)
{
    const struct settings *settings = &program->settings;

    if (is_set(settings->data_dir)) {
        if (strlen(settings->data_dir) >= sizeof program->directory)
            return error_line_set(error, ERR_CONFIG, "--data-dir: too long");
        memcpy(program->directory, settings->data_dir, strlen(settings->data_dir) + 1);
        if (mkdir(program->directory, 0755) == 0 || errno == EEXIST) return OK;
        return error_line_set(error, ERR_CONFIG, "--data-dir: %s: %s", program->directory,
                              strerror(errno));
    }
    if (!settings->mock_consensus && !settings->mock_rollup) return OK;
    const char *parent = getenv("TMPDIR");
    snprintf(program->directory, sizeof program->directory, "%.1000s/dsn-sequencer-XXXXXX",
             parent != NULL ? parent : "/tmp");
    if (mkdtemp(program->directory) == NULL)
        return error_line_set(error, ERR_IO, "%s: %s", program->directory, strerror(errno));
    program->temporary = true;
    return OK;
}

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *walk)
{
    (void)status;
    (void)kind;
    (void)walk;
    return remove(path);
}

static enum status open_consensus(struct program *program, struct error_line *error)
{
    const struct settings *settings = &program->settings;
    const struct consensus_client_options options = {
        .primaries = &settings->primary_node_url,
        .workers = &settings->worker_node_url,
        .committee = &program->committee.committee,
        .access = &program->client_access,
    };

    if (settings->mock_consensus)
        return mock_consensus_open(&program->consensus, &program->committee, program->base,
                                   program->directory, error);
    if (!is_set(settings->committee))
        return error_line_set(error, ERR_CONFIG, "--committee: required without --mock-consensus");
    enum status status = committee_file_load(&program->committee, settings->committee, error);
    if (status != OK) return ERR_CONFIG;
    return consensus_client_open(&program->consensus, program->base, &options, error);
}

/* Which packed kernel belongs here, if any; the mocks need one. */
static enum status open_kernel(struct program *program, struct error_line *error)
{
    const struct settings *settings = &program->settings;
    const struct committee *committee = &program->committee.committee;

    if (is_set(settings->kernel)) {
        snprintf(program->kernel, sizeof program->kernel, "%s", settings->kernel);
    } else {
        snprintf(program->kernel, sizeof program->kernel, "%s/kernel.wasm", program->directory);
        if (!settings->mock_consensus && !settings->mock_rollup) return OK;
        enum status status = make_kernel(program->kernel, committee, error);
        if (status != OK) return status;
    }
    return check_kernel(program->kernel, committee, error);
}

static enum status open_rollup(struct program *program,
                               struct sequencer_options *options,
                               struct error_line *error)
{
    const struct settings *settings = &program->settings;
    char directory[sizeof program->directory + 16];
    const struct mock_rollup_options mock = {
        .directory = directory,
        .kernel = program->kernel,
        .block_time_us = settings->block_time,
        .batching_keys = settings->batching_keys,
    };

    if (settings->mock_rollup) {
        snprintf(directory, sizeof directory, "%s/rollup", program->directory);
        enum status status =
            mock_rollup_open(&program->rollup, &options->rollup_node, program->base, &mock, error);
        options->batcher = options->rollup_node;
        return status;
    }
    bool tls;
    enum status status = parse_url(&options->rollup_node, &tls, "--rollup-node-url",
                                   settings->rollup_node_url, error);
    if (status == OK && tls) options->rollup_node_tls = program->client_access.roots;
    options->batcher = options->rollup_node;
    options->batcher_tls = options->rollup_node_tls;
    if (status != OK || !is_set(settings->batcher_url)) return status;
    status = parse_url(&options->batcher, &tls, "--batcher-url", settings->batcher_url, error);
    options->batcher_tls = tls ? program->client_access.roots : NULL;
    return status;
}

static bool uses_tls(const struct settings *settings)
{
    return client_access_any_tls(&settings->primary_node_url) ||
           client_access_any_tls(&settings->worker_node_url) ||
           strncmp(settings->rollup_node_url, "https://", 8) == 0 ||
           strncmp(settings->batcher_url, "https://", 8) == 0;
}

/* Reads the files of both sides: who may come to us, and how we come to others. */
static enum status open_access(struct program *program,
                               const struct address *address,
                               struct error_line *error)
{
    const struct settings *settings = &program->settings;
    const struct access_files files = {settings->tls_certificate, settings->tls_key,
                                       settings->token_file, NULL};
    const struct rates rates = {settings->limit_address_tps, settings->limit_address_bytes};
    char text[ADDRESS_TEXT_BYTES_MAX];
    enum status status = http_access_open(&program->access, &files, &rates, error);

    if (status != OK) return status;
    address_format(text, address);
    access_set_warn(&program->access.set, text);
    return client_access_load(&program->client_access, uses_tls(settings), settings->tls_ca,
                              "--node-token-file", settings->node_token_file, error);
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
    enum status status = open_access(program, &address, error);
    if (status == OK) status = open_directory(program, error);
    if (status == OK) status = open_consensus(program, error);
    if (status == OK) status = open_kernel(program, error);
    if (status == OK) status = open_rollup(program, &options, error);
    if (status != OK) return status;
    options.consensus = program->consensus;
    program->sequencer = sequencer_open(program->base, &options);
    status = http_api_open(&program->api, program->base, &address, program->sequencer,
                           &program->access, error);
    return status == OK ? OK : ERR_IO;
}

static void close_program(struct program *program)
{
    http_api_close(program->api);
    http_access_close(&program->access);
    sequencer_close(program->sequencer);
    consensus_close(program->consensus);
    mock_rollup_close(program->rollup);
    client_access_clear(&program->client_access);
    if (program->temporary) nftw(program->directory, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    event_base_free(program->base);
}

static int run(struct program *program)
{
    struct event *interrupt = evsignal_new(program->base, SIGINT, on_signal, program->base);
    struct event *terminate = evsignal_new(program->base, SIGTERM, on_signal, program->base);
    struct event *hangup = evsignal_new(program->base, SIGHUP, on_hangup, program);

    CHECK(interrupt != NULL && terminate != NULL && hangup != NULL);
    event_add(interrupt, NULL);
    event_add(terminate, NULL);
    /* Without files to read again a hangup ends the process, as it always did. */
    if (!access_set_is_empty(&program->access.set)) event_add(hangup, NULL);
    log_info("sequencer: API on port %u", http_api_port(program->api));
    event_base_dispatch(program->base);
    event_free(interrupt);
    event_free(terminate);
    event_free(hangup);
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
