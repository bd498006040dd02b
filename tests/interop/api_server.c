/* The node's real gRPC server with consensus replaced by memory, for clients from other ecosystems:
 * listens until SIGTERM, prints one line with its addresses. */
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/access_files.h"
#include "tests/interop/memory_loop.h"

static volatile sig_atomic_t stopped;

static void on_signal(int number)
{
    (void)number;
    stopped = 1;
}

static const char usage[] =
    "usage: api_server [--export HOST:PORT] [--transactions HOST:PORT] [--preblocks N] [--oldest "
    "N]\n"
    "                  [--stall-ms N] [--access FOLDER]\n"
    "Serves a node's gRPC API out of memory until SIGTERM. Port 0 lets the system choose.\n"
    "  --preblocks N  history made at the start (default 10); --oldest N  what is kept of it\n"
    "  --access FOLDER  TLS, tokens and envelopes for network 11..11, by server.pem, server.key,\n"
    "                   tokens and allow in it\n";

/* Everything that guards the ports. */
static bool read_access(struct api_access *access, const char *folder)
{
    static const char *const names[] = {"server.pem", "server.key", "tokens", "allow"};
    char paths[4][512];
    struct access_set set;
    struct error_line error;

    for (size_t i = 0; i < 4; i++)
        (void)snprintf(paths[i], sizeof paths[i], "%s/%s", folder, names[i]);
    const struct access_files files = {paths[0], paths[1], paths[2], paths[3]};
    if (access_set_load(&set, &files, &error) != OK) {
        (void)fprintf(stderr, "api_server: %s\n", error.text);
        return false;
    }
    *access = (struct api_access){
        .tokens = set.tokens, .allow = set.allow, .tls = set.tls, .envelope_life_ms = 60000};
    memset(access->network.bytes, 0x11, sizeof access->network.bytes);
    return true;
}

/* Until SIGTERM; closes the server. */
static void serve(struct api *api, unsigned long preblocks, unsigned long oldest)
{
    struct memory_loop *loop = memory_loop_new(api);
    for (unsigned long i = 0; i < preblocks; i++)
        memory_loop_make(loop, 3, 100);
    memory_loop_prune(loop, oldest);
    api_set_ready(api, true);
    api_set_serving(api, true);
    (void)printf("export 127.0.0.1:%u transactions 127.0.0.1:%u\n", api_export_port(api),
                 api_transactions_port(api));
    (void)fflush(stdout);
    while (!stopped)
        memory_loop_turn(loop, 100);

    struct api_counters counters;
    api_get_counters(api, &counters);
    api_close(api);
    memory_loop_free(loop);
    (void)fprintf(stderr, "api_server: %" PRIu64 " transactions, %" PRIu64 " batches\n",
                  counters.transactions, counters.batches);
}

int main(int argc, char **argv)
{
    static const struct option long_options[] = {
        {"export", required_argument, NULL, 'e'},
        {"transactions", required_argument, NULL, 't'},
        {"preblocks", required_argument, NULL, 'p'},
        {"oldest", required_argument, NULL, 'o'},
        {"stall-ms", required_argument, NULL, 's'},
        {"access", required_argument, NULL, 'a'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    struct api_options options = api_options_default();
    options.export_address = "127.0.0.1:0";
    options.transactions_address = "127.0.0.1:0";
    unsigned long preblocks = 10;
    unsigned long oldest = 1;
    int option;
    while ((option = getopt_long(argc, argv, "h", long_options, NULL)) != -1) {
        switch (option) {
        case 'e':
            options.export_address = optarg;
            break;
        case 't':
            options.transactions_address = optarg;
            break;
        case 'p':
            preblocks = strtoul(optarg, NULL, 10);
            break;
        case 'o':
            oldest = strtoul(optarg, NULL, 10);
            break;
        case 's':
            options.export_stall_us = strtoul(optarg, NULL, 10) * 1000;
            break;
        case 'a':
            if (!read_access(&options.access, optarg)) return 2;
            break;
        case 'h':
            (void)fputs(usage, stdout);
            return 0;
        default:
            (void)fputs(usage, stderr);
            return 2;
        }
    }
    struct sigaction action = {.sa_handler = on_signal};
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);

    struct api *api;
    enum status status = api_open(&api, &options);
    tls_identity_free(options.access.tls);
    token_table_free(options.access.tokens);
    allow_list_free(options.access.allow);
    if (status != OK) {
        (void)fprintf(stderr, "api_server: %s\n", status_text(status));
        return 1;
    }
    serve(api, preblocks, oldest);
    return 0;
}
